//! MQTT client and broker on tokio.
//!
//! ```no_run
//! use tamtam_tokio::core::{QoS, Version};
//! use tamtam_tokio::core::client::{Filter, Options, Publish};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options::new(Version::V5).client_id("hall");
//! let (client, mut messages) = tamtam_tokio::connect("mqtt://localhost", options).await?;
//! client.subscribe(&[Filter::new("room/+/celsius")]).await?;
//! client.publish(Publish::new("room/7/celsius", b"21.5").qos(QoS::AtLeastOnce)).await?;
//! while let Some(message) = messages.next().await {
//!     println!("{}: {:?}", message.topic(), message.text());
//! }
//! # Ok(()) }
//! ```
//!
//! The connection runs in a task of its own: pings and acknowledgements flow whether or not anybody
//! asks for messages, and it connects again by itself. What all of this can do is described in
//! `tamtam-driver`, whose names are here too.

mod stream;

pub use stream::Compat;
#[doc(inline)]
pub use tamtam_driver::client::{ConnectError, Error, Lost, Payload, PayloadWriter};
#[doc(inline)]
pub use tamtam_driver::{Client, Event, Events, Message, Messages, Setup, core, transport};

use std::future::{Future, ready};
use std::io;

use tamtam_driver::transport::{Endpoint, Scheme, Stack};
use tamtam_driver::{Clock, Runtime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// The runtime of the task that it is used in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

impl Runtime for Tokio {
    type Sleep = tokio::time::Sleep;

    fn now(&self) -> core::Instant {
        Clock::now()
    }

    fn sleep_until(&self, when: core::Instant) -> Self::Sleep {
        tokio::time::sleep_until(Clock::std_instant(when).into())
    }
}

/// Connects to `mqtt://`, `mqtts://`, `ws://`, `wss://` or `unix://`; returns once the server has
/// accepted. From then on the client connects again by itself.
///
/// # Errors
/// The first attempt failed; no other is made.
pub async fn connect<'a>(
    url: &str,
    setup: impl Into<Setup<'a>>,
) -> Result<(Client, Messages), ConnectError> {
    let (client, messages) = start(url, setup)?;
    client.first_connected().await?;
    Ok((client, messages))
}

/// As [`connect`], but returns at once: the client tries to connect until it succeeds, and what is
/// published meanwhile waits. To be called within the runtime.
///
/// # Errors
/// The address or the options are wrong.
pub fn start<'a>(
    url: &str,
    setup: impl Into<Setup<'a>>,
) -> Result<(Client, Messages), ConnectError> {
    let endpoint: Endpoint = url.parse()?;
    let setup = setup.into().login(&endpoint);
    let layers = setup.client_layers();
    Stack::client(&endpoint, &layers)?;
    let to = endpoint.clone();
    #[cfg(unix)]
    if endpoint.scheme() == Scheme::Unix {
        return Ok(launch(setup, move || {
            let to = to.clone();
            async move {
                let stream = tokio::net::UnixStream::connect(to.path()).await?;
                Ok((Compat(stream), Stack::plain()))
            }
        })?);
    }
    Ok(launch(setup, move || {
        let (to, layers) = (to.clone(), layers.clone());
        async move {
            if to.scheme() == Scheme::Unix {
                return Err(io::ErrorKind::Unsupported.into());
            }
            let stream = TcpStream::connect((to.host(), to.port())).await?;
            stream.set_nodelay(true)?;
            Ok((Compat(stream), Stack::client(&to, &layers)?))
        }
    })?)
}

/// Connects by a stream that is open already, and only by it: it carries MQTT as it is.
///
/// # Errors
/// The options are wrong, or the server did not accept.
pub async fn connect_by<'a>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    setup: impl Into<Setup<'a>>,
) -> Result<(Client, Messages), ConnectError> {
    let mut stream = Some((Compat(stream), Stack::plain()));
    let open = move || ready(stream.take().ok_or(io::ErrorKind::NotConnected.into()));
    let (client, messages) = launch(setup.into().without_reconnect(), open)?;
    client.first_connected().await?;
    Ok((client, messages))
}

fn launch<O, T>(
    setup: Setup<'_>,
    open: impl FnMut() -> O + Send + Unpin + 'static,
) -> Result<(Client, Messages), core::client::StartError>
where
    O: Future<Output = io::Result<(Compat<T>, Stack)>> + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, messages, connection) = tamtam_driver::client::start(setup, Tokio, open)?;
    tokio::spawn(connection);
    Ok((client, messages))
}
