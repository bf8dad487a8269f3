//! A message that was received, owned.

use bytes::Bytes;
use tamtam_core::client::AckToken;
use tamtam_core::{Packet, Properties, QoS, Sender, Version};

use super::payload::Payload;

/// A message that was received.
///
/// It shares the memory that it was read into, 16 KiB at most, with those that came with it: who
/// keeps messages for long copies what is needed of them.
#[derive(Debug)]
pub struct Message {
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) dup: bool,
    /// The PUBLISH, if it has properties.
    pub(super) frame: Bytes,
    pub(super) ack: AckToken,
    pub(super) stream: Option<Payload>,
}

impl Message {
    /// Its topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        std::str::from_utf8(&self.topic).unwrap_or_default()
    }

    /// What it says. Of a message that is streamed: nothing, see [`Message::stream`].
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// What it says, as text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.payload).ok()
    }

    /// The payload as it comes, of a message larger than
    /// [`Options::stream_above`](tamtam_core::client::Options::stream_above).
    pub const fn stream(&mut self) -> Option<&mut Payload> {
        self.stream.as_mut()
    }

    /// At which QoS it came.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.qos
    }

    /// Whether it was retained.
    #[must_use]
    pub const fn is_retained(&self) -> bool {
        self.retain
    }

    /// Whether it may have come before (QoS 1).
    #[must_use]
    pub const fn is_duplicate(&self) -> bool {
        self.dup
    }

    /// Its MQTT 5 properties.
    #[must_use]
    pub fn properties(&self) -> Properties<'_> {
        match Packet::decode(&mut &self.frame[..], Version::V5, Sender::Server) {
            Ok(Some(Packet::Publish(publish))) => publish.properties,
            _ => Properties::EMPTY,
        }
    }
}
