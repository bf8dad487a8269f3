//! Silence: how much of it a client may keep.

use crate::support::*;

fn alive(version: Version, secs: u16) -> Connect<'static> {
    Connect { keep_alive: secs, ..kept(version, "a") }
}

// [MQTT5-3.1.2-22, MQTT3-3.1.2-24, MQTT5-3.2.2-22]
fn a_client_that_is_silent_for_too_long_is_gone<S: Storage>(mut rig: Rig<S>) {
    let b = rig.connect("b");
    rig.subscribe(b, "w", Q1);
    let connect = Connect { will: Some(will("w", "gone")), ..alive(rig.version, 10) };
    let (a, connack) = rig.connect_with(connect);
    assert_eq!(connack.properties.server_keep_alive(), None);
    rig.events();
    rig.wait_ms(14_999);
    assert!(!rig.is_closed(a));
    rig.wait_ms(1);
    assert!(rig.is_closed(a));
    assert_eq!(rig.said(a), if rig.version == V5 { &["DISCONNECT 8D"][..] } else { &[] });
    let why = Ended::Refused(ReasonCode::KeepAliveTimeout);
    assert_eq!(rig.events(), [Event::Disconnected { link: rig.link(a), why }]);
    assert_eq!(rig.receive(b), ["w=gone@1"], "as if the network had failed");
}

// [MQTT5-3.12.4-1, MQTT3-3.12.4-1]
fn every_packet_is_a_sign_of_life<S: Storage>(mut rig: Rig<S>) {
    let (a, _) = rig.connect_with(alive(rig.version, 10));
    let packets =
        [Packet::PingReq, message("t", "x", Q0, 0), message("t", "x", Q2, 7), pubrel(7), puback(9)];
    for packet in packets {
        rig.wait_ms(14_000);
        rig.send(a, &[packet]);
    }
    assert_eq!(rig.said(a)[0], "PINGRESP");
    rig.wait_ms(14_999);
    assert!(!rig.is_closed(a));
    rig.wait_ms(1);
    assert!(rig.is_closed(a));
}

/// A long packet may take longer than a keep alive, but it has to come.
fn a_long_packet_is_waited_for_while_it_comes<S: Storage>(mut rig: Rig<S>) {
    let b = rig.connect("b");
    rig.subscribe(b, "t", Q0);
    for (bytes_a_turn, arrives) in [(1_100, true), (600, false)] {
        let (a, _) = rig.connect_with(alive(rig.version, 10));
        let payload = "x".repeat(10_000);
        let packet = bytes(rig.version, &[message("t", &payload, Q0, 0)]);
        for part in packet.chunks(bytes_a_turn) {
            rig.wait_ms(9_000);
            if rig.is_closed(a) {
                break;
            }
            assert_eq!(rig.hand_in(a, part), Input::More);
        }
        assert_eq!(rig.is_closed(a), !arrives, "{bytes_a_turn}");
        rig.wait_ms(15_000);
        assert!(rig.is_closed(a));
    }
    let sent = rig.counters();
    assert_eq!((sent.messages_in(), sent.messages_out() + sent.dropped_too_large), (1, 1));
}

fn what_the_broker_sends_is_no_sign_of_life<S: Storage>(mut rig: Rig<S>) {
    let (a, _) = rig.connect_with(alive(rig.version, 10));
    rig.subscribe(a, "t", Q0);
    let b = rig.connect("b");
    for _ in 0..3 {
        rig.wait_ms(5_000);
        rig.publish(b, "t", "x", Q0);
    }
    assert!(rig.is_closed(a));
}

fn a_client_may_be_silent_for_ever<S: Storage>(mut rig: Rig<S>) {
    let (a, _) = rig.connect_with(alive(rig.version, 0));
    assert_eq!(rig.poll_timeout(), None, "an idle broker has nothing to do");
    rig.wait_ms(1 << 40);
    assert!(!rig.is_closed(a));
}

fn a_broker_may_want_to_hear_more_often<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { keep_alive_max_secs: Some(20), ..Options::DEFAULT });
    for (asked, told) in [(0, Some(20)), (21, Some(20)), (20, None), (19, None)] {
        let (a, connack) = rig.connect_with(alive(V5, asked));
        assert_eq!(connack.properties.server_keep_alive(), told);
        let holds = u64::from(told.unwrap_or(asked)) * 1_500;
        rig.wait_ms(holds - 1);
        assert!(!rig.is_closed(a), "{asked}");
        rig.wait_ms(1);
        assert!(rig.is_closed(a), "{asked}");
    }
}

/// It can't be told.
fn an_older_client_is_as_silent_as_it_likes<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { keep_alive_max_secs: Some(20), ..Options::DEFAULT });
    let (a, _) = rig.connect_with(alive(rig.version, 100));
    rig.wait_ms(149_999);
    assert!(!rig.is_closed(a));
    rig.wait_ms(1);
    assert!(rig.is_closed(a));
}

/// The silence is the broker's: it takes nothing while the client does not read.
fn time_stands_still_while_input_is_refused<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { output_bytes: 64, ..Options::DEFAULT });
    let (a, _) = rig.connect_with(alive(rig.version, 10));
    rig.stall(a, true);
    let mut pings = 0;
    while rig.hand_in(a, b"\xc0\x00") == Input::More {
        pings += 1;
    }
    rig.wait_ms(100_000);
    assert!(!rig.is_closed(a));
    rig.stall(a, false);
    assert_eq!(rig.said(a).len(), pings + 1, "what was refused is taken now");
    rig.wait_ms(15_000);
    assert!(rig.is_closed(a));
}

/// The end of a connection that nobody reads any more can't be told, and is not waited for.
fn who_does_not_read_is_not_waited_for<S: Storage>(mut rig: Rig<S>) {
    let (a, _) = rig.connect_with(alive(V5, 10));
    rig.stall(a, true);
    rig.wait_ms(15_000);
    assert!(!rig.is_closed(a), "DISCONNECT is to leave first");
    rig.wait_ms(10_000);
    assert!(rig.is_closed(a));
}

on_every_kind! {
    EVERY => a_client_that_is_silent_for_too_long_is_gone, every_packet_is_a_sign_of_life,
        a_long_packet_is_waited_for_while_it_comes, what_the_broker_sends_is_no_sign_of_life,
        a_client_may_be_silent_for_ever;
    BEFORE_5 => an_older_client_is_as_silent_as_it_likes;
    [V5] => a_broker_may_want_to_hear_more_often, who_does_not_read_is_not_waited_for;
}

mod on_heap_only {
    use crate::support::*;

    #[test]
    fn time_stands_still_while_input_is_refused() {
        for version in EVERY {
            super::time_stands_still_while_input_is_refused(Rig::<Heap>::new(version));
        }
    }
}
