//! What the puppets in Rust share: orders come in as lines of JSON, answers go out as such.
//! README.md of the folder above says which orders there are.

use std::io::{BufRead, Write};

use serde_json::{Value, json};

/// Why a puppet gives up.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// One order.
pub struct Order(Value);

impl Order {
    /// What is to be done.
    pub fn verb(&self) -> &str {
        self.text("do")
    }

    /// A field that is a text; empty if there is none.
    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    /// A field that is a number.
    pub fn number(&self, field: &str) -> u32 {
        self.0[field].as_u64().and_then(|number| number.try_into().ok()).unwrap_or_default()
    }

    /// A field that is yes or no.
    pub fn flag(&self, field: &str) -> bool {
        self.0[field].as_bool().unwrap_or_default()
    }

    /// A field that is an order in turn: a will, properties.
    pub fn part(&self, field: &str) -> Option<Self> {
        self.0.get(field).filter(|part| part.is_object()).map(|part| Self(part.clone()))
    }

    /// The user properties of a part.
    pub fn user(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pairs = self.0["user"].as_array().into_iter().flatten();
        pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
    }

    /// The payload to publish.
    pub fn payload(&self) -> Vec<u8> {
        match self.0.get("size") {
            Some(_) => vec![b'x'; self.number("size") as usize],
            None => self.text("payload").as_bytes().to_vec(),
        }
    }
}

/// The orders, one after another. `cut` ends the process without a word to the broker.
pub fn orders() -> impl Iterator<Item = Order> {
    std::io::stdin().lock().lines().map_while(Result::ok).map(|line| {
        let order = Order(serde_json::from_str(&line).expect("an order is a line of JSON"));
        if order.verb() == "cut" {
            std::process::exit(0);
        }
        order
    })
}

/// Writes one answer.
pub fn say(kind: &str, value: impl Into<Value>) {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{}", json!({ kind: value.into() }));
    written.and_then(|()| out.flush()).expect("whoever gave the order reads the answer");
}

/// Says that a message has come; of a large one its size alone.
pub fn message(topic: &str, payload: &[u8], qos: u8, retain: bool, properties: Option<Value>) {
    let mut told = json!({ "topic": topic, "qos": qos, "retain": retain, "size": payload.len() });
    if payload.len() < 1000 {
        told["payload"] = String::from_utf8_lossy(payload).into();
    }
    if let Some(properties) = properties {
        told["properties"] = properties;
    }
    say("message", told);
}
