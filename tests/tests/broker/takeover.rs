//! A client connects while it is connected: one connection for each client.

use crate::support::*;

// [MQTT5-3.1.4-3, MQTT3-3.1.4-2]
fn the_older_connection_ends<S: Storage>(mut rig: Rig<S>) {
    let old = rig.connect_kept("a");
    rig.subscribe(old, "t", Q1);
    rig.events();
    let (new, connack) = rig.connect_with(kept(rig.version, "a"));
    assert_eq!(connack.session_present, rig.version != V31);
    assert_eq!(rig.said(old), if rig.version == V5 { &["DISCONNECT 8E"][..] } else { &[] });
    assert!(rig.is_closed(old));
    let why = Ended::Refused(ReasonCode::SessionTakenOver);
    let ended = Event::Disconnected { link: rig.link(old), why };
    let connected = Event::Connected { link: rig.link(new), session_present: true };
    assert_eq!(rig.events(), [ended, connected]);
    let b = rig.connect("b");
    rig.publish(b, "t", "x", Q1);
    assert_eq!((rig.receive(new), rig.said(old)), (vec!["t=x@1".to_owned()], vec![]));
    assert_eq!(rig.session_count(), 2);
}

/// What a host has read of a connection that was taken over does nothing any more.
fn the_older_connection_has_no_say<S: Storage>(mut rig: Rig<S>) {
    let old = rig.connect_kept("a");
    rig.stall(old, true);
    let new = rig.connect_kept("a");
    let late = [message("t", "x", Q1, 1), disconnect(ReasonCode::NORMAL_DISCONNECTION)];
    assert_eq!(rig.hand_in(old, &bytes(rig.version, &late)), Input::Close);
    rig.cut(old);
    assert!(!rig.is_closed(new));
    assert_eq!(rig.counters().messages_in(), 0);
    assert_eq!(rig.hand_in(old, b"\xc0\x00"), Input::Close);
    rig.send(new, &[Packet::PingReq]);
    assert_eq!(rig.said(new), ["PINGRESP"]);
}

/// A session that would have ended with its connection does.
// [MQTT5-3.2.2-3]
fn a_session_that_is_not_kept_ends_at_a_takeover<S: Storage>(mut rig: Rig<S>) {
    let old = rig.connect("a");
    rig.subscribe(old, "t", Q1);
    let (_, connack) = rig.connect_with(kept(rig.version, "a"));
    assert!(!connack.session_present);
    assert_eq!((rig.session_count(), rig.subscription_count()), (1, 0));
}

/// The network failed for the older connection, as far as anybody can know.
// [MQTT5-3.1.2-8, MQTT3-3.1.2-8]
fn the_will_of_the_older_connection_is_published<S: Storage>(mut rig: Rig<S>) {
    let b = rig.connect("b");
    rig.subscribe(b, "w", Q1);
    for clean in [true, false] {
        let first = kept(rig.version, "a");
        rig.connect_with(Connect { will: Some(will("w", "gone")), ..first });
        rig.connect_with(Connect { clean_start: clean, ..first });
        assert_eq!(rig.receive(b), ["w=gone@1"]);
        rig.keeps_only_retained(0);
    }
}

// [MQTT5-3.1.3-9]
fn a_will_with_a_delay_is_not_published_if_the_session_goes_on<S: Storage>(mut rig: Rig<S>) {
    let b = rig.connect("b");
    rig.subscribe(b, "w", Q1);
    let list = [Property::WillDelayInterval(5)];
    let delayed = Will { properties: Properties::new(&list), ..will("w", "gone") };
    let first = Connect { will: Some(delayed), ..kept(V5, "a") };
    rig.connect_with(first);
    rig.connect_with(kept(V5, "a"));
    rig.wait_ms(10_000);
    assert_eq!(rig.receive(b), [""; 0]);
    rig.keeps_only_retained(0);
    // The end of the session does not wait for the delay.
    rig.connect_with(first);
    rig.connect_with(Connect { clean_start: true, ..kept(V5, "a") });
    assert_eq!(rig.receive(b), ["w=gone@1"]);
}

/// What was on its way goes on the new connection.
fn what_was_unsettled_is_sent_again<S: Storage>(mut rig: Rig<S>) {
    let old = rig.connect_kept("a");
    rig.subscribe(old, "t", Q2);
    let b = rig.connect("b");
    rig.publish(b, "t", "1", Q1);
    rig.publish(b, "t", "2", Q2);
    rig.publish(b, "t", "3", Q2);
    let sent = ids(&rig.got(old));
    rig.send(old, &[pubrec(sent[1])]);
    let new = rig.connect_kept("a");
    let got = rig.got(new);
    let said: Vec<_> = got.iter().map(words).collect();
    assert_eq!(said, [&format!("PUBREL {}", sent[1]), "t=1@1*", "t=3@2*"]);
    assert_eq!(ids(&got), [sent[0], sent[2]]);
}

#[test]
fn a_client_that_takes_itself_over_again_and_again_leaves_nothing() {
    let mut rig = Rig::<Hub>::new(V5);
    for _ in 0..100 {
        let connect = Connect { will: Some(will("w", "gone")), ..kept(V5, "a") };
        let (raw, _) = rig.connect_with(connect);
        rig.receive(raw);
        rig.subscribe(raw, "w", Q1);
    }
    assert_eq!((rig.session_count(), rig.subscription_count()), (1, 1));
    rig.keeps_only_retained(1);
}

on_every_kind! {
    EVERY => the_older_connection_ends, the_older_connection_has_no_say,
        a_session_that_is_not_kept_ends_at_a_takeover,
        the_will_of_the_older_connection_is_published, what_was_unsettled_is_sent_again;
    [V5] => a_will_with_a_delay_is_not_published_if_the_session_goes_on;
}
