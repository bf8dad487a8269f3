//! The parts that a run of the command shows only in part: the layout of every packet, hex, quotes.

use std::num::{NonZeroU16, NonZeroU32};

use tamtam_core::{
    Ack, Auth, ConnAck, Connect, Delivery, Disconnect, Items, Packet, PacketId, Place, Properties,
    Property, Publish, QoS, ReasonCode, Sender, SubAck, Subscribe, Subscription, SubscriptionId,
    Text, TopicFilter, TopicName, UnsubAck, Unsubscribe, Version, Will,
};

use super::fault;
use super::hex::{Hex, HexError, looks_like_text};
use super::quote::{Extent, as_text, digits, quoted};
use super::stream::{Frame, Step, Stream};
use super::walk::{Part, walk};

/// A string.
fn text(text: &str) -> Text<'_> {
    Text::new(text).unwrap()
}

/// A topic name.
fn topic(name: &str) -> TopicName<'_> {
    TopicName::new(name).unwrap()
}

/// The bytes of the packets, one after the other.
fn encode(packets: &[Packet<'_>], version: Version) -> Vec<u8> {
    let mut bytes = Vec::new();
    for packet in packets {
        let start = bytes.len();
        bytes.resize(start + packet.encoded_len(version).unwrap(), 0);
        packet.encode(version, &mut bytes[start..]).unwrap();
    }
    bytes
}

/// Lays a packet out, asserts that its fields cover it without gap or overlap, and names them.
fn names_of(frame: Frame<'_>, packet: Packet<'_>) -> Vec<&'static str> {
    let mut names = Vec::new();
    let mut at = 0;
    let see = |part: Part<'_>| {
        assert_eq!(part.offset, frame.offset + at, "{} of {packet:?}", part.name);
        assert_eq!(part.bytes, &frame.bytes[at..at + part.bytes.len()]);
        at += part.bytes.len();
        names.push(part.name);
        Ok(())
    };
    walk(frame, packet, see).unwrap();
    assert_eq!(at, frame.bytes.len(), "the fields cover {packet:?}");
    names
}

/// The fields of packets that all are valid.
fn names(bytes: &[u8], version: Version, sender: Sender) -> Vec<&'static str> {
    let mut names = Vec::new();
    for step in Stream::new(bytes, Some(version), Some(sender)) {
        let Step::Packet(frame, packet) = step else { panic!("{step:?}") };
        names.extend(names_of(frame, packet));
    }
    names
}

/// Every property, in the places that carry it.
fn every_property() -> Vec<Property<'static>> {
    let (a, b) = (text("a"), text("bcé"));
    let number = NonZeroU16::new(300).unwrap();
    vec![
        Property::PayloadFormatIndicator(true),
        Property::MessageExpiryInterval(1),
        Property::ContentType(b),
        Property::ResponseTopic(topic("t/é")),
        Property::CorrelationData(b"\0\xFF"),
        Property::SubscriptionIdentifier(SubscriptionId::new(127).unwrap()),
        Property::SubscriptionIdentifier(SubscriptionId::new(128).unwrap()),
        Property::SubscriptionIdentifier(SubscriptionId::new(16_384).unwrap()),
        Property::SubscriptionIdentifier(SubscriptionId::new(268_435_455).unwrap()),
        Property::SessionExpiryInterval(u32::MAX),
        Property::AssignedClientIdentifier(b),
        Property::ServerKeepAlive(0),
        Property::AuthenticationMethod(b),
        Property::AuthenticationData(b"secret"),
        Property::RequestProblemInformation(false),
        Property::WillDelayInterval(7),
        Property::RequestResponseInformation(true),
        Property::ResponseInformation(b),
        Property::ServerReference(b),
        Property::ReasonString(b),
        Property::ReceiveMaximum(number),
        Property::TopicAliasMaximum(9),
        Property::TopicAlias(number),
        Property::MaximumQoS(QoS::AtLeastOnce),
        Property::RetainAvailable(false),
        Property::UserProperty((a, b)),
        Property::UserProperty((Text::EMPTY, Text::EMPTY)),
        Property::MaximumPacketSize(NonZeroU32::MAX),
        Property::WildcardSubscriptionAvailable(true),
        Property::SubscriptionIdentifierAvailable(true),
        Property::SharedSubscriptionAvailable(true),
    ]
}

/// Those of `all` that may stand in `place`.
fn allowed(all: &[Property<'static>], place: Place) -> Vec<Property<'static>> {
    let mut seen = Vec::new();
    let mut fits = |property: &&Property<'static>| {
        let id = property.id();
        let again = seen.contains(&id);
        seen.push(id);
        id.allowed_in(place) && (!again || id.repeats_in(place))
    };
    all.iter().filter(|property| fits(property)).copied().collect()
}

#[test]
fn fields_cover_every_property_from_a_client() {
    let all = every_property();
    let (connect, will) = (allowed(&all, Place::Connect), allowed(&all, Place::Will));
    let auth = allowed(&all, Place::Auth);
    let packets = [
        Packet::Connect(Connect {
            properties: Properties::new(&connect),
            will: Some(Will { properties: Properties::new(&will), ..Will::new(topic("w"), b"") }),
            user_name: Some(text("anna")),
            password: Some(b"\xFF"),
            ..Connect::new(Version::V5, Text::EMPTY)
        }),
        Packet::Auth(Auth {
            reason: ReasonCode::ContinueAuthentication,
            properties: Properties::new(&auth),
        }),
    ];
    let names = names(&encode(&packets, Version::V5), Version::V5, Sender::Client);
    for property in connect.iter().chain(&will).chain(&auth) {
        assert!(names.contains(&property.id().name()), "{property:?} is shown");
    }
}

#[test]
fn fields_cover_every_property_from_a_server() {
    let all = every_property();
    let (connack, publish) = (allowed(&all, Place::ConnAck), allowed(&all, Place::ServerPublish));
    let disconnect = allowed(&all, Place::ServerDisconnect);
    let answer = allowed(&all, Place::SubAck);
    let (packet_id, properties) = (PacketId::MIN, Properties::new(&answer));
    let packets = [
        Packet::ConnAck(ConnAck {
            properties: Properties::new(&connack),
            ..ConnAck::new(ReasonCode::Success, true)
        }),
        Packet::Publish(Publish {
            properties: Properties::new(&publish),
            topic: None,
            ..Publish::new(topic("t"), b"")
        }),
        Packet::PubRec(Ack {
            properties,
            ..Ack::with_reason(packet_id, ReasonCode::NotAuthorized)
        }),
        Packet::SubAck(SubAck {
            packet_id,
            properties,
            codes: Items::from(&[ReasonCode::GRANTED_QOS_0, ReasonCode::NotAuthorized]),
        }),
        Packet::UnsubAck(UnsubAck {
            packet_id,
            properties,
            codes: Items::from(&[ReasonCode::NoSubscriptionExisted]),
        }),
        Packet::Disconnect(Disconnect {
            reason: ReasonCode::ServerMoved,
            properties: Properties::new(&disconnect),
        }),
    ];
    let names = names(&encode(&packets, Version::V5), Version::V5, Sender::Server);
    for property in connack.iter().chain(&publish).chain(&disconnect) {
        assert!(names.contains(&property.id().name()), "{property:?} is shown");
    }
}

/// What an UNSUBACK of version 5 says.
const SUCCESS: &[ReasonCode] = &[ReasonCode::Success];

#[test]
fn fields_cover_the_packets_of_every_version() {
    let id = PacketId::new(0x1234).unwrap();
    let filters = [TopicFilter::new("a/+").unwrap(), TopicFilter::new("$share/g/#").unwrap()];
    let subscriptions = filters.map(Subscription::new);
    let delivery = Delivery::ExactlyOnce { packet_id: id, dup: true };
    let payload = [0; 200];
    for version in Version::ALL.iter().copied() {
        let from_client = [
            Packet::Connect(Connect::new(version, text("c"))),
            Packet::Publish(Publish { delivery, ..Publish::new(topic("t/é"), &payload) }),
            Packet::PubAck(Ack::new(id)),
            Packet::PubRec(Ack::new(id)),
            Packet::PubRel(Ack::new(id)),
            Packet::PubComp(Ack::new(id)),
            Packet::Subscribe(Subscribe {
                packet_id: id,
                properties: Properties::EMPTY,
                subscriptions: Items::from(&subscriptions),
            }),
            Packet::Unsubscribe(Unsubscribe {
                packet_id: id,
                properties: Properties::EMPTY,
                filters: Items::from(&filters),
            }),
            Packet::PingReq,
            Packet::Disconnect(Disconnect::new(ReasonCode::Success)),
        ];
        let codes = Items::from(&[ReasonCode::GrantedQoS2, ReasonCode::UnspecifiedError]);
        let no_codes = if version.is_v5() { Items::from(SUCCESS) } else { Items::EMPTY };
        let properties = Properties::EMPTY;
        let from_server = [
            Packet::ConnAck(ConnAck::new(ReasonCode::NotAuthorized, false)),
            Packet::SubAck(SubAck { packet_id: id, properties, codes }),
            Packet::UnsubAck(UnsubAck { packet_id: id, properties, codes: no_codes }),
            Packet::PingResp,
        ];
        names(&encode(&from_client, version), version, Sender::Client);
        names(&encode(&from_server, version), version, Sender::Server);
    }
}

#[test]
fn shortened_packets_are_laid_out_as_far_as_they_go() {
    // PUBACK with a code and no properties, DISCONNECT with nothing, with a code, with both.
    let bytes = b"\x40\x03\0\x01\x10\xE0\0\xE0\x01\x04\xE0\x02\x04\0";
    let seen = names(bytes, Version::V5, Sender::Client);
    assert_eq!(seen.iter().filter(|name| **name == "reason code").count(), 3);
    assert_eq!(seen.iter().filter(|name| **name == "property length").count(), 1);
    // In 3.1 a flag without its field is no error, and what is sent again has DUP.
    let connect = b"\x10\x0F\0\x06MQIsdp\x03\xC2\0\0\0\x01c";
    names(connect, Version::V31, Sender::Client);
    names(b"\x6A\x02\0\x01", Version::V31, Sender::Client);
}

#[test]
fn whatever_is_in_the_bytes_is_laid_out_or_marked() {
    let seeds: [(&[u8], Sender); 2] = [
        (include_bytes!("../../tests/captures/v5-client.bin"), Sender::Client),
        (include_bytes!("../../tests/captures/v5-server.bin"), Sender::Server),
    ];
    let mut random = 0x9E37_79B9_u32;
    let mut below = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random as usize % limit
    };
    let (mut valid, mut wrong) = (0, 0);
    for _ in 0..5_000 {
        for (seed, sender) in seeds {
            let mut bytes = seed.to_vec();
            for _ in 0..=below(3) {
                let at = below(bytes.len());
                bytes[at] = [0, 1, 0x7F, 0xFF, b'#', below(256) as u8][below(6)];
            }
            let version = Version::ALL[below(Version::ALL.len())];
            let version = if below(4) == 0 { version } else { Version::V5 };
            for step in Stream::new(&bytes, Some(version), Some(sender)) {
                match step {
                    Step::Packet(frame, packet) => valid += names_of(frame, packet).len().min(1),
                    Step::Incomplete(..) => {}
                    Step::Wrong(frame, error) => {
                        let mut out = Vec::new();
                        fault::write(&mut out, &bytes, frame, &error).unwrap();
                        let out = String::from_utf8(out).unwrap();
                        assert!(out.contains("^^"), "something is marked: {out}");
                        wrong += 1;
                    }
                }
            }
        }
    }
    assert!(valid > 1_000 && wrong > 1_000, "{valid} valid, {wrong} wrong");
}

#[test]
fn hex_is_read_as_people_write_it() {
    let read = |text: &str| {
        let mut hex = Hex::default();
        hex.push(text.as_bytes()).and_then(|()| hex.into_bytes())
    };
    for text in ["30fe00", "30 FE 00", "30:fe:00", "0x30,0xfe, 0x00", "0X30FE00", "3 0f\r\ne00"] {
        assert_eq!(read(text), Ok(vec![0x30, 0xFE, 0x00]), "{text}");
    }
    assert_eq!(read(""), Ok(vec![]));
    assert_eq!(read("30 0g"), Err(HexError::NotADigit { found: 'g', at: 5 }));
    assert_eq!(read("30é"), Err(HexError::NotADigit { found: 'é', at: 3 }));
    assert_eq!(read("300"), Err(HexError::HalfAByte { digits: 3 }));
    assert_eq!(read("0x3 0x0"), Err(HexError::HalfAByte { digits: 1 }));
}

#[test]
fn packets_never_look_like_text() {
    assert!(looks_like_text(b"30 06\n"));
    assert!(looks_like_text(b"GET / HTTP/1.1\r\n"));
    assert!(!looks_like_text(b"\x30\x06\x00\x01a\x00bc"));
    assert!(!looks_like_text(b"\xC0\x00"));
}

#[test]
fn quotes_cut_long_text_between_characters() {
    assert_eq!(quoted("a\n\u{1}", Extent::Beginning), r#""a\n\u{1}""#);
    let long = format!("a{}", "é".repeat(200));
    let cut = quoted(&long, Extent::Beginning);
    assert!(cut.ends_with("é\".. (the first 255 of 401 bytes; --all shows all)"), "{cut}");
    assert_eq!(quoted(&long, Extent::All), format!("{long:?}"));
}

#[test]
fn text_is_what_a_person_can_read() {
    assert_eq!(as_text(b"{\"t\":\t21}\r\n"), Some("{\"t\":\t21}\r\n"));
    assert_eq!(as_text(b""), Some(""));
    assert_eq!(as_text(b"\x01"), None);
    assert_eq!(as_text(b"\xFF"), None);
    assert_eq!((digits(0), digits(9), digits(10), digits(100)), (1, 1, 2, 3));
}
