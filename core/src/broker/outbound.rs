//! What is sent to a client: messages within its window, acknowledgements, what is sent again.

use super::Broker;
use super::body::Content;
use super::counters::DropReason;
use super::delivery::Delivery;
use super::durable::What;
use super::limits::mount_point;
use super::link::{ANSWER_ROOM, LinkId, Phase, Push};
use super::router::SEVERAL_IDS;
use super::session::SessionId;
use crate::Instant;
use crate::codec::{Ack, AckKind, Body, Field, Refusal, Sink, var_int_len};
use crate::flow::send::{Owed, Seen};
use crate::storage::{Arena, Storage};
use crate::types::{PacketId, QoS, ReasonCode, Version};

/// A PUBLISH as a broker sends it: the message, and what belongs to this copy alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    content: Content<'a>,
    first: u8,
    id: Option<PacketId>,
    expiry_secs: Option<u32>,
    /// The subscription identifier, or the run of several.
    pub(crate) subscription: u32,
    ids: &'a [u8],
    /// The topic alias, 0 for none; and whether the topic comes with it, to be known by it.
    alias: u16,
    with_topic: bool,
}

impl<'a> Frame<'a> {
    /// A copy at QoS 0.
    pub(crate) fn new(
        content: &Content<'a>,
        retain: bool,
        subscription: u32,
        now: Instant,
    ) -> Self {
        Self {
            content: *content,
            first: 0x30 | u8::from(retain),
            id: None,
            expiry_secs: content.remaining_secs(now),
            subscription,
            ids: &[],
            alias: 0,
            with_topic: true,
        }
    }

    pub(crate) const fn topic(&self) -> &'a [u8] {
        self.content.topic
    }

    pub(crate) const fn payload_len(&self) -> usize {
        self.content.payload.len()
    }

    /// The same as a client sees it before whose topics this stands; `None` if it is not of its
    /// world.
    #[inline]
    pub(crate) fn without(self, mount: &[u8]) -> Option<Self> {
        let topic = self.content.topic.strip_prefix(mount)?;
        Some(Self { content: Content { topic, ..self.content }, ..self })
    }

    /// The same with a topic alias [MQTT5-3.1.2-26, MQTT5-3.1.2-27].
    pub(crate) const fn aliased(&self, alias: u16, with_topic: bool) -> Self {
        Self { alias, with_topic, ..*self }
    }

    /// The same above QoS 0. DUP says whether it was sent before, and nothing else
    /// [MQTT5-3.3.1-1, MQTT5-3.3.1-3, MQTT3-3.3.1-3].
    fn at(mut self, qos: QoS, id: PacketId, dup: bool) -> Self {
        self.first |= qos.level() << 1 | u8::from(dup) << 3;
        self.id = Some(id);
        self
    }

    /// The same with the run of its identifiers.
    pub(crate) const fn with_ids<'b>(&self, ids: &'b [u8]) -> Frame<'b>
    where
        'a: 'b,
    {
        Frame {
            content: self.content,
            first: self.first,
            id: self.id,
            expiry_secs: self.expiry_secs,
            subscription: self.subscription,
            ids,
            alias: self.alias,
            with_topic: self.with_topic,
        }
    }

    fn each_id(&self) -> impl Iterator<Item = u32> + '_ {
        let one = (self.subscription != 0 && self.subscription & SEVERAL_IDS == 0)
            .then_some(self.subscription);
        let several = self.ids.as_chunks::<4>().0.iter().map(|id| u32::from_be_bytes(*id));
        one.into_iter().chain(several)
    }

    fn properties_len(&self) -> usize {
        let expiry = if self.expiry_secs.is_some() { 5 } else { 0_usize };
        let own = if self.alias == 0 { expiry } else { expiry.saturating_add(3) };
        self.each_id().fold(self.content.properties.len().saturating_add(own), |sum, id| {
            sum.saturating_add(1).saturating_add(var_int_len(id))
        })
    }
}

impl Body for Frame<'_> {
    fn first_byte(&self) -> u8 {
        self.first
    }

    fn check(&self, _: Version) -> Result<(), Refusal> {
        if self.content.topic.is_empty() {
            return Err(Refusal::TooLong(Field::TopicName));
        }
        Ok(())
    }

    #[inline]
    fn write(&self, version: Version, sink: &mut impl Sink) {
        sink.binary(if self.with_topic { self.content.topic } else { &[] });
        if let Some(id) = self.id {
            sink.u16(id.get());
        }
        if version.is_v5() {
            sink.var_int(self.properties_len() as u32);
            if let Some(secs) = self.expiry_secs {
                sink.u8(0x02);
                sink.put(&secs.to_be_bytes());
            }
            if self.alias != 0 {
                sink.u8(0x23);
                sink.u16(self.alias);
            }
            for id in self.each_id() {
                sink.u8(0x0B);
                sink.var_int(id);
            }
            sink.put(self.content.properties);
        }
        sink.put(self.content.payload);
    }
}

/// What came of the next delivery.
enum Sent {
    Yes,
    /// It has to wait, and all behind it.
    No,
}

impl<S: Storage> Broker<S> {
    /// Sends what waits for a session, as far as its window and its output allow.
    pub(super) fn pump(&mut self, id: SessionId) {
        self.pump_queue(id);
        while self.session(id).is_some_and(|session| session.cursor != 0) && self.feed(id) {
            self.pump_queue(id);
        }
        if self.waiting_entries != 0 {
            self.take_shared(id);
        }
    }

    /// Whether the CONNACK of a session's connection waits for the store.
    pub(super) fn is_fenced(&self, id: SessionId) -> bool {
        let slot = self.online(id);
        slot.and_then(|slot| self.links.get(slot)).is_some_and(|link| link.fence != 0)
    }

    pub(super) fn pump_queue(&mut self, id: SessionId) {
        let Some(slot) = self.online(id) else { return };
        loop {
            let Some(session) = self.session_mut(id) else { return };
            while session.outgoing.pop_settled().is_some() {}
            let Some(delivery) = session.outgoing.next().copied() else { break };
            match self.send_delivery(id, slot, &delivery) {
                Sent::Yes => {}
                Sent::No => break,
            }
        }
        if let Some(link) = self.link_id(slot) {
            self.touch(link);
        }
    }

    fn send_delivery(&mut self, id: SessionId, slot: u32, delivery: &Delivery) -> Sent {
        match delivery.owed {
            Owed::Publish1 | Owed::Publish2 => self.send_publish(id, slot, delivery),
            Owed::PubRel if !self.journal.is_durable(delivery.ticket) => {
                self.gate_session(id);
                Sent::No
            }
            Owed::PubRel => {
                let Some(session) = self.session_mut(id) else { return Sent::No };
                let Some(packet_id) = session.outgoing.peek_id() else { return Sent::No };
                if !self.send_ack(slot, AckKind::Rel, Ack::new(packet_id)) {
                    return Sent::No;
                }
                self.step(id)
            }
            _ => self.step(id),
        }
    }

    fn step(&mut self, id: SessionId) -> Sent {
        match self.session_mut(id).map(|session| session.outgoing.send_next()) {
            Some(_) => Sent::Yes,
            None => Sent::No,
        }
    }

    fn send_publish(&mut self, id: SessionId, slot: u32, delivery: &Delivery) -> Sent {
        let counted = delivery.qos != QoS::AtMostOnce;
        if counted && !self.links.get(slot).is_some_and(|link| link.quota.is_open()) {
            return Sent::No; // [MQTT5-3.3.4-9]
        }
        if !self.may_send(id, delivery) {
            return Sent::No;
        }
        let Some(content) = self.bodies.get(delivery.body) else {
            return self.skip(id, delivery);
        };
        let was_sent = counted && delivery.was_sent();
        if !was_sent && !self.may_read(id, content.topic) {
            self.drop_queued(DropReason::Rights, id, delivery);
            return self.skip(id, delivery);
        }
        // A message that came since has taken its place, and comes by itself.
        if delivery.stored && !was_sent && !self.is_retained(content.topic, delivery.body) {
            return self.skip(id, delivery);
        }
        // One that was sent is carried through, expired or not [MQTT5-4.3.3-7, MQTT5-4.3.3-13].
        if content.is_expired(self.now) && !was_sent {
            self.drop_queued(DropReason::Expired, id, delivery);
            return self.skip(id, delivery); // [MQTT5-3.3.2-5]
        }
        let Some(link) = self.links.get_mut(slot) else { return Sent::No };
        let Some(session) = self.sessions.get_mut(id.slot) else { return Sent::No };
        let Some(packet_id) = session.outgoing.peek_id() else { return Sent::No };
        let frame = Frame::new(&content, delivery.retain, delivery.subscription, self.now);
        let frame = if counted { frame.at(delivery.qos, packet_id, was_sent) } else { frame };
        let frame = frame.with_ids(self.bodies.ids_of(delivery.subscription));
        let mount = mount_point(&self.limit_sets, &self.rule_runs, link.limits);
        let Some(frame) = frame.without(mount) else {
            self.drop_queued(DropReason::Rights, id, delivery);
            return self.skip(id, delivery);
        };
        let payload = frame.payload_len();
        match link.push_publish(&frame, self.options.output_bytes) {
            Push::Sent if counted => {
                link.quota.take();
                // At QoS 2 it goes to no other member of a group now [MQTT5-4.8.2-5].
                let twice = |next: &&mut Delivery| next.qos == QoS::ExactlyOnce;
                let next = session.outgoing.next_mut().filter(twice);
                let entry = next.and_then(Delivery::keep);
                session.outgoing.send_next();
                if let Some(entry) = entry {
                    self.end_entry(entry);
                }
                match was_sent {
                    true => self.counters.count_others(1),
                    false => self.counters.count_delivered(delivery.qos, payload),
                }
                Sent::Yes
            }
            Push::Sent => {
                self.counters.count_delivered(QoS::AtMostOnce, payload);
                self.skip(id, delivery)
            }
            Push::NoRoom => Sent::No,
            Push::TooLarge | Push::Wrong(_) => {
                // As if it had been sent and settled [MQTT5-3.1.2-25].
                self.drop_queued(DropReason::TooLarge, id, delivery);
                self.skip(id, delivery)
            }
        }
    }

    /// The next delivery needs nothing more.
    fn skip(&mut self, id: SessionId, delivery: &Delivery) -> Sent {
        let Some(session) = self.session_mut(id) else { return Sent::No };
        let place = session.outgoing.place(session.outgoing.next_at());
        session.outgoing.settle_next();
        if delivery.qos != QoS::AtMostOnce || !delivery.was_sent() {
            self.record_settled(id, place, delivery); // or it was before
        }
        self.let_go(delivery);
        Sent::Yes
    }

    /// Whether it was sent. Nothing is behind a DISCONNECT [MQTT5-3.14.4-1].
    pub(super) fn send_ack(&mut self, slot: u32, kind: AckKind, ack: Ack<'_>) -> bool {
        let link = self.links.get_mut(slot).filter(|link| link.phase == Phase::Open);
        let sent = link.map(|link| link.push(&(kind, ack)));
        self.counters.count_others(u64::from(sent == Some(Push::Sent)));
        if let Some(link) = self.link_id(slot) {
            self.touch(link);
        }
        sent == Some(Push::Sent)
    }

    /// A session can be sent more, perhaps.
    pub(super) fn go_on(&mut self, id: SessionId) {
        if self.session(id).is_some_and(|session| session.resuming) {
            self.resume(id);
        } else {
            self.pump(id);
        }
    }

    /// A session has a connection: what was not settled goes again, in order, PUBRELs first, which
    /// wait for no window [MQTT5-4.4.0-1, MQTT5-3.3.4-10, MQTT5-4.6.0-1, MQTT3-4.4.0-1]. That holds
    /// for the copies of groups too [MQTT5-4.8.2-4].
    pub(super) fn resume(&mut self, id: SessionId) {
        let Some(slot) = self.online(id) else { return };
        let mut from = 0;
        let mut left = false;
        while let Some((at, packet_id)) =
            self.session(id).and_then(|session| session.outgoing.next_release(from))
        {
            let ticket = self.session(id).and_then(|session| session.outgoing.at(at));
            if !self.journal.is_durable(ticket.map_or(0, |delivery| delivery.ticket)) {
                self.gate_session(id); // its record is not kept yet
                left = true;
                break;
            }
            if !self.send_ack(slot, AckKind::Rel, Ack::new(packet_id)) {
                left = true;
                break;
            }
            if let Some(session) = self.session_mut(id) {
                session.outgoing.released_at(at);
            }
            from = at.saturating_add(1);
        }
        if let Some(session) = self.session_mut(id) {
            session.resuming = left;
        }
        self.pump(id);
    }

    /// A client settles a message of ours: PUBACK, or a PUBREC that refuses.
    pub(super) fn settle(&mut self, link: LinkId, id: SessionId, seen: Seen, ack: &Ack<'_>) {
        let Some(session) = self.session_mut(id) else { return };
        let place = session.outgoing.place_of(ack.packet_id);
        // One that is unknown, or not sent again yet, is nobody's loss.
        let Ok((before, _)) = session.outgoing.advance(ack.packet_id, seen) else { return };
        if ack.reason.is_error() {
            // Discarded, and never sent to anybody instead [MQTT5-4.4.0-2, MQTT5-4.8.2-6].
            self.drop_queued(DropReason::Refused, id, &before);
        }
        if let Some(place) = place {
            self.record_settled(id, place, &before);
        }
        if before.holds_body() {
            self.let_go(&before);
        }
        self.give_quota(link);
        self.pump(id);
    }

    fn give_quota(&mut self, link: LinkId) {
        if let Some(link) = self.link_mut(link) {
            link.quota.give();
        }
    }

    /// PUBREC: from here on the PUBLISH is never sent again [MQTT5-4.3.3-6].
    pub(super) fn handle_pubrec(&mut self, link: LinkId, id: SessionId, ack: &Ack<'_>) {
        if ack.reason.is_error() {
            return self.settle(link, id, Seen::Refusal, ack);
        }
        let Some(session) = self.session_mut(id) else { return };
        match session.outgoing.advance(ack.packet_id, Seen::PubRec) {
            Ok((before, _)) => {
                let ticket = self.record_released(id, ack.packet_id, &before);
                if before.holds_body() {
                    self.let_go(&before);
                }
                // [MQTT5-4.3.3-4]
                self.answer_after(link, ticket, What::Release(ack.packet_id));
            }
            // It goes again before long, and then it is answered.
            Err(_) if session.outgoing.holds(ack.packet_id) => {}
            Err(_) => {
                let answer = Ack::with_reason(ack.packet_id, self.not_found(link));
                self.send_ack(link.slot, AckKind::Rel, answer);
            }
        }
    }

    /// "Not found", where the version can say it.
    pub(super) fn not_found(&self, link: LinkId) -> ReasonCode {
        match self.link(link) {
            Some(link) if link.version.is_v5() => ReasonCode::PacketIdentifierNotFound,
            _ => ReasonCode::Success,
        }
    }

    pub(super) fn handle_pubcomp(&mut self, link: LinkId, id: SessionId, ack: &Ack<'_>) {
        let Some(session) = self.session_mut(id) else { return };
        let place = session.outgoing.place_of(ack.packet_id);
        if let Ok((before, _)) = session.outgoing.advance(ack.packet_id, Seen::PubComp) {
            if let Some(place) = place {
                self.record_settled(id, place, &before);
            }
            self.give_quota(link);
            self.pump(id);
        }
    }

    /// Whether a connection has room for whatever one packet may be answered with, and `more`
    /// bytes. If nothing else waits, room is made.
    pub(super) fn has_answer_room(&mut self, id: LinkId, more: usize) -> bool {
        let needed = ANSWER_ROOM.saturating_add(more);
        self.link_mut(id).is_some_and(|link| link.is_idle() || link.has_room(needed))
    }

    /// A connection that is open.
    pub(super) fn open_session(&self, id: LinkId) -> Option<(Version, SessionId)> {
        let link = self.link(id).filter(|link| link.phase == Phase::Open)?;
        Some((link.version, link.session?))
    }
}
