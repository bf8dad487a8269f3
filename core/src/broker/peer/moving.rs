//! A session that moves to a peer: all of it as records, as for a store.

use crate::broker::DropReason;
use crate::broker::SessionEnd;
use alloc::vec::Vec;

use crate::broker::Broker;
use crate::broker::Records;
use crate::broker::body::BodyId;
use crate::broker::delivery::Delivery;
use crate::broker::record::{Put, Record};
use crate::broker::retained::unpack;
use crate::broker::router::SEVERAL_IDS;
use crate::broker::session::SessionId;
use crate::storage::{Arena, Index, Pool, Storage};
use crate::types::QoS;

/// The number of the session in its records.
const SESSION: u64 = 1;

/// A filter, and a topic of which a session has got by it what is retained.
pub(super) type Passed = (Vec<u8>, Vec<u8>);

fn add(out: &mut Vec<u8>, record: &Record<'_>) {
    out.put(&(record.len() as u32).to_be_bytes());
    record.put(out);
}

impl<S: Storage> Broker<S> {
    /// All that belongs to a session.
    pub(super) fn export(&mut self, id: SessionId) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(session) = self.session(id) else { return out };
        add(
            &mut out,
            &Record::Session {
                session: SESSION,
                client_id: self.names.get(session.name),
                user: session.user.checked_sub(1).map_or(&[], |user| self.users.get(user)),
                expiry_secs: session.expiry_secs,
                ends: session.ends.unless_never(),
            },
        );
        let mut next = session.subscriptions;
        while let Some(slot) = next.checked_sub(1) {
            let Some(subscription) = self.subscriptions.get(slot) else { break };
            next = subscription.next_of_session;
            let (options, id) = (subscription.options(), subscription.id);
            if let Some(filter) = self.filter_of(slot) {
                let filter = &filter[..];
                add(&mut out, &Record::Subscription { session: SESSION, filter, options, id });
            }
        }
        self.each_cursor(id, |slot, last| {
            if let Some(filter) = self.filter_of(slot) {
                let (session, filter, since) = (SESSION, &filter[..], 0);
                add(&mut out, &Record::Cursor { session, filter, since, last });
            }
        });
        for at in 0..session.outgoing.len() {
            let Some(delivery) = session.outgoing.at(at) else { break };
            self.export_delivery(&mut out, session.outgoing.place(at), &delivery);
        }
        let mut after = 0;
        while let Some(packet_id) = session.receipts.accepted_after(after) {
            after = packet_id.get();
            add(&mut out, &Record::Received { session: SESSION, packet_id: after });
        }
        out
    }

    /// What a session has got of the retained messages that it is still to get: by which filter,
    /// and of which topic.
    pub(super) fn passed_by(&self, id: SessionId) -> Vec<Passed> {
        let known = self.cluster.as_deref().and_then(|one| one.passed.get(&(id.slot, id.serial)));
        let mut passed: Vec<_> = known.into_iter().flatten().cloned().collect();
        self.each_passed(id, |filter, topic| passed.push((filter.into(), topic.into())));
        passed
    }

    /// A session that came had got these.
    pub(super) fn note_passed(&mut self, id: SessionId, passed: &[Passed]) {
        if let Some(cluster) = self.cluster.as_deref_mut().filter(|_| !passed.is_empty()) {
            cluster.passed.insert((id.slot, id.serial), passed.iter().cloned().collect());
        }
    }

    /// All that a subscription was to get of what is retained has left, or is to be sent anew.
    pub(in crate::broker) fn forget_passed(&mut self, id: SessionId, slot: u32) {
        let passed = self.cluster.as_deref().map(|cluster| &cluster.passed);
        if passed.is_none_or(|passed| !passed.contains_key(&(id.slot, id.serial))) {
            return;
        }
        let (filter, key) = (self.filter_of(slot).unwrap_or_default(), (id.slot, id.serial));
        if let Some(cluster) = self.cluster.as_deref_mut()
            && let Some(passed) = cluster.passed.get_mut(&key)
        {
            passed.retain(|(other, _)| *other != filter);
            if passed.is_empty() {
                cluster.passed.remove(&key);
            }
        }
    }

    /// Whether a subscription had got what a topic retains where its session was before.
    pub(in crate::broker) fn was_passed(&self, id: SessionId, slot: u32, value: u32) -> bool {
        let passed = self.cluster.as_deref().map(|cluster| &cluster.passed);
        let Some(passed) = passed.and_then(|passed| passed.get(&(id.slot, id.serial))) else {
            return false;
        };
        let content = unpack(value).and_then(|(body, _)| self.bodies.get(body));
        let topic = content.map_or(&[][..], |content| content.topic);
        let filter = self.filter_of(slot).unwrap_or_default();
        passed.contains(&(filter, topic.into()))
    }

    fn export_delivery(&self, out: &mut Vec<u8>, place: u64, delivery: &Delivery) {
        let (session, packet_id) = (SESSION, delivery.packet_id());
        if delivery.owed.is_release() {
            return add(out, &Record::Released { session, place, packet_id });
        }
        let Some(content) = self.bodies.get(delivery.body).filter(|_| delivery.holds_body()) else {
            return;
        };
        // Each copy has a message of its own on the way.
        let (body, publisher) = (place.saturating_add(1), content.publisher.0);
        let (topic, properties, payload) = (content.topic, content.properties, content.payload);
        let expires = content.expires;
        add(out, &Record::Body { body, topic, properties, payload, expires, publisher });
        let one = delivery.subscription.to_be_bytes();
        let ids = match delivery.subscription {
            0 => &[][..],
            several if several & SEVERAL_IDS != 0 => self.bodies.ids_of(several),
            _ => &one[..],
        };
        let (qos, retain) = (delivery.qos, delivery.retain);
        add(out, &Record::Queued { session, place, body, qos, retain, ids });
        if delivery.was_sent() && qos != QoS::AtMostOnce {
            add(out, &Record::Sent { session, place, packet_id });
        }
    }

    /// A session that moved away is not here any more; nothing of it is lost.
    pub(super) fn drop_session(&mut self, id: SessionId) {
        while let Some(delivery) =
            self.session_mut(id).and_then(|session| session.outgoing.pop_any())
        {
            if delivery.holds_body() {
                self.let_go(&delivery);
            }
        }
        self.end_session(id, SessionEnd::Moved);
    }

    /// A session moves here. What does not fit is dropped, and counted.
    pub(super) fn import(&mut self, records: &[u8]) {
        let mut bodies = Vec::new();
        self.journal.pause(true);
        for record in Records::from_bytes(records).bytes().filter_map(Record::read) {
            let restored = self.restore(&record);
            if let (Record::Body { body, .. }, Ok(true)) = (&record, &restored) {
                bodies.extend(self.body_numbered(*body).map(|id| (*body, id)));
            }
            if restored.is_err() {
                self.counters.count_dropped(DropReason::Memory, 1);
            }
        }
        for (number, body) in bodies {
            self.forget_body(number);
            self.bodies.set_number(BodyId(body.0), 0);
        }
        let id = self.session_numbered(SESSION);
        self.body_index = S::BodyIndex::EMPTY;
        self.number_index = S::SessionIndex::EMPTY;
        self.journal.pause(false);
        let Some(id) = id else { return };
        if let Some(session) = self.session_mut(id) {
            session.number = 0;
            session.outgoing.complete_ids();
        }
        self.set_session_timer(id);
        self.record_whole_session(id);
    }
}
