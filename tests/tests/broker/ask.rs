//! The host is asked who may connect, and answers when it likes.

use crate::support::*;

impl<S: Storage> Rig<S> {
    /// The host is asked from now on.
    pub(crate) fn asking(&mut self) {
        self.restart(Options { ask_connect: true, ..Options::DEFAULT });
    }

    /// A client sends its CONNECT, and the host is asked.
    #[track_caller]
    fn asks(&mut self, connect: Connect<'_>, behind: &[Packet<'_>]) -> (Raw, AskId) {
        let raw = self.open_as(connect.version);
        let mut packets = vec![Packet::Connect(connect)];
        packets.extend_from_slice(behind);
        assert_eq!(self.hand_in(raw, &bytes(connect.version, &packets)), Input::Blocked);
        let events = self.events();
        let Some(Event::Ask(ask)) = events.last().copied() else { panic!("no question") };
        assert_eq!(ask.link(), self.link(raw));
        (raw, ask)
    }

    fn answer(&mut self, ask: AskId, verdict: Verdict<'_>) {
        self.broker.answer(ask, verdict, self.now);
        self.turn();
    }
}

// [MQTT5-3.2.0-1, MQTT3-3.2.0-1]
fn nothing_is_said_before_the_answer<S: Storage>(mut rig: Rig<S>) {
    rig.asking();
    let (a, ask) = rig.asks(hello(rig.version, "a"), &[Packet::PingReq]);
    let (b, _) = rig.asks(hello(rig.version, "b"), &[]);
    assert_eq!(rig.hand_in(a, &bytes(rig.version, &[message("t", "x", Q0, 0)])), Input::Blocked);
    assert_eq!((rig.said(a), rig.said(b)), (vec![], vec![]));
    assert_eq!((rig.session_count(), rig.counters().messages_in()), (0, 0));
    rig.answer(ask, Verdict::Accept(Acceptance::default()));
    assert_eq!(rig.said(a), ["CONNACK", "PINGRESP"], "what waited is taken now");
    assert_eq!((rig.said(b), rig.counters().messages_in()), (vec![], 1));
}

fn the_host_sees_the_whole_connect<S: Storage>(mut rig: Rig<S>) {
    rig.asking();
    let connect = Connect {
        user_name: Some(text("user")),
        password: Some(b"secret"),
        will: Some(will("w", "gone")),
        keep_alive: 60,
        ..kept(rig.version, "a")
    };
    let (_, ask) = rig.asks(connect, &[Packet::PingReq]);
    assert_eq!(rig.broker.connect_of(ask), Some(connect));
    rig.answer(ask, Verdict::Accept(Acceptance::default()));
    assert_eq!(rig.broker.connect_of(ask), None, "the question is answered");
    rig.keeps_only_retained(1);
}

// [MQTT5-3.1.4-2, MQTT5-3.1.4-6, MQTT3-3.1.4-5, MQTT5-3.2.2-7, MQTT3-3.2.2-5, MQTT3-3.2.2-6]
fn a_refusal_is_the_end<S: Storage>(mut rig: Rig<S>) {
    rig.asking();
    let reasons = [
        (ReasonCode::NotAuthorized, true),
        (ReasonCode::BadUserNameOrPassword, true),
        (ReasonCode::ServerUnavailable, true),
        (ReasonCode::QuotaExceeded, false),
        (ReasonCode::UseAnotherServer, false),
    ];
    for (reason, in_mqtt_3) in reasons {
        let connect = Connect { will: Some(will("w", "gone")), ..hello(rig.version, "a") };
        let publish = Publish { retain: true, ..Publish::new(topic("t"), b"x") };
        let (a, ask) = rig.asks(connect, &[Packet::Publish(publish)]);
        rig.answer(ask, Verdict::refuse(reason));
        assert!(rig.is_closed(a));
        let told = (rig.version == V5 || in_mqtt_3).then_some(reason);
        assert_eq!(rig.refusal(a), told, "what 3.1.1 has no code for ends without an answer");
    }
    assert_eq!((rig.session_count(), rig.retained_count()), (0, 0));
    rig.keeps_only_retained(0);
}

/// Of several connections of one client the last that was let in has the session.
fn answers_come_in_any_order<S: Storage>(mut rig: Rig<S>) {
    rig.asking();
    let (a, first) = rig.asks(kept(rig.version, "a"), &[]);
    let (b, second) = rig.asks(kept(rig.version, "a"), &[]);
    rig.answer(second, Verdict::Accept(Acceptance::default()));
    assert_eq!(rig.said(b), ["CONNACK"]);
    rig.answer(first, Verdict::Accept(Acceptance::default()));
    assert_eq!(rig.said(a), ["CONNACK"]);
    assert_eq!((rig.is_closed(a), rig.is_closed(b)), (false, true));
    assert_eq!(rig.session_count(), 1);
}

/// Who asks in vain takes nothing away from who is connected.
fn a_refused_client_takes_nothing_over<S: Storage>(mut rig: Rig<S>) {
    rig.asking();
    let (a, ask) = rig.asks(kept(rig.version, "a"), &[]);
    rig.answer(ask, Verdict::Accept(Acceptance::default()));
    rig.got(a);
    let (_, ask) = rig.asks(hello(rig.version, "a"), &[]);
    rig.answer(ask, Verdict::refuse(ReasonCode::NotAuthorized));
    assert!(!rig.is_closed(a));
    rig.send(a, &[Packet::PingReq]);
    assert_eq!(rig.said(a), ["PINGRESP"]);
}

fn a_late_answer_does_nothing<S: Storage>(mut rig: Rig<S>) {
    rig.asking();
    let (a, ask) = rig.asks(hello(rig.version, "a"), &[]);
    rig.cut(a);
    rig.answer(ask, Verdict::Accept(Acceptance::default()));
    let (b, next) = rig.asks(hello(rig.version, "b"), &[]);
    rig.answer(ask, Verdict::refuse(ReasonCode::NotAuthorized));
    rig.answer(next, Verdict::Accept(Acceptance::default()));
    rig.answer(next, Verdict::refuse(ReasonCode::NotAuthorized));
    assert_eq!(rig.said(b), ["CONNACK"], "another connection stands in its place");
    assert_eq!(rig.session_count(), 1);
}

/// The CONNECT, password and all, goes to nobody.
fn a_host_that_never_answers_holds_up_one_connection<S: Storage>(mut rig: Rig<S>) {
    rig.asking();
    let connect = Connect {
        user_name: Some(text("user")),
        password: Some(b"secret"),
        ..hello(rig.version, "a")
    };
    let (a, _) = rig.asks(connect, &[Packet::PingReq]);
    rig.wait_ms(10_000);
    assert!(rig.is_closed(a));
    assert_eq!(rig.said(a), [""; 0]);
    assert_eq!(rig.session_count(), 0);
}

/// What the broker itself has against a CONNECT it does not ask about.
fn a_question_is_not_asked_in_vain<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { ask_connect: true, empty_client_id: false, ..Options::DEFAULT });
    let refused = Some(ReasonCode::ClientIdentifierNotValid);
    assert_eq!(rig.refused(hello(rig.version, "")), refused);
    let asked = rig.events().into_iter().any(|event| matches!(event, Event::Ask(_)));
    assert!(!asked);
}

on_both_storages! {
    EVERY => nothing_is_said_before_the_answer, the_host_sees_the_whole_connect,
        a_refusal_is_the_end, answers_come_in_any_order, a_refused_client_takes_nothing_over,
        a_late_answer_does_nothing, a_host_that_never_answers_holds_up_one_connection,
        a_question_is_not_asked_in_vain;
}
