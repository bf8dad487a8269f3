//! Wills: what a client leaves to be said if its connection is lost.

use crate::support::*;

/// A client with a will, and another that waits for it.
fn testator<S: Storage>(rig: &mut Rig<S>, connect: Connect<'_>) -> (Raw, Raw) {
    let b = rig.connect("b");
    rig.subscribe(b, "w", Q2);
    (rig.connect_with(connect).0, b)
}

/// A will that waits for so many seconds.
fn delayed(list: &[Property<'static>]) -> Will<'static> {
    Will { properties: Properties::new(list.to_vec().leak()), ..will("w", "gone") }
}

// [MQTT5-3.1.2-7, MQTT5-3.1.2-8, MQTT3-3.1.2-8]
fn a_lost_connection_has_its_will<S: Storage>(mut rig: Rig<S>) {
    for qos in QOS {
        let mine = Will { qos, ..will("w", "gone") };
        let connect = Connect { will: Some(mine), ..hello(rig.version, "a") };
        let (a, b) = testator(&mut rig, connect);
        rig.keeps_only_retained(1);
        assert_eq!(rig.said(b), [""; 0]);
        rig.cut(a);
        let expected = ["w=gone", "w=gone@1", "w=gone@2"][usize::from(qos.level())];
        assert_eq!(rig.receive(b), [expected]);
        rig.keeps_only_retained(0);
        rig.leave(b);
    }
}

// [MQTT5-3.1.2-10, MQTT5-3.14.4-3, MQTT3-3.1.2-10, MQTT3-3.14.4-3]
fn a_goodbye_takes_it_away<S: Storage>(mut rig: Rig<S>) {
    for first in [hello(rig.version, "a"), kept(rig.version, "a")] {
        let connect = Connect { will: Some(will("w", "gone")), ..first };
        let (a, b) = testator(&mut rig, connect);
        rig.leave(a);
        assert_eq!(rig.said(a), [""; 0], "nothing is behind a DISCONNECT");
        rig.wait_ms(1_000_000);
        let again = rig.connect_kept("a");
        rig.cut(again);
        assert_eq!(rig.said(b), [""; 0]);
        rig.keeps_only_retained(0);
        rig.leave(b);
    }
}

// [MQTT3-3.1.2-12]
fn without_a_will_nothing_is_said<S: Storage>(mut rig: Rig<S>) {
    let connect = hello(rig.version, "a");
    let (a, b) = testator(&mut rig, connect);
    rig.cut(a);
    assert_eq!(rig.said(b), [""; 0]);
}

/// A client that does what it must not loses its connection as any other.
// [MQTT5-3.1.2-8, MQTT3-3.1.2-8]
fn the_brokers_own_close_is_a_loss_too<S: Storage>(mut rig: Rig<S>) {
    let connect = Connect { will: Some(will("w", "gone")), ..hello(rig.version, "a") };
    let (a, b) = testator(&mut rig, connect);
    rig.send_last_bytes(a, b"\x30\x03\x00\x01#");
    assert_eq!(rig.receive(b), ["w=gone@1"]);
}

// [MQTT5-3.1.2-10, MQTT3-3.1.2-10]
fn a_will_is_published_once<S: Storage>(mut rig: Rig<S>) {
    let connect = Connect { will: Some(will("w", "gone")), ..kept(rig.version, "a") };
    let (a, b) = testator(&mut rig, connect);
    rig.cut(a);
    assert_eq!(rig.receive(b), ["w=gone@1"]);
    rig.wait_ms(10_000_000);
    let a = rig.connect_kept("a");
    rig.cut(a);
    let a = rig.connect("a");
    rig.cut(a);
    assert_eq!(rig.said(b), [""; 0]);
}

// [MQTT5-3.1.2-14, MQTT5-3.1.2-15, MQTT3-3.1.2-16, MQTT3-3.1.2-17]
fn a_will_can_be_retained<S: Storage>(mut rig: Rig<S>) {
    for retain in [false, true] {
        let mine = Will { retain, ..will("w", "gone") };
        let connect = Connect { will: Some(mine), ..hello(rig.version, "a") };
        let (a, b) = testator(&mut rig, connect);
        assert_eq!(rig.retained_count(), 0);
        rig.cut(a);
        assert_eq!(rig.receive(b), ["w=gone@1"]);
        assert_eq!(rig.retained_count(), usize::from(retain));
        rig.subscribe(b, "+", Q1);
        let expected: &[&str] = if retain { &["w=gone@1!"] } else { &[] };
        assert_eq!(rig.receive(b), expected);
        rig.keeps_only_retained(0);
        rig.leave(b);
    }
}

/// A will without a payload takes away what is retained.
fn an_empty_will_is_a_message_too<S: Storage>(mut rig: Rig<S>) {
    let mine = Will { retain: true, ..will("w", "") };
    let connect = Connect { will: Some(mine), ..hello(rig.version, "a") };
    let (a, b) = testator(&mut rig, connect);
    rig.retain(b, "w", "here", Q1);
    rig.receive(b);
    rig.cut(a);
    assert_eq!((rig.receive(b), rig.retained_count()), (vec!["w=@1".into()], 0));
}

/// A new connection has its own will, or none.
fn each_connection_has_its_own<S: Storage>(mut rig: Rig<S>) {
    let first = kept(rig.version, "a");
    let (a, b) = testator(&mut rig, Connect { will: Some(will("w", "first")), ..first });
    rig.leave(a);
    let (a, _) = rig.connect_with(Connect { will: Some(will("w", "second")), ..first });
    rig.cut(a);
    let (a, _) = rig.connect_with(first);
    rig.cut(a);
    assert_eq!(rig.receive(b), ["w=second@1"]);
    rig.keeps_only_retained(0);
}

// [MQTT5-3.14.4-3]
fn a_goodbye_may_ask_for_it<S: Storage>(mut rig: Rig<S>) {
    let reasons = [ReasonCode::DisconnectWithWill, ReasonCode::UnspecifiedError];
    for reason in reasons {
        let connect = Connect { will: Some(will("w", "gone")), ..hello(V5, "a") };
        let (a, b) = testator(&mut rig, connect);
        rig.send_last(a, &[disconnect(reason)]);
        assert_eq!(rig.receive(b), ["w=gone@1"]);
        rig.leave(b);
    }
}

// [MQTT5-3.1.2-8, MQTT5-3.1.3-9]
fn a_will_can_wait<S: Storage>(mut rig: Rig<S>) {
    let mine = Some(delayed(&[Property::WillDelayInterval(10)]));
    let connect = Connect { will: mine, ..kept(V5, "a") };
    let (a, b) = testator(&mut rig, connect);
    rig.cut(a);
    rig.wait_ms(9_999);
    assert_eq!(rig.said(b), [""; 0]);
    rig.wait_ms(1);
    assert_eq!(rig.receive(b), ["w=gone@1"]);
    assert_eq!(rig.session_count(), 2, "the session stays");
    // Whoever comes back in time takes it away.
    let (a, _) = rig.connect_with(connect);
    rig.cut(a);
    rig.wait_ms(9_999);
    let (a, _) = rig.connect_with(Connect { will: None, ..connect });
    rig.wait_ms(60_000);
    rig.cut(a);
    rig.wait_ms(60_000);
    assert_eq!(rig.said(b), [""; 0]);
    rig.keeps_only_retained(0);
}

/// The host may be late with its news of the time.
// [MQTT5-3.1.3-9]
fn a_will_that_was_due_is_not_taken_away<S: Storage>(mut rig: Rig<S>) {
    let mine = Some(delayed(&[Property::WillDelayInterval(10)]));
    let connect = Connect { will: mine, ..kept(V5, "a") };
    let (a, b) = testator(&mut rig, connect);
    rig.cut(a);
    rig.pass_ms(10_000);
    rig.connect_with(Connect { will: None, ..connect });
    assert_eq!(rig.receive(b), ["w=gone@1"]);
}

/// The end of the session does not wait for the delay.
// [MQTT5-3.1.2-8]
fn a_will_waits_no_longer_than_its_session<S: Storage>(mut rig: Rig<S>) {
    let mine = Some(delayed(&[Property::WillDelayInterval(10)]));
    for (expiry, due) in [(0, 0), (5, 5_000), (10, 10_000), (20, 10_000), (u32::MAX, 10_000)] {
        let list = [Property::SessionExpiryInterval(expiry)];
        let properties = Properties::new(&list);
        let connect = Connect { will: mine, properties, ..hello(V5, "a") };
        let (a, b) = testator(&mut rig, connect);
        rig.cut(a);
        if due > 0 {
            rig.wait_ms(due - 1);
            assert_eq!(rig.said(b), [""; 0], "{expiry}");
            rig.wait_ms(1);
        }
        assert_eq!(rig.receive(b), ["w=gone@1"], "{expiry}");
        rig.wait_ms(60_000);
        assert_eq!(rig.said(b), [""; 0]);
        rig.leave(b);
        rig.connect("a");
    }
}

/// A clean start ends the session, and with it the wait.
// [MQTT5-3.1.2-8]
fn a_clean_start_ends_the_wait<S: Storage>(mut rig: Rig<S>) {
    let mine = Some(delayed(&[Property::WillDelayInterval(10)]));
    let connect = Connect { will: mine, ..kept(V5, "a") };
    let (a, b) = testator(&mut rig, connect);
    rig.cut(a);
    rig.connect("a");
    assert_eq!(rig.receive(b), ["w=gone@1"]);
    rig.keeps_only_retained(0);
}

/// A client's own subscription gets its will, if the session is there to get it.
fn a_client_may_hear_its_own_will<S: Storage>(mut rig: Rig<S>) {
    let connect = Connect { will: Some(will("w", "gone")), ..kept(rig.version, "a") };
    let (a, _) = rig.connect_with(connect);
    rig.subscribe(a, "w", Q1);
    rig.cut(a);
    let a = rig.connect_kept("a");
    assert_eq!(rig.receive(a), ["w=gone@1"]);
}

on_every_kind! {
    EVERY => a_lost_connection_has_its_will, a_goodbye_takes_it_away,
        without_a_will_nothing_is_said, the_brokers_own_close_is_a_loss_too,
        a_will_is_published_once, a_will_can_be_retained, an_empty_will_is_a_message_too,
        each_connection_has_its_own, a_client_may_hear_its_own_will;
    [V5] => a_goodbye_may_ask_for_it, a_will_can_wait, a_will_that_was_due_is_not_taken_away,
        a_will_waits_no_longer_than_its_session, a_clean_start_ends_the_wait;
}
