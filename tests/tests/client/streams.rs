//! Payloads larger than memory, in and out.

use tamtam_core::client::{
    AckToken, Event, Failure, Lost, PeerError, Publish, SendError, WhenUnknown,
};

use crate::support::*;

/// A payload in which anything may look like a packet.
fn payload(len: usize) -> Vec<u8> {
    b"\x32\x05\x00\x01t\x00\x01\x40\x02\x00\x01\x00\x00".iter().copied().cycle().take(len).collect()
}

/// What was told of one message that came in pieces.
#[derive(Debug, Default, PartialEq)]
struct Pieces {
    start: Option<u32>,
    payload: Vec<u8>,
    end: Option<AckToken>,
    aborted: bool,
}

fn pieces(events: &[Event<'static>]) -> Pieces {
    let mut pieces = Pieces::default();
    for event in events {
        match event {
            Event::MessageStart { message, payload_len } => {
                assert_eq!((pieces.start, message.payload), (None, &b""[..]));
                pieces.start = Some(*payload_len);
            }
            Event::MessageChunk(chunk) => {
                assert!(!chunk.is_empty());
                pieces.payload.extend(*chunk);
            }
            Event::MessageEnd { ack } => pieces.end = Some(*ack),
            Event::MessageAborted => pieces.aborted = true,
            other => panic!("{other:?}"),
        }
    }
    pieces
}

fn a_large_message_comes_in_pieces_however_it_is_split<S: Storage>(mut rig: Rig<S>) {
    let body = payload(500);
    for qos in QOS {
        for step in [1, 7, 100, 1_000] {
            rig.online_with(&options(rig.version).stream_above(60).keep_alive_secs(0));
            let arrived = bytes(rig.version, &[message(qos, 9, &body), Packet::PingResp]);
            let (mut pending, mut events) = (Vec::new(), Vec::new());
            for piece in arrived.chunks(step) {
                pending.extend(piece);
                let (more, lost, left) = rig.take_in(pending);
                assert_eq!(lost, None);
                assert!(left.len() <= 60, "a payload is not held back");
                events.extend(more);
                pending = left.to_vec();
            }
            let told = pieces(&events);
            assert_eq!((told.start, told.payload.as_slice()), (Some(500), &body[..]));
            assert!(told.end.is_some());
            let answer = [None, Some("PUBACK 9"), Some("PUBREC 9")][usize::from(qos.level())];
            assert_eq!(names(&rig.sent()), answer.as_slice());
        }
    }
    // A small one is a message like any other.
    assert_eq!(messages(&rig.feed(&[message(QoS::AtMostOnce, 0, b"small")])).len(), 1);
}

fn it_is_acknowledged_after_its_end<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).stream_above(60).manual_ack(true));
    for (qos, answer) in [(QoS::AtLeastOnce, "PUBACK 1"), (QoS::ExactlyOnce, "PUBREC 1")] {
        let events = rig.feed(&[message(qos, 1, &payload(100))]);
        let Event::MessageStart { message, .. } = events[0] else { panic!("{events:?}") };
        rig.client.ack(message.ack, rig.now).expect("good for nothing, but no error");
        assert_eq!(rig.sent(), []);
        rig.client.ack(pieces(&events).end.expect("an end"), rig.now).expect("owed");
        assert_eq!(names(&rig.sent()), [answer]);
    }
}

fn a_message_that_is_cut_off_starts_anew<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).stream_above(60));
    for qos in QOS {
        let whole = bytes(rig.version, &[message(qos, 1, &payload(100))]);
        let (events, lost, _) = rig.take_in(whole[..80].to_vec());
        assert_eq!((pieces(&events).end, lost), (None, None));
        assert!(pieces(&rig.cut()).aborted);
        assert_eq!(rig.sent(), []);
        rig.reopen();
        rig.accept(true, &[]);
        let told = pieces(&rig.feed(&[message(qos, 1, &payload(100))]));
        assert!(told.payload.len() == 100 && told.end.is_some(), "{told:?}");
        rig.feed(&[pubrel(1)]);
        rig.sent();
    }
}

// [MQTT5-4.3.3-10]
fn what_came_before_is_not_shown_again<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).stream_above(60));
    let large = payload(100);
    assert!(pieces(&rig.feed(&[message(QoS::ExactlyOnce, 1, &large)])).end.is_some());
    assert_eq!(rig.feed(&[message_again(QoS::ExactlyOnce, 1, &large)]), []);
    assert_eq!(names(&rig.sent()), ["PUBREC 1", "PUBREC 1"]);
    // Nor is its being cut off.
    let (events, ..) = rig
        .take_in(bytes(rig.version, &[message_again(QoS::ExactlyOnce, 1, &large)])[..80].to_vec());
    assert_eq!((events, rig.cut()), (vec![], vec![]));
}

fn head_and_properties_fit_the_size_that_was_agreed<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).stream_above(60));
    let long = "x".repeat(80);
    let publish = tamtam_core::Publish::new(topic(&long), &[0; 100]);
    let arrived = bytes(rig.version, &[Packet::Publish(publish)]);
    let (events, lost, _) = rig.take_in(arrived[..70].to_vec());
    assert_eq!((events, lost), (vec![], Some(Lost::Peer(PeerError::PacketTooLarge))));
    if rig.version == V5 {
        let Packet::Disconnect(disconnect) = rig.sent_one() else { panic!("no DISCONNECT") };
        assert_eq!(disconnect.reason, ReasonCode::PacketTooLarge);
    }
}

fn before_connack_nothing_comes_in_pieces<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(rig.version).stream_above(10));
    rig.open();
    let lost = rig.feed_last(&[message(QoS::AtMostOnce, 0, &payload(100))]);
    assert_eq!(lost, Lost::Peer(PeerError::UnexpectedPacket));
}

/// Hands in a payload, with as many bytes written in between as it takes; all that left.
#[track_caller]
fn pump<S: Storage>(rig: &mut Rig<S>, payload: &[u8], step: usize) -> Vec<u8> {
    let mut left = Vec::new();
    for piece in payload.chunks(step) {
        let mut piece = piece;
        while !piece.is_empty() {
            let taken = rig.client.publish_chunk(piece, rig.now).expect("it is wanted");
            piece = &piece[taken..];
            left.extend(rig.sent_bytes());
        }
    }
    left
}

#[track_caller]
fn decode<S: Storage>(rig: &Rig<S>, bytes: Vec<u8>) -> Packet<'static> {
    let mut input = &*bytes.leak();
    let packet = Packet::decode(&mut input, rig.version, Sender::Client).expect("a packet");
    assert_eq!(input, b"");
    packet.expect("a whole packet")
}

/// Ten times its memory.
fn a_payload_larger_than_memory_goes_out<S: Storage>(mut rig: Rig<S>) {
    let body = payload(10_000);
    for (qos, step) in QOS.into_iter().zip([10_000, 999, 64]) {
        rig.online_with(&options(rig.version).outgoing_bytes(1_024));
        let publish = Publish::new("large", b"").qos(qos).retain(true);
        let token = rig.client.publish_stream(publish, 10_000, rig.now).expect("room");
        let left = pump(&mut rig, &body, step);
        let Packet::Publish(sent) = decode(&rig, left) else { panic!("no PUBLISH") };
        assert_eq!((sent.delivery, sent.retain), (delivery(qos, 1, false), true));
        assert_eq!((sent.topic, sent.payload), (Some(topic("large")), &body[..]));
        assert_eq!(rig.client.publish_chunk(b"!", rig.now), Err(SendError::Stream), "that was all");
        match qos {
            QoS::AtMostOnce => continue,
            QoS::AtLeastOnce => assert_eq!(rig.feed(&[puback(1)]), [delivered(token)]),
            QoS::ExactlyOnce => {
                rig.feed(&[pubrec(1)]);
                assert_eq!(rig.feed(&[pubcomp(1)]), [delivered(token)]);
            }
        }
        assert_eq!(rig.client.in_flight(), 0);
    }
}

fn a_payload_may_be_empty<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.client.publish_stream(Publish::new("t", b"ignored"), 0, rig.now).expect("room");
    rig.publish("t", b"behind", QoS::AtMostOnce);
    assert_eq!(names(&rig.sent()), ["", "behind"]);
}

/// Between its first byte and its last there is no place for another packet.
fn everything_else_waits_for_its_end<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.publish("t", b"before", QoS::AtMostOnce);
    rig.client.publish_stream(Publish::new("t", b""), 6, rig.now).expect("room");
    rig.client.publish_chunk(b"str", rig.now).expect("wanted");
    rig.publish("t", b"behind", QoS::AtLeastOnce);
    rig.client.subscribe(&[tamtam_core::client::Filter::new("f")], rig.now).expect("room");
    rig.feed(&[message(QoS::AtLeastOnce, 5, b"x")]);
    let head = rig.sent_bytes();
    let again = rig.client.publish_stream(Publish::new("t", b""), 6, rig.now);
    assert!(matches!(again, Err(SendError::Stream | SendError::Full)), "{again:?}");
    assert_eq!(rig.client.disconnect(rig.now), Err(SendError::Stream));
    assert_eq!(rig.client.publish_chunk(b"eam!!", rig.now), Err(SendError::Stream), "too long");
    rig.client.publish_chunk(b"eam", rig.now).expect("wanted");
    let left = [head, rig.sent_bytes()].concat();
    let mut input = &*left.leak();
    let mut packets = Vec::new();
    while let Some(packet) = Packet::decode(&mut input, rig.version, Sender::Client).expect("one") {
        packets.push(packet);
    }
    let mut names = names(&packets);
    assert_eq!(names[..2], ["before", "stream"]);
    names[2..].sort();
    assert_eq!(names[2..], ["PUBACK 5", "SUBSCRIBE", "behind"]);
}

/// A message that waits for the window does not hold back what waited for the payload with it.
// [MQTT5-3.3.4-8, MQTT5-4.9.0-3]
fn what_waited_for_its_end_does_not_wait_for_the_window<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(V5));
    rig.open();
    rig.accept(false, &[Property::ReceiveMaximum(1.try_into().expect("not 0"))]);
    rig.publish("t", b"window", QoS::AtLeastOnce);
    rig.sent();
    rig.client.publish_stream(Publish::new("t", b""), 4, rig.now).expect("room");
    rig.publish("t", b"no room", QoS::AtLeastOnce);
    rig.feed(&[message(QoS::AtLeastOnce, 5, b"x"), pubrel(6)]);
    rig.client.publish_chunk(b"done", rig.now).expect("wanted");
    assert_eq!(names(&rig.sent()), ["done", "PUBACK 5", "PUBCOMP 6"]);
    rig.feed(&[puback(1)]);
    assert_eq!(names(&rig.sent()), ["no room"]);
}

/// Acknowledgements come in while a payload that looks like packets is on its way.
fn a_payload_is_not_touched_by_what_is_acknowledged<S: Storage>(mut rig: Rig<S>) {
    for fill in [payload(3_000), vec![0; 3_000]] {
        rig.online_with(&options(rig.version).outgoing_bytes(1_024));
        let held = rig.publish("t", b"held", QoS::AtLeastOnce);
        let released = rig.publish("t", b"released", QoS::ExactlyOnce);
        rig.sent();
        rig.client.publish_stream(Publish::new("t", b""), 3_000, rig.now).expect("room");
        let mut left = pump(&mut rig, &fill[..1_000], 500);
        rig.client.publish_chunk(&fill[1_000..1_400], rig.now).expect("wanted");
        let half = rig.client.output()[..200].to_vec();
        rig.client.output_written(200, rig.now);
        left.extend(half);
        rig.feed(&[pubrec(2)]);
        assert_eq!(rig.feed(&[puback(1)]), [delivered(held)]);
        left.extend(pump(&mut rig, &fill[1_400..], 300));
        let rest = left.split_off(3_000 + 6 + usize::from(rig.version == V5));
        assert_eq!(left[left.len() - 3_000..], fill);
        assert_eq!(rest, bytes(rig.version, &[pubrel(2)]));
        assert_eq!(rig.feed(&[pubcomp(2)]), [delivered(released)]);
        rig.cut();
        assert!(!rig.reopen().client_id.as_str().is_empty(), "and CONNECT is still there");
        rig.accept(true, &[]);
        assert_eq!(rig.sent(), []);
    }
}

/// Only the application has the payload: it is asked for it once more.
// [MQTT5-3.3.1-1, MQTT5-4.4.0-1, MQTT5-4.6.0-1]
fn a_streamed_message_is_asked_for_again<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).when_unknown(WhenUnknown::SendAgain));
    let publish = Publish::new("t", b"").qos(QoS::ExactlyOnce);
    let token = rig.client.publish_stream(publish, 4, rig.now).expect("room");
    let first = pump(&mut rig, b"once", 4);
    assert_eq!(names(&[decode(&rig, first)]), ["once"]);
    for present in [true, false] {
        rig.cut();
        rig.publish("t", b"behind", QoS::AtLeastOnce);
        rig.reopen();
        assert_eq!(rig.accept(present, &[]), [Event::Resend { token }]);
        assert_eq!(rig.sent(), [], "what is behind waits for it");
        let early = rig.client.publish_stream(publish, 4, rig.now);
        assert_eq!(early, Err(SendError::Full), "and so does a new one");
        let other = Publish::new("t", b"").qos(QoS::AtLeastOnce);
        let wrong = rig.client.resend_stream(token, other, 4, rig.now);
        assert_eq!(wrong, Err(SendError::Token), "not the same message");
        rig.client.resend_stream(token, publish, 4, rig.now).expect("its turn");
        rig.client.publish_chunk(b"once", rig.now).expect("wanted");
        let sent = rig.sent();
        let dup = present || rig.version == V31;
        assert_eq!(names(&sent), [if dup { "once*" } else { "once" }, "behind"]);
        assert_eq!(rig.feed(&[puback(publish_id(sent[1]))]).len(), 1);
    }
    rig.feed(&[pubrec(1)]);
    assert_eq!(rig.feed(&[pubcomp(1)]), [delivered(token)]);
    assert_eq!(rig.client.resend_stream(token, publish, 4, rig.now), Err(SendError::Token));
}

fn a_streamed_message_that_may_have_arrived_is_given_up<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    let publish = Publish::new("t", b"").qos(QoS::ExactlyOnce);
    let token = rig.client.publish_stream(publish, 4, rig.now).expect("room");
    pump(&mut rig, b"once", 4);
    rig.cut();
    rig.reopen();
    let events = rig.accept(false, &[]);
    assert_eq!(events, [Event::Failed { token, why: Failure::Unknown }]);
}

fn a_payload_ends_with_its_connection<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.client.publish_stream(Publish::new("t", b""), 100, rig.now).expect("room");
    rig.client.publish_chunk(b"half", rig.now).expect("wanted");
    rig.sent_bytes();
    rig.client.publish_chunk(b"never leaves", rig.now).expect("wanted");
    rig.cut();
    assert_eq!(rig.client.publish_chunk(b"more", rig.now), Err(SendError::Stream));
    rig.reopen();
    rig.accept(true, &[]);
    assert_eq!(rig.client.publish_chunk(b"more", rig.now), Err(SendError::Stream));
    rig.publish("t", b"fine", QoS::AtMostOnce);
    assert_eq!(names(&rig.sent()), ["fine"]);
}

fn a_stream_needs_a_connection_and_the_window<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(rig.version).in_flight(8));
    let publish = Publish::new("t", b"").qos(QoS::AtLeastOnce);
    let early = rig.client.publish_stream(publish, 4, rig.now);
    assert_eq!(early, Err(SendError::NotConnected));
    rig.open();
    rig.accept(false, &[]);
    let bad = rig.client.publish_stream(Publish::new("#", b""), 4, rig.now);
    assert!(matches!(bad, Err(SendError::Topic(_))), "{bad:?}");
    assert_eq!(rig.client.publish_chunk(b"x", rig.now), Err(SendError::Stream), "none was begun");
    for _ in 0..8 {
        rig.publish("t", b"x", QoS::AtLeastOnce);
    }
    assert_eq!(rig.client.publish_stream(publish, 4, rig.now), Err(SendError::Full));
    assert_eq!(rig.sent().len(), 8);
}

/// The news of an old connection are looked for once, with every identifier in use.
#[test]
fn every_identifier_in_use_is_no_reason_to_look_for_ever() {
    let mut rig = Rig::<Heap>::new(V311);
    rig.online();
    for _ in 0..65_535 {
        rig.publish("t", b"", QoS::AtLeastOnce);
    }
    rig.cut();
    rig.reopen();
    assert_eq!(rig.accept(true, &[]), []);
    assert_eq!(rig.sent().len(), 65_535);
}

on_both_storages! {
    EVERY => a_large_message_comes_in_pieces_however_it_is_split, it_is_acknowledged_after_its_end,
        a_message_that_is_cut_off_starts_anew, what_came_before_is_not_shown_again,
        head_and_properties_fit_the_size_that_was_agreed, before_connack_nothing_comes_in_pieces,
        a_payload_larger_than_memory_goes_out, a_payload_may_be_empty,
        everything_else_waits_for_its_end, a_payload_is_not_touched_by_what_is_acknowledged,
        a_streamed_message_is_asked_for_again, a_payload_ends_with_its_connection,
        a_stream_needs_a_connection_and_the_window;
    [V311, V5] => a_streamed_message_that_may_have_arrived_is_given_up;
    [V5] => what_waited_for_its_end_does_not_wait_for_the_window;
}
