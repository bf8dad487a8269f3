//! The way to the broker: where it is, what lies between, and which of our addresses we leave from.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use socket2::{Domain, Protocol, Type};
use tamtam_transport::{ClientLayers, Endpoint};

/// How long the operating system may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The way to a broker.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    pub(crate) layers: ClientLayers,
    /// Our address, if not any will do.
    pub(crate) bind: Option<IpAddr>,
}

impl Route {
    /// A connection over TCP, to the first of the addresses that answers.
    pub(super) fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        let (host, port) = (self.endpoint.host(), self.endpoint.port());
        for address in (host, port).to_socket_addrs()? {
            match self.connect_to(&address) {
                Ok(stream) => {
                    stream.set_nonblocking(true)?;
                    let _ = stream.set_nodelay(true); // it works without, only slower
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn connect_to(&self, address: &SocketAddr) -> io::Result<TcpStream> {
        let Some(own) = self.bind else {
            return TcpStream::connect_timeout(address, CONNECT_TIMEOUT);
        };
        let socket =
            socket2::Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&SocketAddr::new(own, 0).into())?;
        socket.connect_timeout(&(*address).into(), CONNECT_TIMEOUT)?;
        Ok(socket.into())
    }
}
