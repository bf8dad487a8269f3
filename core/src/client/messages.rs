//! Messages from the server: taken in once, in order, within what was agreed.

use super::Client;
use super::error::PeerError;
use super::event::{AckToken, Event, Message, Topic};
use crate::codec::{AckKind, Delivery, FixedHeader, Publish, Sender};
use crate::flow::receive::{Owed, Seen};
use crate::flow::{QOS2, SESSION};
use crate::storage::{Full, Storage};
use crate::types::{PacketId, QoS, ReasonCode};

impl<S: Storage> Client<S> {
    /// A message as nearly all are. Whatever is unusual about it, it stays, and is taken in by
    /// [`Client::handle_publish`].
    #[cfg_attr(feature = "alloc", inline(always))]
    pub(super) fn take_message<'a>(&mut self, input: &mut &'a [u8]) -> Option<Message<'a>> {
        let (first, body, rest) = FixedHeader::split_publish(input)?;
        if body.len() > self.whole_up_to {
            return None;
        }
        let publish = if self.version.is_v5() {
            Publish::ordinary::<true>(first, body, Sender::Server)?
        } else {
            Publish::ordinary::<false>(first, body, Sender::Server)?
        };
        let topic = publish.topic.filter(|_| !publish.properties.has_topic_alias())?;
        let ack = match publish.delivery {
            Delivery::AtMostOnce => AckToken::NOTHING,
            Delivery::AtLeastOnce { .. } if !self.settings.manual_ack => {
                self.take_in(publish.delivery).ok()??
            }
            _ => return None,
        };
        *input = rest;
        Some(message(Topic::Text(topic), &publish, ack))
    }

    /// A message came; `None` if it was taken in before.
    pub(super) fn handle_publish<'a>(
        &mut self,
        publish: &Publish<'a>,
    ) -> Result<Option<Event<'a>>, Fault> {
        if publish.properties.has_topic_alias() {
            self.learn_alias(publish)?;
        }
        let Some(ack) = self.take_in(publish.delivery)? else { return Ok(None) };
        let topic = publish.topic.map(Topic::Text).or_else(|| alias(publish));
        Ok(topic.map(|topic| Event::Message(message(topic, publish, ack))))
    }

    /// That there is room for the message, and that the server may send it now.
    pub(super) fn check_window(&self, delivery: Delivery) -> Result<(), Fault> {
        let room = match delivery {
            Delivery::AtMostOnce => return Ok(()),
            Delivery::AtLeastOnce { .. } => self.pubacks.has_room(),
            Delivery::ExactlyOnce { packet_id, .. } => {
                // What the server is about to release makes room, once it knows that it may. If it
                // knows, and sends another first, then only the next connection helps.
                self.pubrecs.has_room()
                    && (self.receipts.has_room()
                        || self.receipts.get(packet_id).is_some()
                        || self.pubrecs.len() == 0 && !self.outbox.has_output())
            }
        };
        self.check_receive_maximum()?;
        if room { Ok(()) } else { Err(Fault::Later) }
    }

    #[inline]
    fn check_receive_maximum(&self) -> Result<(), Fault> {
        if cfg!(feature = "v5") && self.received >= self.receive_limit {
            return Err(Fault::Peer(PeerError::ReceiveMaximum)); // [MQTT5-3.3.4-9]
        }
        Ok(())
    }

    /// What an alias stands for from now on, whatever becomes of the message.
    #[cfg(feature = "v5")]
    #[inline(never)]
    pub(super) fn learn_alias(&mut self, publish: &Publish<'_>) -> Result<(), Fault> {
        let alias = publish.properties.alias().ok_or(PeerError::UnknownAlias)?;
        if alias > self.aliases_in.maximum() {
            return Err(PeerError::TopicAlias.into()); // [MQTT5-3.3.2-11]
        }
        match publish.topic {
            // [MQTT5-3.3.2-10]
            Some(topic) => {
                Ok(self.aliases_in.set(alias, topic).map_err(|_| PeerError::AliasMemory)?)
            }
            None if self.aliases_in.topic(alias).is_some() => Ok(()),
            None => Err(PeerError::UnknownAlias.into()),
        }
    }

    #[cfg(not(feature = "v5"))]
    pub(super) const fn learn_alias(&mut self, _: &Publish<'_>) -> Result<(), Fault> {
        Err(Fault::Peer(PeerError::UnknownAlias))
    }

    /// Registers what the message owes, as its QoS says, whoever asked for it or nobody
    /// [MQTT5-3.3.4-1, MQTT5-4.5.0-2, MQTT3-3.3.4-1, MQTT3-4.5.0-2]; `None` if it was taken in
    /// before.
    ///
    /// Before MQTT 5 the server can't be told how many it may send: where there is no room, it
    /// waits for the acknowledgements.
    #[inline]
    pub(super) fn take_in(&mut self, delivery: Delivery) -> Result<Option<AckToken>, Fault> {
        match delivery {
            Delivery::AtMostOnce => Ok(Some(AckToken::NOTHING)),
            Delivery::AtLeastOnce { packet_id, .. } => {
                self.check_receive_maximum()?;
                // Each arrival is a new message [MQTT5-4.3.2-5].
                let ticket = if self.settings.manual_ack {
                    self.enter(packet_id)?
                } else {
                    self.pubacks.pass()
                };
                Ok(Some(self.owe(AckToken { ticket, id: Some(packet_id), qos: QoS::AtLeastOnce })))
            }
            Delivery::ExactlyOnce { packet_id, .. } if QOS2 => self.take_in_exactly_once(packet_id),
            // Nobody has subscribed at this QoS [MQTT5-3.8.4-8, MQTT3-3.8.4-6].
            Delivery::ExactlyOnce { .. } => Err(PeerError::UnexpectedPacket.into()),
        }
    }

    #[inline(never)]
    fn enter(&mut self, id: PacketId) -> Result<u32, Full> {
        self.pubacks.enter(id, false)
    }

    /// The next call settles the message, unless the application does so itself.
    #[inline]
    fn owe(&mut self, ack: AckToken) -> AckToken {
        self.received = self.received.saturating_add(1);
        if !self.settings.manual_ack {
            self.handed = ack;
        }
        ack
    }

    #[inline(never)]
    fn take_in_exactly_once(&mut self, id: PacketId) -> Result<Option<AckToken>, Fault> {
        self.check_window(Delivery::ExactlyOnce { packet_id: id, dup: false })?;
        let before = self.receipts.get(id).copied();
        // One that came before waits for the same record, on whatever connection [MQTT5-4.3.3-10].
        let unrecorded =
            SESSION && before.map_or(self.journal.is_on(), |receipt| receipt.unrecorded);
        let ticket = self.pubrecs.enter(id, unrecorded)?;
        if self.receipts.advance(id, Seen::Publish, ticket).is_err() {
            return Err(PeerError::ReceiveMaximum.into());
        }
        let ack = AckToken { ticket, id: Some(id), qos: QoS::ExactlyOnce };
        let Some(before) = before else {
            if unrecorded && let Some(receipt) = self.receipts.get_mut(id) {
                receipt.unrecorded = true;
            }
            return Ok(Some(self.owe(ack)));
        };
        // Received before, and not handed up again [MQTT5-4.3.3-10].
        self.received = self.received.saturating_add(1);
        if before.owed == Owed::PubRel {
            self.pubrecs.answer_id(id, ReasonCode::Success);
            self.release_acks();
        }
        Ok(None)
    }

    pub(super) fn handle_pubrel(&mut self, id: PacketId) -> Result<(), Fault> {
        let known = self.receipts.get(id).is_some();
        if self.receipts.advance(id, Seen::PubRel, 0).is_err() {
            return Err(PeerError::PacketId.into());
        }
        self.received = self.received.saturating_sub(1);
        if known && self.journal.is_on() {
            // The answer waits until the identifier is forgotten for good [MQTT5-4.3.3-12].
            self.record_forgotten(id);
            return Ok(());
        }
        if self.journal.answer_when_forgotten(id) {
            return Ok(()); // it was forgotten, but not for good
        }
        let reason = if known { ReasonCode::Success } else { self.not_found() };
        self.send_ack(AckKind::Comp, id, reason); // [MQTT5-4.3.3-11]
        Ok(())
    }
}

/// Why a message is not taken in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Peer(PeerError),
    /// There is no room for it now.
    Later,
}

impl From<PeerError> for Fault {
    fn from(error: PeerError) -> Self {
        Self::Peer(error)
    }
}

impl From<Full> for Fault {
    fn from(_: Full) -> Self {
        Self::Later
    }
}

#[cfg(feature = "v5")]
pub(super) fn alias<'a>(publish: &Publish<'_>) -> Option<Topic<'a>> {
    publish.properties.alias().map(Topic::Alias)
}

#[cfg(not(feature = "v5"))]
pub(super) const fn alias<'a>(_: &Publish<'_>) -> Option<Topic<'a>> {
    None
}

/// What the application is handed.
#[inline]
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
