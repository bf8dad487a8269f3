//! CONNACK: the answer to CONNECT.

use super::cursor::Cursor;
use super::error::{Field, Sin};
use super::header::PacketType;
use super::outcome;
use super::place::Place;
use super::properties::Properties;
use super::sink::{Body, Refusal, Sink};
use crate::types::{Carrier, ReasonCode, Version};

/// A server accepts or refuses a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// Whether the server goes on with an earlier session. Always false in 3.1.
    pub session_present: bool,
    /// Success, or why not. The return codes of 3.1 and 3.1.1 are mapped.
    pub reason: ReasonCode,
    /// MQTT 5 properties: what the server can do, and what it decided.
    pub properties: Properties<'a>,
}

impl<'a> ConnAck<'a> {
    /// An answer without properties.
    #[must_use]
    pub const fn new(reason: ReasonCode, session_present: bool) -> Self {
        Self { session_present, reason, properties: Properties::EMPTY }
    }

    pub(crate) fn read(cursor: &mut Cursor<'a>, version: Version) -> Option<Self> {
        let start = cursor.left();
        let flags = cursor.u8(Field::AcknowledgeFlags)?;
        let before_3_1_1 = matches!(version, Version::V31); // the byte is not looked at
        if flags > 1 && !before_3_1_1 {
            // [MQTT5-3.2.2-1]
            return cursor.found_at(start, Sin::ReservedConnAckFlags, Field::AcknowledgeFlags);
        }
        let session_present = flags == 1 && !before_3_1_1;
        let reason = read_reason(cursor, version)?;
        if session_present && reason != ReasonCode::Success {
            // [MQTT5-3.2.2-6, MQTT3-3.2.2-4]
            return cursor.found_at(start, Sin::SessionPresentOnError, Field::AcknowledgeFlags);
        }
        let here = cursor.left();
        let properties = Properties::read(cursor, version, Place::ConnAck)?;
        match properties.authentication_sin() {
            Some(sin) => cursor.found_at(here, sin, Field::PropertyLength),
            None => Some(Self { session_present, reason, properties }),
        }
    }
}

/// One of the codes that CONNACK may carry [MQTT5-3.2.2-8].
fn read_reason(cursor: &mut Cursor<'_>, version: Version) -> Option<ReasonCode> {
    if version.is_v5() {
        return outcome::read_reason(cursor, Carrier::ConnAck);
    }
    let start = cursor.left();
    match ReasonCode::from_v3_return_code(cursor.u8(Field::ReasonCode)?) {
        Some(reason) => Some(reason),
        None => cursor.found_at(start, Sin::ReasonCode, Field::ReasonCode),
    }
}

impl Body for ConnAck<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::ConnAck.first_byte()
    }

    fn check(&self, version: Version) -> Result<(), Refusal> {
        if !self.reason.allowed_in(Carrier::ConnAck) {
            return Err(Refusal::Sin(Sin::ReasonCode, Field::ReasonCode));
        }
        if !version.is_v5() && self.reason.to_v3_return_code().is_none() {
            return Err(Refusal::NotInVersion(Field::ReasonCode)); // [MQTT3-3.2.2-6]
        }
        if self.session_present && matches!(version, Version::V31) {
            return Err(Refusal::NotInVersion(Field::AcknowledgeFlags));
        }
        if self.session_present && self.reason != ReasonCode::Success {
            return Err(Refusal::Sin(Sin::SessionPresentOnError, Field::AcknowledgeFlags));
        }
        self.properties.check(version, Place::ConnAck)?;
        match self.properties.authentication_sin() {
            Some(sin) => Err(Refusal::Sin(sin, Field::PropertyLength)),
            None => Ok(()),
        }
    }

    fn write(&self, version: Version, sink: &mut impl Sink) {
        sink.u8(u8::from(self.session_present));
        sink.u8(match self.reason.to_v3_return_code() {
            Some(code) if !version.is_v5() => code,
            _ => self.reason.as_byte(),
        });
        self.properties.write(version, sink);
    }
}
