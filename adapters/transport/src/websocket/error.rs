//! What can go wrong in WebSocket, and what to do about it.

/// Why WebSocket failed, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketError {
    /// The peer does not speak HTTP, or not in a way that is understood.
    #[error("the peer does not answer as HTTP does ({0}): check port and scheme")]
    Http(String),
    /// The server did not open a WebSocket.
    #[error("the server answers {status} instead of opening a WebSocket: {}", advice_on(*.status))]
    Refused {
        /// The status of its response.
        status: u16,
    },
    /// The head of a request or response was too long.
    #[error(
        "the head of the HTTP message is longer than {} bytes",
        super::handshake::HEAD_BYTES_MAX
    )]
    HeadTooLong,
    /// The handshake of WebSocket was not right.
    #[error("the WebSocket handshake went wrong: {0}")]
    Handshake(&'static str),
    /// `mqtt` was not offered, or not chosen, as sub-protocol [MQTT5-6.0.0-3, MQTT5-6.0.0-4].
    #[error("the peer does not name the sub-protocol `mqtt`: is it MQTT that is spoken there?")]
    SubProtocol,
    /// A client asked for a path at which there is nothing.
    #[error("the client asks for the path {0}, where there is nothing")]
    Path(String),
    /// A header that can't be sent.
    #[error("`{0}` can't be sent as a header: it has characters that HTTP forbids")]
    Header(String),
    /// A frame that breaks RFC 6455.
    #[error("the peer broke the WebSocket protocol: {0}")]
    Frame(&'static str),
    /// Something other than a binary frame [MQTT5-6.0.0-1, MQTT3-6.0.0-1].
    #[error("the peer sent text: MQTT goes in binary frames [MQTT5-6.0.0-1]")]
    NotBinary,
}

impl WebSocketError {
    /// The code of the close frame that answers it (RFC 6455, 7.4.1).
    pub(super) const fn close_code(&self) -> u16 {
        match self {
            Self::NotBinary => 1003,
            _ => 1002,
        }
    }
}

const fn advice_on(status: u16) -> &'static str {
    match status {
        300..400 => "it moved; use the address that it moved to",
        400 | 405 | 426 => "it may not speak WebSocket on this path",
        401 | 403 | 407 => "it wants a login by HTTP header",
        404 => "check the path of the address; brokers often use /mqtt",
        429 | 503 => "it is busy; try again later",
        500.. => "the server or a proxy before it is broken",
        _ => "check port and path",
    }
}
