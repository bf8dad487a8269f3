//! Listeners, as the configuration wants them.

use std::io;
use std::path::Path;

use tamtam_blocking::broker::{Listener, Origin};
use tamtam_core::broker::LimitsId;
use tamtam_transport::{ClientCertificates, ServerLayers, TlsServer};

use super::Error;
use crate::config::{self, Config, Place};
use crate::proxy;
use crate::systemd::Inherited;

/// Opens every listener; each with the URL that it can be reached by. The first ones are open
/// already: `inherited`.
pub(super) fn open(
    config: &Config,
    inherited: Vec<Inherited>,
) -> Result<Vec<(Listener, String)>, Error> {
    let mut inherited = inherited.into_iter();
    let mut open = Vec::new();
    for (number, wanted) in config.listeners.iter().enumerate() {
        let listener = match inherited.next() {
            Some(Inherited::Tcp(socket)) => Listener::from_tcp(socket)?,
            #[cfg(unix)]
            Some(Inherited::Unix(socket)) => Listener::from_unix(socket)?,
            None => bind(wanted)?,
        };
        let url = url(wanted, &listener);
        let mut listener = listener
            .name(url.clone())
            .layers(layers(wanted)?)
            .limits(limits_id(number))
            .no_delay(wanted.no_delay)
            .admission(config.admission_of(wanted));
        if wanted.proxy_protocol {
            listener = listener.preamble(origin);
        }
        open.push((listener, url));
    }
    Ok(open)
}

/// The number of a listener's limits, from its place among the listeners.
pub(super) fn limits_id(number: usize) -> LimitsId {
    LimitsId(u32::try_from(number).unwrap_or(u32::MAX))
}

/// What lies between the sockets of a listener and MQTT. Reads the files of its certificates.
///
/// # Errors
/// A file can't be read, or is not what it should be.
pub(super) fn layers(wanted: &config::Listener) -> Result<ServerLayers, Error> {
    let mut layers = ServerLayers::new();
    if let (Some(certificate), Some(key)) = (&wanted.certificate, &wanted.key) {
        let tls = match &wanted.client_ca {
            None => TlsServer::files(certificate, key),
            Some(roots) => {
                let clients = match wanted.require_certificate {
                    true => ClientCertificates::Required,
                    false => ClientCertificates::Optional,
                };
                TlsServer::files_with_clients(certificate, key, roots, clients)
            }
        };
        let wrong = |error| Error::Open(format!("{}: {error}", wanted.listen));
        layers = layers.tls(tls.map_err(wrong)?);
    }
    if wanted.listen.scheme.has_websocket() {
        layers = match &wanted.listen.path {
            Some(path) => layers.websocket_at(path),
            None => layers.websocket(),
        };
    }
    Ok(layers)
}

/// What a proxy in front says of the client.
fn origin(input: &[u8]) -> io::Result<Option<Origin>> {
    let header = proxy::read(input).map_err(io::Error::other)?;
    Ok(header.map(|header| Origin { len: header.len, address: header.source }))
}

fn bind(wanted: &config::Listener) -> Result<Listener, Error> {
    let listener = match &wanted.listen.place {
        Place::Tcp { host, port } => Listener::tcp((host.as_str(), *port)),
        Place::Unix(path) => unix(path),
    };
    listener.map_err(|error| Error::Open(format!("{}: {}", wanted.listen, advice(&error))))
}

/// The URL of a listener, with the port that the system chose.
fn url(wanted: &config::Listener, listener: &Listener) -> String {
    let mut listen = wanted.listen.clone();
    if let (Place::Tcp { port, .. }, Some(address)) = (&mut listen.place, listener.local_addr()) {
        *port = address.port();
    }
    listen.to_string()
}

#[cfg(unix)]
fn unix(path: &Path) -> io::Result<Listener> {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;
    // The file of a broker that is gone is in the way; that of one that runs is not touched.
    if path.exists() && UnixStream::connect(path).is_err() {
        let _ = std::fs::remove_file(path);
    }
    let listener = Listener::unix(path)?;
    if let Some(mode) = crate::privacy::mode_for_others() {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(listener)
}

#[cfg(not(unix))]
fn unix(_: &Path) -> io::Result<Listener> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no unix sockets"))
}

/// What went wrong, and what to do about it.
fn advice(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "somebody listens there already: is another broker running? Stop it, or choose \
             another port with --listen"
                .to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        io::ErrorKind::PermissionDenied => format!(
            "not permitted ({error}): ports below 1024 are for the superuser; choose another one"
        ),
        _ => error.to_string(),
    }
}
