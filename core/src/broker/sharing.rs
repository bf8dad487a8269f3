//! Which member of a group gets a message, and when: who is connected and has room, by how much of
//! its window is free; what nobody has room for waits for the first who has.
//!
//! A message is the group's until it is sent. What a member was to be sent and was not goes back
//! when its connection ends; what it was sent at QoS 1 and did not acknowledge, when its session
//! ends. At QoS 2, once sent, it is that member's alone [MQTT5-4.8.2-4, MQTT5-4.8.2-5].

use super::body::{BodyId, Content};
use super::counters::DropReason;
use super::delivery::Delivery;
use super::group::{Entry, EntryState};
use super::session::SessionId;
use super::subscription::Subscription;
use super::{Broker, QueueFull};
use crate::storage::{Arena, List, Storage};
use crate::types::QoS;

/// A group that matches the message that is routed, and its member that is to get it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen {
    pub(super) group: u32,
    /// The member with room, a subscription, plus one; 0 for none.
    pub(super) member: u32,
    /// The highest QoS that any member that may read it was granted; `None` if none may.
    granted: Option<QoS>,
    /// Whether any member is connected.
    online: bool,
    /// How good a choice a member here is, compared with one at a peer: with room first, then
    /// connected, then the others; and since when it got nothing.
    pub(super) rank: (u8, u32),
}

/// Choosing.
impl<S: Storage> Broker<S> {
    /// The group gets the message that is routed, and so a member of it.
    pub(super) fn add_group(&mut self, group: u32, content: &Content<'_>, qos: QoS) {
        let chosen = self.choose(group, content, qos);
        if self.groups.push(chosen).is_err() {
            self.drop_copy(DropReason::Memory, None, qos, content.topic);
        }
    }

    /// The member that has the most of its window free; of several, the one that was served least
    /// recently.
    fn choose(&self, group: u32, content: &Content<'_>, qos: QoS) -> Chosen {
        let mut chosen = Chosen { group, member: 0, granted: None, online: false, rank: (2, 0) };
        let mut best = (u32::MAX, u32::MAX);
        let mut next = self.shared.get(group).map_or(0, |group| group.members);
        while let Some(slot) = next.checked_sub(1) {
            let Some(member) = self.subscriptions.get(slot) else { break };
            next = member.next_of_filter;
            if !self.may_read(member.session, content.topic) {
                continue;
            }
            chosen.granted = chosen.granted.max(Some(member.qos));
            if self.online(member.session).is_none() {
                continue;
            }
            chosen.online = true;
            if let Some(load) = self.load_of(member.session, qos.min(member.qos), content.len())
                && (load, member.served) < best
            {
                best = (load, member.served);
                chosen.member = slot.saturating_add(1);
            }
        }
        chosen.rank = match (chosen.member, chosen.online) {
            (0, false) => (2, 0),
            (0, true) => (1, 0),
            _ => (0, best.1),
        };
        chosen
    }

    /// How much of its window a session has in use, of 65,536 parts, if it has room for one more
    /// message of so many bytes.
    fn load_of(&self, id: SessionId, qos: QoS, len: usize) -> Option<u32> {
        let link = self.links.get(self.online(id)?)?;
        let session = self.session(id)?;
        // What is hidden behind a CONNACK that waits has not been sent.
        let hidden = link.fence != 0;
        if hidden
            || link.overrun
            || session.overrun
            || !link.has_message_room(len, self.options.output_bytes)
        {
            return None;
        }
        let (free, limit) = (u32::from(link.quota.free()), u32::from(link.quota.limit()));
        let waiting = u32::try_from(session.outgoing.waiting()).unwrap_or(u32::MAX);
        if qos == QoS::AtMostOnce {
            if self.waits_at_most_once(id) {
                return None;
            }
        } else if waiting >= free || session.outgoing.is_full() {
            return None;
        }
        let used = limit.saturating_sub(free.saturating_sub(waiting));
        used.saturating_mul(1 << 16).checked_div(limit.max(1))
    }
}

/// Giving.
impl<S: Storage> Broker<S> {
    /// Gives the message that is routed to the members that were chosen, or lets it wait for one.
    /// Copies through groups come besides others, and are never merged [MQTT5-3.3.4-5].
    pub(super) fn share(
        &mut self,
        content: &Content<'_>,
        qos: QoS,
        retain: bool,
        kept: &mut Option<BodyId>,
    ) {
        for at in 0..self.groups.as_slice().len() {
            let Some(mut chosen) = self.groups.as_slice().get(at).copied() else { return };
            if chosen.member != 0 && !self.has_room_still(&chosen, content, qos) {
                chosen = self.choose(chosen.group, content, qos);
            }
            let stamp = self.stamp;
            let member = chosen.member.checked_sub(1);
            let Some(slot) = member.filter(|slot| self.goes_straight(&chosen, *slot, qos)) else {
                self.let_wait(&chosen, content, (qos, retain), kept);
                if member.is_some() {
                    self.serve_group(chosen.group); // what was in the way may not be any more
                }
                continue;
            };
            let Some(member) = self.subscriptions.get_mut(slot) else { continue };
            member.served = stamp;
            let member = *member;
            let granted = qos.min(member.qos); // [MQTT5-4.8.2-3]
            if granted == QoS::AtMostOnce {
                let retain = retain && member.retain_as_published;
                self.deliver(member.session, content, granted, retain, member.id, kept);
                continue;
            }
            let entry = self.keep_once(content, kept).map(|body| {
                let len = self.bodies.len_of(body);
                let (ticket, revocable) = (self.route_ticket, self.revocable);
                let state = EntryState::Given;
                Entry { ticket, revocable, len, state, ..Entry::new(body, qos, retain) }
            });
            match entry {
                Some(entry) => {
                    let at = self.add_entry(chosen.group, entry);
                    self.send_entry(&member, &entry, at.ok());
                }
                None => self.drop_copy(DropReason::Memory, None, qos, content.topic),
            }
        }
    }

    /// Whether the member that was chosen has room, though it may have got other copies since.
    fn has_room_still(&self, chosen: &Chosen, content: &Content<'_>, qos: QoS) -> bool {
        let member = chosen.member.checked_sub(1).and_then(|at| self.subscriptions.get(at));
        let load = member
            .and_then(|member| self.load_of(member.session, qos.min(member.qos), content.len()));
        load.is_some()
    }

    /// Whether records say that a group is to get a message.
    pub(super) fn is_recorded(&self, chosen: &Chosen) -> bool {
        let member = chosen.member.checked_sub(1).and_then(|at| self.subscriptions.get(at));
        self.number_of_group(chosen.group.saturating_add(1)).is_some()
            || member.is_some_and(|member| self.recorded(member.session).is_some())
    }

    /// Whether a message goes to a member past what waits for the group. At QoS 0 it does.
    fn goes_straight(&self, chosen: &Chosen, member: u32, qos: QoS) -> bool {
        let granted = self.subscriptions.get(member).map_or(QoS::AtMostOnce, |one| one.qos);
        qos.min(granted) == QoS::AtMostOnce || self.first_waiting(chosen.group).is_none()
    }

    /// No member has room: the message waits, or is dropped as the policy says.
    fn let_wait(
        &mut self,
        chosen: &Chosen,
        content: &Content<'_>,
        (qos, retain): (QoS, bool),
        kept: &mut Option<BodyId>,
    ) {
        let Some(granted) = chosen.granted else {
            return self.drop_copy(DropReason::Rights, None, qos, content.topic);
        };
        let Some(limits) = self.limits_of_group(chosen.group) else { return };
        let (limit, most, policy, queue_qos0) =
            (limits.queue, limits.queue_bytes, limits.queue_full, limits.queue_qos0);
        if qos.min(granted) == QoS::AtMostOnce && (chosen.online || !queue_qos0) {
            return self.drop_copy(DropReason::OutputFull, None, qos, content.topic);
        }
        let Some(group) = self.shared.get(chosen.group) else { return };
        let bytes = group.bytes.saturating_add(content.len());
        if group.waiting as usize >= limit || bytes > most {
            let oldest = self.first_waiting(chosen.group);
            match oldest.filter(|_| policy == QueueFull::DropOldest) {
                Some(oldest) => {
                    self.drop_entry(DropReason::QueueFull, oldest);
                    self.end_entry(oldest);
                }
                None => return self.drop_copy(DropReason::QueueFull, None, qos, content.topic),
            }
        }
        let body = self.keep_once(content, kept);
        let added = body.map(|body| {
            let len = self.bodies.len_of(body);
            let (ticket, revocable) = (self.route_ticket, self.revocable);
            let entry = Entry { ticket, revocable, len, ..Entry::new(body, qos, retain) };
            self.add_entry(chosen.group, entry)
        });
        match added {
            Some(Ok(at)) => self.record_waiting(at),
            failed => {
                self.drop_copy(DropReason::Memory, None, qos, content.topic);
                if let (Some(Err(_)), Some(body)) = (failed, body) {
                    self.release_body(body);
                }
            }
        }
    }

    /// The limits of what waits: those of the member that came last.
    pub(super) fn limits_of_group(&self, group: u32) -> Option<&super::Limits<'static>> {
        let member = self.shared.get(group)?.members.checked_sub(1)?;
        Some(self.session_limits(self.subscriptions.get(member)?.session))
    }

    fn record_waiting(&mut self, at: u32) {
        self.record_entry(at);
        let ticket = self.journal.open_ticket();
        if let Some(entry) = self.entries.get_mut(at).filter(|entry| entry.recorded) {
            entry.ticket = ticket;
        }
    }

    /// Sends a member an entry that it was given; without an entry of the group, as a message of
    /// its own.
    fn send_entry(&mut self, member: &Subscription, entry: &Entry, at: Option<u32>) {
        let qos = entry.qos.min(member.qos);
        let retain = entry.retain && member.retain_as_published;
        let delivery = Delivery::new(entry.body, qos, retain, member.id);
        let delivery = delivery.with_len(entry.len).of_entry(at);
        let kept = self.recorded(member.session).is_some();
        // In one ticket it leaves the records of the group and gets into those of the session. A
        // session that is not recorded can lose it, so at QoS 1 it stays the group's meanwhile.
        let mut ticket = entry.ticket;
        if let Some(at) = at {
            let stays = !kept && qos == QoS::AtLeastOnce;
            if let Some(entry) = self.entries.get_mut(at) {
                entry.stays = stays;
            }
            if stays && !entry.recorded {
                self.record_entry(at);
            } else if !stays && self.unrecord_entry(at) {
                ticket = self.journal.wait();
            }
        }
        let before = (self.route_ticket, self.revocable);
        (self.route_ticket, self.revocable) = (ticket, entry.revocable);
        self.push_delivery(member.session, delivery);
        (self.route_ticket, self.revocable) = before;
        self.pump_queue(member.session);
    }

    /// Sends a member a message at QoS 0, past what waits for the window.
    fn send_past(&mut self, member: &Subscription, entry: &Entry) {
        let mut scratch = self.take_scratch();
        let (retain, mut kept) = (entry.retain && member.retain_as_published, None);
        match self.copy_content(entry.body, &mut scratch) {
            Some(content) => {
                let qos = QoS::AtMostOnce;
                self.deliver(member.session, &content, qos, retain, member.id, &mut kept);
            }
            None => {
                self.counters.dropped_memory = self.counters.dropped_memory.saturating_add(1);
            }
        }
        self.put_scratch(scratch);
        for body in [Some(entry.body), kept].into_iter().flatten() {
            self.release_body(body);
        }
    }

    /// Gives a member an entry that waits. Whether it was taken; if not, it is to be tried again
    /// once the member's session is asked to go on.
    fn give_waiting(&mut self, at: u32, member: u32) -> bool {
        let Some(entry) = self.entries.get(at).copied() else { return false };
        let expired = self.bodies.get(entry.body).is_none_or(|one| one.is_expired(self.now));
        if expired {
            self.drop_entry(DropReason::Expired, at);
            self.end_entry(at); // [MQTT5-3.3.2-5]
            return true;
        }
        let stamp = self.stamp;
        let Some(member) = self.subscriptions.get_mut(member) else { return false };
        let qos = entry.qos.min(member.qos);
        // Whether its publisher is to take it back is open as long as the ticket is.
        let open = self.journal.open_ticket();
        let is_open = entry.ticket != open && !self.journal.is_durable(entry.ticket);
        if qos == QoS::ExactlyOnce && entry.revocable && is_open {
            let session = member.session;
            self.gate_session(session);
            return false;
        }
        member.served = stamp;
        let member = *member;
        let revocable = entry.revocable && entry.ticket == open;
        let entry = Entry { revocable, ..entry };
        if qos == QoS::AtMostOnce {
            self.bodies.hold(entry.body);
            self.end_entry(at);
            if self.session_limits(member.session).queue_qos0 {
                self.send_entry(&member, &entry, None); // once it is gone from the store
            } else {
                self.send_past(&member, &entry);
            }
            return true;
        }
        self.move_entry(at, EntryState::Given);
        self.send_entry(&member, &entry, Some(at));
        true
    }

    /// A session can be sent more, perhaps: it takes what waits for its groups, in order.
    pub(super) fn take_shared(&mut self, id: SessionId) {
        let mut next = self.session(id).map_or(0, |session| session.subscriptions);
        while let Some(slot) = next.checked_sub(1) {
            let Some(member) = self.subscriptions.get(slot).copied() else { return };
            let Some(group) = member.group.checked_sub(1) else { return }; // those come first
            next = member.next_of_session;
            let mut at = self.first_waiting(group);
            while let Some(here) = at {
                let Some(entry) = self.entries.get(here).copied() else { break };
                at = self.next_waiting(here);
                let topic = self.bodies.get(entry.body).map_or(&[][..], |content| content.topic);
                if !self.may_read(id, topic) {
                    continue; // another member may
                }
                let qos = entry.qos.min(member.qos);
                if self.load_of(id, qos, entry.len as usize).is_none()
                    || !self.give_waiting(here, slot)
                {
                    break;
                }
            }
        }
    }

    /// What waits for a group goes to members that have room, or to peers if nobody here is
    /// connected.
    pub(super) fn serve_group(&mut self, group: u32) {
        let mut at = self.first_waiting(group);
        let mut online = false;
        while let Some(here) = at {
            let Some(entry) = self.entries.get(here).copied() else { break };
            at = self.next_waiting(here);
            let Some(content) = self.bodies.get(entry.body) else { continue };
            let chosen = self.choose(group, &content, entry.qos);
            online |= chosen.online;
            match chosen.member.checked_sub(1) {
                Some(member) if self.give_waiting(here, member) => {}
                _ => break,
            }
        }
        if !online {
            self.hand_over(group, false);
        }
    }
}

/// Taking back.
impl<S: Storage> Broker<S> {
    /// A session can't be sent anything now: what it was to be sent for this group, or for any, is
    /// for others.
    pub(super) fn take_back_unsent(&mut self, id: SessionId, group: u32, least: QoS) {
        if self.entries.is_empty() {
            return;
        }
        let mut from = 0;
        loop {
            let entries = &self.entries;
            let is_of = |delivery: &Delivery| {
                let entry = delivery.entry().and_then(|at| entries.get(at));
                delivery.qos >= least
                    && entry.is_some_and(|entry| group == 0 || entry.group == group)
            };
            let session = self.sessions.get_mut(id.slot).filter(|one| one.serial == id.serial);
            let Some((at, delivery)) =
                session.and_then(|session| session.outgoing.take_unsent(from, is_of))
            else {
                return;
            };
            from = at.saturating_add(1);
            if let Some(place) = self.session(id).map(|session| session.outgoing.place(at)) {
                self.record_settled(id, place, &delivery);
            }
            self.give_back(&delivery);
        }
    }

    /// A delivery is over without having been completed: if it may go to another member, it does.
    /// Whether it may.
    pub(super) fn give_back(&mut self, delivery: &Delivery) -> bool {
        let Some(at) = delivery.entry() else { return false };
        let group = self.entries.get(at).and_then(|entry| entry.group.checked_sub(1));
        let Some(group) = group.filter(|_| !self.journal.is_paused()) else {
            self.let_go(delivery);
            return false;
        };
        self.let_go_ids(delivery.subscription);
        self.move_entry(at, EntryState::Waiting);
        if self.entries.get(at).is_some_and(|entry| !entry.recorded) {
            self.record_entry(at);
        }
        self.serve_group(group);
        true
    }

    /// The tickets from `first` on failed: what was not kept, and its publisher keeps, is taken
    /// back; the rest waits for `snapshot`.
    pub(super) fn withdraw_entries(&mut self, first: u32, snapshot: u32) {
        for at in 0..u32::try_from(self.entries.slots()).unwrap_or(u32::MAX) {
            let Some(entry) = self.entries.get_mut(at) else { continue };
            if entry.ticket < first {
                continue;
            }
            entry.ticket = snapshot;
            if entry.revocable && entry.state == EntryState::Waiting {
                self.drop_entry(DropReason::Memory, at);
                self.end_entry(at);
            }
        }
    }

    /// Nothing was recorded: what waits for the group last has no ticket to wait for.
    pub(super) fn free_last_entry(&mut self, group: u32, ticket: u32) {
        let last = self.last_waiting(group);
        if let Some(entry) = last.and_then(|at| self.entries.get_mut(at))
            && entry.ticket == ticket
        {
            entry.ticket = 0;
        }
    }
}
