//! What a client tells its application.

#[cfg(feature = "v5")]
use crate::codec::Properties;
use crate::codec::{ConnAck, Items};
use crate::types::{QoS, ReasonCode, TopicName};

use super::error::Failure;

/// What a request is known by until it is completed.
///
/// Never reused within four billion requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub(crate) u32);

impl Token {
    /// As a number, to keep somewhere.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// What a received message is acknowledged by, in manual mode.
///
/// At QoS 1 it means nothing any more once the connection is gone; at QoS 2 it lives with the
/// session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AckToken {
    pub(crate) ticket: u32,
    pub(crate) id: Option<crate::PacketId>,
    pub(crate) qos: QoS,
}

impl AckToken {
    /// Of a message that owes nothing.
    pub const NOTHING: Self = Self { ticket: 0, id: None, qos: QoS::AtMostOnce };

    /// The packet identifier that the server gave the message, for logs; `None` at QoS 0. It says
    /// nothing about other messages, and is given again once this one is settled.
    #[must_use]
    pub const fn packet_id(self) -> Option<crate::PacketId> {
        self.id
    }
}

/// The topic of a received message.
///
/// A message that came with a topic alias has no topic in its bytes to borrow;
/// [`Client::topic`](super::Client::topic) reads either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Topic<'a> {
    /// The topic itself.
    Text(TopicName<'a>),
    /// The alias that stands for it, until the connection ends.
    #[cfg(feature = "v5")]
    Alias(u16),
}

/// A message that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<'a> {
    /// Its topic: see [`Client::topic`](super::Client::topic).
    pub topic: Topic<'a>,
    /// What it says. Of a message that is streamed: nothing, see [`Event::MessageChunk`].
    pub payload: &'a [u8],
    /// At which QoS it came.
    pub qos: QoS,
    /// Whether it was retained.
    pub retain: bool,
    /// Whether it may have come before (QoS 1).
    pub dup: bool,
    /// MQTT 5 properties.
    #[cfg(feature = "v5")]
    pub properties: Properties<'a>,
    /// How to acknowledge it, in manual mode.
    pub ack: AckToken,
}

/// What happened. Borrows from the input, not from the client: one may publish while holding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The server accepted the connection.
    Connected {
        /// Whether the server goes on with the session that the client has.
        session_present: bool,
        /// All that the server said.
        connack: ConnAck<'a>,
    },
    /// A message arrived.
    Message(Message<'a>),
    /// A message larger than [`Options::stream_above`](super::Options::stream_above) begins.
    #[cfg(feature = "stream")]
    MessageStart {
        /// The message without its payload. Its `ack` is good for nothing yet.
        message: Message<'a>,
        /// How long the payload is, in bytes.
        payload_len: u32,
    },
    /// The next bytes of its payload.
    #[cfg(feature = "stream")]
    MessageChunk(&'a [u8]),
    /// Its payload is complete; from here on it can be acknowledged.
    #[cfg(feature = "stream")]
    MessageEnd {
        /// How to acknowledge it, in manual mode.
        ack: AckToken,
    },
    /// The connection was lost within it; at QoS 1 and 2 it starts anew later.
    #[cfg(feature = "stream")]
    MessageAborted,
    /// A published message is settled: acknowledged (QoS 1), complete (QoS 2), or refused.
    Delivered {
        /// Which one.
        token: Token,
        /// What the server said. An error means that it did not take the message.
        reason: ReasonCode,
    },
    /// The server answered a SUBSCRIBE.
    Subscribed {
        /// Which one; `None` where the client subscribed anew by itself.
        token: Option<Token>,
        /// An answer for each filter, in order.
        codes: Items<'a, ReasonCode>,
    },
    /// The server answered an UNSUBSCRIBE.
    Unsubscribed {
        /// Which one.
        token: Token,
        /// An answer for each filter, in order. Empty before MQTT 5, where it is always success.
        codes: Items<'a, ReasonCode>,
    },
    /// A request will not be completed.
    Failed {
        /// Which one.
        token: Token,
        /// Why.
        why: Failure,
    },
    /// A streamed message must be sent again: call
    /// [`Client::resend_stream`](super::Client::resend_stream).
    #[cfg(feature = "stream")]
    Resend {
        /// Which one.
        token: Token,
    },
    /// The server wants, or accepts, enhanced authentication.
    ///
    /// [`ReasonCode::ContinueAuthentication`] asks for [`Client::authenticate`];
    /// [`ReasonCode::Success`] ends a re-authentication.
    ///
    /// [`Client::authenticate`]: super::Client::authenticate
    #[cfg(feature = "auth")]
    Auth {
        /// Continue, or success.
        reason: ReasonCode,
        /// Method and data.
        properties: Properties<'a>,
    },
}
