//! Records on their way to the store: one ticket for each turn, and which of them are kept.

use super::record::Record;
use super::records::{Into, LEN_BYTES, Records};
use crate::storage::Memory;

/// What a store is handed together, and keeps together or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u32);

/// How many bytes of records may wait for the store before input does, in bytes.
const MOST_BEHIND: usize = 8 << 20;

/// How many tickets may be with the store at once.
const OUT: u32 = 64;

/// The records that the store was not handed, and the tickets that it was.
#[derive(Debug)]
pub(crate) struct Journal<M> {
    /// The records of the ticket that is open, each behind its length.
    records: M,
    /// Records that the store is being handed.
    handed: M,
    /// Whether something waits for the open ticket.
    urgent: bool,
    /// Whether something in the open ticket has to be kept before anything else happens.
    strict: bool,
    /// Whether what is recorded now is nothing that anybody was promised.
    relaxed: bool,
    /// Whether there is a store.
    on: bool,
    /// Whether the store failed: nothing is written down until it is told everything again, which
    /// is what the open ticket will be.
    pub(crate) failed: bool,
    /// Whether it was the memory for records that failed.
    overflowed: bool,
    begins_again: bool,
    /// How many changes there were: whether there are more tells whether something was recorded.
    changes: u32,
    /// Whether records are coming back.
    paused: bool,
    /// The open ticket.
    open: u32,
    /// Every ticket up to this one is kept.
    durable: u32,
    /// Those above that are kept, as bits: the next one is the lowest.
    ahead: u64,
}

impl<M: Memory> Journal<M> {
    pub(crate) const EMPTY: Self = Self {
        records: M::EMPTY,
        handed: M::EMPTY,
        urgent: false,
        strict: false,
        relaxed: false,
        on: false,
        failed: false,
        overflowed: false,
        begins_again: false,
        changes: 0,
        paused: false,
        open: 0,
        durable: 0,
        ahead: 0,
    };

    pub(crate) fn begin(&mut self, on: bool) {
        self.records.set_limit(usize::MAX);
        self.handed.set_limit(usize::MAX);
        self.on = on;
        self.open = 1;
    }

    /// Whether changes are recorded.
    pub(crate) const fn is_on(&self) -> bool {
        self.on && !self.paused
    }

    /// While records come back, none are made.
    pub(crate) const fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Whether records are coming back.
    pub(crate) const fn is_paused(&self) -> bool {
        self.paused
    }

    /// While messages are routed that are acknowledged before they are kept.
    pub(crate) const fn relax(&mut self, relaxed: bool) {
        self.relaxed = relaxed;
    }

    /// The ticket that is open.
    pub(crate) const fn open_ticket(&self) -> u32 {
        self.open
    }

    /// Adds a record to the open ticket. What a subscriber's acknowledgement ended waits for
    /// company; everything else is to be kept soon.
    pub(crate) fn add(&mut self, record: &Record<'_>) {
        if !self.is_on() {
            return;
        }
        self.changes = self.changes.wrapping_add(1);
        if self.failed {
            return;
        }
        let soon = !matches!(
            record,
            Record::Settled { .. }
                | Record::BodyGone { .. }
                | Record::Cursor { .. }
                | Record::CursorGone { .. }
        );
        self.urgent |= soon;
        self.strict |= soon && !self.relaxed;
        let len = record.len();
        let start = self.records.bytes().len();
        let end = start.saturating_add(LEN_BYTES).saturating_add(len);
        if self.records.resize(end).is_err() {
            (self.failed, self.overflowed) = (true, true); // nothing of it can be promised
            return;
        }
        let out = self.records.bytes_mut().get_mut(start..).unwrap_or_default();
        if let Some((front, rest)) = out.split_first_chunk_mut::<LEN_BYTES>() {
            *front = (len as u32).to_be_bytes();
            record.put(&mut Into(rest));
        }
    }

    /// Whether the open ticket has records.
    pub(crate) fn has_records(&self) -> bool {
        !self.records.bytes().is_empty()
    }

    /// What tells later whether something was recorded.
    pub(crate) const fn mark(&self) -> u32 {
        self.changes
    }

    /// Whether the open ticket has so many records that no more should come.
    pub(crate) fn is_behind(&self) -> bool {
        self.records.bytes().len() > MOST_BEHIND.min(self.records.limit() / 2)
    }

    /// Whether the memory for records was too small for the open ticket.
    pub(crate) const fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// The next ticket begins from the beginning.
    pub(crate) const fn begin_again(&mut self) {
        self.begins_again = true;
    }

    /// Whether the next ticket is to begin from the beginning.
    pub(crate) const fn begins_again(&self) -> bool {
        self.begins_again
    }

    /// The first ticket that is not kept.
    pub(crate) const fn first_unkept(&self) -> u32 {
        self.durable.saturating_add(1)
    }

    /// Somebody waits for the open ticket, which is returned.
    pub(crate) const fn wait(&mut self) -> u32 {
        (self.urgent, self.strict) = (true, true);
        self.open
    }

    /// Somebody waits for the open ticket, if there is anything in it. Whether there is.
    pub(crate) fn wait_if_needed(&mut self) -> bool {
        self.urgent |= self.has_records();
        self.strict |= self.has_records();
        self.has_records() || self.failed
    }

    /// The last ticket that anything recorded so far is in.
    #[cfg(feature = "alloc")]
    pub(crate) fn latest(&mut self) -> u32 {
        if self.has_records() { self.wait() } else { self.open.saturating_sub(1) }
    }

    /// Whether a ticket is kept; 0 is no ticket, and always is.
    pub(crate) const fn is_durable(&self, ticket: u32) -> bool {
        ticket <= self.durable
    }

    /// Whether a ticket is with the store.
    pub(crate) const fn is_awaited(&self, ticket: Ticket) -> bool {
        self.durable < ticket.0 && ticket.0 < self.open
    }

    /// Closes the open ticket, if somebody waits for it, or always with `all`.
    pub(crate) fn take(&mut self, all: bool) -> Option<(Ticket, Records<'_>)> {
        let out = self.open.saturating_sub(self.durable);
        if !(self.urgent || all) || !self.has_records() || out > OUT || self.failed {
            return None;
        }
        core::mem::swap(&mut self.records, &mut self.handed);
        let _ = self.records.resize(0);
        let relaxed = !self.strict && !all;
        (self.urgent, self.strict) = (false, false);
        let ticket = Ticket(self.open);
        self.open = self.open.saturating_add(1);
        Some((ticket, Records { bytes: self.handed.bytes(), relaxed }))
    }

    /// The store has kept a ticket. Whether more is durable than before.
    pub(crate) fn persisted(&mut self, ticket: Ticket) -> bool {
        let Some(ahead) = ticket.0.checked_sub(self.durable).and_then(|by| by.checked_sub(1))
        else {
            return false;
        };
        if ahead >= OUT || ticket.0 >= self.open {
            return false;
        }
        self.ahead |= 1 << ahead;
        let before = self.durable;
        while self.ahead & 1 != 0 {
            self.ahead >>= 1;
            self.durable = self.durable.saturating_add(1);
        }
        self.durable != before
    }

    /// The store is told everything again. Whether there is one.
    pub(crate) fn reopen(&mut self) -> bool {
        (self.failed, self.overflowed, self.begins_again) = (false, false, false);
        let _ = self.records.resize(0);
        self.on
    }

    /// The tickets from `first` on are not kept, and never will be. The one with which the store
    /// is told everything again, for which whatever is true now has to wait.
    pub(crate) fn fail(&mut self, first: u32) -> u32 {
        self.failed = true;
        self.overflowed = false;
        (self.urgent, self.strict) = (false, false);
        let _ = self.records.resize(0);
        if first < self.open {
            self.durable = self.open;
            self.open = self.open.saturating_add(1);
            self.ahead = 0;
        }
        self.open
    }
}
