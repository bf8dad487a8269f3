//! Publishing: a message is encoded once, and leaves when connection and quota allow.

use super::error::{Failure, SendError};
use super::event::Token;
#[cfg(feature = "v5")]
use super::options::MAX_PROPERTIES;
use super::{Client, Phase};
use crate::Instant;
use crate::codec::{AnyBody, BRIEF, Delivery, Properties, Publish as Packet, erase, measure};
#[cfg(feature = "v5")]
use crate::codec::{EncodeError, Field, Property, PropertyId, Sin};
use crate::flow::SESSION;
use crate::flow::outbox::Place;
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

    /// Whether it will be acknowledged: at QoS 1 and 2.
    #[must_use]
    pub const fn is_acknowledged(&self) -> bool {
        !matches!(self.qos, QoS::AtMostOnce)
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
pub(super) enum Way {
    /// To the output at once.
    Ready,
    /// The same, and it stays until it is acknowledged.
    Owed,
    /// To the output at once, if there is room for it: none is made.
    Request,
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
        self.set_now(now);
        self.check_running()?;
        if !SESSION && self.phase != Phase::Open {
            return Err(SendError::NotConnected);
        }
        let topic = self.check_publish(&publish)?;
        match publish.qos {
            QoS::AtMostOnce => self.publish_at_most_once(topic, &publish),
            qos => self.publish_owed(qos, topic, &publish),
        }
    }

    /// That a message is one, and one that this server takes.
    pub(super) fn check_publish<'a>(
        &self,
        publish: &Publish<'a>,
    ) -> Result<TopicName<'a>, SendError> {
        #[cfg(feature = "v5")]
        for property in publish.properties {
            // Subscription identifiers are a server's; aliases are made and ended here
            // [MQTT5-3.3.4-6, MQTT5-3.3.2-9].
            let id = property.id();
            if matches!(id, PropertyId::SubscriptionIdentifier | PropertyId::TopicAlias) {
                let (packet, version) = (crate::PacketType::Publish, self.version);
                let (sin, field) = (Sin::PropertyFromWrongSender, Field::Property(id));
                return Err(EncodeError::Sin { sin, field, packet, version }.into());
            }
        }
        let topic = TopicName::new(publish.topic)?;
        self.limits.check_message(publish.qos, publish.retain).map_err(SendError::Unsupported)?;
        Ok(topic)
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
        #[cfg(feature = "v5")]
        if way == Way::Ready && self.aliases_out.maximum() != 0 {
            return self.publish_aliased(publish.packet(topic, Delivery::AtMostOnce), publish);
        }
        self.push(topic, Delivery::AtMostOnce, publish, way)?; // [MQTT5-4.3.1-1, MQTT3-4.3.1-1]
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
        let stored = self.journal.is_on();
        #[cfg(feature = "stream")]
        let later = stored || self.streams.wanted;
        #[cfg(not(feature = "stream"))]
        let later = stored;
        let way = if later || !self.quota.is_open() { Way::Waiting } else { self.way() };
        // [MQTT5-4.3.2-2, MQTT5-4.3.3-2, MQTT3-4.3.2-1, MQTT3-4.3.3-1]
        let with_id = |packet_id| match qos {
            QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup: false },
            _ => Delivery::AtLeastOnce { packet_id, dup: false },
        };
        let packet_id = match self.flights.peek_free() {
            Some(id) => id,
            None => {
                let len =
                    measure(&publish.packet(topic, with_id(PacketId::MIN)), self.version)?.len();
                self.evict(len)?
            }
        };
        let place = self.push(topic, with_id(packet_id), publish, way)?;
        let token = self.next_token();
        let mut owed = Owed::publish(qos);
        if way == Way::Ready {
            self.quota.take();
            owed = owed.next(Seen::Sent).unwrap_or(owed);
        }
        self.flights.take_peeked(packet_id, owed, token.0, place)?;
        if stored {
            self.record_publish(packet_id);
        }
        Ok(token)
    }

    /// Encodes a message into the outbox; returns where it is, if it may leave and is owed.
    #[cfg_attr(feature = "alloc", inline(always))]
    fn push(
        &mut self,
        topic: TopicName<'_>,
        delivery: Delivery,
        publish: &Publish<'_>,
        way: Way,
    ) -> Result<Place, SendError> {
        if way == Way::Ready
            && let Some(place) = self.push_plain(topic, delivery, publish)
        {
            return Ok(place);
        }
        self.push_measured(&publish.packet(topic, delivery), way)
    }

    /// A message as nearly all are, written where it goes without being measured first.
    #[cfg_attr(feature = "alloc", inline(always))]
    fn push_plain(
        &mut self,
        topic: TopicName<'_>,
        delivery: Delivery,
        publish: &Publish<'_>,
    ) -> Option<Place> {
        #[cfg(feature = "v5")]
        let is_plain = publish.properties.is_empty();
        #[cfg(not(feature = "v5"))]
        let is_plain = true;
        if BRIEF || !is_plain {
            return None;
        }
        let reserve = self.idle_reserve();
        let (space, version) = (self.outbox.space(reserve)?, self.version);
        let (payload, retain) = (publish.payload, publish.retain);
        let len = Packet::write_plain(topic, payload, delivery, retain, version, space)?;
        self.limits.check_size(len).ok()?;
        Some(self.outbox.commit(len, delivery != Delivery::AtMostOnce))
    }

    fn push_measured(&mut self, packet: &Packet<'_>, way: Way) -> Result<Place, SendError> {
        let way = match way {
            Way::Ready if packet.delivery != Delivery::AtMostOnce => Way::Owed,
            way => way,
        };
        self.push_body(erase(packet), way, 0)
    }

    /// Any packet, with `more` bytes to spare besides what all leave.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(super) fn push_body(
        &mut self,
        body: &(impl AnyBody + ?Sized),
        way: Way,
        more: usize,
    ) -> Result<Place, SendError> {
        let measured = measure(body, self.version)?;
        let len = measured.len();
        self.limits.check_size(len)?;
        let reserve = self.reserve().saturating_add(more);
        if !self.outbox.has_room(len.saturating_add(reserve)) {
            if way == Way::Request {
                return Err(SendError::Full);
            }
            self.make_room(len)?;
        }
        let (place, out) = match way {
            Way::Waiting => (Place::default(), self.outbox.push_waiting(len)?),
            Way::Ready | Way::Request => (Place::default(), self.outbox.push_ready(len)?),
            Way::Owed => self.outbox.push_ready_publish(len)?,
        };
        measured.write(out)?;
        Ok(place)
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
            self.push_measured(&packet, Way::Ready)?;
            return Ok(self.next_token());
        };
        // Known only once it is on its way [MQTT5-3.2.2-17]; behind it nothing can overtake.
        let topic_sent = if known.is_some() { None } else { Some(topic) };
        let properties = Properties::new(&list);
        let aliased = Packet { topic: topic_sent, properties, ..packet };
        let pushed = self.push_measured(&aliased, Way::Ready);
        if pushed.is_err() {
            self.push_measured(&packet, Way::Ready)?; // which may be shorter
        } else if known.is_none() {
            let _ = self.aliases_out.set(alias.get(), topic);
        }
        Ok(self.next_token())
    }
}

impl From<Full> for Failure {
    fn from(_: Full) -> Self {
        Self::Dropped
    }
}
