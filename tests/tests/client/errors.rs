//! What a server does wrong ends the connection, with the right reason, and keeps the session.

use tamtam_core::client::{Event, Failure, Lost, PeerError, Transport};
use tamtam_core::{Connect, Subscribe, Subscription, TopicFilter, Unsubscribe};

use crate::support::*;

/// These bytes end the connection; the reason of the DISCONNECT that answers them, if there is one.
#[track_caller]
fn fatal<S: Storage>(rig: &mut Rig<S>, arrived: &[u8]) -> (Lost<'static>, Option<ReasonCode>) {
    rig.online();
    rig.publish("t", b"kept", QoS::AtLeastOnce);
    rig.sent();
    let (_, lost, _) = rig.take_in(arrived.to_vec());
    let lost = lost.unwrap_or_else(|| panic!("still there after {arrived:02X?}"));
    let reason = match rig.sent()[..] {
        [] => None,
        [Packet::Disconnect(disconnect)] => Some(disconnect.reason),
        ref other => panic!("{other:?}"),
    };
    assert_eq!(rig.client.transport(), Transport::Unwanted);
    assert_eq!(rig.news(), [], "nothing is taken in any more");
    rig.close();
    rig.reopen();
    assert_eq!(rig.accept(true, &[]), []);
    assert_eq!(names(&rig.sent()), ["kept*"], "the session is kept");
    (lost, reason)
}

// [MQTT3-4.8.0-1, MQTT3-2.2.2-2]
fn what_is_not_a_packet_ends_the_connection<S: Storage>(mut rig: Rig<S>) {
    let malformed = ReasonCode::from_byte(0x81);
    let protocol_error = ReasonCode::from_byte(0x82);
    let cases: [(&[u8], _); 8] = [
        (b"\x00\x00", malformed),                  // no such packet
        (b"\x41\x02\x00\x01", malformed),          // flags
        (b"\x60\x02\x00\x01", malformed),          // flags
        (b"\x40\xFF\xFF\xFF\xFF\x01", malformed),  // a length of five bytes
        (b"\x40\x01\x00", malformed),              // too short
        (b"\x36\x05\x00\x01t\x00\x01", malformed), // QoS 3
        (b"\x40\x02\x00\x00", protocol_error),     // packet identifier 0
        (b"\x30\x05\x00\x03a/#", protocol_error),  // a wildcard in a topic
    ];
    for (arrived, reason) in cases {
        let (lost, told) = fatal(&mut rig, arrived);
        let Lost::Packet(error) = lost else { panic!("{arrived:02X?}: {lost:?}") };
        assert_eq!(Some(error.reason_code()), reason, "{arrived:02X?}");
        assert_eq!(told, reason.filter(|_| rig.version == V5), "{arrived:02X?}");
    }
}

// [MQTT3-4.8.0-1]
fn a_packet_that_is_never_a_servers_ends_the_connection<S: Storage>(mut rig: Rig<S>) {
    let version = rig.version;
    let (packet_id, properties) = (id(1), Properties::EMPTY);
    let filters = [TopicFilter::new("t").expect("a filter")];
    let subscriptions = [Subscription::new(filters[0])];
    let connect = Connect {
        version,
        clean_start: true,
        keep_alive: 0,
        properties,
        client_id: text("c"),
        will: None,
        user_name: None,
        password: None,
    };
    for packet in [
        Packet::Connect(connect),
        Packet::Subscribe(Subscribe {
            packet_id,
            properties,
            subscriptions: Items::from(&subscriptions),
        }),
        Packet::Unsubscribe(Unsubscribe { packet_id, properties, filters: Items::from(&filters) }),
        Packet::PingReq,
    ] {
        let (lost, told) = fatal(&mut rig, &bytes(version, &[packet]));
        assert!(matches!(lost, Lost::Packet(_)), "{packet:?}: {lost:?}");
        assert_eq!(told, ReasonCode::from_byte(0x82).filter(|_| version == V5), "{packet:?}");
    }
}

fn a_packet_out_of_turn_ends_the_connection<S: Storage>(mut rig: Rig<S>) {
    let connack = Packet::ConnAck(ConnAck::new(ReasonCode::Success, false));
    for (packet, sin) in [
        (connack, PeerError::SecondConnAck),
        (puback(9), PeerError::PacketId),
        (suback(id(9), &[ReasonCode::Success]), PeerError::PacketId),
        (unsuback(rig.version, id(9)), PeerError::PacketId),
    ] {
        let arrived = bytes(rig.version, &[packet]);
        let (lost, told) = fatal(&mut rig, &arrived);
        assert_eq!(lost, Lost::Peer(sin));
        assert_eq!(told, Some(sin.reason_code()).filter(|_| rig.version == V5));
    }
}

/// Whatever came before the mistake was taken in; nothing behind it is.
fn what_came_before_counts<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let token = rig.publish("t", b"x", QoS::AtLeastOnce);
    rig.sent();
    let mut arrived = bytes(rig.version, &[message(QoS::AtLeastOnce, 5, b"good"), puback(1)]);
    arrived.extend(b"\x00\x00");
    arrived.extend(bytes(rig.version, &[message(QoS::AtLeastOnce, 6, b"never")]));
    let (events, lost, _) = rig.take_in(arrived);
    assert_eq!(messages(&events[..1])[0].payload, b"good");
    assert_eq!(events[1..], [delivered(token)]);
    assert!(matches!(lost, Some(Lost::Packet(_))));
    let sent = names(&rig.sent());
    let expected: &[&str] =
        if rig.version == V5 { &["PUBACK 5", "DISCONNECT"] } else { &["PUBACK 5"] };
    assert_eq!(sent, expected);
}

fn a_packet_above_what_was_agreed_ends_the_connection<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).max_packet_size(50));
    let fits = message(QoS::AtMostOnce, 0, &[b'x'; 40]);
    assert_eq!(rig.feed(&[fits]).len(), 1);
    // Its first bytes are enough; nobody waits for the others.
    let (_, lost, _) = rig.take_in(b"\x30\xFF\xFF\xFF\x7F".to_vec());
    assert_eq!(lost, Some(Lost::Peer(PeerError::PacketTooLarge)));
    if rig.version == V5 {
        let Packet::Disconnect(disconnect) = rig.sent_one() else { panic!("no DISCONNECT") };
        assert_eq!(disconnect.reason, ReasonCode::PacketTooLarge);
    }
}

/// What was told about a request before the end is not told twice, and what was not told is.
fn every_request_has_one_end<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let lost_one = rig.client.unsubscribe(&["t"], rig.now).expect("room");
    rig.sent();
    let lost = rig.feed_last(&[puback(9)]);
    assert_eq!(lost, Lost::Peer(PeerError::PacketId));
    rig.close();
    let why = Failure::Disconnected;
    assert_eq!(rig.news(), [Event::Failed { token: lost_one, why }]);
    assert_eq!((rig.news(), rig.client.in_flight()), (vec![], 0));
}

fn what_goes_wrong_below_ends_the_connection<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.publish("t", b"kept", QoS::AtLeastOnce);
    assert_eq!(rig.cut(), []);
    rig.reopen();
    assert_eq!(rig.accept(true, &[]), []);
    assert_eq!(names(&rig.sent()), ["kept"]);
}

#[test]
fn errors_say_what_happened_and_where_it_is_forbidden() {
    let peer = Lost::Peer(PeerError::SecondConnAck).to_string();
    assert!(peer.starts_with("the server sent a second CONNACK [MQTT5"), "{peer}");
    let refused = Lost::Refused(ConnAck::new(ReasonCode::NotAuthorized, false));
    assert!(refused.to_string().contains("not authorized"), "{refused}");
    assert!(Lost::Closed.to_string().starts_with("the transport"));
}

on_both_storages! {
    EVERY => what_is_not_a_packet_ends_the_connection,
        a_packet_that_is_never_a_servers_ends_the_connection,
        a_packet_out_of_turn_ends_the_connection, what_came_before_counts,
        a_packet_above_what_was_agreed_ends_the_connection, every_request_has_one_end,
        what_goes_wrong_below_ends_the_connection;
}
