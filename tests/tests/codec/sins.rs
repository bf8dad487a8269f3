//! One example of every sin, with the clause that it breaks.

use std::collections::BTreeSet;

use tamtam_core::{Connect, Fault, PacketType, Sin};

use crate::support::*;

/// A sin, a packet that commits it, and where MQTT 5 and MQTT 3.1.1 forbid it: a statement
/// (`-3.3.1-4`) or a chapter (` 2.1.2`); nothing where the version can't even say it.
type Example = (Sin, Sender, &'static str, &'static str, &'static str);

fn of_any_packet() -> Vec<Example> {
    vec![
        (Sin::ReservedPacketType, Client, "^00()", " 2.1.2", " 2.2.1"),
        (Sin::ReservedPacketType, Client, "^F0()", "", " 2.2.1"),
        (Sin::WrongSender, Server, "^C0()", " 2.1.2", " 2.2.1"),
        (Sin::ReservedFlags, Client, "^C1()", "-2.1.3-1", "-2.2.2-1"),
        (Sin::LengthTooLong, Client, "C0 ^FFFFFFFF01", " 1.5.5", " 2.2.3"),
        (Sin::LengthNotMinimal, Client, "C0 ^8000", "-1.5.5-1", " 2.2.3"),
        (Sin::Truncated, Client, "40( ^00 )", " 2.1.4", " 2.2.3"),
        (Sin::TrailingBytes, Client, "C0( ^00 )", " 2.1.4", " 2.2.3"),
        (Sin::IllFormedText, Client, "30( ^0001FF ~ )", "-1.5.4-1", "-1.5.3-1"),
        (Sin::NullInText, Client, "30( ^000100 ~ )", "-1.5.4-2", "-1.5.3-2"),
    ]
}

fn of_connections() -> Vec<Example> {
    let no_method = "10( @ 02 0000 ^( 16 <data> ) <id> )";
    vec![
        (Sin::ProtocolName, Client, "10( ^<HTTP> 05 02 0000 00 <id> )", "-3.1.2-1", "-3.1.2-1"),
        (Sin::ProtocolLevel, Client, "10( <MQTT> ^06 02 0000 00 <id> )", "-3.1.2-2", "-3.1.2-2"),
        (Sin::ReservedConnectFlag, Client, "10( @ ^03 0000 ~ <id> )", "-3.1.2-3", "-3.1.2-3"),
        (Sin::WillQoSWithoutWill, Client, "10( @ ^0A 0000 ~ <id> )", "-3.1.2-11", "-3.1.2-13"),
        (Sin::WillRetainWithoutWill, Client, "10( @ ^22 0000 ~ <id> )", "-3.1.2-13", "-3.1.2-15"),
        (Sin::WillQoS, Client, "10( @ ^1E 0000 ~ <id> ~ <w> <> )", "-3.1.2-12", "-3.1.2-14"),
        (Sin::PasswordWithoutUserName, Client, "10( @ ^42 0000 ~ <id> <pw> )", "", "-3.1.2-22"),
        (Sin::ReservedConnAckFlags, Server, "20( ^02 00 ~ )", "-3.2.2-1", " 3.2.2.1"),
        (Sin::SessionPresentOnError, Server, "20( ^01 85 00 )", "-3.2.2-6", ""),
        (Sin::SessionPresentOnError, Server, "20( ^01 02 )", "", "-3.2.2-4"),
        (Sin::ReasonCode, Server, "20( 00 ^06 ~ )", "-3.2.2-8", " 3.2.2.3"),
        (Sin::ReasonCode, Client, "E0( ^8B )", "-3.14.2-1", ""),
        (Sin::ReasonCode, Server, "F0( ^19 ( 15 <m> ) )", "-3.15.2-1", ""),
        (Sin::AuthenticationData, Client, no_method, " 3.1.2.11.10", ""),
    ]
}

fn of_messages() -> Vec<Example> {
    vec![
        (Sin::QoS, Client, "^36( <a> 0001 ~ )", "-3.3.1-4", "-3.3.1-4"),
        (Sin::DupAtQoS0, Client, "^38( <a> ~ )", "-3.3.1-2", "-3.3.1-2"),
        (Sin::WildcardInTopic, Client, "30( ^<#> ~ )", "-3.3.2-2", "-3.3.2-2"),
        (Sin::EmptyTopic, Client, "30( ^<> ~ )", "-4.7.3-1", "-4.7.3-1"),
        (Sin::WildcardInResponseTopic, Client, "30( <a> ( 08 ^<+> ) )", "-3.3.2-14", ""),
        (Sin::ReasonCode, Client, "40( 0001 ^92 )", "-3.4.2-1", ""),
        (Sin::ReasonCode, Client, "50( 0001 ^92 )", "-3.5.2-1", ""),
        (Sin::ReasonCode, Client, "62( 0001 ^10 )", "-3.6.2-1", ""),
        (Sin::ReasonCode, Client, "70( 0001 ^10 )", "-3.7.2-1", ""),
        (Sin::PacketIdZero, Client, "32( <a> ^0000 ~ )", "-2.2.1-3", "-2.3.1-1"),
        (Sin::TopicAliasZero, Client, "30( <a> ( 23 ^0000 ) )", "-3.3.2-8", ""),
        (Sin::UnknownProperty, Client, "30( <a> ( ^04 00 ) )", " 2.2.2.2", ""),
        (Sin::PropertyNotAllowed, Client, "30( <a> ( ^11 00000000 ) )", " 2.2.2.2", ""),
        (Sin::PropertyFromWrongSender, Client, "30( <a> ( ^0B 01 ) )", "-3.3.4-6", ""),
        (Sin::PropertyTwice, Client, "30( <a> ( 01 00 ^01 00 ) )", " 2.2.2.2", ""),
        (Sin::PropertyValue, Client, "30( <a> ( 01 ^02 ) )", " 2.2.2.2", ""),
    ]
}

fn of_subscriptions() -> Vec<Example> {
    let subscribe = |sin, packet, v5, v3| (sin, Client, packet, v5, v3);
    let unsubscribe = "A2( 0001 ~ ^ )";
    vec![
        subscribe(Sin::NoFilter, "82( 0001 ~ ^ )", "-3.8.3-2", "-3.8.3-3"),
        subscribe(Sin::NoFilterToLeave, unsubscribe, "-3.10.3-2", "-3.10.3-2"),
        subscribe(Sin::MultiLevelWildcard, "82( 0001 ~ ^<a#> 00 )", "-4.7.1-1", "-4.7.1-2"),
        subscribe(Sin::SingleLevelWildcard, "82( 0001 ~ ^<a+> 00 )", "-4.7.1-2", "-4.7.1-3"),
        subscribe(Sin::ShareName, "82( 0001 ~ ^<$share//a> 00 )", "-4.8.2-1", ""),
        subscribe(Sin::ShareNameWildcard, "82( 0001 ~ ^<$share/+/a> 00 )", "-4.8.2-2", ""),
        subscribe(Sin::ShareWithoutFilter, "82( 0001 ~ ^<$share/g> 00 )", "-4.8.2-2", ""),
        subscribe(Sin::SubscriptionOptions, "82( 0001 ~ <a> ^40 )", "-3.8.3-5", "-3.8.3-4"),
        subscribe(Sin::SubscriptionQoS, "82( 0001 ~ <a> ^03 )", " 3.8.3.1", ""),
        subscribe(Sin::RetainHandling, "82( 0001 ~ <a> ^30 )", " 3.8.3.1", ""),
        subscribe(Sin::NoLocalOnShared, "82( 0001 ~ <$share/g/a> ^04 )", "-3.8.3-4", ""),
        (Sin::NoReasonCode, Server, "90( 0001 ~ ^ )", "-3.8.4-6", "-3.8.4-5"),
        (Sin::ReasonCode, Server, "90( 0001 ~ ^03 )", "-3.9.3-2", "-3.9.3-2"),
        (Sin::ReasonCode, Server, "B0( 0001 ~ ^01 )", "-3.11.3-2", ""),
    ]
}

fn check(version: Version, (sin, sender, packet, ..): Example, clause: &str) {
    let (found, _, code) = refused(version, sender, packet);
    assert_eq!(found, sin, "{packet}");
    let error = decode(version, sender, bytes(version, packet)).expect_err("a refusal");
    let prefix = if version == V5 { "MQTT5" } else { "MQTT3" };
    assert_eq!(error.citation(), format!("{prefix}{clause}"), "{packet}");
    assert!(error.to_string().ends_with(&format!(" [{prefix}{clause}]")), "{error}");
    assert_eq!((code, error.fault()), (sin.reason_code().as_byte(), sin.fault()));
}

#[test]
fn every_sin_has_an_example_and_its_clause() {
    // These two have tests of their own, `only_a_connect_opens_a_connection` and
    // `an_auth_names_its_method`.
    let mut seen = BTreeSet::from([Sin::FirstPacket, Sin::AuthenticationMethod].map(name));
    let all = [of_any_packet(), of_connections(), of_messages(), of_subscriptions()].concat();
    for example in all {
        let (sin, _, _, v5, v3) = example;
        seen.insert(name(sin));
        if !v5.is_empty() {
            check(V5, example, v5);
        }
        if !v3.is_empty() {
            check(V311, example, v3);
        }
    }
    let expected: BTreeSet<String> = Sin::ALL.iter().copied().map(name).collect();
    assert_eq!(seen, expected);
}

fn name(sin: Sin) -> String {
    format!("{sin:?}")
}

#[test]
fn a_malformed_packet_is_answered_with_0x81_and_nothing_else_is() {
    for sin in Sin::ALL {
        let malformed = sin.fault() == Fault::Malformed;
        assert_eq!(sin.reason_code().as_byte() == MALFORMED, malformed, "{sin:?}");
        let special = match sin {
            Sin::ProtocolName | Sin::ProtocolLevel => 0x84,
            Sin::TopicAliasZero => 0x94,
            _ if malformed => MALFORMED,
            _ => PROTOCOL_ERROR,
        };
        assert_eq!(sin.reason_code().as_byte(), special, "{sin:?}");
    }
}

#[test]
fn an_error_says_packet_field_offset_and_clause() {
    let packet = bytes(V5, "32( <a/b> 0000 00 )");
    let error = decode(V5, Client, packet).expect_err("a refusal");
    assert_eq!((error.packet, error.offset, error.version), (PacketType::Publish, 7, V5));
    assert!(error.to_string().contains("(packet identifier at byte 7)"), "{error}");
    let packet = bytes(V31, "10( @ 03 0000 <id> )");
    let error = Connect::decode(&mut &*packet).expect_err("a refusal");
    assert_eq!((error.packet, error.offset, error.version), (PacketType::Connect, 11, V31));
    assert!(error.to_string().ends_with("[MQTT3-3.1.2-3]"), "{error}");
}
