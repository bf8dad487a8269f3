//! A packet written in every way there is, which must all agree.

use tamtam_core::{EncodeError, Packet, Version};

/// What stood in memory before, to see what was written.
const UNTOUCHED: u8 = 0xA5;

/// The packet's bytes, or why it may not be sent; whichever way, it is the same answer.
pub(super) fn encode_every_way(
    packet: &Packet<'_>,
    version: Version,
) -> Result<Vec<u8>, EncodeError> {
    let mut appended = vec![UNTOUCHED];
    let length = match packet.encoded_len(version) {
        Ok(length) => length,
        Err(error) => {
            assert!(!matches!(error, EncodeError::NoRoom { .. }), "no room was asked for");
            assert!(!error.to_string().is_empty());
            assert_eq!(packet.encode(version, &mut []), Err(error), "refused with memory");
            assert_eq!(packet.encode_to(version, &mut appended), Err(error), "appended");
            assert_eq!(appended, [UNTOUCHED], "written in spite of an error");
            return Err(error);
        }
    };
    let mut exact = vec![UNTOUCHED; length];
    assert_eq!(packet.encode(version, &mut exact), Ok(length), "memory of the measured length");

    let mut larger = vec![UNTOUCHED; length + 3];
    assert_eq!(packet.encode(version, &mut larger), Ok(length), "more memory than needed");
    assert_eq!(larger[..length], exact, "the same bytes in more memory");
    assert_eq!(larger[length..], [UNTOUCHED; 3], "written behind the packet");

    assert_eq!(packet.encode_to(version, &mut appended), Ok(length), "appended");
    assert_eq!(appended[0], UNTOUCHED, "written before the end");
    assert_eq!(appended[1..], exact, "the same bytes appended");

    for room in [0, 1, length / 2, length - 1] {
        check_no_room(packet, version, room, length);
    }
    Ok(exact)
}

fn check_no_room(packet: &Packet<'_>, version: Version, room: usize, needed: usize) {
    let mut memory = vec![0; room];
    let error = Err(EncodeError::NoRoom { needed });
    assert_eq!(packet.encode(version, &mut memory), error, "a slice of {room} bytes");
    memory.fill(UNTOUCHED);
    let mut appended = &mut memory[..];
    assert_eq!(packet.encode_to(version, &mut appended), error, "room for {room} bytes");
    assert_eq!(appended.len(), room, "written in spite of an error");
    assert!(memory.iter().all(|byte| *byte == UNTOUCHED), "written in spite of an error");
}
