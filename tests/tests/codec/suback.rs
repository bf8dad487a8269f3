//! SUBACK and UNSUBACK: a code for each filter.

use tamtam_core::{Field, Packet, QoS, ReasonCode, Sin, SubAck, UnsubAck};

use crate::support::*;

#[track_caller]
fn suback(version: Version, packet: &str) -> SubAck<'static> {
    let Packet::SubAck(suback) = accepted(version, Server, packet) else { panic!("no SUBACK") };
    suback
}

#[track_caller]
fn unsuback(version: Version, packet: &str) -> UnsubAck<'static> {
    let Packet::UnsubAck(unsuback) = accepted(version, Server, packet) else {
        panic!("no UNSUBACK")
    };
    unsuback
}

/// Table 3-8 of MQTT 5.
const SUBACK_5: [u8; 12] = [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2];
/// Chapter 3.9.3 of MQTT 3.1.1. (3.1 knows no failure; servers send it all the same.)
const SUBACK_3: [u8; 4] = [0x00, 0x01, 0x02, 0x80];
/// Table 3-9 of MQTT 5.
const UNSUBACK_5: [u8; 7] = [0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];

// [MQTT5-3.9.3-2, MQTT3-3.9.3-2]
#[test]
fn a_suback_has_the_codes_of_its_table() {
    for (version, byte) in EVERY.into_iter().flat_map(|v| (0..=255_u8).map(move |b| (v, b))) {
        let allowed: &[u8] = if version == V5 { &SUBACK_5 } else { &SUBACK_3 };
        if allowed.contains(&byte) {
            let found = suback(version, &format!("90( 0001 ~ {byte:02X} )"));
            assert_eq!(found.codes.iter().collect::<Vec<_>>(), [code(byte)]);
            continue;
        }
        let verdict = (Sin::ReasonCode, Field::ReasonCode, PROTOCOL_ERROR);
        assert_eq!(refused(version, Server, &format!("90( 0001 ~ ^{byte:02X} )")), verdict);
        assert_eq!(
            refused(version, Server, &format!("90( 0001 ~ 00 01 ^{byte:02X} 02 )")),
            verdict
        );
    }
}

// [MQTT5-3.11.3-2]
#[test]
fn an_unsuback_has_the_codes_of_its_table() {
    for byte in 0..=255_u8 {
        if UNSUBACK_5.contains(&byte) {
            let found = unsuback(V5, &format!("B0( 0001 00 {byte:02X} )"));
            assert_eq!(found.codes.iter().collect::<Vec<_>>(), [code(byte)]);
            continue;
        }
        let verdict = (Sin::ReasonCode, Field::ReasonCode, PROTOCOL_ERROR);
        assert_eq!(refused(V5, Server, &format!("B0( 0001 00 ^{byte:02X} )")), verdict);
        assert_eq!(refused(V5, Server, &format!("B0( 0001 00 00 11 ^{byte:02X} 00 )")), verdict);
    }
}

#[test]
fn the_codes_keep_their_order() {
    for version in EVERY {
        let found = suback(version, "90( 0001 ~ 02 80 00 01 00 )");
        let granted: Vec<_> = found.codes.iter().map(ReasonCode::granted_qos).collect();
        let qos = |level| QoS::from_level(level);
        assert_eq!(granted, [qos(2), None, qos(0), qos(1), qos(0)]);
        assert_eq!((found.packet_id, found.codes.count()), (id(1), 5));
    }
    let found = unsuback(V5, "B0( 0001 00 11 00 87 )");
    assert_eq!(found.codes.iter().map(ReasonCode::as_byte).collect::<Vec<_>>(), [0x11, 0, 0x87]);
}

#[test]
fn there_is_at_least_one_code() {
    let verdict = (Sin::NoReasonCode, Field::ReasonCode, PROTOCOL_ERROR);
    for version in EVERY {
        assert_eq!(refused(version, Server, "90( 0001 ~ ^ )"), verdict);
    }
    assert_eq!(refused(V5, Server, "B0( 0001 00 ^ )"), verdict);
}

#[test]
fn before_mqtt_5_an_unsuback_is_its_packet_identifier() {
    for version in BEFORE_5 {
        let found = unsuback(version, "B0( 1234 )");
        assert_eq!((found.packet_id, found.codes.is_empty()), (id(0x1234), true));
        let verdict = refused(version, Server, "B0( 0001 ^00 )");
        assert_eq!(verdict, (Sin::TrailingBytes, Field::Payload, MALFORMED));
    }
    let verdict = refused(V5, Server, "B0( 0001 ^ )");
    assert_eq!(verdict, (Sin::Truncated, Field::PropertyLength, MALFORMED));
}

#[test]
fn the_packet_identifier_is_not_0() {
    for (version, first) in EVERY.into_iter().flat_map(|v| ["90", "B0"].map(|first| (v, first))) {
        let verdict = refused(version, Server, &format!("{first}( ^0000 ~ 00 )"));
        assert_eq!(verdict, (Sin::PacketIdZero, Field::PacketId, PROTOCOL_ERROR));
        let verdict = refused(version, Server, &format!("{first}( ^00 )"));
        assert_eq!(verdict, (Sin::Truncated, Field::PacketId, MALFORMED));
    }
}
