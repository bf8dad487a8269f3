//! What an answer to a CONNECT may say besides yes and no, and whose a session is.

use crate::support::*;

const YES: Acceptance<'_> = Acceptance {
    rules: None,
    limits: None,
    user: None,
    client_id: None,
    take_over: false,
    session_expiry_secs: None,
    keep_alive_secs: None,
    response_information: None,
    user_properties: &[],
};

impl<S: Storage> Rig<S> {
    /// A client sends its CONNECT, and the host answers.
    #[track_caller]
    fn connects(&mut self, connect: Connect<'_>, verdict: Verdict<'_>) -> Raw {
        let raw = self.open_as(connect.version);
        let packets = [Packet::Connect(connect)];
        assert_eq!(self.hand_in(raw, &bytes(connect.version, &packets)), Input::Blocked);
        let ask = self.events().into_iter().rev().find_map(|event| match event {
            Event::Ask(ask) => Some(ask),
            _ => None,
        });
        self.broker.answer(ask.expect("a question"), verdict, self.now);
        self.turn();
        raw
    }

    #[track_caller]
    fn accepted(&mut self, connect: Connect<'_>, how: Acceptance<'_>) -> (Raw, ConnAck<'static>) {
        let raw = self.connects(connect, Verdict::Accept(how));
        match self.first(raw) {
            Packet::ConnAck(connack) => (raw, connack),
            other => panic!("{}", words(&other)),
        }
    }
}

fn of<'a>(user: &'a str, version: Version, client_id: &'a str) -> Connect<'a> {
    Connect { user_name: Some(text(user)), ..kept(version, client_id) }
}

// [MQTT5-3.1.3-7, MQTT5-3.2.2-16, MQTT5-3.2.2-21, MQTT5-3.1.2-28, MQTT5-3.2.2-20]
fn an_answer_says_what_is_agreed<S: Storage>(mut rig: Rig<S>) {
    rig.asking();
    let pairs = [(text("region"), text("north"))];
    let how = Acceptance {
        client_id: Some(text("hall-7")),
        session_expiry_secs: Some(60),
        keep_alive_secs: Some(30),
        response_information: Some(text("answers/hall-7")),
        user_properties: &pairs,
        ..YES
    };
    let asks = [Property::RequestResponseInformation(true), Property::SessionExpiryInterval(9)];
    for asked in [&asks[..], &asks[1..]] {
        let properties = Properties::new(asked);
        let connect = Connect { properties, ..hello(V5, "") };
        let (a, connack) = rig.accepted(connect, how);
        let told = connack.properties;
        assert_eq!(told.assigned_client_identifier(), Some(text("hall-7")));
        assert_eq!(told.session_expiry_interval(), Some(60));
        assert_eq!(told.server_keep_alive(), Some(30));
        assert_eq!(told.user_properties().collect::<Vec<_>>(), pairs);
        let wanted = (asked.len() == 2).then(|| text("answers/hall-7"));
        assert_eq!(told.response_information(), wanted, "only who asks is told");
        assert!(rig.broker.session_of("hall-7").is_some());
        rig.wait_ms(45_000);
        assert!(rig.is_closed(a), "its keep alive is that of the answer");
    }
    rig.wait_ms(60_000);
    assert_eq!(rig.broker.session_count(), 0);
}

/// Older clients can't be told; what needs no telling holds for them.
fn an_answer_holds_for_older_clients_too<S: Storage>(mut rig: Rig<S>) {
    rig.asking();
    let how = Acceptance {
        client_id: Some(text("named")),
        session_expiry_secs: Some(60),
        keep_alive_secs: Some(1),
        ..YES
    };
    let (a, connack) = rig.accepted(kept(rig.version, "a"), how);
    assert_eq!(connack, ConnAck::new(ReasonCode::Success, false));
    rig.wait_ms(10_000);
    assert!(!rig.is_closed(a));
    assert!(rig.broker.session_of("a").is_none());
    rig.cut(a);
    assert_eq!(rig.broker.session_of("named").map(|session| session.expiry_secs), Some(60));
    rig.wait_ms(60_000);
    assert_eq!(rig.broker.session_count(), 0);
    // A session that is not to be kept is not kept, whatever the host says [MQTT3-3.1.2-6].
    let (a, _) = rig.accepted(hello(rig.version, "b"), how);
    rig.cut(a);
    assert_eq!(rig.broker.session_count(), 0);
}

// [MQTT5-3.2.2-19, MQTT5-3.2.2-20]
fn a_refusal_says_why<S: Storage>(mut rig: Rig<S>) {
    rig.asking();
    let pairs = [(text("ticket"), text("4711"))];
    let why = Refusal::new(ReasonCode::UseAnotherServer)
        .reason_string(text("this one is full"))
        .server_reference(text("other.example"))
        .user_properties(&pairs);
    let small = Property::MaximumPacketSize(core::num::NonZeroU32::new(24).unwrap());
    let quiet = Property::RequestProblemInformation(false);
    for (asked, whole) in [(None, true), (Some(quiet), false), (Some(small), false)] {
        let asked: Vec<_> = asked.into_iter().collect();
        let connect = Connect { properties: Properties::new(&asked), ..hello(V5, "a") };
        let a = rig.connects(connect, Verdict::Refuse(why));
        let Packet::ConnAck(connack) = rig.first(a) else { panic!("no answer") };
        assert_eq!(connack.reason, ReasonCode::UseAnotherServer);
        let told = connack.properties;
        assert_eq!(told.server_reference(), Some(text("other.example")));
        assert_eq!(told.reason_string(), whole.then(|| text("this one is full")));
        assert_eq!(told.user_properties().count(), usize::from(whole));
        assert!(rig.is_closed(a));
        let refused = rig.events().into_iter().any(|event| {
            matches!(event, Event::Refused { reason: ReasonCode::UseAnotherServer, .. })
        });
        assert!(refused);
    }
    assert_eq!(rig.broker.counters().refused, 3);
}

/// [MQTT5-3.14.2-3, MQTT5-3.14.2-4]: the end of a connection says why, too.
fn a_disconnect_says_why<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let why = Refusal::new(ReasonCode::ServerMoved)
        .reason_string(text("we moved"))
        .server_reference(text("new.example"));
    assert!(rig.broker.disconnect("a", why, rig.now));
    rig.turn();
    let Packet::Disconnect(last) = rig.first(a) else { panic!("no DISCONNECT") };
    assert_eq!(last.reason, ReasonCode::ServerMoved);
    assert_eq!(last.properties.reason_string(), Some(text("we moved")));
    assert_eq!(last.properties.server_reference(), Some(text("new.example")));
}

/// Another user may not take over a session, unless the host says so; nothing happens to it.
fn a_session_is_its_users<S: Storage>(mut rig: Rig<S>) {
    rig.asking();
    let (a, _) = rig.accepted(of("anna", rig.version, "a"), YES);
    for stranger in [of("eve", rig.version, "a"), kept(rig.version, "a")] {
        let b = rig.connects(stranger, Verdict::Accept(YES));
        assert_eq!(rig.refusal(b), Some(ReasonCode::NotAuthorized));
        assert!(!rig.is_closed(a));
    }
    let (b, _) = rig.accepted(of("anna", rig.version, "a"), YES);
    assert!(rig.is_closed(a));
    rig.cut(b);
    let how = Acceptance { take_over: true, ..YES };
    rig.accepted(of("eve", rig.version, "a"), how);
    let owner = rig.broker.session_of("a").map(|session| session.user_name.to_vec());
    assert_eq!(owner.as_deref(), Some(&b"eve"[..]));
}

fn the_host_sees_whose_session_it_would_be<S: Storage>(mut rig: Rig<S>) {
    rig.asking();
    let named = Acceptance { user: Some(text("cn=anna")), ..YES };
    let (a, _) = rig.accepted(of("anna", rig.version, "a"), named);
    rig.cut(a);
    let raw = rig.open();
    let again = Packet::Connect(of("eve", rig.version, "a"));
    let _ = rig.hand_in(raw, &bytes(rig.version, &[again]));
    let Some(Event::Ask(ask)) = rig.events().pop() else { panic!("no question") };
    let session = rig.broker.session_asked_for(ask).expect("there is one");
    assert_eq!((session.user_name, session.link), (&b"cn=anna"[..], None));
}

/// Who asks nobody who somebody is has no owners.
fn without_questions_sessions_are_everybodys<S: Storage>(mut rig: Rig<S>) {
    let (a, _) = rig.connect_with(of("anna", rig.version, "a"));
    rig.connect_with(of("eve", rig.version, "a"));
    assert!(rig.is_closed(a));
}

/// An answer is one to the question that was asked, not to a later one of the same connection.
fn an_answer_is_to_one_question<S: Storage>(mut rig: Rig<S>) {
    rig.asking();
    let a = rig.open();
    let _ = rig.hand_in(a, &bytes(rig.version, &[Packet::Connect(hello(rig.version, "a"))]));
    let Some(Event::Ask(ask)) = rig.events().pop() else { panic!("no question") };
    rig.broker.answer(ask, Verdict::refuse(ReasonCode::Banned), rig.now);
    rig.broker.answer(ask, Verdict::Accept(YES), rig.now);
    rig.turn();
    assert!(rig.is_closed(a));
    assert_eq!(rig.broker.session_count(), 0);
}

on_both_storages! {
    [V5] => an_answer_says_what_is_agreed, a_refusal_says_why, a_disconnect_says_why;
    BEFORE_5 => an_answer_holds_for_older_clients_too;
    EVERY => a_session_is_its_users, the_host_sees_whose_session_it_would_be,
        without_questions_sessions_are_everybodys, an_answer_is_to_one_question;
}
