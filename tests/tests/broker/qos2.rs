//! QoS 2: a handshake of four packets, and never a second copy.

use core::num::NonZeroU16;

use crate::support::*;

fn a_message_is_routed_once_however_often_it_comes<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "t", Q0);
    rig.send(a, &[message("t", "1", Q2, 7), again("t", "1", Q2, 7), message("t", "2", Q2, 7)]);
    assert_eq!(rig.said(a), ["PUBREC 7"; 3]);
    assert_eq!(rig.said(b), ["t=1"]);
    rig.send(a, &[pubrel(7), pubrel(7)]);
    let unknown = if rig.version == V5 { "PUBCOMP 7 92" } else { "PUBCOMP 7" };
    assert_eq!(rig.said(a), ["PUBCOMP 7", unknown]);
    rig.send(a, &[message("t", "3", Q2, 7)]);
    assert_eq!((rig.said(a), rig.said(b)), (vec!["PUBREC 7".into()], vec!["t=3".into()]));
}

/// The identifier is the session's, not the connection's.
fn a_message_that_comes_again_later_is_known<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect_kept("a");
    let b = rig.connect("b");
    rig.subscribe(b, "t", Q0);
    rig.send(a, &[message("t", "1", Q2, 7), message("t", "2", Q2, 3)]);
    rig.cut(a);
    let a = rig.connect_kept("a");
    rig.send(a, &[again("t", "2", Q2, 3), again("t", "1", Q2, 7), pubrel(7)]);
    assert_eq!(rig.said(a), ["PUBREC 3", "PUBREC 7", "PUBCOMP 7"]);
    rig.cut(a);
    let a = rig.connect_kept("a");
    rig.send(a, &[again("t", "3", Q2, 7), again("t", "2", Q2, 3)]);
    assert_eq!(rig.said(b), ["t=1", "t=2", "t=3"]);
}

fn pubrecs_are_in_the_order_of_their_messages<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.subscribe(a, "other", Q0);
    let numbers = [9, 1, 5, 65_535];
    rig.send(a, &numbers.map(|number| message("other", "x", Q2, number)));
    let answers: Vec<_> = rig.said(a).into_iter().filter(|said| said != "other=x").collect();
    assert_eq!(answers, numbers.map(|number| format!("PUBREC {number}")));
}

/// A message that is refused is over: what comes under its identifier is new.
fn a_refusal_leaves_nothing<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.subscribe(a, "t", Q0);
    rig.send(a, &[message("$SYS/x", "1", Q2, 7), message("t", "2", Q2, 7)]);
    assert_eq!(rig.said(a), ["PUBREC 7 90", "t=2", "PUBREC 7"]);
}

/// A client that sends more than it may loses its connection, and nobody else does.
fn more_than_the_broker_takes_is_the_end<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { receive_maximum: 16, ..Options::DEFAULT });
    let a = rig.connect("a");
    for number in 1..=16 {
        rig.send(a, &[message("t", "x", Q2, number)]);
    }
    rig.send(a, &[again("t", "x", Q2, 2), message("t", "x", Q1, 99)]);
    rig.send_last(a, &[message("t", "x", Q2, 17)]);
    assert_eq!(rig.said(a).last().map(String::as_str), Some("DISCONNECT 93"));
}

/// It was not told how many it may send.
#[test]
fn an_older_client_sends_as_many_as_it_likes() {
    for version in BEFORE_5 {
        let mut rig = Rig::<Heap>::new(version);
        rig.restart(Options { receive_maximum: 3, ..Options::DEFAULT });
        let a = rig.connect("a");
        for number in 1..=5_000 {
            rig.send(a, &[message("t", "x", Q2, number)]);
        }
        assert_eq!(rig.said(a).len(), 5_000);
    }
}

fn each_step_is_taken_once<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q2);
    rig.publish(a, "t", "x", Q2);
    let number = ids(&rig.got(b))[0];
    rig.keeps_only_retained(1);
    rig.send(b, &[pubrec(number)]);
    assert_eq!(rig.said(b), [format!("PUBREL {number}")]);
    rig.keeps_only_retained(0);
    rig.send(b, &[pubrec(number)]);
    assert_eq!(rig.said(b), [format!("PUBREL {number}")], "once more is no harm");
    rig.send(b, &[pubcomp(number), pubcomp(number)]);
    assert_eq!(rig.said(b), [""; 0]);
    rig.send(b, &[pubrec(number)]);
    let unknown = if rig.version == V5 { " 92" } else { "" };
    assert_eq!(rig.said(b), [format!("PUBREL {number}{unknown}")]);
}

/// After PUBREC only PUBREL is sent again, and only after a loss of the connection.
fn what_was_received_is_never_sent_again<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q2);
    rig.publish(a, "t", "x", Q2);
    let number = ids(&rig.got(b))[0];
    rig.send(b, &[pubrec(number)]);
    for _ in 0..2 {
        rig.cut(b);
        let b = rig.connect_kept("b");
        assert_eq!(rig.said(b), [format!("PUBREL {number}")]);
        rig.cut(b);
    }
    let b = rig.connect_kept("b");
    rig.got(b);
    rig.send(b, &[pubcomp(number)]);
    rig.cut(b);
    let b = rig.connect_kept("b");
    assert_eq!(rig.said(b), [""; 0]);
}

/// A negative PUBREC ends the exchange: no PUBREL follows.
fn a_negative_pubrec_is_the_last_word<S: Storage>(mut rig: Rig<S>) {
    let size = Property::ReceiveMaximum(NonZeroU16::MIN);
    let list = [Property::SessionExpiryInterval(3_600), size];
    let connect = Connect { properties: Properties::new(&list), ..kept(V5, "b") };
    let a = rig.connect("a");
    let (b, _) = rig.connect_with(connect);
    rig.subscribe(b, "t", Q2);
    rig.publish(a, "t", "1", Q2);
    rig.publish(a, "t", "2", Q2);
    let number = ids(&rig.got(b))[0];
    let refusal = Ack::with_reason(id(number), ReasonCode::NotAuthorized);
    rig.send(b, &[Packet::PubRec(refusal)]);
    assert_eq!(rig.said(b), ["t=2@2"], "no PUBREL, and the window is open again");
    assert_eq!(rig.counters().dropped_refused, 1);
    rig.keeps_only_retained(1);
}

on_every_kind! {
    EVERY => a_message_is_routed_once_however_often_it_comes,
        a_message_that_comes_again_later_is_known, pubrecs_are_in_the_order_of_their_messages,
        each_step_is_taken_once, what_was_received_is_never_sent_again;
    [V5] => a_refusal_leaves_nothing, more_than_the_broker_takes_is_the_end,
        a_negative_pubrec_is_the_last_word;
}
