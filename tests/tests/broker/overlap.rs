//! Several subscriptions of one client match a message.

use crate::support::*;

// [MQTT5-3.3.4-2, MQTT3-3.3.5-1]
fn one_copy_comes_at_the_highest_qos<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "t/#", Q0);
    rig.subscribe(b, "t/+", Q2);
    rig.subscribe(b, "t/1", Q1);
    rig.subscribe(b, "u/#", Q1);
    rig.subscribe(b, "#", Q0);
    for qos in QOS {
        rig.publish(a, "t/1", "x", qos);
        rig.publish(a, "u/1", "y", qos);
    }
    let expected = ["t/1=x", "u/1=y", "t/1=x@1", "u/1=y@1", "t/1=x@2", "u/1=y@1"];
    assert_eq!(rig.receive(b), expected);
}

// [MQTT5-3.3.4-3, MQTT5-3.3.4-4, MQTT5-3.3.4-5]
fn a_copy_carries_every_identifier<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    for (pattern, number) in [("t/#", 1), ("t/+", 268_435_455), ("t/1", 0), ("#", 128), ("u", 3)] {
        rig.subscribe_as(b, sub(pattern).qos(Q2), number);
    }
    rig.subscribe_as(b, sub("$share/g/t/1").qos(Q1), 500);
    for qos in QOS {
        rig.publish(a, "t/1", "x", qos);
        let got = rig.got(b);
        let copies = got.iter().map(|packet| match packet {
            Packet::Publish(publish) => subscription_ids(publish),
            other => panic!("{other:?}"),
        });
        assert_eq!(copies.collect::<Vec<_>>(), [vec![1, 128, 268_435_455], vec![500]]);
    }
    rig.publish(a, "u", "x", Q0);
    assert_eq!(subscription_ids(&rig.message(b)), [3, 128]);
    let c = rig.connect("c");
    rig.subscribe(c, "t/1", Q0);
    rig.publish(a, "t/1", "x", Q0);
    assert_eq!(subscription_ids(&rig.message(c)), [0; 0]);
}

/// Identifiers wait with their message.
// [MQTT5-3.3.4-3]
fn identifiers_wait_with_their_message<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe_as(b, sub("t/#").qos(Q2), 1);
    rig.subscribe_as(b, sub("t/+").qos(Q2), 2);
    rig.cut(b);
    rig.publish(a, "t/1", "x", Q1);
    rig.publish(a, "t/1", "x", Q2);
    rig.publish(a, "t/1/2", "x", Q2);
    for dup in [false, true] {
        let b = rig.connect_kept("b");
        let got = rig.got(b);
        let copies = got.iter().map(|packet| match packet {
            Packet::Publish(one) => (subscription_ids(one), one.delivery.dup()),
            other => panic!("{other:?}"),
        });
        let expected = [(vec![1, 2], dup), (vec![1, 2], dup), (vec![1], dup)];
        assert_eq!(copies.collect::<Vec<_>>(), expected);
        rig.cut(b);
    }
    let b = rig.connect_kept("b");
    rig.receive(b);
    rig.keeps_only_retained(0);
}

/// However many there are.
// [MQTT5-3.3.4-4]
#[test]
fn a_copy_carries_a_hundred_identifiers() {
    let mut rig = Rig::<Heap>::new(V5);
    let b = rig.connect("b");
    let name = "0/1/2/3/4/5/6";
    for number in 0..100 {
        let levels = name.split('/').enumerate();
        let level = |(at, text): (usize, &'static str)| {
            if number >> at & 1 == 0 { text } else { "+" }
        };
        let pattern: Vec<_> = levels.map(level).collect();
        rig.subscribe_as(b, sub(&pattern.join("/")).qos(Q1), number + 1);
    }
    for qos in [Q0, Q1] {
        rig.publish(b, name, "x", qos);
        assert_eq!(subscription_ids(&rig.message(b)), (1..=100).collect::<Vec<_>>());
    }
}

// [MQTT5-3.3.1-13]
fn one_wish_for_retain_is_enough<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "t/#", Q1);
    rig.subscribe_with(b, Subscription { retain_as_published: true, ..sub("t/+").qos(Q0) });
    rig.retain(a, "t/1", "x", Q1);
    assert_eq!(rig.receive(b), ["t/1=x@1!"]);
}

/// No Local of one subscription does not bind another.
// [MQTT5-3.8.3-3]
fn only_the_subscriptions_that_want_it_count<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.subscribe_as(a, Subscription { no_local: true, ..sub("t/#").qos(Q2) }, 1);
    rig.subscribe_as(a, sub("t/+").qos(Q0), 2);
    rig.publish(a, "t/1", "x", Q2);
    let publish = rig.message(a);
    assert_eq!((publish.delivery.qos(), subscription_ids(&publish)), (Q0, vec![2]));
}

on_every_kind! {
    EVERY => one_copy_comes_at_the_highest_qos;
    [V5] => a_copy_carries_every_identifier, identifiers_wait_with_their_message,
        one_wish_for_retain_is_enough, only_the_subscriptions_that_want_it_count;
}
