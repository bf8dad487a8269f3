//! Bytes to packets and back: pure, borrowing, stateless.
//!
//! One struct per packet serves all three versions; the version is an argument. What is decoded is
//! checked to the last bit and borrows from its input. This layer knows nothing of what came
//! before: a packet that is legal by itself passes, and the machines above decide whether it was
//! due.

/// Whether code is to be short rather than fast: where there is no heap, flash is dear.
///
/// The short ways that ordinary packets have are left out then; all packets take the general way.
pub(crate) const BRIEF: bool = cfg!(not(feature = "alloc"));

mod ack;
#[cfg(feature = "auth")]
mod auth;
mod connack;
mod connect;
mod cursor;
mod disconnect;
#[cfg(not(feature = "alloc"))]
mod erased;
mod error;
mod header;
mod items;
mod outcome;
mod packet;
mod peek;
mod place;
#[cfg_attr(not(feature = "v5"), path = "no_properties.rs")]
mod properties;
#[cfg(feature = "v5")]
mod property;
mod publish;
mod sink;
#[cfg(feature = "stream")]
mod stream;
mod suback;
mod subscribe;

#[cfg(test)]
mod tests;

pub use ack::Ack;
pub(crate) use ack::AckKind;
#[cfg(feature = "auth")]
pub use auth::Auth;
pub use connack::ConnAck;
pub use connect::{Connect, Will};
pub use disconnect::Disconnect;
pub use error::{DecodeError, EncodeError, Fault, Field, Sin};
pub(crate) use header::FixedHeader;
pub use header::{MAX_REMAINING_LENGTH, PacketType, Sender, frame_len};
pub use items::{Item, Items, ItemsIter};
pub use packet::Packet;
pub(crate) use packet::Ping;
#[cfg(all(feature = "session", feature = "v5"))]
pub(crate) use peek::empty_client_id;
pub(crate) use peek::frame_len_of;
#[cfg(feature = "session")]
pub(crate) use peek::{connect_flags, publish_packet_id};
#[cfg(feature = "v5")]
pub use place::Place;
#[cfg(not(feature = "v5"))]
pub(crate) use place::Place;
#[cfg(feature = "v5")]
pub use properties::Properties;
#[cfg(not(feature = "v5"))]
pub(crate) use properties::Properties;
#[cfg(feature = "v5")]
pub use property::{Property, PropertyId, SubscriptionId};
pub use publish::{Delivery, Publish};
#[cfg(all(feature = "session", feature = "v5"))]
pub(crate) use sink::Slice;
pub(crate) use sink::{AnyBody, Body, Measured, Refusal, Sink, erase, measure, var_int_len};
#[cfg(feature = "stream")]
pub use stream::{Piece, Pieces};
pub use suback::{SubAck, UnsubAck};
pub use subscribe::{RetainHandling, Subscribe, Subscription, Unsubscribe};
