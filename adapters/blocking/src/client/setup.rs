//! How a client is set up: what the machine is told, and what is the adapter's own.

use std::io::{Read, Write};
use std::time::Duration;

use tamtam_core::client::Options;
use tamtam_transport::{ClientLayers, Endpoint};

use super::ConnectError;
use super::wire::{Dialer, Existing};
use super::{Client, engine::Engine};

/// What answers the challenges of enhanced authentication.
pub(super) type Authenticator = Box<dyn FnMut(&[u8]) -> Vec<u8> + Send>;

/// How a client is set up. [`Options`] alone are enough for most.
///
/// ```
/// use tamtam_blocking::client::Setup;
/// use tamtam_core::Version;
/// use tamtam_core::client::Options;
///
/// let setup = Setup::new(Options::new(Version::V5).client_id("hall")).queue(100);
/// ```
pub struct Setup<'a> {
    pub(super) options: Options<'a>,
    pub(super) layers: ClientLayers,
    pub(super) queue: u16,
    pub(super) overrun: u16,
    pub(super) patience: Duration,
    pub(super) authenticator: Option<Authenticator>,
    pub(super) reply_topic: Option<String>,
}

impl std::fmt::Debug for Setup<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<'a> Setup<'a> {
    /// With these options, and what suits most for the rest.
    #[must_use]
    pub fn new(options: Options<'a>) -> Self {
        Self {
            options,
            layers: ClientLayers::new(),
            queue: 1_000,
            overrun: 10_000,
            patience: Duration::from_secs(30),
            authenticator: None,
            reply_topic: None,
        }
    }

    /// With these layers: TLS with other roots or a client certificate, or headers for a WebSocket.
    #[must_use]
    pub fn layers(mut self, layers: ClientLayers) -> Self {
        self.layers = layers;
        self
    }

    /// How many messages wait for the application at most: 1,000. At least 1.
    ///
    /// This is Receive Maximum too, if the options have no lower one. While as many wait, nothing
    /// is read, unless an answer is awaited: then messages at QoS 0 push out the oldest ones.
    #[must_use]
    pub const fn queue(mut self, messages: u16) -> Self {
        self.queue = if messages == 0 { 1 } else { messages };
        self
    }

    /// How many messages at QoS 1 and 2 wait at most while an answer is awaited, before MQTT 5:
    /// 10,000. One more ends the connection; the session is kept. MQTT 5 needs no such bound: there
    /// the server knows [`Setup::queue`].
    ///
    /// A payload that is streamed may wait for its reader with 16 MiB, in any version.
    #[must_use]
    pub const fn overrun(mut self, messages: u16) -> Self {
        self.overrun = messages;
        self
    }

    /// How long a call waits for its answer: 30 seconds. See also [`Client::set_patience`].
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Answers the server's challenges by `answer`, in enhanced authentication (MQTT 5): it is
    /// given the data of each AUTH and returns those of the next. Method and first data are
    /// properties of the options.
    #[must_use]
    pub fn authenticate(mut self, answer: impl FnMut(&[u8]) -> Vec<u8> + Send + 'static) -> Self {
        self.authenticator = Some(Box::new(answer));
        self
    }

    /// To which topic answers to [`Client::request`] go. A name at random below `reply/`.
    #[must_use]
    pub fn reply_topic(mut self, topic: &str) -> Self {
        self.reply_topic = Some(topic.to_owned());
        self
    }

    /// Connects to an address such as `mqtt://user:password@host:1883`, and waits until the server
    /// has accepted.
    ///
    /// # Errors
    /// The address, the options or the first attempt are no good. Whether there are others after
    /// the first success, the options say.
    pub fn connect(self, address: &str) -> Result<Client, ConnectError> {
        let client = self.open(address)?;
        client.wait_connected()?;
        Ok(client)
    }

    /// The same, without waiting: the client connects within the calls that come later, again and
    /// again if it must.
    ///
    /// # Errors
    /// The address or the options are no good.
    pub fn open(mut self, address: &str) -> Result<Client, ConnectError> {
        let endpoint: Endpoint = address.parse()?;
        let layers = std::mem::take(&mut self.layers);
        let dialer = Dialer::Endpoint(endpoint.clone(), layers);
        let setup = Setup::login(self, &endpoint);
        let patience = setup.patience;
        Ok(Client::new(Engine::start(setup, dialer)?, patience))
    }

    /// With the user and the password of an address, if it has them.
    fn login(mut self, endpoint: &'a Endpoint) -> Self {
        self.options = endpoint.login(self.options);
        self
    }

    /// Speaks over a stream that exists, such as a serial port, a pipe, or a TLS session of your
    /// own, and waits until the server has accepted. There is nothing to connect to once more when
    /// it ends.
    ///
    /// A read must come back by itself every now and then, with [`TimedOut`] or [`WouldBlock`],
    /// even if nothing has arrived: only then can pings leave and calls end in time. Give the
    /// stream a read timeout of 100 milliseconds, say; a second delays pings by as much. A write
    /// may block, as long as the other end reads.
    ///
    /// # Errors
    /// The options are no good, or the server does not accept.
    ///
    /// [`TimedOut`]: std::io::ErrorKind::TimedOut
    /// [`WouldBlock`]: std::io::ErrorKind::WouldBlock
    pub fn connect_over(
        self,
        stream: impl Read + Write + Send + 'static,
    ) -> Result<Client, ConnectError> {
        let dialer = Dialer::Existing(Some(Box::new(Existing(stream))));
        let patience = self.patience;
        let client = Client::new(Engine::start(self, dialer)?, patience);
        client.wait_connected()?;
        Ok(client)
    }
}
