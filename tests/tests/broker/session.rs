//! What a session keeps, for how long, and what ends it.

use crate::support::*;

/// A CONNECT of MQTT 5 for a session that is kept for so long.
fn for_secs<'a>(client_id: &'a str, list: &'a [Property<'a>]) -> Connect<'a> {
    Connect { clean_start: false, properties: Properties::new(list), ..hello(V5, client_id) }
}

// [MQTT5-3.1.2-5, MQTT5-3.1.4-4, MQTT5-3.2.2-3, MQTT3-3.1.4-3, MQTT3-3.2.2-2]
// [MQTT5-4.5.0-1, MQTT3-4.5.0-1, MQTT3-3.1.2-5]
fn a_kept_session_is_gone_on_with<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect_kept("a");
    rig.subscribe(a, "t", Q2);
    rig.cut(a);
    let b = rig.connect("b");
    for qos in QOS {
        rig.publish(b, "t", "away", qos);
    }
    rig.events();
    let (a, connack) = rig.connect_with(kept(rig.version, "a"));
    assert_eq!(connack.session_present, rig.version != V31, "3.1 can't say it");
    let connected = Event::Connected { link: rig.link(a), session_present: true };
    assert_eq!(rig.events(), [connected]);
    assert_eq!(rig.receive(a), ["t=away@1", "t=away@2"], "QoS 0 does not wait");
    rig.publish(b, "t", "here", Q0);
    assert_eq!(rig.receive(a), ["t=here"], "and what it subscribed to");
    assert_eq!(rig.counters().dropped_qos0, 1);
    rig.keeps_only_retained(0);
}

// [MQTT5-3.1.4-4, MQTT3-3.1.4-3, MQTT5-3.2.2-2, MQTT3-3.2.2-1, MQTT3-3.1.2-7]
fn a_clean_start_leaves_nothing_of_it<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect_kept("a");
    rig.subscribe(a, "t", Q2);
    rig.send(a, &[message("q", "x", Q2, 9)]);
    rig.retain(a, "r", "retained", Q1);
    rig.cut(a);
    let b = rig.connect("b");
    rig.publish(b, "t", "away", Q1);
    rig.publish(b, "t", "away", Q2);
    let (a, connack) = rig.connect_with(hello(rig.version, "a"));
    assert!(!connack.session_present);
    rig.publish(b, "t", "x", Q2);
    assert_eq!(rig.said(a), [""; 0], "no queue and no subscription");
    assert_eq!(rig.counters().dropped_session, 2);
    let unknown = if rig.version == V5 { "PUBCOMP 9 92" } else { "PUBCOMP 9" };
    rig.send(a, &[pubrel(9)]);
    assert_eq!(rig.said(a), [unknown], "and no packet identifier");
    assert_eq!((rig.retained_count(), rig.subscription_count()), (1, 0));
    rig.keeps_only_retained(0);
}

// [MQTT5-4.1.0-2]
fn a_session_that_is_not_kept_ends_with_the_connection<S: Storage>(mut rig: Rig<S>) {
    for goodbye in [true, false] {
        let a = rig.connect("a");
        rig.subscribe(a, "t", Q1);
        rig.subscribe(a, "$share/g/t", Q1);
        let b = rig.connect("b");
        rig.publish(b, "t", "x", Q1);
        assert_eq!(rig.said(a).len(), 2);
        if goodbye {
            rig.leave(a);
        } else {
            rig.cut(a);
        }
        assert_eq!((rig.session_count(), rig.subscription_count()), (1, 0));
        rig.keeps_only_retained(0);
        let (a, connack) = rig.connect_with(kept(rig.version, "a"));
        assert!(!connack.session_present);
        let clean = Connect { will: None, ..hello(rig.version, "a") };
        rig.connect_with(clean);
        assert!(rig.is_closed(a));
        rig.leave(b);
    }
}

// [MQTT5-4.1.0-2]
fn a_session_ends_when_its_time_has_passed<S: Storage>(mut rig: Rig<S>) {
    let list = [Property::SessionExpiryInterval(10)];
    let (a, _) = rig.connect_with(for_secs("a", &list));
    rig.subscribe(a, "t", Q1);
    rig.wait_ms(60_000);
    assert!(!rig.is_closed(a), "not while it is connected");
    rig.cut(a);
    let b = rig.connect("b");
    rig.publish(b, "t", "x", Q1);
    rig.wait_ms(9_999);
    assert_eq!(rig.session_count(), 2);
    let due = rig.poll_timeout().expect("a session that ends");
    assert_eq!(due.millis_since(rig.now), 1);
    rig.wait_ms(1);
    assert_eq!((rig.session_count(), rig.subscription_count()), (1, 0));
    rig.keeps_only_retained(0);
    assert!(!rig.connect_with(for_secs("a", &list)).1.session_present);
}

/// The host may be late with its news of the time.
// [MQTT5-4.1.0-2]
fn a_session_whose_time_has_passed_is_not_gone_on_with<S: Storage>(mut rig: Rig<S>) {
    let list = [Property::SessionExpiryInterval(10)];
    let (a, _) = rig.connect_with(for_secs("a", &list));
    rig.cut(a);
    rig.pass_ms(10_000);
    assert!(!rig.connect_with(for_secs("a", &list)).1.session_present);
}

fn a_resumed_session_does_not_end<S: Storage>(mut rig: Rig<S>) {
    let list = [Property::SessionExpiryInterval(10)];
    let (a, _) = rig.connect_with(for_secs("a", &list));
    rig.cut(a);
    rig.wait_ms(9_000);
    let (a, connack) = rig.connect_with(for_secs("a", &list));
    assert!(connack.session_present);
    rig.wait_ms(60_000);
    rig.cut(a);
    rig.wait_ms(9_999);
    assert!(rig.connect_with(for_secs("a", &list)).1.session_present);
}

fn each_connect_says_anew_how_long_its_session_is_kept<S: Storage>(mut rig: Rig<S>) {
    let list = [Property::SessionExpiryInterval(10)];
    let (a, _) = rig.connect_with(for_secs("a", &list));
    rig.cut(a);
    let (a, connack) = rig.connect_with(for_secs("a", &[]));
    assert!(connack.session_present);
    rig.cut(a);
    assert_eq!(rig.session_count(), 0);
    let for_ever = [Property::SessionExpiryInterval(u32::MAX)];
    let (a, _) = rig.connect_with(for_secs("a", &for_ever));
    rig.cut(a);
    rig.wait_ms(u64::from(u32::MAX) * 2_000);
    assert_eq!((rig.session_count(), rig.poll_timeout()), (1, None));
}

fn a_session_of_mqtt_3_is_kept_as_long_as_is_allowed<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect_kept("a");
    rig.cut(a);
    assert_eq!(rig.poll_timeout(), None);
    rig.restart(Options { session_expiry_max_secs: 10, ..Options::DEFAULT });
    let a = rig.connect_kept("a");
    rig.cut(a);
    rig.wait_ms(10_000);
    assert_eq!(rig.session_count(), 0);
}

fn the_longest_time_is_the_brokers<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { session_expiry_max_secs: 10, ..Options::DEFAULT });
    for (asked, told) in [(9, None), (10, None), (11, Some(10)), (u32::MAX, Some(10))] {
        let list = [Property::SessionExpiryInterval(asked)];
        let (a, connack) = rig.connect_with(for_secs("a", &list));
        assert_eq!(connack.properties.session_expiry_interval(), told, "{asked}");
        rig.cut(a);
        rig.wait_ms(8_999);
        assert_eq!(rig.session_count(), 1);
        rig.wait_ms(1_001);
        assert_eq!(rig.session_count(), 0);
    }
}

fn disconnect_can_change_how_long_a_session_is_kept<S: Storage>(mut rig: Rig<S>) {
    let list = [Property::SessionExpiryInterval(10)];
    for (secs, kept) in [(0, 0), (5, 5), (100, 50)] {
        rig.restart(Options { session_expiry_max_secs: 50, ..Options::DEFAULT });
        let (a, _) = rig.connect_with(for_secs("a", &list));
        let list = [Property::SessionExpiryInterval(secs)];
        let properties = Properties::new(&list);
        let disconnect = Disconnect { properties, ..Disconnect::new(ReasonCode::Success) };
        rig.send_last(a, &[Packet::Disconnect(disconnect)]);
        assert_eq!(rig.session_count(), usize::from(kept != 0));
        let due = rig.poll_timeout().map_or(0, |when| when.millis_since(rig.now));
        assert_eq!(due, kept * 1_000);
        rig.wait_ms(due);
        assert_eq!(rig.session_count(), 0);
    }
}

/// MQTT5 3.14.2.2.2: what was to end with the connection stays so.
fn disconnect_can_not_keep_what_was_not_to_be_kept<S: Storage>(mut rig: Rig<S>) {
    let (a, _) = rig.connect_with(Connect { will: Some(will("w", "gone")), ..hello(V5, "a") });
    let b = rig.connect("b");
    rig.subscribe(b, "w", Q1);
    let list = [Property::SessionExpiryInterval(5)];
    let properties = Properties::new(&list);
    let disconnect = Disconnect { properties, ..Disconnect::new(ReasonCode::Success) };
    rig.send_last(a, &[Packet::Disconnect(disconnect)]);
    assert_eq!(rig.said(a), ["DISCONNECT 82"]);
    assert_eq!(rig.session_count(), 1);
    assert_eq!(rig.receive(b), ["w=gone@1"], "that was no goodbye");
}

// [MQTT5-4.1.0-2]
fn names_that_differ_in_anything_are_different_clients<S: Storage>(mut rig: Rig<S>) {
    for name in ["a", "A", "a ", "\u{e4}", "a\u{308}"] {
        let (raw, connack) = rig.connect_with(kept(rig.version, name));
        assert!(!connack.session_present);
        rig.cut(raw);
    }
    assert_eq!(rig.session_count(), 5);
}

/// A client may come back with another version of MQTT.
fn a_session_belongs_to_no_version<S: Storage>(mut rig: Rig<S>) {
    let (a, _) = rig.connect_with(kept(rig.version, "a"));
    rig.subscribe(a, "t", Q1);
    rig.cut(a);
    let b = rig.connect("b");
    for version in EVERY {
        rig.publish(b, "t", "x", Q1);
        let (a, _) = rig.connect_with(kept(version, "a"));
        assert_eq!(rig.receive(a), ["t=x@1"]);
        rig.cut(a);
    }
}

on_every_kind! {
    EVERY => a_kept_session_is_gone_on_with, a_clean_start_leaves_nothing_of_it,
        a_session_that_is_not_kept_ends_with_the_connection, a_session_belongs_to_no_version,
        names_that_differ_in_anything_are_different_clients;
    BEFORE_5 => a_session_of_mqtt_3_is_kept_as_long_as_is_allowed;
    [V5] => a_session_ends_when_its_time_has_passed, a_resumed_session_does_not_end,
        a_session_whose_time_has_passed_is_not_gone_on_with,
        each_connect_says_anew_how_long_its_session_is_kept, the_longest_time_is_the_brokers,
        disconnect_can_change_how_long_a_session_is_kept,
        disconnect_can_not_keep_what_was_not_to_be_kept;
}
