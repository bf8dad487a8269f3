//! Retained messages: the last word on a topic, for those who come later.

use crate::support::*;

// [MQTT5-3.3.1-5, MQTT5-3.3.1-8, MQTT5-3.3.1-9]
// [MQTT3-3.3.1-5, MQTT3-3.3.1-6, MQTT3-3.3.1-7, MQTT3-3.3.1-8, MQTT3-3.3.1-12]
fn the_last_message_is_kept<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    for (number, qos) in [Q1, Q2, Q0].into_iter().enumerate() {
        rig.retain(a, "t", &number.to_string(), qos);
        rig.publish(a, "t", "not this", Q1);
        let b = rig.connect("b");
        rig.subscribe(b, "t", Q2);
        let expected = ["t=0@1!", "t=1@2!", "t=2!"][number];
        assert_eq!(rig.receive(b), [expected], "with its own QoS, and RETAIN set");
        rig.leave(b);
        rig.keeps_only_retained(0);
    }
    assert_eq!(rig.retained_count(), 1);
}

// [MQTT5-3.3.1-6, MQTT5-3.3.1-7, MQTT3-3.3.1-10, MQTT3-3.3.1-11]
fn an_empty_message_takes_it_away<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "t/#", Q1);
    for name in ["t/1", "t/2", "t/1/2"] {
        rig.retain(a, name, "x", Q1);
    }
    rig.retain(a, "t/1", "", Q1);
    rig.retain(a, "t/1", "", Q0);
    rig.retain(a, "never/there", "", Q2);
    rig.publish(a, "t/2", "", Q1);
    let expected = ["t/1=x@1", "t/2=x@1", "t/1/2=x@1", "t/1=@1", "t/1=", "t/2=@1"];
    assert_eq!(rig.receive(b), expected, "delivered as usual");
    let c = rig.connect("c");
    rig.subscribe(c, "#", Q0);
    let mut got = rig.receive(c);
    got.sort();
    assert_eq!(got, ["t/1/2=x!", "t/2=x!"]);
    assert_eq!(rig.retained_count(), 2);
    rig.keeps_only_retained(0);
}

// What waits for the window is not sent any more once the topic retains something else.
fn it_does_not_come_behind_what_took_its_place<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { send_window: 1, ..Options::DEFAULT });
    let a = rig.connect("a");
    rig.retain(a, "t/1", "kept", Q1);
    rig.retain(a, "t/2", "old", Q1);
    let b = rig.connect("b");
    rig.subscribe(b, "t/1", Q1);
    rig.subscribe(b, "t/2", Q1);
    rig.retain(a, "t/2", "new", Q0); // it does not wait for the window
    rig.retain(a, "t/1", "", Q0);
    assert_eq!(rig.receive(b), ["t/1=kept@1!", "t/2=new", "t/1="]);
    rig.keeps_only_retained(0);
}

// [MQTT5-3.3.1-12, MQTT3-3.3.1-9]
fn who_is_subscribed_gets_it_as_any_other<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q2);
    for qos in QOS {
        rig.retain(a, "t", "x", qos);
    }
    assert_eq!(rig.receive(b), ["t=x", "t=x@1", "t=x@2"]);
    rig.cut(b);
    rig.retain(a, "t", "away", Q1);
    let b = rig.connect_kept("b");
    assert_eq!(rig.receive(b), ["t=away@1"]);
}

// [MQTT5-3.3.1-13]
fn who_wants_it_gets_retain_as_published<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe_with(b, Subscription { retain_as_published: true, ..sub("t") });
    rig.publish(a, "t", "1", Q0);
    rig.retain(a, "t", "2", Q1);
    assert_eq!(rig.receive(b), ["t=1", "t=2@1!"]);
    rig.cut(b);
    rig.retain(a, "t", "3", Q2);
    rig.publish(a, "t", "4", Q2);
    let b = rig.connect_kept("b");
    assert_eq!(rig.receive(b), ["t=3@2!", "t=4@2"]);
}

// [MQTT5-3.3.1-9, MQTT5-3.3.1-10, MQTT5-3.3.1-11]
fn a_subscription_says_whether_they_are_sent<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.retain(a, "t", "x", Q1);
    let b = rig.connect_kept("b");
    let want = |handling| Subscription { retain_handling: handling, ..sub("+").qos(Q1) };
    for (handling, new, again) in [
        (RetainHandling::Send, 1, 1),
        (RetainHandling::SendIfNew, 1, 0),
        (RetainHandling::DoNotSend, 0, 0),
    ] {
        rig.subscribe_with(b, want(handling));
        assert_eq!(rig.receive(b).len(), new, "{handling:?}");
        rig.subscribe_with(b, want(handling));
        assert_eq!(rig.receive(b).len(), again, "{handling:?}");
        rig.unsubscribe(b, &["+"]);
    }
    // A session that is gone on with has its subscriptions already.
    rig.subscribe_with(b, want(RetainHandling::DoNotSend));
    rig.cut(b);
    let b = rig.connect_kept("b");
    rig.subscribe_with(b, want(RetainHandling::SendIfNew));
    assert_eq!(rig.receive(b), [""; 0]);
}

/// Behind SUBACK, once for each filter that matches, with its identifier.
fn they_come_behind_the_answer<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.retain(a, "t/1", "x", Q1);
    let list = [sub("t/#").qos(Q0), sub("u/#"), sub("t/+").qos(Q1)];
    let (properties, subscriptions) = (Properties::EMPTY, Items::from(&list));
    rig.send(a, &[Packet::Subscribe(Subscribe { packet_id: id(9), properties, subscriptions })]);
    assert_eq!(rig.said(a), ["SUBACK", "t/1=x!", "t/1=x@1!"]);
}

fn filters_find_them<S: Storage>(mut rig: Rig<S>) {
    let topics = ["a", "a/b", "a/b/c", "b", "/a", "a/", "/", "a//b", "$x/a", "b/b"];
    let a = rig.connect("a");
    for name in topics {
        rig.retain(a, name, "x", Q0);
    }
    let filters = [
        "a",
        "a/b",
        "a/+",
        "a/#",
        "+",
        "+/b",
        "#",
        "+/+",
        "/a",
        "a/",
        "/+",
        "+/+/+",
        "a/+/b",
        "$x/#",
        "$x/+",
        "+/a",
        "a/b/c/#",
        "a/b/c/+",
        "nothing/#",
        "a/+/#",
    ];
    for pattern in filters {
        let b = rig.connect("b");
        rig.subscribe(b, pattern, Q0);
        let matching = topics.iter().filter(|name| filter(pattern).matches(topic(name)));
        let mut expected: Vec<_> = matching.map(|name| format!("{name}=x!")).collect();
        let mut got = rig.said(b);
        expected.sort();
        got.sort();
        assert_eq!(got, expected, "{pattern}");
        rig.leave(b);
    }
}

/// They keep to the window as other messages do.
fn they_keep_to_the_window<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { send_window: 4, ..Options::DEFAULT });
    let a = rig.connect("a");
    for number in 0..10 {
        rig.retain(a, &format!("t/{number}"), "x", Q1);
    }
    let b = rig.connect("b");
    rig.subscribe(b, "t/#", Q1);
    let got = rig.got(b);
    assert_eq!(got.len(), 4);
    for number in ids(&got) {
        rig.send(b, &[puback(number)]);
    }
    assert_eq!(rig.receive(b).len(), 6);
    rig.keeps_only_retained(0);
}

// [MQTT3-3.1.2-7]
fn they_outlive_their_publisher<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.retain(a, "t", "x", Q1);
    rig.leave(a);
    assert_eq!(rig.session_count(), 0);
    let b = rig.connect("b");
    rig.subscribe(b, "t", Q1);
    assert_eq!(rig.receive(b), ["t=x@1!"]);
}

fn there_are_only_so_many<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { retained: 3, ..Options::DEFAULT });
    let a = rig.connect("a");
    for number in 0..5 {
        rig.retain(a, &format!("t/{number}"), "x", Q1);
    }
    assert_eq!((rig.retained_count(), rig.counters().dropped_memory), (3, 2));
    rig.retain(a, "t/1", "replaced", Q1);
    rig.retain(a, "t/0", "", Q1);
    rig.retain(a, "t/4", "new", Q1);
    let b = rig.connect("b");
    rig.subscribe(b, "t/#", Q0);
    let mut got = rig.said(b);
    got.sort();
    assert_eq!(got, ["t/1=replaced!", "t/2=x!", "t/4=new!"]);
}

/// What is retained and what waits are one message: the one can go and the other stays.
fn a_message_that_waits_outlives_its_topic<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.retain(a, "t", "x", Q1);
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q1);
    rig.got(b);
    rig.cut(b);
    rig.retain(a, "t", "", Q0);
    let b = rig.connect_kept("b");
    assert_eq!(rig.receive(b), ["t=x@1!*"]);
    rig.keeps_only_retained(0);
}

#[test]
fn topics_come_and_go_in_the_same_room() {
    let mut rig = Rig::<Hub>::new(V5);
    let a = rig.connect("a");
    for round in 0..300 {
        let names = [format!("{round}/x/y"), format!("{round}/x"), format!("z/{round}")];
        for name in &names {
            rig.retain(a, name, &"x".repeat(round + 1), Q1);
        }
        assert_eq!(rig.retained_count(), 3);
        for name in &names {
            rig.retain(a, name, "", Q0);
        }
    }
    assert_eq!((rig.retained_count(), rig.broker.kept()), (0, (0, 0)));
    assert_eq!(rig.counters().dropped_memory, 0);
}

/// The session that published it is gone, but it is the same client.
// [MQTT5-3.8.3-3]
fn who_published_it_does_not_get_it_with_no_local<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.retain(a, "t/1", "mine", Q1);
    let w = Will { retain: true, ..will("t/2", "mine too") };
    let (other, _) = rig.connect_with(Connect { will: Some(w), ..hello(V5, "a") });
    rig.cut(other);
    let b = rig.connect("b");
    rig.retain(b, "t/3", "not mine", Q1);
    let a = rig.connect("a");
    rig.subscribe_with(a, Subscription { no_local: true, ..sub("t/+").qos(Q1) });
    assert_eq!(rig.receive(a), ["t/3=not mine@1!"]);
    rig.subscribe_with(b, Subscription { no_local: true, ..sub("t/+").qos(Q1) });
    assert_eq!(rig.receive(b), ["t/1=mine@1!", "t/2=mine too@1!"]);
}

on_every_kind! {
    EVERY => the_last_message_is_kept, an_empty_message_takes_it_away, filters_find_them,
        it_does_not_come_behind_what_took_its_place,
        who_is_subscribed_gets_it_as_any_other, they_keep_to_the_window,
        they_outlive_their_publisher, a_message_that_waits_outlives_its_topic;
    [V5] => who_wants_it_gets_retain_as_published, a_subscription_says_whether_they_are_sent,
        who_published_it_does_not_get_it_with_no_local;
}

/// Limits are of each broker; the answer may come behind, if peers have to confirm it.
mod of_one {
    use super::*;

    on_both_storages! {
        EVERY => they_come_behind_the_answer, there_are_only_so_many;
    }
}
