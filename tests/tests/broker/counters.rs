//! What the broker counts: every absence of a message has a name.

use crate::support::*;

fn messages_and_bytes_are_counted<S: Storage>(mut rig: Rig<S>) {
    let raw = rig.open();
    let connect = bytes(rig.version, &[Packet::Connect(hello(rig.version, "a"))]);
    assert_eq!(rig.hand_in(raw, &connect), Input::More);
    let connack = if rig.version == V5 { rig.counters().bytes_out } else { 4 };
    let counters = Counters {
        connects: 1,
        others_out: 1,
        bytes_in: connect.len() as u64,
        bytes_out: connack,
        ..Counters::default()
    };
    assert_eq!(rig.counters(), counters);
    // Half a packet is not taken yet.
    let publish = bytes(rig.version, &[message("t", "x", Q0, 0)]);
    let (half, rest) = publish.split_at(3);
    assert_eq!(rig.hand_in(raw, half), Input::More);
    assert_eq!(rig.counters(), counters);
    assert_eq!(rig.hand_in(raw, rest), Input::More);
    let bytes_in = counters.bytes_in + publish.len() as u64;
    let published = [Tally { messages: 1, bytes: 1 }, Tally::default(), Tally::default()];
    assert_eq!(rig.counters(), Counters { bytes_in, published, ..counters });
    assert_eq!((rig.counters().packets_in(), rig.counters().packets_out()), (2, 1));
}

/// At the QoS that they came with, and at that of the copy.
fn messages_and_payloads_are_counted_by_qos<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    for (name, qos) in [("b", Q0), ("c", Q1), ("d", Q2)] {
        let raw = rig.connect(name);
        rig.subscribe(raw, "t", qos);
    }
    let before = rig.counters();
    rig.publish(a, "t", "x", Q0);
    rig.publish(a, "t", "four", Q1);
    rig.publish(a, "t", "sevens!", Q2);
    let tally = |messages, bytes| Tally { messages, bytes };
    let now = rig.counters();
    assert_eq!(now.published, [tally(1, 1), tally(1, 4), tally(1, 7)]);
    let to_b = tally(3, 12);
    let at_0 = tally(to_b.messages + 2, to_b.bytes + 2);
    assert_eq!(now.delivered, [at_0, tally(3, 4 + 4 + 7), tally(1, 7)]);
    // PUBACK, PUBREC, PUBCOMP to the publisher.
    assert_eq!(now.packets_out() - before.packets_out(), 9 + 3);
}

/// What is sent again is no other message.
fn a_copy_is_counted_once<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q2);
    for qos in QOS {
        rig.publish(a, "t", "x", qos);
    }
    rig.cut(b);
    let b = rig.connect_kept("b");
    assert_eq!(rig.receive(b).len(), 2);
    let counters = rig.counters();
    assert_eq!((counters.messages_in(), counters.messages_out(), counters.connects), (3, 3, 3));
}

/// A message that is repeated was published once, but came twice.
fn what_comes_is_counted_as_it_comes<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.send(a, &[message("t", "x", Q2, 1), again("t", "x", Q2, 1)]);
    assert_eq!(rig.counters().messages_in(), 2);
    rig.broker.publish(topic("t"), b"x", Q1, false, rig.now);
    assert_eq!(rig.counters().messages_in(), 2, "the host's are the host's");
}

/// For each message that was accepted: copies sent and copies dropped are all there were to be.
fn the_books_balance<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { queue: 2, send_window: 1, ..Options::DEFAULT });
    let a = rig.connect("a");
    let here = rig.connect("here");
    rig.subscribe(here, "t", Q1);
    let away = rig.connect_kept("away");
    rig.subscribe(away, "t", Q2);
    rig.cut(away);
    for number in 0..12 {
        rig.publish(a, "t", "x", QOS[number % 3]);
    }
    let counters = rig.counters();
    // To the one at QoS 0 all 4, of the other 8 one and two that wait; to the other two that wait.
    assert_eq!((counters.messages_out(), counters.dropped_queue), (5, 11));
    assert_eq!((counters.dropped_qos0, counters.dropped_session), (4, 0));
    rig.cut(here);
    let here = rig.connect("here");
    assert_eq!(rig.counters().dropped_session, 3, "of one of which a copy was sent");
    rig.connect("away");
    assert_eq!(rig.counters().dropped_session, 5);
    assert_eq!(rig.said(here), [""; 0]);
    rig.keeps_only_retained(0);
}

on_every_kind! {
    EVERY => messages_and_bytes_are_counted,
        messages_and_payloads_are_counted_by_qos, a_copy_is_counted_once,
        what_comes_is_counted_as_it_comes, the_books_balance;
}
