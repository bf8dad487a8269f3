//! The end of a connection, asked for by either side.

use tamtam_core::EncodeError;
use tamtam_core::client::{Filter, Lost, Options, Publish, SendError, Transport};

use crate::support::*;

/// A pain: what was published just before the end is lost.
// [MQTT3-3.14.4-1, MQTT5-3.14.4-2]
fn what_is_in_the_output_leaves_before_the_end<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    for qos in QOS {
        rig.publish("t", b"last words", qos);
    }
    rig.client.disconnect(rig.now).expect("a connection");
    assert!(!rig.client.is_connected());
    assert_eq!(rig.client.transport(), Transport::Open, "there is something to write");
    assert_eq!(rig.news(), [], "and nothing to tell yet");
    let sent = names(&rig.sent());
    assert_eq!(sent, ["last words", "last words", "last words", "DISCONNECT"]);
    assert_eq!(rig.client.transport(), Transport::Unwanted);
    assert_eq!(rig.feed_last(&[]), Lost::Done);
    assert_eq!(rig.client.transport(), Transport::Unwanted);
    rig.close();
    assert_eq!((rig.client.transport(), rig.client.poll_timeout()), (Transport::Resting, None));
}

/// Not even the acknowledgement of a message that the application still holds.
// [MQTT3-3.14.4-2, MQTT5-3.14.4-1]
fn nothing_is_sent_behind_disconnect<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.publish("t", b"mine", QoS::ExactlyOnce);
    rig.sent();
    let arrived = bytes(rig.version, &[message(QoS::AtLeastOnce, 1, b"x"), pubrec(1)]);
    let mut input = &arrived[..];
    rig.client.handle_input(&mut input, rig.now).expect("no loss");
    rig.client.disconnect(rig.now).expect("a connection");
    assert_eq!(rig.client.handle_input(&mut input, rig.now), Ok(None));
    let publish = Publish::new("t", b"x").qos(QoS::AtLeastOnce);
    assert_eq!(rig.client.publish(publish, rig.now), Err(SendError::NotRunning));
    assert_eq!(rig.client.subscribe(&[Filter::new("t")], rig.now), Err(SendError::NotRunning));
    assert_eq!(rig.client.disconnect(rig.now), Err(SendError::NotConnected));
    rig.wait_ms(1_000);
    assert_eq!(names(&rig.sent()), ["DISCONNECT"]);
    assert_eq!(rig.feed_last(&[message(QoS::AtLeastOnce, 2, b"x")]), Lost::Done);
    rig.client.publish(publish, rig.now).expect("for the next connection");
    assert_eq!(rig.client.output(), b"");
}

fn an_acknowledgement_by_hand_is_not_sent_behind_it<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).manual_ack(true));
    let ack = only_ack(&rig.feed(&[message(QoS::AtLeastOnce, 1, b"x")]));
    rig.client.disconnect(rig.now).expect("a connection");
    rig.client.ack(ack, rig.now).expect("it was owed");
    assert_eq!(names(&rig.sent()), ["DISCONNECT"]);
}

/// The session goes on with the next connection.
fn the_session_outlives_disconnect<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let token = rig.publish("t", b"kept", QoS::AtLeastOnce);
    rig.client.disconnect(rig.now).expect("a connection");
    rig.sent();
    assert_eq!(rig.feed_last(&[]), Lost::Done);
    assert_eq!(rig.client.connect(rig.now), Err(SendError::NotRunning), "not closed yet");
    rig.close();
    rig.client.connect(rig.now).expect("closed");
    rig.open();
    rig.accept(true, &[]);
    assert_eq!(names(&rig.sent()), ["kept*"]);
    assert_eq!(rig.feed(&[puback(1)]), [delivered(token)]);
}

/// The server may be faster in closing than the client.
fn a_transport_that_breaks_meanwhile_makes_no_difference<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.client.disconnect(rig.now).expect("a connection");
    rig.close();
    assert_eq!(rig.feed_last(&[]), Lost::Done);
    assert_eq!((rig.client.transport(), rig.client.poll_timeout()), (Transport::Resting, None));
}

/// A transport that takes nothing any more is not waited for for ever.
fn the_end_is_waited_for_a_while<S: Storage>(mut rig: Rig<S>) {
    for keep_alive_secs in [0, 2] {
        let options = options(rig.version).ping_timeout_ms(5_000).keep_alive_secs(keep_alive_secs);
        rig.online_with(&options);
        rig.wait_ms(2_000); // which is time for a PINGREQ, or not
        rig.client.disconnect(rig.now).expect("a connection");
        assert_eq!(rig.client.poll_timeout(), Some(rig.now.plus_millis(5_000)));
        rig.wait_ms(4_999);
        assert_eq!(rig.news(), []);
        rig.wait_ms(1);
        assert!(!rig.client.output().is_empty(), "it never left");
        assert_eq!(rig.feed_last(&[]), Lost::Done);
        rig.close();
        assert_eq!(rig.client.transport(), Transport::Resting);
        assert_eq!(rig.client.poll_timeout(), None);
    }
}

fn a_reason_goes_with_it<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let list = [Property::SessionExpiryInterval(7), Property::ReasonString(text("lunch"))];
    let properties = Properties::new(&list);
    let disconnect = Disconnect { properties, ..Disconnect::new(ReasonCode::DisconnectWithWill) };
    if rig.version != V5 {
        let result = rig.client.disconnect_with(disconnect, rig.now);
        let said = matches!(result, Err(SendError::Packet(EncodeError::NotInVersion { .. })));
        assert!(said && rig.client.is_connected(), "{result:?}");
        return;
    }
    rig.client.disconnect_with(disconnect, rig.now).expect("a connection");
    assert_eq!(rig.sent(), [Packet::Disconnect(disconnect)]);
}

fn what_only_a_server_may_say_is_an_error<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    for reason in [ReasonCode::SessionTakenOver, ReasonCode::ServerBusy, ReasonCode::NotAuthorized]
    {
        let result = rig.client.disconnect_with(Disconnect::new(reason), rig.now);
        assert!(matches!(result, Err(SendError::Packet(_))), "{reason}: {result:?}");
    }
    assert!(rig.client.is_connected() && rig.sent().is_empty());
}

/// What began without a session can't end with one.
fn a_session_is_not_asked_for_at_the_end<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&Options::new(V5).client_id("c"));
    let longer = [Property::SessionExpiryInterval(1)];
    let none = [Property::SessionExpiryInterval(0)];
    let with = |list| Disconnect {
        properties: Properties::new(list),
        ..Disconnect::new(ReasonCode::NORMAL_DISCONNECTION)
    };
    let result = rig.client.disconnect_with(with(&longer), rig.now);
    assert!(matches!(result, Err(SendError::Packet(_))), "{result:?}");
    rig.client.disconnect_with(with(&none), rig.now).expect("that is what it was");
    // One that gives its session up has none to go on with.
    rig.online();
    rig.client.disconnect_with(with(&none), rig.now).expect("a connection");
    rig.sent();
    assert_eq!(rig.feed_last(&[]), Lost::Done);
    rig.close();
    rig.client.connect(rig.now).expect("closed");
    rig.open();
    let connack = Packet::ConnAck(ConnAck::new(ReasonCode::Success, true));
    assert!(matches!(rig.feed_last(&[connack]), Lost::Peer(_)));
}

// [MQTT5-4.13.2-1]
fn a_disconnect_of_the_servers_is_the_end<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let list = [Property::ReasonString(text("closing time"))];
    let properties = Properties::new(&list);
    let disconnect = Disconnect { properties, ..Disconnect::new(ReasonCode::ServerShuttingDown) };
    let packets = [Packet::Disconnect(disconnect), message(QoS::AtMostOnce, 0, b"too late")];
    assert_eq!(rig.feed_last(&packets), Lost::Disconnected(disconnect));
    assert_eq!(rig.client.transport(), Transport::Unwanted);
    assert_eq!((rig.sent(), rig.news()), (vec![], vec![]));
    rig.close();
    assert_eq!(rig.news(), [], "it was told already");
}

on_both_storages! {
    EVERY => what_is_in_the_output_leaves_before_the_end, nothing_is_sent_behind_disconnect,
        an_acknowledgement_by_hand_is_not_sent_behind_it, the_session_outlives_disconnect,
        a_transport_that_breaks_meanwhile_makes_no_difference, the_end_is_waited_for_a_while,
        a_reason_goes_with_it;
    [V5] => what_only_a_server_may_say_is_an_error, a_session_is_not_asked_for_at_the_end,
        a_disconnect_of_the_servers_is_the_end;
}
