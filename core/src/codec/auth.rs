//! AUTH: a step of enhanced authentication.

use super::cursor::Cursor;
use super::error::{Field, Sin};
use super::header::{PacketType, Sender};
use super::outcome;
use super::place::Place;
use super::properties::Properties;
use super::property::PropertyId;
use super::sink::{Body, Refusal, Sink};
use crate::types::{Carrier, ReasonCode, Version};

/// A step of enhanced authentication, from either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// Continue, start again, or (from a server) success.
    pub reason: ReasonCode,
    /// The authentication method, always; the data, as the method wants.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>, version: Version, sender: Sender) -> Option<Self> {
        let carrier = match sender {
            Sender::Client => Carrier::ClientAuth,
            Sender::Server => Carrier::ServerAuth,
        };
        let is_empty = cursor.is_empty();
        let behind_reason = cursor.left().saturating_sub(1);
        let (reason, properties) = outcome::read(cursor, version, carrier, Place::Auth)?;
        // [MQTT5-4.12.0-5]; an empty AUTH is a form of its own that says success.
        if !is_empty && !properties.contains(PropertyId::AuthenticationMethod) {
            return cursor.found_at(
                behind_reason,
                Sin::AuthenticationMethod,
                Field::PropertyLength,
            );
        }
        Some(Self { reason, properties })
    }
}

impl Body for Auth<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Auth.first_byte()
    }

    fn check(&self, version: Version) -> Result<(), Refusal> {
        if !version.is_v5() {
            return Err(Refusal::NotInVersion(Field::PacketType));
        }
        let carriers = [Carrier::ClientAuth, Carrier::ServerAuth];
        outcome::check(self.reason, &self.properties, version, carriers, Place::Auth)?;
        let is_short = self.reason == ReasonCode::Success && self.properties.is_empty();
        if !is_short && !self.properties.contains(PropertyId::AuthenticationMethod) {
            return Err(Refusal::Sin(Sin::AuthenticationMethod, Field::PropertyLength));
        }
        Ok(())
    }

    fn write(&self, version: Version, sink: &mut impl Sink) {
        outcome::write(self.reason, &self.properties, version, sink);
    }
}
