//! CONNECT and what answers it.

use core::num::{NonZeroU16, NonZeroU32};

use tamtam_core::Will;
use tamtam_core::client::{
    Client, Event, Filter, Lost, Options, PeerError, SendError, StartError, Transport,
};

use crate::support::*;

// [MQTT5-3.1.0-1, MQTT3-3.1.0-1]
fn connect_is_the_first_packet<S: Storage>(mut rig: Rig<S>) {
    assert_eq!(rig.client.transport(), Transport::Resting);
    rig.start(&options(rig.version).user_name("u").password(b"p"));
    rig.publish("t", b"waits", QoS::AtLeastOnce);
    assert_eq!(rig.client.output(), b"", "nothing leaves without a transport");
    let connect = rig.open();
    assert_eq!((connect.version, connect.client_id.as_str()), (rig.version, "c"));
    assert_eq!(connect.user_name, Some(text("u")));
    assert_eq!(connect.password, Some(&b"p"[..]));
    assert_eq!(rig.sent(), [], "nothing leaves before the server has accepted");
    rig.accept(false, &[]);
    assert_eq!(names(&rig.sent()), ["waits"]);
}

fn the_options_are_said_in_connect<S: Storage>(mut rig: Rig<S>) {
    let list = [Property::WillDelayInterval(5), Property::MessageExpiryInterval(9)];
    let will = Will {
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: Properties::new(&list),
        ..Will::new(topic("gone"), b"c")
    };
    let options = options(V5)
        .will(will)
        .keep_alive_secs(77)
        .max_packet_size(500)
        .receive_maximum(5)
        .topic_alias_maximum(3)
        .user_property(text("k"), text("v"))
        .property(Property::RequestProblemInformation(false));
    rig.start(&options);
    let connect = rig.open();
    assert_eq!(connect.will, Some(will));
    assert_eq!((connect.keep_alive, connect.clean_start), (77, false));
    let said = connect.properties;
    assert_eq!(said.session_expiry_interval(), Some(3_600));
    assert_eq!(said.maximum_packet_size(), NonZeroU32::new(500));
    assert_eq!(said.receive_maximum(), NonZeroU16::new(5));
    assert_eq!(said.topic_alias_maximum(), Some(3));
    assert_eq!(said.user_properties().collect::<Vec<_>>(), [(text("k"), text("v"))]);
    assert_eq!(said.request_problem_information(), Some(false));
}

#[test]
fn the_server_is_told_no_more_than_there_is_room_for() {
    let mut rig = Rig::<Firmware>::new(V5);
    rig.start(&Options::new(V5));
    assert_eq!(rig.open().properties.receive_maximum(), NonZeroU16::new(8));
    let mut rig = Rig::<Heap>::new(V5);
    rig.start(&Options::new(V5).receive_maximum(0));
    assert_eq!(rig.open().properties.receive_maximum(), NonZeroU16::new(1), "0 can't be said");
    rig.accept(false, &[]);
    let ack = only_ack(&rig.feed(&[message(QoS::AtLeastOnce, 1, b"x")]));
    assert_eq!(rig.client.ack(ack, rig.now), Err(SendError::Token), "it was taken over already");
    assert_eq!(names(&rig.sent()), ["PUBACK 1"]);
}

fn a_server_that_says_nothing_is_waited_for_a_while<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(rig.version).connect_timeout_ms(3_000));
    let deadline = rig.now.plus_millis(3_000);
    rig.wait_ms(1_000);
    rig.open();
    assert_eq!(rig.client.poll_timeout(), Some(deadline), "the transport is part of it");
    rig.wait_ms(1_999);
    assert_eq!(rig.news(), []);
    rig.wait_ms(1);
    assert_eq!(rig.feed_last(&[]), Lost::ConnectTimeout);
    rig.close();
    rig.reopen();
    rig.accept(false, &[]);
}

/// The program was busy; the server was not.
fn an_answer_that_is_here_is_not_late<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(rig.version));
    rig.open();
    rig.wait_ms(60_000);
    assert_eq!(rig.client.transport(), Transport::Open);
    rig.accept(false, &[]);
    rig.wait_ms(1);
    assert_eq!(rig.news(), []);
}

fn a_transport_that_does_not_open_is_waited_for_a_while<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(rig.version));
    rig.wait_ms(10_000);
    assert_eq!(rig.client.transport(), Transport::Unwanted);
    rig.client.handle_open(rig.now);
    assert_eq!(rig.client.transport(), Transport::Unwanted, "too late");
    assert_eq!(rig.feed_last(&[]), Lost::ConnectTimeout);
    rig.close();
    rig.reopen();
    // One that fails is no news: who opened it knows.
    rig.cut();
    let when = rig.client.poll_timeout().expect("an attempt to come");
    rig.wait_ms(when.millis_since(rig.now));
    assert_eq!(rig.client.transport(), Transport::Wanted);
    rig.client.handle_close(rig.now);
    assert_eq!((rig.news(), rig.client.transport()), (vec![], Transport::Resting));
}

// [MQTT5-4.13.2-1]
fn a_refusal_is_the_end_of_the_connection<S: Storage>(mut rig: Rig<S>) {
    for (reason, again) in [
        (ReasonCode::ServerUnavailable, true),
        (ReasonCode::BadUserNameOrPassword, false),
        (ReasonCode::NotAuthorized, false),
        (ReasonCode::ClientIdentifierNotValid, false),
    ] {
        rig.start(&options(rig.version));
        rig.open();
        let lost = rig.feed_last(&[Packet::ConnAck(ConnAck::new(reason, false))]);
        let Lost::Refused(connack) = lost else { panic!("{lost:?}") };
        assert_eq!(connack.reason, reason);
        assert_eq!(rig.client.transport(), Transport::Unwanted);
        assert_eq!(rig.sent(), []);
        rig.close();
        assert_eq!(rig.client.poll_timeout().is_some(), again, "trying again after {reason}");
    }
}

fn a_redirection_comes_with_its_address<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(V5));
    rig.open();
    let list = [Property::ServerReference(text("other:1883"))];
    let properties = Properties::new(&list);
    let connack = ConnAck { properties, ..ConnAck::new(ReasonCode::UseAnotherServer, false) };
    let Lost::Refused(told) = rig.feed_last(&[Packet::ConnAck(connack)]) else { panic!() };
    assert_eq!(told.properties.server_reference(), Some(text("other:1883")));
    rig.close();
    assert_eq!(rig.client.poll_timeout(), None, "the application opens another transport");
}

fn what_comes_before_connack_is_not_due<S: Storage>(mut rig: Rig<S>) {
    for packet in [message(QoS::AtMostOnce, 0, b"early"), puback(1), Packet::PingResp] {
        rig.start(&options(rig.version));
        rig.open();
        let lost = rig.feed_last(&[packet]);
        assert_eq!(lost, Lost::Peer(PeerError::UnexpectedPacket));
        assert_eq!(rig.sent(), [], "no DISCONNECT before CONNACK");
        rig.close();
    }
    rig.client.disconnect(rig.now).expect_err("no connection");
}

/// Who reads and who writes may be two.
fn an_answer_may_be_read_before_the_write_is_accounted_for<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(rig.version).client_id("c"));
    rig.publish("t", b"waits", QoS::AtLeastOnce);
    rig.client.handle_open(rig.now);
    let connect = rig.client.output().len();
    rig.accept(false, &[]);
    rig.client.output_written(connect, rig.now);
    assert_eq!(names(&rig.sent()), ["waits"]);
    rig.cut();
    assert_eq!(rig.reopen().client_id, text("c"));
}

fn a_second_connack_is_not_due<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let connack = Packet::ConnAck(ConnAck::new(ReasonCode::Success, false));
    assert_eq!(rig.feed_last(&[connack]), Lost::Peer(PeerError::SecondConnAck));
}

// [MQTT3-3.1.3-7]
fn a_client_identifier_is_what_its_version_wants<S: Storage>(mut rig: Rig<S>) {
    let mut start = |options: Options<'_>| rig.client.start(&options, 7);
    let long = "x".repeat(24);
    assert_eq!(start(Options::new(V31)), Err(StartError::ClientId));
    assert_eq!(start(Options::new(V31).client_id(&long)), Err(StartError::ClientId));
    assert_eq!(start(Options::new(V31).client_id(&long[1..])), Ok(()));
    assert_eq!(start(Options::new(V311)), Ok(()), "with a clean session");
    assert_eq!(start(Options::new(V311).clean_start(false)), Err(StartError::CleanSession));
    assert_eq!(start(Options::new(V311).client_id(&long).clean_start(false)), Ok(()));
    assert_eq!(start(Options::new(V5).clean_start(false)), Ok(()));
    assert_eq!(start(Options::new(V5).client_id("nul\0")), Err(StartError::ClientId));
}

fn options_that_make_no_connect_leave_no_client<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.publish("t", b"x", QoS::AtLeastOnce);
    let long = vec![b'x'; 2_000];
    let bad = Options::new(rig.version).client_id("c").user_name("u").password(&long);
    let bad = bad.outgoing_bytes(1_024);
    assert_eq!(rig.client.start(&bad, 7), Err(StartError::Full));
    assert_eq!(rig.client.connect(rig.now), Err(SendError::NotRunning));
    assert_eq!((rig.client.in_flight(), rig.client.output()), (0, &b""[..]));
    rig.start(&options(rig.version));
    assert_eq!(rig.open().client_id, text("c"));
}

fn a_client_that_was_not_started_does_nothing<S: Storage>(mut rig: Rig<S>) {
    let now = rig.now;
    assert_eq!(rig.client.connect(now), Err(SendError::NotRunning));
    let publish = tamtam_core::client::Publish::new("t", b"");
    assert_eq!(rig.client.publish(publish, now), Err(SendError::NotRunning));
    assert_eq!(rig.client.subscribe(&[Filter::new("t")], now), Err(SendError::NotRunning));
    assert_eq!(rig.client.disconnect(now), Err(SendError::NotConnected));
    rig.client.handle_open(now);
    rig.client.handle_close(now);
    rig.wait_ms(1_000_000);
    assert_eq!((rig.news(), rig.client.output()), (vec![], &b""[..]));
    assert_eq!(rig.client.poll_timeout(), None);
    assert_eq!(rig.client.transport(), Transport::Resting);
}

/// Clean Start apart, which a first connection may ask for.
// [MQTT5-3.1.3-2, MQTT3-3.1.3-2]
fn every_connection_is_of_the_same_client<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(rig.version).will(Will::new(topic("w"), b"gone")));
    let first = rig.open();
    for _ in 0..3 {
        rig.accept(false, &[]);
        rig.cut();
        assert_eq!(rig.reopen(), first);
    }
}

// [MQTT5-3.1.3-2]
fn a_name_that_the_server_gave_is_used_from_then_on<S: Storage>(mut rig: Rig<S>) {
    let unnamed = options(V5).client_id("").user_name("u").will(Will::new(topic("w"), b"gone"));
    rig.start(&unnamed);
    let before = rig.open();
    assert_eq!(before.client_id, text(""));
    rig.publish("t", b"1", QoS::AtLeastOnce);
    rig.accept(false, &[Property::AssignedClientIdentifier(text("given-by-server"))]);
    assert_eq!(names(&rig.sent()), ["1"]);
    rig.subscribe("room/#");
    rig.cut();
    let after = rig.reopen();
    assert_eq!(after.client_id, text("given-by-server"));
    assert_eq!(Connect { client_id: before.client_id, ..after }, before);
    rig.accept(true, &[]);
    assert_eq!(names(&rig.sent()), ["1*"]);
}

#[test]
fn a_name_for_which_there_is_no_room_is_forgotten() {
    let mut rig = Rig::<Fixed<80, 8>>::new(V5);
    rig.start(&options(V5).client_id(""));
    let before = rig.open();
    rig.accept(false, &[Property::AssignedClientIdentifier(text(&"x".repeat(50)))]);
    rig.cut();
    assert_eq!(rig.reopen(), before);
}

/// The next connection goes on with the session that this one began.
fn a_clean_start_is_asked_for_once<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(V5).clean_start(true));
    assert!(rig.open().clean_start);
    rig.accept(false, &[]);
    rig.cut();
    assert!(!rig.reopen().clean_start);
}

// [MQTT3-3.1.2-6]
fn a_clean_session_is_asked_for_every_time<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(rig.version).clean_start(true));
    for _ in 0..3 {
        assert!(rig.reopen().clean_start);
        rig.accept(false, &[]);
        rig.cut();
    }
}

/// Nothing is needed of a server that the specification does not have.
// [MQTT3-7.0.0-2]
fn a_plain_server_is_enough<S: Storage>(mut rig: Rig<S>) {
    rig.start(&Options::new(rig.version).client_id("c"));
    let connect = rig.open();
    let extras = connect.properties.iter().count();
    assert!(extras <= 1, "no more than Receive Maximum: {:?}", connect.properties);
    let (events, lost, _) = rig.take_in(match rig.version {
        V5 => b"\x20\x03\x00\x00\x00".to_vec(),
        _ => b"\x20\x02\x00\x00".to_vec(),
    });
    assert!(matches!(events[..], [Event::Connected { session_present: false, .. }]));
    assert_eq!((lost, rig.client.version()), (None, rig.version));
}

#[test]
fn every_client_is_a_default_client() {
    let client = Client::<Firmware>::default();
    assert_eq!((client.is_connected(), client.in_flight(), client.dropped()), (false, 0, 0));
}

on_both_storages! {
    EVERY => connect_is_the_first_packet, a_server_that_says_nothing_is_waited_for_a_while,
        an_answer_that_is_here_is_not_late, a_transport_that_does_not_open_is_waited_for_a_while,
        a_refusal_is_the_end_of_the_connection, what_comes_before_connack_is_not_due,
        a_second_connack_is_not_due, every_connection_is_of_the_same_client,
        an_answer_may_be_read_before_the_write_is_accounted_for,
        options_that_make_no_connect_leave_no_client,
        a_client_that_was_not_started_does_nothing, a_plain_server_is_enough;
    BEFORE_5 => a_clean_session_is_asked_for_every_time;
    [V5] => the_options_are_said_in_connect, a_redirection_comes_with_its_address,
        a_client_identifier_is_what_its_version_wants, a_clean_start_is_asked_for_once,
        a_name_that_the_server_gave_is_used_from_then_on;
}
