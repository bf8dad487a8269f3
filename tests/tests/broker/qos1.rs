//! QoS 1: acknowledged by PUBACK, and sent again until it is.

use core::num::NonZeroU16;

use crate::support::*;

fn with_window(version: Version, list: &[Property<'static>]) -> Connect<'static> {
    let properties = Properties::new(list.to_vec().leak());
    Connect { properties, ..kept(version, "b") }
}

fn window(size: u16) -> [Property<'static>; 2] {
    let size = NonZeroU16::new(size).expect("not 0");
    [Property::SessionExpiryInterval(3_600), Property::ReceiveMaximum(size)]
}

fn every_publish_is_acknowledged_in_order<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.subscribe(a, "other", Q0);
    let numbers = [3, 1, 2, 65_535, 1, 3];
    rig.send(a, &numbers.map(|number| message("t", "x", Q1, number)));
    let reason = if rig.version == V5 { " 10" } else { "" };
    assert_eq!(rig.said(a), numbers.map(|number| format!("PUBACK {number}{reason}")));
}

/// The identifier is free as soon as PUBACK has left: what comes under it is new, DUP or not.
fn the_same_identifier_again_is_a_new_message<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "t", Q1);
    rig.send(a, &[message("t", "1", Q1, 7), message("t", "2", Q1, 7), again("t", "2", Q1, 7)]);
    assert_eq!(rig.said(a), ["PUBACK 7"; 3]);
    assert_eq!(rig.receive(b), ["t=1@1", "t=2@1", "t=2@1"]);
}

// [MQTT5-2.2.1-4, MQTT3-2.3.1-4]
fn identifiers_in_use_are_not_used_again<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let (b, _) = rig.connect_with(kept(rig.version, "b"));
    rig.subscribe(b, "t", Q2);
    rig.publish(a, "t", "kept", Q1);
    let held = ids(&rig.got(b));
    assert_eq!(held.len(), 1);
    let mut seen = std::collections::HashSet::from([held[0]]);
    for round in 0..20 {
        rig.publish(a, "t", "x", if round % 2 == 0 { Q1 } else { Q2 });
        let number = ids(&rig.got(b))[0];
        assert!(number != 0 && seen.insert(number), "{number} is in use");
    }
    for number in seen {
        rig.send(b, &[puback(number), pubrec(number), pubcomp(number)]);
    }
    rig.got(b);
    rig.keeps_only_retained(0);
}

/// All 65,535 of them, and round again.
#[test]
fn identifiers_go_round() {
    let mut rig = Rig::<Heap>::new(V311);
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "t", Q1);
    let mut last = 0;
    for _ in 0..66_000 {
        rig.send(a, &[message("t", "x", Q1, 1)]);
        rig.got(a);
        let number = ids(&rig.got(b))[0];
        assert_eq!(number, if last == 65_535 { 1 } else { last + 1 });
        rig.send(b, &[puback(number)]);
        last = number;
    }
    rig.keeps_only_retained(0);
}

// [MQTT5-3.3.4-9, MQTT5-3.3.4-10]
fn no_more_are_sent_than_the_client_can_take<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let (b, _) = rig.connect_with(with_window(V5, &window(3)));
    rig.subscribe(b, "t", Q2);
    for (number, qos) in [Q1, Q2, Q1, Q2, Q1, Q1].into_iter().enumerate() {
        rig.publish(a, "t", &number.to_string(), qos);
    }
    rig.publish(a, "t", "now", Q0);
    let got = rig.got(b);
    let said: Vec<_> = got.iter().map(words).collect();
    assert_eq!(said, ["t=0@1", "t=1@2", "t=2@1", "t=now"], "QoS 0 does not count");
    let sent = ids(&got);
    // Everything else is answered though the window is closed.
    rig.send(b, &[Packet::PingReq, message("q", "x", Q2, 50), pubrel(50), pubrec(sent[1])]);
    let answers = rig.said(b);
    assert_eq!(answers[0], "PINGRESP");
    assert!(answers[3].starts_with("PUBREL"), "{answers:?}: PUBREC opens nothing");
    assert_eq!(answers.len(), 4);
    rig.send(b, &[pubcomp(sent[1])]);
    assert_eq!(rig.said(b), ["t=3@2"]);
    rig.send(b, &[puback(sent[2]), puback(sent[2])]);
    assert_eq!(rig.said(b), ["t=4@1"], "one PUBACK opens the window by one");
    rig.send(b, &[puback(sent[0]), puback(9_999)]);
    assert_eq!(rig.said(b), ["t=5@1"]);
    rig.keeps_only_retained(3);
}

/// It may be in the queue that the window makes.
fn the_window_never_opens_wider_than_it_was<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let (b, _) = rig.connect_with(with_window(V5, &window(2)));
    rig.subscribe(b, "t", Q1);
    rig.publish(a, "t", "0", Q1);
    let first = ids(&rig.got(b))[0];
    for _ in 0..5 {
        rig.send(b, &[puback(first)]);
    }
    for number in 1..5 {
        rig.publish(a, "t", &number.to_string(), Q1);
    }
    assert_eq!(rig.said(b), ["t=1@1", "t=2@1"]);
}

fn an_older_client_has_the_brokers_window<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { send_window: 2, ..Options::DEFAULT });
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q1);
    for number in 0..4 {
        rig.publish(a, "t", &number.to_string(), Q1);
    }
    let got = rig.got(b);
    assert_eq!(got.len(), 2);
    rig.send(b, &[puback(ids(&got)[0])]);
    assert_eq!(rig.said(b), ["t=2@1"]);
}

/// A message that the client refuses is over.
fn a_refusal_is_an_answer<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let (b, _) = rig.connect_with(with_window(V5, &window(1)));
    rig.subscribe(b, "t", Q1);
    rig.publish(a, "t", "1", Q1);
    rig.publish(a, "t", "2", Q1);
    let number = ids(&rig.got(b))[0];
    let refusal = Ack::with_reason(id(number), ReasonCode::QuotaExceeded);
    rig.send(b, &[Packet::PubAck(refusal)]);
    assert_eq!(rig.said(b), ["t=2@1"]);
    assert_eq!(rig.counters().dropped_refused, 1);
    rig.cut(b);
    let b = rig.connect_kept("b");
    assert_eq!(rig.receive(b), ["t=2@1*"], "never again");
}

/// Acknowledgements may come in any order.
fn a_later_message_may_be_acknowledged_first<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q1);
    for number in 0..5 {
        rig.publish(a, "t", &number.to_string(), Q1);
    }
    let sent = ids(&rig.got(b));
    rig.send(b, &[puback(sent[3]), puback(sent[1])]);
    rig.cut(b);
    let b = rig.connect_kept("b");
    assert_eq!(rig.receive(b), ["t=0@1*", "t=2@1*", "t=4@1*"]);
    rig.keeps_only_retained(0);
}

/// The wrong acknowledgement is nobody's loss.
fn an_acknowledgement_of_the_wrong_kind_settles_nothing<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q2);
    rig.publish(a, "t", "1", Q1);
    rig.publish(a, "t", "2", Q2);
    let sent = ids(&rig.got(b));
    rig.send(b, &[pubcomp(sent[0]), puback(sent[1]), pubcomp(sent[1])]);
    rig.got(b);
    rig.cut(b);
    let b = rig.connect_kept("b");
    assert_eq!(rig.receive(b), ["t=1@1*", "t=2@2*"]);
}

on_every_kind! {
    EVERY => every_publish_is_acknowledged_in_order, identifiers_in_use_are_not_used_again,
        the_same_identifier_again_is_a_new_message, a_later_message_may_be_acknowledged_first,
        an_acknowledgement_of_the_wrong_kind_settles_nothing;
    BEFORE_5 => an_older_client_has_the_brokers_window;
    [V5] => no_more_are_sent_than_the_client_can_take, a_refusal_is_an_answer,
        the_window_never_opens_wider_than_it_was;
}
