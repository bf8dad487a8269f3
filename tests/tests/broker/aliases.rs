//! Topic aliases, as clients use them.

use core::num::NonZeroU16;

use crate::support::*;

fn aliased<'a>(name: &'a str, list: &'a [Property<'a>], payload: &'a str) -> Publish<'a> {
    let topic = (!name.is_empty()).then(|| topic(name));
    let publish = Publish::new(crate::support::topic("never"), payload.as_bytes());
    Publish { topic, properties: Properties::new(list), ..publish }
}

fn alias(number: u16) -> [Property<'static>; 1] {
    [Property::TopicAlias(NonZeroU16::new(number).expect("not 0"))]
}

// [MQTT5-3.3.2-12]
fn every_alias_that_was_allowed_is_understood<S: Storage>(mut rig: Rig<S>) {
    let (a, connack) = rig.connect_with(hello(V5, "a"));
    let most = connack.properties.topic_alias_maximum().expect("aliases are allowed");
    assert_eq!(most, 32);
    let b = rig.connect("b");
    rig.subscribe(b, "#", Q2);
    for number in 1..=most {
        rig.publish_with(a, Q0, aliased(&format!("{number}"), &alias(number), "x"));
    }
    assert_eq!(rig.said(b).len(), 32);
    for (number, qos) in [(32, Q0), (1, Q1), (17, Q2)] {
        rig.publish_with(a, qos, aliased("", &alias(number), "y"));
    }
    assert_eq!(rig.receive(b), ["32=y", "1=y@1", "17=y@2"]);
}

fn an_alias_can_be_given_to_another_topic<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "#", Q0);
    for name in ["one", "", "another", "", "one", ""] {
        rig.publish_with(a, Q0, aliased(name, &alias(3), "x"));
    }
    assert_eq!(rig.said(b), ["one=x", "one=x", "another=x", "another=x", "one=x", "one=x"]);
}

/// It holds for the connection, whatever becomes of the message it came with.
fn an_alias_holds_though_its_message_was_refused<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let reason = rig.publish_with(a, Q1, aliased("$SYS/x", &alias(1), "x"));
    assert_eq!(reason, ReasonCode::TopicNameInvalid);
    let reason = rig.publish_with(a, Q1, aliased("", &alias(1), "x"));
    assert_eq!(reason, ReasonCode::TopicNameInvalid, "it stands for the same topic");
    // Nor does it matter that a message is known already.
    let b = rig.connect("b");
    rig.subscribe(b, "#", Q0);
    let list = alias(2);
    let repeated = Publish { delivery: delivery(Q2, 50, true), ..aliased("t", &list, "y") };
    rig.send(a, &[message("u", "x", Q2, 50), Packet::Publish(repeated)]);
    rig.publish_with(a, Q0, aliased("", &alias(2), "z"));
    assert_eq!(rig.said(b), ["u=x", "t=z"]);
}

fn an_alias_ends_with_its_connection<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect_kept("a");
    rig.publish_with(a, Q0, aliased("t", &alias(1), "x"));
    let b = rig.connect("b");
    let list = alias(1);
    rig.send_last(b, &[Packet::Publish(aliased("", &list, "x"))]);
    assert_eq!(rig.said(b), ["DISCONNECT 82"], "another connection knows nothing of it");
    rig.cut(a);
    let a = rig.connect_kept("a");
    rig.send_last(a, &[Packet::Publish(aliased("", &list, "x"))]);
    assert_eq!(rig.said(a), ["DISCONNECT 82"]);
}

fn an_alias_that_was_not_allowed_is_the_end<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { topic_alias_maximum: 5, ..Options::DEFAULT });
    for (number, reason) in [(6, "94"), (65_535, "94"), (5, "82")] {
        let a = rig.connect("a");
        let list = alias(number);
        rig.send_last(a, &[Packet::Publish(aliased("", &list, "x"))]);
        assert_eq!(rig.said(a), [format!("DISCONNECT {reason}")]);
        if reason == "94" {
            let a = rig.connect("a");
            rig.send_last(a, &[Packet::Publish(aliased("t", &list, "x"))]);
        }
    }
    rig.restart(Options { topic_alias_maximum: 0, ..Options::DEFAULT });
    let a = rig.connect("a");
    let list = alias(1);
    rig.send_last(a, &[Packet::Publish(aliased("t", &list, "x"))]);
    assert_eq!(rig.said(a), ["DISCONNECT 94"]);
}

/// The message waits under its topic, whatever it was sent under.
fn an_aliased_message_waits_and_is_retained_under_its_topic<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q1);
    rig.cut(b);
    rig.publish_with(a, Q0, aliased("t", &alias(1), "first"));
    let retained = Publish { retain: true, ..aliased("", &[], "") };
    let list = alias(1);
    let retained = Publish { properties: Properties::new(&list), payload: b"kept", ..retained };
    rig.publish_with(a, Q1, retained);
    let b = rig.connect_kept("b");
    assert_eq!(rig.receive(b), ["t=kept@1"]);
    rig.subscribe(b, "+", Q0);
    assert_eq!(rig.receive(b), ["t=kept!"]);
}

/// A CONNECT of a client that takes so many aliases.
fn taking<'a>(most: u16, list: &'a mut Vec<Property<'static>>) -> Connect<'a> {
    list.push(Property::SessionExpiryInterval(3_600));
    list.push(Property::TopicAliasMaximum(most));
    Connect { properties: Properties::new(list), ..kept(V5, "b") }
}

/// Topics and aliases of messages, in few words.
fn numbered(packets: &[Packet<'_>]) -> Vec<String> {
    let publishes = packets.iter().map(|packet| match packet {
        Packet::Publish(publish) => {
            let alias = publish.properties.topic_alias().map_or(0, NonZeroU16::get);
            format!("{}#{alias}", publish.topic.map_or("", TopicName::as_str))
        }
        other => panic!("{other:?}"),
    });
    publishes.collect()
}

// [MQTT5-3.1.2-26, MQTT5-3.3.2-11]
fn topics_have_numbers_where_the_client_takes_them<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { outgoing_aliases: 3, ..Options::DEFAULT });
    let a = rig.connect("a");
    for (most, used) in [(1, 1), (2, 2), (65_535, 3)] {
        let mut list = Vec::new();
        let (b, _) = rig.connect_with(taking(most, &mut list));
        rig.subscribe(b, "#", Q2);
        for name in ["one", "two", "three", "four"] {
            rig.publish(a, name, "x", Q0);
        }
        for qos in QOS {
            rig.publish(a, "one", "x", qos);
        }
        let got = numbered(&rig.got(b));
        let names = ["one", "two", "three", "four"].iter().enumerate();
        let mut expected: Vec<_> = names
            .map(|(at, name)| format!("{name}#{}", if at < used { at + 1 } else { 0 }))
            .collect();
        expected.extend(["#1", "#1", "#1"].map(str::to_owned));
        assert_eq!(got, expected, "{most}");
        rig.send_last(b, &[disconnect(ReasonCode::Success)]);
        rig.connect_with(hello(V5, "b"));
    }
}

// [MQTT5-3.1.2-27, MQTT5-3.3.2-11]
fn topics_have_no_numbers_elsewhere<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let mut list = Vec::new();
    let none = taking(0, &mut list);
    for connect in [none, kept(V5, "b"), kept(V311, "b")] {
        let (b, _) = rig.connect_with(connect);
        rig.subscribe(b, "t", Q1);
        rig.publish(a, "t", "x", Q0);
        rig.publish(a, "t", "x", Q1);
        assert_eq!(numbered(&rig.got(b)), ["t#0", "t#0"]);
        rig.cut(b);
        rig.connect_with(hello(V5, "b"));
    }
}

/// What goes again goes with its topic: the new connection knows no number.
fn a_number_ends_with_its_connection<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    for _ in 0..2 {
        let mut list = Vec::new();
        let (b, _) = rig.connect_with(taking(5, &mut list));
        rig.subscribe(b, "t", Q1);
        rig.got(b);
        rig.publish(a, "t", "x", Q1);
        rig.cut(b);
    }
    let mut list = Vec::new();
    let (b, _) = rig.connect_with(taking(5, &mut list));
    assert_eq!(numbered(&rig.got(b)), ["t#1", "#1"]);
}

/// A message that was not sent told the client nothing.
fn a_number_is_known_once_it_was_sent<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let size = core::num::NonZeroU32::new(40).expect("not 0");
    let mut list = vec![Property::MaximumPacketSize(size)];
    let (b, _) = rig.connect_with(taking(5, &mut list));
    rig.subscribe(b, "t", Q1);
    for qos in [Q0, Q1] {
        rig.publish(a, "t", &"x".repeat(50), qos);
    }
    rig.publish(a, "t", "small", Q0);
    // One that fits without the number goes without.
    let fits = "x".repeat(40 - 2 - 3 - 1);
    rig.publish(a, "u", &fits, Q0);
    rig.subscribe(b, "u", Q0);
    rig.publish(a, "u", &fits, Q0);
    rig.publish(a, "u", "small", Q0);
    assert_eq!(numbered(&rig.got(b)), ["t#1", "u#0", "u#2"]);
}

on_every_kind! {
    [V5] => every_alias_that_was_allowed_is_understood, an_alias_can_be_given_to_another_topic,
        an_alias_holds_though_its_message_was_refused, an_alias_ends_with_its_connection,
        an_alias_that_was_not_allowed_is_the_end,
        an_aliased_message_waits_and_is_retained_under_its_topic,
        topics_have_numbers_where_the_client_takes_them, topics_have_no_numbers_elsewhere,
        a_number_ends_with_its_connection, a_number_is_known_once_it_was_sent;
}
