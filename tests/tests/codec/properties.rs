//! Properties of MQTT 5: which may stand where, how often, and with which values.

use tamtam_core::{
    ConnAck, Connect, Field, Packet, Place, Property, PropertyId, Publish, ReasonCode, Sin, SubAck,
    Subscribe, Subscription, UnsubAck, Unsubscribe, Will,
};

use crate::support::*;

/// Table 2-4 of MQTT 5: number, a value of its type, packets.
const TABLE: [(u8, &str, &str); 27] = [
    (1, "01", "PUBLISH WILL"),
    (2, "0000003C", "PUBLISH WILL"),
    (3, "<text/plain>", "PUBLISH WILL"),
    (8, "<re>", "PUBLISH WILL"),
    (9, "0002 00FF", "PUBLISH WILL"),
    (11, "FF7F", "PUBLISH SUBSCRIBE"),
    (17, "0000003C", "CONNECT CONNACK DISCONNECT"),
    (18, "<id>", "CONNACK"),
    (19, "003C", "CONNACK"),
    (21, "<m>", "CONNECT CONNACK AUTH"),
    (22, "0002 00FF", "CONNECT CONNACK AUTH"),
    (23, "00", "CONNECT"),
    (24, "0000003C", "WILL"),
    (25, "01", "CONNECT"),
    (26, "<info>", "CONNACK"),
    (28, "<host>", "CONNACK DISCONNECT"),
    (31, "<why>", "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH"),
    (33, "0014", "CONNECT CONNACK"),
    (34, "0014", "CONNECT CONNACK"),
    (35, "0014", "PUBLISH"),
    (36, "01", "CONNACK"),
    (37, "00", "CONNACK"),
    (
        38,
        "<k><v>",
        "CONNECT CONNACK PUBLISH WILL PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE \
         UNSUBACK DISCONNECT AUTH",
    ),
    (39, "00001000", "CONNECT CONNACK"),
    (40, "00", "CONNACK"),
    (41, "00", "CONNACK"),
    (42, "00", "CONNACK"),
];

/// Every place: its column in Table 2-4, who sends it, a packet with `{}` for the properties.
const PLACES: [(Place, &str, Sender, &str); 16] = [
    (Place::Connect, "CONNECT", Client, "10( @ 02 0000 ( {} ) <id> )"),
    (Place::Will, "WILL", Client, "10( @ 06 0000 () <id> ( {} ) <w> <bye> )"),
    (Place::ConnAck, "CONNACK", Server, "20( 00 00 ( {} ) )"),
    (Place::ClientPublish, "PUBLISH", Client, "30( <t> ( {} ) 'x' )"),
    (Place::ServerPublish, "PUBLISH", Server, "30( <t> ( {} ) 'x' )"),
    (Place::PubAck, "PUBACK", Client, "40( 0001 00 ( {} ) )"),
    (Place::PubRec, "PUBREC", Client, "50( 0001 00 ( {} ) )"),
    (Place::PubRel, "PUBREL", Client, "62( 0001 00 ( {} ) )"),
    (Place::PubComp, "PUBCOMP", Client, "70( 0001 00 ( {} ) )"),
    (Place::Subscribe, "SUBSCRIBE", Client, "82( 0001 ( {} ) <a> 00 )"),
    (Place::SubAck, "SUBACK", Server, "90( 0001 ( {} ) 00 )"),
    (Place::Unsubscribe, "UNSUBSCRIBE", Client, "A2( 0001 ( {} ) <a> )"),
    (Place::UnsubAck, "UNSUBACK", Server, "B0( 0001 ( {} ) 00 )"),
    (Place::ClientDisconnect, "DISCONNECT", Client, "E0( 00 ( {} ) )"),
    (Place::ServerDisconnect, "DISCONNECT", Server, "E0( 00 ( {} ) )"),
    (Place::Auth, "AUTH", Client, "F0( 18 ( {} ) )"),
];

const METHOD: u8 = 21;
const DATA: u8 = 22;
const SUBSCRIPTION: u8 = 11;
const SESSION_EXPIRY: u8 = 17;
const USER: u8 = 38;

/// What the decoder says to a property in a place: nothing, or sin and reason code.
fn sin_of(number: u8, place: Place, column: &str) -> Option<(Sin, u8)> {
    let Some((_, _, packets)) = TABLE.into_iter().find(|row| row.0 == number) else {
        return Some((Sin::UnknownProperty, MALFORMED));
    };
    match (number, place) {
        // Chapters 3.3.4 and 3.14.2.2.2.
        (SUBSCRIPTION, Place::ClientPublish) | (SESSION_EXPIRY, Place::ServerDisconnect) => {
            Some((Sin::PropertyFromWrongSender, PROTOCOL_ERROR))
        }
        _ if packets.split(' ').any(|packet| packet == column) => None,
        _ => Some((Sin::PropertyNotAllowed, MALFORMED)),
    }
}

fn may_repeat(number: u8, place: Place) -> bool {
    number == USER || (number == SUBSCRIPTION && place == Place::ServerPublish)
}

/// Number and value, and what has to stand beside them.
fn written(number: u8, place: Place) -> (String, &'static str) {
    let value = TABLE.iter().find(|row| row.0 == number).map_or("00", |row| row.1);
    let number_written =
        if number < 0x80 { format!("{number:02X}") } else { format!("{number:02X} 01") };
    let needs_method = number == DATA || (place == Place::Auth && number != METHOD);
    let beside = if needs_method { "15 <m>" } else { "" };
    (format!("{number_written} {value}"), beside)
}

fn field_of(number: u8) -> Field {
    PropertyId::from_byte(number).map_or(Field::PropertyId, Field::Property)
}

// [MQTT5-3.3.4-6, MQTT5-3.14.2-2]
#[test]
fn every_property_stands_where_table_2_4_allows_it() {
    for (number, (place, column, sender, packet)) in
        (0..=255_u8).flat_map(|number| PLACES.map(|place| (number, place)))
    {
        let (property, beside) = written(number, place);
        match sin_of(number, place, column) {
            None => {
                let packet = packet.replace("{}", &format!("{property} {beside}"));
                accepted(V5, sender, &packet);
            }
            Some((sin, code)) => {
                let packet = packet.replace("{}", &format!("^{property} {beside}"));
                assert_eq!(refused(V5, sender, &packet), (sin, field_of(number), code));
            }
        }
    }
}

#[test]
fn every_property_but_two_comes_once() {
    for (number, (place, column, sender, packet)) in
        (0..=255_u8).flat_map(|number| PLACES.map(|place| (number, place)))
    {
        if sin_of(number, place, column).is_some() {
            continue;
        }
        let (property, beside) = written(number, place);
        if may_repeat(number, place) {
            let properties = format!("{property} {property} {beside} {property}");
            accepted(V5, sender, &packet.replace("{}", &properties));
            continue;
        }
        let verdict = (Sin::PropertyTwice, field_of(number), PROTOCOL_ERROR);
        for between in ["", "26 <k><v>"] {
            if between.is_empty() || sin_of(USER, place, column).is_none() {
                let properties = format!("{property} {between} ^{property} {beside}");
                assert_eq!(refused(V5, sender, &packet.replace("{}", &properties)), verdict);
            }
        }
    }
}

#[test]
fn the_property_table_can_be_asked() {
    let numbers: Vec<u8> = PropertyId::ALL.iter().map(|id| *id as u8).collect();
    assert_eq!(numbers, TABLE.map(|row| row.0));
    for number in 0..=255 {
        let id = PropertyId::from_byte(number);
        assert_eq!(id.map(|id| id as u8), numbers.contains(&number).then_some(number));
        let Some(id) = id else { continue };
        for (place, column, ..) in PLACES {
            assert_eq!(id.allowed_in(place), sin_of(number, place, column).is_none());
            assert_eq!(id.repeats_in(place), may_repeat(number, place));
        }
    }
}

#[test]
fn a_property_identifier_is_a_variable_byte_integer() {
    for (number, sin) in [
        ("8000", Sin::LengthNotMinimal), // 0
        ("8100", Sin::LengthNotMinimal), // 1, payload format indicator
        ("A68000", Sin::LengthNotMinimal),
        ("8002", Sin::UnknownProperty), // 256
        ("8102", Sin::UnknownProperty), // 257: 1 in the lowest byte
        ("A6808001", Sin::UnknownProperty),
        ("FFFFFF7F", Sin::UnknownProperty),
        ("8180808001", Sin::LengthTooLong),
        ("81", Sin::Truncated),
        ("FFFFFF", Sin::Truncated),
    ] {
        let verdict = refused(V5, Client, &format!("30( <t> ( 26 <k><v> ^{number} ) 'x' )"));
        assert_eq!(verdict, (sin, Field::PropertyId, MALFORMED));
    }
}

/// Numbers whose values are bounded: good ones, bad ones, and the reason code for these.
const VALUES: [(u8, &[&str], &[&str], u8); 12] = [
    (1, &["00", "01"], &["02", "80", "FF"], PROTOCOL_ERROR),
    (11, &["01", "7F", "8001", "FFFFFF7F"], &["00"], PROTOCOL_ERROR),
    (23, &["00", "01"], &["02", "FF"], PROTOCOL_ERROR),
    (25, &["00", "01"], &["02", "FF"], PROTOCOL_ERROR),
    (33, &["0001", "0100", "FFFF"], &["0000"], PROTOCOL_ERROR),
    (35, &["0001", "0100", "FFFF"], &["0000"], 0x94),
    (36, &["00", "01"], &["02", "03", "FF"], PROTOCOL_ERROR),
    (37, &["00", "01"], &["02", "FF"], PROTOCOL_ERROR),
    (39, &["00000001", "01000000", "FFFFFFFF"], &["00000000"], PROTOCOL_ERROR),
    (40, &["00", "01"], &["02", "FF"], PROTOCOL_ERROR),
    (41, &["00", "01"], &["02", "FF"], PROTOCOL_ERROR),
    (42, &["00", "01"], &["02", "FF"], PROTOCOL_ERROR),
];

// [MQTT5-3.3.2-8]
#[test]
fn values_out_of_range_are_protocol_errors() {
    for (number, good, bad, code) in VALUES {
        let places = PLACES.iter().filter(|row| sin_of(number, row.0, row.1).is_none());
        for (_, _, sender, packet) in places {
            for value in good {
                accepted(V5, *sender, &packet.replace("{}", &format!("{number:02X} {value}")));
            }
            for value in bad {
                let property = format!("{number:02X} ^{value}");
                let sin = if number == 35 { Sin::TopicAliasZero } else { Sin::PropertyValue };
                let verdict = refused(V5, *sender, &packet.replace("{}", &property));
                assert_eq!(verdict, (sin, field_of(number), code));
            }
        }
    }
}

#[test]
fn other_numbers_may_have_any_value() {
    for (number, values) in [
        (2, ["00000000", "FFFFFFFF"]),
        (17, ["00000000", "FFFFFFFF"]),
        (19, ["0000", "FFFF"]),
        (24, ["00000000", "FFFFFFFF"]),
        (34, ["0000", "FFFF"]),
        (9, ["0000", "0001 00"]),
        (26, ["<>", "<x>"]),
    ] {
        for (_, _, sender, packet) in PLACES.iter().filter(|r| sin_of(number, r.0, r.1).is_none()) {
            for value in values {
                accepted(V5, *sender, &packet.replace("{}", &format!("{number:02X} {value}")));
            }
        }
    }
}

#[test]
fn a_value_ends_within_the_properties() {
    // The packet goes on behind them; a reader that forgets their end would take that.
    for (number, values) in [
        (1, &["^"] as &[&str]),
        (2, &["^", "^00", "^0000", "^000000"]),
        (35, &["^", "^00"]),
        (3, &["^", "^00", "^0001", "^0005 'text'"]),
        (8, &["^", "^0002 'r'"]),
        (9, &["^", "^0003 00FF"]),
        (11, &["^", "^80", "^FFFFFF"]),
        (38, &["^", "^00", "^0002 'k'", "<k> ^", "<k> ^00", "<k> ^0002 'v'"]),
    ] {
        for value in values {
            let packet = format!("30( <t> ( {number:02X} {value} ) 00 00 00 01 'payload' )");
            let verdict = refused(V5, Server, &packet);
            assert_eq!(verdict, (Sin::Truncated, field_of(number), MALFORMED));
        }
    }
}

// [MQTT5-1.5.5-1]
#[test]
fn the_property_length_is_a_variable_byte_integer_within_the_packet() {
    for (length, sin) in [
        ("8000", Sin::LengthNotMinimal),
        ("8200", Sin::LengthNotMinimal),
        ("80808000", Sin::LengthNotMinimal),
        ("8080808000", Sin::LengthTooLong),
        ("FFFFFFFF7F", Sin::LengthTooLong),
        ("03", Sin::Truncated),
        ("FF7F", Sin::Truncated),
        ("FFFFFF7F", Sin::Truncated),
    ] {
        let verdict = (sin, Field::PropertyLength, MALFORMED);
        assert_eq!(refused(V5, Client, &format!("30( <t> ^{length} 01 )")), verdict);
        assert_eq!(refused(V5, Client, &format!("40( 0001 00 ^{length} )")), verdict);
        assert_eq!(refused(V5, Server, &format!("20( 00 00 ^{length} )")), verdict);
    }
    let field = Field::Property(PropertyId::SubscriptionIdentifier);
    for (id, sin) in [
        ("8000", Sin::LengthNotMinimal),
        ("8100", Sin::LengthNotMinimal),
        ("8080808001", Sin::LengthTooLong),
    ] {
        let verdict = refused(V5, Server, &format!("30( <t> ( 0B ^{id} ) )"));
        assert_eq!(verdict, (sin, field, MALFORMED));
    }
}

#[test]
fn long_properties_have_long_lengths() {
    for length in [100, 127, 128, 300, 16_383, 16_384] {
        let data = "x".repeat(length - 3);
        let packet = format!("30( <t> ( 09 <{data}> ) 'payload' )");
        let Packet::Publish(found) = accepted_bytes(V5, Client, bytes(V5, &packet)) else {
            panic!("no PUBLISH")
        };
        assert_eq!(found.properties.correlation_data().map(<[u8]>::len), Some(length - 3));
        assert_eq!(found.payload, b"payload");
    }
}

// [MQTT5-2.2.2-1]
#[test]
fn no_properties_are_a_property_length_of_zero() {
    let filter = filter("a");
    let (packet_id, properties) = (id(1), tamtam_core::Properties::EMPTY);
    let list = [Subscription::new(filter)];
    let subscriptions = (&list).into();
    let (codes, filters) = ((&[ReasonCode::Success]).into(), [filter]);
    let will = Some(Will::new(topic("w"), b"bye"));
    let connect = Connect { will, ..Connect::new(V5, text("id")) };
    for (packet, written) in [
        (Packet::Connect(connect), "10( @ 06 0000 00 <id> 00 <w> <bye> )"),
        (Packet::ConnAck(ConnAck::new(ReasonCode::Success, false)), "20( 00 00 00 )"),
        (Packet::Publish(Publish::new(topic("t"), b"x")), "30( <t> 00 'x' )"),
        (
            Packet::Subscribe(Subscribe { packet_id, properties, subscriptions }),
            "82( 0001 00 <a> 02 )",
        ),
        (Packet::SubAck(SubAck { packet_id, properties, codes }), "90( 0001 00 00 )"),
        (
            Packet::Unsubscribe(Unsubscribe { packet_id, properties, filters: (&filters).into() }),
            "A2( 0001 00 <a> )",
        ),
        (Packet::UnsubAck(UnsubAck { packet_id, properties, codes }), "B0( 0001 00 00 )"),
    ] {
        assert_eq!(encoded(V5, &packet), bytes(V5, written));
    }
    // Without it the packet is not whole.
    let verdict = (Sin::Truncated, Field::PropertyLength, MALFORMED);
    assert_eq!(refused(V5, Client, "10( @ 02 0000 ^ )"), verdict);
    assert_eq!(refused(V5, Server, "20( 00 00 ^ )"), verdict);
    assert_eq!(refused(V5, Client, "30( <t> ^ )"), verdict);
    for (sender, first) in [(Client, "82"), (Server, "90"), (Client, "A2"), (Server, "B0")] {
        assert_eq!(refused(V5, sender, &format!("{first}( 0001 ^ )")), verdict);
    }
}

#[test]
fn properties_from_the_wire_and_from_a_list_are_the_same() {
    let packet = "30( <t> ( 26 <k><v> 01 01 26 <k><w> 02 0000003C ) )";
    let Packet::Publish(found) = accepted(V5, Client, packet) else { panic!("no PUBLISH") };
    let list = [
        Property::UserProperty((text("k"), text("v"))),
        Property::PayloadFormatIndicator(true),
        Property::UserProperty((text("k"), text("w"))),
        Property::MessageExpiryInterval(60),
    ];
    assert_eq!(found.properties, properties(&list));
    assert_eq!(found.properties.iter().collect::<Vec<_>>(), list);
    let swapped = [list[1], list[0], list[2], list[3]];
    assert_ne!(found.properties, properties(&swapped));
    assert!(found.properties.contains(PropertyId::UserProperty));
    assert!(!found.properties.contains(PropertyId::TopicAlias));
    assert_eq!(found.properties.topic_alias(), None);
}
