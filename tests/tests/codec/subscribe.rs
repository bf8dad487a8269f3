//! SUBSCRIBE and UNSUBSCRIBE: filters and options.

use tamtam_core::{
    Field, Packet, RetainHandling, Sin, Subscribe, Subscription, TopicFilter, Unsubscribe,
};

use crate::support::*;

#[track_caller]
fn subscribe(version: Version, packet: &str) -> Subscribe<'static> {
    let Packet::Subscribe(subscribe) = accepted(version, Client, packet) else {
        panic!("no SUBSCRIBE")
    };
    subscribe
}

#[track_caller]
fn unsubscribe(version: Version, packet: &str) -> Unsubscribe<'static> {
    let Packet::Unsubscribe(unsubscribe) = accepted(version, Client, packet) else {
        panic!("no UNSUBSCRIBE")
    };
    unsubscribe
}

#[test]
fn a_subscribe_lists_filters_with_options() {
    for version in EVERY {
        let found = subscribe(version, "82( 000A ~ <a/b> 01 <+/c/#> 02 <d> 00 )");
        assert_eq!(found.packet_id, id(10));
        let list: Vec<_> = found.subscriptions.iter().collect();
        let filters: Vec<_> = list.iter().map(|s| (s.filter.as_str(), s.qos.level())).collect();
        assert_eq!(filters, [("a/b", 1), ("+/c/#", 2), ("d", 0)]);
        assert!(list.iter().all(|s| *s == Subscription::new(s.filter).qos(s.qos)));
        assert_eq!(found.subscriptions.count(), 3);
    }
}

#[test]
fn an_unsubscribe_lists_filters() {
    for version in EVERY {
        let found = unsubscribe(version, "A2( 000A ~ <a/b> <c/#> )");
        assert_eq!(found.packet_id, id(10));
        let filters: Vec<_> = found.filters.iter().map(TopicFilter::as_str).collect();
        assert_eq!(filters, ["a/b", "c/#"]);
        let found = unsubscribe(version, "A2( FFFF ~ <c> )");
        assert_eq!((found.packet_id, found.filters.count()), (id(65_535), 1));
    }
}

// [MQTT3-2.3.1-1]
#[test]
fn both_have_a_packet_identifier_that_is_not_0() {
    let zero = (Sin::PacketIdZero, Field::PacketId, PROTOCOL_ERROR);
    let truncated = (Sin::Truncated, Field::PacketId, MALFORMED);
    for version in EVERY {
        assert_eq!(refused(version, Client, "82( ^0000 ~ <a> 00 )"), zero);
        assert_eq!(refused(version, Client, "A2( ^0000 ~ <a> )"), zero);
        for first in ["82", "A2"] {
            assert_eq!(refused(version, Client, &format!("{first}( ^ )")), truncated);
            assert_eq!(refused(version, Client, &format!("{first}( ^00 )")), truncated);
        }
        subscribe(version, "82( 0001 ~ <a> 00 )");
        unsubscribe(version, "A2( 0001 ~ <a> )");
    }
}

// [MQTT5-3.8.3-2, MQTT3-3.8.3-3]
#[test]
fn a_subscribe_without_filters_is_a_protocol_error() {
    for (version, clause) in
        [(V31, "MQTT3-3.8.3-3"), (V311, "MQTT3-3.8.3-3"), (V5, "MQTT5-3.8.3-2")]
    {
        let verdict = refused(version, Client, "82( 0001 ~ ^ )");
        assert_eq!(verdict, (Sin::NoFilter, Field::TopicFilter, PROTOCOL_ERROR));
        let error = decode(version, Client, bytes(version, "82( 0001 ~ )"));
        assert_eq!(error.expect_err("a refusal").citation(), clause);
        let verdict = refused(version, Client, "82( 0001 ~ <a> ^ )");
        assert_eq!(verdict, (Sin::Truncated, Field::SubscriptionOptions, MALFORMED));
        subscribe(version, "82( 0001 ~ <a> 00 )");
    }
    let verdict = refused(V5, Client, "82( 0001 ^ )");
    assert_eq!(verdict, (Sin::Truncated, Field::PropertyLength, MALFORMED));
}

// [MQTT5-3.10.3-2, MQTT3-3.10.3-2]
#[test]
fn an_unsubscribe_without_filters_is_a_protocol_error() {
    for (version, clause) in
        [(V31, "MQTT3-3.10.3-2"), (V311, "MQTT3-3.10.3-2"), (V5, "MQTT5-3.10.3-2")]
    {
        let verdict = refused(version, Client, "A2( 0001 ~ ^ )");
        assert_eq!(verdict, (Sin::NoFilterToLeave, Field::TopicFilter, PROTOCOL_ERROR));
        let error = decode(version, Client, bytes(version, "A2( 0001 ~ )"));
        assert_eq!(error.expect_err("a refusal").citation(), clause);
        unsubscribe(version, "A2( 0001 ~ <a> )");
    }
}

// [MQTT3-3.10.3-1]
#[test]
fn filters_follow_each_other_without_gaps() {
    let truncated = (Sin::Truncated, Field::TopicFilter, MALFORMED);
    for version in EVERY {
        assert_eq!(refused(version, Client, "A2( 0001 ~ <a> ^00 )"), truncated);
        assert_eq!(refused(version, Client, "A2( 0001 ~ <a> ^0002 'b' )"), truncated);
        assert_eq!(refused(version, Client, "82( 0001 ~ <a> 00 ^00 )"), truncated);
        assert_eq!(refused(version, Client, "82( 0001 ~ <a> 00 ^0002 'b' )"), truncated);
    }
}

/// What is wrong with this byte of subscription options, by MQTT 5, 3.8.3.1, and MQTT 3.1.1, 3.8.3.
fn options_verdict(version: Version, options: u8) -> Option<(Sin, u8)> {
    if version != V5 {
        return (options > 2).then_some((Sin::SubscriptionOptions, MALFORMED));
    }
    if options >= 0x40 {
        Some((Sin::SubscriptionOptions, MALFORMED))
    } else if options & 0x03 == 0x03 {
        Some((Sin::SubscriptionQoS, PROTOCOL_ERROR))
    } else {
        (options & 0x30 == 0x30).then_some((Sin::RetainHandling, PROTOCOL_ERROR))
    }
}

// [MQTT5-3.8.3-5, MQTT3-3.8.3-4]
#[test]
fn every_byte_of_subscription_options_is_read_or_refused() {
    for (version, options) in EVERY.into_iter().flat_map(|v| (0..=255_u8).map(move |o| (v, o))) {
        if let Some((sin, code)) = options_verdict(version, options) {
            let packet = format!("82( 0001 ~ <a> ^{options:02X} )");
            let verdict = (sin, Field::SubscriptionOptions, code);
            assert_eq!(refused(version, Client, &packet), verdict);
            let packet = format!("82( 0001 ~ <b> 00 <a> ^{options:02X} <c> 00 )");
            assert_eq!(refused(version, Client, &packet), verdict);
            continue;
        }
        let found = subscribe(version, &format!("82( 0001 ~ <a> {options:02X} )"));
        let found = found.subscriptions.iter().next().expect("a subscription");
        assert_eq!(found.qos.level(), options & 3);
        assert_eq!(found.no_local, options & 0x04 != 0);
        assert_eq!(found.retain_as_published, options & 0x08 != 0);
        assert_eq!(found.retain_handling as u8, options >> 4);
    }
}

#[test]
fn bad_options_are_refused_with_their_clause() {
    for (version, options, clause) in [
        (V5, 0x40, "MQTT5-3.8.3-5"),
        (V5, 0x80, "MQTT5-3.8.3-5"),
        (V311, 0x03, "MQTT3-3.8.3-4"),
        (V311, 0x04, "MQTT3-3.8.3-4"),
        (V31, 0x03, "MQTT3-3.8.3-4"),
    ] {
        let packet = bytes(version, &format!("82( 0001 ~ <a> {options:02X} )"));
        let error = decode(version, Client, packet).expect_err("a refusal");
        assert_eq!(error.citation(), clause);
    }
}

#[test]
fn retain_handling_has_three_values() {
    let handling = [RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend];
    for (bits, expected) in handling.into_iter().enumerate() {
        let found = subscribe(V5, &format!("82( 0001 00 <a> {bits}0 )"));
        let found = found.subscriptions.iter().next().expect("a subscription");
        assert_eq!(found.retain_handling, expected);
    }
}

// [MQTT5-3.8.3-4]
#[test]
fn no_local_on_a_shared_subscription_is_a_protocol_error() {
    let verdict = (Sin::NoLocalOnShared, Field::SubscriptionOptions, PROTOCOL_ERROR);
    for options in ["04", "05", "06", "0C", "2E"] {
        let packet = format!("82( 0001 00 <$share/g/a> ^{options} )");
        assert_eq!(refused(V5, Client, &packet), verdict);
        subscribe(V5, &format!("82( 0001 00 <$share> {options} <$shared/g/a> {options} )"));
    }
    for options in ["00", "01", "02", "08", "2A"] {
        subscribe(V5, &format!("82( 0001 00 <$share/g/a> {options} )"));
    }
    let error = decode(V5, Client, bytes(V5, "82( 0001 00 <$share/g/a> 04 )"));
    assert_eq!(error.expect_err("a refusal").citation(), "MQTT5-3.8.3-4");
}

/// Filters that are refused, with the sin; each has its clause below.
const BAD_FILTERS: [(&str, Sin); 24] = [
    ("", Sin::EmptyTopic),
    ("a#", Sin::MultiLevelWildcard),
    ("#a", Sin::MultiLevelWildcard),
    ("##", Sin::MultiLevelWildcard),
    ("#/", Sin::MultiLevelWildcard),
    ("#/a", Sin::MultiLevelWildcard),
    ("a/#/b", Sin::MultiLevelWildcard),
    ("a/b#", Sin::MultiLevelWildcard),
    ("#+", Sin::MultiLevelWildcard),
    ("a+", Sin::SingleLevelWildcard),
    ("+a", Sin::SingleLevelWildcard),
    ("++", Sin::SingleLevelWildcard),
    ("a/+b/c", Sin::SingleLevelWildcard),
    ("a/b+/#", Sin::SingleLevelWildcard),
    ("+#", Sin::SingleLevelWildcard),
    ("$share/", Sin::ShareName),
    ("$share//a", Sin::ShareName),
    ("$share/+/a", Sin::ShareNameWildcard),
    ("$share/#", Sin::ShareNameWildcard),
    ("$share/g#/a", Sin::ShareNameWildcard),
    ("$share/g", Sin::ShareWithoutFilter),
    ("$share/g/", Sin::ShareWithoutFilter),
    ("$share/g/a#", Sin::MultiLevelWildcard),
    ("$share/g/a+/b", Sin::SingleLevelWildcard),
];

// [MQTT5-4.7.1-1, MQTT3-4.7.1-2, MQTT5-4.7.1-2, MQTT3-4.7.1-3, MQTT5-4.7.3-1, MQTT3-4.7.3-1]
// [MQTT5-4.8.2-1, MQTT5-4.8.2-2]
#[test]
fn a_bad_filter_is_refused_wherever_it_stands() {
    for (version, (name, sin)) in EVERY.into_iter().flat_map(|v| BAD_FILTERS.map(|b| (v, b))) {
        let verdict = (sin, Field::TopicFilter, PROTOCOL_ERROR);
        for packet in ["82( 0001 ~ ^<{}> 00 )", "82( 0001 ~ <x> 01 ^<{}> 00 <y> 02 )"] {
            assert_eq!(refused(version, Client, &packet.replace("{}", name)), verdict);
        }
        for packet in ["A2( 0001 ~ ^<{}> )", "A2( 0001 ~ <x> ^<{}> <y> )"] {
            assert_eq!(refused(version, Client, &packet.replace("{}", name)), verdict);
        }
    }
}

// [MQTT5-4.7.1-1, MQTT3-4.7.1-2, MQTT5-4.7.1-2, MQTT3-4.7.1-3, MQTT5-4.7.0-1, MQTT3-4.7.1-1]
#[test]
fn the_nearest_good_filters_are_accepted() {
    let good = [
        "#",
        "+",
        "/",
        "//",
        "a",
        "a/#",
        "/#",
        "+/#",
        "+/+",
        "/+",
        "+/",
        "a/+/b",
        "a/+/#",
        "+/a/#",
        "$share",
        "$shared/g",
        "share/g",
        "$SYS/#",
        "$share/g/#",
        "$share/g/+/a",
        "$share/g//",
    ];
    for (version, name) in EVERY.into_iter().flat_map(|v| good.map(|name| (v, name))) {
        let found = subscribe(version, &format!("82( 0001 ~ <{name}> 00 )"));
        assert_eq!(found.subscriptions.iter().next().map(|s| s.filter), Some(filter(name)));
        let found = unsubscribe(version, &format!("A2( 0001 ~ <{name}> )"));
        assert_eq!(found.filters.iter().next(), Some(filter(name)));
    }
}

#[test]
fn the_clauses_of_filters_are_those_of_chapter_4() {
    let clause = |version, name: &str| {
        let packet = bytes(version, &format!("82( 0001 ~ <{name}> 00 )"));
        decode(version, Client, packet).expect_err("a refusal").citation()
    };
    assert_eq!(clause(V5, "a#"), "MQTT5-4.7.1-1");
    assert_eq!(clause(V311, "a#"), "MQTT3-4.7.1-2");
    assert_eq!(clause(V5, "a+"), "MQTT5-4.7.1-2");
    assert_eq!(clause(V311, "a+"), "MQTT3-4.7.1-3");
    assert_eq!(clause(V5, ""), "MQTT5-4.7.3-1");
    assert_eq!(clause(V311, ""), "MQTT3-4.7.3-1");
    assert_eq!(clause(V5, "$share//a"), "MQTT5-4.8.2-1");
    assert_eq!(clause(V5, "$share/g"), "MQTT5-4.8.2-2");
}

#[test]
fn a_subscribe_names_one_subscription_identifier() {
    let found = subscribe(V5, "82( 0001 ( 0B 8001 26 <k><v> ) <a> 00 )");
    let ids: Vec<u32> = found.properties.subscription_identifiers().map(|id| id.get()).collect();
    assert_eq!(ids, [128]);
    let field = Field::Property(tamtam_core::PropertyId::SubscriptionIdentifier);
    let verdict = refused(V5, Client, "82( 0001 ( 0B 01 ^0B 02 ) <a> 00 )");
    assert_eq!(verdict, (Sin::PropertyTwice, field, PROTOCOL_ERROR));
    let verdict = refused(V5, Client, "82( 0001 ( 0B ^00 ) <a> 00 )");
    assert_eq!(verdict, (Sin::PropertyValue, field, PROTOCOL_ERROR));
    let verdict = refused(V5, Client, "A2( 0001 ( ^0B 01 ) <a> )");
    assert_eq!(verdict, (Sin::PropertyNotAllowed, field, MALFORMED));
}
