//! Where packets are written to: a counter first, then memory that the caller owns.

use super::error::{EncodeError, Field, Sin};
use super::header::{MAX_REMAINING_LENGTH, PacketType};
use crate::storage::copy;
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

    #[cfg(feature = "v5")]
    #[inline]
    fn u32(&mut self, number: u32) {
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

/// How many bytes a variable byte integer takes.
pub(crate) const fn var_int_len(number: u32) -> usize {
    match number {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Counts what would be written.
#[cfg(feature = "alloc")]
#[derive(Debug, Default)]
pub(crate) struct Count(usize);

#[cfg(feature = "alloc")]
impl Sink for Count {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 = self.0.wrapping_add(bytes.len());
    }
}

/// Writes into a slice that was measured beforehand.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub(crate) struct Slice<'b>(&'b mut [u8]);

#[cfg(feature = "alloc")]
impl Sink for Slice<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if let Some((to, rest)) = core::mem::take(&mut self.0).split_at_mut_checked(bytes.len()) {
            copy(to, bytes);
            self.0 = rest;
        }
    }
}

/// Writes as far as there is room, and counts on: one sink for both, so that what writes a packet
/// is compiled once.
#[cfg(not(feature = "alloc"))]
#[derive(Debug, Default)]
pub(crate) struct Slice<'b>(&'b mut [u8], usize);

#[cfg(not(feature = "alloc"))]
impl Sink for Slice<'_> {
    #[inline(never)]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.1.wrapping_add(bytes.len());
        if let Some(to) = self.0.get_mut(self.1..end) {
            copy(to, bytes);
        }
        self.1 = end;
    }
}

/// Counts what `write` writes.
#[inline]
pub(crate) fn count(write: impl FnOnce(&mut Counter)) -> usize {
    let mut counter = Counter::default();
    write(&mut counter);
    counter.count()
}

#[cfg(feature = "alloc")]
pub(crate) type Counter = Count;
#[cfg(not(feature = "alloc"))]
pub(crate) type Counter = Slice<'static>;

impl Counter {
    const fn count(&self) -> usize {
        #[cfg(feature = "alloc")]
        return self.0;
        #[cfg(not(feature = "alloc"))]
        return self.1;
    }
}

impl<'b> Slice<'b> {
    #[inline]
    pub(crate) const fn new(out: &'b mut [u8]) -> Self {
        #[cfg(feature = "alloc")]
        return Self(out);
        #[cfg(not(feature = "alloc"))]
        return Self(out, 0);
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

/// Where there is room for it, each body has its own code to be measured and written.
#[cfg(feature = "alloc")]
pub(crate) use Body as AnyBody;

#[cfg(feature = "alloc")]
#[inline(always)]
pub(crate) const fn erase<B>(body: &B) -> &B {
    body
}

#[cfg(not(feature = "alloc"))]
pub(crate) use super::erased::{AnyBody, erase};

/// How long the body is, once it is known that it may be sent.
#[inline]
fn body_len(body: &(impl AnyBody + ?Sized), version: Version) -> Result<u32, EncodeError> {
    let checked = body.check(version);
    let length = if checked.is_ok() { count(|counter| body.write(version, counter)) } else { 0 };
    judge(checked, length, body.first_byte(), version)
}

/// What does not depend on which packet it is.
#[cfg_attr(feature = "alloc", inline)]
fn judge(
    checked: Result<(), Refusal>,
    length: usize,
    first_byte: u8,
    version: Version,
) -> Result<u32, EncodeError> {
    if let Err(refusal) = checked {
        return Err(encode_error(refusal, first_byte, version));
    }
    match u32::try_from(length) {
        Ok(length) if length <= MAX_REMAINING_LENGTH => Ok(length),
        _ => Err(EncodeError::TooLong { length }),
    }
}

/// Fixed header and body together.
#[inline]
const fn frame_len(body_len: u32) -> usize {
    (body_len as usize).wrapping_add(var_int_len(body_len)).wrapping_add(1)
}

/// A packet that may be sent, and how long it is.
#[derive(Debug)]
pub(crate) struct Measured<'b, B: ?Sized> {
    body: &'b B,
    body_len: u32,
    version: Version,
}

/// Checks and measures a packet.
#[inline]
pub(crate) fn measure<B: AnyBody + ?Sized>(
    body: &B,
    version: Version,
) -> Result<Measured<'_, B>, EncodeError> {
    Ok(Measured { body, body_len: body_len(body, version)?, version })
}

impl<B: AnyBody + ?Sized> Measured<'_, B> {
    /// Fixed header and body together.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        frame_len(self.body_len)
    }

    /// The same with a payload of `len` more bytes, which will be written by others.
    #[cfg(feature = "stream")]
    pub(crate) fn with_payload(self, len: u32) -> Result<Self, EncodeError> {
        match self.body_len.checked_add(len) {
            Some(body_len) if body_len <= MAX_REMAINING_LENGTH => Ok(Self { body_len, ..self }),
            _ => Err(EncodeError::TooLong {
                length: (self.body_len as usize).saturating_add(len as usize),
            }),
        }
    }

    /// Writes all but such a payload into `out`, which is as long as that.
    #[cfg(feature = "stream")]
    pub(crate) fn write_head(&self, out: &mut [u8]) {
        self.write_to(&mut Slice::new(out));
    }

    #[inline]
    fn write_to(&self, sink: &mut Slice<'_>) {
        sink.u8(self.body.first_byte());
        sink.var_int(self.body_len);
        self.body.write(self.version, sink);
    }

    /// Writes the packet to the front of `out`; returns how long it is.
    #[inline]
    pub(crate) fn write(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let needed = self.len();
        let Some(out) = out.get_mut(..needed) else {
            return Err(EncodeError::NoRoom { needed });
        };
        self.write_to(&mut Slice::new(out));
        Ok(needed)
    }

    /// The same; without memory it is only measured.
    #[cfg(any(feature = "session", feature = "auth"))]
    pub(crate) fn write_if(&self, out: Option<&mut [u8]>) -> Result<usize, EncodeError> {
        out.map_or(Ok(self.len()), |out| self.write(out))
    }
}

#[cfg(feature = "bytes")]
impl<B: Body> Measured<'_, B> {
    /// Appends the packet to `out`; returns how long it is.
    pub(crate) fn append(&self, mut out: &mut impl bytes::BufMut) -> Result<usize, EncodeError> {
        let needed = self.len();
        if out.remaining_mut() < needed {
            return Err(EncodeError::NoRoom { needed });
        }
        let mut sink = &mut out;
        sink.u8(Body::first_byte(self.body));
        sink.var_int(self.body_len);
        Body::write(self.body, self.version, &mut sink);
        Ok(needed)
    }
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
