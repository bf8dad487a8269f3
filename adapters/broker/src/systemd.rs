//! What systemd wants to know, and the sockets that it hands over.

use crate::config::Place;

/// Tells systemd of a state, such as `READY=1`; nothing happens where nobody asked for it.
///
/// # Errors
/// There is somebody, but he can't be told.
#[cfg(target_os = "linux")]
pub fn notify(state: &str) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(&path)?,
    };
    let sent = UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address);
    sent.map(|_| ())
}

/// There is no systemd here.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn notify(_: &str) -> std::io::Result<()> {
    Ok(())
}

/// A line for [`notify`] that says when it was written, which systemd wants with `RELOADING=1`: by
/// the clock that it compares it with, to the microsecond.
#[cfg(target_os = "linux")]
#[must_use]
pub fn monotonic() -> String {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    format!("MONOTONIC_USEC={}{:06}", now.tv_sec, now.tv_nsec / 1_000)
}

/// There is no systemd here.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub const fn monotonic() -> String {
    String::new()
}

/// A socket that systemd opened for the broker.
#[derive(Debug)]
pub enum Inherited {
    /// One of TCP.
    Tcp(std::net::TcpListener),
    /// One in the file system.
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

impl Inherited {
    /// Where it listens; without a path, if it is a unix socket without one.
    ///
    /// # Errors
    /// What the system says.
    pub fn place(&self) -> std::io::Result<Place> {
        match self {
            Self::Tcp(socket) => {
                let address = socket.local_addr()?;
                Ok(Place::Tcp { host: address.ip().to_string(), port: address.port() })
            }
            #[cfg(unix)]
            Self::Unix(socket) => {
                let address = socket.local_addr()?;
                Ok(Place::Unix(address.as_pathname().unwrap_or("".as_ref()).to_owned()))
            }
        }
    }
}

/// The sockets that systemd opened for the broker (socket activation), in the order of its unit.
///
/// # Errors
/// One is of a kind that MQTT can't be spoken on.
#[cfg(unix)]
pub fn inherited() -> Result<Vec<Inherited>, String> {
    let mut given = listenfd::ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..given.len() {
        let socket = match given.take_tcp_listener(index) {
            Ok(Some(socket)) => Some(Inherited::Tcp(socket)),
            Ok(None) => None,
            Err(_) => match given.take_unix_listener(index) {
                Ok(socket) => socket.map(Inherited::Unix),
                Err(error) => return Err(format!("socket {index} of systemd: {error}")),
            },
        };
        sockets.extend(socket);
    }
    Ok(sockets)
}

/// There is no systemd here.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn inherited() -> Result<Vec<Inherited>, String> {
    Ok(Vec::new())
}
