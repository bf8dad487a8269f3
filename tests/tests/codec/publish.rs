//! PUBLISH: topic, packet identifier, properties, payload.

use tamtam_core::{Delivery, Field, Packet, PropertyId, Publish, QoS, Sin};

use crate::support::*;

#[track_caller]
fn publish(version: Version, sender: Sender, packet: &str) -> Publish<'static> {
    let Packet::Publish(publish) = accepted(version, sender, packet) else { panic!("no PUBLISH") };
    publish
}

/// Every version with every sender.
fn each() -> impl Iterator<Item = (Version, Sender)> {
    EVERY.into_iter().flat_map(|version| BOTH.map(|sender| (version, sender)))
}

// [MQTT5-3.3.2-1, MQTT3-3.3.2-1]
#[test]
fn the_topic_comes_first_and_the_rest_is_payload() {
    for (version, sender) in each() {
        let found = publish(version, sender, "30( <a/b> ~ 'hello' )");
        assert_eq!(found, Publish::new(topic("a/b"), b"hello"));
        let found = publish(version, sender, "30( <a/b> ~ )");
        assert_eq!(found, Publish::new(topic("a/b"), b""));
        let found = publish(version, sender, "30( <a/b> ~ 00 FF 80 )");
        assert_eq!(found.payload, [0x00, 0xFF, 0x80]);
        for packet in ["30( ^ )", "30( ^00 )", "30( ^0001 )", "30( ^0004 'a/b' )"] {
            let verdict = refused(version, sender, packet);
            assert_eq!(verdict, (Sin::Truncated, Field::TopicName, MALFORMED));
        }
    }
}

// [MQTT5-2.2.1-2, MQTT3-2.3.1-5]
#[test]
fn a_publish_of_qos_0_has_no_packet_identifier() {
    for (version, sender) in each() {
        // What would be the identifier is payload.
        let found = publish(version, sender, "30( <a> ~ 0007 )");
        assert_eq!(found.delivery, Delivery::AtMostOnce);
        assert_eq!(found.delivery.packet_id(), None);
        assert_eq!(found.payload, [0x00, 0x07]);
        let again = encoded(version, &Packet::Publish(Publish { payload: b"", ..found }));
        assert_eq!(again, bytes(version, "30( <a> ~ )"));
    }
}

// [MQTT3-2.3.1-1]
#[test]
fn a_publish_of_qos_1_or_2_has_one_that_is_not_0() {
    for (version, sender) in each() {
        for first in ["32", "33", "34", "35", "3A", "3B", "3C", "3D"] {
            let found = publish(version, sender, &format!("{first}( <a> 0007 ~ 'x' )"));
            assert_eq!(found.delivery.packet_id(), Some(id(7)));
            assert_eq!(found.payload, b"x");
            let found = publish(version, sender, &format!("{first}( <a> FFFF ~ )"));
            assert_eq!(found.delivery.packet_id(), Some(id(65_535)));
            let verdict = refused(version, sender, &format!("{first}( <a> ^0000 ~ 'x' )"));
            assert_eq!(verdict, (Sin::PacketIdZero, Field::PacketId, PROTOCOL_ERROR));
            for rest in ["", "00"] {
                let verdict = refused(version, sender, &format!("{first}( <a> ^{rest} )"));
                assert_eq!(verdict, (Sin::Truncated, Field::PacketId, MALFORMED));
            }
        }
    }
}

// [MQTT5-3.3.1-2, MQTT3-3.3.1-2, MQTT5-3.3.1-4, MQTT3-3.3.1-4]
#[test]
fn dup_qos_and_retain_are_in_the_first_byte() {
    for (version, sender) in each() {
        for first in 0x30..=0x3F_u8 {
            let (dup, level, retain) = (first & 8 != 0, first >> 1 & 3, first & 1 != 0);
            let packet = if level == 0 { "( <a> ~ 'x' )" } else { "( <a> 0007 ~ 'x' )" };
            let sin = match (level, dup) {
                (3, _) => Sin::QoS,
                (0, true) => Sin::DupAtQoS0,
                _ => {
                    let found = publish(version, sender, &format!("{first:02X}{packet}"));
                    assert_eq!(found.delivery.qos().level(), level);
                    assert_eq!((found.delivery.dup(), found.retain), (dup, retain));
                    continue;
                }
            };
            let verdict = refused(version, sender, &format!("^{first:02X}{packet}"));
            assert_eq!(verdict, (sin, Field::PacketType, MALFORMED));
        }
    }
}

#[test]
fn the_clauses_of_the_flags_are_those_of_publish() {
    for (version, qos, dup) in [
        (V5, "MQTT5-3.3.1-4", "MQTT5-3.3.1-2"),
        (V311, "MQTT3-3.3.1-4", "MQTT3-3.3.1-2"),
        (V31, "MQTT3-3.3.1-4", "MQTT3-3.3.1-2"),
    ] {
        let citation =
            |first: u8| decode(version, Client, &[first, 0]).expect_err("a refusal").citation();
        assert_eq!(citation(0x36), qos);
        assert_eq!(citation(0x3F), qos);
        assert_eq!(citation(0x38), dup);
        assert_eq!(citation(0x39), dup);
    }
}

// [MQTT5-3.3.2-2, MQTT3-3.3.2-2, MQTT5-4.7.0-1, MQTT3-4.7.1-1]
#[test]
fn a_wildcard_in_a_topic_name_is_refused() {
    let names = ["#", "+", "a/#", "a/+/b", "a+", "#a", "/+", "a b c d e f g h i j #", "$SYS/#"];
    for (version, sender) in each() {
        for name in names {
            let verdict = refused(version, sender, &format!("30( ^<{name}> ~ )"));
            assert_eq!(verdict, (Sin::WildcardInTopic, Field::TopicName, PROTOCOL_ERROR));
            let tame = name.replace(['#', '+'], "*");
            assert_eq!(
                publish(version, sender, &format!("30( <{tame}> ~ )")).topic,
                Some(topic(&tame))
            );
        }
    }
}

// [MQTT5-4.7.3-1, MQTT3-4.7.3-1]
#[test]
fn an_empty_topic_needs_an_alias() {
    let verdict = (Sin::EmptyTopic, Field::TopicName, PROTOCOL_ERROR);
    for (version, sender) in each() {
        assert_eq!(refused(version, sender, "30( ^<> ~ 'x' )"), verdict);
        assert_eq!(refused(version, sender, "32( ^<> 0001 ~ )"), verdict);
        assert_eq!(publish(version, sender, "30( </> ~ 'x' )").topic, Some(topic("/")));
    }
    for sender in BOTH {
        assert_eq!(refused(V5, sender, "30( ^<> ( 01 01 ) 'x' )"), verdict);
        let found = publish(V5, sender, "30( <> ( 23 0005 ) 'x' )");
        assert_eq!(found.topic, None);
        assert_eq!(found.properties.topic_alias().map(u16::from), Some(5));
        let found = publish(V5, sender, "30( <a> ( 23 FFFF ) 'x' )");
        assert_eq!(found.topic, Some(topic("a")));
        assert_eq!(found.properties.topic_alias().map(u16::from), Some(65_535));
    }
}

// [MQTT5-3.3.2-8]
#[test]
fn topic_alias_0_is_refused() {
    let field = Field::Property(PropertyId::TopicAlias);
    for sender in BOTH {
        for name in ["<>", "<a>"] {
            let verdict = refused(V5, sender, &format!("30( {name} ( 23 ^0000 ) 'x' )"));
            assert_eq!(verdict, (Sin::TopicAliasZero, field, 0x94));
            publish(V5, sender, &format!("30( {name} ( 23 0001 ) 'x' )"));
        }
    }
    let error = decode(V5, Client, bytes(V5, "30( <> ( 23 0000 ) )")).expect_err("a refusal");
    assert_eq!(error.citation(), "MQTT5-3.3.2-8");
}

// [MQTT5-3.3.2-13, MQTT5-3.3.2-14]
#[test]
fn a_response_topic_is_a_topic_name() {
    let field = Field::Property(PropertyId::ResponseTopic);
    for sender in BOTH {
        let found = publish(V5, sender, "30( <a> ( 08 <re/e> ) )");
        assert_eq!(found.properties.response_topic(), Some(topic("re/e")));
        for name in ["#", "+", "re/#", "re/+/x", "re+"] {
            let verdict = refused(V5, sender, &format!("30( <a> ( 08 ^<{name}> ) )"));
            assert_eq!(verdict, (Sin::WildcardInResponseTopic, field, PROTOCOL_ERROR));
        }
        let verdict = refused(V5, sender, "30( <a> ( 08 ^<> ) )");
        assert_eq!(verdict, (Sin::EmptyTopic, field, PROTOCOL_ERROR));
        let verdict = refused(V5, sender, "30( <a> ( 08 ^0001 FF ) )");
        assert_eq!(verdict, (Sin::IllFormedText, field, MALFORMED));
        let verdict = refused(V5, sender, "30( <a> ( 08 ^0001 00 ) )");
        assert_eq!(verdict, (Sin::NullInText, field, MALFORMED));
    }
    let verdict = refused(V5, Client, "10( @ 06 0000 () <> ( 08 ^<re/#> ) <w> <> )");
    assert_eq!(verdict, (Sin::WildcardInResponseTopic, field, PROTOCOL_ERROR));
}

// [MQTT5-3.3.2-19]
#[test]
fn a_content_type_is_a_string() {
    let field = Field::Property(PropertyId::ContentType);
    for sender in BOTH {
        let found = publish(V5, sender, "30( <a> ( 03 <text/plain> ) )");
        assert_eq!(found.properties.content_type(), Some(text("text/plain")));
        let verdict = refused(V5, sender, "30( <a> ( 03 ^0003 EDA080 ) )");
        assert_eq!(verdict, (Sin::IllFormedText, field, MALFORMED));
    }
}

// [MQTT5-3.3.4-6]
#[test]
fn a_subscription_identifier_comes_from_servers_only() {
    let field = Field::Property(PropertyId::SubscriptionIdentifier);
    let verdict = refused(V5, Client, "30( <a> ( ^0B 01 ) )");
    assert_eq!(verdict, (Sin::PropertyFromWrongSender, field, PROTOCOL_ERROR));
    let error = decode(V5, Client, bytes(V5, "30( <a> ( 0B 01 ) )")).expect_err("a refusal");
    assert_eq!(error.citation(), "MQTT5-3.3.4-6");
    let found = publish(V5, Server, "30( <a> ( 0B 01 0B FFFFFF7F 0B 01 ) )");
    let ids: Vec<u32> = found.properties.subscription_identifiers().map(|id| id.get()).collect();
    assert_eq!(ids, [1, 268_435_455, 1]);
    let verdict = refused(V5, Server, "30( <a> ( 0B 01 0B ^00 ) )");
    assert_eq!(verdict, (Sin::PropertyValue, field, PROTOCOL_ERROR));
}

#[test]
fn properties_stand_between_identifier_and_payload() {
    let found = publish(
        V5,
        Client,
        "3B( <a> 0009 ( 01 01 02 0000003C 03 <t> 08 <re> 09 0002 00FF 23 0001 26 <k><v> 26 <k><w> )
         'payload' )",
    );
    assert_eq!(found.delivery, Delivery::AtLeastOnce { packet_id: id(9), dup: true });
    assert_eq!(found.delivery.qos(), QoS::AtLeastOnce);
    assert!(found.retain);
    let properties = found.properties;
    assert_eq!(properties.payload_format_indicator(), Some(true));
    assert_eq!(properties.message_expiry_interval(), Some(60));
    assert_eq!(properties.content_type(), Some(text("t")));
    assert_eq!(properties.response_topic(), Some(topic("re")));
    assert_eq!(properties.correlation_data(), Some(&[0x00, 0xFF][..]));
    assert_eq!(properties.topic_alias().map(u16::from), Some(1));
    let users: Vec<_> = properties.user_properties().collect();
    assert_eq!(users, [(text("k"), text("v")), (text("k"), text("w"))]);
    assert_eq!(found.payload, b"payload");
    let verdict = refused(V5, Client, "30( <a> ^ )");
    assert_eq!(verdict, (Sin::Truncated, Field::PropertyLength, MALFORMED));
}
