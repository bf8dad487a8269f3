//! CONNECT and what answers it.

use core::num::{NonZeroU16, NonZeroU32};

use crate::support::*;

// [MQTT5-3.1.4-5, MQTT5-3.2.2-2, MQTT5-3.2.2-3, MQTT5-3.1.2-6]
// [MQTT3-3.1.4-4, MQTT3-3.2.2-1, MQTT3-3.2.2-3]
fn a_client_is_accepted_without_a_session<S: Storage>(mut rig: Rig<S>) {
    for connect in [hello(rig.version, "a"), kept(rig.version, "b")] {
        let (raw, connack) = rig.connect_with(connect);
        assert_eq!((connack.reason, connack.session_present), (ReasonCode::Success, false));
        assert_eq!(rig.said(raw), [""; 0], "one answer, and nothing behind it");
        let connected = Event::Connected { link: rig.link(raw), session_present: false };
        assert_eq!(rig.events(), [connected]);
    }
    assert_eq!(rig.session_count(), 2);
}

/// A packet of which the broker can't be asked anything is as good as none.
// [MQTT5-3.2.0-1, MQTT3-3.2.0-1, MQTT5-3.14.0-1]
fn what_comes_before_connect_is_the_end<S: Storage>(mut rig: Rig<S>) {
    let packets = [
        message("t", "x", Q0, 0),
        message("t", "x", Q1, 1),
        Packet::PingReq,
        puback(1),
        pubrel(1),
        disconnect(ReasonCode::NORMAL_DISCONNECTION),
    ];
    for packet in packets {
        let raw = rig.open();
        rig.send_last(raw, &[packet]);
        assert_eq!(rig.said(raw), [""; 0], "nothing is said before CONNACK");
    }
    assert_eq!((rig.counters().messages_in(), rig.session_count()), (0, 0));
    assert_eq!(rig.events(), []);
}

// [MQTT5-3.1.0-2, MQTT3-3.1.0-2, MQTT5-3.2.0-2]
fn a_second_connect_is_the_end<S: Storage>(mut rig: Rig<S>) {
    for second in [hello(rig.version, "a"), hello(rig.version, "other")] {
        let raw = rig.connect("a");
        rig.events();
        rig.send_last(raw, &[Packet::Connect(second), Packet::PingReq]);
        assert_eq!(rig.said(raw), if rig.version == V5 { &["DISCONNECT 82"][..] } else { &[] });
        let why = Ended::Refused(ReasonCode::ProtocolError);
        assert_eq!(rig.events(), [Event::Disconnected { link: rig.link(raw), why }]);
        assert_eq!(rig.session_count(), 0);
    }
}

// [MQTT5-3.1.2-1, MQTT3-3.1.2-1]
fn another_protocol_is_not_spoken<S: Storage>(mut rig: Rig<S>) {
    let raw = rig.open_as(V311);
    rig.send_last_bytes(raw, b"\x10\x0d\x00\x04MQTX\x04\x02\x00\x00\x00\x01a");
    assert_eq!(rig.said(raw), [""; 0]);
    let raw = rig.open_as(V5);
    rig.send_last_bytes(raw, b"\x10\x0e\x00\x04MQTX\x05\x02\x00\x00\x00\x00\x01a");
    assert_eq!(rig.refusal(raw), Some(ReasonCode::UnsupportedProtocolVersion));
    assert_eq!(rig.session_count(), 0);
}

// [MQTT5-3.1.2-2, MQTT3-3.1.2-2]
fn another_version_is_not_spoken<S: Storage>(mut rig: Rig<S>) {
    for level in [0, 2, 3, 6, 0x83, 0x84, 255] {
        let raw = rig.open_as(V311);
        let bytes = [b"\x10\x0d\x00\x04MQTT", &[level][..], b"\x02\x00\x00\x00\x01a"].concat();
        rig.send_last_bytes(raw, &bytes);
        assert_eq!(rig.refusal(raw), Some(ReasonCode::UnsupportedProtocolVersion), "{level}");
    }
    assert_eq!(rig.session_count(), 0);
}

// [MQTT5-3.1.4-1, MQTT3-3.1.4-1]
fn a_connect_of_the_wrong_form_is_the_end<S: Storage>(mut rig: Rig<S>) {
    let good = bytes(rig.version, &[Packet::Connect(hello(rig.version, "a"))]);
    let flags = 5 + rig.version.protocol_name().len(); // behind header, name and level
    let mut reserved = good.clone();
    reserved[flags] |= 1;
    let mut will_qos = good.clone();
    will_qos[flags] |= 0x18;
    let mut truncated = good.clone();
    truncated[1] -= 1;
    truncated.pop();
    for wrong in [reserved, will_qos, truncated] {
        let raw = rig.open();
        rig.send_last_bytes(raw, &wrong);
        let told = (rig.version == V5).then_some(ReasonCode::MalformedPacket);
        assert_eq!(rig.refusal(raw), told, "{wrong:02x?}");
    }
    assert_eq!(rig.session_count(), 0);
}

// [MQTT5-3.1.4-6, MQTT3-3.1.4-5, MQTT5-3.1.4-2, MQTT5-3.2.2-7, MQTT3-3.2.2-5]
fn what_follows_a_refused_connect_is_not_looked_at<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { empty_client_id: false, ..Options::DEFAULT });
    let raw = rig.open();
    let publish = Publish { retain: true, ..Publish::new(topic("t"), b"x") };
    let connect = Packet::Connect(hello(rig.version, ""));
    rig.send_last(raw, &[connect, Packet::Publish(publish)]);
    assert_eq!(rig.refusal(raw), Some(ReasonCode::ClientIdentifierNotValid));
    assert_eq!((rig.retained_count(), rig.counters().messages_in()), (0, 0));
    assert_eq!(rig.hand_in(raw, &bytes(rig.version, &[Packet::PingReq])), Input::Close);
}

fn what_follows_an_accepted_connect_need_not_wait<S: Storage>(mut rig: Rig<S>) {
    let raw = rig.open();
    let connect = Packet::Connect(hello(rig.version, "a"));
    rig.send(raw, &[connect, Packet::PingReq, message("t", "x", Q1, 1)]);
    let reason = if rig.version == V5 { " 10" } else { "" };
    assert_eq!(rig.said(raw), ["CONNACK", "PINGRESP", &format!("PUBACK 1{reason}")]);
}

// [MQTT5-3.1.3-5, MQTT3-3.1.3-5]
fn ordinary_names_are_welcome<S: Storage>(mut rig: Rig<S>) {
    for name in ["0", "abcdefghijklmnopqrstuvw", "ABCDEFGHIJKLMNOPQRSTUVW", "xyzXYZ0123456789"] {
        rig.connect(name);
    }
    for name in ["longer than twenty-three bytes", "a/+/#", "\u{20ac}"] {
        rig.connect(name);
    }
    assert_eq!(rig.session_count(), 7);
}

// [MQTT5-3.1.3-6, MQTT3-3.1.3-6]
fn who_has_no_name_gets_one<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("");
    let b = rig.connect("");
    assert_eq!(rig.session_count(), 2, "each its own");
    rig.subscribe(a, "t", Q0);
    rig.publish(b, "t", "x", Q0);
    assert_eq!(rig.said(a), ["t=x"]);
}

// [MQTT5-3.1.3-7, MQTT5-3.2.2-16]
fn a_given_name_is_told_and_holds<S: Storage>(mut rig: Rig<S>) {
    let (raw, connack) = rig.connect_with(kept(V5, ""));
    let name = connack.properties.assigned_client_identifier().expect("a name").as_str();
    let (_, other) = rig.connect_with(kept(V5, ""));
    assert_ne!(other.properties.assigned_client_identifier(), Some(text(name)));
    rig.subscribe(raw, "t", Q1);
    rig.cut(raw);
    let (_, connack) = rig.connect_with(kept(V5, name));
    assert!(connack.session_present);
    assert_eq!(connack.properties.assigned_client_identifier(), None);
}

// [MQTT3-3.1.3-8, MQTT3-3.1.3-9]
fn a_session_is_not_kept_for_nobody<S: Storage>(mut rig: Rig<S>) {
    let refused = Some(ReasonCode::ClientIdentifierNotValid);
    assert_eq!(rig.refused(kept(V311, "")), refused);
    assert_eq!(rig.refused(kept(V31, "")), refused);
    assert_eq!(rig.refused(hello(V31, "")), refused, "3.1 knows no such thing");
    assert_eq!(rig.session_count(), 0);
}

// [MQTT5-3.1.3-8, MQTT3-3.1.3-9]
fn a_broker_may_want_a_name<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { empty_client_id: false, ..Options::DEFAULT });
    let refused = Some(ReasonCode::ClientIdentifierNotValid);
    assert_eq!(rig.refused(hello(rig.version, "")), refused);
    rig.connect("a");
}

/// Nothing that a client did not ask for, and that holds anyway, is told.
// [MQTT5-4.12.0-6, MQTT5-3.2.2-19, MQTT5-3.2.2-20, MQTT5-3.1.2-28]
fn limits_are_told_in_connack<S: Storage>(mut rig: Rig<S>) {
    let usual = Options { receive_maximum: 10, max_packet_size: 1_000, ..Options::DEFAULT };
    rig.restart(Options { topic_alias_maximum: 0, ..usual });
    let receive = Property::ReceiveMaximum(NonZeroU16::new(10).expect("not 0"));
    let size = Property::MaximumPacketSize(NonZeroU32::new(1_000).expect("not 0"));
    let (_, connack) = rig.connect_with(hello(V5, "a"));
    assert_eq!(connack.properties.iter().collect::<Vec<_>>(), [receive, size]);
    rig.restart(Options {
        topic_alias_maximum: 5,
        maximum_qos: Q1,
        retain: false,
        wildcards: false,
        shared: false,
        keep_alive_max_secs: Some(60),
        session_expiry_max_secs: 100,
        ..usual
    });
    let (_, connack) = rig.connect_with(kept(V5, "a"));
    let told = [
        Property::SessionExpiryInterval(100),
        receive,
        Property::MaximumQoS(Q1),
        Property::RetainAvailable(false),
        size,
        Property::TopicAliasMaximum(5),
        Property::WildcardSubscriptionAvailable(false),
        Property::SharedSubscriptionAvailable(false),
        Property::ServerKeepAlive(60),
    ];
    assert_eq!(connack.properties.iter().collect::<Vec<_>>(), told);
}

/// A storage that holds less than the options allow says what it holds.
#[test]
fn a_small_broker_promises_no_more_than_it_has() {
    let mut rig = Rig::<Hub>::new(V5);
    let (raw, connack) = rig.connect_with(kept(V5, "a"));
    assert_eq!(connack.properties.receive_maximum().map(NonZeroU16::get), Some(16));
    for number in 1..=16 {
        rig.send(raw, &[message("t", "x", Q2, number)]);
    }
    assert_eq!(rig.said(raw).len(), 16);
}

#[test]
fn a_broker_without_room_for_aliases_allows_none() {
    tamtam_core::fixed! {
        struct Bare { out: 512, in_flight: 4, links: 2, sessions: 2, names: 64, queue: 8 }
    }
    let mut rig = Rig::<Bare>::new(V5);
    let (_, connack) = rig.connect_with(hello(V5, "a"));
    assert_eq!(connack.properties.topic_alias_maximum(), None);
}

// [MQTT5-3.2.2-9, MQTT5-3.2.2-12, MQTT5-3.2.2-13, MQTT3-3.2.2-6]
fn a_will_that_can_not_be_is_refused<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { maximum_qos: Q0, retain: false, ..Options::DEFAULT });
    let told = |reason| if rig.version == V5 { Some(reason) } else { None };
    let (qos, retain) = (told(ReasonCode::QoSNotSupported), told(ReasonCode::RetainNotSupported));
    let high = Connect { will: Some(will("w", "x")), ..hello(rig.version, "a") };
    assert_eq!(rig.refused(high), qos);
    let kept = Will { retain: true, ..Will::new(topic("w"), b"x") };
    assert_eq!(rig.refused(Connect { will: Some(kept), ..hello(rig.version, "a") }), retain);
    let ours = Will::new(topic("$SYS/w"), b"x");
    let ours = Connect { will: Some(ours), ..hello(rig.version, "a") };
    let name = if rig.version == V5 { Some(ReasonCode::TopicNameInvalid) } else { None };
    assert_eq!(rig.refused(ours), name);
    assert_eq!(rig.session_count(), 0);
    rig.keeps_only_retained(0);
}

// [MQTT5-4.12.0-1, MQTT5-4.12.0-4]
fn a_method_that_the_broker_does_not_know_is_refused<S: Storage>(mut rig: Rig<S>) {
    let list = [Property::AuthenticationMethod(text("SCRAM-SHA-1"))];
    let connect = Connect { properties: Properties::new(&list), ..hello(V5, "a") };
    assert_eq!(rig.refused(connect), Some(ReasonCode::BadAuthenticationMethod));
}

fn an_auth_that_nobody_asked_for_is_the_end<S: Storage>(mut rig: Rig<S>) {
    let raw = rig.connect("a");
    rig.send_last_bytes(raw, b"\xf0\x08\x18\x06\x15\x00\x03abc");
    assert_eq!(rig.said(raw), ["DISCONNECT 82"]);
}

/// A CONNACK that the client takes no room for is not sent, and nothing else instead.
// [MQTT5-3.1.2-24]
fn who_can_not_take_a_connack_is_refused<S: Storage>(mut rig: Rig<S>) {
    for size in [1, 5, 8] {
        let list = [Property::MaximumPacketSize(NonZeroU32::new(size).expect("not 0"))];
        let connect = Connect {
            properties: Properties::new(&list),
            will: Some(will("w", "x")),
            ..hello(V5, "a")
        };
        let told = (size >= 5).then_some(ReasonCode::PacketTooLarge);
        assert_eq!(rig.refused(connect), told, "{size}");
        assert_eq!(rig.session_count(), 0);
        rig.keeps_only_retained(0);
    }
    assert_eq!((rig.events().len(), rig.counters().connects), (3, 0));
    assert_eq!(rig.counters().refused, 3);
}

fn a_connect_is_waited_for_a_while<S: Storage>(mut rig: Rig<S>) {
    let silent = rig.open();
    let slow = rig.open();
    let connect = bytes(rig.version, &[Packet::Connect(hello(rig.version, "a"))]);
    assert_eq!(rig.hand_in(slow, &connect[..9]), Input::More);
    let quick = rig.connect("b");
    rig.wait_ms(9_999);
    assert!(!rig.is_closed(silent) && !rig.is_closed(slow));
    rig.wait_ms(1);
    assert!(rig.is_closed(silent) && rig.is_closed(slow) && !rig.is_closed(quick));
    assert_eq!((rig.said(silent), rig.said(slow)), (vec![], vec![]));
    assert_eq!(rig.poll_timeout(), None, "a connection without keep alive waits for nothing");
}

fn the_driver_hands_in_any_part_of_connect<S: Storage>(mut rig: Rig<S>) {
    let connect = Connect { will: Some(will("w", "x")), ..kept(rig.version, "a") };
    let raw = rig.open();
    for byte in bytes(rig.version, &[Packet::Connect(connect)]) {
        assert_eq!(rig.said(raw), [""; 0]);
        assert_eq!(rig.hand_in(raw, &[byte]), Input::More);
    }
    assert_eq!(rig.said(raw), ["CONNACK"]);
}

#[test]
fn every_broker_is_a_default_broker() {
    let mut broker = Broker::<Heap>::default();
    assert_eq!((broker.counters(), broker.kept()), (Counters::default(), (0, 0)));
    assert!(broker.open(Instant::ZERO).is_err(), "it was not started");
}

on_every_kind! {
    EVERY => a_client_is_accepted_without_a_session, what_comes_before_connect_is_the_end,
        a_second_connect_is_the_end, a_connect_of_the_wrong_form_is_the_end,
        what_follows_a_refused_connect_is_not_looked_at, a_broker_may_want_a_name,
        what_follows_an_accepted_connect_need_not_wait, ordinary_names_are_welcome,
        a_will_that_can_not_be_is_refused, a_connect_is_waited_for_a_while,
        the_driver_hands_in_any_part_of_connect;
    [V311, V5] => who_has_no_name_gets_one;
    [V311] => another_protocol_is_not_spoken, another_version_is_not_spoken,
        a_session_is_not_kept_for_nobody;
    [V5] => a_given_name_is_told_and_holds, limits_are_told_in_connack,
        a_method_that_the_broker_does_not_know_is_refused,
        an_auth_that_nobody_asked_for_is_the_end, who_can_not_take_a_connack_is_refused;
}
