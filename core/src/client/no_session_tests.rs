//! A client without sessions: what a connection leaves behind has failed, and nothing waits.

use std::vec::Vec;

use super::*;
use crate::Fixed;
use crate::types::{QoS, ReasonCode};

type Mqtt = Client<Fixed<256, 4>>;

const NOW: Instant = Instant::from_millis(1);

/// A client that the server has accepted, and what it has sent.
fn connected() -> (Mqtt, Vec<u8>) {
    let mut client = Mqtt::new();
    client.start(&Options::new(Version::V311).client_id("a"), 7).unwrap();
    client.connect(NOW).unwrap();
    open(&mut client);
    let mut sent = Vec::new();
    take(&mut client, &mut sent);
    (client, sent)
}

fn open(client: &mut Mqtt) {
    client.handle_open(NOW);
    take(client, &mut Vec::new());
    let mut input: &[u8] = b"\x20\x02\x00\x00";
    assert!(matches!(client.handle_input(&mut input, NOW), Ok(Some(Event::Connected { .. }))));
}

fn take(client: &mut Mqtt, sent: &mut Vec<u8>) {
    sent.extend_from_slice(client.output());
    let len = client.output().len();
    client.output_written(len, NOW);
}

fn reading() -> Publish<'static> {
    Publish::new("t", b"21").qos(QoS::AtLeastOnce)
}

#[test]
fn nothing_waits_for_a_connection() {
    let mut client = Mqtt::new();
    client.start(&Options::new(Version::V311).client_id("a"), 7).unwrap();
    assert_eq!(client.publish(reading(), NOW), Err(SendError::NotConnected));
    assert_eq!(client.publish(Publish::new("t", b""), NOW), Err(SendError::NotConnected));
}

#[test]
fn what_was_not_acknowledged_fails_with_the_connection() {
    let (mut client, _) = connected();
    let token = client.publish(reading(), NOW).unwrap();
    let asked = client.subscribe(&[Filter::new("a/#")], NOW).unwrap();
    take(&mut client, &mut Vec::new());
    client.handle_close(NOW);
    for expected in [token, asked] {
        let event = client.handle_input(&mut &b""[..], NOW);
        let why = Failure::Disconnected;
        assert_eq!(event, Ok(Some(Event::Failed { token: expected, why })));
    }
    assert_eq!(client.handle_input(&mut &b""[..], NOW), Err(Lost::Closed));
    assert_eq!(client.in_flight(), 0);
    // The next connection begins with nothing, and works.
    client.connect(NOW).unwrap();
    open(&mut client);
    assert_eq!(client.output(), b"");
    let again = client.publish(reading(), NOW).unwrap();
    let mut sent = Vec::new();
    take(&mut client, &mut sent);
    let mut input: &[u8] = &[0x40, 2, 0, sent[sent.len() - 3]];
    let delivered = Event::Delivered { token: again, reason: ReasonCode::Success };
    assert_eq!(client.handle_input(&mut input, NOW), Ok(Some(delivered)));
}

#[test]
fn more_than_fits_is_refused_and_room_comes_back_as_bytes_leave() {
    let (mut client, _) = connected();
    for _ in 0..4 {
        client.publish(reading(), NOW).unwrap();
    }
    assert_eq!(client.publish(reading(), NOW), Err(SendError::Full));
    for round in 0..100_u8 {
        take(&mut client, &mut Vec::new());
        let mut input: &[u8] = &[0x40, 2, 0, round % 4 + 1];
        assert!(matches!(client.handle_input(&mut input, NOW), Ok(Some(Event::Delivered { .. }))));
        client.publish(reading(), NOW).unwrap();
    }
}

#[test]
fn every_connection_asks_for_a_new_session() {
    let (mut client, _) = connected();
    for _ in 0..2 {
        client.handle_close(NOW);
        client.connect(NOW).unwrap();
        client.handle_open(NOW);
        assert_eq!(client.output().get(9), Some(&0x02)); // Clean Session
        take(&mut client, &mut Vec::new());
    }
    // So a server that goes on with one is wrong.
    let mut input: &[u8] = b"\x20\x02\x01\x00";
    let lost = Lost::Peer(PeerError::SessionPresent);
    assert_eq!(client.handle_input(&mut input, NOW), Err(lost));
}

#[cfg(not(feature = "qos2"))]
#[test]
fn qos_2_is_neither_sent_nor_asked_for_nor_taken() {
    let (mut client, _) = connected();
    let message = Publish::new("t", b"").qos(QoS::ExactlyOnce);
    assert_eq!(client.publish(message, NOW), Err(SendError::Unsupported(Unsupported::QoS)));
    client.subscribe(&[Filter::new("a")], NOW).unwrap();
    assert_eq!(client.output().last(), Some(&1));
    for unasked in [&b"\x34\x05\x00\x01a\x00\x01"[..], b"\x50\x02\x00\x01", b"\x62\x02\x00\x01"] {
        let (mut client, _) = connected();
        let mut input = unasked;
        assert!(matches!(client.handle_input(&mut input, NOW), Err(Lost::Peer(_))));
    }
}

#[cfg(feature = "qos2")]
#[test]
fn qos_2_is_sent_and_received_within_a_connection() {
    let (mut client, _) = connected();
    let token = client.publish(Publish::new("t", b"").qos(QoS::ExactlyOnce), NOW).unwrap();
    take(&mut client, &mut Vec::new());
    let mut input: &[u8] = b"\x50\x02\x00\x01\x34\x05\x00\x01a\x00\x09";
    assert!(matches!(client.handle_input(&mut input, NOW), Ok(Some(Event::Message(_)))));
    assert_eq!(client.handle_input(&mut input, NOW), Ok(None));
    assert_eq!(client.output(), b"\x62\x02\x00\x01\x50\x02\x00\x09");
    take(&mut client, &mut Vec::new());
    let mut input: &[u8] = b"\x62\x02\x00\x09\x70\x02\x00\x01";
    let delivered = Event::Delivered { token, reason: ReasonCode::Success };
    assert_eq!(client.handle_input(&mut input, NOW), Ok(Some(delivered)));
    assert_eq!(client.output(), b"\x70\x02\x00\x09");
    assert_eq!(client.in_flight(), 0);
}

#[cfg(feature = "qos2")]
#[test]
fn a_pubrec_waits_for_room_for_its_answer() {
    let (mut client, _) = connected();
    let token = client.publish(Publish::new("t", b"").qos(QoS::ExactlyOnce), NOW).unwrap();
    take(&mut client, &mut Vec::new());
    while client.publish(Publish::new("t", b""), NOW).is_ok() {}
    // That leaves what answers need; those to messages take it up.
    let mut taken = 0;
    for id in 1..=20 {
        let message = [0x32, 5, 0, 1, b'a', 0, id];
        let mut input = &message[..];
        while let Some(event) = client.handle_input(&mut input, NOW).unwrap() {
            assert!(matches!(event, Event::Message(_)));
        }
        if !input.is_empty() {
            break;
        }
        taken += 1;
    }
    assert!((1..20).contains(&taken), "{taken} messages were taken");
    let mut input: &[u8] = b"\x50\x02\x00\x01\x70\x02\x00\x01";
    assert_eq!(client.handle_input(&mut input, NOW), Ok(None));
    assert_eq!(input.len(), 8, "it was not taken");
    take(&mut client, &mut Vec::new());
    let delivered = Event::Delivered { token, reason: ReasonCode::Success };
    assert_eq!(client.handle_input(&mut input, NOW), Ok(Some(delivered)));
    assert_eq!((client.output(), client.in_flight()), (&b"\x62\x02\x00\x01"[..], 0));
}
