//! What an application asks wrongly is an error, and changes nothing: the client is the same after
//! it, to the last bit.

use tamtam_core::client::{
    AckToken, Client, Filter, Publish, Record, RecordError, SendError, Token, Unsupported,
};
use tamtam_core::{
    Disconnect, Instant, PacketId, Properties, Property, QoS, ReasonCode, SubscriptionId, Version,
};
use tamtam_tests::happened::Happened;
use tamtam_tests::profile::Profile;
use tamtam_tests::story::{Actor, Story};
use tamtam_tests::wire::{Props, id};

use crate::support::{Kind, both};

const NOW: Instant = Instant::from_millis(1_000);

/// Makes a call that must fail, and compares the client before and after. A first attempt may tidy
/// up its memory.
fn fails<S: Kind, T: std::fmt::Debug>(
    client: &mut Client<S>,
    what: &str,
    is_right: impl Fn(&SendError) -> bool,
    call: impl Fn(&mut Client<S>) -> Result<T, SendError>,
) {
    let output = client.output().to_vec();
    let first = call(client);
    let before = S::show(client);
    let second = call(client);
    assert_eq!(before, S::show(client), "{what}");
    assert_eq!(output, client.output(), "{what}");
    for result in [first, second] {
        match result {
            Err(error) if is_right(&error) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
}

fn is(expected: SendError) -> impl Fn(&SendError) -> bool {
    move |error| *error == expected
}

const fn is_topic(error: &SendError) -> bool {
    matches!(error, SendError::Topic(_))
}

const fn is_filter(error: &SendError) -> bool {
    matches!(error, SendError::Filter(_))
}

const fn is_packet(error: &SendError) -> bool {
    matches!(error, SendError::Packet(_))
}

const fn is_too_large(error: &SendError) -> bool {
    matches!(error, SendError::TooLarge { .. })
}

fn publish<S: Kind>(topic: &str, qos: QoS) -> impl Fn(&mut Client<S>) -> Result<Token, SendError> {
    let topic = topic.to_owned();
    move |client| client.publish(Publish::new(&topic, b"x").qos(qos), NOW)
}

fn subscribe<S: Kind>(filter: &str) -> impl Fn(&mut Client<S>) -> Result<Token, SendError> {
    let filter = filter.to_owned();
    move |client| client.subscribe(&[Filter::new("good"), Filter::new(&filter)], NOW)
}

/// Calls that are wrong whether there is a connection or not.
fn wrong_anywhere<S: Kind>(client: &mut Client<S>, version: Version) {
    for topic in ["", "a/#", "+", "a\0b"] {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            fails(client, topic, is_topic, publish(topic, qos));
        }
    }
    let long = "x".repeat(65_536);
    fails(client, "a long topic", is_topic, publish(&long, QoS::AtLeastOnce));
    let payload = vec![0; 1 << 20];
    let large = |client: &mut Client<S>| {
        client.publish(Publish::new("t", &payload).qos(QoS::AtLeastOnce), NOW)
    };
    fails(client, "a large payload", is_too_large, large);
    if !version.is_v5() {
        let properties = [Property::MessageExpiryInterval(1)];
        let with_property = |client: &mut Client<S>| {
            client.publish(Publish::new("t", b"").properties(&properties), NOW)
        };
        fails(client, "a property", is_packet, with_property);
    }
    let aliased = [Property::TopicAlias(std::num::NonZeroU16::MIN)];
    let alias =
        |client: &mut Client<S>| client.publish(Publish::new("t", b"").properties(&aliased), NOW);
    fails(client, "an alias", is_packet, alias);
    let chunk = |client: &mut Client<S>| client.publish_chunk(b"x", NOW);
    fails(client, "a chunk of nothing", is(SendError::Stream), chunk);
    let resend =
        |client: &mut Client<S>| client.resend_stream(a_token(), Publish::new("t", b""), 1, NOW);
    fails(client, "no such stream", is(SendError::Token), resend);
    let record = client.restore(Record::Received(PacketId::MIN));
    if client.is_connected() {
        assert_eq!(record, Err(RecordError::TooLate));
    }
}

/// The first token of another client.
fn a_token() -> Token {
    let mut other = Client::<tamtam_core::Heap>::new();
    other.start(&Profile::new(Version::V311, "b").options(), 1).expect("good options");
    for _ in 0..1_000 {
        other.publish(Publish::new("t", b"x"), NOW).expect("room");
    }
    other.publish(Publish::new("t", b"x"), NOW).expect("room")
}

fn started<S: Kind>(profile: &Profile) -> Client<S> {
    let mut client = Client::new();
    client.start(&profile.options(), 1).expect("good options");
    client
}

/// Runs `work` on the client of a story that is connected.
fn connected<S: Kind>(a: &Actor<S>, work: impl FnOnce(&mut Client<S>)) {
    a.node(|node, now| {
        assert_eq!(now, NOW);
        assert!(node.client.machine.is_connected());
        work(&mut node.client.machine);
    });
}

both! {
    fn before_the_start_nothing_is_possible<S: Kind>() {
        let client = &mut Client::<S>::new();
        let not_running = || is(SendError::NotRunning);
        fails(client, "publish", not_running(), publish("t", QoS::AtLeastOnce));
        fails(client, "subscribe", not_running(), subscribe("f"));
        fails(client, "unsubscribe", not_running(), |client| client.unsubscribe(&["f"], NOW));
        fails(client, "connect", not_running(), |client| client.connect(NOW));
        assert_eq!(client.restore(Record::Received(PacketId::MIN)), Err(RecordError::TooLate));
        assert_eq!(client.poll_record(), None);
        assert_eq!(client.poll_timeout(), None);
    }

    fn without_a_connection_what_needs_one_fails<S: Kind>() {
        for &version in Version::ALL {
            let profile = Profile { queue_qos0: false, ..Profile::new(version, "a") };
            let client = &mut started::<S>(&profile);
            client.publish(Publish::new("t", b"waits").qos(QoS::AtLeastOnce), NOW).expect("room");
            let offline = || is(SendError::NotConnected);
            fails(client, "QoS 0", offline(), publish("t", QoS::AtMostOnce));
            fails(client, "subscribe", offline(), subscribe("f"));
            fails(client, "unsubscribe", offline(), |client| client.unsubscribe(&["f"], NOW));
            fails(client, "disconnect", offline(), |client| client.disconnect(NOW));
            fails(client, "reauthenticate", offline(), |client| client.reauthenticate(None, NOW));
            fails(client, "authenticate", offline(), |client| client.authenticate(None, NOW));
            let stream = |client: &mut Client<S>| {
                client.publish_stream(Publish::new("t", b"").qos(QoS::AtLeastOnce), 9, NOW)
            };
            let waits = |error: &SendError| {
                matches!(error, SendError::NotConnected | SendError::Full)
            };
            fails(client, "stream", waits, stream);
            wrong_anywhere(&mut started::<S>(&Profile::new(version, "a")), version);
        }
    }

    fn with_a_connection_nonsense_fails<S: Kind>() {
        for &version in Version::ALL {
            let (_, a, _) = Story::<S>::of(version);
            a.connects();
            connected(&a, |client| {
                wrong_anywhere(client, version);
                let shared = ["$share/g", "$share//f", "$share/+/f"];
                for filter in ["", "a#", "#/a", "a/+b", "a\0"].into_iter().chain(shared) {
                    fails(client, filter, is_filter, subscribe(filter));
                    let filter = &filter;
                    let leave = |client: &mut Client<S>| client.unsubscribe(&["good", filter], NOW);
                    fails(client, filter, is_filter, leave);
                }
                fails(client, "no filter", is_packet, |client| client.subscribe(&[], NOW));
                fails(client, "no filter", is_packet, |client| client.unsubscribe(&[], NOW));
                let any = |client: &mut Client<S>| client.reauthenticate(None, NOW);
                fails(client, "no method", is(SendError::NotConnected), any);
                let id = SubscriptionId::new(7).expect("in range");
                let options = [Filter::new("f").no_local(true)];
                let request = Publish::new("t", b"?");
                if !version.is_v5() {
                    fails(client, "no local", is_packet, |client| client.subscribe(&options, NOW));
                    let with_id = |client: &mut Client<S>| {
                        client.subscribe_with_id(&[Filter::new("f")], id, NOW)
                    };
                    fails(client, "an identifier", is_packet, with_id);
                    fails(client, "a request", is_packet, |client| {
                        client.request(request, "r", NOW)
                    });
                }
                fails(client, "where?", is_topic, |client| client.request(request, "#", NOW));
                let stream = |client: &mut Client<S>| {
                    client.publish_stream(Publish::new("t", b""), u32::MAX, NOW)
                };
                let too_long = |error: &SendError| is_packet(error) || is_too_large(error);
                fails(client, "a stream too long", too_long, stream);
            });
        }
    }

    fn a_goodbye_must_be_a_client_s<S: Kind>() {
        let profile = Profile { session_expiry_secs: 0, ..Profile::new(Version::V5, "a") };
        let (_, a, _) = Story::<S>::with(profile);
        a.connects();
        connected(&a, |client| {
            for reason in [ReasonCode::SessionTakenOver, ReasonCode::GrantedQoS1] {
                let goodbye = |client: &mut Client<S>| {
                    client.disconnect_with(Disconnect::new(reason), NOW)
                };
                fails(client, "a server's reason", is_packet, goodbye);
            }
            let longer = [Property::SessionExpiryInterval(60)];
            let goodbye = |client: &mut Client<S>| {
                let properties = Properties::new(&longer);
                let reason = ReasonCode::NORMAL_DISCONNECTION;
                client.disconnect_with(Disconnect { reason, properties }, NOW)
            };
            fails(client, "a session out of nothing", is_packet, goodbye);
        });
    }

    fn what_the_server_does_not_do_fails<S: Kind>() {
        let (_, a, server) = Story::<S>::of(Version::V5);
        server.says(
            Props::NONE
                .with(id::MAXIMUM_QOS, 1)
                .with(id::RETAIN_AVAILABLE, 0)
                .with(id::MAXIMUM_PACKET_SIZE, 50)
                .with(id::WILDCARDS_AVAILABLE, 0)
                .with(id::SHARED_AVAILABLE, 0)
                .with(id::SUBSCRIPTION_IDS_AVAILABLE, 0),
        );
        a.connects();
        connected(&a, |client| {
            let not = |what| is(SendError::Unsupported(what));
            fails(client, "QoS 2", not(Unsupported::QoS), publish("t", QoS::ExactlyOnce));
            let retained =
                |client: &mut Client<S>| client.publish(Publish::new("t", b"").retain(true), NOW);
            fails(client, "retain", not(Unsupported::Retain), retained);
            fails(client, "wildcards", not(Unsupported::Wildcards), subscribe("a/#"));
            fails(client, "shared", not(Unsupported::Shared), subscribe("$share/g/a"));
            let id = SubscriptionId::new(1).expect("in range");
            let identified =
                |client: &mut Client<S>| client.subscribe_with_id(&[Filter::new("a")], id, NOW);
            fails(client, "identifiers", not(Unsupported::SubscriptionIds), identified);
            let long = "x".repeat(60);
            let too_large = || is(SendError::TooLarge { limit: 50 });
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
                fails(client, "a long topic", too_large(), publish(&long, qos));
            }
            fails(client, "a long filter", too_large(), subscribe(&long));
            let leave = |client: &mut Client<S>| client.unsubscribe(&[&long], NOW);
            fails(client, "a long filter", too_large(), leave);
            let stream = |client: &mut Client<S>| {
                client.publish_stream(Publish::new("t", b""), 60, NOW)
            };
            fails(client, "a long stream", too_large(), stream);
        });
    }

    fn without_room_nothing_is_taken<S: Kind>() {
        for drop_oldest in [false, true] {
            let profile = Profile {
                in_flight: 8,
                outgoing_bytes: 1_000,
                drop_oldest,
                ..Profile::new(Version::V5, "a")
            };
            let (_, a, server) = Story::<S>::with(profile);
            a.connects();
            server.ignores_requests();
            for number in 0..8 {
                a.publishes("t", &format!("in flight {number}")).qos(1 + number % 2);
            }
            connected(&a, |client| {
                let full = || is(SendError::Full);
                fails(client, "no identifier", full(), publish("t", QoS::AtLeastOnce));
                fails(client, "no identifier", full(), subscribe("f"));
                fails(client, "no identifier", full(), |client| client.unsubscribe(&["f"], NOW));
                let stream = |client: &mut Client<S>| {
                    client.publish_stream(Publish::new("t", b"").qos(QoS::AtLeastOnce), 9, NOW)
                };
                fails(client, "no identifier", full(), stream);
                let payload = vec![0; 900];
                let large = |client: &mut Client<S>| {
                    client.publish(Publish::new("t", &payload), NOW)
                };
                fails(client, "no bytes", full(), large);
            });
        }
    }

    fn while_a_payload_is_streamed_there_is_no_other<S: Kind>() {
        let (_, a, server) = Story::<S>::of(Version::V5);
        a.connects();
        server.ignores_requests();
        connected(&a, |client| {
            client.publish_stream(Publish::new("t", b""), 10, NOW).expect("it may");
            let stream = |client: &mut Client<S>| {
                client.publish_stream(Publish::new("t", b""), 9, NOW)
            };
            fails(client, "two at once", is(SendError::Stream), stream);
            let chunk = |client: &mut Client<S>| client.publish_chunk(&[0; 11], NOW);
            fails(client, "more than was said", is(SendError::Stream), chunk);
            fails(client, "disconnect", is(SendError::Stream), |client| client.disconnect(NOW));
        });
    }

    fn tokens_are_good_once<S: Kind>() {
        let profile = Profile { manual_ack: true, ..Profile::new(Version::V5, "a") };
        let (_, a, server) = Story::<S>::with(profile);
        a.connects();
        let mut tokens: Vec<AckToken> = Vec::new();
        for qos in [1, 2] {
            server.publishes("t", "m", qos);
            tokens.push(a.receives("m").ack);
        }
        connected(&a, |client| {
            for token in tokens {
                let unfit =
                    |client: &mut Client<S>| client.refuse(token, ReasonCode::Success, NOW);
                fails(client, "no refusal", is(SendError::Token), unfit);
                client.ack(token, NOW).expect("the first time");
                let again = |client: &mut Client<S>| client.ack(token, NOW);
                fails(client, "twice", is(SendError::Token), again);
                let refuse =
                    |client: &mut Client<S>| client.refuse(token, ReasonCode::QuotaExceeded, NOW);
                fails(client, "refused afterwards", is(SendError::Token), refuse);
            }
        });
    }

    fn on_the_way_out_nothing_more_is_taken<S: Kind>() {
        let profile = Profile { manual_ack: true, ..Profile::new(Version::V5, "a") };
        let (_, a, server) = Story::<S>::with(profile);
        a.connects();
        server.publishes("t", "m", 1);
        let message = a.take(|happened| matches!(happened, Happened::Message(_)));
        let Some(Happened::Message(message)) = message else { panic!("no message") };
        connected(&a, |client| {
            client.disconnect(NOW).expect("it is connected");
            let output = client.output().to_vec();
            let gone = || {
                |error: &SendError| {
                    matches!(error, SendError::NotRunning | SendError::NotConnected)
                }
            };
            fails(client, "publish", gone(), publish("t", QoS::AtLeastOnce));
            fails(client, "subscribe", gone(), subscribe("f"));
            fails(client, "disconnect", gone(), |client| client.disconnect(NOW));
            // It may be acknowledged, but not on the wire any more [MQTT5-3.14.4-1].
            let _ = client.ack(message.ack, NOW);
            assert_eq!(client.output(), output);
        });
    }
}
