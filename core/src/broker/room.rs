//! How much there may be at all; and what a store kept while there might be more.
//!
//! What exceeds a limit that became smaller is left alone, at a restart as while the broker runs:
//! sessions, subscriptions, retained messages. Nothing new is taken until there are fewer. But
//! messages that wait are made to fit at a restart, by the policy of their queue, and each that is
//! dropped is counted.

use super::body::BodyId;
use super::counters::DropReason;
use super::delivery::Delivery;
use super::event::SessionEnd;
use super::options::{Options, QueueFull};
use super::outgoing::MAX_SPAN;
use super::session::SessionId;
use super::{Broker, UNLIMITED};
use crate::storage::{Arena, List, Storage};

/// How often room is looked for among messages that several sessions share.
const ROUNDS: usize = 8;

impl<S: Storage> Broker<S> {
    /// There is as much room as options say.
    pub(super) fn set_room(&mut self, options: &Options) {
        self.links.set_limit(options.connections);
        self.sessions.set_limit(options.sessions);
        self.subscriptions.set_limit(options.subscriptions);
        self.bodies.set_limit(options.message_bytes);
        self.filters.set_limit(options.subscriptions.saturating_mul(8));
        self.retained.set_limit(options.retained.saturating_mul(8));
        let queue = options.queue.saturating_add(MAX_SPAN);
        for slot in 0..u32::try_from(self.sessions.slots()).unwrap_or(u32::MAX) {
            if let Some(session) = self.sessions.get_mut(slot) {
                session.outgoing.set_limit(queue);
            }
        }
    }

    /// What a store kept has room, whatever the limits are now.
    pub(super) fn lift_room(&mut self) {
        self.set_room(&Options {
            sessions: UNLIMITED,
            subscriptions: UNLIMITED,
            retained: UNLIMITED,
            message_bytes: UNLIMITED,
            queue: UNLIMITED,
            ..self.options
        });
    }

    /// The limits hold again, and messages that wait are dropped until those that are left fit. How
    /// many were.
    pub(super) fn fit(&mut self) -> u64 {
        let before = self.dropped();
        let options = self.options;
        self.set_room(&options);
        for slot in 0..u32::try_from(self.sessions.slots()).unwrap_or(u32::MAX) {
            let Some(session) = self.sessions.get(slot) else { continue };
            self.fit_queue(SessionId { slot, serial: session.serial });
        }
        for group in 0..u32::try_from(self.shared.slots()).unwrap_or(u32::MAX) {
            self.fit_group(group);
        }
        for _ in 0..ROUNDS {
            let used = self.bodies.used();
            let Some(excess) = used.checked_sub(options.message_bytes).filter(|more| *more != 0)
            else {
                break;
            };
            self.fit_bodies(excess);
            if self.bodies.used() == used {
                break; // what is left does not wait
            }
        }
        self.dropped().saturating_sub(before)
    }

    const fn dropped(&self) -> u64 {
        let Self { counters, .. } = self;
        let waiting = counters.dropped_queue.saturating_add(counters.dropped_memory);
        waiting.saturating_add(counters.dropped_session)
    }

    /// One session's messages, by its policy.
    fn fit_queue(&mut self, id: SessionId) {
        let limits = self.session_limits(id);
        let (most, bytes, policy) = (limits.queue, limits.queue_bytes, limits.queue_full);
        let mut waiting = self.session(id).map_or(0, |session| session.outgoing.unsent());
        let mut from = 0;
        while let Some(session) = self.session_mut(id)
            && (waiting > most || session.outgoing.waiting_bytes() > bytes)
        {
            let dropped = match policy {
                QueueFull::EndSession => return self.end_session(id, SessionEnd::QueueFull),
                QueueFull::DropOldest => session.outgoing.drop_unsent(&mut from),
                QueueFull::DropNewest | QueueFull::Disconnect => session.outgoing.drop_newest(),
            };
            let Some((place, delivery)) = dropped else { break };
            self.drop_queued(DropReason::QueueFull, id, &delivery);
            self.record_settled(id, place, &delivery);
            self.drop_delivery(&delivery);
            waiting = waiting.saturating_sub(1);
        }
        if let Some(session) = self.session_mut(id) {
            while session.outgoing.pop_settled().is_some() {}
        }
    }

    /// The messages of all sessions, which have so many bytes too many: those that came last are
    /// dropped where they wait, as there is no room for new ones where it is used up.
    fn fit_bodies(&mut self, excess: usize) {
        let mut found = core::mem::replace(&mut self.nodes, S::Scratch::EMPTY);
        found.set_limit(UNLIMITED);
        found.clear();
        for slot in 0..self.bodies.slots() {
            if self.bodies.get(BodyId(slot)).is_some() {
                let _ = found.push(slot);
            }
        }
        let number = |slot: &u32| self.bodies.number(BodyId(*slot));
        found.as_mut_slice().sort_unstable_by_key(|slot| core::cmp::Reverse(number(slot)));
        let (mut first, mut freed) = (u64::MAX, 0_usize);
        for slot in found.as_slice() {
            if freed >= excess {
                break;
            }
            first = number(slot);
            freed = freed.saturating_add(self.bodies.len_of(BodyId(*slot)) as usize);
        }
        self.nodes = found;
        for slot in 0..u32::try_from(self.sessions.slots()).unwrap_or(u32::MAX) {
            let Some(session) = self.sessions.get(slot) else { continue };
            self.drop_from(SessionId { slot, serial: session.serial }, first);
        }
        for group in 0..u32::try_from(self.shared.slots()).unwrap_or(u32::MAX) {
            self.drop_entries_from(group, first);
        }
    }

    /// Drops what waits for a session at the end of its queue and came with a message of this
    /// number or a later one.
    fn drop_from(&mut self, id: SessionId, first: u64) {
        while let Some(session) = self.sessions.get_mut(id.slot)
            && let Some(newest) = session.outgoing.newest()
            && self.bodies.number(newest.body) >= first
        {
            let Some((place, delivery)) = session.outgoing.drop_newest() else { break };
            self.drop_queued(DropReason::Memory, id, &delivery);
            self.record_settled(id, place, &delivery);
            self.drop_delivery(&delivery);
        }
    }

    /// A delivery has no room; nor has what it is of a group.
    fn drop_delivery(&mut self, delivery: &Delivery) {
        self.let_go(delivery);
        if let Some(entry) = delivery.entry() {
            self.end_entry(entry);
        }
    }

    /// What waits for a group, by the policy of its members.
    fn fit_group(&mut self, group: u32) {
        let Some(limits) = self.limits_of_group(group) else { return };
        let (most, bytes, policy) = (limits.queue, limits.queue_bytes, limits.queue_full);
        while let Some(state) = self.shared.get(group)
            && (state.waiting as usize > most || state.bytes > bytes)
        {
            let entry = match policy {
                QueueFull::DropOldest => self.first_waiting(group),
                _ => self.last_waiting(group),
            };
            let Some(entry) = entry else { return };
            self.drop_entry(DropReason::QueueFull, entry);
            self.end_entry(entry);
        }
    }

    /// Drops what waits for a group and came with a message of this number or a later one.
    fn drop_entries_from(&mut self, group: u32, first: u64) {
        while let Some(at) = self.last_waiting(group)
            && let Some(body) = self.entries.get(at).map(|entry| entry.body)
            && self.bodies.number(body) >= first
        {
            self.drop_entry(DropReason::Memory, at);
            self.end_entry(at);
        }
    }
}
