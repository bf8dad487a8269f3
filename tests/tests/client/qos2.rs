//! Sending at QoS 2: a PUBLISH until its PUBREC, then a PUBREL until its PUBCOMP.

use tamtam_core::client::{Event, Lost, PeerError, Publish};

use crate::support::*;

// [MQTT5-4.3.3-1, MQTT5-4.3.3-2, MQTT5-4.3.3-3, MQTT5-4.3.3-4, MQTT5-4.3.3-5, MQTT3-4.3.3-1]
// [MQTT5-2.2.1-5, MQTT3-2.3.1-6]
fn qos_2_is_settled_by_its_pubcomp<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.publish("t", b"1", QoS::AtLeastOnce);
    let token = rig.publish("t", b"2", QoS::ExactlyOnce);
    let [_, Packet::Publish(publish)] = rig.sent()[..] else { panic!("no PUBLISH") };
    assert_eq!(publish.delivery, delivery(QoS::ExactlyOnce, 2, false));
    assert_eq!((rig.news(), rig.sent()), (vec![], vec![]));
    assert_eq!(rig.feed(&[pubrec(2)]), []);
    assert_eq!(rig.sent(), [pubrel(2)]);
    assert_eq!((rig.news(), rig.sent()), (vec![], vec![]), "it is never sent twice unasked");
    assert_eq!(rig.feed(&[pubcomp(2)]), [delivered(token)]);
    assert_eq!(rig.client.in_flight(), 1);
}

/// Each PUBREL follows its PUBREC, whatever the order of the messages was.
// [MQTT5-4.6.0-4, MQTT3-4.6.0-4]
fn pubrels_go_in_the_order_of_the_pubrecs<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let tokens: Vec<_> = (0..4).map(|_| rig.publish("t", b"x", QoS::ExactlyOnce)).collect();
    rig.sent();
    rig.feed(&[pubrec(3), pubrec(1), pubrec(4)]);
    assert_eq!(rig.sent(), [pubrel(3), pubrel(1), pubrel(4)]);
    rig.cut();
    rig.reopen();
    rig.accept(true, &[]);
    if rig.version == V31 {
        return; // the same, but the server may have another session
    }
    assert_eq!(names(&rig.sent()), ["PUBREL 3", "PUBREL 1", "PUBREL 4", "x*"]);
    assert_eq!(rig.feed(&[pubcomp(1), pubcomp(3)]), [delivered(tokens[0]), delivered(tokens[2])]);
    rig.cut();
    rig.reopen();
    rig.accept(true, &[]);
    assert_eq!(names(&rig.sent()), ["PUBREL 4", "x*"]);
}

// [MQTT5-4.3.3-6]
fn after_pubrec_the_message_is_never_sent_again<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let token = rig.publish("t", b"x", QoS::ExactlyOnce);
    rig.sent();
    rig.feed(&[pubrec(1)]);
    // Not even PUBREL has left.
    for _ in 0..2 {
        rig.cut();
        rig.reopen();
        rig.accept(true, &[]);
        assert_eq!(rig.sent(), [pubrel(1)]);
        assert_eq!(rig.feed(&[pubrec(1)]), []);
        assert_eq!(rig.sent(), [pubrel(1)], "a PUBREC that comes twice is answered twice");
    }
    assert_eq!(rig.feed(&[pubcomp(1)]), [delivered(token)]);
}

/// What was sent is kept up to the end, however old it is.
// [MQTT5-4.3.3-7]
fn a_message_that_was_sent_does_not_expire<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let list = [Property::MessageExpiryInterval(1)];
    let publish = Publish::new("t", b"old").qos(QoS::ExactlyOnce).properties(&list);
    let token = rig.client.publish(publish, rig.now).expect("room");
    rig.sent();
    rig.cut();
    rig.wait_ms(100_000);
    rig.open();
    rig.accept(true, &[]);
    assert_eq!(names(&rig.sent()), ["old*"]);
    rig.feed(&[pubrec(1)]);
    assert_eq!(rig.sent(), [pubrel(1)]);
    assert_eq!(rig.feed(&[pubcomp(1)]), [delivered(token)]);
}

fn what_the_server_has_let_go_of_is_complete<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let token = rig.publish("t", b"x", QoS::ExactlyOnce);
    rig.sent();
    rig.feed(&[pubrec(1)]);
    let reason = ReasonCode::PacketIdentifierNotFound;
    let gone = Packet::PubComp(Ack::with_reason(id(1), reason));
    assert_eq!(rig.feed(&[gone]), [delivered(token)], "its PUBREC was seen");
}

/// A server that remembers more than the client is helped to forget.
fn an_unknown_pubrec_is_released<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    assert_eq!(rig.feed(&[pubrec(5)]), []);
    let reason = match rig.version {
        V5 => ReasonCode::PacketIdentifierNotFound,
        _ => ReasonCode::Success,
    };
    assert_eq!(rig.sent(), [Packet::PubRel(Ack::with_reason(id(5), reason))]);
    assert_eq!((rig.feed(&[pubcomp(5)]), rig.sent()), (vec![], vec![]));
}

fn an_acknowledgement_out_of_turn_ends_the_connection<S: Storage>(mut rig: Rig<S>) {
    let cases: [(QoS, &[Packet<'_>]); 7] = [
        (QoS::AtLeastOnce, &[puback(2)]),
        (QoS::AtLeastOnce, &[puback(1), puback(1)]),
        (QoS::AtLeastOnce, &[pubrec(1)]),
        (QoS::AtLeastOnce, &[pubcomp(1)]),
        (QoS::ExactlyOnce, &[puback(1)]),
        (QoS::ExactlyOnce, &[pubcomp(1)]),
        (QoS::ExactlyOnce, &[pubrec(1), puback(1)]),
    ];
    for (qos, packets) in cases {
        rig.online();
        rig.publish("t", b"x", qos);
        rig.sent();
        assert_eq!(rig.feed_last(packets), Lost::Peer(PeerError::PacketId), "{packets:?}");
    }
}

/// Two in flight, and the second is done first.
fn exchanges_do_not_wait_for_each_other<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let first = rig.publish("t", b"1", QoS::ExactlyOnce);
    let second = rig.publish("t", b"2", QoS::ExactlyOnce);
    rig.sent();
    assert_eq!(rig.feed(&[pubrec(2), pubcomp(2)][..1]), []);
    assert_eq!(rig.feed(&[pubcomp(2)]), [delivered(second)]);
    assert_eq!(rig.feed(&[pubrec(1)]), []);
    assert_eq!(rig.feed(&[pubcomp(1)]), [delivered(first)]);
    assert_eq!(rig.sent(), [pubrel(2), pubrel(1)]);
    let all: Vec<Event<'_>> = rig.news();
    assert_eq!((all, rig.client.in_flight()), (vec![], 0));
}

on_both_storages! {
    EVERY => qos_2_is_settled_by_its_pubcomp, pubrels_go_in_the_order_of_the_pubrecs,
        after_pubrec_the_message_is_never_sent_again, an_unknown_pubrec_is_released,
        an_acknowledgement_out_of_turn_ends_the_connection, exchanges_do_not_wait_for_each_other;
    [V5] => a_message_that_was_sent_does_not_expire, what_the_server_has_let_go_of_is_complete;
}
