//! Reason code and properties at the end of a packet, which is cut off where it says nothing.

use super::cursor::Cursor;
use super::error::{Field, Sin};
use super::place::Place;
use super::properties::Properties;
use super::sink::{Refusal, Sink};
use crate::types::{Carrier, ReasonCode, Version};

/// A missing code is success, missing properties are none; 3.1 and 3.1.1 have neither.
#[inline]
pub(crate) fn read<'a>(
    cursor: &mut Cursor<'a>,
    version: Version,
    carrier: Carrier,
    place: Place,
) -> Option<(ReasonCode, Properties<'a>)> {
    if !version.is_v5() {
        return Some((ReasonCode::Success, Properties::EMPTY));
    }
    if cursor.is_empty() {
        if !ReasonCode::Success.allowed_in(carrier) {
            return cursor.found(Sin::ReasonCode, Field::ReasonCode); // AUTH from a client
        }
        return Some((ReasonCode::Success, Properties::EMPTY));
    }
    let reason = read_reason(cursor, carrier)?;
    if cursor.is_empty() {
        return Some((reason, Properties::EMPTY));
    }
    Some((reason, Properties::read(cursor, version, place)?))
}

/// One of the codes of this packet [MQTT5-3.4.2-1, MQTT5-3.5.2-1, MQTT5-3.6.2-1, MQTT5-3.7.2-1,
/// MQTT5-3.14.2-1, MQTT5-3.15.2-1].
pub(crate) fn read_reason(cursor: &mut Cursor<'_>, carrier: Carrier) -> Option<ReasonCode> {
    let start = cursor.left();
    match ReasonCode::from_byte(cursor.u8(Field::ReasonCode)?) {
        Some(reason) if reason.allowed_in(carrier) => Some(reason),
        _ => cursor.found_at(start, Sin::ReasonCode, Field::ReasonCode),
    }
}

/// `carriers` are the packet from either side.
pub(crate) fn check(
    reason: ReasonCode,
    properties: &Properties<'_>,
    version: Version,
    carriers: [Carrier; 2],
    place: Place,
) -> Result<(), Refusal> {
    if !carriers.iter().any(|carrier| reason.allowed_in(*carrier)) {
        return Err(Refusal::Sin(Sin::ReasonCode, Field::ReasonCode));
    }
    if !version.is_v5() && reason != ReasonCode::Success {
        return Err(Refusal::NotInVersion(Field::ReasonCode));
    }
    properties.check(version, place)
}

/// The shortest form: nothing, the code alone, or both.
#[inline]
pub(crate) fn write(
    reason: ReasonCode,
    properties: &Properties<'_>,
    version: Version,
    sink: &mut impl Sink,
) {
    if !version.is_v5() || (properties.is_empty() && reason == ReasonCode::Success) {
        return;
    }
    sink.u8(reason.as_byte());
    if !properties.is_empty() {
        properties.write(version, sink);
    }
}
