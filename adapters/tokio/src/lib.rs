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
//!
//! All functions are to be called within a runtime whose IO and time are enabled.

mod stream;

pub use stream::Compat;
#[doc(inline)]
pub use tamtam_driver::{Client, Event, Events, Message, Messages, Setup};
pub use tamtam_driver::{broker, client, core, transport};

use std::io;
use std::sync::Arc;

use broker::{Accepted, Accepting, Handle, Policy, Server};
use client::ConnectError;
use tamtam_driver::{Clock, Duplex, Runtime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use transport::{Endpoint, Scheme, ServerLayers};

/// The runtime of the task that it is used in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

impl Runtime for Tokio {
    type Sleep = tokio::time::Sleep;

    fn sleep_until(&self, when: core::Instant) -> Self::Sleep {
        tokio::time::sleep_until(Clock::std_instant(when).into())
    }
}

/// Connects to `mqtt://`, `mqtts://`, `ws://`, `wss://` or `unix://`; returns once the server has
/// accepted. From then on the client connects again by itself.
///
/// # Errors
/// The address or the options are wrong, or the first attempt failed; no other is made.
pub async fn connect<'a>(
    url: &str,
    setup: impl Into<Setup<'a>>,
) -> Result<(Client, Messages), ConnectError> {
    let (client, messages) = start(url, setup)?;
    client.first_connected().await?;
    Ok((client, messages))
}

/// As [`connect`], but returns at once: the client tries to connect until it succeeds, and what is
/// published meanwhile waits.
///
/// # Errors
/// The address or the options are wrong.
pub fn start<'a>(
    url: &str,
    setup: impl Into<Setup<'a>>,
) -> Result<(Client, Messages), ConnectError> {
    let (client, messages, connection) = client::dial(url, setup.into(), Tokio, open)?;
    tokio::spawn(connection);
    Ok((client, messages))
}

/// Connects by a stream that is open already, and only by it: it carries MQTT as it is.
///
/// # Errors
/// The options are wrong, or the server did not accept.
pub async fn connect_by<'a>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    setup: impl Into<Setup<'a>>,
) -> Result<(Client, Messages), ConnectError> {
    let (client, messages, connection) = client::over(Compat(stream), setup.into(), Tokio)?;
    tokio::spawn(connection);
    client.first_connected().await?;
    Ok((client, messages))
}

async fn open(to: Endpoint) -> io::Result<Box<dyn Duplex>> {
    if to.scheme() == Scheme::Unix {
        #[cfg(unix)]
        return Ok(Box::new(Compat(tokio::net::UnixStream::connect(to.path()).await?)));
        #[cfg(not(unix))]
        return Err(io::ErrorKind::Unsupported.into());
    }
    let stream = TcpStream::connect((to.host(), to.port())).await?;
    stream.set_nodelay(true)?;
    Ok(Box::new(Compat(stream)))
}

/// Serves the clients that come to `listener`, in a task of its own, until the handle stops it.
///
/// For more listeners than one, or a store, see [`accept`].
pub fn serve(
    listener: TcpListener,
    layers: ServerLayers,
    options: &core::broker::Options,
    policy: impl Policy + Unpin,
) -> Handle {
    let (handle, server) = Server::new(Tokio, options, policy);
    tokio::spawn(server.listen(layers, accept(listener)));
    handle
}

/// How a [`Server`] accepts what comes to a listener.
///
/// ```no_run
/// use tamtam_tokio::broker::{Open, Server};
/// use tamtam_tokio::core::broker::Options;
/// use tamtam_tokio::transport::ServerLayers;
/// use tamtam_tokio::{Tokio, accept};
/// use tokio::net::TcpListener;
///
/// # async fn run() -> std::io::Result<()> {
/// let (handle, server) = Server::new(Tokio, &Options::DEFAULT, Open);
/// let plain = TcpListener::bind("127.0.0.1:1883").await?;
/// let other = TcpListener::bind("127.0.0.1:1884").await?;
/// let server = server.listen(ServerLayers::new(), accept(plain));
/// tokio::spawn(server.listen(ServerLayers::new(), accept(other)));
/// # Ok(()) }
/// ```
pub fn accept(listener: TcpListener) -> impl FnMut() -> Accepting + Send {
    let listener = Arc::new(listener);
    move || {
        let listener = Arc::clone(&listener);
        Box::pin(async move {
            let (stream, address) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(Accepted::new(Compat(stream)).from(address))
        })
    }
}
