//! What both ends of a connection do alike; nothing here knows which role it plays.
//!
//! Each file is one duty: identifiers and what the peer owes for them ([`send`]), what we owe the
//! peer ([`receive`], [`gate`]), how much may be under way ([`quota`]), which topics have numbers
//! ([`alias`]), when something must happen ([`deadlines`], [`keep_alive`]), and the bytes that wait
//! to leave ([`outbox`], [`packets`]).

use crate::types::QoS;

pub(crate) mod alias;
pub(crate) mod deadlines;
pub(crate) mod gate;
pub(crate) mod hash;
pub(crate) mod keep_alive;
#[cfg_attr(not(feature = "session"), path = "small_outbox.rs")]
pub(crate) mod outbox;
pub(crate) mod packets;
pub(crate) mod quota;
pub(crate) mod random;
pub(crate) mod receive;
pub(crate) mod send;
pub(crate) mod timers;

/// Whether a client sends and receives messages at QoS 2.
pub(crate) const QOS2: bool = cfg!(feature = "qos2");

/// The highest QoS of a client.
pub(crate) const HIGHEST_QOS: QoS = if QOS2 { QoS::ExactlyOnce } else { QoS::AtLeastOnce };

/// Whether anything of a client outlives a connection: messages that wait, or are not acknowledged.
pub(crate) const SESSION: bool = cfg!(feature = "session");

/// What an outbox keeps, up to `start`, and the last `len` bytes before `end`.
#[cfg(any(feature = "session", feature = "auth"))]
fn kept_and_last(memory: &mut [u8], start: usize, len: usize, end: usize) -> (&[u8], &mut [u8]) {
    let (kept, rest) = memory.split_at_mut_checked(start).unwrap_or_default();
    let end = end.saturating_sub(start);
    (kept, rest.get_mut(end.saturating_sub(len)..end).unwrap_or_default())
}

#[cfg(all(test, feature = "std"))]
mod tests;
