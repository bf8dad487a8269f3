//! What clients send, packet by packet.

use super::Broker;
use super::asking::Unanswered;
use super::body::Content;
use super::counters::DropReason;
use super::durability::Durability;
use super::durable::What;
use super::event::{Ended, Event, Input};
use super::link::{LinkId, Phase, Push};
use super::local::Post;
use super::router::Routed;
use super::session::SessionId;
use super::will::forwarded;
use crate::Instant;
use crate::codec::{
    Ack, AckKind, Delivery, Disconnect, Packet, PacketType, Ping, Publish, Sender, frame_len,
    frame_len_of,
};
use crate::flow::receive;
use crate::flow::send::Seen;
use crate::storage::{Arena, Memory, Storage};
use crate::types::{QoS, ReasonCode, TopicName};

impl<S: Storage> Broker<S> {
    /// Takes in what a client sent; `input` is moved behind what was taken.
    pub fn handle_input(&mut self, id: LinkId, input: &mut &[u8], now: Instant) -> Input {
        self.now = self.now.max(now);
        let before = input.len();
        let result = self.handle_bytes(id, input);
        self.check_journal();
        let taken = before.saturating_sub(input.len()) as u64;
        self.counters.bytes_in = self.counters.bytes_in.saturating_add(taken);
        let left = input.len();
        if let Some(link) = self.link_mut(id) {
            link.blocked = result == Input::Blocked;
            link.hear(before, left, now);
        }
        result
    }

    fn handle_bytes(&mut self, id: LinkId, input: &mut &[u8]) -> Input {
        loop {
            let Some(link) = self.link(id) else { return Input::Close };
            let result = match link.phase {
                Phase::Silent => self.handle_connect(id, input),
                Phase::Asking => Input::Blocked,
                #[cfg(feature = "alloc")]
                Phase::Claiming | Phase::Moved => Input::Blocked,
                #[cfg(feature = "auth")]
                Phase::Continuing => self.handle_continuing(id, input),
                Phase::Open => return self.handle_packets(id, input),
                Phase::Closing => {
                    *input = &[];
                    return Input::Close;
                }
            };
            let accepted = self.link(id).is_some_and(|link| link.phase == Phase::Open);
            if !accepted {
                return result;
            }
        }
    }

    fn handle_packets(&mut self, id: LinkId, input: &mut &[u8]) -> Input {
        while let Some((version, session)) = self.open_session(id) {
            if input.is_empty() {
                return Input::More;
            }
            if self.link(id).is_some_and(|link| link.question.is_open()) {
                return Input::Blocked;
            }
            if !self.has_answer_room(id, codes_asked(input)) {
                return Input::Blocked; // until the client reads
            }
            if !self.has_gate_room(id) {
                self.note_gated(id);
                return Input::Blocked; // until the store has caught up
            }
            let limit = self.link_limits(id).max_packet_size as usize;
            if !self.may_take(id, input) {
                return Input::Blocked; // until its second is over
            }
            if matches!(frame_len(input, version), Ok(Some(len)) if len > limit) {
                self.close_link(id, ReasonCode::PacketTooLarge); // [MQTT5-3.2.2-15]
                return Input::Close;
            }
            let before = *input;
            match Packet::decode(input, version, Sender::Client) {
                Ok(Some(packet)) => {
                    let is_message = matches!(packet, Packet::Publish(_));
                    if self.handle_packet(id, session, packet) {
                        let others = u64::from(!is_message);
                        self.counters.others_in = self.counters.others_in.saturating_add(others);
                        self.forget_answer(id);
                        continue;
                    }
                    let len = before.len().saturating_sub(input.len());
                    *input = before;
                    if self.ask_about(id, before.get(..len).unwrap_or_default()) {
                        return Input::Blocked; // until the host has answered
                    }
                }
                Ok(None) => return Input::More,
                Err(error) => self.close_link(id, error.reason_code()), // [MQTT3-4.8.0-1]
            }
        }
        Input::Close
    }

    /// Whether it was taken; if not, the host is to be asked about it first.
    fn handle_packet(&mut self, id: LinkId, session: SessionId, packet: Packet<'_>) -> bool {
        match packet {
            Packet::Publish(publish) => return self.handle_publish(id, session, &publish),
            Packet::PubAck(ack) => self.settle(id, session, Seen::PubAck, &ack),
            Packet::PubRec(ack) => self.handle_pubrec(id, session, &ack),
            Packet::PubRel(ack) => self.handle_pubrel(id, session, &ack),
            Packet::PubComp(ack) => self.handle_pubcomp(id, session, &ack),
            Packet::Subscribe(subscribe) if self.must_ask(id, session, &subscribe) => return false,
            Packet::Subscribe(subscribe) => self.handle_subscribe(id, session, &subscribe),
            Packet::Unsubscribe(packet) => self.handle_unsubscribe(id, session, &packet),
            Packet::PingReq => {
                // [MQTT5-3.12.4-1, MQTT3-3.12.4-1]
                let link = self.link_mut(id);
                let sent = link.map(|link| link.push(&Ping(PacketType::PingResp)));
                self.counters.count_others(u64::from(sent == Some(Push::Sent)));
                self.touch(id);
            }
            Packet::Disconnect(disconnect) => self.handle_disconnect(id, session, &disconnect),
            #[cfg(feature = "auth")]
            Packet::Auth(auth) => self.handle_auth(id, &auth),
            // A second CONNECT [MQTT5-3.1.0-2, MQTT3-3.1.0-2].
            _ => self.close_link(id, ReasonCode::ProtocolError),
        }
        true
    }

    fn handle_publish(&mut self, id: LinkId, session: SessionId, publish: &Publish<'_>) -> bool {
        // The alias holds whatever becomes of the message.
        let mut copy = core::mem::replace(&mut self.topic_copy, S::Aliases::EMPTY);
        copy.set_limit(usize::MAX);
        let taken = match self.resolve_topic(id, publish, &mut copy) {
            Ok(topic) => self.handle_mounted(id, session, publish, topic),
            Err(reason) => {
                self.close_link(id, reason);
                true
            }
        };
        self.topic_copy = copy;
        taken
    }

    /// What follows sees the whole topic.
    fn handle_mounted(
        &mut self,
        id: LinkId,
        session: SessionId,
        publish: &Publish<'_>,
        topic: TopicName<'_>,
    ) -> bool {
        let limits = self.link(id).map_or(0, |link| link.limits);
        let mut memory = self.take_mounted();
        let mut taken = true;
        match self.mount_topic(limits, topic.as_bytes(), &mut memory) {
            Ok(whole) => {
                let refused = if self.is_repeated(session, publish) {
                    Ok(None) // whatever it is, it was decided
                } else if self.may_publish(limits, topic.as_bytes()) {
                    self.permit(id, session, whole)
                } else {
                    Ok(Some(ReasonCode::TopicNameInvalid))
                };
                match refused {
                    Ok(refused) => {
                        let (topic, class) =
                            (TopicName::trusted(whole), self.class_of(limits, whole));
                        let message = Incoming { publish, topic, refused, class };
                        self.journal.relax(class != Durability::Durable);
                        self.handle_message(id, session, &message);
                        self.journal.relax(false);
                    }
                    Err(Unanswered) => taken = false,
                }
            }
            Err(_) => self.close_link(id, ReasonCode::QuotaExceeded),
        }
        self.mounted = memory;
        taken
    }

    /// Whether a QoS 2 message has come before.
    fn is_repeated(&self, session: SessionId, publish: &Publish<'_>) -> bool {
        let Delivery::ExactlyOnce { packet_id, .. } = publish.delivery else { return false };
        self.session(session).is_some_and(|session| session.receipts.get(packet_id).is_some())
    }

    /// The topic of a message; one that an alias stands for is copied.
    fn resolve_topic<'t>(
        &mut self,
        id: LinkId,
        publish: &Publish<'t>,
        copy: &'t mut S::Aliases,
    ) -> Result<TopicName<'t>, ReasonCode> {
        #[cfg(feature = "v5")]
        if let Some(alias) = publish.properties.topic_alias().map(|alias| alias.get()) {
            let Some(link) = self.link_mut(id) else { return Err(ReasonCode::UnspecifiedError) };
            if alias > link.aliases_in.maximum() {
                return Err(ReasonCode::TopicAliasInvalid); // [MQTT5-3.3.2-9]
            }
            if let Some(topic) = publish.topic {
                link.aliases_in.set(alias, topic).map_err(|_| ReasonCode::QuotaExceeded)?;
                return Ok(topic); // [MQTT5-3.3.2-12]
            }
            let topic = link.aliases_in.topic(alias).ok_or(ReasonCode::ProtocolError)?;
            let bytes = topic.as_bytes();
            copy.resize(bytes.len()).map_err(|_| ReasonCode::QuotaExceeded)?;
            copy.bytes_mut().copy_from_slice(bytes);
            return Ok(TopicName::trusted(copy.bytes()));
        }
        let _ = (id, copy);
        publish.topic.ok_or(ReasonCode::ProtocolError)
    }

    fn handle_message(&mut self, id: LinkId, session: SessionId, message: &Incoming<'_>) {
        let publish = message.publish;
        self.counters.count_published(publish.delivery.qos(), publish.payload.len());
        self.count_rate(id);
        let limits = self.link_limits(id);
        if publish.delivery.qos() > limits.maximum_qos {
            return self.close_link(id, ReasonCode::QoSNotSupported);
        }
        if publish.retain && !limits.retain {
            return self.close_link(id, ReasonCode::RetainNotSupported);
        }
        let mark = self.journal.mark();
        self.begin_batch();
        match publish.delivery {
            Delivery::AtMostOnce => {
                if message.refused.is_none() {
                    self.route_publish(session, message);
                    self.due_since(mark, message.class);
                }
            }
            Delivery::AtLeastOnce { packet_id, .. } => {
                self.revocable_once = message.class == Durability::Durable;
                let reason = self.take_message(id, session, message);
                self.revocable_once = false;
                let (ticket, batch) = (self.due_since(mark, message.class), self.take_batch());
                // [MQTT5-4.3.2-4, MQTT3-4.3.2-2]
                self.answer_after_all(
                    id,
                    ticket,
                    batch,
                    What::Ack(AckKind::Ack, packet_id, reason),
                );
            }
            Delivery::ExactlyOnce { packet_id, .. } => {
                self.handle_exactly_once(id, session, message, packet_id);
            }
        }
    }

    /// Routes a message that is acknowledged, if it may be; the reason for its acknowledgement.
    fn take_message(
        &mut self,
        id: LinkId,
        session: SessionId,
        message: &Incoming<'_>,
    ) -> ReasonCode {
        let v5 = self.link(id).is_some_and(|link| link.version.is_v5());
        let reason = if self.journal.failed && message.class != Durability::Memory {
            ReasonCode::QuotaExceeded
        } else if let Some(refused) = message.refused {
            refused
        } else {
            match self.route_publish(session, message) {
                Routed::Wanted => ReasonCode::Success,
                Routed::Nobody => ReasonCode::NoMatchingSubscribers,
                Routed::NoRoom => ReasonCode::QuotaExceeded,
            }
        };
        if reason == ReasonCode::QuotaExceeded {
            // Nothing is acknowledged that can't be kept [MQTT3-4.8.0-2].
            if !v5 {
                self.close_link(id, reason);
            }
            return reason;
        }
        // MQTT 3 can't say it: the message is acknowledged, and dropped [MQTT3-3.3.5-2].
        if v5 { reason } else { ReasonCode::Success }
    }

    fn handle_exactly_once(
        &mut self,
        id: LinkId,
        session: SessionId,
        message: &Incoming<'_>,
        packet_id: crate::PacketId,
    ) {
        let mark = self.journal.mark();
        // A repeated one waits for the same.
        let mut batch = self.received_batch(session, packet_id.get(), false);
        let Some(state) = self.session_mut(session) else { return };
        let known = state.receipts.get(packet_id).map(|receipt| receipt.token);
        let mut reason = ReasonCode::Success;
        let mut ticket = known.unwrap_or_default();
        if known.is_none() {
            // Not routed, if it could not be remembered that it was.
            if state.receipts.advance(packet_id, receive::Seen::Publish, 0).is_err() {
                return self.close_link(id, ReasonCode::ReceiveMaximumExceeded);
            }
            let class = message.class;
            if self.recorded(session).is_some() && class != Durability::Memory {
                self.route_ticket = self.journal.open_ticket();
            }
            self.revocable = class == Durability::Durable;
            reason = self.take_message(id, session, message);
            (self.route_ticket, self.revocable) = (0, false);
            let refused = reason.is_error();
            if !refused && class != Durability::Memory {
                self.record_received(session, packet_id);
            }
            let kept = self.ticket_since(mark); // copies wait for it, though the client may not
            ticket = if class == Durability::Durable { kept } else { 0 };
            batch = self.take_batch();
            self.note_received(session, packet_id.get(), batch);
            let Some(state) = self.session_mut(session) else { return };
            let seen = if refused { receive::Seen::Refused } else { receive::Seen::Accepted };
            let _ = state.receipts.advance(packet_id, seen, 0);
            if let Some(receipt) = state.receipts.get_mut(packet_id) {
                receipt.token = ticket;
                receipt.unrecorded = class == Durability::Memory;
            }
        }
        // Answered each time, routed once [MQTT5-4.3.3-8, MQTT5-4.3.3-10, MQTT3-4.3.3-2].
        self.answer_after_all(id, ticket, batch, What::Ack(AckKind::Rec, packet_id, reason));
    }

    fn handle_pubrel(&mut self, id: LinkId, session: SessionId, ack: &Ack<'_>) {
        let Some(state) = self.session_mut(session) else { return };
        let receipt = state.receipts.get(ack.packet_id).copied();
        let known = receipt.is_some();
        if state.receipts.advance(ack.packet_id, receive::Seen::PubRel, 0).is_err() {
            return self.close_link(id, ReasonCode::ProtocolError);
        }
        let reason = if known { ReasonCode::Success } else { self.not_found(id) };
        let mark = self.journal.mark();
        if known {
            if receipt.is_some_and(|receipt| !receipt.unrecorded) {
                self.record_forgotten(session, ack.packet_id);
            }
            self.received_batch(session, ack.packet_id.get(), true);
        }
        let ticket = self.ticket_since(mark);
        // [MQTT5-4.3.3-11]
        self.answer_after(id, ticket, What::Ack(AckKind::Comp, ack.packet_id, reason));
    }

    fn route_publish(&mut self, session: SessionId, message: &Incoming<'_>) -> Routed {
        let Incoming { publish, topic, .. } = *message;
        #[cfg(feature = "v5")]
        let expiry = publish.properties.message_expiry_interval();
        #[cfg(not(feature = "v5"))]
        let expiry: Option<u32> = None;
        let expires = expiry.map(|secs| self.now.plus_secs(secs));
        let publisher = self.session(session).map(|one| one.publisher).unwrap_or_default();
        let mut scratch = self.take_scratch();
        let routed = match forwarded(&publish.properties, &mut scratch) {
            Ok(properties) => {
                let content = Content {
                    topic: topic.as_bytes(),
                    properties,
                    payload: publish.payload,
                    expires,
                    publisher,
                    fleeting: message.class == Durability::Memory,
                };
                self.route(&content, publish.delivery.qos(), publish.retain)
            }
            Err(_) => {
                let qos = publish.delivery.qos();
                self.drop_copy(DropReason::Memory, None, qos, topic.as_bytes());
                Routed::NoRoom
            }
        };
        self.put_scratch(scratch);
        routed
    }

    /// The client says goodbye [MQTT5-3.14.4-3, MQTT3-3.14.4-3].
    fn handle_disconnect(&mut self, id: LinkId, session: SessionId, disconnect: &Disconnect<'_>) {
        #[cfg(feature = "v5")]
        if let Some(secs) = disconnect.properties.session_expiry_interval() {
            let most = self.link(id).map_or(0, |link| link.expiry_max_secs);
            let Some(state) = self.session_mut(session) else { return };
            if state.expiry_secs == 0 && secs != 0 {
                return self.close_link(id, ReasonCode::ProtocolError); // MQTT5 3.14.2.2.2
            }
            state.expiry_secs = secs.min(most);
            self.record_session(session);
        }
        if let Some(link) = self.link_mut(id) {
            link.phase = Phase::Closing;
            link.session = None;
        }
        self.detach(session, disconnect.reason != ReasonCode::NORMAL_DISCONNECTION);
        self.tell(Event::Disconnected { link: id, why: Ended::Disconnected });
        let _ = self.drop_link(id, ReasonCode::Success);
    }

    /// A transport is gone.
    pub fn handle_close(&mut self, id: LinkId, now: Instant) {
        self.now = self.now.max(now);
        let Some(link) = self.link_mut(id) else { return };
        let session = link.session.take();
        self.link_timers.clear(id.slot);
        self.clear_gate(id);
        self.forget_link(id);
        self.links.remove(id.slot);
        if let Some(session) = session {
            self.detach(session, true);
            self.tell(Event::Disconnected { link: id, why: Ended::Closed });
        }
    }

    /// Publishes a message of the host's own, at this QoS; whether anybody wanted it. It is the
    /// short form of [`Broker::post`].
    pub fn publish(
        &mut self,
        topic: TopicName<'_>,
        payload: &[u8],
        qos: QoS,
        retain: bool,
        now: Instant,
    ) -> bool {
        let post = Post { qos, retain, ..Post::new(topic, payload) };
        self.post(&post, now).reason == ReasonCode::Success
    }
}

/// A message that came, with its whole topic.
#[derive(Clone, Copy, Debug)]
struct Incoming<'p> {
    publish: &'p Publish<'p>,
    topic: TopicName<'p>,
    /// Why it goes nowhere.
    refused: Option<ReasonCode>,
    /// How long it is kept.
    class: Durability,
}

/// How many codes the answer to the packet that begins `input` may have: one for each filter.
fn codes_asked(input: &[u8]) -> usize {
    match (input, frame_len_of(input)) {
        ([0x82 | 0xA2, ..], Some(len)) => len / 3,
        _ => 0,
    }
}
