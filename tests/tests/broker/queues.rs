//! Messages wait for a session: how many, for whom, and which of them give way.

use crate::support::*;

/// A client that is away, and whoever publishes.
fn away<S: Storage>(rig: &mut Rig<S>, qos: QoS) -> Raw {
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", qos);
    rig.cut(b);
    rig.connect("a")
}

#[track_caller]
fn publish_many<S: Storage>(rig: &mut Rig<S>, raw: Raw, range: core::ops::Range<u32>, qos: QoS) {
    for number in range {
        rig.publish(raw, "t", &number.to_string(), qos);
    }
}

fn the_newest_gives_way<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { queue: 3, ..Options::DEFAULT });
    let a = away(&mut rig, Q2);
    publish_many(&mut rig, a, 0..3, Q1);
    publish_many(&mut rig, a, 3..10, Q2);
    assert_eq!(rig.counters().dropped_queue, 7);
    let b = rig.connect_kept("b");
    assert_eq!(rig.receive(b), ["t=0@1", "t=1@1", "t=2@1"]);
    publish_many(&mut rig, a, 10..12, Q1);
    assert_eq!(rig.receive(b), ["t=10@1", "t=11@1"], "there is room again");
    rig.keeps_only_retained(0);
}

fn the_oldest_gives_way<S: Storage>(mut rig: Rig<S>) {
    let queue_full = QueueFull::DropOldest;
    rig.restart(Options { queue: 3, send_window: 5, queue_full, ..Options::DEFAULT });
    let a = away(&mut rig, Q2);
    publish_many(&mut rig, a, 0..100, Q1);
    assert_eq!(rig.counters().dropped_queue, 97);
    rig.keeps_only_retained(3);
    let b = rig.connect_kept("b");
    assert_eq!(rig.receive(b), ["t=97@1", "t=98@1", "t=99@1"]);
    rig.keeps_only_retained(0);
}

/// What was sent is never dropped: it has begun.
fn what_is_in_flight_does_not_give_way<S: Storage>(mut rig: Rig<S>) {
    for queue_full in [QueueFull::DropOldest, QueueFull::DropNewest] {
        rig.restart(Options { queue: 3, send_window: 2, queue_full, ..Options::DEFAULT });
        let b = rig.connect_kept("b");
        rig.subscribe(b, "t", Q2);
        let a = rig.connect("a");
        publish_many(&mut rig, a, 0..100, Q2);
        assert_eq!(rig.counters().dropped_queue, 95);
        let sent = ids(&rig.got(b));
        assert_eq!(sent.len(), 2);
        rig.send(b, &[pubrec(sent[1]), pubcomp(sent[1])]);
        rig.cut(b);
        rig.publish(a, "t", "more", Q1);
        rig.publish(a, "t", "more", Q1);
        let b = rig.connect_kept("b");
        let got = rig.receive(b);
        assert_eq!(got[0], "t=0@2*");
        let rest: Vec<_> = got[1..].iter().map(|said| said.trim_end_matches('*')).collect();
        match queue_full {
            QueueFull::DropNewest => assert_eq!(rest, ["t=2@2", "t=3@2", "t=4@2", "t=more@1"]),
            _ => assert_eq!(rest.last(), Some(&"t=more@1")),
        }
        rig.keeps_only_retained(0);
    }
}

/// What was sent and not acknowledged takes no room from what comes while the client is away.
fn what_is_in_flight_does_not_count<S: Storage>(mut rig: Rig<S>) {
    for queue_full in [QueueFull::DropOldest, QueueFull::DropNewest] {
        rig.restart(Options { queue: 3, send_window: 2, queue_full, ..Options::DEFAULT });
        let b = rig.connect_kept("b");
        rig.subscribe(b, "t", Q2);
        let a = rig.connect("a");
        publish_many(&mut rig, a, 0..2, Q1);
        assert_eq!(ids(&rig.got(b)).len(), 2);
        rig.cut(b);
        publish_many(&mut rig, a, 2..5, Q1);
        assert_eq!(rig.counters().dropped_queue, 0);
        let b = rig.connect_kept("b");
        let sent = ids(&rig.got(b));
        publish_many(&mut rig, a, 5..6, Q1);
        assert_eq!(rig.counters().dropped_queue, 1, "three wait, and two were sent again");
        rig.send(b, &[puback(sent[0]), puback(sent[1])]);
        let rest = rig.receive(b);
        match queue_full {
            QueueFull::DropNewest => assert_eq!(rest, ["t=2@1", "t=3@1", "t=4@1"]),
            _ => assert_eq!(rest, ["t=3@1", "t=4@1", "t=5@1"]),
        }
        rig.keeps_only_retained(0);
    }
}

/// A client that reads nothing loses its connection, but not its session.
fn the_connection_gives_way<S: Storage>(mut rig: Rig<S>) {
    let queue_full = QueueFull::Disconnect;
    rig.restart(Options { queue: 3, send_window: 2, queue_full, ..Options::DEFAULT });
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q2);
    let a = rig.connect("a");
    publish_many(&mut rig, a, 0..5, Q1);
    assert!(!rig.is_closed(b));
    publish_many(&mut rig, a, 5..7, Q1);
    assert!(rig.is_closed(b));
    assert_eq!(rig.said(b)[2..], if rig.version == V5 { &["DISCONNECT 97"][..] } else { &[] }[..]);
    let b = rig.connect_kept("b");
    let got = rig.receive(b);
    assert_eq!(got, ["t=0@1*", "t=1@1*", "t=2@1", "t=3@1", "t=4@1"]);
}

/// Its will is none of the message's business that was one too many.
fn the_will_of_a_connection_that_gives_way_is_published<S: Storage>(mut rig: Rig<S>) {
    let queue_full = QueueFull::Disconnect;
    rig.restart(Options { queue: 1, send_window: 1, queue_full, ..Options::DEFAULT });
    let connect = Connect { will: Some(will("w", "gone")), ..kept(rig.version, "b") };
    let (b, _) = rig.connect_with(connect);
    rig.subscribe(b, "t", Q1);
    let others = ["c", "d", "e"].map(|name| rig.connect(name));
    rig.subscribe(others[0], "t", Q1);
    rig.subscribe(others[1], "w", Q1);
    rig.subscribe(others[2], "#", Q1);
    let a = rig.connect("a");
    for number in 0..3 {
        rig.publish(a, "t", &number.to_string(), Q1);
        if number < 2 {
            assert_eq!(rig.receive(others[0]).len() + rig.receive(others[2]).len(), 2);
        }
    }
    assert!(rig.is_closed(b));
    assert_eq!(rig.receive(others[0]), ["t=2@1"]);
    assert_eq!(rig.receive(others[1]), ["w=gone@1"]);
    assert_eq!(rig.receive(others[2]), ["t=2@1", "w=gone@1"]);
}

/// The publisher itself may be the one: nothing is behind its DISCONNECT.
fn a_publisher_that_gives_way_is_not_answered<S: Storage>(mut rig: Rig<S>) {
    let queue_full = QueueFull::Disconnect;
    rig.restart(Options { queue: 1, send_window: 1, queue_full, ..Options::DEFAULT });
    let a = rig.connect("a");
    rig.subscribe(a, "t", Q1);
    for number in 1..=2 {
        rig.send(a, &[message("t", "x", Q1, number)]);
    }
    let _ = rig.hand_in(a, &bytes(rig.version, &[message("t", "x", Q1, 3)]));
    assert!(rig.is_closed(a));
    let said = rig.said(a);
    let end = said.iter().position(|said| said.starts_with("DISCONNECT"));
    assert_eq!(end, (rig.version == V5).then_some(said.len() - 1), "{said:?}");
}

/// A limit of 0 means 0: nothing waits, but what can be sent at once is sent.
fn nothing_waits_if_nothing_may<S: Storage>(mut rig: Rig<S>) {
    for queue_full in [QueueFull::DropNewest, QueueFull::DropOldest] {
        rig.restart(Options { queue: 0, send_window: 2, queue_full, ..Options::DEFAULT });
        let a = away(&mut rig, Q1);
        publish_many(&mut rig, a, 0..2, Q1);
        let b = rig.connect_kept("b");
        publish_many(&mut rig, a, 2..6, Q1);
        assert_eq!(rig.receive(b), ["t=2@1", "t=3@1"]);
        publish_many(&mut rig, a, 6..7, Q1);
        assert_eq!(rig.receive(b), ["t=6@1"]);
        assert_eq!(rig.counters().dropped_queue, 4);
        rig.keeps_only_retained(0);
    }
}

/// QoS 0 waits for nobody, unless it is told to; then it keeps its place.
fn qos_0_waits_if_it_is_told_to<S: Storage>(mut rig: Rig<S>) {
    let a = away(&mut rig, Q1);
    rig.publish(a, "t", "0", Q0);
    assert_eq!(rig.counters().dropped_qos0, 1);
    rig.restart(Options { queue_qos0: true, send_window: 1, queue: 20, ..Options::DEFAULT });
    let a = away(&mut rig, Q1);
    for number in 0..6 {
        rig.publish(a, "t", &number.to_string(), if number % 2 == 0 { Q0 } else { Q1 });
    }
    let b = rig.connect_kept("b");
    let got = rig.got(b);
    rig.publish(a, "t", "6", Q0);
    assert_eq!(got.iter().map(words).collect::<Vec<_>>(), ["t=0", "t=1@1", "t=2"]);
    rig.send(b, &[puback(ids(&got)[0])]);
    let got = rig.receive(b);
    assert_eq!(got, ["t=3@1", "t=4", "t=5@1", "t=6"], "none passes another");
    assert_eq!(rig.counters().dropped_qos0, 0);
    rig.keeps_only_retained(0);
}

/// One message is kept once, however many wait for it, and for as long as one does.
fn a_message_is_kept_once<S: Storage>(mut rig: Rig<S>) {
    let names = ["b", "c", "d", "e"];
    for name in names {
        let raw = rig.connect_kept(name);
        rig.subscribe(raw, "t", Q1);
        rig.cut(raw);
    }
    let a = rig.connect("a");
    rig.publish(a, "t", &"x".repeat(500), Q1);
    rig.keeps_only_retained(1);
    assert!(rig.broker.kept().1 < 600, "{:?}", rig.broker.kept());
    for name in names {
        rig.keeps_only_retained(1);
        let raw = rig.connect_kept(name);
        assert_eq!(rig.receive(raw).len(), 1);
    }
    rig.keeps_only_retained(0);
}

/// One client that does not read hurts nobody else, and costs no more than its share.
#[test]
fn a_stalled_subscriber_hurts_nobody() {
    let mut rig = Rig::<Heap>::new(V5);
    rig.restart(Options { queue: 10, send_window: 10, output_bytes: 1_000, ..Options::DEFAULT });
    let a = rig.connect("a");
    let stalled = rig.connect("stalled");
    rig.subscribe(stalled, "t", Q1);
    let others: Vec<_> = (0..9).map(|number| rig.connect(&format!("b{number}"))).collect();
    for raw in &others {
        rig.subscribe(*raw, "t", Q1);
    }
    rig.stall(stalled, true);
    for number in 0..200 {
        rig.publish(a, "t", &format!("{number}{}", "x".repeat(100)), QOS[number % 2]);
        for raw in &others {
            assert_eq!(rig.receive(*raw).len(), 1);
        }
        assert!(rig.broker.kept().0 <= 20, "{:?}", rig.broker.kept());
        let link = rig.link(stalled);
        assert!(rig.broker.output(link).len() <= 1_200);
    }
    let counters = rig.counters();
    assert!(counters.dropped_qos0 > 50 && counters.dropped_queue > 50, "{counters:?}");
    rig.stall(stalled, false);
    assert!(rig.receive(stalled).len() >= 20);
    rig.keeps_only_retained(0);
}

/// The answer to a message has its room, whatever was sent because of the message.
#[test]
fn a_client_that_hears_itself_is_answered() {
    for output_bytes in 40..120 {
        let mut rig = Rig::<Heap>::new(V311);
        rig.restart(Options { output_bytes, ..Options::DEFAULT });
        let a = rig.connect("a");
        rig.subscribe(a, "t", Q1);
        rig.stall(a, true);
        let mut sent = 0;
        for number in 1..=40 {
            sent = number;
            if rig.hand_in(a, &bytes(V311, &[message("t", "some words", Q1, number)]))
                == Input::Blocked
            {
                break;
            }
        }
        rig.stall(a, false);
        let said = rig.said(a);
        for number in 1..=sent {
            assert!(said.contains(&format!("PUBACK {number}")), "{output_bytes}: {said:?}");
        }
    }
}

on_every_kind! {
    EVERY => the_newest_gives_way, the_oldest_gives_way, what_is_in_flight_does_not_give_way,
        what_is_in_flight_does_not_count, the_connection_gives_way,
        the_will_of_a_connection_that_gives_way_is_published,
        a_publisher_that_gives_way_is_not_answered, nothing_waits_if_nothing_may,
        qos_0_waits_if_it_is_told_to;
}

/// Each broker keeps its own.
mod of_one {
    use super::*;

    on_both_storages! {
        EVERY => a_message_is_kept_once;
    }
}
