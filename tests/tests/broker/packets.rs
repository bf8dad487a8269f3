//! What clients send, and what they get, in few words.

use crate::support::*;

/// The bytes of what a client sends.
pub(crate) fn bytes(version: Version, packets: &[Packet<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for packet in packets {
        packet.encode_to(version, &mut bytes).expect("a packet that a client may send");
    }
    bytes
}

// What clients send.

pub(crate) fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not 0")
}

pub(crate) fn topic(name: &str) -> TopicName<'_> {
    TopicName::new(name).expect("a topic name")
}

pub(crate) fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).expect("a topic filter")
}

pub(crate) fn sub(text: &str) -> Subscription<'_> {
    Subscription::new(filter(text))
}

pub(crate) fn text(text: &str) -> Text<'_> {
    Text::new(text).expect("a text")
}

/// A CONNECT for a session that ends with the connection.
pub(crate) fn hello(version: Version, client_id: &str) -> Connect<'_> {
    Connect::new(version, text(client_id))
}

const HOUR: &[Property<'static>] = &[Property::SessionExpiryInterval(3_600)];

/// A CONNECT for a session that outlives the connection, and is gone on with if it is there.
pub(crate) fn kept(version: Version, client_id: &str) -> Connect<'_> {
    let properties = if version == V5 { Properties::new(HOUR) } else { Properties::EMPTY };
    Connect { clean_start: false, properties, ..hello(version, client_id) }
}

/// A will at QoS 1.
pub(crate) fn will<'a>(name: &'a str, payload: &'a str) -> Will<'a> {
    Will { qos: Q1, ..Will::new(topic(name), payload.as_bytes()) }
}

pub(crate) fn delivery(qos: QoS, number: u16, dup: bool) -> Delivery {
    match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id: id(number), dup },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id: id(number), dup },
    }
}

pub(crate) fn message<'a>(name: &'a str, payload: &'a str, qos: QoS, number: u16) -> Packet<'a> {
    let publish = Publish::new(topic(name), payload.as_bytes());
    Packet::Publish(Publish { delivery: delivery(qos, number, false), ..publish })
}

/// The same, once more.
pub(crate) fn again<'a>(name: &'a str, payload: &'a str, qos: QoS, number: u16) -> Packet<'a> {
    let publish = Publish::new(topic(name), payload.as_bytes());
    Packet::Publish(Publish { delivery: delivery(qos, number, true), ..publish })
}

pub(crate) fn puback(number: u16) -> Packet<'static> {
    Packet::PubAck(Ack::new(id(number)))
}

pub(crate) fn pubrec(number: u16) -> Packet<'static> {
    Packet::PubRec(Ack::new(id(number)))
}

pub(crate) fn pubrel(number: u16) -> Packet<'static> {
    Packet::PubRel(Ack::new(id(number)))
}

pub(crate) fn pubcomp(number: u16) -> Packet<'static> {
    Packet::PubComp(Ack::new(id(number)))
}

pub(crate) fn disconnect(reason: ReasonCode) -> Packet<'static> {
    Packet::Disconnect(Disconnect::new(reason))
}

// What arrives.

/// A packet in few words: `a/b=hello@2!*` for a PUBLISH at QoS 2 with RETAIN and DUP, `PUBREL 7` or
/// `PUBREL 7 92` for one with an identifier and a reason, `DISCONNECT 8E`.
pub(crate) fn words(packet: &Packet<'_>) -> String {
    let kind = packet.packet_type();
    match packet {
        Packet::Publish(publish) => {
            let (name, payload) = (publish.topic.map_or("", TopicName::as_str), publish.payload);
            let qos = match publish.delivery.qos() {
                QoS::AtMostOnce => "",
                QoS::AtLeastOnce => "@1",
                QoS::ExactlyOnce => "@2",
            };
            let retain = if publish.retain { "!" } else { "" };
            let dup = if publish.delivery.dup() { "*" } else { "" };
            format!("{name}={}{qos}{retain}{dup}", String::from_utf8_lossy(payload))
        }
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            let reason = match ack.reason {
                ReasonCode::Success => String::new(),
                reason => format!(" {:02X}", reason.as_byte()),
            };
            format!("{kind} {}{reason}", ack.packet_id.get())
        }
        Packet::Disconnect(disconnect) => format!("{kind} {:02X}", disconnect.reason.as_byte()),
        _ => kind.to_string(),
    }
}

/// The packet identifiers of the PUBLISH packets among these.
pub(crate) fn ids(packets: &[Packet<'_>]) -> Vec<u16> {
    let publishes = packets.iter().filter_map(|packet| match packet {
        Packet::Publish(publish) => publish.delivery.packet_id(),
        _ => None,
    });
    publishes.map(PacketId::get).collect()
}

/// The subscription identifiers of a message, in order of their numbers.
pub(crate) fn subscription_ids(publish: &Publish<'_>) -> Vec<u32> {
    let ids = publish.properties.subscription_identifiers();
    let mut ids: Vec<_> = ids.map(SubscriptionId::get).collect();
    ids.sort_unstable();
    ids
}
