//! What is retained goes to a new subscription bit by bit: a cursor walks through the topics, as
//! far as the client's window and its output allow, and remembers the one that it sent last.
//!
//! It reads what the topics retain when it comes by. What was retained after the SUBSCRIBE was sent
//! as any other message, so it is passed by. A cursor that has not come to the end belongs to the
//! session: it waits for the next connection, and is recorded.

use super::Broker;
use super::counters::DropReason;
use super::delivery::Delivery;
use super::limits::mount_point;
use super::link::Push;
use super::outbound::Frame;
use super::record::Record;
use super::retained::unpack;
use super::session::SessionId;
use super::subscription::Subscription;
use super::topic_tree::Place;
use crate::storage::{Arena, Memory, Storage};
use crate::types::{QoS, TopicFilter};

/// Where the replay for one subscription is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    /// Its subscription, and the next cursor of the same session, plus one.
    subscription: u32,
    next: u32,
    /// The topic that was sent last.
    place: Place,
    /// What was retained from here on was sent already.
    since: u64,
    /// Whether records know it.
    recorded: bool,
}

/// What became of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// This one is done with.
    Passed,
    /// It waits to be sent, so there may be room for one less.
    Queued,
    /// There is no room for it now.
    NoRoom,
}

impl<S: Storage> Broker<S> {
    /// A session is to be sent what is retained for a subscription of its own, with RETAIN set
    /// [MQTT5-3.3.1-9, MQTT3-3.3.1-6, MQTT3-3.3.1-8].
    pub(super) fn send_retained(&mut self, id: SessionId, filter: TopicFilter<'_>) {
        let Some(slot) = self.find_subscription(id, filter) else { return };
        self.end_cursor(id, slot);
        let since = self.next_number();
        if self.start_cursor(id, slot, since, &[]) {
            self.pump(id);
            self.record_cursor(id, slot);
        }
    }

    /// A session has a connection again: at QoS 0 nothing was sent meanwhile, so all counts again.
    pub(super) fn refresh_cursors(&mut self, id: SessionId) {
        let mut next = self.session(id).map_or(0, |session| session.cursor);
        if next == 0 {
            return;
        }
        let now = self.next_number();
        while let Some(cursor) = next.checked_sub(1).and_then(|at| self.cursors.get_mut(at)) {
            let subscription = self.subscriptions.get(cursor.subscription);
            if subscription.is_some_and(|one| one.qos == QoS::AtMostOnce) {
                cursor.since = now;
            }
            next = cursor.next;
        }
    }

    /// A cursor that a store kept, or that a session brought along.
    pub(super) fn restore_cursor(
        &mut self,
        id: SessionId,
        filter: TopicFilter<'_>,
        since: u64,
        last: &[u8],
    ) -> bool {
        let Some(slot) = self.find_subscription(id, filter) else { return false };
        self.end_cursor(id, slot);
        self.numbers = self.numbers.max(since);
        let since = if since == 0 { self.next_number() } else { since };
        let started = self.start_cursor(id, slot, since, last);
        if let Some((at, _)) = self.cursor_of(id, slot)
            && let Some(cursor) = self.cursors.get_mut(at)
        {
            cursor.recorded = true;
        }
        started
    }

    /// Shows each cursor of a session: its subscription, and the topic behind which it goes on.
    #[cfg(feature = "alloc")]
    pub(super) fn each_cursor(&self, id: SessionId, mut show: impl FnMut(u32, &[u8])) {
        let mut next = self.session(id).map_or(0, |session| session.cursor);
        while let Some(cursor) = next.checked_sub(1).and_then(|at| self.cursors.get(at)) {
            let topic = cursor.place.topic();
            let mut last = alloc::vec![0; self.retained.path_len(topic)];
            self.retained.write_path(topic, &mut last);
            show(cursor.subscription, &last);
            next = cursor.next;
        }
    }

    /// Shows each topic that a cursor of a session would pass by, as its message has gone the usual
    /// way.
    #[cfg(feature = "alloc")]
    pub(super) fn each_passed(&self, id: SessionId, mut show: impl FnMut(&[u8], &[u8])) {
        let mut next = self.session(id).map_or(0, |session| session.cursor);
        while let Some(cursor) = next.checked_sub(1).and_then(|at| self.cursors.get(at)) {
            next = cursor.next;
            let Some(filter) = self.filter_of(cursor.subscription) else { continue };
            let mut place = self.retained.walk(&filter, cursor.place);
            while let Some(here) = place {
                if self.retained.since(here.topic()) > cursor.since {
                    let mut topic = alloc::vec![0; self.retained.path_len(here.topic())];
                    self.retained.write_path(here.topic(), &mut topic);
                    show(&filter, &topic);
                }
                place = self.retained.walk(&filter, here);
            }
        }
    }

    /// Records every cursor, for a store that was replaced.
    pub(super) fn record_all_cursors(&mut self) {
        for at in 0..u32::try_from(self.cursors.slots()).unwrap_or(u32::MAX) {
            let Some(slot) = self.cursors.get(at).map(|cursor| cursor.subscription) else {
                continue;
            };
            if let Some(id) = self.subscriptions.get(slot).map(|one| one.session) {
                self.record_cursor(id, slot);
            }
        }
    }

    /// A cursor at the beginning, or behind a topic. Whether there was room for it.
    fn start_cursor(&mut self, id: SessionId, slot: u32, since: u64, last: &[u8]) -> bool {
        let next = self.session(id).map_or(0, |session| session.cursor);
        let cursor =
            Cursor { subscription: slot, next, place: Place::START, since, recorded: false };
        let Ok(at) = self.cursors.insert(cursor) else {
            self.drop_copy(DropReason::Memory, Some(id), QoS::AtMostOnce, &[]);
            return false;
        };
        if let Some(session) = self.session_mut(id) {
            session.cursor = at.saturating_add(1);
        }
        if last.is_empty() {
            return true;
        }
        let place = self.retained.place_of(last);
        if let Ok(place) = place {
            self.move_cursor(at, place);
        }
        place.is_ok()
    }

    /// The cursor of a subscription, and the one before it in the row of its session.
    fn cursor_of(&self, id: SessionId, slot: u32) -> Option<(u32, Option<u32>)> {
        let mut before = None;
        let mut next = self.session(id)?.cursor;
        while let Some(at) = next.checked_sub(1) {
            let cursor = self.cursors.get(at)?;
            if cursor.subscription == slot {
                return Some((at, before));
            }
            (before, next) = (Some(at), cursor.next);
        }
        None
    }

    /// A subscription needs nothing more of what is retained.
    pub(super) fn end_cursor(&mut self, id: SessionId, slot: u32) {
        let Some((at, before)) = self.cursor_of(id, slot) else { return };
        let Some(old) = self.cursors.remove(at) else { return };
        self.forget_passed(id, slot);
        if old.recorded {
            self.record_cursor_of(id, slot, None);
        }
        match before.and_then(|before| self.cursors.get_mut(before)) {
            Some(before) => before.next = old.next,
            None => {
                if let Some(session) = self.session_mut(id) {
                    session.cursor = old.next;
                }
            }
        }
        self.retained.unpin(old.place);
    }

    /// The cursor goes on behind this topic.
    fn move_cursor(&mut self, at: u32, place: Place) {
        self.retained.pin(place);
        if let Some(cursor) = self.cursors.get_mut(at) {
            let old = core::mem::replace(&mut cursor.place, place);
            self.retained.unpin(old);
        }
    }

    /// Hands a session some of what is retained, as far as there is room. Whether any of it waits
    /// to be sent now.
    pub(super) fn feed(&mut self, id: SessionId) -> bool {
        let Some(slot) = self.online(id).filter(|_| !self.is_fenced(id)) else { return false };
        let mut queued = false;
        while let Some(at) = self.session(id).and_then(|session| session.cursor.checked_sub(1)) {
            let Some(cursor) = self.cursors.get(at).copied() else { break };
            let (some, is_over) = self.feed_from(id, slot, at, &cursor);
            queued |= some;
            if !is_over {
                break;
            }
            self.end_cursor(id, cursor.subscription);
        }
        queued
    }

    /// The same for one cursor: whether any of it waits, and whether the cursor came to the end.
    fn feed_from(&mut self, id: SessionId, slot: u32, at: u32, cursor: &Cursor) -> (bool, bool) {
        let Some(wanted) = self.subscriptions.get(cursor.subscription).copied() else {
            return (false, true);
        };
        let mut memory = self.take_scratch();
        let len = self.filters.path_len(wanted.node);
        let start = memory
            .resize(len)
            .ok()
            .and_then(|()| self.filters.write_path(wanted.node, memory.bytes_mut()));
        let Some(start) = start else {
            self.put_scratch(memory);
            self.drop_copy(DropReason::Memory, Some(id), QoS::AtMostOnce, &[]);
            return (false, true);
        };
        let filter = memory.bytes().get(start..).unwrap_or_default();
        let result = self.walk_from(id, slot, at, (cursor, &wanted, filter));
        self.put_scratch(memory);
        result
    }

    fn walk_from(
        &mut self,
        id: SessionId,
        slot: u32,
        at: u32,
        (cursor, wanted, filter): (&Cursor, &Subscription, &[u8]),
    ) -> (bool, bool) {
        let mut place = self.retained.walk(filter, cursor.place);
        let (mut queued, mut last) = (false, None);
        while let Some(here) = place {
            let value = self.retained.value(here.topic());
            let known = self.retained.since(here.topic()) > cursor.since
                || self.was_passed(id, cursor.subscription, value);
            match if known { Next::Passed } else { self.replay(id, slot, wanted, value) } {
                Next::NoRoom => break,
                Next::Queued => queued = true,
                Next::Passed => {}
            }
            // What is forgotten when it has expired leaves only when the walk is past it.
            place = self.retained.walk(filter, here);
            let gone = unpack(value).is_some_and(|(body, _)| self.forget_if_expired(body));
            if !gone {
                last = Some(here);
            }
        }
        let is_over = place.is_none();
        if !is_over && let Some(last) = last {
            self.move_cursor(at, last);
            self.record_cursor(id, cursor.subscription);
        }
        (queued, is_over)
    }

    /// One message that is retained, for one subscription.
    fn replay(&mut self, id: SessionId, slot: u32, wanted: &Subscription, value: u32) -> Next {
        let Some((body, published)) = unpack(value) else { return Next::Passed };
        let Some(content) = self.bodies.get(body) else { return Next::Passed };
        let own = self.session(id).map(|session| session.publisher).unwrap_or_default();
        if wanted.no_local && own.is(content.publisher) // [MQTT5-3.8.3-3]
            || content.is_expired(self.now)
            || !self.may_read(id, content.topic)
        {
            return Next::Passed;
        }
        let most = self.session_limits(id).maximum_qos;
        let qos = published.min(wanted.qos).min(most);
        if qos != QoS::AtMostOnce {
            let waiting = self.session(id).map_or(0, |session| session.outgoing.waiting());
            let free = self.links.get(slot).map_or(0, |link| usize::from(link.quota.free()));
            let is_full = self.session(id).is_none_or(|session| session.outgoing.is_full());
            if waiting >= free || is_full {
                return Next::NoRoom;
            }
            self.bodies.hold(body);
            let len = self.bodies.len_of(body);
            let mut delivery = Delivery::new(body, qos, true, wanted.id).with_len(len);
            delivery.stored = true;
            self.push_delivery(id, delivery);
            return Next::Queued;
        }
        let frame = Frame::new(&content, true, wanted.id, self.now);
        let (sets, texts) = (&self.limit_sets, &self.rule_runs);
        let Some(link) = self.links.get_mut(slot) else { return Next::NoRoom };
        let Some(frame) = frame.without(mount_point(sets, texts, link.limits)) else {
            return Next::Passed;
        };
        match link.push_publish(&frame, self.options.output_bytes) {
            Push::NoRoom => return Next::NoRoom,
            Push::Sent => self.counters.count_delivered(qos, content.payload.len()),
            _ => self.drop_kept(DropReason::TooLarge, Some(id), qos, body),
        }
        Next::Passed
    }

    /// Records where the cursor of a subscription is, if it has one.
    fn record_cursor(&mut self, id: SessionId, slot: u32) {
        let cursor = self.cursor_of(id, slot).and_then(|(at, _)| self.cursors.get_mut(at));
        let Some(cursor) = cursor else { return };
        cursor.recorded = true;
        let cursor = *cursor;
        self.record_cursor_of(id, slot, Some(&cursor));
    }

    fn record_cursor_of(&mut self, id: SessionId, slot: u32, cursor: Option<&Cursor>) {
        let Some(session) = self.recorded(id) else { return };
        let Some(node) = self.subscriptions.get(slot).map(|one| one.node) else { return };
        let mut memory = self.take_scratch();
        let len = self.filters.path_len(node);
        let topic = cursor.map_or(Place::START, |cursor| cursor.place).topic();
        let all = len.saturating_add(self.retained.path_len(topic));
        if memory.resize(all).is_ok()
            && let Some((filter, last)) = memory.bytes_mut().split_at_mut_checked(len)
        {
            self.filters.write_path(node, filter);
            self.retained.write_path(topic, last);
            let (filter, last) = (&*filter, &*last);
            self.journal.add(&match cursor {
                Some(Cursor { since, .. }) => {
                    Record::Cursor { session, filter, since: *since, last }
                }
                None => Record::CursorGone { session, filter },
            });
        }
        self.put_scratch(memory);
    }
}
