//! A client that sends more than it may is slowed down, and nobody else; and what the bytes of
//! messages are limited to.

use crate::support::*;

fn messages_come_as_fast_as_they_may<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { message_rate: Some(10), ..Options::DEFAULT });
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "t", Q0);
    let many = vec![message("t", "x", Q0, 0); 25];
    rig.hand_in_all(a, &many);
    assert_eq!(rig.said(b).len(), 10, "those of a second may come at once");
    rig.publish(b, "t", "y", Q0);
    assert_eq!(rig.said(b), ["t=y"], "others are not slowed down");
    rig.wait_ms(499);
    assert_eq!(rig.said(b).len(), 4);
    rig.wait_ms(501);
    assert_eq!(rig.said(b).len(), 6);
    rig.wait_ms(10_000);
    assert_eq!(rig.said(b).len(), 5);
    rig.send(a, &[Packet::PingReq]);
    assert_eq!(rig.said(a), ["PINGRESP"]);
}

/// What waits for its second is no silence of the client's.
fn who_is_slowed_down_is_not_silent<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { message_rate: Some(1), ..Options::DEFAULT });
    let (a, _) = rig.connect_with(Connect { keep_alive: 2, ..hello(rig.version, "a") });
    rig.hand_in_all(a, &[message("t", "x", Q0, 0); 8]);
    for _ in 0..13 {
        rig.wait_ms(500);
    }
    assert!(!rig.is_closed(a));
    assert_eq!(rig.broker.counters().messages_in(), 7);
    for _ in 0..10 {
        rig.wait_ms(500);
    }
    assert!(rig.is_closed(a));
}

/// Bytes that wait for a session are limited, by the same policies as their number.
fn a_queue_has_only_so_many_bytes<S: Storage>(mut rig: Rig<S>) {
    for (policy, left) in [(QueueFull::DropNewest, "0"), (QueueFull::DropOldest, "1")] {
        let options = Options { queue_bytes: 301, queue_full: policy, ..Options::DEFAULT };
        rig.restart(options);
        let a = rig.connect_kept("a");
        rig.subscribe(a, "t", Q1);
        rig.cut(a);
        let b = rig.connect("b");
        for number in 0..3 {
            rig.publish(b, "t", &number.to_string().repeat(149), Q1);
        }
        assert_eq!(rig.broker.counters().dropped_queue, 1);
        let a = rig.connect_kept("a");
        let got = rig.receive(a);
        assert_eq!((got.len(), &got[0][2..3]), (2, left));
        // What was sent does not wait any more.
        rig.publish(b, "t", &"x".repeat(300), Q1);
        rig.publish(b, "t", "y", Q1);
        assert_eq!(rig.receive(a).len(), 2);
        assert_eq!(rig.broker.kept(), (0, 0));
    }
}

/// A limit of 0 is one: nothing waits, and what is sent at once is sent.
fn no_bytes_may_wait<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { queue_bytes: 0, ..Options::DEFAULT });
    let a = rig.connect_kept("a");
    rig.subscribe(a, "t", Q1);
    rig.publish(a, "t", "x", Q1);
    assert_eq!(rig.receive(a), ["t=x@1"]);
    rig.cut(a);
    let b = rig.connect("b");
    rig.publish(b, "t", "x", Q1);
    assert_eq!(rig.broker.counters().dropped_queue, 1);
}

/// The hardest policy: who does not keep up has no session any more.
fn a_full_queue_may_end_the_session<S: Storage>(mut rig: Rig<S>) {
    let options = Options { queue: 2, queue_full: QueueFull::EndSession, ..Options::DEFAULT };
    rig.restart(options);
    let b = rig.connect("b");
    let a = rig.connect_kept("a");
    rig.subscribe(a, "t", Q1);
    rig.cut(a);
    for _ in 0..3 {
        rig.publish(b, "t", "x", Q1);
    }
    rig.wait_ms(1);
    assert!(rig.broker.session_of("a").is_none());
    assert_eq!(rig.broker.kept(), (0, 0));
    assert_eq!(rig.broker.counters().dropped_session, 2);
    // Of one that is connected, the connection too.
    rig.restart(Options { send_window: 1, ..options });
    let b = rig.connect("b");
    let a = rig.connect_kept("a");
    rig.subscribe(a, "t", Q1);
    for _ in 0..4 {
        rig.publish(b, "t", "x", Q1);
    }
    rig.wait_ms(1);
    assert!(rig.is_closed(a) && !rig.is_closed(b));
    assert!(rig.broker.session_of("a").is_none());
}

fn retained_messages_have_only_so_many_bytes<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { retained_bytes: 100, ..Options::DEFAULT });
    let a = rig.connect("a");
    rig.retain(a, "1", &"x".repeat(49), Q1);
    rig.retain(a, "2", &"x".repeat(50), Q1);
    rig.retain(a, "2", &"x".repeat(49), Q1);
    assert_eq!((rig.broker.retained_count(), rig.broker.counters().dropped_memory), (2, 1));
    rig.retain(a, "1", &"y".repeat(40), Q1);
    rig.retain(a, "3", &"y".repeat(8), Q1);
    assert_eq!((rig.broker.retained_count(), rig.broker.kept().1), (3, 100));
    rig.retain(a, "1", "", Q1);
    rig.retain(a, "3", &"y".repeat(49), Q1);
    assert_eq!((rig.broker.retained_count(), rig.broker.kept().1), (2, 100));
}

on_both_storages! {
    EVERY => messages_come_as_fast_as_they_may, who_is_slowed_down_is_not_silent,
        a_queue_has_only_so_many_bytes, no_bytes_may_wait, a_full_queue_may_end_the_session,
        retained_messages_have_only_so_many_bytes;
}
