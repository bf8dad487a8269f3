//! What a client tells its application, owned, so that a test can look at it later.

use std::fmt;

use tamtam_core::ReasonCode;
use tamtam_core::client::{AckToken, Failure, Lost, PeerError, Token};

/// A message that an application was handed, complete.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// Its topic, with an alias resolved.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether it was retained.
    pub retain: bool,
    /// Whether it may have come before.
    pub dup: bool,
    /// By which it is acknowledged.
    pub ack: AckToken,
    /// Whether it came in pieces.
    pub streamed: bool,
    /// The request of this client that it answers.
    pub answers: Option<Token>,
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (topic, payload) = (&self.topic, String::from_utf8_lossy(&self.payload));
        write!(f, "{topic} QoS {} {payload:.40} ({} bytes) ", self.qos, self.payload.len())?;
        let Self { retain, dup, streamed, ack, .. } = self;
        write!(f, "retain {retain} dup {dup} streamed {streamed} {ack:?}")
    }
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The server sent what is no packet, which is answered with this code.
    Malformed(ReasonCode),
    /// The server broke the protocol.
    Peer(PeerError),
    /// The server refused the connection.
    Refused(ReasonCode),
    /// The server ended the connection.
    Disconnected(ReasonCode),
    /// The transport closed.
    Closed,
    /// No CONNACK in time.
    ConnectTimeout,
    /// No PINGRESP in time.
    KeepAlive,
    /// As asked.
    Done,
}

impl From<Lost<'_>> for Loss {
    fn from(lost: Lost<'_>) -> Self {
        match lost {
            Lost::Packet(error) => Self::Malformed(error.reason_code()),
            Lost::Peer(error) => Self::Peer(error),
            Lost::Refused(connack) => Self::Refused(connack.reason),
            Lost::Disconnected(disconnect) => Self::Disconnected(disconnect.reason),
            Lost::Closed => Self::Closed,
            Lost::ConnectTimeout => Self::ConnectTimeout,
            Lost::KeepAlive => Self::KeepAlive,
            Lost::Done => Self::Done,
            other => panic!("a new kind of loss: {other}"),
        }
    }
}

/// What happened to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The server accepted the connection.
    Connected {
        /// Whether it has the session.
        session_present: bool,
    },
    /// A message arrived, whole or in pieces.
    Message(Received),
    /// A piece of a message arrived.
    Piece,
    /// The connection was lost within a message.
    Aborted,
    /// A message of this client's is settled.
    Delivered(Token, ReasonCode),
    /// Subscribed, with these answers; by the client itself if there is no token.
    Subscribed(Option<Token>, Vec<ReasonCode>),
    /// Unsubscribed.
    Unsubscribed(Token),
    /// A request will not be completed.
    Failed(Token, Failure),
    /// A streamed message is to be sent again.
    Resend(Token),
    /// Enhanced authentication.
    Auth(ReasonCode),
    /// The connection is over.
    Lost(Loss),
}
