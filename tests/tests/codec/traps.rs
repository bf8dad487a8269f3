//! The traps that other parsers fell into, each by name.
//!
//! Not here, because one packet doesn't show them: a first packet other than CONNECT that is
//! handled later, a second CONNACK, Session Present after Clean Start, a SUBACK with the wrong
//! number of codes, Receive Maximum and aliases across connections. Those are the machines'.

use tamtam_core::{Connect, Field, Packet, PropertyId, Sin, TopicFilter, TopicName, frame_len};

use crate::support::*;

#[test]
fn five_header_bytes_reserve_nothing() {
    for version in EVERY {
        for first in [0x10, 0x30, 0x82] {
            let header = [first, 0xFF, 0xFF, 0xFF, 0x7F];
            assert_eq!(decode(version, Client, &header), Ok(None));
            // The caller hears how much it would be before it keeps a byte.
            assert_eq!(frame_len(&header, version), Ok(Some(268_435_460)));
        }
    }
    let header = [0x10, 0xFF, 0xFF, 0xFF, 0x7F];
    assert_eq!(Connect::decode(&mut &header[..]), Ok(None));
}

#[test]
fn a_first_packet_other_than_connect_is_refused_by_its_first_byte() {
    for first in [0x20, 0x30, 0x82, 0xC0, 0xE0, 0xF0, 0x00, b'G'] {
        let error = Connect::decode(&mut &[first][..]).expect_err("a refusal");
        assert_eq!((error.sin, error.offset), (Sin::FirstPacket, 0));
    }
}

#[test]
fn packet_identifier_0_is_a_protocol_error_wherever_it_stands() {
    let verdict = (Sin::PacketIdZero, Field::PacketId, PROTOCOL_ERROR);
    for version in EVERY {
        for packet in [
            "32( <a> ^0000 ~ )",
            "34( <a> ^0000 ~ )",
            "40( ^0000 )",
            "50( ^0000 )",
            "62( ^0000 )",
            "70( ^0000 )",
            "82( ^0000 ~ <a> 00 )",
            "A2( ^0000 ~ <a> )",
        ] {
            assert_eq!(refused(version, Client, packet), verdict);
        }
        for packet in ["90( ^0000 ~ 00 )", "B0( ^0000 ~ )"] {
            assert_eq!(refused(version, Server, packet), verdict);
        }
    }
}

#[test]
fn a_wildcard_in_a_topic_name_is_a_protocol_error_wherever_it_stands() {
    for (version, name) in EVERY.into_iter().flat_map(|v| ["#", "a/+", "a/b+c"].map(|n| (v, n))) {
        let verdict = |field| (Sin::WildcardInTopic, field, PROTOCOL_ERROR);
        let found = refused(version, Server, &format!("30( ^<{name}> ~ )"));
        assert_eq!(found, verdict(Field::TopicName));
        let found = refused(version, Client, &format!("10( @ 06 0000 ~ <> ~ ^<{name}> <> )"));
        assert_eq!(found, verdict(Field::WillTopic));
    }
}

#[test]
fn u_0000_is_refused_in_topics_filters_and_client_identifiers() {
    for version in EVERY {
        for (packet, field) in [
            ("30( ^0003 610061 ~ )", Field::TopicName),
            ("82( 0001 ~ ^0003 610061 00 )", Field::TopicFilter),
            ("A2( 0001 ~ ^0001 00 )", Field::TopicFilter),
            ("10( @ 02 0000 ~ ^0002 6100 )", Field::ClientId),
        ] {
            let verdict = refused(version, Client, packet);
            assert_eq!(verdict, (Sin::NullInText, field, MALFORMED));
        }
    }
}

#[test]
fn a_multi_level_wildcard_behind_a_letter_is_refused() {
    for version in EVERY {
        let verdict = (Sin::MultiLevelWildcard, Field::TopicFilter, PROTOCOL_ERROR);
        assert_eq!(refused(version, Client, "82( 0001 ~ ^<a#> 00 )"), verdict);
        assert_eq!(refused(version, Client, "A2( 0001 ~ ^<a#> )"), verdict);
        accepted(version, Client, "82( 0001 ~ <a/#> 00 )");
    }
}

#[test]
fn dup_at_qos_0_is_refused() {
    for (version, sender) in EVERY.into_iter().flat_map(|v| BOTH.map(|sender| (v, sender))) {
        for first in ["38", "39"] {
            let verdict = refused(version, sender, &format!("^{first}( <a> ~ 'x' )"));
            assert_eq!(verdict, (Sin::DupAtQoS0, Field::PacketType, MALFORMED));
        }
    }
}

#[test]
fn a_variable_byte_integer_has_no_spare_and_no_fifth_byte() {
    for version in EVERY {
        let verdict = |sin| (sin, Field::RemainingLength, MALFORMED);
        let found = refused(version, Client, "30 ^8300 0001 61");
        assert_eq!(found, verdict(Sin::LengthNotMinimal));
        let found = refused(version, Client, "30 ^8380808000 0001 61");
        assert_eq!(found, verdict(Sin::LengthTooLong));
    }
    let verdict = refused(V5, Client, "30( <a> ^8000 )");
    assert_eq!(verdict, (Sin::LengthNotMinimal, Field::PropertyLength, MALFORMED));
    let verdict = refused(V5, Client, "30( <a> ^8080808000 )");
    assert_eq!(verdict, (Sin::LengthTooLong, Field::PropertyLength, MALFORMED));
}

#[test]
fn reserved_flags_are_refused_in_connect_connack_subscribe_and_pubrel() {
    let in_header = (Sin::ReservedFlags, Field::PacketType, MALFORMED);
    for version in EVERY {
        let verdict = refused(version, Client, "10( @ ^03 0000 ~ <> )");
        assert_eq!(verdict, (Sin::ReservedConnectFlag, Field::ConnectFlags, MALFORMED));
        assert_eq!(refused(version, Client, "^11( @ 02 0000 ~ <> )"), in_header);
        assert_eq!(refused(version, Client, "^80( 0001 ~ <a> 00 )"), in_header);
        assert_eq!(refused(version, Client, "^60( 0001 )"), in_header);
    }
    for version in [V311, V5] {
        let verdict = refused(version, Server, "20( ^02 00 ~ )");
        assert_eq!(verdict, (Sin::ReservedConnAckFlags, Field::AcknowledgeFlags, MALFORMED));
    }
    let verdict = refused(V5, Client, "82( 0001 00 <a> ^40 )");
    assert_eq!(verdict, (Sin::SubscriptionOptions, Field::SubscriptionOptions, MALFORMED));
    let verdict = refused(V311, Client, "82( 0001 <a> ^04 )");
    assert_eq!(verdict, (Sin::SubscriptionOptions, Field::SubscriptionOptions, MALFORMED));
}

#[test]
fn a_suback_without_codes_is_refused() {
    for version in EVERY {
        let verdict = refused(version, Server, "90( 0001 ~ ^ )");
        assert_eq!(verdict, (Sin::NoReasonCode, Field::ReasonCode, PROTOCOL_ERROR));
    }
}

#[test]
fn a_shared_subscription_without_a_filter_is_refused() {
    for (version, name) in EVERY.into_iter().flat_map(|v| ["$share/g", "$share/g/"].map(|n| (v, n)))
    {
        let verdict = (Sin::ShareWithoutFilter, Field::TopicFilter, PROTOCOL_ERROR);
        assert_eq!(refused(version, Client, &format!("82( 0001 ~ ^<{name}> 00 )")), verdict);
        assert_eq!(refused(version, Client, &format!("A2( 0001 ~ ^<{name}> )")), verdict);
        accepted(version, Client, &format!("82( 0001 ~ <{}/a> 00 )", name.trim_end_matches('/')));
    }
}

#[test]
fn sixty_five_thousand_slashes_need_no_stack() {
    let deep = || {
        let name = "/".repeat(65_000);
        let levels = topic(&name).levels();
        let singles = "+/".repeat(32_000);
        let found = [
            filter(&name).matches(topic(&name)),
            filter("#").matches(topic(&name)),
            filter(&format!("{singles}#")).matches(topic(&name)),
            filter(&singles).matches(topic(&name)),
        ];
        for version in EVERY {
            accepted_bytes(version, Client, bytes(version, &format!("30( <{name}> ~ )")));
            accepted_bytes(version, Client, bytes(version, &format!("82( 0001 ~ <{name}> 00 )")));
        }
        (levels, found)
    };
    // A reader that calls itself for each level would overrun this.
    let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(deep);
    let (levels, found) = thread.expect("a thread").join().expect("an end");
    assert_eq!((levels, found), (65_001, [true, true, true, false]));
}

#[test]
fn properties_longer_than_the_packet_are_refused() {
    let verdict = (Sin::Truncated, Field::PropertyLength, MALFORMED);
    for (sender, packet) in [
        (Client, "10( @ 02 0000 ^7F 21 000A <id> )"),
        (Client, "10( @ 06 0000 00 <id> ^7F <w> <> )"),
        (Server, "20( 00 00 ^01 )"),
        (Client, "30( <a> ^04 01 00 )"),
        (Client, "30( <a> ^FFFFFF7F 'x' )"),
        (Client, "40( 0001 00 ^7F )"),
        (Client, "82( 0001 ^7F <a> 00 )"),
        (Server, "90( 0001 ^02 00 )"),
        (Client, "A2( 0001 ^7F <a> )"),
        (Server, "B0( 0001 ^02 00 )"),
        (Client, "E0( 00 ^01 )"),
        (Client, "F0( 18 ^7F 15 <m> )"),
    ] {
        assert_eq!(refused(V5, sender, packet), verdict);
    }
}

#[test]
fn the_same_property_twice_is_refused() {
    let verdict = |id| (Sin::PropertyTwice, Field::Property(id), PROTOCOL_ERROR);
    let found = refused(V5, Client, "30( <a> ( 02 00000001 ^02 00000001 ) )");
    assert_eq!(found, verdict(PropertyId::MessageExpiryInterval));
    let found = refused(V5, Client, "10( @ 02 0000 ( 21 0001 26 <k><v> ^21 0002 ) <> )");
    assert_eq!(found, verdict(PropertyId::ReceiveMaximum));
    accepted(V5, Client, "30( <a> ( 26 <k><v> 26 <k><v> ) )");
}

#[test]
fn authentication_data_without_a_method_are_refused() {
    let verdict = (Sin::AuthenticationData, Field::PropertyLength, PROTOCOL_ERROR);
    assert_eq!(refused(V5, Client, "10( @ 02 0000 ^( 16 <data> ) <> )"), verdict);
    assert_eq!(refused(V5, Server, "20( 00 00 ^( 16 <data> ) )"), verdict);
    accepted(V5, Client, "10( @ 02 0000 ( 16 <data> 15 <m> ) <> )");
}

#[test]
fn a_subscription_identifier_from_a_client_is_refused() {
    let field = Field::Property(PropertyId::SubscriptionIdentifier);
    let verdict = refused(V5, Client, "30( <a> ( ^0B 01 ) )");
    assert_eq!(verdict, (Sin::PropertyFromWrongSender, field, PROTOCOL_ERROR));
    accepted(V5, Server, "30( <a> ( 0B 01 ) )");
}

#[test]
fn ill_formed_utf_8_never_becomes_a_topic_that_could_be_relayed() {
    for bad in [&b"\xFF"[..], b"a\xC0\x80", b"\xED\xA0\x80", b"a/\xF4\x90\x80\x80"] {
        assert!(TopicName::from_bytes(bad).is_err());
        assert!(TopicFilter::from_bytes(bad).is_err());
        for version in EVERY {
            let body = [&(bad.len() as u16).to_be_bytes(), bad, &[0]].concat();
            let packet = framed(0x30, &body);
            let error = decode(version, Client, &packet).expect_err("a refusal");
            assert_eq!(
                (error.sin, error.field, error.offset),
                (Sin::IllFormedText, Field::TopicName, 2)
            );
        }
    }
}

#[test]
fn a_pinging_client_can_not_smuggle_bytes() {
    for version in EVERY {
        let verdict = refused(version, Client, "C0( ^00 )");
        assert_eq!(verdict, (Sin::TrailingBytes, Field::Payload, MALFORMED));
        assert_eq!(accepted(version, Client, "C0()"), Packet::PingReq);
    }
}
