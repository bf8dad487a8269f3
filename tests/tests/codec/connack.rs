//! CONNACK: acknowledge flags, reason codes, return codes.

use tamtam_core::{ConnAck, Field, Packet, ReasonCode, Sin};

use crate::support::*;

#[track_caller]
fn connack(version: Version, packet: &str) -> ConnAck<'static> {
    let Packet::ConnAck(connack) = accepted(version, Server, packet) else { panic!("no CONNACK") };
    connack
}

// [MQTT5-3.2.2-1]
#[test]
fn the_seven_upper_acknowledge_flags_are_reserved() {
    for flags in 0..=255_u8 {
        for version in [V311, V5] {
            if flags < 2 {
                let found = connack(version, &format!("20( {flags:02X} 00 ~ )"));
                assert_eq!(found, ConnAck::new(ReasonCode::Success, flags == 1));
                continue;
            }
            let verdict = refused(version, Server, &format!("20( ^{flags:02X} 00 ~ )"));
            assert_eq!(verdict, (Sin::ReservedConnAckFlags, Field::AcknowledgeFlags, MALFORMED));
        }
    }
    let error = decode(V5, Server, &[0x20, 0x03, 0x02, 0x00, 0x00]).expect_err("a refusal");
    assert_eq!(error.citation(), "MQTT5-3.2.2-1");
}

#[test]
fn in_3_1_the_first_byte_is_not_looked_at() {
    for flags in 0..=255_u8 {
        let found = connack(V31, &format!("20( {flags:02X} 00 )"));
        assert_eq!(found, ConnAck::new(ReasonCode::Success, false));
        let found = connack(V31, &format!("20( {flags:02X} 05 )"));
        assert_eq!(found, ConnAck::new(ReasonCode::NotAuthorized, false));
    }
}

// [MQTT5-3.2.2-6, MQTT3-3.2.2-4]
#[test]
fn a_failure_beside_session_present_is_a_protocol_error() {
    let verdict = (Sin::SessionPresentOnError, Field::AcknowledgeFlags, PROTOCOL_ERROR);
    for reason in V5_CODES.into_iter().filter(|code| *code != 0) {
        assert_eq!(refused(V5, Server, &format!("20( ^01 {reason:02X} 00 )")), verdict);
        assert_eq!(connack(V5, &format!("20( 00 {reason:02X} 00 )")).reason, code(reason));
    }
    for return_code in 1..=5 {
        assert_eq!(refused(V311, Server, &format!("20( ^01 {return_code:02X} )")), verdict);
        assert!(connack(V311, &format!("20( 00 {return_code:02X} )")).reason.is_error());
    }
}

/// Table 3-1 of MQTT 5.
const V5_CODES: [u8; 22] = [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97,
    0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
];

// [MQTT5-3.2.2-8]
#[test]
fn mqtt_5_has_its_table_of_connect_reason_codes() {
    for byte in 0..=255_u8 {
        if V5_CODES.contains(&byte) {
            let found = connack(V5, &format!("20( 00 {byte:02X} 00 )"));
            assert_eq!(found.reason.as_byte(), byte);
            continue;
        }
        let verdict = refused(V5, Server, &format!("20( 00 ^{byte:02X} 00 )"));
        assert_eq!(verdict, (Sin::ReasonCode, Field::ReasonCode, PROTOCOL_ERROR));
    }
}

#[test]
fn before_mqtt_5_there_are_six_return_codes() {
    let reasons = [
        ReasonCode::Success,
        ReasonCode::UnsupportedProtocolVersion,
        ReasonCode::ClientIdentifierNotValid,
        ReasonCode::ServerUnavailable,
        ReasonCode::BadUserNameOrPassword,
        ReasonCode::NotAuthorized,
    ];
    for (version, byte) in BEFORE_5.into_iter().flat_map(|v| (0..=255_u8).map(move |b| (v, b))) {
        if let Some(reason) = reasons.get(usize::from(byte)) {
            let packet = format!("20( 00 {byte:02X} )");
            let found = connack(version, &packet);
            assert_eq!(found, ConnAck::new(*reason, false));
            let again = encoded(version, &Packet::ConnAck(found));
            assert_eq!(again, bytes(version, &packet), "the same number goes out");
            continue;
        }
        let verdict = refused(version, Server, &format!("20( 00 ^{byte:02X} )"));
        assert_eq!(verdict, (Sin::ReasonCode, Field::ReasonCode, PROTOCOL_ERROR));
    }
}

#[test]
fn reason_codes_that_mean_a_return_code_are_sent_as_it() {
    for (reason, return_code) in [
        (ReasonCode::ServerBusy, 3),
        (ReasonCode::Banned, 5),
        (ReasonCode::BadAuthenticationMethod, 5),
    ] {
        for version in BEFORE_5 {
            let packet = Packet::ConnAck(ConnAck::new(reason, false));
            assert_eq!(encoded(version, &packet), [0x20, 0x02, 0x00, return_code]);
        }
    }
}

#[test]
fn the_fields_are_there_and_nothing_else() {
    let truncated = |field| (Sin::Truncated, field, MALFORMED);
    for version in EVERY {
        assert_eq!(refused(version, Server, "20( ^ )"), truncated(Field::AcknowledgeFlags));
        assert_eq!(refused(version, Server, "20( 00 ^ )"), truncated(Field::ReasonCode));
        let verdict = refused(version, Server, "20( 00 00 ~ ^00 )");
        assert_eq!(verdict, (Sin::TrailingBytes, Field::Payload, MALFORMED));
    }
    assert_eq!(refused(V5, Server, "20( 00 00 ^ )"), truncated(Field::PropertyLength));
}

#[test]
fn authentication_data_come_with_a_method() {
    let verdict = refused(V5, Server, "20( 00 00 ^( 16 <data> ) )");
    assert_eq!(verdict, (Sin::AuthenticationData, Field::PropertyLength, PROTOCOL_ERROR));
    let found = connack(V5, "20( 00 00 ( 16 <data> 15 <method> ) )");
    assert_eq!(found.properties.authentication_data(), Some(&b"data"[..]));
    assert_eq!(found.properties.authentication_method(), Some(text("method")));
}

#[test]
fn the_server_says_what_it_can_do() {
    let found = connack(
        V5,
        "20( 01 00 ( 11 0000003C 21 0014 24 01 25 00 27 00001000 12 <id> 22 000A 1F <why> 26 <k><v>
         28 00 29 01 2A 00 13 001E 1A <info> 1C <host> ) )",
    );
    let properties = found.properties;
    assert!(found.session_present);
    assert_eq!(properties.session_expiry_interval(), Some(60));
    assert_eq!(properties.receive_maximum().map(u16::from), Some(20));
    assert_eq!(properties.maximum_qos().map(tamtam_core::QoS::level), Some(1));
    assert_eq!(properties.retain_available(), Some(false));
    assert_eq!(properties.maximum_packet_size().map(u32::from), Some(4096));
    assert_eq!(properties.assigned_client_identifier(), Some(text("id")));
    assert_eq!(properties.topic_alias_maximum(), Some(10));
    assert_eq!(properties.reason_string(), Some(text("why")));
    assert_eq!(properties.user_properties().collect::<Vec<_>>(), [(text("k"), text("v"))]);
    assert_eq!(properties.wildcard_subscription_available(), Some(false));
    assert_eq!(properties.subscription_identifier_available(), Some(true));
    assert_eq!(properties.shared_subscription_available(), Some(false));
    assert_eq!(properties.server_keep_alive(), Some(30));
    assert_eq!(properties.response_information(), Some(text("info")));
    assert_eq!(properties.server_reference(), Some(text("host")));
    assert_eq!(properties.iter().count(), 15);
}
