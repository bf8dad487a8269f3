//! Any packet that the types allow: the encoder refuses it, or the other side reads the same.

use tamtam_core::{ConnAck, Packet, PacketType, PropertyId, ReasonCode, Sender, Sin, Version};

use super::bytes::Bytes;
use super::decode::decode_whole;
use super::encoding::encode_every_way;
use super::lists::properties_of;
use super::packets::{draw_lists, draw_packet};
use super::walk::{carrier_of_auth, carrier_of_disconnect, place_of, walk};

/// The packets, for the second byte of an input.
const KINDS: [PacketType; 15] = [
    PacketType::Connect,
    PacketType::ConnAck,
    PacketType::Publish,
    PacketType::PubAck,
    PacketType::PubRec,
    PacketType::PubRel,
    PacketType::PubComp,
    PacketType::Subscribe,
    PacketType::SubAck,
    PacketType::Unsubscribe,
    PacketType::UnsubAck,
    PacketType::PingReq,
    PacketType::PingResp,
    PacketType::Disconnect,
    PacketType::Auth,
];

/// Builds one packet from the bytes (version and sender, kind, lists, the rest) and sends it over.
///
/// What may not be sent is refused; everything else can be read by whom it is meant for, and says
/// the same there. No call of the encoder says anything else than the others.
///
/// # Panics
/// If a property does not hold.
pub fn roundtrip(data: &[u8]) {
    build(data, |packet, version| {
        let Ok(encoded) = encode_every_way(packet, version) else { return };
        let senders = [Sender::Client, Sender::Server].map(|sender| {
            let may_send = may_send(packet, version, sender);
            check_arrival(packet, &encoded, version, sender, may_send);
            may_send
        });
        assert!(senders.contains(&true), "encoded, but nobody may send it: {packet:?}");
    });
}

/// Encodes the packet that [`roundtrip`] builds from the same bytes, unless it may not be sent.
///
/// So that whoever needs a stream of real packets can draw it from bytes, too.
#[must_use]
pub fn encoded(data: &[u8]) -> Option<Vec<u8>> {
    build(data, |packet, version| {
        let mut encoded = Vec::new();
        packet.encode_to(version, &mut encoded).ok().map(|_| encoded)
    })
}

fn build<T>(data: &[u8], then: impl FnOnce(&Packet<'_>, Version) -> T) -> T {
    let mut bytes = Bytes::new(data);
    let (version, sender) = bytes.dialect();
    let kind = bytes.pick(&KINDS);
    let lists = draw_lists(&mut bytes, kind, place_of(kind, sender), version);
    let packet = lists.put_into(draw_packet(&mut bytes, kind, version));
    assert_eq!(packet.packet_type(), kind);
    then(&packet, version)
}

/// What the other side sees of `packet`.
fn check_arrival(
    packet: &Packet<'_>,
    encoded: &[u8],
    version: Version,
    sender: Sender,
    may_send: bool,
) {
    match decode_whole(encoded, version, sender) {
        Ok(Some(arrived)) => {
            assert!(may_send, "{sender:?} may not send {packet:?}");
            assert_eq!(arrived, as_said_in(*packet, version), "another packet arrived");
            walk(&arrived, version, sender);
        }
        Ok(None) => panic!("a packet is missing its end: {packet:?}"),
        Err(error) => {
            assert!(!may_send, "refused on arrival: {error}: {packet:?}");
            let about_the_sender =
                [Sin::WrongSender, Sin::PropertyFromWrongSender, Sin::ReasonCode];
            assert!(about_the_sender.contains(&error.sin), "{error}: {packet:?}");
        }
    }
}

/// Whether it is for this side to say, once it is known that the packet is right.
fn may_send(packet: &Packet<'_>, version: Version, sender: Sender) -> bool {
    let place = place_of(packet.packet_type(), sender);
    let allows_properties = || properties_of(packet).iter().all(|one| one.id().allowed_in(place));
    match packet {
        Packet::Connect(_) | Packet::Subscribe(_) | Packet::Unsubscribe(_) | Packet::PingReq => {
            sender == Sender::Client
        }
        Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
            sender == Sender::Server
        }
        Packet::Publish(publish) => {
            sender == Sender::Server
                || !publish.properties.contains(PropertyId::SubscriptionIdentifier)
        }
        Packet::Disconnect(disconnect) if version.is_v5() => {
            disconnect.reason.allowed_in(carrier_of_disconnect(sender)) && allows_properties()
        }
        Packet::Disconnect(_) => sender == Sender::Client,
        Packet::Auth(auth) => auth.reason.allowed_in(carrier_of_auth(sender)),
        _ => true,
    }
}

/// The packet as `version` can say it: before version 5 several codes share one return code.
fn as_said_in(packet: Packet<'_>, version: Version) -> Packet<'_> {
    match packet {
        Packet::ConnAck(ack) if !version.is_v5() => {
            let said = ack.reason.to_v3_return_code().and_then(ReasonCode::from_v3_return_code);
            Packet::ConnAck(ConnAck { reason: said.unwrap_or(ack.reason), ..ack })
        }
        other => other,
    }
}
