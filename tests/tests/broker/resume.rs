//! A session goes on with another connection: what is sent again, in which order, and how fast.

use core::num::NonZeroU16;

use crate::support::*;

/// A CONNECT of MQTT 5 for a session that is kept, with a window of this size.
fn window(size: u16) -> Connect<'static> {
    let size = NonZeroU16::new(size).expect("not 0");
    let list = [Property::SessionExpiryInterval(3_600), Property::ReceiveMaximum(size)];
    Connect { properties: Properties::new(Box::leak(Box::new(list))), ..kept(V5, "b") }
}

fn what_is_unsettled_goes_again_in_order<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q2);
    for (number, qos) in [Q1, Q2, Q1, Q2, Q2, Q1].into_iter().enumerate() {
        rig.publish(a, "t", &number.to_string(), qos);
    }
    let sent = ids(&rig.got(b));
    rig.send(b, &[puback(sent[2]), pubrec(sent[3]), pubrec(sent[1]), pubcomp(sent[1])]);
    rig.publish(a, "t", "6", Q1);
    rig.cut(b);
    rig.publish(a, "t", "7", Q2);
    for _ in 0..2 {
        let b = rig.connect_kept("b");
        let got = rig.got(b);
        let said: Vec<_> = got.iter().map(words).collect();
        let last = if said[5] == "t=7@2" { "t=7@2" } else { "t=7@2*" };
        let release = format!("PUBREL {}", sent[3]);
        assert_eq!(said, [&release, "t=0@1*", "t=4@2*", "t=5@1*", "t=6@1*", last]);
        assert_eq!(ids(&got)[..3], [sent[0], sent[4], sent[5]], "under their identifiers");
        rig.cut(b);
    }
    let b = rig.connect_kept("b");
    rig.receive(b);
    rig.keeps_only_retained(0);
}

fn nothing_goes_again_while_the_connection_lasts<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q2);
    rig.publish(a, "t", "1", Q1);
    rig.publish(a, "t", "2", Q2);
    let sent = ids(&rig.got(b));
    rig.send(b, &[pubrec(sent[1])]);
    rig.got(b);
    rig.wait_ms(1_000_000);
    rig.publish(a, "t", "3", Q0);
    rig.send(b, &[Packet::PingReq]);
    assert_eq!(rig.said(b), ["t=3", "PINGRESP"]);
}

/// A client may come back with a smaller window than it left with.
fn a_smaller_window_is_obeyed_on_resume<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let (b, _) = rig.connect_with(window(10));
    rig.subscribe(b, "t", Q2);
    for number in 0..6 {
        rig.publish(a, "t", &number.to_string(), if number < 2 { Q2 } else { Q1 });
    }
    let sent = ids(&rig.got(b));
    rig.send(b, &[pubrec(sent[1])]);
    rig.cut(b);
    let (b, _) = rig.connect_with(window(2));
    // One that waits for PUBCOMP takes a place of the window.
    assert_eq!(rig.said(b), [&format!("PUBREL {}", sent[1]), "t=0@2*"]);
    rig.send(b, &[pubcomp(sent[1])]);
    assert_eq!(rig.said(b), ["t=2@1*"]);
    rig.send(b, &[puback(sent[2]), puback(sent[2])]);
    assert_eq!(rig.said(b), ["t=3@1*"]);
    // Acknowledgements of what has not gone again are nobody's loss.
    rig.send(b, &[puback(sent[5])]);
    assert_eq!(rig.said(b), [""; 0]);
    rig.send(b, &[puback(sent[3]), pubrec(sent[0]), pubcomp(sent[0])]);
    assert_eq!(rig.said(b), ["t=4@1*", &format!("PUBREL {}", sent[0]), "t=5@1*"]);
    rig.send(b, &[puback(sent[4]), puback(sent[5])]);
    rig.keeps_only_retained(0);
}

/// The exchange that holds the window is over, and what it held back is sent.
fn a_release_ahead_of_the_window_is_settled<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let (b, _) = rig.connect_with(window(10));
    rig.subscribe(b, "t", Q2);
    for qos in [Q1, Q2, Q2] {
        rig.publish(a, "t", "x", qos);
    }
    let sent = ids(&rig.got(b));
    rig.send(b, &[pubrec(sent[1]), pubrec(sent[2])]);
    rig.cut(b);
    let (b, _) = rig.connect_with(window(1));
    let releases = [1, 2].map(|at| format!("PUBREL {}", sent[at]));
    assert_eq!(rig.said(b), releases, "they wait for no window");
    rig.send(b, &[pubcomp(sent[1])]);
    assert_eq!(rig.said(b), [""; 0]);
    rig.cut(b);
    let (b, _) = rig.connect_with(window(1));
    assert_eq!(rig.said(b), [format!("PUBREL {}", sent[2])]);
    rig.send(b, &[pubcomp(sent[2])]);
    assert_eq!(rig.receive(b), ["t=x@1*"]);
    rig.keeps_only_retained(0);
}

/// A PUBREC that was late is not answered with "not found": the message would be forgotten there,
/// and taken for new when it comes again.
fn a_pubrec_for_what_is_to_go_again_is_not_refused<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let (b, _) = rig.connect_with(window(10));
    rig.subscribe(b, "t", Q2);
    rig.publish(a, "t", "1", Q2);
    rig.publish(a, "t", "2", Q2);
    let sent = ids(&rig.got(b));
    rig.cut(b);
    let (b, _) = rig.connect_with(window(1));
    assert_eq!(rig.said(b), ["t=1@2*"]);
    rig.send(b, &[pubrec(sent[1])]);
    assert_eq!(rig.said(b), [""; 0]);
    rig.send(b, &[pubrec(sent[0]), pubcomp(sent[0]), pubrec(sent[1]), pubcomp(sent[1])]);
    let releases = [0, 1].map(|at| format!("PUBREL {}", sent[at]));
    assert_eq!(rig.said(b), [&releases[0], "t=2@2*", &releases[1]]);
    rig.keeps_only_retained(0);
}

/// More PUBRELs than the output holds: the rest follows when the client has read.
#[test]
fn many_releases_go_again_bit_by_bit() {
    tamtam_core::fixed! {
        struct Tight {
            out: 64, in_flight: 20, links: 2, sessions: 2, subscriptions: 2, levels: 4,
            level_bytes: 16, bodies: 40, body_bytes: 512, names: 32, queue: 40,
        }
    }
    let mut rig = Rig::<Tight>::new(V311);
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q2);
    for _ in 0..20 {
        rig.publish(a, "t", "x", Q2);
    }
    let sent = ids(&rig.got(b));
    assert_eq!(sent.len(), 20);
    for number in &sent {
        rig.send(b, &[pubrec(*number)]);
    }
    rig.cut(b);
    let b = rig.open();
    rig.stall(b, true);
    let connect = bytes(V311, &[Packet::Connect(kept(V311, "b"))]);
    assert_eq!(rig.hand_in(b, &connect), Input::More);
    rig.stall(b, false);
    let said = rig.said(b);
    assert_eq!(said[0], "CONNACK");
    assert_eq!(said[1..], sent.iter().map(|number| format!("PUBREL {number}")).collect::<Vec<_>>());
}

on_every_kind! {
    EVERY => what_is_unsettled_goes_again_in_order, nothing_goes_again_while_the_connection_lasts;
    [V5] => a_smaller_window_is_obeyed_on_resume, a_release_ahead_of_the_window_is_settled,
        a_pubrec_for_what_is_to_go_again_is_not_refused;
}
