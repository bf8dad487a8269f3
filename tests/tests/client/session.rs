//! The session across connections: what goes again, what does not, and what was lost.

use tamtam_core::client::{Event, Failure, Lost, PeerError, Publish, Unsupported, WhenUnknown};

use crate::support::*;

/// Three at QoS 0, 1 and 2 that leave, and as many that have no room in the window.
fn six_messages<S: Storage>(rig: &mut Rig<S>) {
    for payload in ["a", "b", "c", "d", "e", "f"] {
        let qos = QOS[usize::from(payload.as_bytes()[0] - b'a') % 3];
        rig.publish("t", payload.as_bytes(), qos);
    }
}

// [MQTT5-3.3.1-1, MQTT3-3.3.1-1, MQTT5-4.4.0-1, MQTT3-4.4.0-1, MQTT5-4.6.0-1, MQTT3-4.6.0-1]
// [MQTT3-2.3.1-3, MQTT5-3.1.2-23, MQTT3-3.1.2-4]
fn what_is_unacknowledged_goes_again_in_order_with_its_identifier<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    six_messages(&mut rig);
    let before = rig.sent();
    assert_eq!(names(&before), ["a", "b", "c", "d", "e", "f"]);
    rig.feed(&[puback(1)]);
    rig.publish("t", b"g", QoS::AtLeastOnce);
    rig.cut();
    rig.publish("t", b"h", QoS::AtLeastOnce);
    rig.reopen();
    assert_eq!(rig.sent(), []);
    rig.accept(true, &[]);
    let again = rig.sent();
    assert_eq!(names(&again), ["c*", "e*", "f*", "g", "h"], "DUP only if it had left");
    let ids: Vec<_> = again.iter().map(|packet| publish_id(*packet)).collect();
    assert_eq!(ids[..3], [2, 3, 4]);
    for (packet, at) in again.iter().zip([2, 4, 5]) {
        let (Packet::Publish(again), Packet::Publish(first)) = (packet, before[at]) else {
            panic!()
        };
        assert_eq!((again.topic, again.payload), (first.topic, first.payload));
    }
}

/// Only a new connection is a reason to send again.
// [MQTT5-4.4.0-1]
fn nothing_is_sent_again_on_the_same_connection<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    six_messages(&mut rig);
    rig.sent();
    for _ in 0..50 {
        rig.wait_ms(30_000);
        rig.feed(&[Packet::PingResp]);
        assert!(rig.sent().iter().all(|packet| *packet == Packet::PingReq));
    }
    assert_eq!(rig.client.in_flight(), 4);
}

/// A part of it may have arrived.
fn a_message_that_left_in_part_goes_again_with_dup<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.publish("t", b"1", QoS::AtLeastOnce);
    rig.publish("t", b"2", QoS::AtLeastOnce);
    let one = rig.client.output().len() / 2;
    rig.client.output_written(one + 1, rig.now);
    rig.cut();
    rig.reopen();
    rig.accept(true, &[]);
    assert_eq!(names(&rig.sent()), ["1*", "2*"]);
}

/// A pain: messages are sent again, as repeated, to a server that never had them.
// [MQTT5-3.2.2-5, MQTT5-3.1.2-4]
fn to_a_server_that_lost_the_session_messages_are_new<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).resubscribe(false));
    let at_least = rig.publish("t", b"1", QoS::AtLeastOnce);
    let released = rig.publish("t", b"2", QoS::ExactlyOnce);
    let unknown = rig.publish("t", b"3", QoS::ExactlyOnce);
    rig.sent();
    rig.feed(&[pubrec(2)]);
    rig.sent();
    rig.publish("t", b"4", QoS::ExactlyOnce); // has not left
    rig.feed(&[message(QoS::ExactlyOnce, 9, b"theirs")]);
    rig.cut();
    if rig.version == V31 {
        return; // it can't be known
    }
    rig.reopen();
    let events = rig.accept(false, &[]);
    let why = Failure::Unknown;
    assert_eq!(events, [delivered(released), Event::Failed { token: unknown, why }]);
    let sent = rig.sent();
    assert_eq!(names(&sent), ["1", "4"], "no DUP, and what had its PUBREC is delivered");
    assert_eq!(rig.feed(&[puback(publish_id(sent[0]))]), [delivered(at_least)]);
    assert_eq!(messages(&rig.feed(&[message(QoS::ExactlyOnce, 9, b"new")])).len(), 1);
}

fn by_policy_a_message_that_may_have_arrived_is_sent_as_new<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).when_unknown(WhenUnknown::SendAgain));
    rig.publish("t", b"1", QoS::ExactlyOnce);
    rig.sent();
    rig.cut();
    rig.reopen();
    assert_eq!(rig.accept(false, &[]), []);
    let expected = if rig.version == V31 { "1*" } else { "1" };
    assert_eq!(names(&rig.sent()), [expected]);
}

/// Without a session beyond the connection, messages are kept all the same.
fn messages_survive_a_connection_without_a_session<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).clean_start(true));
    rig.publish("t", b"1", QoS::AtLeastOnce);
    rig.publish("t", b"2", QoS::AtLeastOnce);
    rig.sent();
    rig.feed(&[puback(1)]);
    rig.cut();
    rig.reopen();
    rig.accept(false, &[]);
    assert_eq!(names(&rig.sent()), ["2"]);
}

// [MQTT5-3.2.2-4]
fn a_session_that_is_unknown_here_ends_the_connection<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(V5));
    assert!(!rig.open().clean_start);
    let connack = Packet::ConnAck(ConnAck::new(ReasonCode::Success, true));
    assert_eq!(rig.feed_last(&[connack]), Lost::Peer(PeerError::SessionPresent));
    rig.close();
    assert!(rig.reopen().clean_start, "the next attempt begins a new one");
    assert_eq!(rig.feed_last(&[connack]), Lost::Peer(PeerError::SessionPresent), "after that");
    rig.close();
    rig.reopen();
    rig.accept(false, &[]);
    rig.cut();
    assert!(!rig.reopen().clean_start);
    rig.accept(true, &[]);
}

/// 3.1.1 leaves it to the client, and the application may say that its memory is the session's.
fn a_session_may_be_adopted<S: Storage>(mut rig: Rig<S>) {
    let options = options(rig.version);
    rig.start(&if rig.version == V5 { options.adopt_session(true) } else { options });
    rig.open();
    assert_eq!(rig.accept(true, &[]), []);
    assert_eq!(messages(&rig.feed(&[message_again(QoS::ExactlyOnce, 1, b"x")])).len(), 1);
}

// [MQTT3-3.1.2-6]
fn after_a_clean_session_there_is_none<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(rig.version).clean_start(true));
    rig.open();
    let connack = Packet::ConnAck(ConnAck::new(ReasonCode::Success, rig.version != V31));
    if rig.version == V31 {
        return;
    }
    assert_eq!(rig.feed_last(&[connack]), Lost::Peer(PeerError::SessionPresent));
}

/// How long the session lasts is agreed on anew by each connection.
fn the_expiry_of_one_connection_is_not_that_of_the_next<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(V5));
    rig.open();
    rig.accept(false, &[Property::SessionExpiryInterval(0)]);
    rig.cut();
    rig.reopen();
    let connack = Packet::ConnAck(ConnAck::new(ReasonCode::Success, true));
    assert_eq!(rig.feed_last(&[connack]), Lost::Peer(PeerError::SessionPresent), "it has ended");
    rig.close();
    rig.reopen();
    rig.accept(false, &[]);
    rig.cut();
    rig.reopen();
    rig.accept(true, &[]);
}

// [MQTT5-4.1.0-1, MQTT3-4.1.0-1, MQTT3-4.1.0-2]
fn while_it_is_open_the_session_stays<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).clean_start(true).keep_alive_secs(0));
    let token = rig.publish("t", b"mine", QoS::ExactlyOnce);
    rig.sent();
    rig.feed(&[message(QoS::ExactlyOnce, 1, b"theirs")]);
    rig.wait_ms(1_000_000_000);
    assert_eq!(rig.feed(&[message_again(QoS::ExactlyOnce, 1, b"theirs"), pubrec(1)]), []);
    assert_eq!(rig.feed(&[pubrel(1), pubcomp(1)]), [delivered(token)]);
}

/// Receive Maximum counts from anew, with what is past its PUBREC on top.
// [MQTT5-4.9.0-1, MQTT5-3.3.4-7]
fn a_resumed_session_keeps_within_the_new_window<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    for payload in [b"a", b"b", b"c", b"d", b"e"] {
        rig.publish("t", payload, QoS::ExactlyOnce);
    }
    rig.sent();
    rig.feed(&[pubrec(1)]);
    rig.cut();
    rig.reopen();
    rig.accept(true, &[Property::ReceiveMaximum(2.try_into().expect("not 0"))]);
    assert_eq!(names(&rig.sent()), ["PUBREL 1", "b*"]);
    rig.feed(&[pubrec(2)]);
    assert_eq!(names(&rig.sent()), ["PUBREL 2"]);
    rig.feed(&[pubcomp(1)]);
    assert_eq!(names(&rig.sent()), ["c*"]);
    rig.feed(&[pubcomp(2), pubrec(3)]);
    assert_eq!(names(&rig.sent()), ["d*", "PUBREL 3"]);
    // One that is narrower than what is past its PUBREC opens once enough of that is over.
    rig.feed(&[pubrec(4)]);
    rig.cut();
    rig.reopen();
    rig.accept(true, &[Property::ReceiveMaximum(1.try_into().expect("not 0"))]);
    assert_eq!(names(&rig.sent()), ["PUBREL 3", "PUBREL 4"]);
    rig.feed(&[pubcomp(3)]);
    assert_eq!(rig.sent(), []);
    rig.feed(&[pubcomp(4)]);
    assert_eq!(names(&rig.sent()), ["e*"]);
}

/// A pain: a message that the server of today does not take reconnects for ever.
fn what_the_new_server_does_not_take_is_given_up<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let large = rig.publish("t", &[b'x'; 100], QoS::AtLeastOnce);
    rig.publish("t", b"small", QoS::AtLeastOnce);
    let retained = Publish::new("t", b"kept").qos(QoS::AtLeastOnce).retain(true);
    let retained = rig.client.publish(retained, rig.now).expect("room");
    let exactly = rig.publish("t", b"twice", QoS::ExactlyOnce);
    rig.sent();
    rig.cut();
    let fresh = Publish::new("t", &[b'y'; 100]);
    rig.client.publish(fresh, rig.now).expect("as far as is known");
    rig.reopen();
    let events = rig.accept(
        true,
        &[
            Property::MaximumPacketSize(50.try_into().expect("not 0")),
            Property::RetainAvailable(false),
            Property::MaximumQoS(QoS::AtLeastOnce),
        ],
    );
    let failed = |token, why| Event::Failed { token, why };
    assert_eq!(
        events,
        [
            failed(large, Failure::TooLarge),
            failed(retained, Failure::Unsupported(Unsupported::Retain)),
            failed(exactly, Failure::Unsupported(Unsupported::QoS)),
        ]
    );
    assert_eq!(names(&rig.sent()), ["small*"]);
    assert_eq!(rig.client.dropped(), 1);
}

/// Who is cut off again and again still gets everything across, in order.
fn a_session_survives_any_number_of_connections<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    for payload in [b"1", b"2", b"3", b"4"] {
        rig.publish("t", payload, QoS::AtLeastOnce);
    }
    for first in 1..=4 {
        let sent = names(&rig.sent());
        assert_eq!(sent.len(), 5 - first, "{sent:?}");
        rig.feed(&[puback(u16::try_from(first).expect("small"))]);
        rig.cut();
        rig.reopen();
        rig.accept(true, &[]);
    }
    assert_eq!((rig.client.in_flight(), rig.sent()), (0, vec![]));
}

on_both_storages! {
    EVERY => what_is_unacknowledged_goes_again_in_order_with_its_identifier,
        nothing_is_sent_again_on_the_same_connection,
        a_message_that_left_in_part_goes_again_with_dup,
        to_a_server_that_lost_the_session_messages_are_new,
        by_policy_a_message_that_may_have_arrived_is_sent_as_new,
        messages_survive_a_connection_without_a_session, while_it_is_open_the_session_stays,
        a_session_survives_any_number_of_connections;
    BEFORE_5 => after_a_clean_session_there_is_none;
    [V311, V5] => a_session_may_be_adopted;
    [V5] => a_session_that_is_unknown_here_ends_the_connection,
        the_expiry_of_one_connection_is_not_that_of_the_next,
        a_resumed_session_keeps_within_the_new_window,
        what_the_new_server_does_not_take_is_given_up;
}
