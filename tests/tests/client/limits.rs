//! What the server says that it does not do, windows, and room.

use tamtam_core::SubscriptionId;
use tamtam_core::client::{Filter, Lost, Publish, SendError, Unsupported};

use crate::support::*;

/// Connected to a server that says this in CONNACK.
#[track_caller]
fn with_limits<S: Storage>(rig: &mut Rig<S>, said: &[Property<'_>]) {
    rig.start(&options(rig.version));
    rig.open();
    assert_eq!(rig.accept(false, said), []);
}

// [MQTT5-3.2.2-11]
fn nothing_is_published_above_maximum_qos<S: Storage>(mut rig: Rig<S>) {
    with_limits(&mut rig, &[Property::MaximumQoS(QoS::AtMostOnce)]);
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let result = rig.client.publish(Publish::new("t", b"x").qos(qos), rig.now);
        assert_eq!(result, Err(SendError::Unsupported(Unsupported::QoS)));
        let result = rig.client.publish_stream(Publish::new("t", b"").qos(qos), 5, rig.now);
        assert_eq!(result, Err(SendError::Unsupported(Unsupported::QoS)));
    }
    rig.publish("t", b"x", QoS::AtMostOnce);
    assert_eq!(names(&rig.sent()), ["x"]);
    assert_eq!(rig.client.in_flight(), 0);
}

// [MQTT5-3.2.2-14]
fn nothing_is_retained_where_retain_is_not_available<S: Storage>(mut rig: Rig<S>) {
    with_limits(&mut rig, &[Property::RetainAvailable(false)]);
    let publish = Publish::new("t", b"x").retain(true);
    let unsupported = Err(SendError::Unsupported(Unsupported::Retain));
    assert_eq!(rig.client.publish(publish, rig.now), unsupported);
    assert_eq!(rig.client.publish_stream(publish, 1, rig.now), unsupported);
    // What the last server said holds until another says something else.
    rig.cut();
    assert_eq!(rig.client.publish(publish, rig.now), unsupported);
    rig.reopen();
    rig.accept(true, &[]);
    rig.client.publish(publish, rig.now).expect("this one does");
    assert_eq!(names(&rig.sent()), ["x"]);
}

/// A pain: a packet that is too large is sent, refused, and sent again for ever.
// [MQTT5-3.2.2-15, MQTT5-3.14.2-3, MQTT5-3.14.2-4]
fn nothing_is_sent_above_maximum_packet_size<S: Storage>(mut rig: Rig<S>) {
    with_limits(&mut rig, &[Property::MaximumPacketSize(30.try_into().expect("not 0"))]);
    let too_large = SendError::TooLarge { limit: 30 };
    for qos in QOS {
        let fits = 30 - 2 - 3 - 1 - if qos == QoS::AtMostOnce { 0 } else { 2 };
        let publish = |payload| Publish::new("t", payload).qos(qos);
        let payload = vec![b'x'; fits + 1];
        assert_eq!(rig.client.publish(publish(&payload), rig.now), Err(too_large));
        let len = u32::try_from(payload.len()).expect("small");
        assert_eq!(rig.client.publish_stream(publish(b""), len, rig.now), Err(too_large));
        rig.client.publish(publish(&payload[1..]), rig.now).expect("it fits");
        assert_eq!(rig.sent_bytes().len(), 30);
    }
    let long = "x".repeat(30);
    assert_eq!(rig.client.subscribe(&[Filter::new(&long)], rig.now), Err(too_large));
    assert_eq!(rig.client.unsubscribe(&[&long], rig.now), Err(too_large));
    let list = [Property::ReasonString(text(&long))];
    let disconnect = Disconnect {
        properties: Properties::new(&list),
        ..Disconnect::new(ReasonCode::DisconnectWithWill)
    };
    assert_eq!(rig.client.disconnect_with(disconnect, rig.now), Err(too_large));
    let list = [Property::UserProperty((text(&long), text("")))];
    let disconnect = Disconnect { properties: Properties::new(&list), ..disconnect };
    assert_eq!(rig.client.disconnect_with(disconnect, rig.now), Err(too_large));
    assert_eq!(rig.sent(), []);
    assert!(rig.client.is_connected());
}

fn nothing_is_subscribed_to_that_is_not_available<S: Storage>(mut rig: Rig<S>) {
    with_limits(
        &mut rig,
        &[
            Property::WildcardSubscriptionAvailable(false),
            Property::SharedSubscriptionAvailable(false),
            Property::SubscriptionIdentifierAvailable(false),
        ],
    );
    let subscribe =
        |rig: &mut Rig<S>, filter| rig.client.subscribe(&[Filter::new(filter)], rig.now);
    let unsupported = |what| Err(SendError::Unsupported(what));
    assert_eq!(subscribe(&mut rig, "a/+"), unsupported(Unsupported::Wildcards));
    assert_eq!(subscribe(&mut rig, "#"), unsupported(Unsupported::Wildcards));
    assert_eq!(subscribe(&mut rig, "$share/g/t"), unsupported(Unsupported::Shared));
    let number = SubscriptionId::new(1).expect("in range");
    let result = rig.client.subscribe_with_id(&[Filter::new("t")], number, rig.now);
    assert_eq!(result, unsupported(Unsupported::SubscriptionIds));
    assert_eq!(rig.sent(), []);
    rig.subscribe("t");
}

// [MQTT5-3.3.4-7, MQTT5-3.3.4-8, MQTT5-4.9.0-1, MQTT5-4.9.0-2, MQTT5-4.9.0-3]
fn no_more_is_under_way_than_receive_maximum<S: Storage>(mut rig: Rig<S>) {
    with_limits(&mut rig, &[Property::ReceiveMaximum(2.try_into().expect("not 0"))]);
    let exactly = rig.publish("t", b"1", QoS::ExactlyOnce);
    let at_least = rig.publish("t", b"2", QoS::AtLeastOnce);
    rig.publish("t", b"3", QoS::AtLeastOnce);
    rig.publish("t", b"4", QoS::ExactlyOnce);
    assert_eq!(names(&rig.sent()), ["1", "2"]);
    // Everything else goes on.
    rig.subscribe("t");
    rig.feed(&[pubrec(1), message(QoS::AtLeastOnce, 9, b"x"), message(QoS::ExactlyOnce, 8, b"x")]);
    rig.feed(&[pubrel(8)]);
    assert_eq!(names(&rig.sent()), ["PUBREL 1", "PUBACK 9", "PUBREC 8", "PUBCOMP 8"]);
    rig.wait_ms(55_000);
    assert_eq!(rig.sent(), [Packet::PingReq]);
    // A PUBREC makes no room, a PUBACK and a PUBCOMP do.
    assert_eq!(rig.feed(&[puback(2)]), [delivered(at_least)]);
    assert_eq!(names(&rig.sent()), ["3"]);
    assert_eq!(rig.feed(&[pubcomp(1)]), [delivered(exactly)]);
    assert_eq!(names(&rig.sent()), ["4"]);
    // Who comes later waits behind who waits, at whatever QoS.
    rig.publish("t", b"5", QoS::AtLeastOnce);
    rig.publish("t", b"6", QoS::AtMostOnce);
    assert_eq!(rig.sent(), []);
    // A refusal makes room too; the window is never wider than it was.
    let refusal = Ack::with_reason(id(4), ReasonCode::NotAuthorized);
    rig.feed(&[puback(3)]);
    let sent = rig.sent();
    assert_eq!(names(&sent), ["5", "6"]);
    rig.feed(&[Packet::PubRec(refusal), puback(publish_id(sent[0]))]);
    for _ in 0..4 {
        rig.publish("t", b"z", QoS::AtLeastOnce);
    }
    assert_eq!(names(&rig.sent()), ["z", "z"]);
}

/// In 3.1 and 3.1.1 the window is the application's.
fn no_more_is_under_way_than_the_options_say<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).in_flight(8));
    for _ in 0..8 {
        rig.publish("t", b"x", QoS::AtLeastOnce);
    }
    let publish = Publish::new("t", b"x").qos(QoS::AtLeastOnce);
    assert_eq!(rig.client.publish(publish, rig.now), Err(SendError::Full));
    assert_eq!(rig.client.subscribe(&[Filter::new("t")], rig.now), Err(SendError::Full));
    assert_eq!(rig.client.unsubscribe(&["t"], rig.now), Err(SendError::Full));
    assert_eq!(rig.sent().len(), 8);
    rig.feed(&[puback(1)]);
    rig.client.publish(publish, rig.now).expect("room again");
}

/// Fills the memory for what leaves with messages.
fn fill<S: Storage>(rig: &mut Rig<S>) {
    for len in [100, 10, 0] {
        let payload = vec![b'x'; len];
        let publish = Publish::new("t", &payload);
        while rig.client.publish(publish, rig.now).is_ok() {}
        assert_eq!(rig.client.publish(publish, rig.now), Err(SendError::Full));
    }
}

/// A pain: queued data eats the room that it takes to connect, to ask whether the server lives, to
/// acknowledge, and to leave.
fn the_protocol_keeps_its_room<S: Storage>(mut rig: Rig<S>) {
    let small = options(rig.version).outgoing_bytes(1_024).ping_timeout_ms(60_000);
    rig.start(&small);
    fill(&mut rig);
    let before = rig.open();
    assert_eq!(rig.accept(false, &[]), []);
    fill(&mut rig);
    // The transport takes nothing, yet all of this finds its place.
    rig.wait_ms(55_000);
    let (events, lost, _) = rig.take_in(bytes(rig.version, &[message(QoS::AtLeastOnce, 7, b"x")]));
    assert_eq!((messages(&events).len(), lost), (1, None));
    rig.client.disconnect(rig.now).expect("room for that");
    let sent = names(&rig.sent());
    let queued = sent.len() - 3;
    assert_eq!(sent[queued..], ["PINGREQ", "PUBACK 7", "DISCONNECT"]);
    assert!(queued > 8);
    assert_eq!(rig.feed_last(&[]), Lost::Done);
    rig.close();
    fill(&mut rig);
    rig.client.connect(rig.now).expect("asked for");
    let after = rig.open();
    assert_eq!(Connect { clean_start: before.clean_start, ..after }, before);
}

/// With all memory taken by what is unacknowledged, the answers go on one by one.
fn a_full_client_goes_on_answering<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).outgoing_bytes(1_024));
    for _ in 0..8 {
        rig.publish("t", &[b'x'; 90], QoS::ExactlyOnce);
    }
    fill(&mut rig);
    rig.sent();
    fill(&mut rig);
    let mut pending = Vec::new();
    for number in 1..=20 {
        let arrived = message(QoS::AtLeastOnce, number, b"x");
        pending.extend(bytes(rig.version, &[arrived]));
    }
    pending.extend(bytes(rig.version, &[1, 2, 3, 4].map(pubrec)));
    let mut answers = Vec::new();
    while !pending.is_empty() {
        let (_, lost, left) = rig.take_in(pending.clone());
        assert_eq!(lost, None);
        let sent = rig.sent();
        assert!(left.len() < pending.len() || !sent.is_empty(), "nothing moves any more");
        answers.extend(names(&sent).into_iter().filter(|name| name.starts_with("PUB")));
        pending = left.to_vec();
    }
    rig.news();
    answers.extend(names(&rig.sent()));
    let expected = (1..=20).map(|number| format!("PUBACK {number}"));
    assert!(answers[..20].iter().cloned().eq(expected), "{answers:?}");
    assert_eq!(answers[20..], [1, 2, 3, 4].map(|number| format!("PUBREL {number}")));
}

/// Filters that are kept take their room from the messages, and nothing changes if there is none.
#[test]
fn a_subscription_has_room_as_a_whole_or_not_at_all() {
    for len in 1..200 {
        let mut rig = Rig::<Fixed<400, 8>>::new(V5);
        rig.start(&options(V5));
        rig.open();
        rig.accept(false, &[Property::ReceiveMaximum(1.try_into().expect("not 0"))]);
        for _ in 0..3 {
            rig.publish("t", b"some of these wait", QoS::AtLeastOnce);
        }
        rig.sent();
        let long = "x".repeat(len);
        let free = rig.client.in_flight();
        match rig.client.subscribe(&[Filter::new(&long)], rig.now) {
            Ok(_) => assert_eq!((rig.sent().len(), rig.client.in_flight()), (1, free + 1)),
            Err(error) => {
                assert_eq!(error, SendError::Full, "{len}");
                assert_eq!((rig.sent(), rig.client.in_flight()), (vec![], free), "{len}");
            }
        }
        for number in 1..=3 {
            rig.feed(&[puback(number)]); // nothing is acknowledged before it has left
            rig.sent();
        }
    }
}

on_both_storages! {
    EVERY => the_protocol_keeps_its_room, a_full_client_goes_on_answering;
    BEFORE_5 => no_more_is_under_way_than_the_options_say;
    [V5] => nothing_is_published_above_maximum_qos, nothing_is_sent_above_maximum_packet_size,
        nothing_is_retained_where_retain_is_not_available,
        nothing_is_subscribed_to_that_is_not_available, no_more_is_under_way_than_receive_maximum;
}
