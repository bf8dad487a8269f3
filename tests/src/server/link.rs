//! A connection, as the scripted server sees it.

use std::collections::{BTreeMap, VecDeque};

use tamtam_core::{Instant, Version};

use crate::wire::{Packet, encode};

/// One connection.
#[derive(Debug)]
pub struct Link {
    /// The version of its CONNECT; 3.1.1 before that.
    pub version: Version,
    /// Whose it is, once that is known.
    pub client_id: Option<Vec<u8>>,
    /// Whether the server has accepted it.
    pub accepted: bool,
    pub(super) receive_maximum: u32,
    pub(super) alias_maximum: u32,
    pub(super) max_packet_size: usize,
    pub(super) aliases_in: BTreeMap<u32, Vec<u8>>,
    pub(super) aliases_out: BTreeMap<String, u32>,
    pub(super) method: Option<Vec<u8>>,
    pub(super) rounds_left: u32,
    pub(super) session_present: bool,
    /// What will be sent, and when.
    later: VecDeque<(Instant, Vec<u8>)>,
    out: Vec<u8>,
    closing: bool,
}

impl Link {
    pub(super) const fn new() -> Self {
        Self {
            version: Version::V311,
            client_id: None,
            accepted: false,
            receive_maximum: 65_535,
            alias_maximum: 0,
            max_packet_size: usize::MAX,
            aliases_in: BTreeMap::new(),
            aliases_out: BTreeMap::new(),
            method: None,
            rounds_left: 0,
            session_present: false,
            later: VecDeque::new(),
            out: Vec::new(),
            closing: false,
        }
    }

    /// Sends a packet, `at` this moment or later: they never overtake one another.
    pub fn send(&mut self, packet: &Packet, at: Instant) {
        self.send_bytes(encode(packet, self.version), at);
    }

    /// As [`Link::send`], with any bytes.
    pub fn send_bytes(&mut self, bytes: Vec<u8>, at: Instant) {
        let before = self.later.back().map_or(at, |(at, _)| *at);
        self.later.push_back((at.max(before), bytes));
    }

    /// Closes once everything has left.
    pub const fn hang_up(&mut self) {
        self.closing = true;
    }

    /// Closes at once: what has not left never will.
    pub(super) fn abandon(&mut self) {
        self.later.clear();
        self.closing = true;
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing && self.later.is_empty()
    }

    pub(super) const fn is_leaving(&self) -> bool {
        self.closing
    }

    pub(super) fn output(&self) -> &[u8] {
        &self.out
    }

    pub(super) fn written(&mut self, len: usize) {
        self.out.drain(..len);
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        while let Some((at, _)) = self.later.front()
            && *at <= now
            && let Some((_, bytes)) = self.later.pop_front()
        {
            self.out.extend(bytes);
        }
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.later.front().map(|(at, _)| *at)
    }
}
