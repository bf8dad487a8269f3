//! Numbers for topics, in both directions.

use tamtam_core::client::{Client, Event, Lost, PeerError, Topic};

use crate::support::*;

type Sent = (Option<String>, Option<u16>);

/// The topic and the alias of the only packet that has left.
#[track_caller]
fn sent_topic<S: Storage>(rig: &mut Rig<S>) -> Sent {
    let Packet::Publish(publish) = rig.sent_one() else { panic!("no PUBLISH") };
    topic_of(&publish)
}

fn topic_of(publish: &tamtam_core::Publish<'_>) -> Sent {
    let alias = publish.properties.topic_alias().map(|alias| alias.get());
    (publish.topic.map(|topic| topic.as_str().to_owned()), alias)
}

#[track_caller]
fn online_with_aliases<S: Storage>(rig: &mut Rig<S>, maximum: u16) {
    rig.start(&options(V5));
    rig.open();
    rig.accept(false, &[Property::TopicAliasMaximum(maximum)]);
}

/// What a server sends with an alias.
fn aliased<'a>(topic: Option<&'a str>, list: &'a [Property<'a>], qos: QoS) -> Packet<'a> {
    Packet::Publish(tamtam_core::Publish {
        delivery: delivery(qos, 1, false),
        topic: topic.map(super::support::topic),
        properties: Properties::new(list),
        ..tamtam_core::Publish::new(super::support::topic("unused"), b"x")
    })
}

fn alias(number: u16) -> [Property<'static>; 1] {
    [Property::TopicAlias(number.try_into().expect("not 0"))]
}

// [MQTT5-3.2.2-17, MQTT5-3.3.2-9]
fn a_topic_that_comes_again_is_sent_as_its_number<S: Storage>(mut rig: Rig<S>) {
    online_with_aliases(&mut rig, 2);
    let mut send = |topic: &str, qos| {
        rig.publish(topic, b"x", qos);
        sent_topic(&mut rig)
    };
    let text = |topic: &str| Some(topic.to_owned());
    let qos_0 = QoS::AtMostOnce;
    assert_eq!(send("a", qos_0), (text("a"), Some(1)));
    assert_eq!(send("a", qos_0), (None, Some(1)));
    assert_eq!(send("b", qos_0), (text("b"), Some(2)));
    assert_eq!(send("c", qos_0), (text("c"), None), "there is no third");
    assert_eq!(send("b", qos_0), (None, Some(2)));
    assert_eq!(send("a", QoS::AtLeastOnce), (text("a"), None), "it may have to go again");
    assert_eq!(send("a", QoS::ExactlyOnce), (text("a"), None));
}

// [MQTT5-3.2.2-18]
fn without_a_maximum_there_is_no_alias<S: Storage>(mut rig: Rig<S>) {
    for said in [&[Property::TopicAliasMaximum(0)][..], &[]] {
        rig.start(&options(V5));
        rig.open();
        rig.accept(false, said);
        for _ in 0..3 {
            rig.publish("a", b"x", QoS::AtMostOnce);
            assert_eq!(sent_topic(&mut rig), (Some("a".to_owned()), None));
        }
    }
    rig.start(&options(V5).outgoing_aliases(0));
    rig.open();
    rig.accept(false, &[Property::TopicAliasMaximum(5)]);
    rig.publish("a", b"x", QoS::AtMostOnce);
    assert_eq!(sent_topic(&mut rig), (Some("a".to_owned()), None), "nor where it is not wanted");
}

/// A pain: after a reconnect the server is sent a number that it never heard of.
// [MQTT5-3.3.2-7]
fn no_alias_outlives_its_connection<S: Storage>(mut rig: Rig<S>) {
    online_with_aliases(&mut rig, 2);
    rig.publish("a", b"x", QoS::AtMostOnce);
    rig.sent();
    rig.publish("b", b"never leaves", QoS::AtMostOnce);
    rig.publish("a", b"nor does this", QoS::AtMostOnce);
    rig.cut();
    assert_eq!(rig.client.dropped(), 2);
    rig.publish("a", b"waits", QoS::AtMostOnce);
    rig.reopen();
    rig.accept(true, &[Property::TopicAliasMaximum(2)]);
    assert_eq!(sent_topic(&mut rig), (Some("a".to_owned()), None), "encoded before");
    rig.publish("b", b"x", QoS::AtMostOnce);
    assert_eq!(sent_topic(&mut rig), (Some("b".to_owned()), Some(1)));
    // A number of theirs does not outlive it either.
    rig.start(&options(V5).topic_alias_maximum(2));
    rig.open();
    rig.accept(false, &[]);
    rig.feed(&[aliased(Some("t"), &alias(1), QoS::AtMostOnce)]);
    rig.cut();
    assert_eq!(rig.client.topic(Topic::Alias(1)), None);
    rig.reopen();
    rig.accept(true, &[]);
    let lost = rig.feed_last(&[aliased(None, &alias(1), QoS::AtMostOnce)]);
    assert_eq!(lost, Lost::Peer(PeerError::UnknownAlias));
}

/// A packet with an alias may be longer than one without.
fn an_alias_makes_no_message_too_large<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(V5));
    rig.open();
    let limits = [
        Property::TopicAliasMaximum(2),
        Property::MaximumPacketSize(20.try_into().expect("not 0")),
    ];
    rig.accept(false, &limits);
    rig.publish("t", &[b'x'; 14], QoS::AtMostOnce);
    assert_eq!(sent_topic(&mut rig), (Some("t".to_owned()), None));
    rig.publish("t", &[b'x'; 11], QoS::AtMostOnce);
    assert_eq!(sent_topic(&mut rig), (Some("t".to_owned()), Some(1)));
    rig.publish("t", &[b'x'; 14], QoS::AtMostOnce);
    assert_eq!(sent_topic(&mut rig), (Some("t".to_owned()), None), "longer than so short a topic");
    rig.publish("t", &[b'x'; 12], QoS::AtMostOnce);
    assert_eq!(sent_topic(&mut rig), (None, Some(1)));
}

/// A trap: a number is taken as known though its packet was never sent.
fn an_alias_counts_only_if_its_message_does<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(V5));
    rig.open();
    let limits = [
        Property::TopicAliasMaximum(2),
        Property::MaximumPacketSize(30.try_into().expect("not 0")),
    ];
    rig.accept(false, &limits);
    let large = tamtam_core::client::Publish::new("topic", &[0; 40]);
    assert!(rig.client.publish(large, rig.now).is_err());
    rig.publish("topic", b"x", QoS::AtMostOnce);
    assert_eq!(sent_topic(&mut rig), (Some("topic".to_owned()), Some(1)));
}

#[test]
fn where_the_storage_has_no_room_for_topics_none_has_a_number() {
    let mut rig = Rig::<Fixed<1_024, 8>>::new(V5);
    online_with_aliases(&mut rig, 5);
    for _ in 0..2 {
        rig.publish("a", b"x", QoS::AtMostOnce);
        assert_eq!(sent_topic(&mut rig), (Some("a".to_owned()), None));
    }
}

// [MQTT5-3.3.2-10]
fn every_number_up_to_the_maximum_is_accepted<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(V5).topic_alias_maximum(3));
    for (number, name) in [(1, "a"), (2, "b"), (3, "c"), (2, "other")] {
        rig.feed(&[aliased(Some(name), &alias(number), QoS::AtMostOnce)]);
        let [told] = messages(&rig.feed(&[aliased(None, &alias(number), QoS::AtMostOnce)]))[..]
        else {
            panic!("no message")
        };
        assert_eq!(told.topic, Topic::Alias(number));
        assert_eq!(rig.client.topic(told.topic), Some(topic(name)));
    }
    assert_eq!(rig.client.topic(Topic::Alias(1)), Some(topic("a")));
}

fn a_number_that_was_not_agreed_ends_the_connection<S: Storage>(mut rig: Rig<S>) {
    for (maximum, packet, sin, reason) in [
        (3, aliased(Some("t"), &alias(4), QoS::AtMostOnce), PeerError::TopicAlias, 0x94),
        (0, aliased(Some("t"), &alias(1), QoS::AtMostOnce), PeerError::TopicAlias, 0x94),
        (3, aliased(None, &alias(2), QoS::AtMostOnce), PeerError::UnknownAlias, 0x82),
    ] {
        rig.online_with(&options(V5).topic_alias_maximum(maximum));
        assert_eq!(rig.feed_last(&[packet]), Lost::Peer(sin));
        let Packet::Disconnect(disconnect) = rig.sent_one() else { panic!("no DISCONNECT") };
        assert_eq!(disconnect.reason.as_byte(), reason);
    }
}

/// Whatever becomes of the message, the number is known from then on.
fn an_alias_counts_though_its_message_does_not<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(V5).topic_alias_maximum(3).manual_ack(true).stream_above(60));
    let told = messages(&rig.feed(&[message(QoS::ExactlyOnce, 1, b"x")]));
    // One that came before, under a topic of its own.
    assert_eq!(rig.feed(&[aliased(Some("again"), &alias(1), QoS::ExactlyOnce)]), []);
    rig.client.refuse(told[0].ack, ReasonCode::NotAuthorized, rig.now).expect("owed");
    assert_eq!(rig.client.topic(Topic::Alias(1)), Some(topic("again")));
    // And one that comes in pieces.
    let list = alias(2);
    let Packet::Publish(streamed) = aliased(Some("large"), &list, QoS::AtMostOnce) else {
        panic!()
    };
    let streamed = tamtam_core::Publish { payload: &[b'x'; 100], ..streamed };
    let events = rig.feed(&[Packet::Publish(streamed)]);
    assert!(matches!(events[0], Event::MessageStart { .. }));
    let [told] = messages(&rig.feed(&[aliased(None, &list, QoS::AtMostOnce)]))[..] else {
        panic!()
    };
    assert_eq!(rig.client.topic(told.topic), Some(topic("large")));
}

/// Promised, but there is no room: the server is told, instead of a topic being made up.
#[test]
fn topics_that_need_more_memory_than_there_is_end_the_connection() {
    let mut rig = Rig::<Fixed<1_024, 8, 64>>::new(V5);
    rig.online_with(&options(V5).topic_alias_maximum(10));
    let long = "x".repeat(40);
    rig.feed(&[aliased(Some(&long), &alias(1), QoS::AtMostOnce)]);
    let lost = rig.feed_last(&[aliased(Some(&long), &alias(2), QoS::AtMostOnce)]);
    assert_eq!(lost, Lost::Peer(PeerError::AliasMemory));
}

#[test]
fn a_client_that_has_no_connection_knows_no_alias() {
    let client = Client::<Heap>::new();
    assert_eq!(client.topic(Topic::Alias(1)), None);
    assert_eq!(client.topic(Topic::Text(topic("t"))), Some(topic("t")));
}

on_both_storages! {
    [V5] => a_topic_that_comes_again_is_sent_as_its_number, without_a_maximum_there_is_no_alias,
        an_alias_counts_only_if_its_message_does, no_alias_outlives_its_connection,
        an_alias_makes_no_message_too_large, every_number_up_to_the_maximum_is_accepted,
        a_number_that_was_not_agreed_ends_the_connection,
        an_alias_counts_though_its_message_does_not;
}
