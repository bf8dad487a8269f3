//! DISCONNECT and AUTH: reason codes by sender, short forms.

use tamtam_core::{Auth, Disconnect, Field, Packet, Property, PropertyId, ReasonCode, Sin};

use crate::support::*;

#[track_caller]
fn disconnect(version: Version, sender: Sender, packet: &str) -> Disconnect<'static> {
    let Packet::Disconnect(disconnect) = accepted(version, sender, packet) else {
        panic!("no DISCONNECT")
    };
    disconnect
}

#[track_caller]
fn auth(sender: Sender, packet: &str) -> Auth<'static> {
    let Packet::Auth(auth) = accepted(V5, sender, packet) else { panic!("no AUTH") };
    auth
}

/// The codes of Table 3-10 of MQTT 5 that either side may send.
const FROM_BOTH: [u8; 13] =
    [0x00, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
/// Those of the client alone.
const FROM_CLIENT: [u8; 1] = [0x04];
/// Those of the server alone. 0x8C is in Table 2-6, and missing from Table 3-10.
const FROM_SERVER: [u8; 16] = [
    0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
];

// [MQTT5-3.14.2-1]
#[test]
fn a_disconnect_has_the_codes_of_its_sender() {
    for (sender, byte) in BOTH.into_iter().flat_map(|s| (0..=255_u8).map(move |b| (s, b))) {
        let own: &[u8] = if sender == Client { &FROM_CLIENT } else { &FROM_SERVER };
        if own.contains(&byte) || FROM_BOTH.contains(&byte) {
            let found = disconnect(V5, sender, &format!("E0( {byte:02X} )"));
            assert_eq!(found, Disconnect::new(code(byte)));
            continue;
        }
        let verdict = (Sin::ReasonCode, Field::ReasonCode, PROTOCOL_ERROR);
        assert_eq!(refused(V5, sender, &format!("E0( ^{byte:02X} )")), verdict);
        assert_eq!(refused(V5, sender, &format!("E0( ^{byte:02X} 00 )")), verdict);
    }
}

#[test]
fn the_shortest_disconnect_is_two_bytes() {
    let normal = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
    for version in EVERY {
        assert_eq!(disconnect(version, Client, "E0 00"), normal);
        assert_eq!(encoded(version, &Packet::Disconnect(normal)), [0xE0, 0x00]);
    }
    for sender in BOTH {
        assert_eq!(disconnect(V5, sender, "E0( 00 )"), normal);
        assert_eq!(disconnect(V5, sender, "E0( 00 00 )"), normal);
    }
}

#[test]
fn before_mqtt_5_a_disconnect_is_the_clients_and_says_nothing() {
    for version in BEFORE_5 {
        let verdict = refused(version, Client, "E0( ^00 )");
        assert_eq!(verdict, (Sin::TrailingBytes, Field::Payload, MALFORMED));
        let verdict = refused(version, Server, "^E0()");
        assert_eq!(verdict, (Sin::WrongSender, Field::PacketType, PROTOCOL_ERROR));
    }
}

// [MQTT5-3.14.2-2]
#[test]
fn a_server_does_not_set_the_session_expiry_when_it_disconnects() {
    let found = disconnect(V5, Client, "E0( 00 ( 11 0000000A ) )");
    assert_eq!(found.properties.session_expiry_interval(), Some(10));
    let verdict = refused(V5, Server, "E0( 00 ( ^11 0000000A ) )");
    let field = Field::Property(PropertyId::SessionExpiryInterval);
    assert_eq!(verdict, (Sin::PropertyFromWrongSender, field, PROTOCOL_ERROR));
    let error = decode(V5, Server, bytes(V5, "E0( 00 ( 11 0000000A ) )")).expect_err("a refusal");
    assert_eq!(error.citation(), "MQTT5-3.14.2-2");
}

#[test]
fn a_disconnect_may_say_more() {
    let found = disconnect(V5, Server, "E0( 9C ( 1F <full> 26 <k><v> 1C <other:1883> ) )");
    assert_eq!(found.reason, ReasonCode::UseAnotherServer);
    let list = [
        Property::ReasonString(text("full")),
        Property::UserProperty((text("k"), text("v"))),
        Property::ServerReference(text("other:1883")),
    ];
    assert_eq!(found.properties, properties(&list));
    let verdict = refused(V5, Server, "E0( 9C ^01 )");
    assert_eq!(verdict, (Sin::Truncated, Field::PropertyLength, MALFORMED));
    let verdict = refused(V5, Server, "E0( 9C 00 ^00 )");
    assert_eq!(verdict, (Sin::TrailingBytes, Field::Payload, MALFORMED));
}

// [MQTT5-3.15.2-1]
#[test]
fn an_auth_has_the_codes_of_its_sender() {
    for (sender, byte) in BOTH.into_iter().flat_map(|s| (0..=255_u8).map(move |b| (s, b))) {
        let allowed: [u8; 2] = if sender == Client { [0x18, 0x19] } else { [0x00, 0x18] };
        if allowed.contains(&byte) {
            let found = auth(sender, &format!("F0( {byte:02X} ( 15 <m> 16 <data> ) )"));
            assert_eq!(found.reason, code(byte));
            assert_eq!(found.properties.authentication_method(), Some(text("m")));
            assert_eq!(found.properties.authentication_data(), Some(&b"data"[..]));
            continue;
        }
        let verdict = (Sin::ReasonCode, Field::ReasonCode, PROTOCOL_ERROR);
        let packet = format!("F0( ^{byte:02X} ( 15 <m> 16 <data> ) )");
        assert_eq!(refused(V5, sender, &packet), verdict);
    }
}

#[test]
fn an_auth_names_its_method() {
    let verdict = (Sin::AuthenticationMethod, Field::PropertyLength, PROTOCOL_ERROR);
    let wrong_field = |packet: &str| {
        let error = decode(V5, Client, bytes(V5, packet)).expect_err("a refusal");
        (error.sin, error.field, error.reason_code().as_byte())
    };
    assert_eq!(wrong_field("F0( 18 00 )"), verdict);
    assert_eq!(wrong_field("F0( 18 ( 16 <data> ) )"), verdict);
    assert_eq!(wrong_field("F0( 19 )"), verdict);
    assert_eq!(auth(Client, "F0( 19 ( 15 <> ) )").properties.authentication_data(), None);
}

#[test]
fn only_a_server_says_success_without_more_in_two_bytes() {
    let found = auth(Server, "F0 00");
    assert_eq!((found.reason, found.properties.is_empty()), (ReasonCode::Success, true));
    assert_eq!(encoded(V5, &Packet::Auth(found)), [0xF0, 0x00]);
    let verdict = refused(V5, Client, "F0( ^ )");
    assert_eq!(verdict, (Sin::ReasonCode, Field::ReasonCode, PROTOCOL_ERROR));
}

#[test]
fn there_is_no_auth_before_mqtt_5() {
    for (version, sender) in BEFORE_5.into_iter().flat_map(|v| BOTH.map(|sender| (v, sender))) {
        let verdict = refused(version, sender, "^F0( 18 ( 15 <m> ) )");
        assert_eq!(verdict, (Sin::ReservedPacketType, Field::PacketType, MALFORMED));
    }
}
