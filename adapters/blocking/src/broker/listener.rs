//! Where clients come in.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
#[cfg(unix)]
use std::path::Path;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use tamtam_core::broker::LimitsId;
use tamtam_transport::ServerLayers;

use super::admission::Admission;
use super::socket::Socket;

/// A place where clients come in, with its settings.
///
/// ```
/// use tamtam_blocking::broker::Listener;
///
/// let listener = Listener::tcp("127.0.0.1:0")?.name("inside");
/// assert!(listener.local_addr().is_some_and(|address| address.port() != 0));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Listener {
    socket: Acceptor,
    pub(super) name: String,
    pub(super) no_delay: bool,
    pub(super) layers: ServerLayers,
    pub(super) preamble: Option<Preamble>,
    pub(super) limits: Option<LimitsId>,
    pub(super) admission: Admission,
}

/// What a proxy says of a client before the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// How many bytes it took to say so.
    pub len: usize,
    /// Where the client is, if the proxy speaks for one.
    pub address: Option<SocketAddr>,
}

/// Reads what comes before all layers: see [`Listener::preamble`].
#[derive(Clone, Copy)]
pub(super) struct Preamble(pub(super) fn(&[u8]) -> io::Result<Option<Origin>>);

impl std::fmt::Debug for Preamble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Preamble")
    }
}

#[derive(Debug)]
enum Acceptor {
    Tcp(mio::net::TcpListener),
    #[cfg(unix)]
    Unix(mio::net::UnixListener),
}

impl Listener {
    /// Listens on an address; port 0 lets the system choose one.
    ///
    /// # Errors
    /// What the system says: often that the address is in use, or may not be used.
    pub fn tcp(address: impl ToSocketAddrs) -> io::Result<Self> {
        let mut error = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
        for address in address.to_socket_addrs()? {
            match mio::net::TcpListener::bind(address) {
                Ok(socket) => return Ok(Self::new(Acceptor::Tcp(socket))),
                Err(bind) => error = bind,
            }
        }
        Err(error)
    }

    /// Listens on a socket that exists.
    ///
    /// # Errors
    /// What the system says when the socket is made non-blocking.
    pub fn from_tcp(socket: std::net::TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::new(Acceptor::Tcp(mio::net::TcpListener::from_std(socket))))
    }

    /// Listens on a unix socket. Whoever may write to its file may connect.
    ///
    /// # Errors
    /// What the system says: a file of that name must not be there.
    #[cfg(unix)]
    pub fn unix(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::new(Acceptor::Unix(mio::net::UnixListener::bind(path)?)))
    }

    /// Listens on a unix socket that exists.
    ///
    /// # Errors
    /// What the system says when the socket is made non-blocking.
    #[cfg(unix)]
    pub fn from_unix(socket: std::os::unix::net::UnixListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::new(Acceptor::Unix(mio::net::UnixListener::from_std(socket))))
    }

    fn new(socket: Acceptor) -> Self {
        Self {
            socket,
            name: String::new(),
            no_delay: true,
            layers: ServerLayers::new(),
            preamble: None,
            limits: None,
            admission: Admission::default(),
        }
    }

    /// With these layers between the socket and MQTT: TLS, WebSocket, or both.
    #[must_use]
    pub fn layers(mut self, layers: ServerLayers) -> Self {
        self.layers = layers;
        self
    }

    /// With a set of limits of its own for those who come in here: one that
    /// [`Broker::limits`](tamtam_core::broker::Broker::limits) has stored, or the broker's.
    #[must_use]
    pub const fn limits(mut self, limits: LimitsId) -> Self {
        self.limits = Some(limits);
        self
    }

    /// With limits of how many come in here, and how fast.
    #[must_use]
    pub const fn admission(mut self, admission: Admission) -> Self {
        self.admission = admission;
        self
    }

    /// With a header before anything else on each connection, by which a proxy says for whom it
    /// speaks. `read` is given what has come, and says `None` if that is not all of it; an error
    /// closes the connection, and so does a header longer than 4 KiB.
    #[must_use]
    pub fn preamble(mut self, read: fn(&[u8]) -> io::Result<Option<Origin>>) -> Self {
        self.preamble = Some(Preamble(read));
        self
    }

    /// What the policy knows it by; empty, if nothing else is said.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Whether small packets are sent at once, as they are unless said otherwise, or gathered by
    /// the system (TCP).
    #[must_use]
    pub const fn no_delay(mut self, no_delay: bool) -> Self {
        self.no_delay = no_delay;
        self
    }

    /// The address that it listens on; `None` for a unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Acceptor::Tcp(socket) => socket.local_addr().ok(),
            #[cfg(unix)]
            Acceptor::Unix(_) => None,
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Acceptor::Tcp(socket) => socket.register(registry, token, Interest::READABLE),
            #[cfg(unix)]
            Acceptor::Unix(socket) => socket.register(registry, token, Interest::READABLE),
        }
    }

    /// The next one who waits, and from where, if it has an address of its own.
    pub(super) fn accept(&self) -> io::Result<(Socket, Option<IpAddr>)> {
        match &self.socket {
            Acceptor::Tcp(listener) => {
                let (socket, address) = listener.accept()?;
                if self.no_delay {
                    let _ = socket.set_nodelay(true); // it works without, only slower
                }
                let own = self.preamble.is_none().then(|| address.ip());
                Ok((Socket::Tcp(socket), own))
            }
            #[cfg(unix)]
            Acceptor::Unix(listener) => Ok((Socket::Unix(listener.accept()?.0), None)),
        }
    }
}
