//! Where packets are written to: a counter first, then memory that the caller owns.

use super::error::{EncodeError, Field, Sin};
use super::header::{MAX_REMAINING_LENGTH, PacketType};
use crate::types::{Text, Version};

/// Takes the bytes of a packet in order.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    #[inline]
    fn u8(&mut self, byte: u8) {
        self.put(&[byte]);
    }

    #[inline]
    fn u16(&mut self, number: u16) {
        self.put(&number.to_be_bytes());
    }

    #[inline]
    fn var_int(&mut self, mut number: u32) {
        while number >= 0x80 {
            self.u8(number as u8 | 0x80);
            number >>= 7;
        }
        self.u8(number as u8);
    }

    /// A two-byte length and the bytes; [`short`] has seen to it that they are few enough.
    #[inline]
    fn binary(&mut self, bytes: &[u8]) {
        self.u16(bytes.len() as u16);
        self.put(bytes);
    }

    #[inline]
    fn text(&mut self, text: Text<'_>) {
        self.binary(text.as_bytes());
    }
}

/// Counts what would be written.
#[derive(Debug, Default)]
pub(crate) struct Count(pub(crate) usize);

impl Sink for Count {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 = self.0.wrapping_add(bytes.len());
    }
}

/// Writes into a slice that was measured beforehand.
#[derive(Debug)]
pub(crate) struct Slice<'b>(pub(crate) &'b mut [u8]);

impl Sink for Slice<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if let Some((to, rest)) = core::mem::take(&mut self.0).split_at_mut_checked(bytes.len()) {
            to.copy_from_slice(bytes);
            self.0 = rest;
        }
    }
}

#[cfg(feature = "bytes")]
impl<B: bytes::BufMut> Sink for &mut B {
    fn put(&mut self, bytes: &[u8]) {
        self.put_slice(bytes);
    }
}

/// Why a body can't be written; the caller knows which packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Sin(Sin, Field),
    TooLong(Field),
    NotInVersion(Field),
}

/// What every packet can do behind its fixed header.
pub(crate) trait Body {
    /// The first byte of the packet.
    fn first_byte(&self) -> u8;
    /// Whether it may be sent in `version`.
    fn check(&self, version: Version) -> Result<(), Refusal>;
    /// Everything behind the fixed header.
    fn write(&self, version: Version, sink: &mut impl Sink);
}

/// That a field fits its two-byte length.
pub(crate) const fn short(bytes: &[u8], field: Field) -> Result<(), Refusal> {
    if bytes.len() > Text::MAX_LEN { Err(Refusal::TooLong(field)) } else { Ok(()) }
}

/// How long the body is, once it is known that it may be sent.
#[inline]
fn body_len(body: &impl Body, version: Version) -> Result<u32, EncodeError> {
    if let Err(refusal) = body.check(version) {
        return Err(encode_error(refusal, body.first_byte(), version));
    }
    let mut count = Count::default();
    body.write(version, &mut count);
    match u32::try_from(count.0) {
        Ok(length) if length <= MAX_REMAINING_LENGTH => Ok(length),
        _ => Err(EncodeError::TooLong { length: count.0 }),
    }
}

/// Fixed header and body together.
#[inline]
const fn frame_len(body_len: u32) -> usize {
    let header = match body_len {
        0..0x80 => 2,
        0x80..0x4000 => 3,
        0x4000..0x20_0000 => 4,
        _ => 5,
    };
    (body_len as usize).saturating_add(header)
}

#[inline]
pub(crate) fn encoded_len(body: &impl Body, version: Version) -> Result<usize, EncodeError> {
    Ok(frame_len(body_len(body, version)?))
}

/// Writes the packet to the front of `out`; returns how long it is.
#[inline]
pub(crate) fn encode(
    body: &impl Body,
    version: Version,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    let body_len = body_len(body, version)?;
    let needed = frame_len(body_len);
    let Some(out) = out.get_mut(..needed) else {
        return Err(EncodeError::NoRoom { needed });
    };
    write_frame(body, body_len, version, &mut Slice(out));
    Ok(needed)
}

#[cfg(feature = "bytes")]
pub(crate) fn encode_to(
    body: &impl Body,
    version: Version,
    mut out: &mut impl bytes::BufMut,
) -> Result<usize, EncodeError> {
    let body_len = body_len(body, version)?;
    let needed = frame_len(body_len);
    if out.remaining_mut() < needed {
        return Err(EncodeError::NoRoom { needed });
    }
    write_frame(body, body_len, version, &mut out);
    Ok(needed)
}

#[inline]
fn write_frame(body: &impl Body, body_len: u32, version: Version, sink: &mut impl Sink) {
    sink.u8(body.first_byte());
    sink.var_int(body_len);
    body.write(version, sink);
}

#[cold]
fn encode_error(refusal: Refusal, first_byte: u8, version: Version) -> EncodeError {
    let packet = PacketType::of(first_byte);
    match refusal {
        Refusal::Sin(sin, field) => EncodeError::Sin { sin, field, packet, version },
        Refusal::TooLong(field) => EncodeError::FieldTooLong { field },
        Refusal::NotInVersion(field) => EncodeError::NotInVersion { packet, field, version },
    }
}
