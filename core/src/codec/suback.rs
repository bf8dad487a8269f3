//! SUBACK and UNSUBACK: an answer for each filter, in the order of the question.

use super::cursor::Cursor;
use super::error::{Field, Sin};
use super::header::PacketType;
use super::items::{Item, Items, sealed};
use super::outcome;
use super::place::Place;
use super::properties::Properties;
use super::sink::{Body, Refusal, Sink};
use crate::types::{Carrier, PacketId, ReasonCode, Version};

/// The answer to SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// The packet identifier of the SUBSCRIBE.
    pub packet_id: PacketId,
    /// MQTT 5 properties.
    pub properties: Properties<'a>,
    /// For each filter the granted QoS, or why there is none. Before MQTT 5 the only failure is
    /// 0x80.
    pub codes: Items<'a, ReasonCode>,
}

/// The answer to UNSUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsubAck<'a> {
    /// The packet identifier of the UNSUBSCRIBE.
    pub packet_id: PacketId,
    /// MQTT 5 properties.
    pub properties: Properties<'a>,
    /// For each filter whether it was there (MQTT 5; empty before).
    pub codes: Items<'a, ReasonCode>,
}

impl<'a> Item<'a> for ReasonCode {}

impl<'a> sealed::Read<'a> for ReasonCode {
    fn read_checked(bytes: &mut &'a [u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        Self::from_byte(*first)
    }
}

/// Whether a SUBACK of `version` may carry the code [MQTT5-3.9.3-2, MQTT3-3.9.3-2].
///
/// MQTT 3.1 knows no failure, but servers send 0x80 all the same.
fn is_sub_ack_code(code: ReasonCode, version: Version) -> bool {
    code.allowed_in(Carrier::SubAck)
        && (version.is_v5() || !code.is_error() || code == ReasonCode::UnspecifiedError)
}

/// Everything to the end of the packet, one code at least.
fn read_codes<'a>(
    cursor: &mut Cursor<'a>,
    version: Version,
    carrier: Carrier,
) -> Option<Items<'a, ReasonCode>> {
    if cursor.is_empty() {
        return cursor.found(Sin::NoReasonCode, Field::ReasonCode); // [MQTT5-3.8.4-6]
    }
    let bytes = cursor.rest();
    while !cursor.is_empty() {
        let start = cursor.left();
        if version.is_v5() {
            outcome::read_reason(cursor, carrier)?;
        } else if !matches!(cursor.u8(Field::ReasonCode)?, 0 | 1 | 2 | 0x80) {
            return cursor.found_at(start, Sin::ReasonCode, Field::ReasonCode);
        }
    }
    Some(Items::checked(bytes))
}

fn check_codes(
    codes: Items<'_, ReasonCode>,
    legal: impl Fn(ReasonCode) -> bool,
) -> Result<(), Refusal> {
    if codes.is_empty() {
        return Err(Refusal::Sin(Sin::NoReasonCode, Field::ReasonCode));
    }
    if codes.iter().all(legal) {
        return Ok(());
    }
    Err(Refusal::Sin(Sin::ReasonCode, Field::ReasonCode))
}

/// Identifier, properties and codes: both answers are alike, but for the codes that they may carry
/// [MQTT5-3.9.3-2, MQTT5-3.11.3-2].
#[inline(never)]
fn read<'a>(
    cursor: &mut Cursor<'a>,
    version: Version,
    place: Place,
) -> Option<(PacketId, Properties<'a>, Items<'a, ReasonCode>)> {
    let packet_id = cursor.packet_id()?;
    let properties = Properties::read(cursor, version, place)?;
    let codes = match place {
        Place::SubAck => read_codes(cursor, version, Carrier::SubAck)?,
        _ if version.is_v5() => read_codes(cursor, version, Carrier::UnsubAck)?,
        _ => Items::EMPTY,
    };
    Some((packet_id, properties, codes))
}

impl<'a> SubAck<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>, version: Version) -> Option<Self> {
        let (packet_id, properties, codes) = read(cursor, version, Place::SubAck)?;
        Some(Self { packet_id, properties, codes })
    }
}

impl<'a> UnsubAck<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>, version: Version) -> Option<Self> {
        let (packet_id, properties, codes) = read(cursor, version, Place::UnsubAck)?;
        Some(Self { packet_id, properties, codes })
    }
}

impl Body for SubAck<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::SubAck.first_byte()
    }

    fn check(&self, version: Version) -> Result<(), Refusal> {
        self.properties.check(version, Place::SubAck)?;
        check_codes(self.codes, |code| is_sub_ack_code(code, version))
    }

    fn write(&self, version: Version, sink: &mut impl Sink) {
        sink.u16(self.packet_id.get());
        self.properties.write(version, sink);
        for code in self.codes {
            sink.u8(code.as_byte());
        }
    }
}

impl Body for UnsubAck<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::UnsubAck.first_byte()
    }

    fn check(&self, version: Version) -> Result<(), Refusal> {
        self.properties.check(version, Place::UnsubAck)?;
        if version.is_v5() {
            return check_codes(self.codes, |code| code.allowed_in(Carrier::UnsubAck));
        }
        if self.codes.is_empty() {
            return Ok(());
        }
        Err(Refusal::NotInVersion(Field::ReasonCode))
    }

    fn write(&self, version: Version, sink: &mut impl Sink) {
        sink.u16(self.packet_id.get());
        self.properties.write(version, sink);
        for code in self.codes {
            sink.u8(code.as_byte());
        }
    }
}
