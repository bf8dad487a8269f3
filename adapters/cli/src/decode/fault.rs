//! What is wrong with a packet: the words, the bytes, and what to try.

use std::io::{self, Write};
use std::ops::Range;

use tamtam_core::{
    DecodeError, Fault, FilterError, Sender, Sin, Text, TextError, TopicError, TopicFilter,
    TopicName, Version,
};

use super::print::side;
use super::quote::{count, digits, write_row};
use super::stream::{Frame, Step, Stream};

/// How many bytes a row has.
const ROW: usize = 16;
/// How many rows are shown, from the one before the field, or the two before what is to blame.
const ROWS: usize = 4;

/// The bytes that are wrong, in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    /// The field.
    field: Range<usize>,
    /// The byte within it, where one alone is to blame; else the field again.
    blame: Range<usize>,
}

/// Writes the error, marks its bytes, and says what follows from it.
pub(crate) fn write(
    out: &mut impl Write,
    input: &[u8],
    frame: Frame<'_>,
    error: &DecodeError,
) -> io::Result<()> {
    let mark = mark(input, frame, error);
    write_marked(out, frame, &mark)?;
    writeln!(out, "{}: {error}", fault_words(error))?;
    if error.version.is_v5() {
        writeln!(out, "answer: reason code {}", error.reason_code())?;
    } else {
        writeln!(out, "answer: the connection is closed")?;
    }
    let unread = input.len().saturating_sub(frame.offset).saturating_sub(frame.bytes.len());
    if unread > 0 {
        writeln!(out, "not read: {} behind this packet", count(unread, "byte"))?;
    }
    match hint(input, frame) {
        Some(hint) => writeln!(out, "hint: {hint}"),
        None => Ok(()),
    }
}

/// The fault as a heading.
const fn fault_words(error: &DecodeError) -> &'static str {
    match error.fault() {
        Fault::Malformed => "malformed",
        Fault::ProtocolError => "protocol error",
    }
}

/// With which options all of the input would be valid, if with any: it may come from the other side
/// or speak another version.
fn hint(input: &[u8], frame: Frame<'_>) -> Option<String> {
    let other = if frame.sender == Sender::Client { Sender::Server } else { Sender::Client };
    for sender in [frame.sender, other] {
        for version in Version::ALL.iter().rev().copied() {
            let mut steps = Stream::new(input, Some(version), Some(sender));
            if !steps.any(|step| matches!(step, Step::Wrong(..))) {
                return Some(format!(
                    "no such error in MQTT {version} from {}: --mqtt {version} --from {}",
                    side(sender),
                    if sender == Sender::Client { "client" } else { "server" },
                ));
            }
        }
    }
    None
}

/// Which bytes are to blame, as far as the error tells.
fn mark(input: &[u8], frame: Frame<'_>, error: &DecodeError) -> Mark {
    let end = frame.offset.saturating_add(frame.bytes.len());
    let start = (error.offset as usize).min(end);
    let bytes = input.get(start..end).unwrap_or_default();
    let (len, blame) = match error.sin {
        Sin::Truncated | Sin::TrailingBytes => (bytes.len(), None),
        Sin::LengthTooLong | Sin::LengthNotMinimal => (var_int_width(bytes), None),
        Sin::PacketIdZero | Sin::TopicAliasZero => (2, None),
        _ => match text_behind_length(bytes).and_then(|text| bad_byte(error.sin, text)) {
            Some((len, at)) => (len.saturating_add(2), at.map(|at| at.saturating_add(2))),
            None => (1, None),
        },
    };
    let field = start..start.saturating_add(len).min(end);
    let blame = match blame {
        Some(at) => start.saturating_add(at)..start.saturating_add(at).saturating_add(1),
        None => field.clone(),
    };
    Mark { field, blame }
}

/// How long the variable byte integer is, five bytes for one that is too long.
fn var_int_width(bytes: &[u8]) -> usize {
    bytes.iter().take(4).take_while(|byte| **byte & 0x80 != 0).count().saturating_add(1)
}

/// A string or binary value with its length in front.
fn text_behind_length(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.get(..u16::from_be_bytes(*len) as usize)
}

/// If the sin is one of texts: how long the text is, and which byte of it is wrong.
fn bad_byte(sin: Sin, text: &[u8]) -> Option<(usize, Option<usize>)> {
    let at = match sin {
        Sin::IllFormedText | Sin::NullInText => match Text::from_bytes(text) {
            Err(TextError::IllFormed { at } | TextError::Null { at }) => at,
            _ => return None,
        },
        Sin::WildcardInTopic | Sin::WildcardInResponseTopic => match TopicName::from_bytes(text) {
            Err(TopicError::Wildcard { at }) => at,
            _ => return None,
        },
        Sin::MultiLevelWildcard | Sin::SingleLevelWildcard => match TopicFilter::from_bytes(text) {
            Err(FilterError::MultiLevel { at } | FilterError::SingleLevel { at }) => at,
            _ => return None,
        },
        Sin::ShareName | Sin::ShareWithoutFilter | Sin::EmptyTopic => {
            return Some((text.len(), None));
        }
        _ => return None,
    };
    Some((text.len(), Some(at)))
}

/// The rows around the mark, with a line of marks below.
fn write_marked(out: &mut impl Write, frame: Frame<'_>, mark: &Mark) -> io::Result<()> {
    let end = frame.offset.saturating_add(frame.bytes.len());
    let width = digits(end);
    let row_of = |at: usize| at.saturating_sub(frame.offset) / ROW;
    let before_field = row_of(mark.field.start).saturating_sub(1);
    let before_blame = row_of(mark.blame.start).saturating_sub(2);
    let skipped = before_field.max(before_blame).saturating_mul(ROW);
    let rows = frame.bytes.get(skipped..).unwrap_or_default().chunks(ROW).take(ROWS);
    let start = frame.offset.saturating_add(skipped);
    for (at, row) in (start..).step_by(ROW).zip(rows) {
        write!(out, "  {at:>width$}  ")?;
        write_row(out, row)?;
        // A field that is missing at the end of the packet has its mark behind the bytes.
        let behind = at.saturating_add(row.len());
        let stop = behind.saturating_add(usize::from(behind == end));
        let marks = (at..stop).map(|byte| mark.of(byte, end)).collect::<Vec<_>>().join(" ");
        if !marks.trim_ascii().is_empty() {
            writeln!(out, "  {:>width$}  {}", "", marks.trim_ascii_end())?;
        }
    }
    Ok(())
}

impl Mark {
    /// What stands below the byte at this offset; `end` is the end of the packet.
    fn of(&self, byte: usize, end: usize) -> &'static str {
        let is_missing = self.field.is_empty() && byte == end && self.field.start == end;
        if self.blame.contains(&byte) || is_missing {
            "^^"
        } else if self.field.contains(&byte) {
            "~~"
        } else {
            "  "
        }
    }
}
