//! What is recorded of what: sessions, subscriptions, messages on their way, wills, retained ones.
//!
//! Recorded is what changes a session that outlives its connection, a retained message, or a will.

use super::Broker;
use super::body::BodyId;
use super::delivery::Delivery;
use super::group::Entry;
use super::record::Record;
use super::retained::{is_own, unpack};
use super::session::SessionId;
use super::topic_tree::TopicId;
use super::will::StoredWill;
use crate::flow::send::Owed;
use crate::storage::{Arena, Pool, Storage};
use crate::types::{PacketId, QoS};

/// What is recorded of what.
impl<S: Storage> Broker<S> {
    pub(super) fn next_number(&mut self) -> u64 {
        self.numbers = self.numbers.saturating_add(1);
        self.numbers
    }

    /// Records that a session is, and how long it lasts; one that was not recorded gets a number.
    pub(super) fn record_session(&mut self, id: SessionId) {
        if !self.journal.is_on() {
            return;
        }
        let number = self.next_number();
        let in_memory = self.is_in_memory(id);
        let Some(session) = self.sessions.get_mut(id.slot) else { return };
        let wanted = (session.expiry_secs != 0 || session.will.is_some()) && !in_memory;
        if session.number == 0 && !wanted {
            return;
        }
        if session.number == 0 {
            session.number = number;
        }
        self.journal.add(&Record::Session {
            session: session.number,
            client_id: self.names.get(session.name),
            user: session.user.checked_sub(1).map_or(&[], |user| self.users.get(user)),
            expiry_secs: session.expiry_secs,
            ends: session.ends.unless_never(),
        });
    }

    /// A session has a connection. One that was there and is recorded only now brings all it has.
    pub(super) fn record_connected(&mut self, id: SessionId, present: bool) {
        let Some(session) = self.session(id).filter(|_| self.journal.is_on()) else { return };
        if present && session.number == 0 {
            return self.record_whole_session(id);
        }
        let has_will = session.will.is_some();
        self.record_session(id);
        if has_will {
            self.record_will(id);
        }
    }

    /// The number of a message, which is recorded if it was not.
    pub(super) fn record_body(&mut self, id: BodyId) -> u64 {
        let known = self.bodies.number(id);
        if known != 0 {
            return known;
        }
        let body = self.next_number();
        self.record_body_as(id, body);
        body
    }

    /// Records a message under a number that nothing else has.
    pub(super) fn record_body_as(&mut self, id: BodyId, body: u64) {
        self.bodies.set_number(id, body);
        if let Some(content) = self.bodies.get(id) {
            self.journal.add(&Record::Body {
                body,
                topic: content.topic,
                properties: content.properties,
                payload: content.payload,
                expires: content.expires,
                publisher: content.publisher.0,
            });
        }
    }

    /// Somebody lets go of a message.
    pub(super) fn release_body(&mut self, id: BodyId) {
        let body = self.bodies.release(id);
        if body != 0 && self.journal.is_on() {
            self.journal.add(&Record::BodyGone { body });
        }
    }

    /// Everything that is true now is recorded again, after a failure or for another store: first
    /// [`Record::Reset`], then messages as they are needed.
    pub fn records(&mut self) {
        if !self.journal.reopen() {
            return;
        }
        self.journal.add(&Record::Reset);
        self.bodies.forget_numbers();
        self.record_all_retained(); // before anything else gives these messages a number
        self.record_groups();
        let slots = u32::try_from(self.sessions.slots()).unwrap_or(u32::MAX);
        for slot in 0..slots {
            let Some(session) = self.sessions.get(slot) else { continue };
            self.record_whole_session(SessionId { slot, serial: session.serial });
        }
        self.record_all_cursors();
        self.journal.wait();
    }

    pub(super) fn record_whole_session(&mut self, id: SessionId) {
        self.record_session(id);
        if self.session(id).is_some_and(|session| session.will.is_some()) {
            self.record_will(id);
        }
        let Some(number) = self.recorded(id) else { return }; // there is nothing but its will
        self.record_subscriptions(id, number);
        let mut at = 0;
        while let Some(delivery) = self.session(id).and_then(|state| state.outgoing.at(at)) {
            let leaves = delivery.qos == QoS::AtMostOnce && delivery.was_sent();
            if (delivery.holds_body() || delivery.owed.is_release()) && !leaves {
                self.record_delivery(id, at);
            }
            at = at.saturating_add(1);
        }
        let mut after = 0;
        while let Some(packet_id) =
            self.session(id).and_then(|state| state.receipts.accepted_after(after))
        {
            after = packet_id.get();
            self.note_unrecorded(id, packet_id, false);
            self.journal.add(&Record::Received { session: number, packet_id: after });
        }
    }

    /// The number of a session whose messages are recorded.
    pub(super) fn recorded(&self, id: SessionId) -> Option<u64> {
        let session = self.session(id).filter(|session| session.expiry_secs != 0)?;
        (session.number != 0 && self.journal.is_on()).then_some(session.number)
    }

    /// Records the message that was queued last; at QoS 2 it waits for that, and so it gets its
    /// identifier in the same ticket if it is next.
    pub(super) fn record_queued(&mut self, id: SessionId, qos: QoS) {
        if qos == QoS::AtMostOnce && !self.session_limits(id).queue_qos0 {
            return; // it waits for CONNACK, no longer
        }
        let mut ticket = self.route_ticket;
        if let Some(number) = self.recorded(id) {
            let last = self.session(id).and_then(|session| session.outgoing.len().checked_sub(1));
            let Some(last) = last else { return };
            let is_next = self.session(id).is_some_and(|session| {
                session.outgoing.waiting() == 1 && session.outgoing.next().is_some()
            });
            self.record_delivery(id, last);
            if !self.is_fleeting_at(id, last) {
                ticket = self.journal.open_ticket();
            }
            if qos == QoS::ExactlyOnce && is_next {
                self.record_sent(id, number, last);
                ticket = self.journal.wait();
            }
        }
        let once = (self.revocable || self.revocable_once) && ticket != 0;
        let revocable = self.revocable || once;
        if (qos == QoS::ExactlyOnce || once)
            && let Some(session) = self.session_mut(id)
        {
            session.outgoing.set_last_ticket(ticket, revocable);
        }
    }

    /// The next message gets its identifier, and that is recorded.
    fn record_sent(&mut self, id: SessionId, session: u64, at: usize) {
        let Some(state) = self.session_mut(id) else { return };
        state.outgoing.choose_id();
        let place = state.outgoing.place(at);
        let packet_id = state.outgoing.at(at).map_or(0, |delivery| delivery.packet_id());
        self.journal.add(&if self.is_fleeting_at(id, at) {
            // Nothing else is known of it: after a crash the client is to let go of it.
            Record::Released { session, place, packet_id }
        } else {
            Record::Sent { session, place, packet_id }
        });
    }

    /// Whether the next message of a session may be sent now, as far as the store has a say: at
    /// QoS 2 not before its message, and to a recorded session not before its identifier, is
    /// durable.
    pub(super) fn may_send(&mut self, id: SessionId, delivery: &Delivery) -> bool {
        match delivery.qos {
            QoS::AtMostOnce => return self.may_leave(id, delivery),
            QoS::AtLeastOnce => return true,
            QoS::ExactlyOnce => {}
        }
        let kept = self.journal.is_durable(delivery.ticket);
        if delivery.packet_id() == 0
            && (kept || delivery.ticket == self.journal.open_ticket())
            && let Some(number) = self.recorded(id)
        {
            let at = self.session(id).map_or(0, |session| session.outgoing.next_at());
            self.record_sent(id, number, at);
            let ticket = self.journal.wait();
            if let Some(session) = self.session_mut(id) {
                session.outgoing.set_next_ticket(ticket);
            }
            self.gate_session(id);
            return false;
        }
        if !kept {
            self.gate_session(id);
        }
        kept
    }

    /// Whether a message at QoS 0 that waited may leave: first it is gone from the store, or a
    /// crash would send it twice [MQTT5-4.3.1-1].
    fn may_leave(&mut self, id: SessionId, delivery: &Delivery) -> bool {
        if self.is_fenced(id) {
            return false; // it may have expired by the time that CONNACK leaves
        }
        let is_recorded = self.recorded(id).is_some() && self.session_limits(id).queue_qos0;
        if !delivery.was_sent() && is_recorded {
            let ticket = self.journal.wait();
            while let Some((place, one)) =
                self.session_mut(id).and_then(|session| session.outgoing.let_leave(ticket))
            {
                self.record_settled(id, place, &one);
            }
            self.gate_session(id);
            return false;
        }
        let kept = !delivery.was_sent() || self.journal.is_durable(delivery.ticket);
        if !kept {
            self.gate_session(id);
        }
        kept
    }

    /// A message of a session is over. Nobody waits for that to be kept.
    pub(super) fn record_settled(&mut self, id: SessionId, place: u64, before: &Delivery) {
        let known = !self.is_fleeting(before) || before.has_exact_id();
        if let Some(session) = self.recorded(id).filter(|_| known) {
            self.journal.add(&Record::Settled { session, place });
        }
    }

    /// Whether the message of a delivery is not recorded.
    fn is_fleeting(&self, delivery: &Delivery) -> bool {
        delivery.holds_body() && self.bodies.is_fleeting(delivery.body)
    }

    fn is_fleeting_at(&self, id: SessionId, at: usize) -> bool {
        let delivery = self.session(id).and_then(|session| session.outgoing.at(at));
        delivery.is_some_and(|delivery| self.is_fleeting(&delivery))
    }

    /// PUBREC came; the ticket for which PUBREL waits.
    pub(super) fn record_released(
        &mut self,
        id: SessionId,
        packet_id: PacketId,
        before: &Delivery,
    ) -> u32 {
        let Some(session) = self.recorded(id) else { return 0 };
        if self.is_fleeting(before) {
            return 0; // it was, before it was sent
        }
        let place = self.session_mut(id).and_then(|state| state.outgoing.place_of(packet_id));
        let Some(place) = place else { return 0 };
        let packet_id = packet_id.get();
        self.journal.add(&Record::Released { session, place, packet_id });
        let ticket = self.journal.wait();
        if let Some(delivery) =
            self.session_mut(id).and_then(|state| state.outgoing.at_place(place))
        {
            (delivery.ticket, delivery.revocable) = (ticket, false);
        }
        ticket
    }

    /// A QoS 2 message of the client's was taken over.
    pub(super) fn record_received(&mut self, id: SessionId, packet_id: PacketId) {
        if let Some(session) = self.recorded(id) {
            self.journal.add(&Record::Received { session, packet_id: packet_id.get() });
        }
    }

    pub(super) fn record_forgotten(&mut self, id: SessionId, packet_id: PacketId) {
        if let Some(session) = self.recorded(id) {
            self.journal.add(&Record::Forgotten { session, packet_id: packet_id.get() });
        }
    }

    pub(super) fn record_subscription(
        &mut self,
        id: SessionId,
        filter: &[u8],
        options: u8,
        of: u32,
    ) {
        if let Some(session) = self.recorded(id) {
            self.journal.add(&Record::Subscription { session, filter, options, id: of });
        }
    }

    pub(super) fn record_unsubscribed(&mut self, id: SessionId, filter: &[u8]) {
        if let Some(session) = self.recorded(id) {
            self.journal.add(&Record::SubscriptionGone { session, filter });
        }
    }

    /// Whether the store knows nothing of a QoS 2 message of the client's.
    pub(super) fn note_unrecorded(&mut self, id: SessionId, packet_id: PacketId, unrecorded: bool) {
        let receipt = self.session_mut(id).and_then(|state| state.receipts.get_mut(packet_id));
        if let Some(receipt) = receipt {
            receipt.unrecorded = unrecorded;
        }
    }

    pub(super) fn record_session_gone(&mut self, session: u64) {
        if session != 0 {
            self.journal.add(&Record::SessionGone { session });
        }
    }

    /// The will of a session as it is now, or that there is none.
    pub(super) fn record_will(&mut self, id: SessionId) {
        let Some(state) = self.session(id).filter(|state| state.number != 0) else { return };
        let (session, will) = (state.number, state.will);
        let due = state.will_due.unless_never();
        let record = match will {
            Some(will) if self.bodies.is_fleeting(will.body) => return,
            Some(StoredWill { body, qos, retain, delay_secs, expiry_secs }) => {
                let body = self.record_body(body);
                Record::Will { session, body, qos, retain, delay_secs, expiry_secs, due }
            }
            None => Record::WillGone { session },
        };
        self.journal.add(&record);
    }

    /// A session has lost its will, which was this.
    pub(super) fn record_will_gone(&mut self, id: SessionId, will: &StoredWill) {
        if !self.bodies.is_fleeting(will.body) {
            self.record_will(id);
        }
    }

    /// What a topic retains now. What the broker says of itself is said anew after a restart.
    pub(super) fn record_retained(&mut self, body: BodyId, qos: QoS) {
        if self.is_recorded_retained(body) {
            let body = self.record_body(body);
            self.journal.add(&Record::Retained { body, qos });
        }
    }

    /// Whether a retained message is recorded.
    pub(super) fn is_recorded_retained(&self, body: BodyId) -> bool {
        let content = self.bodies.get(body).filter(|_| self.journal.is_on());
        content.is_some_and(|one| !one.fleeting && !is_own(one.topic))
    }

    /// What a topic retained until now is gone, if that was recorded.
    pub(super) fn record_replaced(&mut self, node: TopicId, topic: &[u8]) {
        let old = unpack(self.retained.value(node));
        if old.is_some_and(|(body, _)| !self.bodies.is_fleeting(body)) && !is_own(topic) {
            self.journal.add(&Record::RetainedGone { topic });
        }
    }

    /// Records the delivery at a place of a session's queue as it is.
    pub(super) fn record_delivery(&mut self, id: SessionId, at: usize) {
        let Some(session) = self.session(id) else { return };
        let (number, place) = (session.number, session.outgoing.place(at));
        let Some(delivery) = session.outgoing.at(at) else { return };
        let packet_id = delivery.packet_id();
        if delivery.owed.is_release() {
            let released = Record::Released { session: number, place, packet_id };
            self.journal.add(&released);
            return;
        }
        if self.is_fleeting(&delivery) {
            if delivery.has_exact_id() {
                self.journal.add(&Record::Released { session: number, place, packet_id });
            }
            return;
        }
        let body = self.record_body(delivery.body);
        let one = delivery.subscription.to_be_bytes();
        let ids = match delivery.subscription {
            0 => &[][..],
            several if several & super::router::SEVERAL_IDS != 0 => self.bodies.ids_of(several),
            _ => &one[..],
        };
        let (qos, retain) = (delivery.qos, delivery.retain);
        self.journal.add(&Record::Queued { session: number, place, body, qos, retain, ids });
        if packet_id != 0 && delivery.owed != Owed::Publish1 && delivery.owed != Owed::PubAck {
            self.journal.add(&Record::Sent { session: number, place, packet_id });
        }
        let entry = delivery.entry().and_then(|at| self.entries.get(at));
        if let Some(Entry { group, place: at, qos, retain, .. }) = entry.copied()
            && let Some(group) = self.number_of_group(group)
        {
            self.journal.add(&Record::Given { session: number, place, group, at, qos, retain });
            delivery.entry().into_iter().for_each(|at| self.leave_group_records(at));
        }
    }
}
