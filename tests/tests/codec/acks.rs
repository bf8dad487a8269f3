//! PUBACK, PUBREC, PUBREL, PUBCOMP.

use tamtam_core::{Ack, Field, Packet, Property, PropertyId, ReasonCode, Sin};

use crate::support::*;

/// First bytes with the codes of Tables 3-4 to 3-7 of MQTT 5.
const ACKS: [(&str, &[u8]); 4] = [
    ("40", &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
    ("50", &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
    ("62", &[0x00, 0x92]),
    ("70", &[0x00, 0x92]),
];

#[track_caller]
fn ack(version: Version, sender: Sender, packet: &str) -> Ack<'static> {
    match (packet.as_bytes()[0], accepted(version, sender, packet)) {
        (b'4', Packet::PubAck(ack))
        | (b'5', Packet::PubRec(ack))
        | (b'6', Packet::PubRel(ack))
        | (b'7', Packet::PubComp(ack)) => ack,
        (_, packet) => panic!("{packet:?}"),
    }
}

fn each() -> impl Iterator<Item = (Sender, &'static str, &'static [u8])> {
    BOTH.into_iter().flat_map(|sender| ACKS.map(|(first, codes)| (sender, first, codes)))
}

#[test]
fn success_takes_four_bytes_in_every_version() {
    for (version, (sender, first, _)) in EVERY.into_iter().flat_map(|v| each().map(move |e| (v, e)))
    {
        for number in [1, 0x1234, 65_535] {
            let packet = format!("{first} 02 {number:04X}");
            let found = ack(version, sender, &packet);
            assert_eq!(found, Ack::new(id(number)));
            let packet = accepted(version, sender, &packet);
            assert_eq!(encoded(version, &packet).len(), 4);
        }
    }
}

#[test]
fn mqtt_5_reads_the_longer_forms_of_success_too() {
    for (sender, first, _) in each() {
        assert_eq!(ack(V5, sender, &format!("{first}( 0001 00 )")), Ack::new(id(1)));
        assert_eq!(ack(V5, sender, &format!("{first}( 0001 00 00 )")), Ack::new(id(1)));
    }
}

#[test]
fn packet_identifier_0_is_refused() {
    let verdict = (Sin::PacketIdZero, Field::PacketId, PROTOCOL_ERROR);
    for (version, (sender, first, _)) in EVERY.into_iter().flat_map(|v| each().map(move |e| (v, e)))
    {
        assert_eq!(refused(version, sender, &format!("{first}( ^0000 )")), verdict);
    }
    for (sender, first, _) in each() {
        assert_eq!(refused(V5, sender, &format!("{first}( ^0000 00 00 )")), verdict);
    }
}

#[test]
fn the_packet_identifier_is_there_whole() {
    let verdict = (Sin::Truncated, Field::PacketId, MALFORMED);
    for (version, (sender, first, _)) in EVERY.into_iter().flat_map(|v| each().map(move |e| (v, e)))
    {
        assert_eq!(refused(version, sender, &format!("{first}( ^ )")), verdict);
        assert_eq!(refused(version, sender, &format!("{first}( ^01 )")), verdict);
    }
}

#[test]
fn before_mqtt_5_nothing_follows_it() {
    let verdict = (Sin::TrailingBytes, Field::Payload, MALFORMED);
    for (version, (sender, first, _)) in
        BEFORE_5.into_iter().flat_map(|v| each().map(move |e| (v, e)))
    {
        assert_eq!(refused(version, sender, &format!("{first}( 0001 ^00 )")), verdict);
        assert_eq!(refused(version, sender, &format!("{first}( 0001 ^00 00 )")), verdict);
    }
}

// [MQTT5-3.4.2-1, MQTT5-3.5.2-1, MQTT5-3.6.2-1, MQTT5-3.7.2-1]
#[test]
fn each_acknowledgement_has_its_table_of_reason_codes() {
    for ((sender, first, codes), byte) in each().flat_map(|e| (0..=255_u8).map(move |b| (e, b))) {
        if codes.contains(&byte) {
            let found = ack(V5, sender, &format!("{first}( 0001 {byte:02X} )"));
            assert_eq!(found, Ack::with_reason(id(1), code(byte)));
            continue;
        }
        let verdict = (Sin::ReasonCode, Field::ReasonCode, PROTOCOL_ERROR);
        assert_eq!(refused(V5, sender, &format!("{first}( 0001 ^{byte:02X} )")), verdict);
        assert_eq!(refused(V5, sender, &format!("{first}( 0001 ^{byte:02X} 00 )")), verdict);
    }
}

#[test]
fn properties_may_follow_the_reason_code() {
    for (sender, first, codes) in each() {
        let reason = codes.last().expect("a code");
        let packet = format!("{first}( 0001 {reason:02X} ( 1F <why> 26 <k><v> 26 <k><v> ) )");
        let found = ack(V5, sender, &packet);
        assert_eq!(found.reason.as_byte(), *reason);
        let pair = Property::UserProperty((text("k"), text("v")));
        let list = [Property::ReasonString(text("why")), pair, pair];
        assert_eq!(found.properties, properties(&list));
        let found = ack(V5, sender, &format!("{first}( 0001 00 ( 1F <> ) )"));
        assert_eq!(found.reason, ReasonCode::Success);
        assert_eq!(found.properties.reason_string(), Some(text("")));
    }
}

#[test]
fn bad_properties_are_refused() {
    for (sender, first, _) in each() {
        let verdict = refused(V5, sender, &format!("{first}( 0001 00 ^01 )"));
        assert_eq!(verdict, (Sin::Truncated, Field::PropertyLength, MALFORMED));
        let verdict = refused(V5, sender, &format!("{first}( 0001 00 ( 1F <a> ^1F <a> ) )"));
        let field = Field::Property(PropertyId::ReasonString);
        assert_eq!(verdict, (Sin::PropertyTwice, field, PROTOCOL_ERROR));
        let verdict = refused(V5, sender, &format!("{first}( 0001 00 ( 26 <a><b> ) ^00 )"));
        assert_eq!(verdict, (Sin::TrailingBytes, Field::Payload, MALFORMED));
    }
}
