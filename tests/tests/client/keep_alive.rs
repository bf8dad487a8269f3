//! Silence: when to break it, and when it means that nobody is there.

use tamtam_core::client::{Lost, Options, Publish, Transport};

use crate::support::*;

fn quiet(version: Version, keep_alive_secs: u16) -> Options<'static> {
    options(version).keep_alive_secs(keep_alive_secs).ping_timeout_ms(5_000)
}

impl<S: Storage> Rig<S> {
    /// Waits until the client has something to do; how long that was, in milliseconds.
    fn wait_for_timeout(&mut self) -> u64 {
        let when = self.client.poll_timeout().expect("something to do");
        let wait = when.millis_since(self.now);
        self.wait_ms(wait);
        wait
    }
}

// [MQTT5-3.1.2-20, MQTT3-3.1.2-23]
fn silence_is_broken_before_the_keep_alive_is_over<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&quiet(rig.version, 60));
    for _ in 0..5 {
        let wait = rig.wait_for_timeout();
        assert!((40_000..60_000).contains(&wait), "{wait}");
        assert_eq!(rig.sent(), [Packet::PingReq]);
        assert_eq!(rig.feed(&[Packet::PingResp]), []);
    }
}

fn whatever_is_sent_breaks_it<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&quiet(rig.version, 60));
    let first = rig.client.poll_timeout().expect("a ping");
    rig.wait_ms(30_000);
    rig.publish("t", b"x", QoS::AtMostOnce);
    assert_eq!(rig.client.poll_timeout(), Some(first), "what has not left does not count");
    rig.sent();
    assert_eq!(rig.client.poll_timeout(), Some(first.plus_millis(30_000)));
    // What is received does not count either.
    rig.feed(&[message(QoS::AtMostOnce, 0, b"x")]);
    assert_eq!(rig.client.poll_timeout(), Some(first.plus_millis(30_000)));
}

fn without_keep_alive_there_is_no_ping<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&quiet(rig.version, 0));
    assert_eq!(rig.client.poll_timeout(), None);
    rig.wait_ms(1_000_000_000);
    assert_eq!((rig.sent(), rig.news()), (vec![], vec![]));
}

// [MQTT5-3.1.2-21, MQTT5-3.2.2-21]
fn the_server_decides_how_long<S: Storage>(mut rig: Rig<S>) {
    rig.start(&quiet(V5, 60));
    rig.open();
    rig.accept(false, &[Property::ServerKeepAlive(10)]);
    let wait = rig.wait_for_timeout();
    assert!((5_000..10_000).contains(&wait), "{wait}");
    assert_eq!(rig.sent(), [Packet::PingReq]);
    rig.cut();
    rig.reopen();
    rig.accept(true, &[Property::ServerKeepAlive(0)]);
    assert_eq!(rig.client.poll_timeout(), None);
    rig.cut();
    rig.reopen();
    rig.accept(true, &[]);
    let wait = rig.wait_for_timeout();
    assert!((40_000..60_000).contains(&wait), "what was asked for, not what was last: {wait}");
}

// [MQTT3-4.8.0-2]
fn who_does_not_answer_is_gone<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&quiet(rig.version, 60));
    rig.publish("t", b"kept", QoS::AtLeastOnce);
    rig.sent();
    rig.wait_for_timeout();
    assert_eq!(rig.sent(), [Packet::PingReq]);
    rig.wait_ms(4_999);
    assert_eq!(rig.news(), []);
    rig.wait_ms(1);
    assert_eq!(rig.feed_last(&[]), Lost::KeepAlive);
    assert_eq!(rig.client.transport(), Transport::Unwanted);
    rig.close();
    rig.reopen();
    rig.accept(true, &[]);
    assert!(names(&rig.sent()).concat().starts_with("kept"));
}

fn whatever_comes_is_an_answer<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&quiet(rig.version, 60));
    rig.wait_for_timeout();
    assert_eq!(rig.sent(), [Packet::PingReq]);
    rig.wait_ms(4_000);
    assert_eq!(rig.feed(&[message(QoS::AtMostOnce, 0, b"x")]).len(), 1);
    rig.wait_ms(4_000);
    assert_eq!(rig.news(), []);
    assert_eq!(rig.feed(&[Packet::PingResp]), []);
}

/// The program was busy for a minute; the answer has been here all the time.
fn an_answer_that_is_here_is_not_late<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&quiet(rig.version, 10));
    rig.wait_for_timeout();
    assert_eq!(rig.sent(), [Packet::PingReq]);
    rig.wait_ms(60_000);
    assert_eq!(rig.client.transport(), Transport::Open);
    assert_eq!(rig.feed(&[Packet::PingResp]), []);
    assert_eq!(rig.sent(), [Packet::PingReq], "and the keep alive goes on");
}

/// Patience with the server is no reason to fall silent oneself.
// [MQTT5-3.1.2-20, MQTT3-3.1.2-23]
fn pings_go_on_while_an_answer_is_waited_for<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&quiet(rig.version, 2));
    let start = rig.now;
    let mut pings = 0;
    let lost = loop {
        assert!(rig.wait_for_timeout() < 2_000);
        pings += rig.sent().len();
        if let (_, Some(lost), _) = rig.take_in(Vec::new()) {
            break lost;
        }
    };
    assert_eq!(lost, Lost::KeepAlive);
    assert_eq!(rig.now.millis_since(start), 1_750 + 5_000);
    assert_eq!(pings, 3);
}

fn a_ping_that_has_not_left_is_not_repeated<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&quiet(rig.version, 2));
    rig.wait_for_timeout();
    rig.wait_ms(2_000);
    rig.wait_ms(2_000);
    assert_eq!(rig.sent(), [Packet::PingReq]);
}

/// The parts of a large packet are life, if they come fast enough.
fn an_unfinished_packet_is_a_sign_of_life<S: Storage>(mut rig: Rig<S>) {
    let large = bytes(rig.version, &[message(QoS::AtMostOnce, 0, &[b'x'; 2_000])]);
    for (step, survives) in [(300, true), (20, false)] {
        rig.online_with(&quiet(rig.version, 60));
        rig.wait_for_timeout();
        let mut lost = None;
        for end in (step..=step * 5).step_by(step) {
            rig.wait_ms(4_000);
            let (events, now_lost, left) = rig.take_in(large[..end].to_vec());
            assert_eq!((events, left.len()), (vec![], end));
            lost = lost.or(now_lost);
        }
        assert_eq!(lost, (!survives).then_some(Lost::KeepAlive), "{step} bytes in four seconds");
    }
}

/// Who does not look at what comes can't complain that nothing does.
#[test]
fn while_input_is_held_back_the_deadline_stands_still() {
    let mut rig = Rig::<Fixed<1_024, 2>>::new(V311);
    rig.online_with(&quiet(V311, 60).manual_ack(true));
    let (first, second) = (message(QoS::AtLeastOnce, 1, b"1"), message(QoS::AtLeastOnce, 2, b"2"));
    let acks = messages(&rig.feed(&[first, second]));
    rig.wait_for_timeout();
    let third = bytes(V311, &[message(QoS::AtLeastOnce, 3, b"3"), Packet::PingResp]);
    for _ in 0..10 {
        rig.wait_ms(4_000);
        let (events, lost, left) = rig.take_in(third.clone());
        assert_eq!((events, lost, left), (vec![], None, &third[..]));
    }
    rig.client.ack(acks[0].ack, rig.now).expect("the first");
    let (events, lost, left) = rig.take_in(third);
    assert_eq!((events.len(), lost, left), (1, None, &[][..]));
}

fn a_connection_without_a_word_is_only_closed<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&quiet(rig.version, 60));
    rig.client.publish(Publish::new("t", b"x"), rig.now).expect("room");
    rig.cut();
    assert_eq!(rig.client.transport(), Transport::Resting);
    assert_eq!(rig.client.dropped(), 1);
    rig.client.handle_close(rig.now);
    assert_eq!(rig.news(), [], "calling it twice does no harm");
}

on_both_storages! {
    EVERY => silence_is_broken_before_the_keep_alive_is_over, whatever_is_sent_breaks_it,
        without_keep_alive_there_is_no_ping, who_does_not_answer_is_gone,
        whatever_comes_is_an_answer, an_answer_that_is_here_is_not_late,
        pings_go_on_while_an_answer_is_waited_for, a_ping_that_has_not_left_is_not_repeated,
        an_unfinished_packet_is_a_sign_of_life, a_connection_without_a_word_is_only_closed;
    [V5] => the_server_decides_how_long;
}
