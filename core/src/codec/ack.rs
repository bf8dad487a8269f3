//! PUBACK, PUBREC, PUBREL, PUBCOMP: four packets of one shape.

use super::cursor::Cursor;
use super::header::PacketType;
use super::outcome;
use super::place::Place;
use super::properties::Properties;
use super::sink::{Body, Refusal, Sink};
use crate::types::{Carrier, PacketId, ReasonCode, Version};

/// An acknowledgement of a PUBLISH, or of another acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The packet identifier of the PUBLISH.
    pub packet_id: PacketId,
    /// Success, or why not (MQTT 5; always success before).
    pub reason: ReasonCode,
    /// MQTT 5 properties.
    pub properties: Properties<'a>,
}

impl<'a> Ack<'a> {
    /// How long one is that has nothing to add.
    pub(crate) const ORDINARY_LEN: usize = 4;

    /// The acknowledgement of success: four bytes in every version.
    #[must_use]
    pub const fn new(packet_id: PacketId) -> Self {
        Self { packet_id, reason: ReasonCode::Success, properties: Properties::empty() }
    }

    /// An acknowledgement with a reason.
    #[must_use]
    pub const fn with_reason(packet_id: PacketId, reason: ReasonCode) -> Self {
        Self { packet_id, reason, properties: Properties::EMPTY }
    }

    /// Four bytes, if it has nothing to add; `None` if it has, or if there is no room.
    #[inline]
    pub(crate) fn write_ordinary(&self, kind: AckKind, out: &mut [u8]) -> Option<usize> {
        if self.reason != ReasonCode::Success || !self.properties.is_empty() {
            return None;
        }
        let [high, low] = self.packet_id.get().to_be_bytes();
        *out.first_chunk_mut()? = [kind.packet().first_byte(), 2, high, low];
        Some(Self::ORDINARY_LEN)
    }

    /// One that says why, and no more, of version 5.
    pub(crate) fn reason_bytes(kind: AckKind, id: PacketId, reason: ReasonCode) -> [u8; 5] {
        let [high, low] = id.get().to_be_bytes();
        [kind.packet().first_byte(), 3, high, low, reason.as_byte()]
    }

    #[inline]
    pub(crate) fn read(cursor: &mut Cursor<'a>, version: Version, kind: AckKind) -> Option<Self> {
        let packet_id = cursor.packet_id()?;
        let (reason, properties) = outcome::read(cursor, version, kind.carrier(), kind.place())?;
        Some(Self { packet_id, reason, properties })
    }
}

/// Which of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AckKind {
    Ack,
    Rec,
    Rel,
    Comp,
}

impl AckKind {
    /// The kind that begins with this byte.
    #[inline]
    pub(crate) const fn of(first_byte: u8) -> Option<Self> {
        match first_byte {
            0x40 => Some(Self::Ack),
            0x50 => Some(Self::Rec),
            0x62 => Some(Self::Rel),
            0x70 => Some(Self::Comp),
            _ => None,
        }
    }

    /// Takes an acknowledgement of success in its shortest form off the input.
    #[inline]
    pub(crate) fn take_ordinary(input: &mut &[u8]) -> Option<(Self, PacketId)> {
        let [first, 2, high, low, rest @ ..] = *input else { return None };
        let kind = Self::of(*first)?;
        let id = PacketId::new(u16::from_be_bytes([*high, *low]))?;
        *input = rest;
        Some((kind, id))
    }

    const fn carrier(self) -> Carrier {
        match self {
            Self::Ack => Carrier::PubAck,
            Self::Rec => Carrier::PubRec,
            Self::Rel => Carrier::PubRel,
            Self::Comp => Carrier::PubComp,
        }
    }

    const fn place(self) -> Place {
        match self {
            Self::Ack => Place::PubAck,
            Self::Rec => Place::PubRec,
            Self::Rel => Place::PubRel,
            Self::Comp => Place::PubComp,
        }
    }

    const fn packet(self) -> PacketType {
        match self {
            Self::Ack => PacketType::PubAck,
            Self::Rec => PacketType::PubRec,
            Self::Rel => PacketType::PubRel,
            Self::Comp => PacketType::PubComp,
        }
    }
}

impl Body for (AckKind, Ack<'_>) {
    fn first_byte(&self) -> u8 {
        self.0.packet().first_byte()
    }

    fn check(&self, version: Version) -> Result<(), Refusal> {
        let (kind, ack) = self;
        let carriers = [kind.carrier(); 2];
        outcome::check(ack.reason, &ack.properties, version, carriers, kind.place())
    }

    fn write(&self, version: Version, sink: &mut impl Sink) {
        sink.u16(self.1.packet_id.get());
        outcome::write(self.1.reason, &self.1.properties, version, sink);
    }
}
