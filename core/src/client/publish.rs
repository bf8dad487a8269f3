//! Publishing: a message is encoded once, and leaves when connection and quota allow.

use super::error::{Failure, SendError};
use super::event::Token;
use super::handshake::RESERVE;
#[cfg(feature = "v5")]
use super::options::MAX_PROPERTIES;
use super::options::WhenFull;
use super::records::Change;
use super::{Client, Phase};
use crate::Instant;
#[cfg(feature = "v5")]
use crate::codec::Property;
use crate::codec::{Delivery, Properties, Publish as Packet, measure};
use crate::flow::packets::is_dup;
use crate::flow::send::{Owed, Seen};
use crate::storage::{Full, Storage};
use crate::types::{PacketId, QoS, TopicName};

/// A message to publish.
///
/// ```
/// use tamtam_core::QoS;
/// use tamtam_core::client::Publish;
///
/// let reading = Publish::new("room/7/celsius", b"21.5").qos(QoS::AtLeastOnce).retain(true);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Publish<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) qos: QoS,
    pub(super) retain: bool,
    #[cfg(feature = "v5")]
    pub(super) properties: &'a [Property<'a>],
}

impl<'a> Publish<'a> {
    /// A message at QoS 0, not retained.
    #[must_use]
    pub const fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        Self {
            topic,
            payload,
            qos: QoS::AtMostOnce,
            retain: false,
            #[cfg(feature = "v5")]
            properties: &[],
        }
    }

    /// At this QoS.
    #[must_use]
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Whether the server keeps it for later subscribers.
    #[must_use]
    pub const fn retain(mut self, retain: bool) -> Self {
        self.retain = retain;
        self
    }

    /// With these MQTT 5 properties. (Topic aliases are the client's affair.)
    #[cfg(feature = "v5")]
    #[must_use]
    pub const fn properties(mut self, properties: &'a [Property<'a>]) -> Self {
        self.properties = properties;
        self
    }

    pub(super) fn packet(&self, topic: TopicName<'a>, delivery: Delivery) -> Packet<'a> {
        Packet {
            delivery,
            retain: self.retain,
            topic: Some(topic),
            #[cfg(feature = "v5")]
            properties: Properties::new(self.properties),
            #[cfg(not(feature = "v5"))]
            properties: Properties::EMPTY,
            payload: self.payload,
        }
    }
}

/// Where a packet goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To the output at once.
    Ready,
    /// Behind those that wait.
    Waiting,
}

impl<S: Storage> Client<S> {
    /// Publishes a message; without a connection it waits for one.
    ///
    /// At QoS 1 and 2 the token comes back in [`Event::Delivered`](super::Event::Delivered); at
    /// QoS 0 nothing comes back.
    ///
    /// # Errors
    /// Nothing has changed: there is no room, the server does not take such a message, or it is
    /// not one.
    pub fn publish(&mut self, publish: Publish<'_>, now: Instant) -> Result<Token, SendError> {
        self.now = self.now.max(now);
        self.check_running()?;
        let topic = TopicName::new(publish.topic)?;
        self.limits.check_message(publish.qos, publish.retain).map_err(SendError::Unsupported)?;
        match publish.qos {
            QoS::AtMostOnce => self.publish_at_most_once(topic, &publish),
            qos => self.publish_owed(qos, topic, &publish),
        }
    }

    pub(super) fn check_running(&self) -> Result<(), SendError> {
        if self.connect_len == 0 || self.phase == Phase::Leaving {
            return Err(SendError::NotRunning);
        }
        Ok(())
    }

    pub(super) fn next_token(&mut self) -> Token {
        self.next_token = self.next_token.wrapping_add(1).max(1);
        Token(self.next_token)
    }

    /// Messages leave in the order in which they were published, so one that waits makes all wait.
    fn way(&self) -> Way {
        let open = self.phase == Phase::Open && !self.outbox.is_streaming();
        if open && !self.outbox.has_waiting() { Way::Ready } else { Way::Waiting }
    }

    fn publish_at_most_once(
        &mut self,
        topic: TopicName<'_>,
        publish: &Publish<'_>,
    ) -> Result<Token, SendError> {
        if self.phase != Phase::Open && !self.settings.queue_qos0 {
            return Err(SendError::NotConnected);
        }
        let way = self.way();
        let packet = publish.packet(topic, Delivery::AtMostOnce); // [MQTT5-4.3.1-1]
        #[cfg(feature = "v5")]
        if way == Way::Ready && self.aliases_out.maximum() != 0 {
            return self.publish_aliased(packet, publish);
        }
        self.push(&packet, way)?;
        Ok(self.next_token())
    }

    fn publish_owed(
        &mut self,
        qos: QoS,
        topic: TopicName<'_>,
        publish: &Publish<'_>,
    ) -> Result<Token, SendError> {
        if !self.journal.has_room() {
            return Err(SendError::Full);
        }
        let stored = self.settings.store;
        let way = if stored || !self.quota.is_open() { Way::Waiting } else { self.way() };
        let packet_id = self.free_id()?;
        let delivery = match qos {
            QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup: false },
            _ => Delivery::AtLeastOnce { packet_id, dup: false },
        };
        self.push(&publish.packet(topic, delivery), way)?;
        let token = self.next_token();
        self.flights.take(Owed::publish(qos), token.0)?;
        if way == Way::Ready {
            self.quota.take();
            let _ = self.flights.advance(packet_id, Seen::Sent);
        }
        if stored {
            self.record_publish(packet_id);
        }
        Ok(token)
    }

    /// An unused packet identifier, without taking it; the oldest waiting message may have to go.
    pub(super) fn free_id(&mut self) -> Result<PacketId, SendError> {
        loop {
            match self.flights.peek_free() {
                Some(id) => return Ok(id),
                None if self.drop_oldest() => {}
                None => return Err(SendError::Full),
            }
        }
    }

    /// Encodes a message into the outbox.
    #[inline]
    fn push(&mut self, packet: &Packet<'_>, way: Way) -> Result<(), SendError> {
        let measured = measure(packet, self.version)?;
        let len = measured.len();
        self.limits.check_size(len)?;
        if !self.outbox.has_room(len.saturating_add(RESERVE)) {
            self.make_room(len)?;
        }
        let out = match way {
            Way::Waiting => self.outbox.push_waiting(len)?,
            Way::Ready if packet.delivery == Delivery::AtMostOnce => self.outbox.push_ready(len)?,
            Way::Ready => self.outbox.push_ready_publish(len)?,
        };
        measured.write(out)?;
        Ok(())
    }

    #[cold]
    fn make_room(&mut self, len: usize) -> Result<(), SendError> {
        let needed = len.saturating_add(RESERVE);
        let limit = self.outbox.most_room().saturating_sub(RESERVE);
        if len > limit {
            return Err(SendError::TooLarge { limit });
        }
        while !self.outbox.has_room(needed) {
            if !self.drop_oldest() {
                return Err(SendError::Full);
            }
        }
        Ok(())
    }

    /// Drops the oldest message that was never sent, if there is no connection and the policy is
    /// so.
    fn drop_oldest(&mut self) -> bool {
        if self.phase == Phase::Open || self.settings.when_full != WhenFull::DropOldest {
            return false;
        }
        match self.outbox.drop_waiting(|packet| !is_dup(packet)) {
            None => false,
            Some(None) => {
                self.dropped = self.dropped.saturating_add(1);
                true
            }
            Some(Some(id)) => {
                self.fail(id, Failure::Dropped);
                // Its identifier is free once the application has been told; until then the next
                // one must do.
                true
            }
        }
    }

    /// Nothing more will come of this message.
    pub(super) fn fail(&mut self, id: PacketId, why: Failure) {
        self.flights.fail(id, why.as_byte());
        self.record_settled(id);
    }

    /// A QoS 0 message with a topic alias, if one can stand for its topic.
    #[cfg(feature = "v5")]
    fn publish_aliased(
        &mut self,
        packet: Packet<'_>,
        publish: &Publish<'_>,
    ) -> Result<Token, SendError> {
        let Some(topic) = packet.topic else { return Err(SendError::Full) };
        let known = self.aliases_out.alias(topic);
        let fresh = self.aliases_out.next_free().filter(|_| self.aliases_out.has_room(topic));
        let mut list = heapless::Vec::<Property<'_>, MAX_PROPERTIES>::new();
        let alias = known.or(fresh).and_then(core::num::NonZeroU16::new).filter(|alias| {
            list.extend_from_slice(publish.properties).is_ok()
                && list.push(Property::TopicAlias(*alias)).is_ok()
        });
        let Some(alias) = alias else {
            self.push(&packet, Way::Ready)?;
            return Ok(self.next_token());
        };
        // Known only once it is on its way [MQTT5-3.2.2-17]; behind it nothing can overtake.
        let topic_sent = if known.is_some() { None } else { Some(topic) };
        let properties = Properties::new(&list);
        self.push(&Packet { topic: topic_sent, properties, ..packet }, Way::Ready)?;
        if known.is_none() {
            let _ = self.aliases_out.set(alias.get(), topic);
        }
        Ok(self.next_token())
    }

    /// What waits leaves, as far as quota and store allow.
    pub(super) fn promote(&mut self) {
        while let Some(packet) = self.outbox.first_waiting() {
            if let Some(id) = crate::codec::publish_packet_id(packet) {
                let unrecorded = self.flights.get(id).is_some_and(|flight| flight.unrecorded);
                if unrecorded || !self.quota.is_open() {
                    return;
                }
                self.quota.take();
                let _ = self.flights.advance(id, Seen::Sent);
            }
            self.outbox.promote();
        }
    }

    fn record_publish(&mut self, id: PacketId) {
        if let Some(flight) = self.flights.get_mut(id) {
            flight.unrecorded = true;
        }
        self.journal.push(Change::Publish(id));
    }
}

impl From<Full> for Failure {
    fn from(_: Full) -> Self {
        Self::Dropped
    }
}
