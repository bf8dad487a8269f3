//! What carries the bytes: sockets, and any stream.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use tamtam_transport::{ClientLayers, Endpoint, Scheme, Stack};

/// How long a write may take before what has arrived is read: else two ends that both write would
/// wait for each other for ever.
const WRITE_PATIENCE: Duration = Duration::from_millis(20);

/// A stream whose reads end in time.
pub(super) trait Wire: Read + Write + Send {
    /// How long the next read may take.
    fn set_read_timeout(&mut self, timeout: Duration) -> io::Result<()>;

    /// Lets it be waited for by a registry, instead of by its reads.
    fn attach(&mut self, registry: &mio::Registry) -> io::Result<()> {
        let _ = registry;
        Ok(())
    }
}

/// A socket, and the timeout that it has.
struct Socket<T> {
    socket: T,
    timeout: Duration,
    /// Whether reads do not wait at all.
    is_polled: bool,
}

impl<T> Socket<T> {
    const fn new(socket: T) -> Self {
        Self { socket, timeout: Duration::ZERO, is_polled: false }
    }

    /// Whether another timeout has to be set: one that is a little short does no harm.
    fn is_other(&mut self, timeout: Duration) -> bool {
        let fits = self.is_polled || self.timeout <= timeout && self.timeout >= timeout / 2;
        if !fits {
            self.timeout = timeout;
        }
        !fits
    }
}

impl<T: Read> Read for Socket<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl<T: Write> Write for Socket<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

impl Wire for Socket<TcpStream> {
    fn set_read_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        if self.is_other(timeout) { self.socket.set_read_timeout(Some(timeout)) } else { Ok(()) }
    }

    #[cfg(unix)]
    fn attach(&mut self, registry: &mio::Registry) -> io::Result<()> {
        self.socket.set_nonblocking(true)?;
        self.is_polled = true;
        register(&self.socket, registry)
    }
}

/// Registers a socket, edge by edge.
#[cfg(unix)]
fn register(socket: &impl std::os::fd::AsRawFd, registry: &mio::Registry) -> io::Result<()> {
    let both = mio::Interest::READABLE | mio::Interest::WRITABLE;
    let socket = socket.as_raw_fd();
    registry.register(&mut mio::unix::SourceFd(&socket), mio::Token(1), both)
}

#[cfg(unix)]
impl Wire for Socket<std::os::unix::net::UnixStream> {
    fn set_read_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        if self.is_other(timeout) { self.socket.set_read_timeout(Some(timeout)) } else { Ok(()) }
    }

    fn attach(&mut self, registry: &mio::Registry) -> io::Result<()> {
        self.socket.set_nonblocking(true)?;
        self.is_polled = true;
        register(&self.socket, registry)
    }
}

/// A stream of the application's, whose reads end in time by themselves.
pub(super) struct Existing<T>(pub(super) T);

impl<T: Read> Read for Existing<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<T: Write> Write for Existing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<T: Read + Write + Send> Wire for Existing<T> {
    fn set_read_timeout(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }
}

/// Where wires come from.
pub(super) enum Dialer {
    Endpoint(Endpoint, ClientLayers),
    /// A stream that was there, until it is used.
    Existing(Option<Box<dyn Wire>>),
}

/// Why there is no wire.
pub(super) enum DialError {
    Io(io::Error),
    Layers(tamtam_transport::Error),
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Dialer {
    /// Opens a wire, within `patience` for each address that there is to try.
    pub(super) fn dial(&mut self, patience: Duration) -> Result<(Box<dyn Wire>, Stack), DialError> {
        match self {
            Self::Endpoint(endpoint, layers) => {
                let wire = dial(endpoint, patience)?;
                let stack = Stack::client(endpoint, layers).map_err(DialError::Layers)?;
                Ok((wire, stack))
            }
            Self::Existing(stream) => match stream.take() {
                Some(wire) => Ok((wire, Stack::plain())),
                None => Err(DialError::Io(io::ErrorKind::NotConnected.into())),
            },
        }
    }
}

fn dial(endpoint: &Endpoint, patience: Duration) -> io::Result<Box<dyn Wire>> {
    if endpoint.scheme() == Scheme::Unix {
        return dial_unix(endpoint.path());
    }
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (endpoint.host(), endpoint.port()).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience.max(Duration::from_millis(1))) {
            Ok(socket) => {
                let _ = socket.set_nodelay(true); // it works without, only slower
                socket.set_write_timeout(Some(WRITE_PATIENCE))?;
                return Ok(Box::new(Socket::new(socket)));
            }
            Err(failed) => error = failed,
        }
    }
    Err(error)
}

#[cfg(unix)]
fn dial_unix(path: &str) -> io::Result<Box<dyn Wire>> {
    let socket = std::os::unix::net::UnixStream::connect(path)?;
    socket.set_write_timeout(Some(WRITE_PATIENCE))?;
    Ok(Box::new(Socket::new(socket)))
}

#[cfg(not(unix))]
fn dial_unix(_: &str) -> io::Result<Box<dyn Wire>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "there are no unix sockets on this system"))
}
