//! One reader for the field types of the wire: it takes from the front, never looks past the end.

use super::BRIEF;
use super::error::{Field, Found, Sin};
use crate::types::{PacketId, Text, TopicName, scan_topic};

/// The unread rest of a packet's body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// Beside the results, which are small this way: nearly every packet is right.
    found: Option<Found>,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest, found: None }
    }

    #[inline]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) const fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// `sin`, found where the cursor stands.
    #[inline]
    pub(crate) fn found<T>(&mut self, sin: Sin, field: Field) -> Option<T> {
        self.found_at(self.left(), sin, field)
    }

    /// `sin`, found where a field began that left `left` bytes behind its start.
    #[inline]
    pub(crate) fn found_at<T>(&mut self, left: usize, sin: Sin, field: Field) -> Option<T> {
        self.note(Found { sin, field, left });
        None
    }

    #[cold]
    #[inline(never)]
    fn note(&mut self, found: Found) {
        self.found = Some(found);
    }

    /// What the last function that returned `None` has found.
    pub(crate) fn error(&self) -> Found {
        let nothing = Found { sin: Sin::Truncated, field: Field::Payload, left: 0 };
        self.found.unwrap_or(nothing)
    }

    /// Everything up to the end.
    #[inline]
    pub(crate) const fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize, field: Field) -> Option<&'a [u8]> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Some(taken)
            }
            None => self.found(Sin::Truncated, field),
        }
    }

    #[inline]
    pub(crate) fn u8(&mut self, field: Field) -> Option<u8> {
        match self.rest {
            [byte, rest @ ..] => {
                self.rest = rest;
                Some(*byte)
            }
            [] => self.found(Sin::Truncated, field),
        }
    }

    #[inline]
    pub(crate) fn u16(&mut self, field: Field) -> Option<u16> {
        match self.rest {
            [high, low, rest @ ..] => {
                self.rest = rest;
                Some(u16::from_be_bytes([*high, *low]))
            }
            _ => self.found(Sin::Truncated, field),
        }
    }

    #[cfg(feature = "v5")]
    #[inline]
    pub(crate) fn u32(&mut self, field: Field) -> Option<u32> {
        match self.rest {
            [a, b, c, d, rest @ ..] => {
                self.rest = rest;
                Some(u32::from_be_bytes([*a, *b, *c, *d]))
            }
            _ => self.found(Sin::Truncated, field),
        }
    }

    /// A variable byte integer: one to four bytes, the fewest that do [MQTT5-1.5.5-1].
    #[inline]
    pub(crate) fn var_int(&mut self, field: Field) -> Option<u32> {
        match *self.rest {
            [byte, ref rest @ ..] if byte < 0x80 => {
                self.rest = rest;
                Some(u32::from(byte))
            }
            _ => self.long_var_int(field),
        }
    }

    fn long_var_int(&mut self, field: Field) -> Option<u32> {
        let mut value = 0;
        let mut shift = 0_u32;
        let start = self.left();
        loop {
            let Some((byte, rest)) = self.rest.split_first() else {
                return self.found_at(start, Sin::Truncated, field);
            };
            value |= u32::from(byte & 0x7F) << shift;
            self.rest = rest;
            if byte & 0x80 == 0 {
                if *byte == 0 && shift != 0 {
                    return self.found_at(start, Sin::LengthNotMinimal, field);
                }
                return Some(value);
            }
            if shift == 21 {
                return self.found_at(start, Sin::LengthTooLong, field);
            }
            shift = shift.wrapping_add(7);
        }
    }

    /// Binary data: a two-byte length and as many bytes.
    #[inline]
    pub(crate) fn binary(&mut self, field: Field) -> Option<&'a [u8]> {
        if let [high, low, rest @ ..] = self.rest {
            let len = u16::from_be_bytes([*high, *low]) as usize;
            if let Some((taken, rest)) = rest.split_at_checked(len) {
                self.rest = rest;
                return Some(taken);
            }
        }
        self.found(Sin::Truncated, field)
    }

    /// A UTF-8 encoded string.
    #[inline]
    pub(crate) fn text(&mut self, field: Field) -> Option<Text<'a>> {
        let start = self.left();
        match Text::from_bytes(self.binary(field)?) {
            Ok(text) => Some(text),
            Err(error) => self.found_at(start, error.into(), field),
        }
    }

    /// A topic name, or `None` for an empty one.
    #[inline]
    pub(crate) fn topic(&mut self, field: Field) -> Option<Option<TopicName<'a>>> {
        let start = self.left();
        let bytes = self.binary(field)?;
        if bytes.is_empty() {
            return Some(None);
        }
        if !BRIEF && scan_topic(bytes) {
            return Some(Some(TopicName::trusted(bytes))); // and short, for its length had two bytes
        }
        match TopicName::from_bytes(bytes) {
            Ok(topic) => Some(Some(topic)),
            Err(error) => self.found_at(start, error.into(), field),
        }
    }

    #[inline]
    pub(crate) fn packet_id(&mut self) -> Option<PacketId> {
        let start = self.left();
        match PacketId::new(self.u16(Field::PacketId)?) {
            Some(id) => Some(id),
            None => self.found_at(start, Sin::PacketIdZero, Field::PacketId),
        }
    }

    /// That nothing follows the last field.
    #[inline]
    pub(crate) fn end(&mut self) -> Option<()> {
        if self.rest.is_empty() {
            return Some(());
        }
        self.found(Sin::TrailingBytes, Field::Payload)
    }
}
