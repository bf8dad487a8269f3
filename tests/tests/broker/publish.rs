//! A message finds those who want it, and nobody else.

use crate::support::*;

// [MQTT5-3.8.4-8, MQTT3-3.8.4-6]
fn the_lower_qos_holds<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let granted = QOS.map(|qos| {
        let b = rig.connect(&format!("b{}", qos.level()));
        rig.subscribe(b, "t", qos);
        (b, qos)
    });
    for published in QOS {
        rig.publish(a, "t", "x", published);
        for (b, granted) in granted {
            let qos = ["t=x", "t=x@1", "t=x@2"][usize::from(granted.min(published).level())];
            assert_eq!(rig.receive(b), [qos]);
        }
    }
    assert_eq!((rig.counters().messages_in(), rig.counters().messages_out()), (3, 9));
    rig.keeps_only_retained(0);
}

// [MQTT5-3.3.2-3, MQTT3-3.3.2-3]
fn only_topics_that_match_are_sent<S: Storage>(mut rig: Rig<S>) {
    let filters = ["a", "a/b", "a/+", "a/#", "+", "+/b", "#", "+/+", "/a", "a/", "+/+/c"];
    let topics = ["a", "a/b", "a/b/c", "b", "/a", "a/", "/", "A", "aa", "a//b", "b/b"];
    let a = rig.connect("a");
    for pattern in filters {
        let b = rig.connect("b");
        rig.subscribe(b, pattern, Q0);
        for name in topics {
            rig.publish(a, name, "x", Q0);
        }
        let matching = topics.iter().filter(|name| filter(pattern).matches(topic(name)));
        let expected: Vec<_> = matching.map(|name| format!("{name}=x")).collect();
        assert_eq!(rig.said(b), expected, "{pattern}");
        rig.leave(b);
    }
}

// [MQTT5-4.7.2-1, MQTT3-4.7.2-1]
fn wildcards_pass_by_what_begins_with_a_dollar<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    let c = rig.connect("c");
    for pattern in ["#", "+/x", "+/#", "+"] {
        rig.subscribe(b, pattern, Q0);
    }
    for pattern in ["$app/#", "$app/+", "$app/x"] {
        rig.subscribe(c, pattern, Q0);
    }
    rig.publish(a, "$app/x", "1", Q0);
    rig.publish(a, "$app", "2", Q0);
    rig.retain(a, "$app/x", "3", Q0);
    assert_eq!(rig.said(b), [""; 0]);
    assert_eq!(rig.said(c), ["$app/x=1", "$app=2", "$app/x=3"]);
    rig.subscribe(b, "#", Q0);
    rig.subscribe(b, "+/x", Q0);
    assert_eq!(rig.said(b), [""; 0], "nor do retained ones come");
    rig.subscribe(b, "$app/+", Q0);
    assert_eq!(rig.said(b), ["$app/x=3!"]);
}

/// Names are compared byte by byte.
// [MQTT5-4.7.3-4, MQTT3-4.7.3-4]
fn names_are_taken_as_they_are<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "\u{e4}/ x/+", Q0);
    for name in ["\u{e4}/ x/y", "a\u{308}/ x/y", "\u{c4}/ x/y", "\u{e4}/x/y", "\u{e4}/ x/y/"] {
        rig.publish(a, name, "1", Q0);
    }
    assert_eq!(rig.said(b), ["\u{e4}/ x/y=1"]);
    rig.publish(a, "\u{e4}/ x/\u{feff} Y", "2", Q0);
    assert_eq!(rig.said(b), ["\u{e4}/ x/\u{feff} Y=2"]);
}

// [MQTT5-4.6.0-5, MQTT5-4.6.0-6, MQTT3-4.6.0-5, MQTT3-4.6.0-6]
fn what_one_client_publishes_keeps_its_order<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t/#", Q2);
    rig.subscribe(b, "t/1", Q2);
    let mut sent = [const { Vec::new() }; 3];
    for round in 0..8 {
        if round == 4 {
            rig.cut(b);
        }
        for qos in QOS {
            rig.publish(a, &format!("t/{}", round % 2), &round.to_string(), qos);
            sent[usize::from(qos.level())].push(round);
        }
    }
    let mut got: Vec<_> = rig.got(b).into_iter().collect();
    let b = rig.connect_kept("b");
    got.extend(rig.got(b));
    let of = |qos: QoS| -> Vec<i32> {
        let publishes = got.iter().filter_map(|packet| match packet {
            Packet::Publish(publish) if publish.delivery.qos() == qos => Some(publish.payload),
            _ => None,
        });
        let numbers = publishes.map(|payload| std::str::from_utf8(payload).expect("digits"));
        numbers.map(|number| number.parse().expect("a number")).collect()
    };
    assert_eq!((of(Q1), of(Q2)), ((0..8).collect(), (0..8).collect()));
    assert_eq!(of(Q0), [] as [i32; 0], "those in the output went with the connection");
}

fn the_publisher_is_told_that_nobody_wanted_it<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    for qos in [Q1, Q2] {
        assert_eq!(rig.publish(a, "t", "x", qos), ReasonCode::NoMatchingSubscribers);
    }
    rig.subscribe(a, "t", Q0);
    for qos in [Q1, Q2] {
        assert_eq!(rig.publish(a, "t", "x", qos), ReasonCode::Success);
    }
}

/// The broker's own topics; MQTT 3 can't say no, so it says yes.
// [MQTT3-3.3.5-2]
fn clients_do_not_publish_for_the_broker<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.subscribe(a, "$SYS/#", Q0);
    let told = if rig.version == V5 { ReasonCode::TopicNameInvalid } else { ReasonCode::Success };
    for qos in QOS {
        for name in ["$SYS/broker/uptime", "$SYS", "$SYS/"] {
            let reason = rig.retain(a, name, "forged", qos);
            assert_eq!(reason, if qos == Q0 { ReasonCode::Success } else { told });
        }
    }
    assert_eq!(rig.said(a), [""; 0]);
    assert_eq!(rig.retained_count(), 0);
    rig.retain(a, "$SYSTEM", "mine", Q1);
    assert_eq!(rig.retained_count(), 1);
    rig.broker.publish(topic("$SYS/broker/uptime"), b"7", Q0, true, rig.now);
    rig.turn();
    assert_eq!(rig.said(a), ["$SYS/broker/uptime=7"]);
}

/// DUP belongs to one hop.
// [MQTT5-3.3.1-3, MQTT3-3.3.1-3]
fn dup_is_not_passed_on<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "t", Q2);
    rig.send(a, &[again("t", "1", Q1, 1), again("t", "2", Q2, 2)]);
    assert_eq!(rig.receive(b), ["t=1@1", "t=2@2"]);
}

// [MQTT5-3.8.3-3]
fn a_message_does_not_come_back_to_its_publisher<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect_kept("a");
    let b = rig.connect("b");
    let own = Subscription { no_local: true, ..sub("t/#") };
    rig.subscribe_with(a, own);
    rig.subscribe_with(b, own);
    for qos in QOS {
        rig.publish(a, "t/1", "a", qos);
        rig.publish(b, "t/1", "b", qos);
    }
    assert_eq!(rig.receive(a), ["t/1=b", "t/1=b@1", "t/1=b@2"]);
    assert_eq!(rig.receive(b), ["t/1=a", "t/1=a@1", "t/1=a@2"]);
    // Another subscription that matches has no such wish.
    rig.subscribe(a, "t/1", Q0);
    rig.publish(a, "t/1", "a", Q1);
    assert_eq!(rig.receive(a), ["t/1=a"]);
    rig.broker.publish(topic("t/2"), b"host", Q0, false, rig.now);
    rig.turn();
    assert_eq!(
        (rig.said(a), rig.receive(b)),
        (vec!["t/2=host".into()], vec!["t/1=a@1".into(), "t/2=host".into()])
    );
}

// [MQTT5-3.8.3-3]
fn what_a_client_retained_does_not_come_back_either<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect_kept("a");
    rig.retain(a, "t/a", "a", Q1);
    let b = rig.connect("b");
    rig.retain(b, "t/b", "b", Q1);
    rig.subscribe_with(a, Subscription { no_local: true, ..sub("t/#") });
    assert_eq!(rig.receive(a), ["t/b=b@1!"]);
}

/// A message that is longer than what may wait for a connection is sent all the same.
#[test]
fn a_large_message_does_not_stop_a_session() {
    let mut rig = Rig::<Heap>::new(V5);
    rig.restart(Options { output_bytes: 1_000, ..Options::DEFAULT });
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "t", Q2);
    let large = "x".repeat(100_000);
    for qos in QOS {
        rig.publish(a, "t", &large, qos);
        rig.publish(a, "t", "small", qos);
    }
    let got = rig.receive(b);
    let lengths: Vec<_> = got.iter().map(String::len).collect();
    assert_eq!(lengths, [100_002, 7, 100_004, 9, 100_004, 9]);
    rig.keeps_only_retained(0);
}

/// On a storage that can't hold it, it is dropped for this client, and counted.
#[test]
fn a_message_for_which_there_never_is_room_is_dropped() {
    let mut rig = Rig::<Hub>::new(V311);
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "t", Q2);
    let large = "x".repeat(3_000);
    for qos in QOS {
        rig.publish(a, "t", &large, qos);
        rig.publish(a, "t", "small", qos);
    }
    assert_eq!(rig.receive(b), ["t=small", "t=small@1", "t=small@2"]);
    assert_eq!(rig.counters().dropped_too_large, 3);
    rig.keeps_only_retained(0);
}

on_every_kind! {
    EVERY => the_lower_qos_holds, only_topics_that_match_are_sent,
        wildcards_pass_by_what_begins_with_a_dollar, names_are_taken_as_they_are,
        what_one_client_publishes_keeps_its_order, dup_is_not_passed_on;
    [V5] => the_publisher_is_told_that_nobody_wanted_it,
        a_message_does_not_come_back_to_its_publisher,
        what_a_client_retained_does_not_come_back_either;
}

/// Topics of the broker's own stay there.
mod of_one {
    use super::*;

    on_both_storages! {
        EVERY => clients_do_not_publish_for_the_broker;
    }
}
