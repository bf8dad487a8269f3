//! What can go wrong, and whose fault it is.

use crate::codec::{ConnAck, DecodeError, Disconnect, EncodeError};
use crate::storage::Full;
use crate::types::{FilterError, ReasonCode, TopicError};

/// Why a client can't start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// CONNECT, with the room that must stay beside it, does not fit.
    #[error("CONNECT does not fit: enlarge the memory for outgoing packets")]
    Full,
    /// The options make no CONNECT.
    #[error(transparent)]
    Options(#[from] EncodeError),
    /// MQTT 3.1 wants a client identifier of 1 to 23 characters.
    #[error("MQTT 3.1 wants a client identifier of 1 to 23 characters")]
    ClientId,
    /// A user name that MQTT can't carry.
    #[error("the user name is too long, or has a U+0000 in it")]
    UserName,
    /// Without a client identifier there is no session to come back to [MQTT3-3.1.3-7].
    #[error("an empty client identifier needs a clean session in MQTT 3.1.1")]
    CleanSession,
    /// More properties than [`Options`](super::Options) has room for.
    #[error("more than {} properties", super::options::MAX_PROPERTIES)]
    Properties,
}

impl From<Full> for StartError {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

/// Why a request was not made. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no connection, and the request can't wait for one.
    #[error("not connected")]
    NotConnected,
    /// No room for the packet, or for another packet identifier.
    #[error("no room: wait for acknowledgements, or enlarge the memory for outgoing packets")]
    Full,
    /// The packet is larger than the server, or this client's memory, takes.
    #[error("the packet is larger than the {limit} bytes that can be sent")]
    TooLarge {
        /// The largest packet, in bytes.
        limit: usize,
    },
    /// The server said that it does not do this.
    #[error("the server does not support this: {0}")]
    Unsupported(Unsupported),
    /// Not a topic name.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// Not a topic filter.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The packet would be wrong, or the version of the connection can't say it.
    #[error(transparent)]
    Packet(#[from] EncodeError),
    /// A payload is being streamed, or none is, or it would be longer or shorter than was said.
    #[error("not at this point of a streamed payload")]
    Stream,
    /// The token means nothing (any more).
    #[error("unknown or stale token")]
    Token,
    /// The client was not started, or is on its way out.
    #[error("the client is not running")]
    NotRunning,
}

impl From<Full> for SendError {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

/// What a server can say in CONNACK that it does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// A QoS this high [MQTT5-3.2.2-11].
    #[error("this QoS (Maximum QoS)")]
    QoS,
    /// Retained messages [MQTT5-3.2.2-14].
    #[error("retained messages (Retain Available)")]
    Retain,
    /// Wildcards in filters.
    #[error("wildcards in topic filters (Wildcard Subscription Available)")]
    Wildcards,
    /// Shared subscriptions.
    #[error("shared subscriptions (Shared Subscription Available)")]
    Shared,
    /// Subscription identifiers.
    #[error("subscription identifiers (Subscription Identifier Available)")]
    SubscriptionIds,
}

/// Why a request was not completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The connection ended before the answer.
    #[error("the connection ended before the answer")]
    Disconnected,
    /// The server lost the session; whether the message arrived nobody knows (QoS 2 only).
    #[error("the server lost the session: nobody knows whether the message arrived")]
    Unknown,
    /// The server that is there now takes no packet this large.
    #[error("the packet is larger than the server takes")]
    TooLarge,
    /// The server that is there now does not do what the message needs.
    #[error("the server does not support this: {0}")]
    Unsupported(Unsupported),
    /// The queue was full, and its policy is to drop the oldest.
    #[error("dropped for a newer message: the queue was full")]
    Dropped,
    /// The session was given up.
    #[error("the session ended")]
    SessionEnded,
}

/// Why a connection is over. The session is kept, unless said otherwise.
///
/// The DISCONNECT that MQTT 5 wants is in the output already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lost<'a> {
    /// The server sent what is not a packet.
    #[error(transparent)]
    Packet(DecodeError),
    /// The server broke the protocol.
    #[error("the server {0}")]
    Peer(PeerError),
    /// The server did not accept the connection.
    #[error("the server refused the connection: {}", .0.reason)]
    Refused(ConnAck<'a>),
    /// The server ended the connection.
    #[error("the server ended the connection: {}", .0.reason)]
    Disconnected(Disconnect<'a>),
    /// The transport ended without a word.
    #[error("the transport closed")]
    Closed,
    /// No CONNACK in time.
    #[error("no answer to CONNECT in time")]
    ConnectTimeout,
    /// No PINGRESP in time.
    #[error("no answer to PINGREQ in time")]
    KeepAlive,
    /// The application ended the connection.
    #[error("disconnected as asked")]
    Done,
}

/// What a server did wrong, in one packet or over several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// A packet before CONNACK, or one that was never due.
    #[error("sent a packet that was not due [MQTT5-3.2.0-1]")]
    UnexpectedPacket,
    /// A second CONNACK [MQTT5-3.2.0-2].
    #[error("sent a second CONNACK [MQTT5-3.2.0-2]")]
    SecondConnAck,
    /// Session Present for a session that the client does not have [MQTT5-3.2.2-4].
    #[error("goes on with a session that is unknown here [MQTT5-3.2.2-4]")]
    SessionPresent,
    /// An acknowledgement for a packet identifier that owes none.
    #[error("acknowledged a packet identifier that was not due [MQTT5-2.2.1-5]")]
    PacketId,
    /// A SUBACK or UNSUBACK with more or fewer codes than filters were asked for.
    #[error("answered with the wrong number of codes [MQTT5-3.8.4-6]")]
    CodeCount,
    /// More messages at once than it was told to send [MQTT5-3.3.4-9].
    #[error("sent more than Receive Maximum messages [MQTT5-3.3.4-9]")]
    ReceiveMaximum,
    /// A topic alias above the maximum [MQTT5-3.3.2-11].
    #[error("sent a topic alias above the maximum [MQTT5-3.3.2-11]")]
    TopicAlias,
    /// A topic alias that stands for nothing yet.
    #[error("sent a topic alias that stands for nothing (MQTT5 3.3.4)")]
    UnknownAlias,
    /// A packet above the Maximum Packet Size that it was told.
    #[error("sent a packet larger than Maximum Packet Size [MQTT5-3.1.2-24]")]
    PacketTooLarge,
    /// Topics behind aliases that need more memory than there is.
    #[error("sent topics behind aliases that need more memory than there is")]
    AliasMemory,
    /// AUTH without having been asked to authenticate so [MQTT5-4.12.0-6].
    #[error("sent AUTH though no authentication method was agreed [MQTT5-4.12.0-6]")]
    Auth,
}

impl PeerError {
    /// The reason code of the DISCONNECT that answers it.
    #[must_use]
    pub const fn reason_code(self) -> ReasonCode {
        match self {
            Self::ReceiveMaximum => ReasonCode::ReceiveMaximumExceeded,
            Self::TopicAlias => ReasonCode::TopicAliasInvalid,
            Self::PacketTooLarge => ReasonCode::PacketTooLarge,
            Self::AliasMemory => ReasonCode::QuotaExceeded,
            _ => ReasonCode::ProtocolError,
        }
    }
}
