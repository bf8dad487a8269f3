//! PUBLISH: a message.

use super::cursor::Cursor;
use super::error::{Field, Sin};
use super::header::{PacketType, Sender, publish_flags};
use super::place::Place;
use super::properties::Properties;
use super::sink::{Body, Refusal, Sink};
use crate::storage::copy;
use crate::types::{PacketId, QoS, TopicName, Version, scan_topic};

/// A message on its way to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// How it is delivered, with what that takes.
    pub delivery: Delivery,
    /// Whether it is, or was, kept for later subscribers.
    pub retain: bool,
    /// Its topic; `None` where a topic alias among the properties stands for it.
    pub topic: Option<TopicName<'a>>,
    /// MQTT 5 properties.
    pub properties: Properties<'a>,
    /// What it says.
    pub payload: &'a [u8],
}

/// A QoS with what the wire needs for it: no identifier and no DUP at QoS 0
/// [MQTT5-2.2.1-2, MQTT5-3.3.1-2, MQTT3-2.3.1-5, MQTT3-3.3.1-2].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce {
        /// What the PUBACK will name.
        packet_id: PacketId,
        /// Whether it may have been sent before.
        dup: bool,
    },
    /// QoS 2.
    ExactlyOnce {
        /// What the PUBREC will name.
        packet_id: PacketId,
        /// Whether it may have been sent before.
        dup: bool,
    },
}

impl Delivery {
    /// The QoS alone.
    #[must_use]
    pub const fn qos(self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce { .. } => QoS::AtLeastOnce,
            Self::ExactlyOnce { .. } => QoS::ExactlyOnce,
        }
    }

    /// The packet identifier, at QoS 1 and 2.
    #[must_use]
    pub const fn packet_id(self) -> Option<PacketId> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce { packet_id, .. } | Self::ExactlyOnce { packet_id, .. } => {
                Some(packet_id)
            }
        }
    }

    /// What a PUBLISH begins with.
    #[inline]
    const fn first_byte(self, retain: bool) -> u8 {
        let type_and_dup = (PacketType::Publish as u8) << 4 | (self.dup() as u8) << 3;
        type_and_dup | self.qos().level() << 1 | retain as u8
    }

    /// Whether it may have been sent before.
    #[must_use]
    pub const fn dup(self) -> bool {
        matches!(self, Self::AtLeastOnce { dup: true, .. } | Self::ExactlyOnce { dup: true, .. })
    }
}

impl<'a> Publish<'a> {
    /// A message at QoS 0, not retained.
    #[must_use]
    pub const fn new(topic: TopicName<'a>, payload: &'a [u8]) -> Self {
        Self {
            delivery: Delivery::AtMostOnce,
            retain: false,
            topic: Some(topic),
            properties: Properties::EMPTY,
            payload,
        }
    }

    /// The fields before the payload; `first` passed the check of its flags.
    #[inline]
    pub(crate) fn read_head(
        first: u8,
        cursor: &mut Cursor<'a>,
        version: Version,
        sender: Sender,
    ) -> Option<Self> {
        let (dup, qos, retain) = publish_flags(first);
        let start = cursor.left();
        // The topic comes first [MQTT5-3.3.2-1, MQTT3-3.3.2-1] and has no wildcards
        // [MQTT5-3.3.2-2, MQTT3-3.3.2-2].
        let topic = cursor.topic(Field::TopicName)?;
        let delivery = match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id: cursor.packet_id()?, dup },
            QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id: cursor.packet_id()?, dup },
        };
        let properties = Properties::read(cursor, version, Place::of_publish(sender))?;
        if topic.is_none() && !properties.has_topic_alias() {
            return cursor.found_at(start, Sin::EmptyTopic, Field::TopicName);
        }
        Some(Self { delivery, retain, topic, properties, payload: &[] })
    }

    /// A message as nearly all are; `None` for one that is unusual or has anything wrong with it,
    /// which [`Publish::read`] finds out.
    #[inline(always)]
    pub(crate) fn ordinary<const V5: bool>(
        first: u8,
        body: &'a [u8],
        sender: Sender,
    ) -> Option<Self> {
        let [high, low, rest @ ..] = body else { return None };
        let (topic, rest) = rest.split_at_checked(u16::from_be_bytes([*high, *low]) as usize)?;
        if topic.is_empty() || !scan_topic(topic) {
            return None;
        }
        let (delivery, rest) = if first & 0b110 == 0 {
            (Delivery::AtMostOnce, rest)
        } else {
            let [high, low, rest @ ..] = rest else { return None };
            let packet_id = PacketId::new(u16::from_be_bytes([*high, *low]))?;
            let dup = first & 0b1000 != 0;
            let delivery = if first & 0b100 == 0 {
                Delivery::AtLeastOnce { packet_id, dup }
            } else {
                Delivery::ExactlyOnce { packet_id, dup }
            };
            (delivery, rest)
        };
        let (properties, payload) = if V5 {
            Properties::read_ordinary(rest, Place::of_publish(sender))?
        } else {
            (Properties::empty(), rest)
        };
        Some(Self {
            delivery,
            retain: first & 1 != 0,
            topic: Some(TopicName::trusted(topic)),
            properties,
            payload,
        })
    }

    #[inline]
    pub(crate) fn read(
        first: u8,
        cursor: &mut Cursor<'a>,
        version: Version,
        sender: Sender,
    ) -> Option<Self> {
        let head = Self::read_head(first, cursor, version, sender)?;
        Some(Self { payload: cursor.take_rest(), ..head })
    }
}

impl Publish<'_> {
    /// A message as nearly all are; `None` for one that has properties or more than 16 KiB, or if
    /// there is no room.
    #[inline]
    pub(crate) fn write_ordinary(&self, version: Version, out: &mut [u8]) -> Option<usize> {
        let topic = self.topic.filter(|_| self.properties.is_empty())?;
        Self::write_plain(topic, self.payload, self.delivery, self.retain, version, out)
    }

    /// A message without properties; `None` if it has more than 16 KiB, or if there is no room.
    #[inline(always)]
    pub(crate) fn write_plain(
        topic: TopicName<'_>,
        payload: &[u8],
        delivery: Delivery,
        retain: bool,
        version: Version,
        out: &mut [u8],
    ) -> Option<usize> {
        let topic = topic.as_bytes();
        let id_len = if delivery.packet_id().is_some() { 2 } else { 0 };
        let v5 = usize::from(version.is_v5());
        let head = 2_usize.wrapping_add(topic.len()).wrapping_add(id_len).wrapping_add(v5);
        let remaining = head.wrapping_add(payload.len());
        let first = delivery.first_byte(retain);
        let (header, out) = match remaining {
            ..0x80 => {
                let (header, out) =
                    out.get_mut(..remaining.wrapping_add(2))?.split_first_chunk_mut()?;
                *header = [first, remaining as u8];
                (2_usize, out)
            }
            0x80..0x4000 => {
                let (header, out) =
                    out.get_mut(..remaining.wrapping_add(3))?.split_first_chunk_mut()?;
                *header = [first, remaining as u8 | 0x80, (remaining >> 7) as u8];
                (3, out)
            }
            _ => return None,
        };
        let (length, out) = out.split_first_chunk_mut()?;
        *length = (topic.len() as u16).to_be_bytes();
        let (to, out) = out.split_at_mut_checked(topic.len())?;
        copy(to, topic);
        let mut out = out;
        if let Some(id) = delivery.packet_id() {
            let (to, rest) = out.split_first_chunk_mut()?;
            *to = id.get().to_be_bytes();
            out = rest;
        }
        if version.is_v5() {
            let (to, rest) = out.split_first_mut()?;
            *to = 0;
            out = rest;
        }
        if out.len() != payload.len() {
            return None;
        }
        copy(out, payload);
        Some(header.wrapping_add(remaining))
    }
}

impl Body for Publish<'_> {
    #[inline]
    fn first_byte(&self) -> u8 {
        self.delivery.first_byte(self.retain)
    }

    #[inline]
    fn check(&self, version: Version) -> Result<(), Refusal> {
        // A server's, which may carry everything; clients are not handed subscription identifiers.
        self.properties.check(version, Place::ServerPublish)?;
        if self.topic.is_none() && !self.properties.has_topic_alias() {
            return Err(Refusal::Sin(Sin::EmptyTopic, Field::TopicName));
        }
        Ok(())
    }

    #[inline]
    fn write(&self, version: Version, sink: &mut impl Sink) {
        sink.binary(self.topic.map_or(&[], TopicName::as_bytes));
        if let Some(id) = self.delivery.packet_id() {
            sink.u16(id.get());
        }
        self.properties.write(version, sink);
        sink.put(self.payload);
    }
}
