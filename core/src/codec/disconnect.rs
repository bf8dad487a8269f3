//! DISCONNECT: the connection ends in order, or for a reason.

use super::cursor::Cursor;
use super::header::{PacketType, Sender};
use super::outcome;
use super::place::Place;
use super::properties::Properties;
use super::sink::{Body, Refusal, Sink};
use crate::types::{Carrier, ReasonCode, Version};

/// The end of a connection. In 3.1 and 3.1.1 only a client says it, and without a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// Why.
    pub reason: ReasonCode,
    /// MQTT 5 properties.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    /// The end for this reason.
    #[must_use]
    pub const fn new(reason: ReasonCode) -> Self {
        Self { reason, properties: Properties::EMPTY }
    }

    /// One that says why, and no more, of version 5.
    pub(crate) const fn reason_bytes(reason: ReasonCode) -> [u8; 3] {
        [PacketType::Disconnect.first_byte(), 1, reason.as_byte()]
    }

    pub(crate) fn read(cursor: &mut Cursor<'a>, version: Version, sender: Sender) -> Option<Self> {
        let (carrier, place) = match sender {
            Sender::Client => (Carrier::ClientDisconnect, Place::ClientDisconnect),
            Sender::Server => (Carrier::ServerDisconnect, Place::ServerDisconnect),
        };
        let (reason, properties) = outcome::read(cursor, version, carrier, place)?;
        Some(Self { reason, properties })
    }
}

impl Body for Disconnect<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Disconnect.first_byte()
    }

    fn check(&self, version: Version) -> Result<(), Refusal> {
        let (carrier, place) = if self.reason.allowed_in(Carrier::ClientDisconnect) {
            (Carrier::ClientDisconnect, Place::ClientDisconnect) // allows all that a server's does
        } else {
            (Carrier::ServerDisconnect, Place::ServerDisconnect)
        };
        outcome::check(self.reason, &self.properties, version, [carrier; 2], place)
    }

    fn write(&self, version: Version, sink: &mut impl Sink) {
        outcome::write(self.reason, &self.properties, version, sink);
    }
}
