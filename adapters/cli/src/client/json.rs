//! Received messages as objects in JSON, with the keys that mosquitto's tools give them.

use std::fmt::Write as _;

use tamtam_core::Properties;

use super::format::{Shown, hex};
use super::properties::digit;

/// As an object; its payload a string, or what it is in JSON itself. `pretty`: over many lines.
pub(super) fn object(shown: &Shown<'_>, payload_is_json: bool, pretty: bool) -> String {
    let message = shown.message;
    let properties = shown.properties();
    let mut text = format!(
        "{{\"tst\":{},\"topic\":{},\"qos\":{},\"retain\":{},\"payloadlen\":{}",
        quoted(&shown.iso(".%6f")),
        quoted(shown.topic.as_str()),
        digit(message.qos),
        u8::from(message.retain),
        message.payload.len()
    );
    if let Some(id) = message.ack.packet_id() {
        let _ = write!(text, ",\"mid\":{id}");
    }
    if !properties.is_empty() {
        text.push_str(",\"properties\":");
        text.push_str(&json_properties(properties));
    }
    match std::str::from_utf8(message.payload) {
        Err(_) => {
            // What is no text would be damaged as one.
            let _ = write!(text, ",\"payload_hex\":\"{}\"", hex(message.payload));
        }
        Ok(json) if payload_is_json && is_json(json) => {
            let _ = write!(text, ",\"payload\":{}", json.trim());
        }
        Ok(payload) => {
            let _ = write!(text, ",\"payload\":{}", quoted(payload));
        }
    }
    text.push('}');
    if pretty { indented(&text) } else { text }
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
    // A key that comes twice is there twice, in their order.
    let user: Vec<String> = properties
        .user_properties()
        .map(|(name, value)| format!("{}:{}", quoted(name.as_str()), quoted(value.as_str())))
        .collect();
    if !user.is_empty() {
        fields.push(format!("\"user-properties\":{{{}}}", user.join(",")));
    }
    format!("{{{}}}", fields.join(","))
}

/// Whether a text may stand where JSON wants a value.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// JSON over many lines, its keys in the order that they have.
fn indented(json: &str) -> String {
    let (mut out, mut depth) = (String::new(), 0_usize);
    let (mut in_text, mut escaped) = (false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n('\t', depth));
    };
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        if in_text {
            out.push(letter);
            in_text = escaped || letter != '"';
            escaped = letter == '\\' && !escaped;
            continue;
        }
        match letter {
            '"' => {
                in_text = true;
                out.push(letter);
            }
            '{' | '[' => {
                out.push(letter);
                if !matches!(letters.peek(), Some('}' | ']')) {
                    depth = depth.saturating_add(1);
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                if !out.ends_with(['{', '[']) {
                    depth = depth.saturating_sub(1);
                    line(&mut out, depth);
                }
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                line(&mut out, depth);
            }
            ':' => out.push_str(":\t"),
            letter if letter.is_whitespace() => {}
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_change_nothing_that_is_said() {
        let json = r#"{"a":[1,{"b":"x, {\"y\": \\"}],"c":{},"d":[ ]}"#;
        let shown = indented(json);
        assert!(shown.starts_with("{\n\t\"a\":\t[\n\t\t1,\n\t\t{\n\t\t\t\"b\":\t"), "{shown}");
        assert!(shown.contains("\"c\":\t{},\n"), "{shown}");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect(text);
        assert_eq!(value(json), value(&shown));
    }
}
