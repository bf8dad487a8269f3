//! Every limit has a named outcome, and no one client reaches it for the others.

use crate::support::*;

fn there_are_only_so_many_connections<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { connections: 12, ..Options::DEFAULT });
    let all: Vec<_> = (0..12).map(|_| rig.open()).collect();
    assert!(rig.broker.open(rig.now).is_err());
    rig.cut(all[5]);
    let last = rig.open();
    rig.send(last, &[Packet::Connect(hello(rig.version, "a"))]);
    assert!(rig.broker.open(rig.now).is_err());
}

/// What a client gives back another can have; one that is here already is not refused.
fn there_are_only_so_many_sessions<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { sessions: 12, ..Options::DEFAULT });
    for name in ["a", "b", "2", "3", "4", "5", "6", "7", "8", "9", "10"] {
        let raw = rig.connect_kept(name);
        rig.cut(raw);
    }
    let c = rig.connect("c");
    let told = if rig.version == V5 { Some(ReasonCode::QuotaExceeded) } else { None };
    assert_eq!(rig.refused(hello(rig.version, "d")), told);
    rig.connect_kept("a");
    rig.connect("b");
    rig.leave(c);
    rig.connect("d");
    assert_eq!(rig.session_count(), 12);
}

#[test]
fn a_hub_has_as_many_sessions_as_it_has_room_for() {
    let mut rig = Rig::<Hub>::new(V5);
    for number in 0..12 {
        let raw = rig.connect_kept(&number.to_string());
        rig.cut(raw);
    }
    assert_eq!(rig.refused(hello(V5, "one more")), Some(ReasonCode::QuotaExceeded));
    rig.connect("11");
    let long = "x".repeat(600);
    let last = rig.connect("10");
    rig.leave(last);
    assert_eq!(rig.refused(hello(V5, &long)), Some(ReasonCode::QuotaExceeded), "names have room");
}

fn there_are_only_so_many_subscriptions<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { subscriptions: 64, ..Options::DEFAULT });
    let a = rig.connect("a");
    let b = rig.connect("b");
    let mut granted = 0;
    for number in 0..70 {
        let name = format!("t/{number}");
        let codes = rig.subscribe_all(a, &[sub(&name).qos(Q1)], 0);
        granted += usize::from(codes == [ReasonCode::GrantedQoS1]);
    }
    assert_eq!((granted, rig.subscription_count()), (64, 64));
    assert_ne!(rig.subscribe_all(b, &[sub("t/1").qos(Q1)], 0), [ReasonCode::GrantedQoS1]);
    rig.subscribe(a, "t/63", Q1);
    rig.unsubscribe(a, &["t/5", "t/6"]);
    rig.subscribe(b, "t/1", Q1);
    rig.publish(b, "t/1", "x", Q1);
    assert_eq!((rig.receive(a).len(), rig.receive(b).len()), (1, 1));
    rig.leave(a);
    assert_eq!(rig.subscription_count(), 1);
}

/// MQTT5 5.4.9: a topic of 65,000 levels is a topic, but nobody has to keep it.
fn topics_have_only_so_many_levels<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { levels: 8, ..Options::DEFAULT });
    let a = rig.connect("a");
    rig.subscribe(a, "#", Q0);
    rig.subscribe(a, "1/2/3/4/5/6/7/8", Q0);
    let (deep, deeper) = ("1/2/3/4/5/6/7/8", "1/2/3/4/5/6/7/8/9");
    let slashes = "/".repeat(65_000);
    let v5 = rig.version == V5;
    for name in [deeper, &slashes] {
        let codes = rig.subscribe_all(a, &[sub(name).qos(Q1)], 0);
        assert_ne!(codes, [ReasonCode::GrantedQoS1]);
        let reason = rig.retain(a, name, "x", Q1);
        assert_eq!(reason.is_error(), v5);
        rig.retain(a, name, "x", Q0);
    }
    assert_eq!((rig.said(a), rig.retained_count()), (vec![], 0));
    rig.publish(a, deep, "x", Q0);
    assert_eq!(rig.said(a), ["1/2/3/4/5/6/7/8=x"]);
}

// [MQTT5-4.13.1-1]
fn packets_are_only_so_large<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { max_packet_size: 200, ..Options::DEFAULT });
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "t", Q0);
    let fits = if rig.version == V5 { 200 - 3 - 3 - 1 } else { 200 - 3 - 3 };
    rig.publish(a, "t", &"x".repeat(fits), Q0);
    assert_eq!(rig.said(b).len(), 1);
    let too_large = bytes(rig.version, &[message("t", &"x".repeat(fits + 1), Q0, 0)]);
    // It is refused as soon as its length is known.
    rig.send_last_bytes(a, &too_large[..3]);
    assert_eq!(rig.said(a), if rig.version == V5 { &["DISCONNECT 95"][..] } else { &[] });
    assert_eq!(rig.said(b), [""; 0]);
}

/// Five bytes claim 256 MiB; before CONNECT even a small packet may be too large.
fn a_claim_is_not_believed<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { max_connect_size: 50, ..Options::DEFAULT });
    let a = rig.open();
    rig.send_last_bytes(a, b"\x10\xff\xff\xff\x7f");
    assert_eq!(rig.said(a), [""; 0]);
    let a = rig.open();
    rig.send_last_bytes(a, b"\x10\x80\x01");
    let long = "x".repeat(50);
    let a = rig.open();
    rig.send_last(a, &[Packet::Connect(hello(rig.version, &long))]);
    let a = rig.connect("a");
    rig.send_last_bytes(a, b"\x32\xff\xff\xff\x7f");
    assert_eq!(rig.broker.kept(), (0, 0));
}

/// Memory for messages is one budget for all: what does not fit is refused, and goes to nobody.
fn messages_take_only_so_much_memory<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { message_bytes: 8_192, queue: 1_000, ..Options::DEFAULT });
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q1);
    let c = rig.connect("c");
    rig.subscribe(c, "t", Q0);
    rig.cut(b);
    let a = rig.connect("a");
    let long = "x".repeat(999);
    for number in 0..8 {
        rig.retain(a, "t", &long, if number % 2 == 0 { Q1 } else { Q2 });
    }
    assert_eq!(rig.broker.kept(), (8, 8_000), "waiting and retained they are kept once");
    assert_eq!(rig.said(c).len(), 8);
    let v5 = rig.version == V5;
    for (number, qos) in [(50, Q1), (51, Q2)] {
        let raw = rig.connect_kept("e");
        let packets = [message("t", &long, qos, number)];
        if v5 {
            rig.send(raw, &packets);
            let kind = if qos == Q1 { "PUBACK" } else { "PUBREC" };
            assert_eq!(rig.said(raw), [format!("{kind} {number} 97")]);
        } else {
            rig.send_last(raw, &packets);
            assert_eq!(rig.said(raw), [""; 0], "not acknowledged, so it comes again");
        }
    }
    assert_eq!((rig.said(c), rig.counters().dropped_memory), (vec![], 2));
    rig.publish(a, "t", &long, Q0);
    rig.retain(a, "r", &"x".repeat(500), Q0);
    assert_eq!((rig.retained_count(), rig.counters().dropped_memory), (1, 3));
    let mine = Will { payload: &[b'x'; 500], ..will("w", "") };
    rig.connect_with(Connect { will: Some(mine), ..hello(rig.version, "d") });
    assert_eq!(rig.counters().dropped_memory, 4);
    rig.retain(a, "t", "", Q0);
    rig.said(c);
    let b = rig.connect_kept("b");
    assert_eq!(rig.receive(b).len(), 8);
    rig.keeps_only_retained(0);
}

/// Each member of a crowd gets its copy, however small the broker.
#[test]
fn a_hub_serves_all_that_it_has_room_for() {
    let mut rig = Rig::<Hub>::new(V5);
    let all: Vec<_> = (0..11).map(|number| rig.connect(&number.to_string())).collect();
    for raw in &all {
        for pattern in ["t/#", "t/+", "t/1", "#", "+/1"] {
            rig.subscribe(*raw, pattern, Q1);
        }
    }
    let a = rig.connect("a");
    for _ in 0..20 {
        rig.publish(a, "t/1", "x", Q1);
    }
    for raw in &all {
        assert_eq!(rig.receive(*raw).len(), 20);
    }
    rig.keeps_only_retained(0);
}

/// Whatever a turn brings, each connection is told of: here all end at once.
#[test]
fn no_connection_is_forgotten_when_all_end_at_once() {
    tamtam_core::fixed! {
        struct Crowd {
            out: 64, in_flight: 2, links: 20, sessions: 20, subscriptions: 20, levels: 40,
            level_bytes: 64, bodies: 4, body_bytes: 128, names: 64, queue: 4,
        }
    }
    let mut rig = Rig::<Crowd>::new(V5);
    let all: Vec<_> = (0..20)
        .map(|number| {
            let name = number.to_string();
            let connect = Connect { keep_alive: 10, ..hello(V5, &name) };
            let (raw, _) = rig.connect_with(connect);
            rig.subscribe(raw, "t", Q0);
            raw
        })
        .collect();
    rig.broker.publish(topic("t"), b"x", Q0, false, rig.now);
    rig.turn();
    for raw in &all {
        assert_eq!(rig.said(*raw), ["t=x"]);
    }
    rig.wait_ms(15_000);
    for raw in &all {
        assert_eq!(rig.said(*raw), ["DISCONNECT 8D"]);
        assert!(rig.is_closed(*raw));
    }
    assert_eq!(rig.session_count(), 0);
}

on_every_kind! {
    EVERY => topics_have_only_so_many_levels, packets_are_only_so_large, a_claim_is_not_believed;
}

/// Limits are of each broker.
mod of_one {
    use super::*;

    on_both_storages! {
        EVERY => there_are_only_so_many_connections, there_are_only_so_many_sessions,
            there_are_only_so_many_subscriptions, messages_take_only_so_much_memory;
    }
}
