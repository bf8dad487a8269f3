//! One reader for the field types of the wire: it takes from the front, never looks past the end.

use super::BRIEF;
use super::error::{Field, Found, Sin};
use crate::types::{PacketId, Text, TopicName, scan_topic};

/// The unread rest of a packet's body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
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
    pub(crate) const fn found<T>(&self, sin: Sin, field: Field) -> Result<T, Found> {
        Err(Found { sin, field, left: self.rest.len() })
    }

    /// `sin`, found where a field began that left `left` bytes behind its start.
    #[inline]
    const fn found_at<T>(left: usize, sin: Sin, field: Field) -> Result<T, Found> {
        Err(Found { sin, field, left })
    }

    /// Everything up to the end.
    #[inline]
    pub(crate) const fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize, field: Field) -> Result<&'a [u8], Found> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => self.found(Sin::Truncated, field),
        }
    }

    #[inline]
    pub(crate) fn u8(&mut self, field: Field) -> Result<u8, Found> {
        match self.rest {
            [byte, rest @ ..] => {
                self.rest = rest;
                Ok(*byte)
            }
            [] => self.found(Sin::Truncated, field),
        }
    }

    #[inline]
    pub(crate) fn u16(&mut self, field: Field) -> Result<u16, Found> {
        match self.rest {
            [high, low, rest @ ..] => {
                self.rest = rest;
                Ok(u16::from_be_bytes([*high, *low]))
            }
            _ => self.found(Sin::Truncated, field),
        }
    }

    #[cfg(feature = "v5")]
    #[inline]
    pub(crate) fn u32(&mut self, field: Field) -> Result<u32, Found> {
        match self.rest {
            [a, b, c, d, rest @ ..] => {
                self.rest = rest;
                Ok(u32::from_be_bytes([*a, *b, *c, *d]))
            }
            _ => self.found(Sin::Truncated, field),
        }
    }

    /// A variable byte integer: one to four bytes, the fewest that do [MQTT5-1.5.5-1].
    #[inline]
    pub(crate) fn var_int(&mut self, field: Field) -> Result<u32, Found> {
        match *self.rest {
            [byte, ref rest @ ..] if byte < 0x80 => {
                self.rest = rest;
                Ok(u32::from(byte))
            }
            _ => self.long_var_int(field),
        }
    }

    fn long_var_int(&mut self, field: Field) -> Result<u32, Found> {
        let mut value = 0;
        let mut shift = 0_u32;
        let start = self.left();
        loop {
            let Some((byte, rest)) = self.rest.split_first() else {
                return Self::found_at(start, Sin::Truncated, field);
            };
            value |= u32::from(byte & 0x7F) << shift;
            self.rest = rest;
            if byte & 0x80 == 0 {
                if *byte == 0 && shift != 0 {
                    return Self::found_at(start, Sin::LengthNotMinimal, field);
                }
                return Ok(value);
            }
            if shift == 21 {
                return Self::found_at(start, Sin::LengthTooLong, field);
            }
            shift = shift.wrapping_add(7);
        }
    }

    /// Binary data: a two-byte length and as many bytes.
    #[inline]
    pub(crate) fn binary(&mut self, field: Field) -> Result<&'a [u8], Found> {
        if let [high, low, rest @ ..] = self.rest {
            let len = u16::from_be_bytes([*high, *low]) as usize;
            if let Some((taken, rest)) = rest.split_at_checked(len) {
                self.rest = rest;
                return Ok(taken);
            }
        }
        self.found(Sin::Truncated, field)
    }

    /// A UTF-8 encoded string.
    #[inline]
    pub(crate) fn text(&mut self, field: Field) -> Result<Text<'a>, Found> {
        let start = self.left();
        match Text::from_bytes(self.binary(field)?) {
            Ok(text) => Ok(text),
            Err(error) => Self::found_at(start, error.into(), field),
        }
    }

    /// A topic name, or `None` for an empty one.
    #[inline]
    pub(crate) fn topic(&mut self, field: Field) -> Result<Option<TopicName<'a>>, Found> {
        let start = self.left();
        let bytes = self.binary(field)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if !BRIEF && scan_topic(bytes) {
            return Ok(Some(TopicName::trusted(bytes))); // and short, for its length had two bytes
        }
        match TopicName::from_bytes(bytes) {
            Ok(topic) => Ok(Some(topic)),
            Err(error) => Self::found_at(start, error.into(), field),
        }
    }

    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, Found> {
        let start = self.left();
        match PacketId::new(self.u16(Field::PacketId)?) {
            Some(id) => Ok(id),
            None => Self::found_at(start, Sin::PacketIdZero, Field::PacketId),
        }
    }

    /// That nothing follows the last field.
    #[inline]
    pub(crate) const fn end(&self) -> Result<(), Found> {
        if self.rest.is_empty() {
            return Ok(());
        }
        self.found(Sin::TrailingBytes, Field::Payload)
    }
}
