//! How a client is set up: what the machine is told, and what is the adapter's own.

use tamtam_core::client::{Options, Reconnect};
use tamtam_transport::{ClientLayers, Endpoint};

/// What answers the challenges of enhanced authentication.
pub(super) type Authenticator = Box<dyn FnMut(&[u8]) -> Vec<u8> + Send>;

/// How a client is set up. [`Options`] alone are enough for most.
///
/// ```
/// use tamtam_driver::Setup;
/// use tamtam_driver::core::Version;
/// use tamtam_driver::core::client::Options;
///
/// let setup = Setup::new(Options::new(Version::V5).client_id("hall")).queue(100);
/// ```
pub struct Setup<'a> {
    pub(super) options: Options<'a>,
    pub(super) layers: ClientLayers,
    pub(super) queue: u16,
    pub(super) overrun: u16,
    pub(super) authenticator: Option<Authenticator>,
    pub(super) reply_topic: Option<String>,
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
    #[must_use]
    pub const fn overrun(mut self, messages: u16) -> Self {
        self.overrun = messages;
        self
    }

    /// Answers the server's challenges by `answer`, in enhanced authentication (MQTT 5): it is
    /// given the data of each AUTH and returns those of the next. Method and first data are
    /// properties of the options.
    ///
    /// It is called with the machine in the loop's hands, so it must be quick and not use the
    /// client.
    #[must_use]
    pub fn authenticate(mut self, answer: impl FnMut(&[u8]) -> Vec<u8> + Send + 'static) -> Self {
        self.authenticator = Some(Box::new(answer));
        self
    }

    /// To which topic answers to [`Client::request`](super::Client::request) go. A name at random
    /// below `reply/`, or below what the server proposes.
    #[must_use]
    pub fn reply_topic(mut self, topic: &str) -> Self {
        self.reply_topic = Some(topic.to_owned());
        self
    }

    /// With the user and the password of an address, if it has them.
    pub(super) fn login(mut self, endpoint: &'a Endpoint) -> Self {
        self.options = endpoint.login(self.options);
        self
    }

    /// For a stream that is there already: once it is gone there is no other.
    pub(super) fn without_reconnect(mut self) -> Self {
        self.options = self.options.reconnect(Reconnect::Never);
        self
    }
}

impl<'a> From<Options<'a>> for Setup<'a> {
    fn from(options: Options<'a>) -> Self {
        Self::new(options)
    }
}

/// Without the authenticator, which can't be shown.
impl std::fmt::Debug for Setup<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("options", &self.options)
            .field("queue", &self.queue)
            .field("overrun", &self.overrun)
            .finish_non_exhaustive()
    }
}
