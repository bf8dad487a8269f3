//! What systemd wants to know, and the sockets that it hands over.

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

/// A line for [`notify`] that says how long it is since the machine started, in microseconds, which
/// systemd wants with `RELOADING=1`.
#[must_use]
pub fn monotonic() -> String {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds: f64 = uptime.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    format!("MONOTONIC_USEC={:.0}", seconds * 1e6)
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
