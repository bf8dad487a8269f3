//! How received messages are printed: as they are, with their topic, by a format of mosquitto's, or
//! as JSON.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use tamtam_core::client::Message;
use tamtam_core::{Properties, TopicName};

use super::properties::digit;

/// A message, with its topic at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) topic: TopicName<'a>,
    pub(crate) message: &'a Message<'a>,
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
    /// A text with `%` and `\` in it, in pieces.
    Pieces(Vec<Piece>),
}

/// A part of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Vec<u8>),
    Field(char),
}

/// What may stand behind a `%`.
const FIELDS: &str = "ACDEFIJPRSUXjlmpqrtx";

impl Format {
    /// Reads a format.
    ///
    /// # Errors
    /// A `%` or a `\` with something behind it that means nothing.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = Vec::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match (letter, letter == '%' || letter == '\\') {
                (_, false) => plain.extend(letter.to_string().bytes()),
                ('%', _) => match letters.next() {
                    Some('%') => plain.push(b'%'),
                    Some(field) if FIELDS.contains(field) => {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                        pieces.push(Piece::Field(field));
                    }
                    other => return Err(format!("-F: %{} means nothing", or_end(other))),
                },
                _ => match letters.next() {
                    Some('\\') => plain.push(b'\\'),
                    Some('0') => plain.push(0),
                    Some('a') => plain.push(7),
                    Some('e') => plain.push(27),
                    Some('n') => plain.push(b'\n'),
                    Some('r') => plain.push(b'\r'),
                    Some('t') => plain.push(b'\t'),
                    Some('v') => plain.push(11),
                    other => return Err(format!("-F: \\{} means nothing", or_end(other))),
                },
            }
        }
        pieces.push(Piece::Text(plain));
        Ok(Self::Pieces(pieces))
    }

    /// The bytes to print, without an end of the line.
    pub(crate) fn render(&self, shown: &Shown<'_>) -> Vec<u8> {
        let payload = shown.message.payload;
        match self {
            Self::Payload => payload.to_vec(),
            Self::Verbose => [shown.topic.as_str().as_bytes(), b" ", payload].concat(),
            Self::Json => shown.json(false).into_bytes(),
            Self::Pieces(pieces) => {
                let mut out = Vec::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => out.extend(text),
                        Piece::Field('p') => out.extend(payload),
                        Piece::Field(field) => out.extend(shown.field(*field).bytes()),
                    }
                }
                out
            }
        }
    }
}

fn or_end(letter: Option<char>) -> String {
    letter.map_or_else(|| " at the end".to_owned(), String::from)
}

impl Shown<'_> {
    fn properties(&self) -> &Properties<'_> {
        &self.message.properties
    }

    fn field(&self, field: char) -> String {
        let message = self.message;
        let properties = self.properties();
        match field {
            't' => self.topic.as_str().to_owned(),
            'q' => digit(message.qos).to_string(),
            'r' => u8::from(message.retain).to_string(),
            'l' => message.payload.len().to_string(),
            'x' => hex(message.payload),
            'X' => hex(message.payload).to_uppercase(),
            'I' => iso(SystemTime::now()),
            'U' => unix(SystemTime::now()),
            'j' => self.json(false),
            'J' => self.json(true),
            'C' => properties.content_type().map_or("", |text| text.as_str()).to_owned(),
            'D' => {
                let data = properties.correlation_data().unwrap_or_default();
                String::from_utf8_lossy(data).into_owned()
            }
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
            'A' => or_empty(properties.topic_alias().map(|alias| alias.get())),
            // Packet identifiers are no business of an application's.
            _ => "0".to_owned(),
        }
    }

    /// As an object; its payload a string, or what it is in JSON itself.
    fn json(&self, payload_is_json: bool) -> String {
        let message = self.message;
        let properties = self.properties();
        let mut text = format!(
            "{{\"tst\":{},\"topic\":{},\"qos\":{},\"retain\":{},\"payloadlen\":{}",
            quoted(&iso(SystemTime::now())),
            quoted(self.topic.as_str()),
            digit(message.qos),
            u8::from(message.retain),
            message.payload.len()
        );
        if !properties.is_empty() {
            text.push_str(",\"properties\":");
            text.push_str(&json_properties(properties));
        }
        let payload = String::from_utf8_lossy(message.payload);
        match std::str::from_utf8(message.payload) {
            Err(_) => {
                // What is no text would be damaged as one.
                let _ = write!(text, ",\"payload_hex\":\"{}\"", hex(message.payload));
            }
            Ok(json) if payload_is_json && is_json(json) => {
                let _ = write!(text, ",\"payload\":{}", json.trim());
            }
            Ok(_) => {
                let _ = write!(text, ",\"payload\":{}", quoted(&payload));
            }
        }
        text.push('}');
        text
    }
}

fn json_properties(properties: &Properties<'_>) -> String {
    let mut fields = Vec::new();
    if let Some(is_text) = properties.payload_format_indicator() {
        fields.push(format!("\"payload-format-indicator\":{}", u8::from(is_text)));
    }
    if let Some(secs) = properties.message_expiry_interval() {
        fields.push(format!("\"message-expiry-interval\":{secs}"));
    }
    if let Some(text) = properties.content_type() {
        fields.push(format!("\"content-type\":{}", quoted(text.as_str())));
    }
    if let Some(topic) = properties.response_topic() {
        fields.push(format!("\"response-topic\":{}", quoted(topic.as_str())));
    }
    if let Some(data) = properties.correlation_data() {
        fields.push(format!("\"correlation-data\":{}", quoted(&String::from_utf8_lossy(data))));
    }
    let user: Vec<String> = properties
        .user_properties()
        .map(|(name, value)| format!("{{{}:{}}}", quoted(name.as_str()), quoted(value.as_str())))
        .collect();
    if !user.is_empty() {
        fields.push(format!("\"user-properties\":[{}]", user.join(",")));
    }
    format!("{{{}}}", fields.join(","))
}

/// Whether a text may stand where JSON wants a value.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// A text as JSON has it.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn or_empty(number: Option<impl ToString>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

/// Seconds since 1970, with nine digits behind the point.
fn unix(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}", since.as_secs(), since.subsec_nanos())
}

/// As ISO 8601 has it, in universal time.
pub(crate) fn iso(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, secs) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (secs / 3_600, secs / 60 % 60, secs % 60);
    let micros = since.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Year, month and day of a day since 1970; years begin in March, so that the odd day is the last.
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + if month <= 2 { 1 } else { 0 }, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn formats_are_read_in_pieces() {
        let text = |text: &str| Piece::Text(text.as_bytes().to_vec());
        let pieces =
            vec![text(""), Piece::Field('t'), text(" 100%\n"), Piece::Field('p'), text("")];
        assert_eq!(Format::parse(r"%t 100%%\n%p"), Ok(Format::Pieces(pieces)));
        assert_eq!(Format::parse("%y"), Err("-F: %y means nothing".to_owned()));
        assert_eq!(Format::parse("50%"), Err("-F: % at the end means nothing".to_owned()));
        assert_eq!(Format::parse(r"\q"), Err(r"-F: \q means nothing".to_owned()));
    }

    #[test]
    fn days_have_names() {
        for (secs, shown) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_868_799, "2000-02-29T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (1_795_478_400, "2026-11-24T00:00:00.000000Z"),
        ] {
            assert_eq!(iso(UNIX_EPOCH + Duration::from_secs(secs)), shown);
        }
    }
}
