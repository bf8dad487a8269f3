//! Messages from the server: each handed up as often as it should be, and answered.

use tamtam_core::client::{Event, Lost, PeerError, SendError, Topic};

use crate::support::*;

// [MQTT5-3.3.4-1, MQTT3-3.3.4-1, MQTT5-2.2.1-5, MQTT3-2.3.1-6]
fn a_message_is_answered_as_its_qos_says<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    for (qos, answer) in QOS.into_iter().zip([None, Some("PUBACK 77"), Some("PUBREC 77")]) {
        let arrived = message(qos, 77, b"hi");
        let [told] = messages(&rig.feed(&[arrived]))[..] else { panic!("not one message") };
        assert_eq!(
            (told.payload, told.qos, told.retain, told.dup),
            (&b"hi"[..], qos, false, false)
        );
        assert_eq!(told.topic, Topic::Text(topic("t")));
        assert_eq!(names(&rig.sent()), answer.as_slice());
    }
}

/// A message counts as taken over once the application comes back for more, and not before.
// [MQTT5-4.3.2-4, MQTT5-4.3.3-8, MQTT3-4.3.2-2]
fn the_answer_waits_for_the_next_call<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    for (qos, answer) in [(QoS::AtLeastOnce, "PUBACK 1"), (QoS::ExactlyOnce, "PUBREC 1")] {
        let arrived = bytes(rig.version, &[message(qos, 1, b"hi")]);
        let mut input = &arrived[..];
        let event = rig.client.handle_input(&mut input, rig.now).expect("no loss");
        assert!(matches!(event, Some(Event::Message(_))));
        assert_eq!(rig.client.output(), b"");
        rig.wait_ms(100);
        rig.publish("t", b"meanwhile", QoS::AtMostOnce);
        assert_eq!(names(&rig.sent()), ["meanwhile"]);
        assert_eq!(rig.news(), []);
        assert_eq!(names(&rig.sent()), [answer]);
    }
}

// [MQTT5-4.3.2-5, MQTT3-4.3.2-2]
fn after_puback_the_same_identifier_is_a_new_message<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    for _ in 0..2 {
        assert_eq!(messages(&rig.feed(&[message(QoS::AtLeastOnce, 1, b"a")])).len(), 1);
        let again = messages(&rig.feed(&[message_again(QoS::AtLeastOnce, 1, b"a")]));
        assert!(again[0].dup, "whatever its DUP says");
        assert_eq!(names(&rig.sent()), ["PUBACK 1", "PUBACK 1"]);
    }
}

// [MQTT5-4.3.3-8, MQTT5-4.3.3-10, MQTT5-4.3.3-11, MQTT5-4.3.3-12, MQTT3-4.3.3-2]
fn qos_2_is_handed_up_once_until_its_pubrel<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    for _ in 0..3 {
        assert_eq!(messages(&rig.feed(&[message(QoS::ExactlyOnce, 9, b"a")])).len(), 1);
        assert_eq!(names(&rig.sent()), ["PUBREC 9"]);
        assert_eq!(rig.feed(&[message_again(QoS::ExactlyOnce, 9, b"a")]), []);
        assert_eq!(names(&rig.sent()), ["PUBREC 9"]);
        rig.cut();
        rig.reopen();
        rig.accept(true, &[]);
        assert_eq!(rig.feed(&[message_again(QoS::ExactlyOnce, 9, b"a")]), []);
        assert_eq!(names(&rig.sent()), ["PUBREC 9"]);
        assert_eq!(rig.feed(&[pubrel(9)]), []);
        assert_eq!(names(&rig.sent()), ["PUBCOMP 9"]);
    }
}

/// The exchange goes on to its end though nobody wants the message any more.
// [MQTT5-4.3.3-13]
fn an_expired_message_is_completed<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(V5).manual_ack(true));
    let list = [Property::MessageExpiryInterval(1)];
    let Packet::Publish(publish) = message(QoS::ExactlyOnce, 1, b"old") else { unreachable!() };
    let publish = tamtam_core::Publish { properties: Properties::new(&list), ..publish };
    let ack = only_ack(&rig.feed(&[Packet::Publish(publish)]));
    rig.wait_ms(30_000);
    rig.client.ack(ack, rig.now).expect("it is owed");
    assert_eq!(names(&rig.sent()), ["PUBREC 1"]);
    rig.feed(&[pubrel(1)]);
    assert_eq!(names(&rig.sent()), ["PUBCOMP 1"]);
}

fn a_pubrel_for_nothing_is_answered<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    assert_eq!(rig.feed(&[pubrel(3)]), []);
    let reason = match rig.version {
        V5 => ReasonCode::PacketIdentifierNotFound,
        _ => ReasonCode::Success,
    };
    assert_eq!(rig.sent(), [Packet::PubComp(Ack::with_reason(id(3), reason))]);
}

fn a_pubrel_before_its_pubrec_is_not_due<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).manual_ack(true));
    let lost = rig.feed_last(&[message(QoS::ExactlyOnce, 3, b"x"), pubrel(3)]);
    assert_eq!(lost, Lost::Peer(PeerError::PacketId));
}

/// The transport breaks while the application looks at a message.
fn a_message_that_was_handed_up_is_taken_over_though_the_transport_breaks<S: Storage>(
    mut rig: Rig<S>,
) {
    rig.online();
    let arrived = bytes(
        rig.version,
        &[message(QoS::ExactlyOnce, 1, b"a"), message(QoS::AtLeastOnce, 2, b"b")],
    );
    let mut input = &arrived[..];
    let event = rig.client.handle_input(&mut input, rig.now).expect("no loss");
    assert!(matches!(event, Some(Event::Message(_))));
    rig.cut();
    rig.reopen();
    rig.accept(true, &[]);
    if rig.version == V31 {
        return; // it can't be known whether the session is the same
    }
    let again =
        [message_again(QoS::ExactlyOnce, 1, b"a"), message_again(QoS::AtLeastOnce, 2, b"b")];
    let told = messages(&rig.feed(&again));
    assert_eq!(told.iter().map(|message| message.payload).collect::<Vec<_>>(), [b"b"]);
    assert_eq!(names(&rig.sent()), ["PUBREC 1", "PUBACK 2"]);
}

/// Nobody subscribed to it, or nobody does any more.
// [MQTT5-4.5.0-2, MQTT3-4.5.0-2]
fn what_nobody_asked_for_is_answered_all_the_same<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    assert_eq!(rig.feed(&[message(QoS::AtLeastOnce, 1, b"?")]).len(), 1);
    assert_eq!(rig.feed(&[message(QoS::ExactlyOnce, 2, b"?")]).len(), 1);
    assert_eq!(names(&rig.sent()), ["PUBACK 1", "PUBREC 2"]);
}

fn a_server_keeps_within_receive_maximum<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(V5).receive_maximum(3).manual_ack(true));
    let acks = messages(&rig.feed(&[
        message(QoS::AtLeastOnce, 1, b"1"),
        message(QoS::ExactlyOnce, 2, b"2"),
        message(QoS::AtLeastOnce, 3, b"3"),
        message(QoS::AtMostOnce, 0, b"0"),
    ]));
    rig.client.ack(acks[0].ack, rig.now).expect("it is owed");
    rig.feed(&[message(QoS::ExactlyOnce, 4, b"4")]);
    rig.client.ack(acks[1].ack, rig.now).expect("it is owed");
    let over = message(QoS::AtLeastOnce, 5, b"5");
    let pending = bytes(V5, &[pubrel(2), over, message(QoS::AtLeastOnce, 6, b"6")]);
    let (events, lost, _) = rig.take_in(pending);
    assert_eq!(messages(&events).len(), 1, "PUBREL makes room, PUBREC does not");
    assert_eq!(lost, Some(Lost::Peer(PeerError::ReceiveMaximum)));
    let Some(Packet::Disconnect(disconnect)) = rig.sent().pop() else { panic!("no DISCONNECT") };
    assert_eq!(disconnect.reason, ReasonCode::ReceiveMaximumExceeded);
}

/// A server of 3.1 or 3.1.1 can't be told how many; it waits, down to TCP.
#[test]
fn before_mqtt_5_what_there_is_no_room_for_waits() {
    for version in BEFORE_5 {
        let mut rig = Rig::<Fixed<1_024, 2>>::new(version);
        rig.online_with(&options(version).manual_ack(true));
        let three = [1, 2, 3].map(|number| message(QoS::AtLeastOnce, number, b"x"));
        let (events, lost, left) = rig.take_in(bytes(version, &three));
        assert_eq!((events.len(), lost), (2, None));
        assert_eq!(left, bytes(version, &three[2..]));
        rig.client.ack(messages(&events)[0].ack, rig.now).expect("it is owed");
        let (events, lost, left) = rig.take_in(left.to_vec());
        assert_eq!((events.len(), lost, left), (1, None, &[][..]));
        assert_eq!(names(&rig.sent()), ["PUBACK 1"]);
    }
}

/// Every message once, however its bytes come.
fn any_split_of_the_bytes_gives_the_same_events<S: Storage>(mut rig: Rig<S>) {
    let arrived = bytes(
        rig.version,
        &[
            message(QoS::AtLeastOnce, 1, b"one"),
            Packet::PingResp,
            message(QoS::ExactlyOnce, 2, b"two"),
            message(QoS::AtMostOnce, 0, &[b'x'; 200]),
        ],
    );
    rig.online();
    let whole = rig.take_in(arrived.clone());
    let answers = rig.sent();
    for step in [1, 2, 3, 7, 50] {
        rig.online();
        let (mut events, mut pending) = (Vec::new(), Vec::new());
        for piece in arrived.chunks(step) {
            pending.extend(piece);
            let (more, lost, left) = rig.take_in(pending);
            assert_eq!(lost, None);
            events.extend(more);
            pending = left.to_vec();
        }
        let told = |events: &[Event<'static>]| {
            messages(events).iter().map(|message| message.payload).collect::<Vec<_>>()
        };
        assert_eq!(told(&events), told(&whole.0));
        assert_eq!(rig.sent(), answers);
    }
}

/// A pain: one can't send while something is being received.
fn one_may_send_in_the_middle_of_a_packet<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let arrived = bytes(rig.version, &[message(QoS::AtLeastOnce, 1, b"in two parts")]);
    let (events, lost, left) = rig.take_in(arrived[..9].to_vec());
    assert_eq!((events, lost, left.len()), (vec![], None, 9));
    rig.publish("t", b"meanwhile", QoS::AtMostOnce);
    assert_eq!(names(&rig.sent()), ["meanwhile"]);
    assert_eq!(messages(&rig.take_in(arrived).0)[0].payload, b"in two parts");
}

/// A pain: a limit that nobody asked for.
fn a_large_message_surprises_nobody<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let large = vec![b'x'; 1 << 20];
    let told = messages(&rig.feed(&[message(QoS::AtLeastOnce, 1, &large)]));
    assert_eq!(told[0].payload.len(), large.len());
    assert_eq!(names(&rig.sent()), ["PUBACK 1"]);
}

/// Who acknowledges without being asked to is told that it was not needed.
fn without_manual_mode_there_is_nothing_to_acknowledge<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let ack = only_ack(&rig.feed(&[message(qos, 1, b"x")]));
        assert_eq!(rig.client.ack(ack, rig.now), Err(SendError::Token));
    }
    let ack = only_ack(&rig.feed(&[message(QoS::AtMostOnce, 0, b"x")]));
    assert_eq!(rig.client.ack(ack, rig.now), Ok(()), "QoS 0 owes nothing");
}

on_both_storages! {
    EVERY => a_message_is_answered_as_its_qos_says, the_answer_waits_for_the_next_call,
        after_puback_the_same_identifier_is_a_new_message,
        qos_2_is_handed_up_once_until_its_pubrel, a_pubrel_for_nothing_is_answered,
        a_pubrel_before_its_pubrec_is_not_due,
        a_message_that_was_handed_up_is_taken_over_though_the_transport_breaks,
        what_nobody_asked_for_is_answered_all_the_same,
        any_split_of_the_bytes_gives_the_same_events, one_may_send_in_the_middle_of_a_packet,
        a_large_message_surprises_nobody,
        without_manual_mode_there_is_nothing_to_acknowledge;
    [V5] => an_expired_message_is_completed, a_server_keeps_within_receive_maximum;
}
