//! What a message carries besides its payload: passed on as it came, or not at all.

use core::num::{NonZeroU16, NonZeroU32};

use crate::support::*;

/// All that is passed on, in no usual order, with a name given twice.
fn everything() -> [Property<'static>; 7] {
    [
        Property::UserProperty((text("b"), text("1"))),
        Property::ContentType(text("text/plain")),
        Property::UserProperty((text("a"), text("2"))),
        Property::CorrelationData(b"\x00\xff\x01"),
        Property::UserProperty((text("b"), text("1"))),
        Property::ResponseTopic(topic("answers/7")),
        Property::PayloadFormatIndicator(true),
    ]
}

#[track_caller]
fn unchanged(publish: &Publish<'_>) {
    let properties = publish.properties;
    assert_eq!(properties.payload_format_indicator(), Some(true)); // [MQTT5-3.3.2-4]
    assert_eq!(properties.response_topic(), Some(topic("answers/7"))); // [MQTT5-3.3.2-15]
    assert_eq!(properties.correlation_data(), Some(&b"\x00\xff\x01"[..])); // [MQTT5-3.3.2-16]
    assert_eq!(properties.content_type(), Some(text("text/plain"))); // [MQTT5-3.3.2-20]
    // [MQTT5-3.3.2-17, MQTT5-3.3.2-18, MQTT5-3.1.3-10]
    let user: Vec<_> = properties.user_properties().collect();
    let pairs = [("b", "1"), ("a", "2"), ("b", "1")];
    assert_eq!(user, pairs.map(|(key, value)| (text(key), text(value))));
}

// [MQTT5-3.3.2-4, MQTT5-3.3.2-15, MQTT5-3.3.2-16, MQTT5-3.3.2-17, MQTT5-3.3.2-18, MQTT5-3.3.2-20]
fn what_a_message_carries_is_passed_on<S: Storage>(mut rig: Rig<S>) {
    let list = everything();
    let publish =
        Publish { properties: Properties::new(&list), ..Publish::new(topic("t"), b"\xff") };
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q2);
    for qos in QOS {
        rig.publish_with(a, qos, publish);
        let got = rig.message(b);
        unchanged(&got);
        assert_eq!((got.payload, got.properties.iter().count()), (&b"\xff"[..], 7));
    }
    rig.cut(b);
    rig.publish_with(a, Q1, publish);
    let b = rig.connect_kept("b");
    for packet in rig.got(b) {
        let Packet::Publish(publish) = packet else { continue };
        unchanged(&publish);
    }
}

/// Some belong to the way that a message takes, and are taken out or changed on each.
fn what_belongs_to_the_connection_is_not<S: Storage>(mut rig: Rig<S>) {
    let mut list = everything().to_vec();
    list.insert(3, Property::MessageExpiryInterval(60));
    list.insert(0, Property::TopicAlias(NonZeroU16::new(5).expect("not 0")));
    let properties = Properties::new(&list);
    let retained = Publish { retain: true, properties, ..Publish::new(topic("t"), b"x") };
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe_as(b, sub("t").qos(Q1), 9);
    let c = rig.connect("c");
    rig.publish_with(a, Q1, retained);
    let live = rig.message(b);
    rig.subscribe_as(c, sub("#").qos(Q1), 10);
    let kept = rig.message(c);
    for (publish, id) in [(live, 9), (kept, 10)] {
        unchanged(&publish);
        assert_eq!(publish.properties.topic_alias(), None);
        assert_eq!(publish.properties.message_expiry_interval(), Some(60));
        assert_eq!((subscription_ids(&publish), publish.properties.iter().count()), (vec![id], 9));
    }
}

// [MQTT5-3.1.3-10]
fn what_a_will_carries_is_passed_on<S: Storage>(mut rig: Rig<S>) {
    let mut list = everything().to_vec();
    list.insert(2, Property::WillDelayInterval(1));
    list.push(Property::MessageExpiryInterval(60));
    let will = Will { properties: Properties::new(&list), ..will("w", "gone") };
    let b = rig.connect("b");
    rig.subscribe(b, "w", Q1);
    let (a, _) = rig.connect_with(Connect { will: Some(will), ..kept(V5, "a") });
    rig.cut(a);
    rig.wait_ms(1_000);
    let got = rig.message(b);
    unchanged(&got);
    assert_eq!(got.properties.iter().count(), 8);
}

fn older_clients_see_nothing_of_it<S: Storage>(mut rig: Rig<S>) {
    let list = everything();
    let publish = Publish { properties: Properties::new(&list), ..Publish::new(topic("t"), b"x") };
    let a = rig.connect("a");
    for version in BEFORE_5 {
        let (b, _) = rig.connect_with(hello(version, "b"));
        rig.subscribe(b, "t", Q2);
        for qos in QOS {
            rig.publish_with(a, qos, publish);
        }
        assert_eq!(rig.receive(b), ["t=x", "t=x@1", "t=x@2"]);
    }
}

// [MQTT5-3.1.2-24, MQTT5-3.1.2-25]
fn nothing_larger_is_sent_than_the_client_takes<S: Storage>(mut rig: Rig<S>) {
    let size = NonZeroU32::new(60).expect("not 0");
    let list = [Property::SessionExpiryInterval(3_600), Property::MaximumPacketSize(size)];
    let connect = Connect { properties: Properties::new(&list), ..kept(V5, "b") };
    let a = rig.connect("a");
    let (b, _) = rig.connect_with(connect);
    rig.subscribe(b, "t", Q2);
    let c = rig.connect("c");
    rig.subscribe(c, "t", Q2);
    let fits = "x".repeat(60 - 2 - 3 - 2 - 1); // header, topic, identifier, no properties
    let too_long = "x".repeat(60);
    for qos in [Q1, Q2] {
        rig.publish(a, "t", &too_long, qos);
        rig.publish(a, "t", &fits, qos);
        rig.publish(a, "t", &format!("{fits}x"), qos);
    }
    rig.publish(a, "t", &too_long, Q0);
    rig.publish(a, "t", &format!("{fits}xx"), Q0);
    let said = rig.receive(b);
    let expected = [format!("t={fits}@1"), format!("t={fits}@2"), format!("t={fits}xx")];
    assert_eq!(said, expected, "the rest counts as sent");
    assert_eq!(rig.counters().dropped_too_large, 5);
    assert_eq!(rig.receive(c).len(), 8, "others take it");
    rig.keeps_only_retained(0);
    // One that grew too large while it was away.
    rig.cut(b);
    rig.publish(a, "t", &fits, Q2);
    let smaller = [
        Property::SessionExpiryInterval(3_600),
        Property::MaximumPacketSize(NonZeroU32::new(40).expect("not 0")),
    ];
    let (b, _) = rig.connect_with(Connect { properties: Properties::new(&smaller), ..connect });
    rig.publish(a, "t", "small", Q1);
    assert_eq!((rig.receive(b), rig.receive(c).len()), (vec!["t=small@1".into()], 2));
    rig.keeps_only_retained(0);
}

on_every_kind! {
    [V5] => what_a_message_carries_is_passed_on, what_belongs_to_the_connection_is_not,
        what_a_will_carries_is_passed_on, older_clients_see_nothing_of_it,
        nothing_larger_is_sent_than_the_client_takes;
}
