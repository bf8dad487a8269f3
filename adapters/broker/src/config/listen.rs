//! Where a listener listens, as a URL.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What is spoken on a listener's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// MQTT itself.
    #[default]
    Mqtt,
    /// MQTT within TLS.
    Mqtts,
    /// MQTT within WebSocket.
    Ws,
    /// MQTT within WebSocket within TLS.
    Wss,
}

impl Scheme {
    const ALL: [(&'static str, Self, u16); 4] = [
        ("mqtt", Self::Mqtt, 1883),
        ("mqtts", Self::Mqtts, 8883),
        ("ws", Self::Ws, 8080),
        ("wss", Self::Wss, 8443),
    ];

    /// Whether it is encrypted.
    #[must_use]
    pub const fn has_tls(self) -> bool {
        matches!(self, Self::Mqtts | Self::Wss)
    }

    /// Whether WebSocket lies between.
    #[must_use]
    pub const fn has_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|row| row.1 == self).map_or("", |row| row.0)
    }

    fn port(self) -> u16 {
        Self::ALL.iter().find(|row| row.1 == self).map_or(0, |row| row.2)
    }
}

/// Where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At a port, of the addresses that a name or an address stands for.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port; 0 lets the system choose one.
        port: u16,
    },
    /// At a socket in the file system.
    Unix(PathBuf),
}

/// Where and what a listener listens to: `mqtt://127.0.0.1:1883`, `unix:/run/tamtam.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken.
    pub scheme: Scheme,
    /// Where.
    pub place: Place,
    /// The only path at which there is a WebSocket; any path, if there is none.
    pub path: Option<String>,
}

impl Default for Listen {
    fn default() -> Self {
        let place = Place::Tcp { host: "127.0.0.1".to_owned(), port: 1883 };
        Self { scheme: Scheme::Mqtt, place, path: None }
    }
}

impl Listen {
    /// Reads a URL, or an address with a port, or a port alone, which is one of loopback.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str, base: &Path) -> Result<Self, String> {
        if let Some(file) = text.strip_prefix("unix:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            if file.is_empty() {
                return Err("`unix:` needs a path behind it".to_owned());
            }
            let place = Place::Unix(base.join(file));
            return Ok(Self { scheme: Scheme::Mqtt, place, path: None });
        }
        let (name, rest) = text.split_once("://").unwrap_or(("mqtt", text));
        let names = || Scheme::ALL.iter().map(|row| row.0).chain(["unix"]);
        let Some((_, scheme, _)) = Scheme::ALL.into_iter().find(|row| row.0 == name) else {
            let near = super::nearest::hint(name, names());
            let names = names().collect::<Vec<_>>().join(", ");
            return Err(format!("`{name}` is not one of {names}{near}"));
        };
        let (authority, behind) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !matches!(behind, "" | "/") && !scheme.has_websocket() {
            return Err(format!("only ws:// and wss:// have a path, so what is `{behind}`?"));
        }
        let path = (!behind.is_empty() && scheme.has_websocket()).then(|| behind.to_owned());
        let (host, port) = host_and_port(authority, scheme)?;
        Ok(Self { scheme, place: Place::Tcp { host, port }, path })
    }

    /// Whether only this machine can connect.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match &self.place {
            Place::Unix(_) => true,
            Place::Tcp { host, .. } => match host.parse::<IpAddr>() {
                Ok(address) => address.is_loopback(),
                Err(_) => host == "localhost",
            },
        }
    }
}

fn host_and_port(authority: &str, scheme: Scheme) -> Result<(String, u16), String> {
    if let Ok(port) = authority.parse::<u16>() {
        return Ok(("127.0.0.1".to_owned(), port));
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port),
        None => authority.split_at(authority.rfind(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => {
            port.parse().map_err(|_| format!("`{port}` is not a port: a number from 0 to 65535"))?
        }
        None if port.is_empty() => scheme.port(),
        None => return Err(format!("`{authority}` is not an address with a port")),
    };
    match host {
        "" => Err(format!(
            "`{authority}` names no address: 127.0.0.1 is this machine alone, 0.0.0.0 everybody"
        )),
        "*" => Ok(("0.0.0.0".to_owned(), port)),
        host if host.contains(':') && host.parse::<IpAddr>().is_err() => {
            Err(format!("`{host}` is not an address; IPv6 addresses stand in brackets: [::1]:1883"))
        }
        host => Ok((host.to_owned(), port)),
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
            Place::Tcp { host, port } => {
                let scheme = self.scheme.name();
                match host.contains(':') {
                    true => write!(f, "{scheme}://[{host}]:{port}")?,
                    false => write!(f, "{scheme}://{host}:{port}")?,
                }
                self.path.as_deref().map_or(Ok(()), |path| f.write_str(path))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_what_people_type_instead() {
        for (text, shown, loopback) in [
            ("127.0.0.1:18830", "mqtt://127.0.0.1:18830", true),
            ("1883", "mqtt://127.0.0.1:1883", true),
            ("0.0.0.0", "mqtt://0.0.0.0:1883", false),
            ("*:99", "mqtt://0.0.0.0:99", false),
            ("mqtts://example.org", "mqtts://example.org:8883", false),
            ("[::1]:1883", "mqtt://[::1]:1883", true),
            ("ws://localhost:9001", "ws://localhost:9001", true),
            ("wss://[::]/broker", "wss://[::]:8443/broker", false),
            ("unix:mqtt.sock", "unix:/run/mqtt.sock", true),
            ("unix:///tmp/mqtt.sock", "unix:/tmp/mqtt.sock", true),
        ] {
            let listen = Listen::parse(text, Path::new("/run")).expect(text);
            assert_eq!((listen.to_string().as_str(), listen.is_loopback()), (shown, loopback));
        }
        for (text, error) in [
            ("mqqts://a", "did you mean `mqtts`?"),
            ("mqtt://a:b", "`b` is not a port"),
            ("mqtt://a:1/b", "only ws:// and wss:// have a path"),
            (":1883", "names no address"),
            ("::1:1883x", "is not a port"),
            ("unix:", "needs a path"),
        ] {
            let found = Listen::parse(text, Path::new("/run")).expect_err(text);
            assert!(found.contains(error), "{text}: {found}");
        }
    }
}
