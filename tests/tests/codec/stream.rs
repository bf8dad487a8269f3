//! A stream in which large messages come in pieces.

use tamtam_core::{Packet, Piece, Pieces};

use crate::samples::samples;
use crate::support::*;

/// What a stream yielded, put together again: its packets, and how many came in pieces.
fn collect(
    version: Version,
    sender: Sender,
    above: usize,
    stream: &[u8],
    step: usize,
) -> (Vec<u8>, usize) {
    let mut pieces = Pieces::new(version, sender, above);
    let (mut out, mut in_pieces) = (Vec::new(), 0);
    let mut payload: Option<(Vec<u8>, u32)> = None;
    let mut kept = Vec::new();
    for part in stream.chunks(step) {
        kept.extend(part);
        let mut rest = kept.as_slice();
        while let Some(piece) = pieces.next(&mut rest).expect("a good stream") {
            match piece {
                Piece::Packet(packet) => out.extend(encoded(version, &packet)),
                Piece::Start { head, payload_len } => {
                    assert!(payload.is_none() && head.payload.is_empty());
                    let head = encoded(version, &Packet::Publish(head));
                    payload = Some((head, payload_len));
                    in_pieces += 1;
                }
                Piece::Chunk(chunk) => {
                    let (bytes, left) = payload.as_mut().expect("a start");
                    assert!(!chunk.is_empty());
                    bytes.extend(chunk);
                    *left -= chunk.len() as u32;
                }
                Piece::End => {
                    let (bytes, left) = payload.take().expect("a start");
                    assert_eq!(left, 0);
                    let body = 1 + bytes[1..].iter().position(|b| *b < 0x80).expect("a length") + 1;
                    out.extend(framed(bytes[0], &bytes[body..]));
                }
            }
            assert_eq!(pieces.within_payload(), payload.is_some());
        }
        kept = rest.to_vec();
    }
    assert!(kept.is_empty());
    (out, in_pieces)
}

#[test]
fn pieces_put_together_are_the_stream() {
    for (version, sender) in EVERY.into_iter().flat_map(|v| BOTH.map(|sender| (v, sender))) {
        let all = samples().into_iter().filter(|s| s.version == version && s.sender == sender);
        let all: Vec<&[u8]> = all.map(|sample| sample.bytes).collect();
        let stream = all.concat();
        for above in [0, 11, 12, 13, 100, 1000] {
            let large = all.iter().filter(|b| b[0] >> 4 == 3 && b.len() > above).count();
            for step in [1, 2, 3, 7, 64, stream.len()] {
                let (again, in_pieces) = collect(version, sender, above, &stream, step);
                assert_eq!(again, stream);
                assert_eq!(in_pieces, large, "above {above}");
            }
        }
    }
}

#[test]
fn a_publish_comes_in_pieces_by_its_length_alone() {
    let packet = bytes(V311, "30( <a/b> 'hello' )"); // 12 bytes
    let mut whole = Pieces::new(V311, Client, 12);
    assert!(matches!(whole.next(&mut &packet[..]), Ok(Some(Piece::Packet(_)))));
    assert_eq!(whole.next(&mut &packet[..11]), Ok(None));
    let mut pieces = Pieces::new(V311, Client, 11);
    let mut rest = packet;
    let Ok(Some(Piece::Start { head, payload_len })) = pieces.next(&mut rest) else {
        panic!("no start")
    };
    assert_eq!((head.topic, payload_len, rest), (Some(topic("a/b")), 5, &b"hello"[..]));
    assert_eq!(pieces.next(&mut rest), Ok(Some(Piece::Chunk(b"hello"))));
    assert!(pieces.within_payload());
    assert_eq!(pieces.next(&mut rest), Ok(Some(Piece::End)));
    assert!(!pieces.within_payload());
    assert_eq!(pieces.next(&mut rest), Ok(None));
}

#[test]
fn the_head_waits_until_it_is_here_and_no_longer() {
    for (version, head) in EVERY.into_iter().flat_map(|v| {
        ["<a/b> 0007 ~", "<a> FFFF ~"].map(move |head| (v, bytes(v, &format!("{head} "))))
    }) {
        let packet = framed(0x32, &[head, &[b'x'; 500]].concat());
        let head_len = packet.len() - 500;
        let mut pieces = Pieces::new(version, Server, 100);
        for end in 0..head_len {
            assert_eq!(pieces.next(&mut &packet[..end]), Ok(None));
        }
        let mut rest = &packet[..head_len];
        let found = pieces.next(&mut rest);
        assert!(matches!(found, Ok(Some(Piece::Start { payload_len: 500, .. }))), "{found:?}");
        assert!(rest.is_empty());
        assert_eq!(pieces.next(&mut rest), Ok(None));
        assert_eq!(pieces.next(&mut &packet[head_len..head_len + 1]), Ok(Some(Piece::Chunk(b"x"))));
    }
}

#[test]
fn a_message_without_payload_starts_and_ends() {
    let mut pieces = Pieces::new(V5, Client, 0);
    let mut rest = bytes(V5, "30( <a> () )");
    assert!(matches!(pieces.next(&mut rest), Ok(Some(Piece::Start { payload_len: 0, .. }))));
    assert_eq!(pieces.next(&mut rest), Ok(Some(Piece::End)));
    assert_eq!(pieces.next(&mut rest), Ok(None));
}

#[test]
fn what_follows_a_payload_is_not_taken_for_it() {
    let stream = [bytes(V311, "30( <a> 'hello' )"), bytes(V311, "C0()")].concat();
    let mut pieces = Pieces::new(V311, Client, 4);
    let mut rest = stream.as_slice();
    assert!(matches!(pieces.next(&mut rest), Ok(Some(Piece::Start { payload_len: 5, .. }))));
    assert_eq!(pieces.next(&mut rest), Ok(Some(Piece::Chunk(b"hello"))));
    assert_eq!(pieces.next(&mut rest), Ok(Some(Piece::End)));
    assert_eq!(pieces.next(&mut rest), Ok(Some(Piece::Packet(Packet::PingReq))));
    assert!(rest.is_empty());
}

#[test]
fn a_bad_head_is_refused_as_in_a_whole_packet_and_before_its_payload() {
    let payload = "00".repeat(300);
    for (version, sender, head) in [
        (V5, Client, "36( <a/b> 0007 00"),
        (V5, Client, "38( <a/b> 00"),
        (V5, Client, "30( <a/#> 00"),
        (V311, Client, "30( <a/#>"),
        (V31, Server, "30( 0003 61FF61"),
        (V5, Client, "30( <> 00"),
        (V311, Client, "32( <a> 0000"),
        (V5, Client, "32( <a> 0000 00"),
        (V5, Client, "30( <a> ( 0B 01 )"),
        (V5, Client, "30( <a> ( 23 0000 )"),
        (V5, Server, "30( <a> ( 01 01 01 01 )"),
        (V5, Server, "30( <a> ( 26 <k><v> 11 00000000 )"),
        (V5, Server, "30( <a> 8000"),
    ] {
        let packet = bytes(version, &format!("{head} {payload} )"));
        let expected = decode(version, sender, packet).expect_err("a refusal");
        let mut pieces = Pieces::new(version, sender, 100);
        assert_eq!(pieces.next(&mut &*packet), Err(expected), "{head}");
        let head_len = packet.len() - 300;
        assert_eq!(pieces.next(&mut &packet[..head_len]), Err(expected), "{head}");
        assert!(!pieces.within_payload());
    }
}

#[test]
fn a_field_that_runs_past_the_packet_is_refused_once_all_is_here() {
    for head in ["30( ^FFFF 'a'", "30( <a> ^FF7F"] {
        let packet = bytes(V5, &format!("{head} '{}' )", "x".repeat(300)));
        let expected = decode(V5, Client, packet).expect_err("a refusal");
        let mut pieces = Pieces::new(V5, Client, 100);
        assert_eq!(pieces.next(&mut &packet[..packet.len() - 1]), Ok(None));
        assert_eq!(pieces.next(&mut &*packet), Err(expected));
    }
}

#[test]
fn other_packets_come_whole_however_long() {
    let names: Vec<String> = (0..100).map(|number| format!("<filter/{number}> 00")).collect();
    let packet = bytes(V311, &format!("82( 0001 {} )", names.join(" ")));
    let mut pieces = Pieces::new(V311, Client, 10);
    assert_eq!(pieces.next(&mut &packet[..packet.len() - 1]), Ok(None));
    assert!(matches!(pieces.next(&mut &*packet), Ok(Some(Piece::Packet(Packet::Subscribe(_))))));
}
