//! PUBLISH packets that are larger than memory: the head first, then the payload as it comes.

use super::cursor::Cursor;
use super::error::{DecodeError, Field, Found, Sin};
use super::header::{FixedHeader, PacketType, Sender, header_error};
use super::packet::Packet;
use super::publish::Publish;
use crate::types::Version;

/// What a stream of packets yields when large messages come in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A whole packet.
    Packet(Packet<'a>),
    /// The head of a PUBLISH whose payload follows.
    Start {
        /// The message, with an empty payload.
        head: Publish<'a>,
        /// How long the payload is, in bytes.
        payload_len: u32,
    },
    /// The next bytes of the payload: never none.
    Chunk(&'a [u8]),
    /// The payload is complete.
    End,
}

/// Takes packets from a stream, large PUBLISH packets piece by piece.
///
/// A PUBLISH of more than `above` bytes, by its length alone, comes as [`Piece::Start`], chunks,
/// and [`Piece::End`]. Everything else comes whole. It holds a count and nothing else; the bytes
/// stay with the caller.
///
/// ```
/// use tamtam_core::{Piece, Pieces, Sender, Version};
///
/// let mut pieces = Pieces::new(Version::V311, Sender::Server, 8);
/// let mut input: &[u8] = b"\x30\x0C\x00\x03a/bhel";
/// assert!(matches!(pieces.next(&mut input)?, Some(Piece::Start { payload_len: 7, .. })));
/// assert_eq!(pieces.next(&mut input)?, Some(Piece::Chunk(b"hel")));
/// assert_eq!(pieces.next(&mut input)?, None);
/// input = b"lo, ";
/// assert_eq!(pieces.next(&mut input)?, Some(Piece::Chunk(b"lo, ")));
/// assert_eq!(pieces.next(&mut input)?, Some(Piece::End));
/// # Ok::<(), tamtam_core::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pieces {
    version: Version,
    sender: Sender,
    above: usize,
    /// How much of a payload is still to come.
    left: Option<u32>,
}

impl Pieces {
    /// A stream at its beginning.
    #[must_use]
    pub const fn new(version: Version, sender: Sender, above: usize) -> Self {
        Self { version, sender, above, left: None }
    }

    /// The same stream, where `left` bytes of a payload are still to come.
    pub(crate) const fn within(mut self, left: Option<u32>) -> Self {
        self.left = left;
        self
    }

    /// How much of a payload is still to come.
    pub(crate) const fn left(&self) -> Option<u32> {
        self.left
    }

    /// Whether the next bytes belong to a payload.
    #[must_use]
    pub const fn within_payload(&self) -> bool {
        self.left.is_some()
    }

    /// Whether a piece of a message comes next, and no whole packet.
    pub(crate) fn has_piece(&self, input: &[u8]) -> bool {
        self.left.is_some()
            || matches!(FixedHeader::read(input), Ok(Some(header)) if self.is_large(header))
    }

    fn is_large(&self, header: FixedHeader) -> bool {
        header.packet() == PacketType::Publish && header.frame_len() > self.above
    }

    /// The next piece in `input`, which is moved behind it; `None` if more bytes are needed.
    ///
    /// # Errors
    /// As [`Packet::decode`].
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Piece<'a>>, DecodeError> {
        if let Some(left) = self.left {
            return Ok(self.next_chunk(left, input));
        }
        if let Ok(Some(header)) = FixedHeader::read(input)
            && self.is_large(header)
        {
            return self.start(header, input);
        }
        Ok(Packet::decode(input, self.version, self.sender)?.map(Piece::Packet))
    }

    fn next_chunk<'a>(&mut self, left: u32, input: &mut &'a [u8]) -> Option<Piece<'a>> {
        if left == 0 {
            self.left = None;
            return Some(Piece::End);
        }
        let wanted = input.len().min(left as usize);
        let (chunk, rest) = input.split_at_checked(wanted)?;
        if chunk.is_empty() {
            return None;
        }
        *input = rest;
        self.left = Some(left.saturating_sub(u32::try_from(wanted).unwrap_or(left)));
        Some(Piece::Chunk(chunk))
    }

    fn start<'a>(
        &mut self,
        header: FixedHeader,
        input: &mut &'a [u8],
    ) -> Result<Option<Piece<'a>>, DecodeError> {
        if let Err(sin) = header.check(self.version, self.sender) {
            return Err(header_error(input, sin, Field::PacketType, self.version));
        }
        let here = input.get(header.len..).unwrap_or_default();
        let body = here.get(..header.remaining).unwrap_or(here);
        let mut cursor = Cursor::new(body);
        match Publish::read_head(header.first, &mut cursor, self.version, self.sender) {
            Some(head) => {
                let head_len = body.len().saturating_sub(cursor.left());
                let payload_len = header.remaining.saturating_sub(head_len);
                let payload_len = u32::try_from(payload_len).unwrap_or(u32::MAX);
                self.left = Some(payload_len);
                *input = here.get(head_len..).unwrap_or_default();
                Ok(Some(Piece::Start { head, payload_len }))
            }
            // What runs past the bytes that are here may be whole once the others are.
            None => self.stop(header, body.len(), cursor.error()),
        }
    }

    /// The head is wrong, or not all here: `here` bytes are, behind the header.
    fn stop<'a>(
        &self,
        header: FixedHeader,
        here: usize,
        found: Found,
    ) -> Result<Option<Piece<'a>>, DecodeError> {
        if found.sin == Sin::Truncated && here < header.remaining {
            return Ok(None);
        }
        let offset = header.len.saturating_add(here).saturating_sub(found.left);
        Err(DecodeError {
            sin: found.sin,
            field: found.field,
            packet: PacketType::Publish,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            version: self.version,
        })
    }
}
