//! Releases acknowledgements in the order in which their messages arrived.
//!
//! PUBACKs are ordered among PUBACKs and PUBRECs among PUBRECs [MQTT5-4.6.0-2, MQTT5-4.6.0-3]; one
//! kind never waits for the other, so there is a gate for each. Only these two ever wait: PUBREL,
//! PUBCOMP and the rest pass by [MQTT5-4.9.0-3].

use crate::storage::{Full, Queue};
use crate::types::{PacketId, ReasonCode};

/// An acknowledgement that is owed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) id: PacketId,
    /// The answer, once the application has given it.
    answer: Option<ReasonCode>,
    /// Whether a store has not confirmed the record that the answer stands on.
    unrecorded: bool,
}

/// The acknowledgements of one kind, in order of arrival.
#[derive(Debug)]
pub(crate) struct Gate<Q> {
    queue: Q,
    /// The ticket of the first; the others follow.
    first: u32,
}

impl<Q: Queue<Entry>> Gate<Q> {
    pub(crate) const EMPTY: Self = Self { queue: Q::EMPTY, first: 0 };

    pub(crate) fn set_limit(&mut self, limit: u16) {
        self.queue.set_limit(limit as usize);
    }

    /// Whether another message may be taken in.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < self.queue.limit()
    }

    /// How many acknowledgements are owed.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// A message arrived; returns the ticket of its acknowledgement.
    #[inline]
    pub(crate) fn enter(&mut self, id: PacketId, unrecorded: bool) -> Result<u32, Full> {
        let ticket = self.first.wrapping_add(u32::try_from(self.queue.len()).unwrap_or(u32::MAX));
        self.queue.push_back(Entry { id, answer: None, unrecorded })?;
        Ok(ticket)
    }

    /// A message arrived that will be answered before any other arrives: it has a ticket only.
    #[inline]
    pub(crate) const fn pass(&mut self) -> u32 {
        let ticket = self.first;
        self.first = ticket.wrapping_add(1);
        ticket
    }

    /// The application answers. Whether the ticket was still owed an answer.
    #[inline]
    pub(crate) fn answer(&mut self, ticket: u32, reason: ReasonCode) -> Option<PacketId> {
        let entry = self.entry(ticket)?;
        if entry.answer.is_some() {
            return None;
        }
        entry.answer = Some(reason);
        Some(entry.id)
    }

    /// The application answers every message of this identifier that has no answer yet: one that
    /// came again is answered again.
    pub(crate) fn answer_id(&mut self, id: PacketId, reason: ReasonCode) {
        self.each_of(id, |entry| entry.answer = Some(entry.answer.unwrap_or(reason)));
    }

    /// A store keeps what the answers for `id` stand on.
    pub(crate) fn recorded(&mut self, id: PacketId) {
        self.each_of(id, |entry| entry.unrecorded = false);
    }

    fn each_of(&mut self, id: PacketId, change: impl Fn(&mut Entry)) {
        for index in 0..self.queue.len() {
            if let Some(entry) = self.queue.get_mut(index).filter(|entry| entry.id == id) {
                change(entry);
            }
        }
    }

    /// The next acknowledgement that may leave, taken out.
    #[inline]
    pub(crate) fn release(&mut self) -> Option<(PacketId, ReasonCode)> {
        let front = self.queue.get(0)?;
        let reason = front.answer.filter(|_| !front.unrecorded)?;
        let id = front.id;
        self.queue.pop_front();
        self.first = self.first.wrapping_add(1);
        Some((id, reason))
    }

    /// The connection is gone, and with it what was owed on it: tickets given out mean nothing now.
    pub(crate) fn close(&mut self) {
        let owed = u32::try_from(self.queue.len()).unwrap_or(u32::MAX);
        self.first = self.first.wrapping_add(owed);
        self.queue.clear();
    }

    fn entry(&mut self, ticket: u32) -> Option<&mut Entry> {
        self.queue.get_mut(ticket.wrapping_sub(self.first) as usize)
    }
}
