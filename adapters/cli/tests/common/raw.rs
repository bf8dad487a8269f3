//! A client of a few lines, that writes bytes and reads bytes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection whose bytes are written by hand.
#[derive(Debug)]
pub struct Raw(pub TcpStream);

impl Raw {
    pub fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Connected, with version 3.1.1 and a clean session.
    pub fn connected(port: u16, client_id: &str) -> Self {
        let mut raw = Self::open(port);
        raw.send(&connect(client_id, None));
        assert_eq!(raw.take(4), [0x20, 2, 0, 0], "CONNACK");
        raw
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    pub fn take(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Everything until the other end closes.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes); // a reset is an end, too
        bytes
    }

    /// Subscribes at QoS 0, and waits for the answer.
    pub fn subscribe(&mut self, filter: &str) {
        self.send(&packet(0x82, &[&[0, 1], &string(filter)[..], &[0]].concat()));
        assert_eq!(self.take(5)[..2], [0x90, 3], "SUBACK");
    }

    /// Publishes at QoS 1, and waits for the answer.
    pub fn publish(&mut self, topic: &str, payload: &str) {
        let body = [&string(topic)[..], &[0, 1], payload.as_bytes()].concat();
        self.send(&packet(0x32, &body));
        assert_eq!(self.take(4), [0x40, 2, 0, 1], "PUBACK");
    }

    /// The payload of the next QoS 0 message, which has to be short.
    pub fn message(&mut self) -> String {
        let head = self.take(2);
        assert_eq!(head[0] & 0xf6, 0x30, "PUBLISH");
        let body = self.take(usize::from(head[1]));
        let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
        String::from_utf8(body[2 + topic..].to_vec()).unwrap()
    }
}

/// A text with its length before it.
pub fn string(text: &str) -> Vec<u8> {
    let len = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&len[..], text.as_bytes()].concat()
}

/// A packet: its first byte, and its body.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut len = body.len();
    loop {
        let more = if len > 127 { 0x80 } else { 0 };
        bytes.push(u8::try_from(len % 128).unwrap() | more);
        len /= 128;
        if len == 0 {
            break;
        }
    }
    [&bytes[..], body].concat()
}

/// A CONNECT of version 3.1.1 with a clean session, and perhaps a user with a password.
pub fn connect(client_id: &str, login: Option<(&str, &str)>) -> Vec<u8> {
    let flags = if login.is_some() { 0xc2 } else { 0x02 };
    let mut body = [&string("MQTT")[..], &[4, flags, 0, 60], &string(client_id)[..]].concat();
    if let Some((user, password)) = login {
        body.extend([string(user), string(password)].concat());
    }
    packet(0x10, &body)
}
