//! Enhanced authentication: AUTH both ways, at the start and again later.

use tamtam_core::Auth;
use tamtam_core::client::{Event, Lost, Options, PeerError, SendError};

use crate::support::*;

const DATA: Property<'static> = Property::AuthenticationData(b"data");

fn method() -> Property<'static> {
    Property::AuthenticationMethod(text("SCRAM"))
}

fn with_method() -> Options<'static> {
    options(V5).authentication_method(text("SCRAM")).authentication_data(b"first")
}

fn auth<'a>(reason: ReasonCode, list: &'a [Property<'a>]) -> Packet<'a> {
    Packet::Auth(Auth { reason, properties: Properties::new(list) })
}

const GO_ON: ReasonCode = ReasonCode::ContinueAuthentication;

/// The AUTH that has left: its reason, and its data.
#[track_caller]
fn sent_auth<S: Storage>(rig: &mut Rig<S>) -> (ReasonCode, Option<&'static [u8]>) {
    let Packet::Auth(auth) = rig.sent_one() else { panic!("no AUTH") };
    assert_eq!(auth.properties.authentication_method(), Some(text("SCRAM")));
    (auth.reason, auth.properties.authentication_data())
}

// [MQTT5-4.12.0-3, MQTT5-4.12.0-5, MQTT5-3.1.2-30]
fn the_server_asks_and_is_answered<S: Storage>(mut rig: Rig<S>) {
    rig.start(&with_method());
    let connect = rig.open();
    assert_eq!(connect.properties.authentication_method(), Some(text("SCRAM")));
    assert_eq!(connect.properties.authentication_data(), Some(&b"first"[..]));
    rig.publish("t", b"waits", QoS::AtLeastOnce);
    let refused = rig.client.authenticate(Some(b"x"), rig.now);
    assert_eq!(refused, Err(SendError::NotConnected), "nobody asked");
    for step in [&b"one"[..], b"two"] {
        let list = [method(), DATA];
        let events = rig.feed(&[auth(GO_ON, &list)]);
        let properties = Properties::new(&list);
        assert_eq!(events, [Event::Auth { reason: GO_ON, properties }]);
        assert_eq!(rig.sent(), [], "nothing but AUTH may leave now");
        rig.client.authenticate(Some(step), rig.now).expect("asked for");
        assert_eq!(sent_auth(&mut rig), (GO_ON, Some(step)));
        assert_eq!(rig.client.authenticate(None, rig.now), Err(SendError::NotConnected), "once");
    }
    rig.accept(false, &[method(), DATA]);
    assert_eq!(names(&rig.sent()), ["waits"]);
}

fn an_answer_may_have_no_data<S: Storage>(mut rig: Rig<S>) {
    rig.start(&with_method());
    rig.open();
    rig.feed(&[auth(GO_ON, &[method()])]);
    rig.client.authenticate(None, rig.now).expect("asked for");
    assert_eq!(sent_auth(&mut rig), (GO_ON, None));
}

// [MQTT5-4.12.0-5]
fn another_method_ends_the_connection<S: Storage>(mut rig: Rig<S>) {
    let other = [Property::AuthenticationMethod(text("PLAIN"))];
    let connack = |list| {
        let properties = Properties::new(list);
        Packet::ConnAck(ConnAck { properties, ..ConnAck::new(ReasonCode::Success, false) })
    };
    for packet in [auth(GO_ON, &other), connack(&other), connack(&[])] {
        rig.start(&with_method());
        rig.open();
        assert_eq!(rig.feed_last(&[packet]), Lost::Peer(PeerError::Auth));
    }
    rig.start(&options(V5));
    rig.open();
    assert_eq!(rig.feed_last(&[connack(&[method()])]), Lost::Peer(PeerError::Auth));
}

// [MQTT5-4.12.0-7]
fn without_a_method_there_is_no_auth<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(V5));
    rig.open();
    let lost = rig.feed_last(&[auth(GO_ON, &[method()])]);
    assert_eq!(lost, Lost::Peer(PeerError::Auth));
    rig.close();
    rig.reopen();
    rig.accept(false, &[]);
    assert!(rig.client.authenticate(None, rig.now).is_err());
    assert!(rig.client.reauthenticate(None, rig.now).is_err());
    assert_eq!(rig.sent(), []);
    let lost = rig.feed_last(&[auth(GO_ON, &[method()])]);
    assert_eq!(lost, Lost::Peer(PeerError::Auth));
}

/// Messages go on meanwhile.
// [MQTT5-4.12.1-1, MQTT5-4.12.0-5]
fn one_may_authenticate_again<S: Storage>(mut rig: Rig<S>) {
    rig.start(&with_method());
    rig.open();
    rig.accept(false, &[method()]);
    rig.client.reauthenticate(Some(b"again"), rig.now).expect("a connection");
    assert_eq!(sent_auth(&mut rig), (ReasonCode::ReAuthenticate, Some(&b"again"[..])));
    rig.publish("t", b"meanwhile", QoS::AtMostOnce);
    assert_eq!(names(&rig.sent()), ["meanwhile"]);
    assert_eq!(rig.feed(&[auth(GO_ON, &[method(), DATA])]).len(), 1);
    rig.client.authenticate(Some(b"more"), rig.now).expect("asked for");
    assert_eq!(sent_auth(&mut rig), (GO_ON, Some(&b"more"[..])));
    let list = [method()];
    let events = rig.feed(&[auth(ReasonCode::Success, &list)]);
    let properties = Properties::new(&list);
    assert_eq!(events, [Event::Auth { reason: ReasonCode::Success, properties }]);
    assert!(rig.client.authenticate(None, rig.now).is_err(), "it is over");
    let lost = rig.feed_last(&[auth(GO_ON, &[method()])]);
    assert_eq!(lost, Lost::Peer(PeerError::Auth));
}

// [MQTT5-4.12.1-2]
fn a_failed_one_ends_the_connection<S: Storage>(mut rig: Rig<S>) {
    rig.start(&with_method());
    rig.open();
    rig.accept(false, &[method()]);
    rig.client.reauthenticate(Some(b"wrong"), rig.now).expect("a connection");
    rig.sent();
    let disconnect = Disconnect::new(ReasonCode::NotAuthorized);
    let lost = rig.feed_last(&[Packet::Disconnect(disconnect)]);
    assert_eq!(lost, Lost::Disconnected(disconnect));
    rig.close();
    rig.client.connect(rig.now).expect("the application knows better");
    rig.open();
    rig.accept(true, &[method()]);
    let lost = rig.feed_last(&[auth(ReasonCode::Success, &[method()])]);
    assert_eq!(lost, Lost::Peer(PeerError::Auth), "the new connection is not in the middle of it");
}

fn it_does_not_outlive_disconnect<S: Storage>(mut rig: Rig<S>) {
    rig.start(&with_method());
    rig.open();
    rig.accept(false, &[method()]);
    rig.client.reauthenticate(None, rig.now).expect("a connection");
    rig.feed(&[auth(GO_ON, &[method()])]);
    rig.client.disconnect(rig.now).expect("a connection");
    assert_eq!(rig.client.authenticate(None, rig.now), Err(SendError::NotConnected));
    assert_eq!(rig.client.reauthenticate(None, rig.now), Err(SendError::NotConnected));
    assert_eq!(names(&rig.sent()).last().map(String::as_str), Some("DISCONNECT"));
}

/// Only method and data, so there is nothing that could be left out.
// [MQTT5-3.15.2-2, MQTT5-3.15.2-3]
fn an_auth_is_no_larger_than_the_server_takes<S: Storage>(mut rig: Rig<S>) {
    rig.start(&with_method());
    rig.open();
    rig.accept(false, &[method(), Property::MaximumPacketSize(20.try_into().expect("not 0"))]);
    let too_large = Err(SendError::TooLarge { limit: 20 });
    assert_eq!(rig.client.reauthenticate(Some(&[0; 30]), rig.now), too_large);
    rig.client.reauthenticate(None, rig.now).expect("it fits");
    let Packet::Auth(auth) = rig.sent_one() else { panic!("no AUTH") };
    assert_eq!(auth.properties.iter().count(), 1);
}

on_both_storages! {
    [V5] => the_server_asks_and_is_answered, an_answer_may_have_no_data,
        another_method_ends_the_connection, without_a_method_there_is_no_auth,
        one_may_authenticate_again, a_failed_one_ends_the_connection,
        it_does_not_outlive_disconnect, an_auth_is_no_larger_than_the_server_takes;
}
