//! CONNECT: name and level, flags, and the fields that the flags announce.

use tamtam_core::{Connect, DecodeError, Field, Packet, Property, QoS, Sin};

use crate::support::*;

/// Reads it as a server does, which doesn't know the version yet.
fn decode_first(packet: &[u8]) -> Result<Option<Connect<'_>>, DecodeError> {
    let mut rest = packet;
    let result = Connect::decode(&mut rest);
    let left = if matches!(result, Ok(Some(_))) { 0 } else { packet.len() };
    assert_eq!(rest.len(), left);
    result
}

#[track_caller]
fn connect(version: Version, packet: &str) -> Connect<'static> {
    let Packet::Connect(connect) = accepted(version, Client, packet) else { panic!("no CONNECT") };
    assert_eq!(decode_first(bytes(version, packet)), Ok(Some(connect)));
    assert_eq!(connect.version, version);
    connect
}

#[test]
fn name_and_level_go_together_in_three_pairs() {
    for name in ["MQTT", "MQIsdp", "mqtt", "MQIsdP", "MQIsdpX", "MQT", "MQTT5", "HTTP", ""] {
        for level in 0..=255_u8 {
            let properties = if level == 5 { "00" } else { "" };
            let packet = format!("10( <{name}> {level:02X} 02 0000 {properties} <id> )");
            let packet = bytes(V5, &packet);
            let version = match (name, level) {
                ("MQIsdp", 3) => Ok(V31),
                ("MQTT", 4) => Ok(V311),
                ("MQTT", 5) => Ok(V5),
                ("MQIsdp" | "MQTT", _) => Err((Sin::ProtocolLevel, Field::ProtocolLevel)),
                _ => Err((Sin::ProtocolName, Field::ProtocolName)),
            };
            let offset = 2 + if version == Err((Sin::ProtocolName, Field::ProtocolName)) {
                0
            } else {
                name.len() as u32 + 2
            };
            match (decode_first(packet), version) {
                (Ok(Some(connect)), Ok(version)) => assert_eq!(connect.version, version),
                (Err(error), Err(sin)) => {
                    assert_eq!(((error.sin, error.field), error.offset), (sin, offset));
                    assert_eq!(error.reason_code().as_byte(), 0x84);
                }
                (found, expected) => panic!("{name} {level}: {found:?}, not {expected:?}"),
            }
        }
    }
}

#[test]
fn a_connect_within_a_connection_keeps_its_version() {
    for (version, other) in EVERY.into_iter().flat_map(|v| EVERY.map(|other| (v, other))) {
        let packet = bytes(other, "10( @ 02 0000 ~ <id> )");
        if version == other {
            assert!(matches!(decode(version, Client, packet), Ok(Some(Packet::Connect(_)))));
            continue;
        }
        let error = decode(version, Client, packet).expect_err("a refusal");
        assert_eq!((error.sin, error.field), (Sin::ProtocolLevel, Field::ProtocolLevel));
        assert_eq!(error.offset, if other == V31 { 10 } else { 8 });
        assert_eq!((error.reason_code().as_byte(), error.version), (0x84, version));
    }
}

/// What is wrong with these connect flags.
fn flags_sin(version: Version, flags: u8) -> Option<Sin> {
    let bit = |number: u8| flags & (1 << number) != 0;
    let (will, will_qos) = (bit(2), flags >> 3 & 3);
    if bit(0) {
        return Some(Sin::ReservedConnectFlag);
    }
    match (will, will_qos, bit(5)) {
        (_, 3, _) => return Some(Sin::WillQoS),
        (false, 1 | 2, _) => return Some(Sin::WillQoSWithoutWill),
        (false, _, true) => return Some(Sin::WillRetainWithoutWill),
        _ => {}
    }
    let password_alone = bit(6) && !bit(7);
    (password_alone && version != V5).then_some(Sin::PasswordWithoutUserName)
}

// [MQTT5-3.1.2-3, MQTT3-3.1.2-3, MQTT5-3.1.2-9, MQTT3-3.1.2-9, MQTT5-3.1.2-11, MQTT3-3.1.2-11]
// [MQTT3-3.1.2-13, MQTT5-3.1.2-12, MQTT3-3.1.2-14, MQTT5-3.1.2-13, MQTT3-3.1.2-15]
// [MQTT5-3.1.2-17, MQTT3-3.1.2-19, MQTT5-3.1.2-19, MQTT3-3.1.2-21, MQTT3-3.1.2-22]
#[test]
fn every_byte_of_connect_flags_is_read_or_refused() {
    for (version, flags) in EVERY.into_iter().flat_map(|v| (0..=255_u8).map(move |f| (v, f))) {
        let bit = |number: u8| flags & (1 << number) != 0;
        let will = if bit(2) { "~ <w/t> <bye>" } else { "" };
        let user_name = if bit(7) { "<ann>" } else { "" };
        let password = if bit(6) { "0003 00 FF 01" } else { "" };
        let fields = format!("{flags:02X} 003C ~ <id> {will} {user_name} {password}");
        if let Some(sin) = flags_sin(version, flags) {
            let verdict = refused(version, Client, &format!("10( @ ^{fields} )"));
            assert_eq!(verdict, (sin, Field::ConnectFlags, MALFORMED));
            let error = decode_first(bytes(version, &format!("10( @ {fields} )")));
            assert_eq!(error.expect_err("a refusal").version, version);
            continue;
        }
        let found = connect(version, &format!("10( @ {fields} )"));
        assert_eq!((found.clean_start, found.keep_alive), (bit(1), 60));
        assert_eq!(found.client_id, "id");
        assert_eq!(found.user_name, bit(7).then_some(text("ann")));
        assert_eq!(found.password, bit(6).then_some(&[0x00, 0xFF, 0x01][..]));
        assert_eq!(found.will.is_some(), bit(2));
        if let Some(will) = found.will {
            assert_eq!((will.qos.level(), will.retain), (flags >> 3 & 3, bit(5)));
            assert_eq!((will.topic, will.payload), (topic("w/t"), &b"bye"[..]));
        }
    }
}

#[track_caller]
fn clause(version: Version, flags: u8) -> &'static str {
    let packet = bytes(version, &format!("10( @ {flags:02X} 0000 ~ <id> )"));
    decode_first(packet).expect_err("a refusal").citation()
}

#[test]
fn bad_connect_flags_are_refused_with_their_clause() {
    for (flags, v5, v3) in [
        (0x01, "MQTT5-3.1.2-3", "MQTT3-3.1.2-3"),
        (0x08, "MQTT5-3.1.2-11", "MQTT3-3.1.2-13"),
        (0x1C, "MQTT5-3.1.2-12", "MQTT3-3.1.2-14"),
        (0x20, "MQTT5-3.1.2-13", "MQTT3-3.1.2-15"),
    ] {
        assert_eq!(clause(V5, flags), v5);
        assert_eq!(clause(V311, flags), v3);
        assert_eq!(clause(V31, flags), v3);
    }
    assert_eq!(clause(V311, 0x40), "MQTT3-3.1.2-22");
    assert_eq!(clause(V31, 0x40), "MQTT3-3.1.2-22");
}

/// The fields of a CONNECT that has them all, in order, with their lengths.
fn fields(version: Version) -> Vec<(Field, &'static str)> {
    let mut fields = vec![
        (Field::ProtocolName, if version == V31 { "<MQIsdp>" } else { "<MQTT>" }),
        (Field::ProtocolLevel, ["03", "04", "05"][version as usize]),
        (Field::ConnectFlags, "F6"),
        (Field::KeepAlive, "003C"),
        (Field::PropertyLength, "( 21 000A )"),
        (Field::ClientId, "<id>"),
        (Field::PropertyLength, "( 18 00000005 )"),
        (Field::WillTopic, "<w/t>"),
        (Field::WillPayload, "<bye>"),
        (Field::UserName, "<ann>"),
        (Field::Password, "<pw>"),
    ];
    fields.retain(|(field, _)| version == V5 || *field != Field::PropertyLength);
    fields
}

// [MQTT5-3.1.3-1, MQTT3-3.1.3-1, MQTT5-3.1.3-3, MQTT3-3.1.3-3, MQTT5-3.1.3-12]
#[test]
fn the_fields_come_in_their_order() {
    for version in EVERY {
        let body: Vec<&str> = fields(version).into_iter().map(|(_, written)| written).collect();
        let found = connect(version, &format!("10( {} )", body.join(" ")));
        assert_eq!((found.client_id, found.keep_alive), (text("id"), 60));
        let will = found.will.expect("a will");
        assert_eq!((will.topic, will.payload), (topic("w/t"), &b"bye"[..]));
        assert_eq!((will.qos, will.retain), (QoS::ExactlyOnce, true));
        assert_eq!(found.user_name, Some(text("ann")));
        assert_eq!(found.password, Some(&b"pw"[..]));
        if version == V5 {
            assert_eq!(found.properties.receive_maximum().map(u16::from), Some(10));
            assert_eq!(will.properties.will_delay_interval(), Some(5));
            assert_eq!(will.properties, properties(&[Property::WillDelayInterval(5)]));
        }
    }
}

// [MQTT5-3.1.2-9, MQTT3-3.1.2-9, MQTT5-3.1.2-17, MQTT3-3.1.2-19, MQTT5-3.1.2-19, MQTT3-3.1.2-21]
// [MQTT5-3.1.3-3, MQTT3-3.1.3-3, MQTT5-3.1.3-12]
#[test]
fn a_field_that_is_announced_must_be_there_whole() {
    for version in EVERY {
        let fields = fields(version);
        let whole: Vec<u8> =
            fields.iter().flat_map(|(_, written)| bytes(version, written)).copied().collect();
        let mut start = 0;
        for (field, written) in fields {
            let length = bytes(version, written).len();
            for end in start..start + length {
                let packet = framed(0x10, &whole[..end]);
                let tolerated = matches!(field, Field::UserName | Field::Password);
                if version == V31 && tolerated && end == start {
                    continue; // see below
                }
                let error = decode_first(&packet).expect_err("a refusal");
                let found = (error.sin, error.field, error.offset as usize);
                assert_eq!(found, (Sin::Truncated, field, 2 + start), "{version} {end}");
            }
            start += length;
        }
        assert_eq!(start, whole.len());
    }
}

// [MQTT5-3.1.2-16, MQTT3-3.1.2-18, MQTT5-3.1.2-18, MQTT3-3.1.2-20, MQTT3-3.1.2-11]
#[test]
fn a_field_that_is_not_announced_must_not_be_there() {
    let verdict = (Sin::TrailingBytes, Field::Payload, MALFORMED);
    for version in EVERY {
        for (flags, fields) in [
            ("02", "^<ann>"),               // a user name
            ("02", "^00"),                  // anything
            ("82", "<ann> ^<pw>"),          // a password
            ("02", "^~ <w/t> <bye>"),       // a will
            ("06", "~ <w/t> <bye> ^<ann>"), // a user name behind the will
            ("C6", "~ <w/t> <bye> <ann> <pw> ^00"),
        ] {
            let packet = format!("10( @ {flags} 0000 ~ <id> {fields} )");
            assert_eq!(refused(version, Client, &packet), verdict);
            let (whole, _) = packet.split_once('^').expect("a mark");
            connect(version, &format!("{whole} )"));
        }
    }
}

#[test]
fn mqtt_5_allows_a_password_without_a_user_name() {
    let found = connect(V5, "10( @ 42 0000 () <id> <pw> )");
    assert_eq!((found.user_name, found.password), (None, Some(&b"pw"[..])));
    let verdict = (Sin::PasswordWithoutUserName, Field::ConnectFlags, MALFORMED);
    for version in BEFORE_5 {
        assert_eq!(refused(version, Client, "10( @ ^42 0000 <id> <pw> )"), verdict);
    }
}

#[test]
fn in_3_1_the_length_goes_before_the_credential_flags() {
    let found = connect(V31, "10( @ C2 0000 <id> )");
    assert_eq!((found.user_name, found.password), (None, None));
    let found = connect(V31, "10( @ 82 0000 <id> )");
    assert_eq!((found.user_name, found.password), (None, None));
    let found = connect(V31, "10( @ C2 0000 <id> <ann> )");
    assert_eq!((found.user_name, found.password), (Some(text("ann")), None));
    let found = connect(V31, "10( @ C6 0000 <id> <w> <bye> )");
    assert_eq!((found.user_name, found.password), (None, None));
    let truncated = |field| (Sin::Truncated, field, MALFORMED);
    let verdict = refused(V31, Client, "10( @ C2 0000 <id> ^00 )");
    assert_eq!(verdict, truncated(Field::UserName));
    let verdict = refused(V31, Client, "10( @ C2 0000 <id> <ann> ^0003 'pw' )");
    assert_eq!(verdict, truncated(Field::Password));
    for version in [V311, V5] {
        let verdict = refused(version, Client, "10( @ C2 0000 ~ <id> ^ )");
        assert_eq!(verdict, truncated(Field::UserName));
        let verdict = refused(version, Client, "10( @ C2 0000 ~ <id> <ann> ^ )");
        assert_eq!(verdict, truncated(Field::Password));
    }
}

#[test]
fn the_client_identifier_may_be_empty_but_not_missing() {
    for version in EVERY {
        assert!(connect(version, "10( @ 02 0000 ~ <> )").client_id.is_empty());
        let verdict = refused(version, Client, "10( @ 02 0000 ~ ^ )");
        assert_eq!(verdict, (Sin::Truncated, Field::ClientId, MALFORMED));
    }
}

#[test]
fn a_password_and_a_will_payload_may_be_any_bytes() {
    for version in EVERY {
        let found = connect(version, "10( @ C6 0000 ~ <> ~ <w> 0004 00 FF C0 80 <u> 0002 00 ED )");
        assert_eq!(found.will.map(|will| will.payload), Some(&[0x00, 0xFF, 0xC0, 0x80][..]));
        assert_eq!(found.password, Some(&[0x00, 0xED][..]));
        let found = connect(version, "10( @ C6 0000 ~ <> ~ <w> <> <> <> )");
        assert_eq!(found.will.map(|will| will.payload), Some(&[][..]));
        assert_eq!((found.user_name, found.password), (Some(text("")), Some(&[][..])));
    }
}

#[test]
fn a_will_goes_to_a_topic_without_wildcards() {
    for version in EVERY {
        for name in ["#", "+", "w/#", "w+"] {
            let verdict = refused(version, Client, &format!("10( @ 06 0000 ~ <> ~ ^<{name}> <> )"));
            assert_eq!(verdict, (Sin::WildcardInTopic, Field::WillTopic, PROTOCOL_ERROR));
        }
        let verdict = refused(version, Client, "10( @ 06 0000 ~ <> ~ ^<> <> )");
        assert_eq!(verdict, (Sin::EmptyTopic, Field::WillTopic, PROTOCOL_ERROR));
    }
}
