//! A shared subscription's queue: what no member has room for waits for the first who has.

use tamtam_core::broker::{Access, Rule, RulesId};

use crate::support::*;

const GROUP: &str = "$share/g/t";

fn publish_many<S: Storage>(rig: &mut Rig<S>, raw: Raw, range: core::ops::Range<u32>, qos: QoS) {
    for number in range {
        rig.publish(raw, "t", &number.to_string(), qos);
    }
}

/// A client that is away, and whoever publishes.
fn away<S: Storage>(rig: &mut Rig<S>) -> Raw {
    let b = rig.connect_kept("b");
    rig.subscribe(b, GROUP, Q2);
    rig.cut(b);
    rig.connect("a")
}

/// Nobody in particular: somebody who was no member when it came gets it, in order.
fn what_waits_is_for_whoever_comes<S: Storage>(mut rig: Rig<S>) {
    let a = away(&mut rig);
    publish_many(&mut rig, a, 0..4, Q1);
    publish_many(&mut rig, a, 4..6, Q2);
    rig.keeps_only_retained(6);
    let c = rig.connect_kept("c");
    rig.subscribe(c, GROUP, Q2);
    assert_eq!(rig.receive(c), ["t=0@1", "t=1@1", "t=2@1", "t=3@1", "t=4@2", "t=5@2"]);
    let b = rig.connect_kept("b");
    assert_eq!(rig.receive(b), [""; 0]);
    rig.keeps_only_retained(0);
}

/// Each is sent with the QoS of the member that gets it.
fn what_waits_is_sent_as_its_member_wants_it<S: Storage>(mut rig: Rig<S>) {
    let a = away(&mut rig);
    publish_many(&mut rig, a, 0..1, Q2);
    let c = rig.connect("c");
    rig.subscribe(c, GROUP, Q0);
    assert_eq!(rig.receive(c), ["t=0"]);
    rig.leave(c);
    publish_many(&mut rig, a, 1..2, Q2);
    let d = rig.connect("d");
    rig.subscribe(d, GROUP, Q1);
    assert_eq!(rig.receive(d), ["t=1@1"]);
    rig.keeps_only_retained(0);
}

fn what_waits_ends_with_the_last_member<S: Storage>(mut rig: Rig<S>) {
    let a = away(&mut rig);
    publish_many(&mut rig, a, 0..3, Q1);
    let before = rig.counters().dropped_session;
    let (b, _) = rig.connect_with(hello(rig.version, "b"));
    assert_eq!(rig.counters().dropped_session - before, 3);
    rig.keeps_only_retained(0);
    rig.subscribe(b, GROUP, Q1);
    assert_eq!(rig.said(b), [""; 0]);
}

fn at_qos_0_it_waits_only_where_that_is_wanted<S: Storage>(mut rig: Rig<S>) {
    for queue_qos0 in [false, true] {
        rig.restart(Options { queue_qos0, ..Options::DEFAULT });
        let a = away(&mut rig);
        publish_many(&mut rig, a, 0..2, Q0);
        let b = rig.connect_kept("b");
        let got = if queue_qos0 { vec!["t=0", "t=1"] } else { Vec::new() };
        assert_eq!(rig.receive(b), got);
        assert_eq!(rig.counters().dropped_qos0, if queue_qos0 { 0 } else { 2 });
        rig.keeps_only_retained(0);
    }
}

fn the_queue_has_its_bounds<S: Storage>(mut rig: Rig<S>) {
    for (queue_full, left) in [(QueueFull::DropNewest, 0), (QueueFull::DropOldest, 7)] {
        for (queue, queue_bytes) in [(3, usize::MAX), (100, 7)] {
            rig.restart(Options { queue, queue_bytes, queue_full, ..Options::DEFAULT });
            let a = away(&mut rig);
            publish_many(&mut rig, a, 0..10, Q1);
            assert_eq!(rig.counters().dropped_queue, 7);
            let b = rig.connect_kept("b");
            let expected: Vec<_> = (left..left + 3).map(|one| format!("t={one}@1")).collect();
            assert_eq!(rig.receive(b), expected);
            publish_many(&mut rig, a, 10..12, Q1);
            assert_eq!(rig.receive(b), ["t=10@1", "t=11@1"]);
            rig.keeps_only_retained(0);
        }
    }
}

fn what_expired_is_dropped<S: Storage>(mut rig: Rig<S>) {
    let a = away(&mut rig);
    let list = [Property::MessageExpiryInterval(1)];
    let properties = Properties::new(&list);
    rig.publish_with(a, Q1, Publish { properties, ..Publish::new(topic("t"), b"old") });
    rig.publish(a, "t", "new", Q1);
    rig.wait_ms(1_000);
    let b = rig.connect_kept("b");
    assert_eq!(rig.receive(b), ["t=new@1"]);
    assert_eq!(rig.counters().dropped_expired, 1);
    rig.keeps_only_retained(0);
}

/// What was sent at QoS 1 and not acknowledged is sent again while its session is there, and goes
/// to somebody else when that ends.
fn at_qos_1_it_goes_on_when_its_session_ends<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, GROUP, Q2);
    publish_many(&mut rig, a, 0..2, Q1);
    publish_many(&mut rig, a, 2..3, Q2);
    assert_eq!(rig.said(b), ["t=0@1", "t=1@1", "t=2@2"]);
    let c = rig.connect_kept("c");
    rig.subscribe(c, GROUP, Q1);
    rig.cut(b);
    assert_eq!(rig.said(c), [""; 0], "its session is there");
    let b = rig.connect_kept("b");
    let got = rig.got(b);
    assert_eq!(got.iter().map(words).collect::<Vec<_>>(), ["t=0@1*", "t=1@1*", "t=2@2*"]);
    rig.send(b, &[puback(ids(&got)[0])]);
    let before = rig.counters().dropped_session;
    let _ = rig.connect_with(hello(rig.version, "b")); // its session ends
    assert_eq!(rig.receive(c), ["t=1@1"]);
    assert_eq!(rig.counters().dropped_session - before, 1, "at QoS 2, to nobody");
    rig.keeps_only_retained(0);
}

/// A member of whom no session outlives the connection.
fn at_qos_1_it_goes_on_when_its_connection_ends<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, GROUP, Q1);
    publish_many(&mut rig, a, 0..3, Q1);
    assert_eq!(rig.said(b).len(), 3);
    let c = rig.connect_kept("c");
    rig.subscribe(c, GROUP, Q1);
    rig.cut(c);
    rig.cut(b);
    let c = rig.connect_kept("c");
    assert_eq!(rig.receive(c), ["t=0@1", "t=1@1", "t=2@1"]);
    rig.keeps_only_retained(0);
}

on_every_kind! {
    EVERY => what_waits_is_for_whoever_comes, what_waits_is_sent_as_its_member_wants_it,
        what_waits_ends_with_the_last_member, at_qos_0_it_waits_only_where_that_is_wanted,
        the_queue_has_its_bounds;
    [V5] => what_expired_is_dropped;
}

/// How far a client's window is open is not known at peers, nor what a session was sent before it
/// moved there.
mod of_one {
    use super::*;

    fn what_has_no_room_goes_to_whoever_makes_some<S: Storage>(mut rig: Rig<S>) {
        rig.restart(Options { send_window: 2, ..Options::DEFAULT });
        let a = rig.connect("a");
        let (b, c) = (rig.connect_kept("b"), rig.connect_kept("c"));
        rig.subscribe(b, GROUP, Q1);
        rig.subscribe(c, GROUP, Q1);
        publish_many(&mut rig, a, 0..8, Q1);
        assert_eq!(rig.broker.waiting_in_groups(), (4, 8));
        let (had, got) = (rig.got(b), rig.said(c));
        assert_eq!((had.len(), got.len()), (2, 2));
        rig.send(b, &[puback(ids(&had)[0])]);
        assert_eq!(rig.receive(b), ["t=4@1", "t=5@1", "t=6@1", "t=7@1"]);
        assert_eq!(rig.said(c), [""; 0]);
        assert_eq!(rig.broker.waiting_in_groups(), (0, 0));
    }

    /// Who has acknowledged more gets more.
    fn the_freest_window_comes_first<S: Storage>(mut rig: Rig<S>) {
        rig.restart(Options { send_window: 10, ..Options::DEFAULT });
        let a = rig.connect("a");
        let (b, c) = (rig.connect_kept("b"), rig.connect_kept("c"));
        rig.subscribe(b, GROUP, Q1);
        rig.subscribe(c, GROUP, Q1);
        publish_many(&mut rig, a, 0..8, Q1);
        assert_eq!(rig.said(b).len(), 4);
        assert_eq!(rig.receive(c).len(), 4);
        publish_many(&mut rig, a, 8..12, Q1);
        assert_eq!((rig.said(b).len(), rig.said(c).len()), (0, 4));
        publish_many(&mut rig, a, 12..14, Q1);
        assert_eq!((rig.said(b).len(), rig.said(c).len()), (1, 1));
    }

    /// A window of half the size is full as soon.
    fn windows_are_filled_alike<S: Storage>(mut rig: Rig<S>) {
        let a = rig.connect("a");
        let all = [4_u16, 8, 12].map(|most| {
            let most = core::num::NonZeroU16::new(most).expect("some");
            let list = [Property::ReceiveMaximum(most)];
            let name = format!("b{most}");
            let connect = Connect { properties: Properties::new(&list), ..hello(V5, &name) };
            let (raw, _) = rig.connect_with(connect);
            rig.subscribe(raw, GROUP, Q1);
            raw
        });
        publish_many(&mut rig, a, 0..12, Q1);
        assert_eq!(all.map(|raw| rig.said(raw).len()), [2, 4, 6]);
    }

    /// A member that does not read is no member to wait for.
    fn a_stalled_member_is_passed_by<S: Storage>(mut rig: Rig<S>) {
        rig.restart(Options { output_bytes: 600, ..Options::DEFAULT });
        let a = rig.connect("a");
        let (b, c) = (rig.connect_kept("b"), rig.connect_kept("c"));
        rig.subscribe(b, GROUP, Q1);
        rig.subscribe(c, GROUP, Q1);
        rig.stall(b, true);
        let payload = "x".repeat(100);
        let mut got = 0;
        for _ in 0..30 {
            rig.publish(a, "t", &payload, Q1);
            got += rig.receive(c).len();
        }
        rig.stall(b, false);
        got += rig.receive(b).len();
        assert_eq!(got, 30);
        assert_eq!(rig.counters().dropped_queue, 0);
    }

    fn who_may_not_read_it_is_passed_by<S: Storage>(mut rig: Rig<S>) {
        let none: [Rule<'_>; 0] = [];
        rig.broker.rules(RulesId(1), &none).expect("room");
        let reads = [Rule::allow("t", Access::Read)];
        rig.broker.rules(RulesId(2), &reads).expect("room");
        let a = rig.connect("a");
        let (b, c) = (rig.connect_kept("b"), rig.connect_kept("c"));
        rig.subscribe(b, GROUP, Q1);
        rig.subscribe(c, GROUP, Q1);
        rig.broker.entitle("b", Some(RulesId(1)), None);
        rig.broker.entitle("c", Some(RulesId(2)), None);
        publish_many(&mut rig, a, 0..3, Q1);
        assert_eq!((rig.said(b).len(), rig.receive(c).len()), (0, 3));
        rig.cut(c);
        publish_many(&mut rig, a, 3..5, Q1);
        assert_eq!(rig.said(b), [""; 0]);
        let c = rig.connect_kept("c");
        assert_eq!(rig.receive(c), ["t=3@1", "t=4@1"]);
        rig.broker.entitle("c", Some(RulesId(1)), None);
        publish_many(&mut rig, a, 5..6, Q1);
        assert_eq!(rig.counters().dropped_rights, 1);
        rig.keeps_only_retained(0);
    }

    on_both_storages! {
        EVERY => what_has_no_room_goes_to_whoever_makes_some, the_freest_window_comes_first,
            a_stalled_member_is_passed_by, who_may_not_read_it_is_passed_by,
            at_qos_1_it_goes_on_when_its_session_ends,
            at_qos_1_it_goes_on_when_its_connection_ends;
        [V5] => windows_are_filled_alike;
    }
    use super::{
        at_qos_1_it_goes_on_when_its_connection_ends, at_qos_1_it_goes_on_when_its_session_ends,
    };
}
