//! Any bytes as a stream of packets: what is accepted is right, what is refused is explained.

use tamtam_core::{Connect, DecodeError, Packet, PacketType, Sender, Version, frame_len};

use super::bytes::Bytes;
use super::encoding::encode_every_way;
use super::lists::Lists;
use super::walk::walk;

/// The longest packet that is also printed.
const SHORT: usize = 256;

/// Decodes a stream up to its end or its first error. The first byte says who sends it, in which
/// version: 0, 1, 2 for a client's 3.1, 3.1.1, 5.0, and 3, 4, 5 for a server's.
///
/// A packet must borrow its own frame and nothing behind it, agree with itself, and go through the
/// encoder and back unchanged; an error must lie within the packet and cite its clause.
///
/// # Panics
/// If a property does not hold.
pub fn decode(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (version, sender) = bytes.dialect();
    let mut input = bytes.rest();
    check_connect(input);
    loop {
        let before = input;
        match Packet::decode(&mut input, version, sender) {
            Ok(Some(packet)) => {
                let frame = &before[..before.len() - input.len()];
                assert_eq!(&before[frame.len()..], input, "input is not behind the packet");
                check_packet(&packet, frame, version, sender);
            }
            Ok(None) => {
                assert_eq!(before, input, "moved without a packet");
                match frame_len(before, version) {
                    Ok(Some(length)) => assert!(length > before.len(), "it was all here"),
                    Ok(None) => assert!(before.len() < 5, "no length in five bytes"),
                    Err(error) => panic!("waits for a packet that is wrong: {error}"),
                }
                break;
            }
            Err(error) => {
                assert_eq!(before, input, "moved by an error");
                check_error(&error, before, version, sender);
                break;
            }
        }
    }
}

/// One packet that was decoded from exactly the bytes of `frame`.
fn check_packet(packet: &Packet<'_>, frame: &[u8], version: Version, sender: Sender) {
    assert_eq!(frame_len(frame, version), Ok(Some(frame.len())));
    assert_eq!(packet.packet_type(), PacketType::of(frame[0]));
    assert_eq!(decode_whole(frame, version, sender), Ok(Some(*packet)), "alone");
    assert_eq!(decode_whole(&frame[..frame.len() - 1], version, sender), Ok(None), "cut short");
    if frame.len() <= SHORT {
        assert!(!format!("{packet:?}").is_empty());
    }
    walk(packet, version, sender);

    let encoded = match encode_every_way(packet, version) {
        Ok(encoded) => encoded,
        Err(error) => panic!("decoded, but not to be encoded: {error}: {packet:?}"),
    };
    assert!(encoded.len() <= frame.len(), "longer than it came");
    assert_eq!(decode_whole(&encoded, version, sender), Ok(Some(*packet)), "there and back");

    let lists = Lists::of(packet);
    let rebuilt = lists.put_into(*packet);
    assert_eq!(rebuilt, *packet, "as lists");
    assert_eq!(encode_every_way(&rebuilt, version).as_ref(), Ok(&encoded), "encoded from lists");
}

/// The packet that `bytes` begin with; they are not to go on behind it.
pub(super) fn decode_whole(
    bytes: &[u8],
    version: Version,
    sender: Sender,
) -> Result<Option<Packet<'_>>, DecodeError> {
    let mut input = bytes;
    let packet = Packet::decode(&mut input, version, sender)?;
    assert!(packet.is_none() || input.is_empty(), "{} bytes left over", input.len());
    Ok(packet)
}

fn check_error(error: &DecodeError, input: &[u8], version: Version, sender: Sender) {
    assert_eq!(error.packet, PacketType::of(input[0]));
    check_words(error, version);
    let end = match frame_len(input, version) {
        Ok(Some(length)) => length.min(input.len()),
        Ok(None) => input.len(),
        Err(found) => {
            assert_eq!(found, *error, "frame_len found another error");
            input.len()
        }
    };
    assert!(error.offset as usize <= end, "{error} behind the end, {end}");
    assert_eq!(decode_whole(&input[..end], version, sender), Err(*error), "alone");
}

/// What the error says to a person, and to the peer.
fn check_words(error: &DecodeError, version: Version) {
    assert_eq!(error.version, version);
    assert!(error.reason_code().is_error());
    let citation = error.citation();
    assert!(citation.starts_with("MQTT5") || (!version.is_v5() && citation.starts_with("MQTT3")));
    let words = error.to_string();
    assert!(words.contains(citation) && words.contains(error.field.name()), "{words}");
    assert!(words.contains(error.packet.name()), "{words}");
}

/// `Connect::decode`, which learns the version on the way, against `Packet::decode`.
fn check_connect(start: &[u8]) {
    let mut input = start;
    let found = Connect::decode(&mut input);
    let length = start.len() - input.len();
    assert_eq!(&start[length..], input, "input is not behind the packet");
    match found {
        Ok(Some(connect)) => {
            let packet = Ok(Some(Packet::Connect(connect)));
            assert_eq!(decode_whole(&start[..length], connect.version, Sender::Client), packet);
        }
        Ok(None) => assert_eq!(length, 0, "moved without a packet"),
        Err(error) => {
            assert_eq!(length, 0, "moved by an error");
            assert!(error.offset as usize <= start.len(), "{error} behind the end");
            check_words(&error, error.version);
        }
    }
    for version in Version::ALL {
        let mut input = start;
        match Packet::decode(&mut input, *version, Sender::Client) {
            Ok(Some(Packet::Connect(connect))) => assert_eq!(found, Ok(Some(connect))),
            Ok(Some(_)) => assert!(found.is_err(), "another packet than CONNECT came first"),
            _ => assert!(found.is_err() || !is_connect(&found, *version)),
        }
    }
}

fn is_connect(found: &Result<Option<Connect<'_>>, DecodeError>, version: Version) -> bool {
    matches!(found, Ok(Some(connect)) if connect.version == version)
}
