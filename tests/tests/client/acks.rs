//! Acknowledgements by the application: in any order, and in order on the wire.

use tamtam_core::client::{AckToken, Client, SendError};

use crate::support::*;

/// Messages of this QoS, and how to acknowledge them.
fn receive<S: Storage>(rig: &mut Rig<S>, qos: QoS, numbers: &[u16]) -> Vec<AckToken> {
    let packets: Vec<_> = numbers.iter().map(|number| message(qos, *number, b"x")).collect();
    messages(&rig.feed(&packets)).iter().map(|message| message.ack).collect()
}

fn manual<S: Storage>(rig: &mut Rig<S>) {
    rig.online_with(&options(rig.version).manual_ack(true));
}

/// A pain: their order is left to the application.
// [MQTT5-4.6.0-2, MQTT5-4.6.0-3, MQTT3-4.6.0-2, MQTT3-4.6.0-3]
fn acknowledgements_leave_in_the_order_of_arrival<S: Storage>(mut rig: Rig<S>) {
    for (qos, name) in [(QoS::AtLeastOnce, "PUBACK"), (QoS::ExactlyOnce, "PUBREC")] {
        manual(&mut rig);
        let acks = receive(&mut rig, qos, &[5, 3, 9, 1]);
        assert_eq!(rig.sent(), [], "nothing is acknowledged unasked");
        rig.client.ack(acks[2], rig.now).expect("owed");
        rig.client.ack(acks[1], rig.now).expect("owed");
        assert_eq!(rig.sent(), [], "the first is not answered yet");
        rig.client.ack(acks[0], rig.now).expect("owed");
        let expected = [5, 3, 9].map(|number| format!("{name} {number}"));
        assert_eq!(names(&rig.sent()), expected);
        rig.client.ack(acks[3], rig.now).expect("owed");
        assert_eq!(names(&rig.sent()), [format!("{name} 1")]);
    }
}

/// One gate for everything would be a deadlock: only PUBACK and PUBREC ever wait.
// [MQTT5-4.9.0-3]
fn nothing_else_waits_for_an_acknowledgement<S: Storage>(mut rig: Rig<S>) {
    manual(&mut rig);
    let first = receive(&mut rig, QoS::ExactlyOnce, &[1]);
    rig.client.ack(first[0], rig.now).expect("owed");
    rig.publish("t", b"mine", QoS::ExactlyOnce);
    assert_eq!(names(&rig.sent()), ["PUBREC 1", "mine"]);
    let at_least = receive(&mut rig, QoS::AtLeastOnce, &[2]);
    let exactly = receive(&mut rig, QoS::ExactlyOnce, &[3]);
    rig.feed(&[pubrec(1), pubrel(1)]);
    assert_eq!(names(&rig.sent()), ["PUBREL 1", "PUBCOMP 1"]);
    rig.client.ack(exactly[0], rig.now).expect("owed");
    assert_eq!(names(&rig.sent()), ["PUBREC 3"], "a PUBREC does not wait for a PUBACK");
    rig.client.ack(at_least[0], rig.now).expect("owed");
    assert_eq!(names(&rig.sent()), ["PUBACK 2"]);
}

fn a_token_is_good_once<S: Storage>(mut rig: Rig<S>) {
    manual(&mut rig);
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let acks = receive(&mut rig, qos, &[1, 2]);
        for ack in [acks[1], acks[0]] {
            rig.client.ack(ack, rig.now).expect("owed");
            assert_eq!(rig.client.ack(ack, rig.now), Err(SendError::Token));
        }
    }
    assert_eq!(names(&rig.sent()), ["PUBACK 1", "PUBACK 2", "PUBREC 1", "PUBREC 2"]);
}

/// On the next connection the identifier may mean another message.
fn a_token_of_qos_1_dies_with_its_connection<S: Storage>(mut rig: Rig<S>) {
    manual(&mut rig);
    let old = receive(&mut rig, QoS::AtLeastOnce, &[1]);
    rig.cut();
    assert_eq!(rig.client.ack(old[0], rig.now), Err(SendError::Token));
    rig.reopen();
    rig.accept(true, &[]);
    let new = receive(&mut rig, QoS::AtLeastOnce, &[1]);
    assert_eq!(rig.client.ack(old[0], rig.now), Err(SendError::Token));
    assert_eq!(rig.sent(), []);
    rig.client.ack(new[0], rig.now).expect("owed");
    assert_eq!(names(&rig.sent()), ["PUBACK 1"]);
}

/// It lives with the session: the message is not handed up twice, and an early answer is kept.
// [MQTT5-4.3.3-10]
fn a_token_of_qos_2_lives_with_the_session<S: Storage>(mut rig: Rig<S>) {
    manual(&mut rig);
    let acks = receive(&mut rig, QoS::ExactlyOnce, &[1, 2, 3]);
    rig.cut();
    rig.client.ack(acks[1], rig.now).expect("owed even without a connection");
    rig.reopen();
    if rig.version == V31 {
        return; // it can't be known whether the session is the same
    }
    rig.accept(true, &[]);
    let again = [1, 2, 3].map(|number| message_again(QoS::ExactlyOnce, number, b"x"));
    assert_eq!(rig.feed(&again), [], "none is handed up again");
    assert_eq!(rig.sent(), [], "order: the first has no answer");
    rig.client.ack(acks[0], rig.now).expect("owed");
    assert_eq!(names(&rig.sent()), ["PUBREC 1", "PUBREC 2"]);
    rig.client.ack(acks[2], rig.now).expect("owed");
    assert_eq!(names(&rig.sent()), ["PUBREC 3"]);
}

fn a_token_of_qos_2_dies_with_the_session<S: Storage>(mut rig: Rig<S>) {
    manual(&mut rig);
    let old = receive(&mut rig, QoS::ExactlyOnce, &[1]);
    rig.cut();
    rig.reopen();
    rig.accept(false, &[]);
    assert_eq!(rig.client.ack(old[0], rig.now), Err(SendError::Token));
    let new = receive(&mut rig, QoS::ExactlyOnce, &[1]);
    assert_eq!(rig.client.ack(old[0], rig.now), Err(SendError::Token));
    rig.client.ack(new[0], rig.now).expect("owed");
    assert_eq!(names(&rig.sent()), ["PUBREC 1"]);
}

/// A server that does not wait for the answer gets as many as it asked for, and nothing is stuck.
fn a_message_that_comes_twice_on_a_connection_is_answered_twice<S: Storage>(mut rig: Rig<S>) {
    manual(&mut rig);
    let acks = receive(&mut rig, QoS::ExactlyOnce, &[1]);
    assert_eq!(rig.feed(&[message_again(QoS::ExactlyOnce, 1, b"x")]), []);
    let behind = receive(&mut rig, QoS::ExactlyOnce, &[2]);
    rig.client.ack(behind[0], rig.now).expect("owed");
    rig.client.ack(acks[0], rig.now).expect("owed");
    assert_eq!(names(&rig.sent()), ["PUBREC 1", "PUBREC 1", "PUBREC 2"]);
}

// [MQTT5-4.3.3-9, MQTT5-4.4.0-2]
fn a_refused_message_is_over<S: Storage>(mut rig: Rig<S>) {
    manual(&mut rig);
    for (qos, name) in [(QoS::AtLeastOnce, "PUBACK 1"), (QoS::ExactlyOnce, "PUBREC 1")] {
        let [ack] = receive(&mut rig, qos, &[1])[..] else { panic!() };
        rig.client.refuse(ack, ReasonCode::QuotaExceeded, rig.now).expect("owed");
        let sent = rig.sent();
        assert_eq!(names(&sent), [name]);
        let (Packet::PubAck(answer) | Packet::PubRec(answer)) = sent[0] else { panic!() };
        let refused = rig.version == V5;
        assert_eq!(answer.reason == ReasonCode::QuotaExceeded, refused, "3.x has no refusal");
        if !refused && qos == QoS::ExactlyOnce {
            rig.feed(&[pubrel(1)]);
            assert_eq!(names(&rig.sent()), ["PUBCOMP 1"]);
        }
        // Either way the same identifier is a new message now.
        assert_eq!(receive(&mut rig, qos, &[1]).len(), 1);
        rig.close();
        manual(&mut rig);
    }
}

fn a_refusal_makes_room_in_the_window<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(V5).manual_ack(true).receive_maximum(1));
    for _ in 0..5 {
        let [ack] = receive(&mut rig, QoS::ExactlyOnce, &[1])[..] else { panic!() };
        rig.client.refuse(ack, ReasonCode::NotAuthorized, rig.now).expect("owed");
    }
}

/// What only a client may be told, or is none.
fn a_refusal_has_a_reason_that_fits<S: Storage>(mut rig: Rig<S>) {
    manual(&mut rig);
    let [ack] = receive(&mut rig, QoS::AtLeastOnce, &[1])[..] else { panic!() };
    for reason in [ReasonCode::Success, ReasonCode::KeepAliveTimeout, ReasonCode::ServerBusy] {
        assert_eq!(rig.client.refuse(ack, reason, rig.now), Err(SendError::Token));
    }
    assert_eq!(rig.sent(), []);
    rig.client.ack(ack, rig.now).expect("owed all the time");
}

/// A client has nothing to say beside the reason, so nothing is ever too large.
// [MQTT5-3.4.2-2, MQTT5-3.4.2-3, MQTT5-3.5.2-2, MQTT5-3.5.2-3, MQTT5-3.6.2-2, MQTT5-3.6.2-3,
// MQTT5-3.7.2-2, MQTT5-3.7.2-3]
fn acknowledgements_are_as_short_as_can_be<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(V5).manual_ack(true));
    rig.open();
    rig.accept(false, &[Property::MaximumPacketSize(8.try_into().expect("not 0"))]);
    let [puback] = receive(&mut rig, QoS::AtLeastOnce, &[1])[..] else { panic!() };
    let [pubrec] = receive(&mut rig, QoS::ExactlyOnce, &[2])[..] else { panic!() };
    rig.client.refuse(puback, ReasonCode::NotAuthorized, rig.now).expect("owed");
    rig.client.ack(pubrec, rig.now).expect("owed");
    rig.feed(&[pubrel(2), pubrel(3), super::support::pubrec(4)]);
    for packet in rig.sent() {
        let (Packet::PubAck(ack)
        | Packet::PubRec(ack)
        | Packet::PubRel(ack)
        | Packet::PubComp(ack)) = packet
        else {
            panic!("{packet:?}")
        };
        assert!(ack.properties.is_empty());
        assert!(packet.encoded_len(V5).expect("a packet") <= 5);
    }
}

#[test]
fn tokens_of_one_client_mean_nothing_to_another() {
    let mut one = Rig::<Heap>::new(V5);
    manual(&mut one);
    let [ack] = receive(&mut one, QoS::AtLeastOnce, &[1])[..] else { panic!() };
    let mut other = Client::<Heap>::new();
    assert_eq!(other.ack(ack, one.now), Err(SendError::Token));
}

on_both_storages! {
    EVERY => acknowledgements_leave_in_the_order_of_arrival,
        nothing_else_waits_for_an_acknowledgement, a_token_is_good_once,
        a_token_of_qos_1_dies_with_its_connection, a_token_of_qos_2_lives_with_the_session,
        a_refused_message_is_over,
        a_message_that_comes_twice_on_a_connection_is_answered_twice;
    [V311, V5] => a_token_of_qos_2_dies_with_the_session;
    [V5] => a_refusal_makes_room_in_the_window, a_refusal_has_a_reason_that_fits,
        acknowledgements_are_as_short_as_can_be;
}
