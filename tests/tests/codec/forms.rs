//! Every packet in every version: there and back, whole and in part, with nothing to spare.

use std::collections::BTreeSet;

use tamtam_core::{EncodeError, Packet, PacketType, Sin, frame_len};

use crate::samples::{Sample, samples};
use crate::support::*;

#[test]
fn the_samples_are_every_packet_that_each_side_may_send() {
    for (version, sender, types) in [
        (V31, Client, "1 3 4 5 6 7 8 10 12 14"),
        (V31, Server, "2 3 4 5 6 7 9 11 13"),
        (V311, Client, "1 3 4 5 6 7 8 10 12 14"),
        (V311, Server, "2 3 4 5 6 7 9 11 13"),
        (V5, Client, "1 3 4 5 6 7 8 10 12 14 15"),
        (V5, Server, "2 3 4 5 6 7 9 11 13 14 15"),
    ] {
        let of_both = |sample: &Sample| sample.version == version && sample.sender == sender;
        let numbers = samples().into_iter().filter(of_both);
        let numbers: BTreeSet<u8> = numbers.map(|s| s.packet.packet_type() as u8).collect();
        let names: Vec<String> = numbers.iter().map(u8::to_string).collect();
        assert_eq!(names.join(" "), types);
    }
}

#[test]
fn every_packet_is_written_as_it_should_be_and_read_back_equal() {
    for Sample { version, sender, packet, bytes } in samples() {
        assert_eq!(encoded(version, &packet), bytes, "{packet:?}");
        assert_eq!(accepted_bytes(version, sender, bytes), packet);
        assert_eq!(packet.packet_type(), PacketType::of(bytes[0]));
        assert_eq!(packet.encoded_len(version), Ok(bytes.len()));
        assert_eq!(frame_len(bytes, version), Ok(Some(bytes.len())));
    }
}

#[test]
fn every_packet_is_appended_to_a_buffer_too() {
    for Sample { version, packet, bytes, .. } in samples() {
        let mut out = b"before ".to_vec();
        assert_eq!(packet.encode_to(version, &mut out), Ok(bytes.len()));
        assert_eq!(out, [b"before ", bytes].concat());
        let mut memory = vec![0xEE; bytes.len()];
        let mut out = memory.as_mut_slice();
        assert_eq!(packet.encode_to(version, &mut out), Ok(bytes.len()));
        assert!(out.is_empty());
        assert_eq!(memory, bytes);
    }
}

#[test]
fn too_little_room_is_an_error_and_nothing_is_written() {
    for Sample { version, packet, bytes, .. } in samples() {
        let error = Err(EncodeError::NoRoom { needed: bytes.len() });
        for room in 0..bytes.len() {
            let mut out = vec![0xEE; room];
            assert_eq!(packet.encode(version, &mut out), error);
            assert_eq!(out, vec![0xEE; room]);
            assert_eq!(packet.encode_to(version, &mut out.as_mut_slice()), error);
            assert_eq!(out, vec![0xEE; room]);
        }
    }
}

#[test]
fn the_shortest_forms_are_written() {
    let length = |written: &str| bytes(V5, written).len();
    let shortest = [
        (PacketType::PubAck, 4),
        (PacketType::PubRec, 4),
        (PacketType::PubRel, 4),
        (PacketType::PubComp, 4),
        (PacketType::PingReq, 2),
        (PacketType::PingResp, 2),
        (PacketType::Disconnect, 2),
    ];
    for (packet_type, expected) in shortest {
        for version in EVERY {
            let all = samples().into_iter().filter(|sample| sample.version == version);
            let lengths = all.filter(|sample| sample.packet.packet_type() == packet_type);
            assert_eq!(lengths.map(|sample| sample.bytes.len()).min(), Some(expected));
        }
    }
    // A reason without properties: no property length.
    assert_eq!([length("40( 0007 10 )"), length("E0( 04 )"), length("F0 00")], [5, 3, 2]);
}

#[test]
fn packets_follow_each_other_in_a_stream() {
    for (version, sender) in EVERY.into_iter().flat_map(|v| BOTH.map(|sender| (v, sender))) {
        let all = samples().into_iter().filter(|s| s.version == version && s.sender == sender);
        let all: Vec<Sample> = all.collect();
        let stream = all.iter().flat_map(|sample| sample.bytes).copied().collect::<Vec<_>>();
        let mut rest = stream.as_slice();
        for Sample { packet, .. } in all {
            assert_eq!(Packet::decode(&mut rest, version, sender), Ok(Some(packet)));
        }
        assert_eq!(Packet::decode(&mut rest, version, sender), Ok(None));
    }
}

/// The packet's body.
fn body(bytes: &[u8]) -> &[u8] {
    let header = 1 + bytes[1..].iter().position(|byte| *byte < 0x80).expect("a length") + 1;
    &bytes[header..]
}

#[test]
fn a_byte_behind_the_last_field_is_an_error() {
    for Sample { version, sender, packet, bytes } in samples() {
        let longer = framed(bytes[0], &[body(bytes), &[0xFF]].concat());
        let found = decode(version, sender, &longer);
        if let Packet::Publish(publish) = packet {
            // Its payload is whatever follows.
            let Ok(Some(Packet::Publish(found))) = found else { panic!("{found:?}") };
            assert_eq!(found.payload, [publish.payload, &[0xFF]].concat());
            continue;
        }
        // 0xFF is a reason code of no packet, and the first byte of no field that fits in one.
        let error = found.expect_err("a refusal");
        let sins = [Sin::TrailingBytes, Sin::Truncated, Sin::ReasonCode];
        assert!(sins.contains(&error.sin), "{packet:?}: {error}");
        assert_eq!(error.offset as usize, bytes.len(), "{packet:?}: {error}");
    }
}

/// What is left of a packet that is cut off after a field that may be its last.
fn may_end_early(packet: &Packet<'_>) -> bool {
    !matches!(packet, Packet::Connect(_) | Packet::ConnAck(_) | Packet::PingReq | Packet::PingResp)
}

#[test]
fn a_body_that_is_cut_off_is_an_error_or_a_shorter_packet() {
    for Sample { version, sender, packet, bytes } in samples() {
        let body = body(bytes);
        for end in 0..body.len() {
            let shorter = framed(bytes[0], &body[..end]);
            match decode(version, sender, &shorter) {
                Ok(found) => {
                    let found = found.expect("all of it is there");
                    // In 3.1, without the password, or the user name too.
                    let without_credentials =
                        version == V31 && [4, 9].contains(&(body.len() - end));
                    assert!(may_end_early(&packet) || without_credentials, "{found:?}");
                    assert_ne!(found, packet);
                    assert_eq!(found.packet_type(), packet.packet_type());
                }
                Err(error) => {
                    assert!(error.offset as usize <= shorter.len(), "{error}");
                    let sins = [
                        Sin::Truncated,
                        Sin::NoFilter,
                        Sin::NoFilterToLeave,
                        Sin::NoReasonCode,
                        Sin::ReasonCode, // a client's AUTH without anything
                        Sin::AuthenticationMethod,
                    ];
                    assert!(sins.contains(&error.sin), "{packet:?} cut at {end}: {error}");
                }
            }
        }
    }
}
