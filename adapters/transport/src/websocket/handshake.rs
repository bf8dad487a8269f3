//! How a WebSocket is opened: a request and a response in HTTP.

use std::sync::Arc;

use tungstenite::Error as Tungstenite;
use tungstenite::handshake::client::{Response, generate_key};
use tungstenite::handshake::derive_accept_key;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::{HeaderMap, HeaderValue};

use super::WebSocketError;
use crate::Endpoint;

/// How long the head of a request or response may be, in bytes.
pub(super) const HEAD_BYTES_MAX: usize = 8 << 10;

/// What a server chooses, if it is offered: the second is what clients of MQTT 3.1 say.
const SUB_PROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// Where a server opens WebSockets.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    /// The only path; any, if there is none.
    pub(crate) path: Option<Arc<str>>,
}

/// A handshake under way.
#[derive(Debug)]
pub(super) struct Handshake {
    /// What has come of the peer's head.
    head: Vec<u8>,
    side: Side,
}

#[derive(Debug)]
enum Side {
    /// Waits for a response with this accept key.
    Client { accept_key: String },
    /// Waits for a request.
    Server(Door),
}

impl Handshake {
    pub(super) fn client(
        endpoint: &Endpoint,
        headers: &[(String, String)],
        output: &mut Vec<u8>,
    ) -> Result<Self, WebSocketError> {
        let key = generate_key();
        let authority = endpoint.authority();
        let usual = format!(":{}", endpoint.scheme().default_port());
        let host = authority.strip_suffix(&usual).unwrap_or(&authority);
        // [MQTT5-6.0.0-3, MQTT3-6.0.0-3]
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Protocol: mqtt\r\n",
            endpoint.path(),
        );
        for (name, value) in headers {
            let sent = |byte: u8| byte.is_ascii_graphic() && byte != b':';
            let name_fits = !name.is_empty() && name.bytes().all(sent);
            if !name_fits || HeaderValue::from_str(value).is_err() {
                return Err(WebSocketError::Header(name.clone()));
            }
            request += &format!("{name}: {value}\r\n");
        }
        output.extend_from_slice(request.as_bytes());
        output.extend_from_slice(b"\r\n");
        let accept_key = derive_accept_key(key.as_bytes());
        Ok(Self { head: Vec::new(), side: Side::Client { accept_key } })
    }

    pub(super) const fn server(door: Door) -> Self {
        Self { head: Vec::new(), side: Side::Server(door) }
    }

    /// Takes what belongs to the head; returns whether the WebSocket is open.
    pub(super) fn read(
        &mut self,
        wire: &mut &[u8],
        output: &mut Vec<u8>,
    ) -> Result<bool, WebSocketError> {
        let before = self.head.len();
        let room = HEAD_BYTES_MAX.saturating_sub(before).min(wire.len());
        let (new, rest) = wire.split_at_checked(room).unwrap_or_default();
        self.head.extend_from_slice(new);
        let start = before.saturating_sub(3);
        let searched = self.head.get(start..).unwrap_or_default();
        let Some(end) = searched.windows(4).position(|four| four == b"\r\n\r\n") else {
            if rest.is_empty() && self.head.len() < HEAD_BYTES_MAX {
                *wire = rest;
                return Ok(false);
            }
            return Err(self.refuse(WebSocketError::HeadTooLong, output));
        };
        let end = start + end + 4;
        // What follows the head is the first frames.
        *wire = wire.get(end - before..).unwrap_or_default();
        self.head.truncate(end);
        let done = match &self.side {
            Side::Client { accept_key } => check_response(&self.head, accept_key),
            Side::Server(door) => answer(&self.head, door, output),
        };
        match done {
            Ok(()) => Ok(true),
            Err(error) => Err(self.refuse(error, output)),
        }
    }

    /// A server says what is wrong, in HTTP; a client just goes.
    fn refuse(&self, error: WebSocketError, output: &mut Vec<u8>) -> WebSocketError {
        if matches!(self.side, Side::Server(_)) {
            let status = match error {
                WebSocketError::Path(_) => "404 Not Found",
                WebSocketError::HeadTooLong => "431 Request Header Fields Too Large",
                _ => "400 Bad Request",
            };
            let body = format!("{error}\n");
            let response = format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len(),
            );
            output.extend_from_slice(response.as_bytes());
        }
        error
    }
}

fn names<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
}

/// RFC 6455, 4.2.
fn answer(head: &[u8], door: &Door, output: &mut Vec<u8>) -> Result<(), WebSocketError> {
    let Some((_, request)) = Request::try_parse(head).map_err(|error| http(&error))? else {
        return Err(WebSocketError::Handshake("the request ends too early"));
    };
    let path = request.uri().path();
    if door.path.as_deref().is_some_and(|only| only != path) {
        return Err(WebSocketError::Path(path.to_owned()));
    }
    let mut response = create_response(&request).map_err(|error| http(&error))?;
    let offered = |wanted: &&str| {
        names(request.headers(), "Sec-WebSocket-Protocol").any(|name| name == *wanted)
    };
    // [MQTT5-6.0.0-3, MQTT3-6.0.0-3]
    let Some(chosen) = SUB_PROTOCOLS.into_iter().find(offered) else {
        return Err(WebSocketError::SubProtocol);
    };
    // [MQTT5-6.0.0-4, MQTT3-6.0.0-4]
    response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(chosen));
    write_response(output, &response).map_err(|error| http(&error))
}

/// RFC 6455, 4.1.
fn check_response(head: &[u8], accept_key: &str) -> Result<(), WebSocketError> {
    let Some((_, response)) = Response::try_parse(head).map_err(|error| http(&error))? else {
        return Err(WebSocketError::Handshake("the response ends too early"));
    };
    if response.status().as_u16() != 101 {
        return Err(WebSocketError::Refused { status: response.status().as_u16() });
    }
    let headers = response.headers();
    let has = |name: &str, value: &str| names(headers, name).any(|v| v.eq_ignore_ascii_case(value));
    if !has("Upgrade", "websocket") || !has("Connection", "Upgrade") {
        return Err(WebSocketError::Handshake("the response does not say that it upgrades"));
    }
    if headers.get("Sec-WebSocket-Accept").is_none_or(|value| value != accept_key) {
        return Err(WebSocketError::Handshake("the response is not to this request"));
    }
    if headers.contains_key("Sec-WebSocket-Extensions") {
        return Err(WebSocketError::Handshake("the response wants extensions that nobody offered"));
    }
    if names(headers, "Sec-WebSocket-Protocol").ne(["mqtt"]) {
        return Err(WebSocketError::SubProtocol); // [MQTT5-6.0.0-4, MQTT3-6.0.0-4]
    }
    Ok(())
}

fn http(error: &Tungstenite) -> WebSocketError {
    WebSocketError::Http(error.to_string())
}
