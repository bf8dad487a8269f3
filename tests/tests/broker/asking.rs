//! Rules that ask: the host decides about a publish or a subscribe, and only its client waits.

use tamtam_core::broker::{Access, Ask, Rule, RulesId};

use crate::support::*;

const RULES: RulesId = RulesId(1);

/// What clients publish below `ask/` the host decides, and what they subscribe to there.
fn rules<S: Storage>(rig: &mut Rig<S>) {
    let rules = [
        Rule::ask("ask/#", Access::ReadWrite),
        Rule::deny("no/#", Access::ReadWrite),
        Rule::allow("#", Access::ReadWrite),
    ];
    rig.broker.rules(RULES, &rules).expect("room");
}

/// A client under these rules.
fn asked<S: Storage>(rig: &mut Rig<S>, name: &str) -> Raw {
    rules(rig);
    let raw = rig.connect_kept(name);
    assert!(rig.broker.entitle(name, Some(RULES), None));
    raw
}

/// These packets arrive, and the host is asked about the first.
#[track_caller]
fn asks<S: Storage>(rig: &mut Rig<S>, raw: Raw, packets: &[Packet<'_>]) -> AskId {
    rig.events();
    let version = rig.version_of(raw);
    assert_eq!(rig.hand_in(raw, &bytes(version, packets)), Input::Blocked);
    question(rig, raw)
}

#[track_caller]
fn question<S: Storage>(rig: &mut Rig<S>, raw: Raw) -> AskId {
    let events = rig.events();
    let [Event::Ask(ask)] = events[..] else { panic!("no question: {events:?}") };
    assert_eq!(ask.link(), rig.link(raw));
    ask
}

fn answer<S: Storage>(rig: &mut Rig<S>, ask: AskId, verdict: Verdict<'_>) {
    rig.broker.answer(ask, verdict, rig.now);
    rig.turn();
}

fn yes() -> Verdict<'static> {
    Verdict::Accept(Acceptance::default())
}

fn no() -> Verdict<'static> {
    Verdict::refuse(ReasonCode::NotAuthorized)
}

fn subscribe<'a>(list: &'a [Subscription<'a>]) -> Packet<'a> {
    let (packet_id, properties) = (id(9), Properties::EMPTY);
    Packet::Subscribe(Subscribe { packet_id, properties, subscriptions: Items::from(list) })
}

fn kind_of(qos: QoS) -> &'static str {
    if qos == Q1 { "PUBACK" } else { "PUBREC" }
}

fn a_publish_waits_for_the_answer<S: Storage>(mut rig: Rig<S>) {
    let (a, b) = (asked(&mut rig, "a"), rig.connect("b"));
    rig.subscribe(b, "#", Q2);
    for qos in [Q1, Q2] {
        let packets = [message("ask/1", "x", qos, 1), message("free", "y", Q0, 0)];
        let ask = asks(&mut rig, a, &packets);
        match rig.broker.asked(ask) {
            Some(Ask::Publish(publish)) => assert_eq!(Packet::Publish(publish), packets[0]),
            other => panic!("{other:?}"),
        }
        rig.publish(b, "free", "z", Q0);
        assert_eq!(rig.receive(b), ["free=z"], "only the one who asks waits");
        assert_eq!(rig.said(a), [""; 0]);
        answer(&mut rig, ask, yes());
        assert_eq!(rig.said(a), [format!("{} 1", kind_of(qos))]);
        let level = qos.level();
        assert_eq!(rig.receive(b), [format!("ask/1=x@{level}"), "free=y".into()], "in order");
        if qos == Q2 {
            // It is known, so nobody is asked about it again.
            rig.send(a, &[again("ask/1", "x", qos, 1), pubrel(1)]);
            assert_eq!(rig.said(a), ["PUBREC 1", "PUBCOMP 1"]);
        }
        rig.keeps_only_retained(0);
    }
    assert_eq!(rig.counters().messages_in(), 7);
}

// [MQTT3-3.3.5-2]
fn a_publish_is_refused<S: Storage>(mut rig: Rig<S>) {
    let (a, b) = (asked(&mut rig, "a"), rig.connect("b"));
    rig.subscribe(b, "#", Q2);
    let codes = [
        (ReasonCode::NotAuthorized, "87"),
        (ReasonCode::TopicNameInvalid, "90"),
        (ReasonCode::PayloadFormatInvalid, "99"),
        (ReasonCode::Banned, "87"), // which no acknowledgement can say
    ];
    for qos in QOS {
        for (code, told) in codes {
            let ask = asks(&mut rig, a, &[message("ask/1", "x", qos, 1)]);
            answer(&mut rig, ask, Verdict::refuse(code));
            let told = if rig.version == V5 { format!(" {told}") } else { String::new() };
            let said = rig.said(a);
            match qos {
                Q0 => assert_eq!(said, [""; 0]),
                _ => assert_eq!(said, [format!("{} 1{told}", kind_of(qos))]),
            }
            if qos == Q2 && rig.version != V5 {
                rig.send(a, &[pubrel(1)]);
                assert_eq!(rig.said(a), ["PUBCOMP 1"]);
            }
            assert_eq!(rig.said(b), [""; 0]);
        }
    }
    rig.keeps_only_retained(0);
}

fn an_answer_that_comes_too_late_means_nothing<S: Storage>(mut rig: Rig<S>) {
    let (a, b) = (asked(&mut rig, "a"), rig.connect("b"));
    rig.subscribe(b, "#", Q1);
    let first = asks(&mut rig, a, &[message("ask/1", "x", Q1, 1), message("ask/1", "y", Q1, 2)]);
    answer(&mut rig, first, yes());
    assert_eq!(rig.said(a), ["PUBACK 1"]);
    let second = question(&mut rig, a);
    assert_eq!(rig.broker.asked(first), None);
    answer(&mut rig, first, yes()); // once more
    answer(&mut rig, first, no());
    assert_eq!(rig.said(a), [""; 0]);
    rig.cut(a);
    answer(&mut rig, second, yes());
    assert_eq!(rig.receive(b), ["ask/1=x@1"]);
    // Whoever has its place now is not meant.
    let a = rig.connect_kept("a");
    rig.broker.entitle("a", Some(RULES), None);
    let third = asks(&mut rig, a, &[again("ask/1", "y", Q1, 2)]);
    answer(&mut rig, second, yes());
    assert_eq!(rig.broker.asked(second), None);
    assert_eq!(rig.said(a), [""; 0]);
    answer(&mut rig, third, yes());
    assert_eq!(rig.receive(b), ["ask/1=y@1"]);
    rig.keeps_only_retained(0);
}

/// The host says nothing: that is no.
fn nobody_waits_for_ever<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { ask_timeout_ms: 3_000, ..Options::DEFAULT });
    rules(&mut rig);
    let connect = Connect { keep_alive: 1, ..kept(rig.version, "a") };
    let (a, _) = rig.connect_with(connect);
    rig.broker.entitle("a", Some(RULES), None);
    let b = rig.connect("b");
    rig.subscribe(b, "#", Q1);
    let ask = asks(&mut rig, a, &[message("ask/1", "x", Q1, 1)]);
    rig.wait_ms(2_999);
    assert_eq!((rig.said(a), rig.counters().ask_timeouts), (vec![], 0));
    assert!(!rig.is_closed(a), "its silence is ours");
    rig.wait_ms(1);
    let told = if rig.version == V5 { "PUBACK 1 83" } else { "PUBACK 1" };
    assert_eq!((rig.said(a), rig.counters().ask_timeouts), (vec![told.into()], 1));
    answer(&mut rig, ask, yes());
    assert_eq!(rig.said(b), [""; 0]);
    rig.wait_ms(1_600);
    assert!(rig.is_closed(a), "it is heard again");
    rig.keeps_only_retained(0);
}

fn a_subscribe_waits_for_the_answer<S: Storage>(mut rig: Rig<S>) {
    for allowed in [true, false] {
        rig.restart(Options::DEFAULT);
        let (a, b) = (asked(&mut rig, "a"), rig.connect("b"));
        rig.retain(b, "ask/1", "kept", Q1);
        let list = [sub("free").qos(Q1), sub("ask/+").qos(Q1), sub("no/1").qos(Q1)];
        let ask = asks(&mut rig, a, &[subscribe(&list)]);
        match rig.broker.asked(ask) {
            Some(Ask::Subscribe(subscribe)) => {
                assert_eq!(subscribe.subscriptions.iter().collect::<Vec<_>>(), list);
            }
            other => panic!("{other:?}"),
        }
        answer(&mut rig, ask, if allowed { yes() } else { no() });
        let Packet::SubAck(suback) = rig.first(a) else { panic!("no SUBACK") };
        let codes: Vec<_> = suback.codes.iter().map(ReasonCode::as_byte).collect();
        let refused = match rig.version {
            V5 => 0x87,
            V311 => 0x80,
            _ => 0,
        };
        assert_eq!(codes, [1, if allowed { 1 } else { refused }, 1]);
        rig.publish(b, "ask/2", "x", Q1);
        rig.publish(b, "no/1", "x", Q1);
        rig.publish(b, "free", "x", Q1);
        let got = rig.receive(a);
        match allowed {
            true => assert_eq!(got, ["ask/1=kept@1!", "ask/2=x@1", "free=x@1"]),
            false => assert_eq!(got, ["free=x@1"]),
        }
    }
}

/// What may hold something that the host decides is asked, and each filter has its answer.
fn each_filter_has_its_answer<S: Storage>(mut rig: Rig<S>) {
    let a = asked(&mut rig, "a");
    let list = ["#", "free/#", "+/1", "$share/g/ask/1", "ask/2"].map(|one| sub(one).qos(Q1));
    let ask = asks(&mut rig, a, &[subscribe(&list)]);
    let codes = [
        ReasonCode::TopicFilterInvalid,
        ReasonCode::NotAuthorized, // which was not asked
        ReasonCode::Success,
        ReasonCode::SharedSubscriptionsNotSupported,
    ];
    rig.broker.answer_filters(ask, &codes, rig.now);
    rig.turn();
    let Packet::SubAck(suback) = rig.first(a) else { panic!("no SUBACK") };
    let codes: Vec<_> = suback.codes.iter().map(ReasonCode::as_byte).collect();
    let expected = match rig.version {
        V5 => [0x8F, 1, 1, 0x9E, 0x87],
        V311 => [0x80, 1, 1, 0x80, 0x80],
        _ => [0, 1, 1, 0, 0],
    };
    assert_eq!(codes, expected);
    rig.keeps_only_retained(0);
}

/// The answer is to the packet that was asked about, whatever the rules are by then.
fn an_answer_is_to_one_packet<S: Storage>(mut rig: Rig<S>) {
    let a = asked(&mut rig, "a");
    let ask = asks(&mut rig, a, &[message("ask/1", "x", Q1, 1), message("ask/2", "y", Q1, 2)]);
    rig.broker.answer(ask, yes(), rig.now);
    // Before it is handed in again, it needs no answer any more.
    let other = [Rule::allow("ask/1", Access::Write), Rule::ask("ask/2", Access::Write)];
    rig.broker.rules(RULES, &other).expect("room");
    rig.turn();
    let ask = question(&mut rig, a);
    match rig.broker.asked(ask) {
        Some(Ask::Publish(publish)) => assert_eq!(publish.payload, b"y"),
        other => panic!("{other:?}"),
    }
    answer(&mut rig, ask, no());
    rig.keeps_only_retained(0);
}

fn the_topic_of_an_alias_is_shown<S: Storage>(mut rig: Rig<S>) {
    let a = asked(&mut rig, "a");
    let alias = [Property::TopicAlias(core::num::NonZeroU16::MIN)];
    let properties = Properties::new(&alias);
    let named = Publish { properties, ..Publish::new(topic("ask/1"), b"x") };
    let ask = asks(&mut rig, a, &[Packet::Publish(named)]);
    answer(&mut rig, ask, no());
    let ask = asks(&mut rig, a, &[Packet::Publish(Publish { topic: None, ..named })]);
    match rig.broker.asked(ask) {
        Some(Ask::Publish(publish)) => assert_eq!(publish.topic, Some(topic("ask/1"))),
        other => panic!("{other:?}"),
    }
}

fn a_will_is_asked_about_with_its_connect<S: Storage>(mut rig: Rig<S>) {
    for ask_connect in [false, true] {
        rig.restart(Options::DEFAULT);
        let b = rig.connect("b");
        rig.subscribe(b, "#", Q1);
        rules(&mut rig);
        let connect = Connect { will: Some(will("ask/w", "gone")), ..kept(rig.version, "a") };
        let (a, _) = rig.connect_with(connect);
        rig.broker.entitle("a", Some(RULES), None);
        rig.broker.set_options(&Options { ask_connect, ..Options::DEFAULT });
        rig.cut(a);
        let got = rig.receive(b);
        assert_eq!(got, if ask_connect { vec!["ask/w=gone@1"] } else { vec![] });
    }
}

fn a_packet_that_can_not_be_shown_is_refused<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { message_bytes: 20, ..Options::DEFAULT });
    let a = asked(&mut rig, "a");
    let payload = "x".repeat(100);
    let number = rig.next_id(a).get();
    rig.hand_in_all(a, &[message("ask/1", &payload, Q1, number)]);
    assert!(!rig.events().iter().any(|event| matches!(event, Event::Ask(_))));
    if rig.version == V5 {
        assert_eq!(rig.said(a), [format!("PUBACK {number} 97")]);
    } else {
        assert!(rig.is_closed(a), "it can't be told, and nothing is acknowledged");
    }
}

on_both_storages! {
    EVERY => a_publish_waits_for_the_answer, a_publish_is_refused,
        an_answer_that_comes_too_late_means_nothing, nobody_waits_for_ever,
        a_subscribe_waits_for_the_answer, each_filter_has_its_answer, an_answer_is_to_one_packet,
        a_will_is_asked_about_with_its_connect;
    [V5] => the_topic_of_an_alias_is_shown;
}

mod of_memory {
    #[test]
    fn a_packet_that_can_not_be_shown_is_refused() {
        for version in crate::support::EVERY {
            let rig = crate::support::Rig::<tamtam_core::Heap>::new(version);
            super::a_packet_that_can_not_be_shown_is_refused(rig);
        }
    }
}
