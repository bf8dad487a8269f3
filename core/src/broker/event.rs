//! What a broker asks and tells its host.

use super::link::LinkId;
use super::verdict::AskId;
use crate::types::ReasonCode;

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

/// What a broker has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that clients published.
    pub messages_in: u64,
    /// Messages that were sent to clients, the first time.
    pub messages_out: u64,
    /// Bytes that were handed in.
    pub bytes_in: u64,
    /// Bytes that were written.
    pub bytes_out: u64,
    /// Connections that were accepted.
    pub connects: u64,
    /// Connections that were refused.
    pub refused: u64,
    /// Copies dropped because a session's queue was full.
    pub dropped_queue: u64,
    /// Copies dropped because they had expired.
    pub dropped_expired: u64,
    /// Copies dropped because the client takes no packet that large.
    pub dropped_too_large: u64,
    /// QoS 0 copies dropped because the connection's output was full, or there was none.
    pub dropped_qos0: u64,
    /// Copies dropped because there was no memory for messages.
    pub dropped_memory: u64,
    /// Copies dropped because the session may not read the topic.
    pub dropped_rights: u64,
    /// Copies that a client refused.
    pub dropped_refused: u64,
    /// Copies that ended with their session, or with the last member of their group.
    pub dropped_session: u64,
    /// News of connections that began or ended for which there was no room, on fixed storage.
    pub dropped_events: u64,
    /// Messages for peers that were lost, and for which they were not kept.
    pub dropped_peers: u64,
    /// Messages above QoS 0 that may have missed somebody at a peer that was lost: it had not asked
    /// for them when it was last heard, or they were on their way to a session that moved.
    pub unsure_peers: u64,
    /// Sessions that were on their way to a peer that was lost, and went on here. It may have had
    /// them already, and then what waited in them may come twice.
    pub returned_sessions: u64,
    /// Questions about what clients sent that the host did not answer in time.
    pub ask_timeouts: u64,
}

impl Counters {
    /// Nothing was counted.
    pub(crate) const NONE: Self = Self {
        messages_in: 0,
        messages_out: 0,
        bytes_in: 0,
        bytes_out: 0,
        connects: 0,
        refused: 0,
        dropped_queue: 0,
        dropped_expired: 0,
        dropped_too_large: 0,
        dropped_qos0: 0,
        dropped_memory: 0,
        dropped_rights: 0,
        dropped_refused: 0,
        dropped_session: 0,
        dropped_events: 0,
        dropped_peers: 0,
        unsure_peers: 0,
        returned_sessions: 0,
        ask_timeouts: 0,
    };
}
