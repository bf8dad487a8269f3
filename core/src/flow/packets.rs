//! Packets that this crate encoded, looked at and walked over where they lie.

use crate::codec::frame_len_of;

/// The bit of a PUBLISH's first byte that says it may have been sent before.
const DUP: u8 = 0b1000;

pub(crate) const fn is_publish(packet: &[u8]) -> bool {
    matches!(packet, [first, ..] if *first & 0xF0 == 0x30)
}

pub(crate) const fn is_qos0(packet: &[u8]) -> bool {
    is_publish(packet) && matches!(packet, [first, ..] if *first & 0b0110 == 0)
}

/// Whether a packet must be kept until it is settled.
pub(crate) const fn is_owed(packet: &[u8]) -> bool {
    matches!(packet, [first, ..] if *first & 0xF0 == 0x30 && *first & 0b0110 != 0)
}

/// Sets or clears DUP of a PUBLISH.
pub(crate) const fn set_dup(packet: &mut [u8], dup: bool) {
    if let [first, ..] = packet {
        *first = if dup { *first | DUP } else { *first & !DUP };
    }
}

/// Whether a PUBLISH may have been sent before.
pub(crate) const fn is_dup(packet: &[u8]) -> bool {
    matches!(packet, [first, ..] if *first & DUP != 0)
}

/// Packet after packet of a run; a part of one at the end is left out.
#[derive(Clone)]
pub(crate) struct Walk<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Walk<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (packet, rest) = self.0.split_at_checked(frame_len_of(self.0)?)?;
        self.0 = rest;
        Some(packet)
    }
}
