//! The fixed header: packet type, flags, remaining length.

use tamtam_core::{Connect, Field, MAX_REMAINING_LENGTH, Packet, PacketType, Sin, frame_len};

use crate::support::*;

/// The first bytes that are legal, from Tables 2-1 and 2-2 of MQTT 5 and Tables 2.1 and 2.2 of
/// MQTT 3.1.1. In 3.1 what is sent again has DUP set, PUBREL, SUBSCRIBE and UNSUBSCRIBE too.
fn legal(version: Version, sender: Sender) -> &'static [u8] {
    const PUBLISH: &str = "30 31 32 33 34 35 3A 3B 3C 3D";
    let others = match (version, sender) {
        (V31, Client) => "10 40 50 62 6A 70 82 8A A2 AA C0 E0",
        (V31, Server) => "20 40 50 62 6A 70 90 B0 D0",
        (V311, Client) => "10 40 50 62 70 82 A2 C0 E0",
        (V311, Server) => "20 40 50 62 70 90 B0 D0",
        (_, Client) => "10 40 50 62 70 82 A2 C0 E0 F0",
        (_, Server) => "20 40 50 62 70 90 B0 D0 E0 F0",
    };
    bytes(version, &format!("{PUBLISH} {others}"))
}

fn other(sender: Sender) -> Sender {
    if sender == Client { Server } else { Client }
}

/// What is wrong with a packet that begins like this.
fn sin_of(first: u8, version: Version, sender: Sender) -> Option<Sin> {
    if legal(version, sender).contains(&first) {
        return None;
    }
    Some(match first >> 4 {
        0 => Sin::ReservedPacketType,
        15 if version != V5 => Sin::ReservedPacketType,
        3 if first & 0b0110 == 0b0110 => Sin::QoS,
        3 => Sin::DupAtQoS0,
        _ if legal(version, other(sender)).contains(&first) => Sin::WrongSender,
        _ => Sin::ReservedFlags,
    })
}

// [MQTT5-2.1.3-1, MQTT3-2.2.2-1, MQTT5-3.3.1-2, MQTT3-3.3.1-2, MQTT5-3.3.1-4, MQTT3-3.3.1-4]
#[test]
fn every_first_byte_is_judged_by_version_and_sender() {
    for version in EVERY {
        for (sender, first) in BOTH.into_iter().flat_map(|s| (0..=255).map(move |b| (s, b))) {
            let header = [first, 0x7F]; // the body is still to come
            let result = decode(version, sender, &header);
            let Some(sin) = sin_of(first, version, sender) else {
                assert_eq!(result, Ok(None), "{version} {sender:?} {first:02X}");
                continue;
            };
            let error = result.expect_err("a refusal");
            let found = (error.sin, error.field, error.offset, error.packet);
            let expected = (sin, Field::PacketType, 0, PacketType::of(first));
            assert_eq!(found, expected, "{version} {sender:?} {first:02X}");
            let code = if sin == Sin::WrongSender { PROTOCOL_ERROR } else { MALFORMED };
            assert_eq!(error.reason_code().as_byte(), code);
        }
    }
}

#[test]
fn the_packet_type_is_the_upper_half_of_the_first_byte() {
    let names = "reserved packet CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE \
                 SUBACK UNSUBSCRIBE UNSUBACK PINGREQ PINGRESP DISCONNECT AUTH";
    let names: Vec<&str> = names.split_once(" packet ").expect("more").1.split(' ').collect();
    for first in 0x10..=0xFF_u8 {
        let packet = PacketType::of(first);
        assert_eq!(packet as u8, first >> 4);
        assert_eq!(packet.name(), names[usize::from(first >> 4) - 1]);
    }
    assert!((0..0x10).all(|first| PacketType::of(first) == PacketType::Reserved));
}

#[track_caller]
fn flags_are_fixed(version: Version, sender: Sender, first: u8, body: &str, citation: &str) {
    for flags in 0..16 {
        let byte = first & 0xF0 | flags;
        let packet = format!("{byte:02X}( {body} )");
        if byte == first {
            accepted(version, sender, &packet);
            continue;
        }
        if version == V31 && byte == first | 0x08 && matches!(first, 0x62 | 0x82 | 0xA2) {
            continue; // DUP
        }
        let verdict = refused(version, sender, &format!("^{packet}"));
        assert_eq!(verdict, (Sin::ReservedFlags, Field::PacketType, MALFORMED));
        let error = decode(version, sender, bytes(version, &packet)).expect_err("a refusal");
        assert_eq!(error.citation(), citation);
    }
}

// [MQTT5-3.6.1-1, MQTT3-3.6.1-1]
#[test]
fn pubrel_with_flags_other_than_0010_is_malformed() {
    for sender in BOTH {
        flags_are_fixed(V5, sender, 0x62, "0001", "MQTT5-3.6.1-1");
        flags_are_fixed(V311, sender, 0x62, "0001", "MQTT3-3.6.1-1");
        flags_are_fixed(V31, sender, 0x62, "0001", "MQTT3-3.6.1-1");
    }
}

// [MQTT5-3.8.1-1, MQTT3-3.8.1-1]
#[test]
fn subscribe_with_flags_other_than_0010_is_malformed() {
    flags_are_fixed(V5, Client, 0x82, "0001 00 <a> 00", "MQTT5-3.8.1-1");
    flags_are_fixed(V311, Client, 0x82, "0001 <a> 00", "MQTT3-3.8.1-1");
    flags_are_fixed(V31, Client, 0x82, "0001 <a> 00", "MQTT3-3.8.1-1");
}

// [MQTT5-3.10.1-1, MQTT3-3.10.1-1]
#[test]
fn unsubscribe_with_flags_other_than_0010_is_malformed() {
    flags_are_fixed(V5, Client, 0xA2, "0001 00 <a>", "MQTT5-3.10.1-1");
    flags_are_fixed(V311, Client, 0xA2, "0001 <a>", "MQTT3-3.10.1-1");
    flags_are_fixed(V31, Client, 0xA2, "0001 <a>", "MQTT3-3.10.1-1");
}

// [MQTT5-3.14.1-1, MQTT3-3.14.1-1]
#[test]
fn disconnect_with_flags_is_malformed() {
    flags_are_fixed(V5, Client, 0xE0, "", "MQTT5-3.14.1-1");
    flags_are_fixed(V5, Server, 0xE0, "", "MQTT5-3.14.1-1");
    flags_are_fixed(V311, Client, 0xE0, "", "MQTT3-3.14.1-1");
    flags_are_fixed(V31, Client, 0xE0, "", "MQTT3-3.14.1-1");
}

// [MQTT5-3.15.1-1]
#[test]
fn auth_with_flags_is_malformed() {
    for sender in BOTH {
        flags_are_fixed(V5, sender, 0xF0, "18 ( 15<m> )", "MQTT5-3.15.1-1");
    }
}

// [MQTT5-2.1.3-1, MQTT3-2.2.2-1]
#[test]
fn every_other_packet_has_no_flags() {
    for version in EVERY {
        let citation = if version == V5 { "MQTT5-2.1.3-1" } else { "MQTT3-2.2.2-1" };
        flags_are_fixed(version, Client, 0x10, "@ 02 0000 ~ <>", citation);
        flags_are_fixed(version, Server, 0x20, "00 00 ~", citation);
        flags_are_fixed(version, Client, 0x40, "0001", citation);
        flags_are_fixed(version, Client, 0x50, "0001", citation);
        flags_are_fixed(version, Client, 0x70, "0001", citation);
        flags_are_fixed(version, Server, 0x90, "0001 ~ 00", citation);
        flags_are_fixed(version, Client, 0xC0, "", citation);
        flags_are_fixed(version, Server, 0xD0, "", citation);
    }
    flags_are_fixed(V5, Server, 0xB0, "0001 00 00", "MQTT5-2.1.3-1");
    flags_are_fixed(V311, Server, 0xB0, "0001", "MQTT3-2.2.2-1");
}

#[test]
fn what_3_1_sends_again_has_dup_set() {
    for (sender, packet) in [(Client, "6A( 0001 )"), (Server, "6A( 0001 )")] {
        let Packet::PubRel(ack) = accepted(V31, sender, packet) else { panic!("no PUBREL") };
        assert_eq!(ack.packet_id, id(1));
    }
    assert!(matches!(accepted(V31, Client, "8A( 0001 <a> 00 )"), Packet::Subscribe(_)));
    assert!(matches!(accepted(V31, Client, "AA( 0001 <a> )"), Packet::Unsubscribe(_)));
    let verdict = (Sin::ReservedFlags, Field::PacketType, MALFORMED);
    for version in [V311, V5] {
        assert_eq!(refused(version, Client, "^6A( 0001 )"), verdict);
        assert_eq!(refused(version, Client, "^8A( 0001 ~ <a> 00 )"), verdict);
        assert_eq!(refused(version, Client, "^AA( 0001 ~ <a> )"), verdict);
    }
    assert_eq!(refused(V31, Client, "^C8()"), verdict);
    assert_eq!(refused(V31, Client, "^48( 0001 )"), verdict);
}

/// Numbers at the bounds of Table 1-1 of MQTT 5 with the bytes that say them.
const LENGTHS: [(u32, &str); 8] = [
    (0, "00"),
    (127, "7F"),
    (128, "80 01"),
    (16_383, "FF 7F"),
    (16_384, "80 80 01"),
    (2_097_151, "FF FF 7F"),
    (2_097_152, "80 80 80 01"),
    (268_435_455, "FF FF FF 7F"),
];

#[test]
fn the_frame_length_is_known_from_the_first_bytes_alone() {
    assert_eq!(MAX_REMAINING_LENGTH, 268_435_455);
    for (version, (length, written)) in EVERY.into_iter().flat_map(|v| LENGTHS.map(|l| (v, l))) {
        let header = bytes(version, &format!("30 {written}"));
        let expected = length as usize + header.len();
        assert_eq!(frame_len(header, version), Ok(Some(expected)));
        let with_more = [header, &[0xFF; 9]].concat();
        assert_eq!(frame_len(&with_more, version), Ok(Some(expected)));
        for end in 0..header.len() {
            assert_eq!(frame_len(&header[..end], version), Ok(None));
            assert_eq!(decode(version, Client, &header[..end]), Ok(None));
        }
    }
}

#[test]
fn the_frame_length_is_asked_before_the_packet_is_judged() {
    for first in 0..=255 {
        assert_eq!(frame_len(&[first, 0x05], V5), Ok(Some(7)));
    }
}

#[test]
fn lengths_of_every_size_are_read() {
    for version in EVERY {
        for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
            let head = bytes(version, "<t> ~");
            let body = [head, &vec![b'x'; (length as usize).max(head.len()) - head.len()]].concat();
            let packet = framed(0x30, &body);
            let Packet::Publish(publish) = accepted_bytes(version, Client, &packet) else {
                panic!("no PUBLISH")
            };
            assert_eq!(publish.payload.len(), body.len() - head.len());
        }
    }
}

// [MQTT5-1.5.5-1]
#[test]
fn a_length_that_is_longer_than_it_need_be_is_malformed() {
    let verdict = (Sin::LengthNotMinimal, Field::RemainingLength, MALFORMED);
    for version in EVERY {
        for length in ["80 00", "85 00", "FF 00", "80 80 00", "FF FF 00", "80 80 80 00"] {
            assert_eq!(refused(version, Client, &format!("C0 ^{length}")), verdict);
            let error = frame_len(bytes(version, &format!("C0 {length}")), version);
            assert_eq!(
                error.map_err(|e| (e.sin, e.field, e.offset)),
                Err((verdict.0, verdict.1, 1))
            );
        }
    }
    let error = decode(V5, Client, &[0xC0, 0x80, 0x00]).expect_err("a refusal");
    assert_eq!(error.citation(), "MQTT5-1.5.5-1");
}

#[test]
fn a_length_of_more_than_four_bytes_is_malformed() {
    let verdict = (Sin::LengthTooLong, Field::RemainingLength, MALFORMED);
    for version in EVERY {
        for length in ["80 80 80 80", "FF FF FF FF", "80 80 80 80 01", "FF FF FF FF 7F"] {
            assert_eq!(refused(version, Client, &format!("C0 ^{length}")), verdict);
            let error = frame_len(bytes(version, &format!("C0 {length}")), version);
            assert_eq!(
                error.map_err(|e| (e.sin, e.field, e.offset)),
                Err((verdict.0, verdict.1, 1))
            );
        }
    }
}

#[test]
fn only_a_connect_opens_a_connection() {
    for first in (0..=255_u8).filter(|first| first >> 4 != 1) {
        let error = Connect::decode(&mut &[first][..]).expect_err("a refusal");
        assert_eq!(
            (error.sin, error.field, error.offset),
            (Sin::FirstPacket, Field::PacketType, 0)
        );
        assert_eq!(error.reason_code().as_byte(), PROTOCOL_ERROR);
    }
    for first in 0x11..=0x1F {
        let error = Connect::decode(&mut &[first, 0x02][..]).expect_err("a refusal");
        assert_eq!((error.sin, error.field), (Sin::ReservedFlags, Field::PacketType));
    }
    assert_eq!(Connect::decode(&mut &[][..]), Ok(None));
    assert_eq!(Connect::decode(&mut &[0x10][..]), Ok(None));
}
