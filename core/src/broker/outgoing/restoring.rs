//! Messages on their way to a session come back from a store.

use super::{MOST_GAP, Outgoing, previous_id};
use crate::broker::delivery::Delivery;
use crate::flow::send::Owed;
use crate::storage::{Full, Queue};

impl<Q: Queue<Delivery>> Outgoing<Q> {
    /// Puts a message back that a store kept, at its place. Whether the place was free.
    pub(crate) fn restore(&mut self, place: u64, delivery: Delivery) -> Result<bool, Full> {
        if self.queue.is_empty() {
            self.base = self.base.max(place);
        }
        if place < self.place(self.queue.len()) {
            return Ok(false);
        }
        // A place that is farther away is damage, and not worth the memory.
        if place.saturating_sub(self.place(self.queue.len())) > MOST_GAP {
            return Err(Full);
        }
        // What was settled in between is nothing.
        while self.place(self.queue.len()) < place {
            let gone = Delivery { owed: Owed::Nothing, entry: 0, ..delivery };
            self.queue.push_back(gone)?;
            self.settled = self.settled.saturating_add(1);
        }
        self.queue.push_back(delivery)?;
        Ok(true)
    }

    /// The message at a place, if it is here.
    pub(crate) fn at_place(&mut self, place: u64) -> Option<&mut Delivery> {
        let at = usize::try_from(place.checked_sub(self.base)?).ok()?;
        self.queue.get_mut(at)
    }

    /// A message that a store kept has this identifier; was it past its PUBREC?
    pub(crate) fn restore_id(&mut self, place: u64, id: u16, released: bool) {
        if let Some(delivery) = self.at_place(place) {
            (delivery.id, delivery.sent) = (id, true);
            if released {
                delivery.owed = Owed::PubRel;
            }
        }
    }

    /// A message that a store kept is settled: what it was before.
    pub(crate) fn restore_settled(&mut self, place: u64) -> Option<Delivery> {
        let at = usize::try_from(place.checked_sub(self.base)?).ok()?;
        let before = self.at(at)?;
        self.settle_at(at);
        while self.pop_settled().is_some() {}
        Some(before)
    }

    /// All records are back. Only QoS 2 messages have their identifiers from there; those before
    /// them had the ones before.
    pub(crate) fn complete_ids(&mut self) {
        let mut next = 0;
        for at in (0..self.queue.len()).rev() {
            let Some(delivery) = self.queue.get_mut(at) else { break };
            if next != 0 {
                (delivery.id, delivery.sent) = (previous_id(next), true);
            } else {
                self.last_id = delivery.id;
            }
            next = delivery.id;
        }
        self.count_waiting();
    }

    /// Counts what was sent, and the bytes of what was not.
    fn count_waiting(&mut self) {
        let all = || (0..self.queue.len()).filter_map(|at| self.queue.get(at));
        let was_sent = |at: &usize| self.queue.get(*at).is_some_and(|one| one.sent);
        let last = (0..self.queue.len()).rev().find(was_sent);
        let holding = all().filter(|delivery| delivery.holds_body() && !delivery.sent);
        let bytes = holding.fold(0_usize, |sum, one| sum.saturating_add(one.len as usize));
        self.begun = last.map_or(0, |last| last.saturating_add(1));
        self.waiting_bytes = bytes;
    }
}
