//! The reference job, and the peer that it talks to: bytes that are known beforehand, so that a
//! measurement needs no network and is the same each time.
#![no_std]

/// The other end of an abstract byte transport: it answers each write with the next of its lines.
#[derive(Debug)]
pub struct Peer {
    lines: &'static [&'static [u8]],
    /// How many bytes were written to it.
    pub heard: usize,
}

/// What a server says in MQTT 5: CONNACK, SUBACK, PUBACK and a message at QoS 1.
pub const SERVER_V5: &[&[u8]] = &[
    b"\x20\x06\x00\x00\x03\x22\x00\x05",
    b"\x90\x04\x00\x01\x00\x01",
    b"\x40\x02\x00\x02",
    b"\x32\x11\x00\x0Aroom/7/set\x00\x09\x0021",
    b"",
];

/// The same in MQTT 3.1.1.
pub const SERVER_V311: &[&[u8]] = &[
    b"\x20\x02\x00\x00",
    b"\x90\x03\x00\x01\x01",
    b"\x40\x02\x00\x02",
    b"\x32\x10\x00\x0Aroom/7/set\x00\x0921",
    b"",
];

impl Peer {
    /// A server that will say these lines.
    #[must_use]
    pub const fn new(lines: &'static [&'static [u8]]) -> Self {
        Self { lines, heard: 0 }
    }

    /// Takes all that is written.
    #[inline(never)]
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        self.heard = self.heard.wrapping_add(bytes.len());
        bytes.len()
    }

    /// The next line into `buffer`, and its length; `None` once there is no more.
    #[inline(never)]
    pub fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let (line, rest) = core::hint::black_box(self.lines).split_first()?;
        self.lines = rest;
        let room = buffer.get_mut(..line.len())?;
        for (to, from) in room.iter_mut().zip(*line) {
            *to = *from;
        }
        Some(line.len())
    }
}
