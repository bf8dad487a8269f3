//! What a broker asks and tells its host.

use super::counters::DropReason;
use super::link::LinkId;
use super::verdict::AskId;
use crate::types::{QoS, ReasonCode};

/// What handing in input came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Input {
    /// What is left is the beginning of a packet: hand it in again with more behind it.
    More,
    /// Keep what is left, and read no more: [`Event::Resume`] says when to hand it in again.
    Blocked,
    /// The connection is over: write what is in the output, and close it.
    Close,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ended {
    /// The client said so.
    Disconnected,
    /// The transport closed without a word.
    Closed,
    /// The broker ended it, for this reason.
    Refused(ReasonCode),
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionEnd {
    /// Its connection ended, and it was not to outlive it.
    Disconnected,
    /// It had no connection for as long as it could be without one.
    Expired,
    /// Its client began anew (Clean Start).
    CleanStart,
    /// Its queue was full, and the policy is to end it then.
    QueueFull,
    /// The host ended it.
    Administrator,
    /// It goes on at a peer.
    Moved,
}

impl SessionEnd {
    /// What it is called in logs and the like.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Expired => "expired",
            Self::CleanStart => "clean_start",
            Self::QueueFull => "queue_full",
            Self::Administrator => "administrator",
            Self::Moved => "moved",
        }
    }
}

/// What a broker asks and tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A client wants to connect, or to authenticate; or to publish or subscribe what rules say is
    /// asked: see [`Broker::asked`](super::Broker::asked).
    Ask(AskId),
    /// A client is connected.
    Connected {
        /// Its connection.
        link: LinkId,
        /// Whether it goes on with a session.
        session_present: bool,
    },
    /// A client was refused.
    Refused {
        /// Its connection.
        link: LinkId,
        /// Why.
        reason: ReasonCode,
    },
    /// A connection that was accepted is over.
    Disconnected {
        /// Which one.
        link: LinkId,
        /// Why.
        why: Ended,
    },
    /// The input that was kept can be handed in again.
    Resume(LinkId),
    /// Close the transport, once its output has left.
    Close(LinkId),
    /// A session is over, with all that belongs to it. Whose, [`Broker::told`] says. Only if the
    /// host wants to know, as the three that follow: [`Broker::watch`].
    ///
    /// [`Broker::told`]: super::Broker::told
    /// [`Broker::watch`]: super::Broker::watch
    SessionEnded {
        /// Why.
        why: SessionEnd,
    },
    /// A session subscribed, perhaps anew to what it had. Who and to what,
    /// [`Broker::told`](super::Broker::told) says.
    Subscribed {
        /// The QoS that was granted.
        qos: QoS,
    },
    /// A session unsubscribed: as before.
    Unsubscribed,
    /// A copy of a message was dropped. Whose it was and of which topic,
    /// [`Broker::told`](super::Broker::told) says, as far as it is known.
    Dropped {
        /// Why.
        why: DropReason,
        /// The QoS that the copy had, or would have had.
        qos: QoS,
    },
    /// The client belongs to a peer that is a loop of this process: hand its transport over, with
    /// the bytes of [`Broker::moved_input`](super::Broker::moved_input) and then all that was read
    /// and not taken. There it is a new connection; here it is over with
    /// [`Broker::handle_close`](super::Broker::handle_close).
    #[cfg(feature = "alloc")]
    MoveTo {
        /// Its connection.
        link: LinkId,
        /// Whose it is.
        peer: super::PeerId,
    },
}

impl Event {
    /// Whether names or a topic belong to it.
    pub(super) const fn has_news(&self) -> bool {
        match self {
            Self::SessionEnded { .. }
            | Self::Subscribed { .. }
            | Self::Unsubscribed
            | Self::Dropped { .. } => true,
            Self::Ask(_) | Self::Connected { .. } | Self::Refused { .. } => false,
            Self::Disconnected { .. } | Self::Resume(_) | Self::Close(_) => false,
            #[cfg(feature = "alloc")]
            Self::MoveTo { .. } => false,
        }
    }
}
