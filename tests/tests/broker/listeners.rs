//! Clients of one listener may have other limits than those of another, and a world of their own.

use crate::support::*;

const OUTSIDE: LimitsId = LimitsId(7);

impl<S: Storage> Rig<S> {
    /// A listener with limits that are the broker's, but for these.
    fn limits(&mut self, change: impl FnOnce(&mut tamtam_core::broker::Limits<'static>)) {
        let mut limits = Options::DEFAULT.limits();
        change(&mut limits);
        self.broker.limits(OUTSIDE, &limits).expect("room for limits");
    }

    /// A client comes in by that listener.
    #[track_caller]
    fn comes(&mut self, connect: Connect<'_>) -> (Raw, ConnAck<'static>) {
        let raw = self.open_from(OUTSIDE, connect.version);
        self.send(raw, &[Packet::Connect(connect)]);
        match self.first(raw) {
            Packet::ConnAck(connack) => (raw, connack),
            other => panic!("{}", words(&other)),
        }
    }
}

// [MQTT5-3.2.2-9, MQTT5-3.2.2-12, MQTT5-3.2.2-13]
fn a_listener_has_its_own_limits<S: Storage>(mut rig: Rig<S>) {
    rig.limits(|limits| {
        (limits.maximum_qos, limits.retain, limits.shared) = (Q1, false, false);
        (limits.wildcards, limits.receive_maximum, limits.topic_alias_maximum) = (false, 5, 0);
        (limits.max_packet_size, limits.keep_alive_max_secs) = (1_000, Some(9));
    });
    let (a, connack) = rig.comes(hello(rig.version, "a"));
    let (b, other) = rig.connect_with(hello(rig.version, "b"));
    if rig.version == V5 {
        let told = connack.properties;
        assert_eq!((told.maximum_qos(), told.retain_available()), (Some(Q1), Some(false)));
        assert_eq!(told.shared_subscription_available(), Some(false));
        assert_eq!(told.wildcard_subscription_available(), Some(false));
        assert_eq!(told.receive_maximum().map(|most| most.get()), Some(5));
        assert_eq!(told.maximum_packet_size().map(|most| most.get()), Some(1_000));
        assert_eq!((told.topic_alias_maximum(), told.server_keep_alive()), (None, Some(9)));
        assert_eq!(
            (other.properties.maximum_qos(), other.properties.server_keep_alive()),
            (None, None)
        );
    }
    assert_eq!(rig.subscribe_all(a, &[sub("t").qos(Q2)], 0), [ReasonCode::GrantedQoS1]);
    assert_eq!(rig.subscribe_all(b, &[sub("t").qos(Q2)], 0), [ReasonCode::GrantedQoS2]);
    assert_ne!(rig.subscribe_all(a, &[sub("t/#").qos(Q1)], 0), [ReasonCode::GrantedQoS1]);
    assert_ne!(rig.subscribe_all(a, &[sub("$share/g/t").qos(Q1)], 0), [ReasonCode::GrantedQoS1]);
    rig.publish(b, "t", "x", Q2);
    assert_eq!((rig.receive(a).len(), rig.receive(b).len()), (1, 1));
    let packets = [Packet::Publish(Publish { retain: true, ..Publish::new(topic("t"), b"x") })];
    rig.send_last(a, &packets);
}

/// Stored again, limits hold at once, for those who are connected and those who are not.
fn limits_can_be_changed<S: Storage>(mut rig: Rig<S>) {
    rig.limits(|limits| limits.queue = 3);
    let (a, _) = rig.comes(kept(rig.version, "a"));
    rig.subscribe(a, "t", Q1);
    rig.cut(a);
    let b = rig.connect("b");
    for _ in 0..5 {
        rig.publish(b, "t", "x", Q1);
    }
    assert_eq!(rig.broker.counters().dropped_queue, 2);
    rig.limits(|limits| limits.queue = 4);
    for _ in 0..5 {
        rig.publish(b, "t", "x", Q1);
    }
    assert_eq!(rig.broker.counters().dropped_queue, 6);
    assert_eq!(rig.broker.session_of("a").map(|session| session.queued), Some(4));
}

/// An acceptance has the last word about limits.
fn an_answer_may_set_limits<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { ask_connect: true, ..Options::DEFAULT });
    rig.limits(|limits| limits.subscriptions_per_session = 1);
    let a = rig.open();
    let _ = rig.hand_in(a, &bytes(rig.version, &[Packet::Connect(hello(rig.version, "a"))]));
    let Some(Event::Ask(ask)) = rig.events().pop() else { panic!("no question") };
    let how = Acceptance { limits: Some(OUTSIDE), ..Acceptance::default() };
    rig.broker.answer(ask, Verdict::Accept(how), rig.now);
    rig.turn();
    rig.first(a);
    rig.subscribe(a, "1", Q1);
    assert_ne!(rig.subscribe_all(a, &[sub("2").qos(Q1)], 0), [ReasonCode::GrantedQoS1]);
}

/// The topics of a listener may stand below something that its clients never see.
fn a_mount_point_is_a_world_of_its_own<S: Storage>(mut rig: Rig<S>) {
    rig.limits(|limits| limits.mount_point = "out/side/");
    let (a, _) = rig.comes(hello(rig.version, "a"));
    let (b, _) = rig.comes(kept(rig.version, "b"));
    let inside = rig.connect("inside");
    rig.subscribe(a, "#", Q1);
    rig.subscribe(b, "+/2", Q1);
    rig.subscribe(inside, "#", Q1);
    rig.publish(a, "1/2", "x", Q1);
    assert_eq!(rig.receive(inside), ["out/side/1/2=x@1"]);
    assert_eq!((rig.receive(a), rig.receive(b)), (vec!["1/2=x@1".into()], vec!["1/2=x@1".into()]));
    rig.publish(inside, "1/2", "y", Q1);
    assert_eq!((rig.receive(a), rig.receive(b)), (vec![], vec![]));
    // Whatever waits or is retained, too; and wills.
    rig.receive(inside);
    rig.cut(b);
    rig.retain(inside, "out/side/3/2", "z", Q1);
    rig.receive(a);
    let will = Some(will("4/2", "gone"));
    let (c, _) = rig.comes(Connect { will, ..hello(rig.version, "c") });
    rig.subscribe(c, "3/+", Q0);
    assert_eq!(rig.said(c), ["3/2=z!"]);
    rig.cut(c);
    let (b, _) = rig.comes(kept(rig.version, "b"));
    assert_eq!(rig.receive(b), ["3/2=z@1", "4/2=gone@1"]);
    assert_eq!(rig.unsubscribe(a, &["#"]).len(), usize::from(rig.version == V5));
    rig.publish(b, "5", "x", Q0);
    assert_eq!(rig.receive(a), ["4/2=gone@1"; 1], "no more");
    assert_eq!(rig.receive(inside).last().map(String::as_str), Some("out/side/5=x"));
}

/// [MQTT5-4.7.2-1]: `$` begins a topic that wildcards pass by, so where something stands before it,
/// there is none.
fn nothing_special_below_a_mount_point<S: Storage>(mut rig: Rig<S>) {
    rig.limits(|limits| limits.mount_point = "out/");
    let (a, _) = rig.comes(hello(rig.version, "a"));
    rig.subscribe(a, "#", Q0);
    for name in ["$SYS/x", "$mine"] {
        let reason = rig.publish(a, name, "x", Q1);
        assert_eq!(reason.is_error(), rig.version == V5);
    }
    let long = "x".repeat(65_532);
    let fits = bytes(rig.version, &[message(&long, "", Q0, 0)]);
    assert_eq!(rig.said(a), [""; 0]);
    rig.send_last_bytes(a, &fits); // with `out/` it is no topic any more
}

fn a_listener_names_its_clients<S: Storage>(mut rig: Rig<S>) {
    rig.limits(|limits| limits.client_id_prefix = "out-");
    let (_, connack) = rig.comes(hello(V5, ""));
    let name = connack.properties.assigned_client_identifier().expect("a name");
    assert!(name.as_str().starts_with("out-"), "{name:?}");
    assert_eq!(name.len(), 20);
    rig.limits(|limits| limits.client_id_from_user = true);
    for said in ["", "liar"] {
        let connect = Connect { user_name: Some(text("anna")), ..hello(rig.version, said) };
        let (_, connack) = rig.comes(connect);
        let told = connack.properties.assigned_client_identifier();
        assert_eq!(told, said.is_empty().then(|| text("anna")));
        assert!(rig.broker.session_of("anna").is_some());
        assert!(rig.broker.session_of("liar").is_none());
    }
    let nobody = rig.open_from(OUTSIDE, V5);
    rig.send_last(nobody, &[Packet::Connect(hello(V5, "nobody"))]);
    assert_eq!(rig.refusal(nobody), Some(ReasonCode::BadUserNameOrPassword));
}

on_both_storages! {
    EVERY => a_listener_has_its_own_limits, limits_can_be_changed, an_answer_may_set_limits,
        a_mount_point_is_a_world_of_its_own, nothing_special_below_a_mount_point;
    [V5] => a_listener_names_its_clients;
}
