//! What a client does by itself, told as stories, on both storages.

use tamtam_core::client::{Failure, SendError, Unsupported};
use tamtam_core::{ReasonCode, Version};
use tamtam_tests::happened::{Happened, Loss};
use tamtam_tests::profile::Profile;
use tamtam_tests::server::Reaction;
use tamtam_tests::story::Story;
use tamtam_tests::wire::{AckKind, Answer, Packet, Props, encode, id};

use crate::support::{Kind, both};

both! {
    fn a_message_goes_each_way_at_every_qos_in_every_version<S: Kind>() {
        for &version in Version::ALL {
            let (story, a, server) = Story::<S>::of(version);
            a.connects();
            for qos in 0..3 {
                let text = format!("up {qos}");
                a.publishes("t", &text).qos(qos);
                server.receives(&text);
                server.publishes("t", &format!("down {qos}"), qos);
                assert_eq!(a.receives(&format!("down {qos}")).qos, qos);
            }
            a.hears_of_delivery("up 1");
            a.hears_of_delivery("up 2");
            story.ends();
        }
    }

    fn what_was_published_without_a_connection_leaves_with_one<S: Kind>() {
        let (story, a, server) = Story::<S>::of(Version::V311);
        for qos in 0..3 {
            a.publishes("t", &format!("early {qos}")).qos(qos);
        }
        server.does_not_receive("early 1");
        a.connects();
        for qos in 0..3 {
            server.receives(&format!("early {qos}"));
        }
        story.ends();
    }

    fn filters_are_asked_for_anew_only_if_the_session_was_lost<S: Kind>() {
        for &version in &[Version::V311, Version::V5] {
            let (story, a, server) = Story::<S>::of(version);
            a.connects();
            a.subscribes("x");
            a.subscribes("y/#");
            assert_eq!(server.subscribes(), 2);
            a.loses_connection();
            a.is_back();
            assert_eq!(server.subscribes(), 2, "the session was there");
            server.loses_sessions();
            a.is_back();
            assert_eq!(server.subscribes(), 4);
            let sent = server.server(|server| server.publish_to_subscribers("y/z", b"new", 1));
            assert_eq!(sent, 1);
            assert_eq!(a.receives("new").topic, "y/z");
            story.ends();
        }
    }

    fn a_filter_that_was_refused_or_given_back_is_not_asked_for_anew<S: Kind>() {
        let (story, a, server) = Story::<S>::of(Version::V5);
        a.connects();
        server.tricks(|packet| match packet {
            Packet::Subscribe(request) if request.filters[0].0 == b"refused" => {
                let answer = Answer { id: request.id, props: Props::NONE, codes: vec![0x87] };
                Reaction::Instead(encode(&Packet::SubAck(answer), Version::V5))
            }
            _ => Reaction::Proper,
        });
        for filter in ["granted", "refused", "given back"] {
            a.subscribes(filter);
        }
        a.node(|node, now| node.client.unsubscribe(&["given back"], now)).expect("it may");
        let before = server.subscribes();
        server.loses_sessions();
        a.is_back();
        assert_eq!(server.subscribes(), before + 1);
        let filters: Vec<String> =
            server.server(|server| server.sessions[&b"a"[..]].filters.keys().cloned().collect());
        assert_eq!(filters, ["granted"]);
        story.ends();
    }

    fn in_3_1_filters_are_always_asked_for_anew<S: Kind>() {
        let (story, a, server) = Story::<S>::of(Version::V31);
        a.connects();
        a.subscribes("x");
        a.loses_connection();
        a.is_back();
        assert_eq!(server.subscribes(), 2);
        story.ends();
    }

    fn a_name_that_the_server_gave_is_kept<S: Kind>() {
        let (_, a, server) = Story::<S>::with(Profile::new(Version::V5, ""));
        a.connects();
        a.loses_connection();
        a.is_back();
        let names: Vec<Vec<u8>> =
            server.connects().into_iter().map(|connect| connect.client_id).collect();
        assert_eq!(names, [b"".to_vec(), b"assigned-1".to_vec()]);
    }

    fn a_request_finds_its_answer<S: Kind>() {
        let (story, a, server) = Story::<S>::of(Version::V5);
        a.connects();
        let token = a.requests("service", "question", "answers");
        server.receives("question");
        let answer = a.take(|happened| matches!(happened, Happened::Message(_)));
        let Some(Happened::Message(answer)) = answer else { panic!("no answer") };
        assert_eq!((answer.topic.as_str(), answer.answers), ("answers", Some(token)));
        story.ends();
    }

    fn a_request_of_the_other_side_is_answered_from_within_the_event<S: Kind>() {
        let (story, a, server) = Story::<S>::of(Version::V5);
        a.node(|node, _| node.client.replies = true);
        a.connects();
        let props = Props::NONE
            .with_bytes(id::RESPONSE_TOPIC, b"back")
            .with_bytes(id::CORRELATION_DATA, b"7");
        server.server(|server| server.publish_with(b"a", "ask", b"how many?", 2, props));
        let _ = a.receives("how many?");
        server.receives("answer 1 to how many?");
        story.ends();
    }

    fn limits_that_are_lower_at_the_resume_are_obeyed<S: Kind>() {
        let (story, a, server) = Story::<S>::of(Version::V5);
        a.connects();
        server.ignores_requests();
        a.publishes("t", "one").qos(1);
        a.publishes("t", "two").qos(2);
        a.publishes("t", &"long ".repeat(20)).qos(1);
        a.publishes("t", "kept").retained().qos(1);
        a.publishes("t", "four").qos(1);
        server.behaves();
        server.says(
            Props::NONE
                .with(id::RECEIVE_MAXIMUM, 1)
                .with(id::MAXIMUM_PACKET_SIZE, 60)
                .with(id::RETAIN_AVAILABLE, 0),
        );
        a.loses_connection();
        a.is_back();
        a.hears_of_delivery("one");
        a.hears_of_delivery("two");
        a.hears_of_failure(&"long ".repeat(20), Failure::TooLarge);
        a.hears_of_failure("kept", Failure::Unsupported(Unsupported::Retain));
        a.hears_of_delivery("four");
        let error = a.cannot_publish("t", &"long ".repeat(20), 0);
        assert_eq!(error, SendError::TooLarge { limit: 60 });
        story.ends();
    }

    fn an_exchange_that_waits_for_pubcomp_holds_its_place_in_the_window<S: Kind>() {
        let (story, a, server) = Story::<S>::of(Version::V5);
        a.connects();
        server.tricks(|packet| match packet {
            Packet::Ack(ack) if ack.kind == AckKind::PubRel => Reaction::Instead(Vec::new()),
            Packet::Publish(publish) if publish.qos == 1 => Reaction::Instead(Vec::new()),
            _ => Reaction::Proper,
        });
        a.publishes("t", "one").qos(2);
        a.publishes("t", "two").qos(1);
        server.says(Props::NONE.with(id::RECEIVE_MAXIMUM, 1));
        a.loses_connection();
        a.is_back();
        story.passes(1_000);
        server.receives("one");
        server.does_not_receive("two");
        server.behaves();
        a.loses_connection();
        a.is_back();
        a.hears_of_delivery("one");
        a.hears_of_delivery("two");
        story.ends(); // the oracle has counted
    }

    fn a_qos_that_the_server_does_not_take_any_more_fails<S: Kind>() {
        let (story, a, server) = Story::<S>::of(Version::V5);
        a.connects();
        server.ignores_requests();
        a.publishes("t", "one").qos(1);
        a.publishes("t", "two").qos(2);
        server.behaves();
        server.says(Props::NONE.with(id::MAXIMUM_QOS, 0));
        a.loses_connection();
        a.is_back();
        a.hears_of_failure("one", Failure::Unsupported(Unsupported::QoS));
        a.hears_of_failure("two", Failure::Unsupported(Unsupported::QoS));
        let unsupported = SendError::Unsupported(Unsupported::QoS);
        assert_eq!(a.cannot_publish("t", "three", 1), unsupported);
        a.publishes("t", "zero").qos(0);
        server.receives("zero");
        story.ends();
    }

    /// The server had the message, but its PUBREC was lost; then the message became too large. Were
    /// its identifier used again in this session, the next message would be taken for this one.
    fn an_identifier_that_the_server_may_know_is_not_used_again<S: Kind>() {
        let (story, a, server) = Story::<S>::of(Version::V5);
        a.connects();
        server.swallows_answers();
        a.publishes("t", &"long ".repeat(20)).qos(2);
        server.behaves();
        server.says(Props::NONE.with(id::MAXIMUM_PACKET_SIZE, 60));
        a.loses_connection();
        a.is_back();
        a.hears_of_failure(&"long ".repeat(20), Failure::TooLarge);
        for number in 0..40 {
            let text = format!("short {number}");
            a.publishes("t", &text).qos(2);
            server.receives(&text);
        }
        story.ends();
    }

    fn authentication_goes_to_and_fro_and_once_more_later<S: Kind>() {
        let profile = Profile {
            authentication_method: Some("method".into()),
            ..Profile::new(Version::V5, "a")
        };
        let (story, a, server) = Story::<S>::with(profile);
        server.server(|server| server.manners.authentication_rounds = 3);
        a.connects();
        assert!(a.is_connected());
        let is_auth = |happened: &Happened| {
            matches!(happened, Happened::Auth(ReasonCode::ContinueAuthentication))
        };
        for _ in 0..3 {
            assert!(a.take(is_auth).is_some());
        }
        a.node(|node, now| node.client.machine.reauthenticate(None, now)).expect("it may");
        assert!(a.take(|happened| *happened == Happened::Auth(ReasonCode::Success)).is_some());
        assert!(a.is_connected());
        story.ends();
    }

    fn acknowledgements_in_any_order_leave_in_the_order_of_arrival<S: Kind>() {
        for &version in Version::ALL {
            let profile = Profile { manual_ack: true, ..Profile::new(version, "a") };
            let (story, a, server) = Story::<S>::with(profile);
            a.connects();
            for (number, qos) in [(0, 1), (1, 2), (2, 1), (3, 2)] {
                server.publishes("t", &format!("m{number}"), qos);
            }
            for number in [3, 2, 1, 0] {
                let message = a.receives(&format!("m{number}"));
                assert_eq!(a.acknowledges(message.ack), Ok(()));
                assert_eq!(a.acknowledges(message.ack), Err(SendError::Token), "once is enough");
            }
            story.ends();
        }
    }

    /// A QoS 1 token dies with its connection; a QoS 2 token lives with the session.
    fn tokens_live_as_long_as_their_meaning<S: Kind>() {
        let profile = Profile { manual_ack: true, ..Profile::new(Version::V5, "a") };
        let (story, a, server) = Story::<S>::with(profile);
        a.connects();
        a.subscribes("t");
        server.publishes("t", "once", 2);
        server.publishes("t", "again", 1);
        let (once, again) = (a.receives("once"), a.receives("again"));
        a.loses_connection();
        assert_eq!(a.acknowledges(again.ack), Err(SendError::Token));
        assert_eq!(a.acknowledges(once.ack), Ok(()), "an early answer");
        a.is_back();
        a.does_not_receive("once");
        let again = a.receives("again");
        assert!(again.dup);
        assert_eq!(a.acknowledges(again.ack), Ok(()));
        story.ends();
    }

    fn goodbye_ends_it_until_asked_again<S: Kind>() {
        for &version in Version::ALL {
            let (story, a, server) = Story::<S>::of(version);
            a.connects();
            a.publishes("t", "first").qos(1);
            a.disconnects();
            assert_eq!(a.lost(), Some(Loss::Done));
            story.passes(300_000);
            assert!(!a.comes_back() && server.connects().len() == 1);
            a.publishes("t", "second").qos(1);
            a.connects();
            server.receives("second");
            story.ends();
        }
    }

    fn a_lost_session_gives_up_what_may_have_arrived<S: Kind>() {
        let (story, a, server) = Story::<S>::of(Version::V5);
        a.connects();
        server.swallows_answers();
        a.publishes("t", "perhaps").qos(2);
        a.publishes("t", "at least once").qos(1);
        server.behaves();
        server.loses_sessions();
        a.is_back();
        a.hears_of_failure("perhaps", Failure::Unknown);
        server.receives("perhaps");
        assert_eq!(server.times("at least once"), 2);
        story.ends();
    }

    fn or_sends_it_again_if_told_to<S: Kind>() {
        let profile = Profile { send_again_unknown: true, ..Profile::new(Version::V5, "a") };
        let (story, a, server) = Story::<S>::with(profile);
        a.connects();
        server.swallows_answers();
        a.publishes("t", "twice").qos(2);
        server.behaves();
        server.loses_sessions();
        a.is_back();
        a.hears_of_delivery("twice");
        assert_eq!(server.times("twice"), 2);
        story.ends();
    }

    fn a_connection_that_the_server_closes_at_once_is_not_the_end<S: Kind>() {
        let (story, a, server) = Story::<S>::of(Version::V311);
        server.tricks(|packet| match packet {
            Packet::Connect(_) => Reaction::HangUp,
            _ => Reaction::Proper,
        });
        a.connects();
        a.publishes("t", "x").qos(1);
        story.passes(5_000);
        server.behaves();
        a.is_back();
        server.receives("x");
        story.ends();
    }
}
