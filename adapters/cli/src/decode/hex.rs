//! Hex as people write it: digits with spaces, line ends, colons, commas or `0x` between them.

use std::fmt;

/// Turns hex digits into bytes, piece of text by piece of text.
#[derive(Debug, Default)]
pub(crate) struct Hex {
    bytes: Vec<u8>,
    /// The first digit of a byte whose second is still to come.
    half: Option<u8>,
}

/// Why a text is not hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HexError {
    /// Something else stands in it.
    NotADigit {
        /// What.
        found: char,
        /// Where, in bytes from the beginning of the text, the first of which is 1.
        at: usize,
    },
    /// A byte has one digit only.
    HalfAByte {
        /// How many digits there are up to there.
        digits: usize,
    },
}

impl fmt::Display for HexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADigit { found, at } => {
                write!(f, "{found:?} at character {at} is not a hex digit")
            }
            Self::HalfAByte { digits } => {
                write!(f, "an odd number of hex digits ({digits}): each byte takes two")
            }
        }
    }
}

impl Hex {
    /// Takes the digits of `text`.
    pub(crate) fn push(&mut self, text: &[u8]) -> Result<(), HexError> {
        let mut rest = text;
        while let [first, tail @ ..] = rest {
            rest = match (first, tail) {
                (b'0', [b'x' | b'X', behind @ ..]) => {
                    self.finish()?;
                    behind
                }
                _ if is_separator(*first) => tail,
                _ => {
                    let Some(digit) = (*first as char).to_digit(16) else {
                        let at = text.len().saturating_sub(tail.len());
                        return Err(HexError::NotADigit { found: first_char(rest), at });
                    };
                    self.push_digit(digit as u8);
                    tail
                }
            };
        }
        Ok(())
    }

    /// Takes one digit, 0 to 15.
    fn push_digit(&mut self, digit: u8) {
        match self.half.take() {
            None => self.half = Some(digit),
            Some(high) => self.bytes.push(high << 4 | digit),
        }
    }

    /// That no byte is half here.
    fn finish(&self) -> Result<(), HexError> {
        match self.half {
            None => Ok(()),
            Some(_) => {
                let digits = self.bytes.len().saturating_mul(2).saturating_add(1);
                Err(HexError::HalfAByte { digits })
            }
        }
    }

    /// The bytes of all the text.
    pub(crate) fn bytes(&self) -> Result<&[u8], HexError> {
        self.finish()?;
        Ok(&self.bytes)
    }

    /// The bytes of all the text, to keep.
    pub(crate) fn into_bytes(self) -> Result<Vec<u8>, HexError> {
        self.finish()?;
        Ok(self.bytes)
    }

    /// Begins again with the same memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.half = None;
    }
}

/// Whether `byte` may stand between digits.
const fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b':' | b',')
}

/// The character that begins `text`, for an error.
fn first_char(text: &[u8]) -> char {
    let start = text.get(..text.len().min(4)).unwrap_or_default();
    String::from_utf8_lossy(start).chars().next().unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Whether `input` can only be meant as text: printable ASCII and white space.
///
/// Packets on the wire always hold other bytes: a PUBLISH without any would have a topic of 2,313
/// bytes at least in a length of 126 at most.
pub(crate) fn looks_like_text(input: &[u8]) -> bool {
    input.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
}
