//! Bytes in print: quoted where they are text, in rows of hex where not, cut where they are long.

use std::io::{self, Write};

/// How many bytes of a long value are shown without `--all`.
const SHOWN: usize = 256;
/// How many bytes a row of hex has.
const ROW: usize = 16;

/// How much of a value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    All,
    /// Its beginning.
    Beginning,
}

impl Extent {
    /// How many of `len` bytes.
    fn of(self, len: usize) -> usize {
        match self {
            Self::All => len,
            Self::Beginning => len.min(SHOWN),
        }
    }
}

/// "1 byte", "2 bytes".
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// So many bytes as the subject of a sentence.
pub(crate) fn are(bytes: usize) -> String {
    format!("{} {}", count(bytes, "byte"), if bytes == 1 { "is" } else { "are" })
}

/// `bytes` as text, if a person would read them as such.
pub(crate) fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = str::from_utf8(bytes).ok()?;
    let is_plain = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    text.chars().all(is_plain).then_some(text)
}

/// `text` in quotes, with escapes for what does not print.
pub(crate) fn quoted(text: &str, extent: Extent) -> String {
    let start = text.floor_char_boundary(extent.of(text.len()));
    let shown = text.get(..start).unwrap_or(text);
    format!("{shown:?}{}", rest_note(shown.len(), text.len()))
}

/// What is not shown, if something is not.
fn rest_note(shown: usize, len: usize) -> String {
    if shown == len {
        return String::new();
    }
    format!(".. (the first {shown} of {len} bytes; --all shows all)")
}

/// Rows of hex and ASCII, each with the offset of its first byte; `offset` is that of `bytes`.
pub(crate) fn write_rows(
    out: &mut impl Write,
    indent: &str,
    offset: usize,
    bytes: &[u8],
    extent: Extent,
) -> io::Result<()> {
    let shown = bytes.get(..extent.of(bytes.len())).unwrap_or(bytes);
    let width = digits(offset.saturating_add(shown.len()));
    for (at, row) in (offset..).step_by(ROW).zip(shown.chunks(ROW)) {
        write!(out, "{indent}{at:>width$}  ")?;
        write_row(out, row)?;
    }
    match rest_note(shown.len(), bytes.len()) {
        note if note.is_empty() => Ok(()),
        note => writeln!(out, "{indent}{note}"),
    }
}

/// One row without its offset.
pub(crate) fn write_row(out: &mut impl Write, row: &[u8]) -> io::Result<()> {
    let width = ROW.saturating_mul(3);
    write!(out, "{:<width$} |", hex(row))?;
    for byte in row {
        let c = if byte.is_ascii_graphic() || *byte == b' ' { *byte as char } else { '.' };
        write!(out, "{c}")?;
    }
    writeln!(out, "|")
}

/// `bytes` in hex with spaces between.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(" ")
}

/// How many characters `number` takes.
pub(crate) fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}
