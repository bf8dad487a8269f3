//! Publishing: what leaves, in which order, and what the application is told of it.

use tamtam_core::client::{Event, Failure, Filter, Publish, SendError, WhenFull};
use tamtam_core::{EncodeError, SubscriptionId};

use crate::support::*;

// [MQTT5-4.3.1-1, MQTT3-4.3.1-1]
fn qos_0_is_sent_once_and_forgotten<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.publish("t", b"x", QoS::AtMostOnce);
    let Packet::Publish(publish) = rig.sent_one() else { panic!("no PUBLISH") };
    assert_eq!((publish.delivery, publish.retain), (Delivery::AtMostOnce, false));
    assert_eq!((publish.topic, publish.payload), (Some(topic("t")), &b"x"[..]));
    assert_eq!((rig.client.in_flight(), rig.client.dropped()), (0, 0));
    rig.cut();
    rig.reopen();
    rig.accept(true, &[]);
    assert_eq!(rig.sent(), []);
}

// [MQTT5-2.2.1-3, MQTT5-4.3.2-1, MQTT5-4.3.2-2, MQTT5-4.3.2-3, MQTT3-4.3.2-1, MQTT3-2.3.1-2]
fn qos_1_is_settled_by_its_puback<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let token = rig.publish("t", b"x", QoS::AtLeastOnce);
    let Packet::Publish(publish) = rig.sent_one() else { panic!("no PUBLISH") };
    assert_eq!(publish.delivery, delivery(QoS::AtLeastOnce, 1, false));
    rig.wait_ms(30_000);
    assert_eq!((rig.news(), rig.sent()), (vec![], vec![]), "it is never sent twice unasked");
    assert_eq!(rig.client.in_flight(), 1);
    assert_eq!(rig.feed(&[puback(1)]), [delivered(token)]);
    assert_eq!(rig.client.in_flight(), 0);
}

/// A pain: nobody knows which message was acknowledged.
fn every_acknowledgement_comes_with_its_token<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let tokens: Vec<_> = (0..6).map(|_| rig.publish("t", b"x", QoS::AtLeastOnce)).collect();
    let ids: Vec<_> = rig.sent().into_iter().map(publish_id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    for at in [3, 0, 5, 1, 2, 4] {
        assert_eq!(rig.feed(&[puback(ids[at])]), [delivered(tokens[at])]);
    }
}

// [MQTT5-4.4.0-2]
fn a_refused_message_is_settled_with_the_reason<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    for (qos, number) in [(QoS::AtLeastOnce, 1), (QoS::ExactlyOnce, 2)] {
        let token = rig.publish("t", b"x", qos);
        let ack = Ack::with_reason(id(publish_id(rig.sent_one())), ReasonCode::NotAuthorized);
        let refusal = match qos {
            QoS::AtLeastOnce => Packet::PubAck(ack),
            _ => Packet::PubRec(ack),
        };
        let reason = ReasonCode::NotAuthorized;
        assert_eq!(ack.packet_id, id(number));
        assert_eq!(rig.feed(&[refusal]), [Event::Delivered { token, reason }]);
    }
    rig.cut();
    rig.reopen();
    rig.accept(true, &[]);
    assert_eq!((rig.sent(), rig.client.in_flight()), (vec![], 0), "never sent again");
}

/// A pain: publishing from the task that receives deadlocks, or does not compile.
fn one_may_publish_while_holding_a_message<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let arrived = bytes(rig.version, &[message(QoS::AtMostOnce, 0, b"ping")]);
    let mut input = &arrived[..];
    let event = rig.client.handle_input(&mut input, rig.now).expect("no loss");
    let Some(Event::Message(held)) = event else { panic!("{event:?}") };
    for qos in QOS {
        rig.client.publish(Publish::new("echo", held.payload).qos(qos), rig.now).expect("room");
    }
    assert_eq!(rig.client.topic(held.topic), Some(topic("t")));
    assert_eq!(held.payload, b"ping");
    assert_eq!(names(&rig.sent()), ["ping", "ping", "ping"]);
}

/// A pain: a packet identifier is used again while it is in flight, because SUBSCRIBE counts for
/// itself.
// [MQTT5-2.2.1-3, MQTT3-2.3.1-2, MQTT3-2.3.1-3]
fn no_identifier_is_used_while_it_is_in_flight<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let mut in_flight = Vec::new();
    let mut seen = Vec::new();
    for turn in 0..200 {
        while in_flight.len() < 6 {
            let number = match (turn + in_flight.len()) % 4 {
                0 => {
                    rig.client.subscribe(&[Filter::new("f")], rig.now).expect("room");
                    let Packet::Subscribe(subscribe) = rig.sent_one() else { panic!() };
                    (subscribe.packet_id, 's')
                }
                1 => {
                    rig.client.unsubscribe(&["f"], rig.now).expect("room");
                    let Packet::Unsubscribe(unsubscribe) = rig.sent_one() else { panic!() };
                    (unsubscribe.packet_id, 'u')
                }
                _ => {
                    rig.publish("t", b"x", QoS::AtLeastOnce);
                    (id(publish_id(rig.sent_one())), 'p')
                }
            };
            assert!(in_flight.iter().all(|(id, _)| *id != number.0), "{number:?} of {in_flight:?}");
            in_flight.push(number);
            seen.push(number.0);
        }
        let (packet_id, kind) = in_flight.remove(turn % 6);
        rig.feed(&[match kind {
            's' => suback(packet_id, &[ReasonCode::Success]),
            'u' => unsuback(rig.version, packet_id),
            _ => puback(packet_id.get()),
        }]);
    }
    // First in, first out: who was just settled rests.
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
}

fn what_waits_leaves_in_the_order_of_its_publishing<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(rig.version));
    for (payload, qos) in [b"a", b"b", b"c", b"d", b"e"].iter().zip(QOS.iter().cycle()) {
        rig.publish("t", *payload, *qos);
    }
    rig.open();
    rig.accept(false, &[]);
    rig.publish("t", b"f", QoS::AtMostOnce);
    assert_eq!(names(&rig.sent()), ["a", "b", "c", "d", "e", "f"]);
}

fn qos_0_waits_for_a_connection_only_if_it_may<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(rig.version).queue_qos0(false));
    let publish = Publish::new("t", b"x");
    assert_eq!(rig.client.publish(publish, rig.now), Err(SendError::NotConnected));
    rig.publish("t", b"y", QoS::AtLeastOnce);
    rig.open();
    assert_eq!(rig.client.publish(publish, rig.now), Err(SendError::NotConnected));
    rig.accept(false, &[]);
    rig.client.publish(publish, rig.now).expect("a connection");
    assert_eq!(names(&rig.sent()), ["y", "x"]);
}

fn what_is_no_message_is_an_error_and_changes_nothing<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    for bad in ["", "a/#", "+", "nul\0"] {
        for qos in QOS {
            let result = rig.client.publish(Publish::new(bad, b"x").qos(qos), rig.now);
            assert!(matches!(result, Err(SendError::Topic(_))), "{bad}: {result:?}");
        }
    }
    if rig.version != V5 {
        let list = [Property::MessageExpiryInterval(1)];
        let result = rig.client.publish(Publish::new("t", b"x").properties(&list), rig.now);
        let said = matches!(result, Err(SendError::Packet(EncodeError::NotInVersion { .. })));
        assert!(said, "{result:?}");
    }
    assert_eq!((rig.sent(), rig.client.in_flight()), (vec![], 0));
}

fn aliases_and_subscription_identifiers_are_not_the_applications<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(V5));
    rig.open();
    rig.accept(false, &[Property::TopicAliasMaximum(10)]);
    let alias = 1.try_into().expect("not 0");
    let subscription = SubscriptionId::new(1).expect("not 0");
    for property in [Property::TopicAlias(alias), Property::SubscriptionIdentifier(subscription)] {
        for qos in QOS {
            let list = [property];
            let publish = Publish::new("t", b"x").qos(qos).properties(&list);
            let result = rig.client.publish(publish, rig.now);
            assert!(matches!(result, Err(SendError::Packet(_))), "{property:?}: {result:?}");
            let result = rig.client.publish_stream(publish, 5, rig.now);
            assert!(matches!(result, Err(SendError::Packet(_))), "{property:?}: {result:?}");
        }
    }
    assert_eq!((rig.sent(), rig.client.in_flight()), (vec![], 0));
}

fn properties_go_with_the_message<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let list = [
        Property::MessageExpiryInterval(60),
        Property::ContentType(text("text/plain")),
        Property::UserProperty((text("unit"), text("celsius"))),
        Property::UserProperty((text("unit"), text("again"))),
    ];
    for qos in QOS {
        let publish = Publish::new("t", b"x").qos(qos).retain(true).properties(&list);
        rig.client.publish(publish, rig.now).expect("room");
        let Packet::Publish(publish) = rig.sent_one() else { panic!("no PUBLISH") };
        assert!(publish.retain);
        assert_eq!(publish.properties, Properties::new(&list));
    }
}

/// Without a connection the oldest makes room for the newest, if that is the policy.
fn a_full_queue_drops_its_oldest<S: Storage>(mut rig: Rig<S>) {
    let options = options(rig.version).outgoing_bytes(1_024).when_full(WhenFull::DropOldest);
    rig.start(&options);
    let payload = [b'x'; 300];
    rig.publish("t", b"0", QoS::AtMostOnce);
    let tokens: Vec<_> = (0..6).map(|_| rig.publish("t", &payload, QoS::AtLeastOnce)).collect();
    let dropped = |at: usize| Event::Failed { token: tokens[at], why: Failure::Dropped };
    assert_eq!(rig.news(), [dropped(0), dropped(1), dropped(2)]);
    assert_eq!((rig.client.dropped(), rig.client.in_flight()), (1, 3));
    let result = rig.client.publish(Publish::new("t", &[0; 2_000]), rig.now);
    assert!(matches!(result, Err(SendError::TooLarge { .. })), "{result:?}");
    assert_eq!((rig.news(), rig.client.in_flight()), (vec![], 3), "an error changes nothing");
    rig.open();
    rig.accept(false, &[]);
    assert_eq!(rig.sent().len(), 3);
    // What was sent is never dropped.
    rig.cut();
    rig.publish("t", b"new", QoS::AtMostOnce);
    let result = rig.client.publish(Publish::new("t", &payload), rig.now);
    assert_eq!((result, rig.news()), (Err(SendError::Full), vec![]));
    assert_eq!(rig.client.dropped(), 1, "an error changes nothing");
}

/// The same where packet identifiers are what there is too little of.
fn the_oldest_gives_its_identifier_away<S: Storage>(mut rig: Rig<S>) {
    let few = options(rig.version).in_flight(8).outgoing_bytes(1 << 20);
    rig.start(&few.when_full(WhenFull::DropOldest));
    rig.publish("t", b"zero", QoS::AtMostOnce);
    let tokens: Vec<_> = (0..8).map(|_| rig.publish("t", b"old", QoS::AtLeastOnce)).collect();
    let publish = Publish::new("t", b"new").qos(QoS::ExactlyOnce);
    let too_large = Publish::new("t", &[0; 2_000_000]).qos(QoS::AtLeastOnce);
    assert!(matches!(rig.client.publish(too_large, rig.now), Err(SendError::TooLarge { .. })));
    assert_eq!(rig.news(), [], "an error changes nothing");
    rig.client.publish(publish, rig.now).expect("the place of the oldest");
    assert_eq!(rig.client.publish(publish, rig.now), Err(SendError::Full), "news comes first");
    assert_eq!(rig.news(), [Event::Failed { token: tokens[0], why: Failure::Dropped }]);
    rig.client.publish(publish, rig.now).expect("the place of the oldest");
    assert_eq!(rig.news(), [Event::Failed { token: tokens[1], why: Failure::Dropped }]);
    rig.open();
    rig.accept(false, &[]);
    let sent = names(&rig.sent());
    assert_eq!(sent, [&["zero"][..], &["old"; 6], &["new"; 2]].concat());
}

fn a_full_queue_refuses_what_is_new<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(rig.version).outgoing_bytes(1_024).in_flight(8));
    let publish = Publish::new("t", &[b'x'; 300]).qos(QoS::AtLeastOnce);
    let mut room = 0;
    let error = loop {
        match rig.client.publish(publish, rig.now) {
            Ok(_) => room += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((room, error), (3, SendError::Full));
    assert_eq!((rig.news(), rig.client.in_flight()), (vec![], 3));
}

/// So that a copy of the output can be written while others publish.
fn what_is_to_leave_stays_whatever_is_asked_for<S: Storage>(mut rig: Rig<S>) {
    let full = WhenFull::DropOldest;
    let options = options(rig.version).manual_ack(true).outgoing_bytes(600).when_full(full);
    rig.online_with(&options);
    let acks: Vec<_> = (1..=2)
        .map(|number| only_ack(&rig.feed(&[message(QoS::AtLeastOnce, number, b"in")])))
        .collect();
    rig.publish("first", b"x", QoS::AtLeastOnce);
    rig.client.output_written(5, rig.now); // in the middle of it
    for round in 0..8 {
        for verb in 0..5 {
            let before = rig.client.output().to_vec();
            let publish = Publish::new("t", &[b'y'; 40]);
            let now = rig.now;
            let _ = match verb {
                0 => rig.client.publish(publish, now).map(|_| ()),
                1 => rig.client.publish(publish.qos(QoS::AtLeastOnce), now).map(|_| ()),
                2 => rig.client.subscribe(&[Filter::new("a")], now).map(|_| ()),
                3 => rig.client.ack(acks[1 - round % 2], now),
                _ => rig.client.publish(publish.qos(QoS::ExactlyOnce), now).map(|_| ()),
            };
            rig.client.handle_timeout(rig.now);
            assert!(rig.client.output().starts_with(&before), "{verb} in round {round}");
        }
    }
    assert!(rig.client.output().len() > 400, "there was no room left");
}

on_both_storages! {
    EVERY => qos_0_is_sent_once_and_forgotten, qos_1_is_settled_by_its_puback,
        every_acknowledgement_comes_with_its_token, one_may_publish_while_holding_a_message,
        no_identifier_is_used_while_it_is_in_flight,
        what_waits_leaves_in_the_order_of_its_publishing,
        qos_0_waits_for_a_connection_only_if_it_may,
        what_is_no_message_is_an_error_and_changes_nothing, a_full_queue_drops_its_oldest,
        the_oldest_gives_its_identifier_away, what_is_to_leave_stays_whatever_is_asked_for,
        a_full_queue_refuses_what_is_new;
    [V5] => a_refused_message_is_settled_with_the_reason, properties_go_with_the_message,
        aliases_and_subscription_identifiers_are_not_the_applications;
}
