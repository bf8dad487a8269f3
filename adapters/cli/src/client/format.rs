//! How received messages are printed: as they are, with their topic, as JSON, or by a format of
//! mosquitto's: `%` and a letter for what the message is, `@` and a letter for the time, `\\` and a
//! letter for what is hard to type.

use std::fmt::Write as _;

use jiff::Zoned;
use jiff::fmt::strtime;
use tamtam_core::client::Message;
use tamtam_core::{Properties, TopicName};

use super::json;
use super::properties::digit;

/// A message, with its topic at hand, and when it came.
#[derive(Clone, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) topic: TopicName<'a>,
    pub(crate) message: &'a Message<'a>,
    pub(crate) time: Zoned,
}

impl<'a> Shown<'a> {
    /// One that came just now.
    pub(crate) fn now(topic: TopicName<'a>, message: &'a Message<'a>) -> Self {
        Self { topic, message, time: Zoned::now() }
    }
}

/// How to print it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The payload.
    Payload,
    /// Topic, a blank, the payload.
    Verbose,
    /// An object in JSON.
    Json,
    /// A text with what is to be replaced in it, in pieces.
    Pieces(Vec<Piece>),
}

/// A part of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Vec<u8>),
    /// What stands behind a `%`.
    Field(Field),
    /// What stands behind an `@`, as `strftime` has it.
    Time(char),
    /// `@N`: the nanoseconds of the second.
    Nanos,
}

/// `%`, perhaps flags and widths, and a letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Field {
    letter: char,
    /// `-`: to the left of its width.
    left: bool,
    /// `0`: numbers begin with zeros.
    zeros: bool,
    /// At least so wide, in bytes.
    width: usize,
    /// At most so wide, in bytes.
    most: Option<usize>,
}

/// What may stand behind a `%`, and what of it may have a width.
const FIELDS: &str = "ACDEFIJPRSUXjlmpqrtx";
const WIDE: &str = "ACEFIRSXlmptx";
/// What is cut off at a greatest width, and what is filled with zeros.
const CUT: &str = "CIRt";
const ZEROS: &str = "AEFSXlmpx";
/// No field is wider than this.
const WIDTH_MAX: usize = 10_000;

type Letters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

impl Format {
    /// Reads a format.
    ///
    /// # Errors
    /// A `%`, `@` or `\\` with something behind it that means nothing.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = Vec::new();
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let piece = match letter {
                '%' if letters.next_if_eq(&'%').is_some() => {
                    plain.push(b'%');
                    continue;
                }
                '%' => Piece::Field(Field::parse(&mut letters)?),
                '@' => time(letters.next())?,
                '\\' => {
                    plain.push(escaped(letters.next())?);
                    continue;
                }
                other => {
                    plain.extend(other.to_string().bytes());
                    continue;
                }
            };
            pieces.extend([Piece::Text(std::mem::take(&mut plain)), piece]);
        }
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Self::Pieces(pieces))
    }

    /// The bytes to print, without an end of the line.
    pub(crate) fn render(&self, shown: &Shown<'_>, pretty: bool) -> Vec<u8> {
        let payload = shown.message.payload;
        match self {
            Self::Payload => payload.to_vec(),
            Self::Verbose => [shown.topic.as_str().as_bytes(), b" ", payload].concat(),
            Self::Json => json::object(shown, false, pretty).into_bytes(),
            Self::Pieces(pieces) => {
                let mut out = Vec::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => out.extend(text),
                        Piece::Field(field) => field.write(&mut out, shown, pretty),
                        Piece::Time(letter) => {
                            let text = strtime::format(format!("%{letter}"), &shown.time);
                            out.extend(text.unwrap_or_default().bytes());
                        }
                        Piece::Nanos => {
                            let nanos = shown.time.subsec_nanosecond();
                            out.extend(format!("{nanos:09}").bytes());
                        }
                    }
                }
                out
            }
        }
    }
}

/// What stands behind an `@`.
fn time(letter: Option<char>) -> Result<Piece, String> {
    let letter = letter.ok_or("-F: `@` at the end means nothing")?;
    if letter == 'N' {
        return Ok(Piece::Nanos);
    }
    let known = strtime::format(format!("%{letter}"), &Zoned::default());
    known.map_err(|_| format!("-F: `@{letter}` means nothing"))?;
    Ok(Piece::Time(letter))
}

/// What a letter behind a `\\` stands for.
fn escaped(letter: Option<char>) -> Result<u8, String> {
    Ok(match letter {
        Some('\\') => b'\\',
        Some('0') => 0,
        Some('a') => 7,
        Some('e') => 27,
        Some('n') => b'\n',
        Some('r') => b'\r',
        Some('t') => b'\t',
        Some('v') => 11,
        other => return Err(format!("-F: `\\{}", or_end(other))),
    })
}

fn or_end(letter: Option<char>) -> String {
    let letter = letter.map_or_else(|| "` at the end".to_owned(), |letter| format!("{letter}`"));
    format!("{letter} means nothing")
}

impl Field {
    /// Reads what stands behind a `%`.
    fn parse(letters: &mut Letters<'_>) -> Result<Self, String> {
        let mut field = Self::default();
        while let Some(flag) = letters.next_if(|letter| matches!(letter, '-' | '0')) {
            field.left |= flag == '-';
            field.zeros |= flag == '0';
        }
        let width = number(letters)?;
        if letters.next_if_eq(&'.').is_some() {
            field.most = Some(number(letters)?.unwrap_or_default());
        }
        field.width = width.unwrap_or_default();
        let letter = letters.next();
        field.letter = letter
            .filter(|letter| FIELDS.contains(*letter))
            .ok_or_else(|| format!("-F: `%{}", or_end(letter)))?;
        let has_flags = field.left || field.zeros || width.is_some() || field.most.is_some();
        if has_flags && !WIDE.contains(field.letter) {
            return Err(format!("-F: `%{}` has no width", field.letter));
        }
        Ok(field)
    }

    fn write(self, out: &mut Vec<u8>, shown: &Shown<'_>, pretty: bool) {
        let mut value = match self.letter {
            'p' => shown.message.payload.to_vec(),
            'j' => json::object(shown, false, pretty).into_bytes(),
            'J' => json::object(shown, true, pretty).into_bytes(),
            'D' => shown.properties().correlation_data().unwrap_or_default().to_vec(),
            letter => shown.field(letter).into_bytes(),
        };
        if let Some(most) = self.most.filter(|_| CUT.contains(self.letter)) {
            value.truncate(most);
        }
        let blanks = self.width.saturating_sub(value.len());
        let zeros = self.zeros && !self.left && ZEROS.contains(self.letter);
        let fill = std::iter::repeat_n(if zeros { b'0' } else { b' ' }, blanks);
        if self.left {
            out.extend(value.into_iter().chain(fill));
        } else {
            out.extend(fill.chain(value));
        }
    }
}

/// A number, if one is there.
fn number(letters: &mut Letters<'_>) -> Result<Option<usize>, String> {
    let mut digits = String::new();
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    if digits.is_empty() {
        return Ok(None);
    }
    let number = digits.parse().ok().filter(|number| *number <= WIDTH_MAX);
    number.map(Some).ok_or_else(|| format!("-F: no field is wider than {WIDTH_MAX}"))
}

impl Shown<'_> {
    pub(super) fn properties(&self) -> &Properties<'_> {
        &self.message.properties
    }

    /// The moment at which it came, as ISO 8601 has it, with so many digits behind the second.
    pub(super) fn iso(&self, fraction: &str) -> String {
        strtime::format(format!("%Y-%m-%dT%H:%M:%S{fraction}%z"), &self.time).unwrap_or_default()
    }

    fn field(&self, letter: char) -> String {
        let message = self.message;
        let properties = self.properties();
        match letter {
            't' => self.topic.as_str().to_owned(),
            'q' => digit(message.qos).to_string(),
            'r' => u8::from(message.retain).to_string(),
            'l' => message.payload.len().to_string(),
            'm' => message.ack.packet_id().map_or(0, tamtam_core::PacketId::get).to_string(),
            'x' => hex(message.payload),
            'X' => hex(message.payload).to_uppercase(),
            'I' => self.iso(""),
            'U' => {
                let since = self.time.timestamp();
                format!("{}.{:09}", since.as_second(), since.subsec_nanosecond())
            }
            'C' => properties.content_type().map_or("", |text| text.as_str()).to_owned(),
            'E' => or_empty(properties.message_expiry_interval()),
            'F' => or_empty(properties.payload_format_indicator().map(u8::from)),
            'R' => properties.response_topic().map_or("", |topic| topic.as_str()).to_owned(),
            'P' => {
                let each = properties.user_properties();
                let each =
                    each.map(|(name, value)| format!("{}:{}", name.as_str(), value.as_str()));
                each.collect::<Vec<_>>().join(" ")
            }
            'S' => {
                let each = properties.subscription_identifiers().map(|id| id.get().to_string());
                each.collect::<Vec<_>>().join(",")
            }
            _ => or_empty(properties.topic_alias().map(|alias| alias.get())),
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn or_empty(number: Option<impl ToString>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_in_pieces() {
        let text = |text: &str| Piece::Text(text.as_bytes().to_vec());
        let field = |letter| Piece::Field(Field { letter, ..Field::default() });
        assert_eq!(
            Format::parse(r"%t 100%%\n%p"),
            Ok(Format::Pieces(vec![field('t'), text(" 100%\n"), field('p')]))
        );
        let wide = Field { letter: 'l', zeros: true, width: 6, ..Field::default() };
        let cut = Field { letter: 't', left: true, width: 9, most: Some(3), ..Field::default() };
        assert_eq!(
            Format::parse("%06l|%-9.3t@H@N"),
            Ok(Format::Pieces(vec![
                Piece::Field(wide),
                text("|"),
                Piece::Field(cut),
                Piece::Time('H'),
                Piece::Nanos,
            ]))
        );
        for (wrong, why) in [
            ("%y", "-F: `%y` means nothing"),
            ("50%", "-F: `%` at the end means nothing"),
            (r"\q", r"-F: `\q` means nothing"),
            ("@?", "-F: `@?` means nothing"),
            ("at @", "-F: `@` at the end means nothing"),
            ("%5q", "-F: `%q` has no width"),
            ("%99999t", "-F: no field is wider than 10000"),
        ] {
            assert_eq!(Format::parse(wrong), Err(why.to_owned()), "{wrong}");
        }
    }
}
