//! Messages from the server: taken in once, in order, within what was agreed.

use super::Client;
use super::error::{Lost, PeerError};
use super::event::{AckToken, Event, Message, Topic};
use super::inbound::Stop;
use crate::codec::{Ack, AckKind, Delivery, Publish};
use crate::flow::receive::{Failure, Owed, Seen};
use crate::storage::Storage;
use crate::types::{PacketId, QoS, ReasonCode};

impl<S: Storage> Client<S> {
    #[inline]
    pub(super) fn handle_publish<'a>(
        &mut self,
        publish: Publish<'a>,
    ) -> Result<Option<Event<'a>>, Stop<'a>> {
        self.check_window(&publish)?;
        let topic = self.resolve_topic(&publish)?;
        let Some(ack) = self.take_in(publish.delivery)? else { return Ok(None) };
        self.hand(ack);
        Ok(Some(Event::Message(message(topic, &publish, ack))))
    }

    /// The application gets a message: the next call settles it, unless it does so itself.
    #[inline]
    pub(super) fn hand(&mut self, ack: AckToken) {
        if !self.settings.manual_ack && ack.qos != QoS::AtMostOnce {
            self.handed = ack;
        }
    }

    /// That there is room for the message, and that the server may send it now.
    #[inline]
    pub(super) fn check_window<'a>(&mut self, publish: &Publish<'_>) -> Result<(), Stop<'a>> {
        let qos = publish.delivery.qos();
        if qos == QoS::AtMostOnce {
            return Ok(());
        }
        if self.version.is_v5() && self.received >= self.receive_maximum() {
            return Err(self.misbehaved(PeerError::ReceiveMaximum).into()); // [MQTT5-3.3.4-9]
        }
        // Before MQTT 5 the server can't be told how many; it waits for the acknowledgements.
        let room = match publish.delivery.packet_id() {
            Some(id) if qos == QoS::ExactlyOnce => {
                // What the server is about to release makes room, once it knows that it may. If it
                // knows, and sends another first, then only the next connection helps.
                let knows = self.pubrecs.len() == 0 && !self.outbox.has_output();
                let fits = self.receipts.has_room() || self.receipts.get(id).is_some();
                self.pubrecs.has_room() && (fits || knows)
            }
            _ => self.pubacks.has_room(),
        };
        if room { Ok(()) } else { Err(Stop::Later) }
    }

    /// What the topic is, and what its alias stands for from now on, whatever becomes of the
    /// message.
    #[cfg(feature = "v5")]
    #[inline]
    pub(super) fn resolve_topic<'a>(
        &mut self,
        publish: &Publish<'a>,
    ) -> Result<Topic<'a>, Lost<'a>> {
        let alias = publish.properties.topic_alias();
        let Some(alias) = alias.map(|alias| alias.get()) else {
            return match publish.topic {
                Some(topic) => Ok(Topic::Text(topic)),
                None => Err(self.misbehaved(PeerError::UnknownAlias)),
            };
        };
        if alias > self.aliases_in.maximum() {
            return Err(self.misbehaved(PeerError::TopicAlias)); // [MQTT5-3.3.2-11]
        }
        match publish.topic {
            Some(topic) => match self.aliases_in.set(alias, topic) {
                Ok(()) => Ok(Topic::Text(topic)), // [MQTT5-3.3.2-10]
                Err(_) => Err(self.misbehaved(PeerError::AliasMemory)),
            },
            None if self.aliases_in.topic(alias).is_some() => Ok(Topic::Alias(alias)),
            None => Err(self.misbehaved(PeerError::UnknownAlias)),
        }
    }

    #[cfg(not(feature = "v5"))]
    #[inline]
    pub(super) fn resolve_topic<'a>(
        &mut self,
        publish: &Publish<'a>,
    ) -> Result<Topic<'a>, Lost<'a>> {
        match publish.topic {
            Some(topic) => Ok(Topic::Text(topic)),
            None => Err(self.misbehaved(PeerError::UnexpectedPacket)),
        }
    }

    /// Registers what the message owes, as its QoS says, whoever asked for it or nobody
    /// [MQTT5-3.3.4-1, MQTT5-4.5.0-2, MQTT3-3.3.4-1, MQTT3-4.5.0-2]; `None` if it was taken in
    /// before.
    #[inline]
    pub(super) fn take_in<'a>(&mut self, delivery: Delivery) -> Result<Option<AckToken>, Lost<'a>> {
        let qos = delivery.qos();
        let Some(id) = delivery.packet_id() else {
            return Ok(Some(AckToken::NOTHING));
        };
        self.received = self.received.saturating_add(1);
        if qos == QoS::ExactlyOnce {
            return self.take_in_exactly_once(id);
        }
        // Each arrival is a new message [MQTT5-4.3.2-5]; the room was made sure of.
        let ticket = self.pubacks.enter(id, false).unwrap_or_default();
        Ok(Some(AckToken { ticket, id: Some(id), qos }))
    }

    fn take_in_exactly_once<'a>(&mut self, id: PacketId) -> Result<Option<AckToken>, Lost<'a>> {
        let before = self.receipts.get(id).map(|receipt| receipt.owed);
        // One that came before waits for the same record, on whatever connection [MQTT5-4.3.3-10].
        let unrecorded =
            self.receipts.get(id).map_or(self.settings.store, |receipt| receipt.unrecorded);
        let ticket = self.pubrecs.enter(id, unrecorded).unwrap_or_default();
        match self.receipts.advance(id, Seen::Publish, ticket) {
            Ok(_) => {}
            Err(Failure::Full | Failure::Unexpected) => {
                return Err(self.misbehaved(PeerError::ReceiveMaximum));
            }
        }
        match before {
            None => {
                if let Some(receipt) = self.receipts.get_mut(id) {
                    receipt.unrecorded = unrecorded;
                }
                Ok(Some(AckToken { ticket, id: Some(id), qos: QoS::ExactlyOnce }))
            }
            // Received before, and not handed up again [MQTT5-4.3.3-10].
            Some(Owed::PubRel) => {
                self.pubrecs.answer_id(id, ReasonCode::Success);
                self.release_acks();
                Ok(None)
            }
            Some(Owed::PubRec) => Ok(None),
        }
    }

    pub(super) fn handle_pubrel<'a>(
        &mut self,
        ack: Ack<'a>,
    ) -> Result<Option<Event<'a>>, Lost<'a>> {
        let id = ack.packet_id;
        let known = self.receipts.get(id).is_some();
        if self.receipts.advance(id, Seen::PubRel, 0).is_err() {
            return Err(self.misbehaved(PeerError::PacketId));
        }
        self.received = self.received.saturating_sub(1);
        if known && self.settings.store {
            // The answer waits until the identifier is forgotten for good [MQTT5-4.3.3-12].
            self.record_forgotten(id);
            return Ok(None);
        }
        if self.journal.answer_when_forgotten(id) {
            return Ok(None); // it was forgotten, but not for good
        }
        let reason = if known { ReasonCode::Success } else { self.not_found() };
        self.send_ack(AckKind::Comp, Ack::with_reason(id, reason)); // [MQTT5-4.3.3-11]
        Ok(None)
    }
}

/// What the application is handed.
pub(super) const fn message<'a>(
    topic: Topic<'a>,
    publish: &Publish<'a>,
    ack: AckToken,
) -> Message<'a> {
    Message {
        topic,
        payload: publish.payload,
        qos: publish.delivery.qos(),
        retain: publish.retain,
        dup: publish.delivery.dup(),
        #[cfg(feature = "v5")]
        properties: publish.properties,
        ack,
    }
}
