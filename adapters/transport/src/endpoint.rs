//! Where a server is: an address in the form of a URL.

use std::fmt;
use std::str::FromStr;

use tamtam_core::client::Options;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// MQTT over TCP: port 1883.
    Mqtt,
    /// MQTT in TLS: port 8883.
    Mqtts,
    /// MQTT in WebSocket: port 80.
    Ws,
    /// MQTT in WebSocket in TLS: port 443.
    Wss,
    /// MQTT over a Unix socket, which [`Endpoint::path`] names.
    Unix,
}

impl Scheme {
    const ALL: [Self; 5] = [Self::Mqtt, Self::Mqtts, Self::Ws, Self::Wss, Self::Unix];

    /// As it stands in a URL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Unix => "unix",
        }
    }

    /// The port where a URL names none; 0 for Unix sockets.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Mqtt => 1883,
            Self::Mqtts => 8883,
            Self::Ws => 80,
            Self::Wss => 443,
            Self::Unix => 0,
        }
    }

    /// Whether there is TLS in it.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Mqtts | Self::Wss)
    }

    /// Whether there is WebSocket in it.
    #[must_use]
    pub const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is no `://` in it.
    #[error("`{0}` has no scheme: write it as mqtt://host, mqtts://, ws://, wss:// or unix://")]
    NoScheme(String),
    /// A scheme that is not known.
    #[error("`{0}://` is not known: use mqtt://, mqtts://, ws://, wss:// or unix://")]
    UnknownScheme(String),
    /// There is no host in it.
    #[error("the address names no host: write it as {0}://host")]
    NoHost(Scheme),
    /// A host with characters that no name and no address has.
    #[error("`{0}` is no host name and no address; an IPv6 address stands in brackets: [::1]")]
    Host(String),
    /// Not a port.
    #[error("`{0}` is no port: a port is a number from 1 to 65535")]
    Port(String),
    /// A path that has no meaning, or that can't be sent.
    #[error("the path `{0}` has no meaning here: only ws:// and wss:// addresses have one")]
    Path(String),
    /// A `%` without two hexadecimal digits, or ill-formed UTF-8 behind it.
    #[error("`{0}`: a percent sign is written %25, and what it stands for must be UTF-8")]
    Percent(String),
    /// A Unix socket without a path.
    #[error("the address names no socket: write it as unix:///run/broker.sock")]
    NoSocket,
}

/// Where a server is, and as whom to log in there.
///
/// `mqtt://`, `mqtts://`, `ws://`, `wss://` and `unix://`, then optionally `user:password@`, then
/// the host (IPv6 in brackets) and optionally `:port`; then a path, for WebSocket (`/mqtt` if there
/// is none) and for Unix sockets. In user and password, characters that mean something in a URL
/// are written as `%` and two hexadecimal digits.
///
/// ```
/// use tamtam_transport::{Endpoint, Scheme};
///
/// let endpoint: Endpoint = "wss://ada:p%40ss@[::1]:8443/chat".parse()?;
/// assert_eq!(endpoint.scheme(), Scheme::Wss);
/// assert_eq!((endpoint.host(), endpoint.port(), endpoint.path()), ("::1", 8443, "/chat"));
/// assert_eq!((endpoint.user(), endpoint.password()), (Some("ada"), Some("p@ss")));
/// # Ok::<(), tamtam_transport::EndpointError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
    user: Option<String>,
    password: Option<String>,
}

impl Endpoint {
    /// How to speak to it.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The name or the address, without brackets. Empty for a Unix socket.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, by default that of the scheme.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path of a WebSocket, with its query, or that of a Unix socket; else empty.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The user to log in as.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The user's password.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// These options with the user and the password of the address, if it has them.
    #[must_use]
    pub fn login<'a>(&'a self, mut options: Options<'a>) -> Options<'a> {
        if let Some(user) = self.user() {
            options = options.user_name(user);
        }
        if let Some(password) = self.password() {
            options = options.password(password.as_bytes());
        }
        options
    }

    /// Host and port as they stand in a URL: `host:port`, `[::1]:port`.
    #[must_use]
    pub fn authority(&self) -> String {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// Without the password, so that it gets into no log.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// As a URL, without user and password.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::Unix => write!(f, "unix://{}", self.path),
            scheme => write!(f, "{scheme}://{}{}", self.authority(), self.path),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (name, rest) =
            text.split_once("://").ok_or_else(|| EndpointError::NoScheme(text.to_owned()))?;
        let scheme =
            Scheme::ALL.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(name));
        let scheme = scheme.ok_or_else(|| EndpointError::UnknownScheme(name.to_owned()))?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let (user, password) = match login.map(|login| login.split_once(':').ok_or(login)) {
            None => (None, None),
            Some(Ok((user, password))) => (Some(decode(user)?), Some(decode(password)?)),
            Some(Err(user)) => (Some(decode(user)?), None),
        };
        let (host, port) = match scheme {
            Scheme::Unix => (String::new(), 0),
            _ => parse_place(scheme, place)?,
        };
        let path = parse_path(scheme, path)?;
        Ok(Self { scheme, host, port, path, user, password })
    }
}

fn parse_place(scheme: Scheme, place: &str) -> Result<(String, u16), EndpointError> {
    let wrong = || EndpointError::Host(place.to_owned());
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
        (host, port.strip_prefix(':').or(port.is_empty().then_some("")).ok_or_else(wrong)?)
    } else {
        let (host, port) = place.split_once(':').unwrap_or((place, ""));
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if !host.bytes().all(fits) || port.contains(':') {
            return Err(wrong());
        }
        (host, port)
    };
    if host.is_empty() {
        return Err(EndpointError::NoHost(scheme));
    }
    if port.is_empty() {
        return Ok((host.to_owned(), scheme.default_port()));
    }
    let number = port.parse().ok().filter(|number| *number != 0 && !port.starts_with('+'));
    let number = number.ok_or_else(|| EndpointError::Port(port.to_owned()))?;
    Ok((host.to_owned(), number))
}

fn parse_path(scheme: Scheme, path: &str) -> Result<String, EndpointError> {
    match scheme {
        Scheme::Unix if path.is_empty() || path == "/" => Err(EndpointError::NoSocket),
        Scheme::Unix => decode(path),
        Scheme::Ws | Scheme::Wss => match path {
            "" => Ok("/mqtt".to_owned()),
            _ if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') => {
                Err(EndpointError::Path(path.to_owned()))
            }
            _ if path.starts_with('?') => Ok(format!("/mqtt{path}")),
            _ => Ok(path.to_owned()),
        },
        _ if path.is_empty() || path == "/" => Ok(String::new()),
        _ => Err(EndpointError::Path(path.to_owned())),
    }
}

/// Puts characters in the place of `%` and two hexadecimal digits.
fn decode(text: &str) -> Result<String, EndpointError> {
    let wrong = || EndpointError::Percent(text.to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = digit().zip(digit()).ok_or_else(wrong)?;
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        text.parse()
    }

    #[test]
    fn each_scheme_has_its_port() {
        for (text, port) in
            [("mqtt://a", 1883), ("MQTTS://a/", 8883), ("ws://a", 80), ("wss://a", 443)]
        {
            assert_eq!(parse(text).unwrap().port(), port, "{text}");
        }
        assert_eq!(parse("mqtt://10.0.0.1:1884").unwrap().authority(), "10.0.0.1:1884");
        assert_eq!(parse("mqtt://[::1]").unwrap().authority(), "[::1]:1883");
    }

    #[test]
    fn paths_are_for_websockets_and_unix_sockets() {
        assert_eq!(parse("ws://a").unwrap().path(), "/mqtt");
        assert_eq!(parse("ws://a/").unwrap().path(), "/");
        assert_eq!(parse("ws://a?token=1").unwrap().path(), "/mqtt?token=1");
        assert_eq!(parse("unix:///run/a%20b.sock").unwrap().path(), "/run/a b.sock");
        assert_eq!(parse("unix://ada@/run/a").unwrap().user(), Some("ada"));
        assert_eq!(parse("mqtt://a/b"), Err(EndpointError::Path("/b".into())));
        assert_eq!(parse("ws://a/b c"), Err(EndpointError::Path("/b c".into())));
        assert_eq!(parse("unix://"), Err(EndpointError::NoSocket));
    }

    #[test]
    fn user_and_password_are_decoded_and_not_shown() {
        let endpoint = parse("mqtt://a%3Ab:c:d@e@host").unwrap();
        assert_eq!(endpoint.user(), Some("a:b"));
        assert_eq!(endpoint.password(), Some("c:d@e"));
        assert_eq!(format!("{endpoint:?}"), "Endpoint(mqtt://host:1883)");
        assert_eq!(parse("mqtt://a%4@h"), Err(EndpointError::Percent("a%4".into())));
        assert_eq!(parse("mqtt://a%FF@h"), Err(EndpointError::Percent("a%FF".into())));
        assert_eq!(parse("mqtt://a@h").unwrap().password(), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(parse("host:1883"), Err(EndpointError::NoScheme("host:1883".into())));
        assert_eq!(parse("http://a"), Err(EndpointError::UnknownScheme("http".into())));
        assert_eq!(parse("mqtt://"), Err(EndpointError::NoHost(Scheme::Mqtt)));
        assert_eq!(parse("mqtt://::1"), Err(EndpointError::Host("::1".into())));
        assert_eq!(parse("mqtt://[::1"), Err(EndpointError::Host("[::1".into())));
        assert_eq!(parse("mqtt://[::1]x"), Err(EndpointError::Host("[::1]x".into())));
        assert_eq!(parse("mqtt://a b"), Err(EndpointError::Host("a b".into())));
        for port in ["0", "65536", "+1", "x"] {
            let text = format!("mqtt://a:{port}");
            assert_eq!(parse(&text), Err(EndpointError::Port(port.into())));
        }
    }
}
