//! What a broker counts, from its start on.

use crate::types::QoS;

/// What a broker has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that clients published, by their QoS.
    pub published: [Tally; 3],
    /// Messages that were sent to clients, the first time, by the QoS of the copy.
    pub delivered: [Tally; 3],
    /// Packets other than those that clients sent, once they were connected.
    pub others_in: u64,
    /// Packets other than those that were sent to clients: answers, and messages sent again.
    pub others_out: u64,
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
    /// Copies that the host dropped: [`Broker::clear_queue`](super::Broker::clear_queue).
    pub dropped_cleared: u64,
    /// Events for which there was no room: of connections that began or ended, on fixed storage; of
    /// sessions, subscriptions and dropped messages, if the host wants to know of them.
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
        published: [Tally::NONE; 3],
        delivered: [Tally::NONE; 3],
        others_in: 0,
        others_out: 0,
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
        dropped_cleared: 0,
        dropped_events: 0,
        dropped_peers: 0,
        unsure_peers: 0,
        returned_sessions: 0,
        ask_timeouts: 0,
    };

    /// Messages that clients published.
    #[must_use]
    pub const fn messages_in(&self) -> u64 {
        Tally::sum(&self.published).messages
    }

    /// Messages that were sent to clients, the first time.
    #[must_use]
    pub const fn messages_out(&self) -> u64 {
        Tally::sum(&self.delivered).messages
    }

    /// Packets that clients sent, of any kind.
    #[must_use]
    pub const fn packets_in(&self) -> u64 {
        self.messages_in().saturating_add(self.others_in).saturating_add(self.connects)
    }

    /// Packets that clients were sent, of any kind.
    #[must_use]
    pub const fn packets_out(&self) -> u64 {
        self.messages_out().saturating_add(self.others_out)
    }

    /// Packets were sent that are not messages, or are messages sent again.
    #[inline]
    pub(crate) const fn count_others(&mut self, packets: u64) {
        self.others_out = self.others_out.saturating_add(packets);
    }

    /// A client published a message with a payload of so many bytes.
    #[inline]
    pub(crate) fn count_published(&mut self, qos: QoS, len: usize) {
        if let Some(tally) = self.published.get_mut(usize::from(qos.level())) {
            tally.count(len);
        }
    }

    /// A client was sent one, for the first time.
    #[inline]
    pub(crate) fn count_delivered(&mut self, qos: QoS, len: usize) {
        if let Some(tally) = self.delivered.get_mut(usize::from(qos.level())) {
            tally.count(len);
        }
    }

    /// How many copies were dropped for this reason.
    #[must_use]
    pub const fn dropped(&self, why: DropReason) -> u64 {
        let mut copy = *self;
        *copy.counter_of(why)
    }

    /// Copies were dropped.
    pub(crate) const fn count_dropped(&mut self, why: DropReason, copies: u64) {
        let counter = self.counter_of(why);
        *counter = counter.saturating_add(copies);
    }

    const fn counter_of(&mut self, why: DropReason) -> &mut u64 {
        match why {
            DropReason::QueueFull => &mut self.dropped_queue,
            DropReason::Expired => &mut self.dropped_expired,
            DropReason::TooLarge => &mut self.dropped_too_large,
            DropReason::OutputFull => &mut self.dropped_qos0,
            DropReason::Memory => &mut self.dropped_memory,
            DropReason::Rights => &mut self.dropped_rights,
            DropReason::Refused => &mut self.dropped_refused,
            DropReason::SessionEnded => &mut self.dropped_session,
            DropReason::Cleared => &mut self.dropped_cleared,
        }
    }
}

/// Why a copy of a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The session's queue was full.
    QueueFull,
    /// It had expired.
    Expired,
    /// The client takes no packet that large.
    TooLarge,
    /// At QoS 0: the connection's output was full, or there was none.
    OutputFull,
    /// There was no memory for messages.
    Memory,
    /// The session may not read the topic.
    Rights,
    /// The client refused it.
    Refused,
    /// Its session ended, or the last member of its group went.
    SessionEnded,
    /// The host dropped it.
    Cleared,
}

impl DropReason {
    /// Every reason that there is.
    pub const ALL: [Self; 9] = [
        Self::QueueFull,
        Self::Expired,
        Self::TooLarge,
        Self::OutputFull,
        Self::Memory,
        Self::Rights,
        Self::Refused,
        Self::SessionEnded,
        Self::Cleared,
    ];

    /// What it is called in metrics and the like.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Expired => "expired",
            Self::TooLarge => "too_large",
            Self::OutputFull => "output_full",
            Self::Memory => "memory",
            Self::Rights => "rights",
            Self::Refused => "refused",
            Self::SessionEnded => "session_ended",
            Self::Cleared => "cleared",
        }
    }
}

/// Messages, and the bytes of their payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub messages: u64,
    /// The bytes of their payloads.
    pub bytes: u64,
}

impl Tally {
    const NONE: Self = Self { messages: 0, bytes: 0 };

    #[inline]
    const fn count(&mut self, len: usize) {
        self.messages = self.messages.saturating_add(1);
        self.bytes = self.bytes.saturating_add(len as u64);
    }

    /// All together.
    #[must_use]
    pub const fn sum([a, b, c]: &[Self; 3]) -> Self {
        Self {
            messages: a.messages.saturating_add(b.messages).saturating_add(c.messages),
            bytes: a.bytes.saturating_add(b.bytes).saturating_add(c.bytes),
        }
    }
}
