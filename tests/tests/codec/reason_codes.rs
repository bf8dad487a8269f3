//! Every reason code in every packet that carries one.

use tamtam_core::{Carrier, ReasonCode};

use crate::support::*;

/// Table 2-6 of MQTT 5.
const TABLE: [(u8, &str); 43] = [
    (0x00, "CONNACK PUBACK PUBREC PUBREL PUBCOMP UNSUBACK AUTH DISCONNECT SUBACK"),
    (0x01, "SUBACK"),
    (0x02, "SUBACK"),
    (0x04, "DISCONNECT"),
    (0x10, "PUBACK PUBREC"),
    (0x11, "UNSUBACK"),
    (0x18, "AUTH"),
    (0x19, "AUTH"),
    (0x80, "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"),
    (0x81, "CONNACK DISCONNECT"),
    (0x82, "CONNACK DISCONNECT"),
    (0x83, "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"),
    (0x84, "CONNACK"),
    (0x85, "CONNACK"),
    (0x86, "CONNACK"),
    (0x87, "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"),
    (0x88, "CONNACK"),
    (0x89, "CONNACK DISCONNECT"),
    (0x8A, "CONNACK"),
    (0x8B, "DISCONNECT"),
    (0x8C, "CONNACK DISCONNECT"),
    (0x8D, "DISCONNECT"),
    (0x8E, "DISCONNECT"),
    (0x8F, "SUBACK UNSUBACK DISCONNECT"),
    (0x90, "CONNACK PUBACK PUBREC DISCONNECT"),
    (0x91, "PUBACK PUBREC SUBACK UNSUBACK"),
    (0x92, "PUBREL PUBCOMP"),
    (0x93, "DISCONNECT"),
    (0x94, "DISCONNECT"),
    (0x95, "CONNACK DISCONNECT"),
    (0x96, "DISCONNECT"),
    (0x97, "CONNACK PUBACK PUBREC SUBACK DISCONNECT"),
    (0x98, "DISCONNECT"),
    (0x99, "CONNACK PUBACK PUBREC DISCONNECT"),
    (0x9A, "CONNACK DISCONNECT"),
    (0x9B, "CONNACK DISCONNECT"),
    (0x9C, "CONNACK DISCONNECT"),
    (0x9D, "CONNACK DISCONNECT"),
    (0x9E, "SUBACK DISCONNECT"),
    (0x9F, "CONNACK DISCONNECT"),
    (0xA0, "DISCONNECT"),
    (0xA1, "SUBACK DISCONNECT"),
    (0xA2, "SUBACK DISCONNECT"),
];

/// The codes of DISCONNECT and AUTH that only one side may send: the columns "Sent by" of Tables
/// 3-10 and 3-11.
const CLIENT_DISCONNECT: [u8; 1] = [0x04];
const SERVER_DISCONNECT: [u8; 16] = [
    0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
];
const CLIENT_AUTH: [u8; 1] = [0x19];
const SERVER_AUTH: [u8; 1] = [0x00];

/// Every carrier, its name in the table, and the codes that its sender leaves to the other.
const CARRIERS: [(Carrier, &str, &[u8]); 11] = [
    (Carrier::ConnAck, "CONNACK", &[]),
    (Carrier::PubAck, "PUBACK", &[]),
    (Carrier::PubRec, "PUBREC", &[]),
    (Carrier::PubRel, "PUBREL", &[]),
    (Carrier::PubComp, "PUBCOMP", &[]),
    (Carrier::SubAck, "SUBACK", &[]),
    (Carrier::UnsubAck, "UNSUBACK", &[]),
    (Carrier::ClientDisconnect, "DISCONNECT", &SERVER_DISCONNECT),
    (Carrier::ServerDisconnect, "DISCONNECT", &CLIENT_DISCONNECT),
    (Carrier::ClientAuth, "AUTH", &SERVER_AUTH),
    (Carrier::ServerAuth, "AUTH", &CLIENT_AUTH),
];

fn allowed(byte: u8, name: &str, left_to_the_other: &[u8]) -> bool {
    let packets = TABLE.iter().find(|row| row.0 == byte).map_or("", |row| row.1);
    packets.split(' ').any(|packet| packet == name) && !left_to_the_other.contains(&byte)
}

/// A packet of MQTT 5 with this reason code.
fn carrying(carrier: Carrier, byte: u8) -> (Sender, String) {
    let (sender, packet) = match carrier {
        Carrier::ConnAck => (Server, "20( 00 {} 00 )"),
        Carrier::PubAck => (Client, "40( 0001 {} )"),
        Carrier::PubRec => (Client, "50( 0001 {} )"),
        Carrier::PubRel => (Client, "62( 0001 {} )"),
        Carrier::PubComp => (Client, "70( 0001 {} )"),
        Carrier::SubAck => (Server, "90( 0001 00 {} )"),
        Carrier::UnsubAck => (Server, "B0( 0001 00 {} )"),
        Carrier::ClientDisconnect => (Client, "E0( {} )"),
        Carrier::ServerDisconnect => (Server, "E0( {} )"),
        Carrier::ClientAuth => (Client, "F0( {} ( 15 <m> ) )"),
        Carrier::ServerAuth => (Server, "F0( {} ( 15 <m> ) )"),
    };
    (sender, packet.replace("{}", &format!("^{byte:02X}")))
}

// [MQTT5-3.2.2-8, MQTT5-3.4.2-1, MQTT5-3.5.2-1, MQTT5-3.6.2-1, MQTT5-3.7.2-1, MQTT5-3.9.3-2]
// [MQTT5-3.11.3-2, MQTT5-3.14.2-1, MQTT5-3.15.2-1]
#[test]
fn every_reason_code_stands_where_table_2_6_allows_it() {
    for (byte, (carrier, name, others)) in
        (0..=255_u8).flat_map(|byte| CARRIERS.map(|carrier| (byte, carrier)))
    {
        let (sender, packet) = carrying(carrier, byte);
        if allowed(byte, name, others) {
            accepted(V5, sender, &packet);
            continue;
        }
        let (sin, field, reason) = refused(V5, sender, &packet);
        let expected = (tamtam_core::Sin::ReasonCode, tamtam_core::Field::ReasonCode);
        assert_eq!(((sin, field), reason), (expected, PROTOCOL_ERROR));
    }
}

#[test]
fn the_reason_code_table_can_be_asked() {
    let bytes: Vec<u8> = ReasonCode::ALL.iter().map(|code| code.as_byte()).collect();
    assert_eq!(bytes, TABLE.map(|row| row.0));
    for byte in 0..=255_u8 {
        let found = ReasonCode::from_byte(byte);
        assert_eq!(found.map(ReasonCode::as_byte), bytes.contains(&byte).then_some(byte));
        let Some(code) = found else { continue };
        assert_eq!(code.is_error(), byte >= 0x80);
        for (carrier, name, others) in CARRIERS {
            assert_eq!(code.allowed_in(carrier), allowed(byte, name, others), "{code} {name}");
        }
    }
}

#[test]
fn a_reason_code_is_shown_by_name_and_number() {
    assert_eq!(ReasonCode::NORMAL_DISCONNECTION, ReasonCode::Success);
    assert_eq!(ReasonCode::GRANTED_QOS_0, ReasonCode::Success);
    assert_eq!(ReasonCode::PacketTooLarge.to_string(), "packet too large (0x95)");
    let granted = |byte| code(byte).granted_qos().map(tamtam_core::QoS::level);
    assert_eq!([0, 1, 2, 0x80, 0x87].map(granted), [Some(0), Some(1), Some(2), None, None]);
}

#[test]
fn return_codes_before_mqtt_5_are_mapped_both_ways() {
    for byte in 0..=255 {
        let code = ReasonCode::from_v3_return_code(byte);
        assert_eq!(code.is_some(), byte < 6);
        assert_eq!(code.and_then(ReasonCode::to_v3_return_code), (byte < 6).then_some(byte));
    }
    let sent = ReasonCode::ALL.iter().filter(|code| code.to_v3_return_code().is_some());
    let sent: Vec<u8> = sent.map(|code| code.as_byte()).collect();
    assert_eq!(sent, [0x00, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C]);
}
