//! What happened in a run, as a number, and in words where someone wants to read it.

use tamtam_core::{Instant, PacketType};

use crate::happened::Happened;
use crate::wire::take_frames;

/// Every byte and every event of a run goes in here; equal runs have equal numbers.
#[derive(Debug)]
pub struct Transcript {
    number: u64,
    lines: Option<Vec<String>>,
    /// Bytes up and down that are no whole packet yet: words are about packets.
    parts: [Vec<u8>; 2],
}

impl Transcript {
    /// An empty one, which keeps the words if `verbose`.
    #[must_use]
    pub const fn new(verbose: bool) -> Self {
        Self {
            number: 0xCBF2_9CE4_8422_2325,
            lines: if verbose { Some(Vec::new()) } else { None },
            parts: [Vec::new(), Vec::new()],
        }
    }

    /// Whether it keeps words.
    #[must_use]
    pub const fn is_verbose(&self) -> bool {
        self.lines.is_some()
    }

    /// The number of all that went in (FNV-1a).
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The words.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.number = (self.number ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    /// Bytes went this way.
    pub fn bytes(&mut self, now: Instant, way: &str, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.add(&now.as_millis().to_be_bytes());
        self.add(way.as_bytes());
        self.add(bytes);
        let Some(lines) = &mut self.lines else { return };
        let part = &mut self.parts[usize::from(way == "up")];
        part.extend_from_slice(bytes);
        for frame in take_frames(part).unwrap_or_default() {
            let kind = PacketType::of(frame[0]).name();
            let text: String = frame.escape_ascii().to_string().chars().take(90).collect();
            let len = frame.len();
            lines.push(format!("{:>8} {way:>5} {kind:>9} {len:>4} {text}", now.as_millis()));
        }
    }

    /// A whole packet went this way on one of many lines.
    pub fn packet(&mut self, now: Instant, line: usize, way: &str, frame: &[u8]) {
        self.add(&now.as_millis().to_be_bytes());
        self.add(frame);
        let Some(lines) = &mut self.lines else { return };
        let kind = PacketType::of(frame[0]).name();
        let text: String = frame.escape_ascii().to_string().chars().take(90).collect();
        let (at, len) = (now.as_millis(), frame.len());
        lines.push(format!("{at:>8} {line:>4} {way:>5} {kind:>9} {len:>4} {text}"));
    }

    /// A line opens: what was under way on another is gone.
    pub fn opens(&mut self, now: Instant, text: &str) {
        self.parts = [Vec::new(), Vec::new()];
        self.remark(now, text);
    }

    /// A client told its application this.
    pub fn happened(&mut self, now: Instant, happened: &Happened) {
        let text = format!("{happened:?}");
        self.add(&now.as_millis().to_be_bytes());
        self.add(text.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>8} event       {text:.300}", now.as_millis()));
        }
    }

    /// A remark of the world's.
    pub fn remark(&mut self, now: Instant, text: &str) {
        self.add(text.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>8} world       {text}", now.as_millis()));
        }
    }
}
