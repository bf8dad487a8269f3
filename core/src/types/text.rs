//! UTF-8 as MQTT allows it, checked in one pass and kept as a view.
//!
//! A [`Text`] holds bytes that were checked, not a `&str`: the standard library's own check costs
//! several times as many instructions on short strings as the whole packet around them, and a crate
//! without `unsafe` can't skip it. The machines compare and copy bytes; whoever wants a `&str`
//! asks.

use core::fmt;

/// What a string holds that MQTT forbids, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// More bytes than a two-byte length can say.
    #[error("{length} bytes are more than the 65,535 that a string may have")]
    TooLong {
        /// How long it is, in bytes.
        length: usize,
    },
    /// Not UTF-8, or a surrogate [MQTT5-1.5.4-1, MQTT3-1.5.3-1].
    #[error("ill-formed UTF-8 at byte {at}")]
    IllFormed {
        /// Where the first bad sequence begins, in bytes.
        at: usize,
    },
    /// U+0000 [MQTT5-1.5.4-2, MQTT3-1.5.3-2].
    #[error("U+0000 at byte {at}")]
    Null {
        /// Where it stands, in bytes.
        at: usize,
    },
}

/// A UTF-8 encoded string of at most 65,535 bytes without U+0000.
///
/// U+FEFF is a character like any other and stays where it is [MQTT5-1.5.4-3, MQTT3-1.5.3-3].
///
/// ```
/// use tamtam_core::{Text, TextError};
///
/// let text = Text::new("température")?;
/// assert_eq!(text, "température");
/// assert_eq!(Text::new("a\0b"), Err(TextError::Null { at: 1 }));
/// # Ok::<(), TextError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// The longest string, in bytes.
    pub const MAX_LEN: usize = 65_535;
    /// The string without characters.
    pub const EMPTY: Self = Self(&[]);

    /// `text`, if MQTT can carry it.
    ///
    /// # Errors
    /// Over-long, or with a U+0000 in it.
    pub const fn new(text: &'a str) -> Result<Self, TextError> {
        Self::of_characters(text.as_bytes())
    }

    /// UTF-8, if MQTT can carry it.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    const fn of_characters(bytes: &'a [u8]) -> Result<Self, TextError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(TextError::TooLong { length: bytes.len() });
        }
        match find_null(bytes) {
            None => Ok(Self(bytes)),
            Some(at) => Err(TextError::Null { at }),
        }
    }

    /// `bytes`, if they are UTF-8 that MQTT can carry.
    ///
    /// # Errors
    /// Over-long, ill-formed, or with a U+0000 in it.
    #[inline]
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, TextError> {
        // Where flash is dear the way of all others is short enough.
        if cfg!(feature = "alloc") && bytes.len() <= Self::MAX_LEN && scan_text(bytes) {
            return Ok(Self(bytes)); // short, ASCII, no null: all but a few
        }
        Self::from_unusual_bytes(bytes)
    }

    #[cold]
    fn from_unusual_bytes(bytes: &'a [u8]) -> Result<Self, TextError> {
        if cfg!(not(feature = "alloc")) {
            return Self::from_any_bytes(bytes);
        }
        match core::str::from_utf8(bytes) {
            Ok(text) => Self::new(text),
            Err(error) => Err(TextError::IllFormed { at: error.valid_up_to() }),
        }
    }

    /// The same where flash is dear: what `core` has brings a table of 256 bytes along.
    pub(super) fn from_any_bytes(bytes: &'a [u8]) -> Result<Self, TextError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match skip_character(rest) {
                Some(rest) => rest,
                None => {
                    let at = bytes.len().wrapping_sub(rest.len());
                    return Err(TextError::IllFormed { at });
                }
            };
        }
        Self::of_characters(bytes)
    }

    /// Bytes of which another value of this crate vouches that they passed a check.
    pub(crate) const fn trusted(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The string's bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The string as `&str`.
    ///
    /// Costs a pass over it: the bytes were checked already, but only `unsafe` could tell the
    /// compiler.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        core::str::from_utf8(self.0).unwrap_or_default()
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Whether it has no characters.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl<'a> TryFrom<&'a str> for Text<'a> {
    type Error = TextError;

    fn try_from(text: &'a str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

/// What is behind the first character, if that is well-formed: neither longer than it need be, nor
/// a surrogate, nor above U+10FFFF.
#[inline]
fn skip_character(bytes: &[u8]) -> Option<&[u8]> {
    let (first, behind) = bytes.split_first()?;
    let ones = first.leading_ones();
    if ones == 1 {
        return None; // goes on with a character that did not begin
    }
    let (others, rest) = behind.split_at_checked(ones.saturating_sub(1) as usize)?;
    let mut number = u32::from(first & 0x7F_u32.wrapping_shr(ones) as u8);
    for byte in others {
        if byte & 0xC0 != 0x80 {
            return None;
        }
        number = number << 6 | u32::from(byte & 0x3F);
    }
    let is_shortest = char::from_u32(number)?.len_utf8() == others.len().wrapping_add(1);
    if is_shortest { Some(rest) } else { None }
}

const fn find_null(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        if *first == 0 {
            return Some(bytes.len().saturating_sub(rest.len()));
        }
        rest = tail;
    }
    None
}

/// Whether `bytes` are ASCII without U+0000: a string like nearly all.
#[inline(always)]
pub(crate) fn scan_text(bytes: &[u8]) -> bool {
    scan(bytes, 1)
}

/// Whether `bytes` are ASCII from the comma on: letters, digits, `-`, `.`, `/`, `_`, so a topic
/// name like nearly all. `+`, `#` and U+0000 stand before the comma, but so do space and `$`.
#[inline(always)]
pub(crate) fn scan_topic(bytes: &[u8]) -> bool {
    scan(bytes, b',')
}

type Word = usize;
const WORD: usize = size_of::<Word>();
const ONES: Word = Word::MAX / 0xFF;
const HIGH: Word = ONES << 7;

/// Its high bits are clear if every byte is ASCII and at least `least`, which is below 0x80.
///
/// The first byte below `least` borrows from its own high bit; what it does to its neighbours does
/// not matter then.
#[inline(always)]
const fn unusual(word: [u8; WORD], least: u8) -> Word {
    let word = Word::from_ne_bytes(word);
    word | word.wrapping_sub(ONES.wrapping_mul(least as Word))
}

/// A word at a time; the last word overlaps the one before it.
#[inline(always)]
fn scan(bytes: &[u8], least: u8) -> bool {
    let Some(last) = bytes.last_chunk::<WORD>() else {
        return unusual(short_word(bytes), least) & HIGH == 0;
    };
    for word in bytes.as_chunks::<WORD>().0 {
        if unusual(*word, least) & HIGH != 0 {
            return false;
        }
    }
    unusual(*last, least) & HIGH == 0
}

/// Fewer bytes than a word, repeated until they fill one; a plain letter for none.
#[inline]
fn short_word(bytes: &[u8]) -> [u8; WORD] {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let wide =
            u64::from(u32::from_ne_bytes(*first)) << 32 | u64::from(u32::from_ne_bytes(*last));
        return (wide as Word).to_ne_bytes();
    }
    let mut word = ONES * 0x61;
    for byte in bytes {
        word = word << 8 | *byte as Word;
    }
    word.to_ne_bytes()
}
