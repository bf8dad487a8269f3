//! A message that was received, owned.

use tamtam_core::client::{self as core, AckToken};
use tamtam_core::{Delivery, Packet, Properties, Publish, QoS, Sender, TopicName, Version};

/// A message that was received.
#[derive(Clone, Debug)]
pub struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) dup: bool,
    /// A PUBLISH with its properties, if it has any.
    properties: Vec<u8>,
    pub(super) ack: AckToken,
    /// Which stream its payload comes in, and how long it is.
    pub(super) stream: Option<(u32, u32)>,
}

impl Message {
    pub(super) fn new(topic: TopicName<'_>, message: &core::Message<'_>) -> Self {
        Self {
            topic: topic.as_str().to_owned(),
            payload: message.payload.to_vec(),
            qos: message.qos,
            retain: message.retain,
            dup: message.dup,
            properties: keep(&message.properties, topic),
            ack: message.ack,
            stream: None,
        }
    }

    /// Its topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// What it says. Of a message that is streamed: nothing, see
    /// [`Client::payload`](super::Client::payload).
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload itself.
    #[must_use]
    pub fn into_payload(self) -> Vec<u8> {
        self.payload
    }

    /// What it says, as text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.payload).ok()
    }

    /// How long its payload is, in bytes, also if it is still coming.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.stream.map_or(self.payload.len(), |(_, len)| len as usize)
    }

    /// Whether its payload is read as it comes: it is larger than
    /// [`Options::stream_above`](core::Options::stream_above).
    #[must_use]
    pub const fn is_streamed(&self) -> bool {
        self.stream.is_some()
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
        match Packet::decode(&mut &self.properties[..], Version::V5, Sender::Server) {
            Ok(Some(Packet::Publish(publish))) => publish.properties,
            _ => Properties::EMPTY,
        }
    }
}

/// Properties can be borrowed only from a packet, so one is kept.
fn keep(properties: &Properties<'_>, topic: TopicName<'_>) -> Vec<u8> {
    if properties.is_empty() {
        return Vec::new();
    }
    let packet = Packet::Publish(Publish {
        delivery: Delivery::AtMostOnce,
        retain: false,
        topic: Some(topic),
        properties: *properties,
        payload: &[],
    });
    let mut bytes = vec![0; packet.encoded_len(Version::V5).unwrap_or_default()];
    match packet.encode(Version::V5, &mut bytes) {
        Ok(_) => bytes,
        Err(_) => Vec::new(),
    }
}
