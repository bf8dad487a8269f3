//! A server that misbehaves: the connection ends, for the right reason, and the session is kept.

use std::collections::BTreeSet;

use tamtam_core::client::{Filter, PeerError};
use tamtam_core::{Heap, ReasonCode, Version};
use tamtam_tests::happened::{Happened, Loss};
use tamtam_tests::node::Habits;
use tamtam_tests::profile::Profile;
use tamtam_tests::server::{Manners, Reaction, Scripted};
use tamtam_tests::watched::Draft;
use tamtam_tests::wire::{AckKind, Answer, ConnAck, Packet, Props, Publish, Request, encode, id};
use tamtam_tests::world::World;

use crate::support::{Kind, Small, expect_right, is_at_rest, world_of};

const NAME: &str = "victim";
const V5: &[Version] = &[Version::V5];
const OLD: &[Version] = &[Version::V31, Version::V311];

/// A client with a QoS 1 message (identifier 1), a QoS 2 message (2), a SUBSCRIBE for two filters
/// (3) and an UNSUBSCRIBE (4) without an answer, and a received QoS 2 message (1) that it has not
/// acknowledged.
fn victim<S: Kind>(version: Version) -> World<S, Scripted> {
    let profile = Profile {
        receive_maximum: 3,
        max_packet_size: 300,
        topic_alias_maximum: 3,
        manual_ack: true,
        ..Profile::new(version, NAME)
    };
    let mut world = world_of::<S>(3, profile, Habits::PLAIN, Manners::GOOD);
    let now = world.now;
    world.nodes[0].client.machine.connect(now).expect("it was started");
    world.settle();
    world.server.trick = Some(Box::new(|packet| match packet {
        Packet::Publish(_) | Packet::Subscribe(_) | Packet::Unsubscribe(_) => {
            Reaction::Instead(Vec::new())
        }
        _ => Reaction::Proper,
    }));
    let client = &mut world.nodes[0].client;
    client.publish(&Draft::new("a", b"one", 1), now).expect("room");
    client.publish(&Draft::new("a", b"two", 2), now).expect("room");
    client.subscribe(&[Filter::new("f"), Filter::new("g")], now).expect("room");
    client.unsubscribe(&["h"], now).expect("room");
    world.server.publish(NAME.as_bytes(), "c", b"down", 2);
    world.settle();
    world
}

fn losses<S: Kind>(world: &World<S, Scripted>) -> Vec<Loss> {
    let inbox = world.nodes[0].inbox.iter();
    let losses = inbox.filter_map(|happened| match happened {
        Happened::Lost(loss) => Some(*loss),
        _ => None,
    });
    losses.collect()
}

/// Acknowledges whatever has come, until all is settled, with a server that behaves again.
fn recover<S: Kind>(world: &mut World<S, Scripted>) {
    world.server.trick = None;
    let mut acked = BTreeSet::new();
    let rested = world.run_until(200_000, |world| {
        let now = world.now;
        let node = &mut world.nodes[0];
        for (index, happened) in node.inbox.iter().enumerate() {
            if let Happened::Message(message) = happened
                && acked.insert(index)
            {
                let _ = node.client.ack(message.ack, now);
            }
        }
        world.settle();
        is_at_rest(world)
    });
    assert!(rested, "no rest: {}", S::show(&world.nodes[0].client.machine));
    expect_right(world, true);
}

struct Case {
    name: &'static str,
    versions: &'static [Version],
    bytes: fn(Version) -> Vec<u8>,
    loss: Loss,
    /// The code of the DISCONNECT.
    code: u8,
}

fn ack(kind: AckKind, id: u16, version: Version) -> Vec<u8> {
    encode(&Packet::ack(kind, id), version)
}

fn publish(id: u16, qos: u8, alias: Option<u32>, topic: &[u8], version: Version) -> Vec<u8> {
    let props = alias.map_or(Props::NONE, |alias| Props::NONE.with(id::TOPIC_ALIAS, alias));
    let topic = topic.to_vec();
    let publish = Publish { qos, topic, id, props, payload: b"bad".into(), ..Publish::default() };
    encode(&Packet::Publish(publish), version)
}

const fn case(
    name: &'static str,
    versions: &'static [Version],
    bytes: fn(Version) -> Vec<u8>,
    error: PeerError,
    code: u8,
) -> Case {
    Case { name, versions, bytes, loss: Loss::Peer(error), code }
}

const fn malformed(
    name: &'static str,
    versions: &'static [Version],
    bytes: fn(Version) -> Vec<u8>,
    reason: ReasonCode,
) -> Case {
    Case { name, versions, bytes, loss: Loss::Malformed(reason), code: reason as u8 }
}

const SUBACK: fn(u16, &[u8], Version) -> Vec<u8> = |id, codes, version| {
    let answer = Answer { id, props: Props::NONE, codes: codes.to_vec() };
    encode(&Packet::SubAck(answer), version)
};

/// What goes wrong between packets.
const SINS: &[Case] = &[
    case("PUBACK unasked", Version::ALL, |v| ack(AckKind::PubAck, 9, v), PeerError::PacketId, 0x82),
    case("PUBACK twice", Version::ALL, puback_twice, PeerError::PacketId, 0x82),
    case(
        "PUBACK at QoS 2",
        Version::ALL,
        |v| ack(AckKind::PubAck, 2, v),
        PeerError::PacketId,
        0x82,
    ),
    case("PUBACK for 3", Version::ALL, |v| ack(AckKind::PubAck, 3, v), PeerError::PacketId, 0x82),
    case(
        "PUBREC at QoS 1",
        Version::ALL,
        |v| ack(AckKind::PubRec, 1, v),
        PeerError::PacketId,
        0x82,
    ),
    case("PUBREC for 4", Version::ALL, |v| ack(AckKind::PubRec, 4, v), PeerError::PacketId, 0x82),
    case("PUBCOMP early", Version::ALL, |v| ack(AckKind::PubComp, 2, v), PeerError::PacketId, 0x82),
    case("PUBREL early", Version::ALL, |v| ack(AckKind::PubRel, 1, v), PeerError::PacketId, 0x82),
    case("a second CONNACK", Version::ALL, second_connack, PeerError::SecondConnAck, 0x82),
    case("SUBACK unasked", Version::ALL, |v| SUBACK(9, &[0], v), PeerError::PacketId, 0x82),
    case("SUBACK for a message", Version::ALL, |v| SUBACK(1, &[0], v), PeerError::PacketId, 0x82),
    case("a code too few", Version::ALL, |v| SUBACK(3, &[0], v), PeerError::CodeCount, 0x82),
    case("a code too many", Version::ALL, |v| SUBACK(3, &[0, 0, 0], v), PeerError::CodeCount, 0x82),
    case("UNSUBACK for 3", Version::ALL, |v| unsuback(3, 2, v), PeerError::PacketId, 0x82),
    case("UNSUBACK, two codes", V5, |v| unsuback(4, 2, v), PeerError::CodeCount, 0x82),
    case("alias 4 of 3", V5, |v| publish(0, 0, Some(4), b"t", v), PeerError::TopicAlias, 0x94),
    case("alias unknown", V5, |v| publish(0, 0, Some(2), b"", v), PeerError::UnknownAlias, 0x82),
    case("a window of 4", V5, too_many, PeerError::ReceiveMaximum, 0x93),
    case("too large", Version::ALL, too_large, PeerError::PacketTooLarge, 0x95),
    case("AUTH unasked", V5, |_| b"\xF0\x05\x18\x03\x15\x00\x00".into(), PeerError::Auth, 0x82),
];

/// What goes wrong within one packet.
const BAD_PACKETS: &[Case] = &[
    malformed("type 0", Version::ALL, |_| b"\x00\x00".into(), ReasonCode::MalformedPacket),
    malformed("AUTH", OLD, |_| b"\xF0\x00".into(), ReasonCode::MalformedPacket),
    malformed(
        "QoS 3",
        Version::ALL,
        |_| b"\x36\x05\0\x01a\0\x01".into(),
        ReasonCode::MalformedPacket,
    ),
    malformed(
        "DUP, QoS 0",
        Version::ALL,
        |_| b"\x38\x03\0\x01a".into(),
        ReasonCode::MalformedPacket,
    ),
    malformed("PUBREL flags", V5, |_| b"\x60\x02\0\x01".into(), ReasonCode::MalformedPacket),
    malformed(
        "length",
        Version::ALL,
        |_| vec![0x30, 255, 255, 255, 255],
        ReasonCode::MalformedPacket,
    ),
    malformed(
        "UTF-8",
        Version::ALL,
        |v| publish(0, 0, None, b"\xFF", v),
        ReasonCode::MalformedPacket,
    ),
    malformed("alias 0", V5, |v| publish(0, 0, Some(0), b"t", v), ReasonCode::TopicAliasInvalid),
    malformed("id 0", Version::ALL, |v| publish(0, 1, None, b"t", v), ReasonCode::ProtocolError),
    malformed("PUBACK 0", Version::ALL, |v| ack(AckKind::PubAck, 0, v), ReasonCode::ProtocolError),
    malformed(
        "wildcard",
        Version::ALL,
        |v| publish(0, 0, None, b"#", v),
        ReasonCode::ProtocolError,
    ),
    malformed("a SUBSCRIBE", Version::ALL, subscribe, ReasonCode::ProtocolError),
    malformed("PINGREQ", Version::ALL, |v| encode(&Packet::PingReq, v), ReasonCode::ProtocolError),
    malformed("DISCONNECT", OLD, |_| b"\xE0\x00".into(), ReasonCode::ProtocolError),
    malformed("no codes", Version::ALL, |v| SUBACK(3, &[], v), ReasonCode::ProtocolError),
];

fn puback_twice(version: Version) -> Vec<u8> {
    ack(AckKind::PubAck, 1, version).repeat(2)
}

fn second_connack(version: Version) -> Vec<u8> {
    encode(&Packet::ConnAck(ConnAck::default()), version)
}

fn unsuback(id: u16, codes: usize, version: Version) -> Vec<u8> {
    encode(&Packet::UnsubAck(Answer { id, props: Props::NONE, codes: vec![0; codes] }), version)
}

/// One message is not settled, so this makes four.
fn too_many(version: Version) -> Vec<u8> {
    [5, 6, 7].map(|id| publish(id, 2, None, b"t", version)).concat()
}

/// Only its beginning: it is refused before it is there.
fn too_large(version: Version) -> Vec<u8> {
    let payload = vec![0; 300];
    let publish = Publish { topic: b"t".into(), payload, ..Publish::default() };
    encode(&Packet::Publish(publish), version)[..4].to_vec()
}

fn subscribe(version: Version) -> Vec<u8> {
    let request = Request { id: 1, props: Props::NONE, filters: vec![(b"a".into(), 0)] };
    encode(&Packet::Subscribe(request), version)
}

fn run<S: Kind>(case: &Case) {
    for &version in case.versions {
        let what = format!("{} in {version:?}", case.name);
        let mut world = victim::<S>(version);
        let now = world.now;
        let connections = world.counts.connections;
        world.server.send_bytes(NAME.as_bytes(), &(case.bytes)(version), now);
        world.settle();
        assert_eq!(losses(&world), [case.loss], "{what}");
        let expected: &[u8] = if version.is_v5() { &[case.code] } else { &[] };
        assert_eq!(world.server.goodbyes, expected, "{what}");
        assert!(world.server.sessions.contains_key(NAME.as_bytes()), "{what}");
        if case.name == "PUBACK twice" {
            world.server.count_taken(NAME.as_bytes(), b"one"); // the first was not wrong
        }
        recover(&mut world);
        assert!(world.counts.connections > connections, "{what}");
    }
}

#[test]
fn what_goes_wrong_between_packets_ends_the_connection() {
    SINS.iter().for_each(run::<Heap>);
    SINS.iter().for_each(run::<Small>);
}

#[test]
fn what_goes_wrong_within_a_packet_ends_the_connection() {
    BAD_PACKETS.iter().for_each(run::<Heap>);
    BAD_PACKETS.iter().for_each(run::<Small>);
}
