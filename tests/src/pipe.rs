//! Bytes from one end to the other, as badly as a network may carry them.
//!
//! A [`Pipe`] goes one way: it chunks, delays, stalls, cuts off at an exact byte, and can be closed
//! behind what was written. A [`Duplex`] is two of them, which break together.

use std::collections::VecDeque;

use tamtam_core::Instant;

use crate::dice::Dice;

/// How a pipe treats its bytes. Ranges include both ends.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// How many bytes travel together.
    pub chunk: (usize, usize),
    /// How long a chunk travels, in milliseconds. Chunks never overtake one another.
    pub delay_ms: (u64, u64),
    /// How many bytes are under way at most; then writing must wait.
    pub capacity: usize,
}

impl Weather {
    /// Everything arrives at once and whole.
    pub const FINE: Self = Self { chunk: (1 << 20, 1 << 20), delay_ms: (0, 0), capacity: 1 << 20 };

    /// Weather for a run that is to see much of it.
    pub fn any(dice: &mut Dice) -> Self {
        Self {
            chunk: (1, dice.pick(&[1, 3, 20, 300, 2_000])),
            delay_ms: (0, dice.pick(&[0, 1, 20, 300])),
            capacity: dice.pick(&[40, 500, 1 << 16]),
        }
    }
}

#[derive(Debug)]
struct Chunk {
    arrives: Instant,
    bytes: Vec<u8>,
}

/// One direction of a connection.
#[derive(Debug)]
pub struct Pipe {
    dice: Dice,
    weather: Weather,
    chunks: VecDeque<Chunk>,
    under_way: usize,
    written: u64,
    /// The byte before which the connection breaks.
    cut_at: Option<u64>,
    stalled_until: Instant,
    closed: bool,
}

impl Pipe {
    /// An empty pipe.
    #[must_use]
    pub const fn new(weather: Weather, dice: Dice) -> Self {
        Self {
            dice,
            weather,
            chunks: VecDeque::new(),
            under_way: 0,
            written: 0,
            cut_at: None,
            stalled_until: Instant::ZERO,
            closed: false,
        }
    }

    /// The connection breaks just before this byte, counted from the first that was ever written.
    pub const fn cut_at(&mut self, byte: u64) {
        self.cut_at = Some(byte);
    }

    /// Nothing arrives before this moment.
    pub fn stall_until(&mut self, moment: Instant) {
        self.stalled_until = self.stalled_until.max(moment);
    }

    /// Writes as much as there is room for; returns how much that was. What is behind the cut is
    /// swallowed: nobody knows yet.
    pub fn write(&mut self, bytes: &[u8], now: Instant) -> usize {
        if self.closed {
            return bytes.len();
        }
        let room = self.weather.capacity.saturating_sub(self.under_way);
        let taken = bytes.len().min(room);
        let mut rest = &bytes[..taken];
        if let Some(cut) = self.cut_at {
            let left = cut.saturating_sub(self.written);
            rest = &rest[..rest.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        }
        self.written += rest.len() as u64;
        self.under_way += rest.len();
        while !rest.is_empty() {
            let (chunk, behind) =
                rest.split_at(self.dice.within(self.weather.chunk).min(rest.len()));
            let delay = self.dice.between(self.weather.delay_ms.0, self.weather.delay_ms.1);
            let before = self.chunks.back().map_or(now, |chunk| chunk.arrives);
            let arrives = now.plus_millis(delay).max(before);
            self.chunks.push_back(Chunk { arrives, bytes: chunk.to_vec() });
            rest = behind;
        }
        taken
    }

    /// Reads up to `most` bytes of the next chunk that has arrived; returns how many.
    pub fn read(&mut self, into: &mut Vec<u8>, most: usize, now: Instant) -> usize {
        if self.next_at().is_none_or(|next| next > now) {
            return 0;
        }
        let Some(chunk) = self.chunks.front_mut() else { return 0 };
        let len = chunk.bytes.len().min(most);
        into.extend(chunk.bytes.drain(..len));
        self.under_way -= len;
        if chunk.bytes.is_empty() {
            self.chunks.pop_front();
        }
        len
    }

    /// When the next chunk arrives, if one is under way.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.chunks.front().map(|chunk| chunk.arrives.max(self.stalled_until))
    }

    /// Whether there is room for another byte.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.under_way < self.weather.capacity
    }

    /// How many bytes were ever written, up to the cut.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// How many bytes have not arrived.
    #[must_use]
    pub const fn under_way(&self) -> usize {
        self.under_way
    }

    /// Closes it behind what was written.
    pub const fn close(&mut self) {
        self.closed = true;
    }

    /// Whether the connection broke here.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut_at.is_some_and(|cut| cut <= self.written)
    }

    /// Whether the reader has got all that will ever come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.chunks.is_empty() && (self.closed || self.is_cut())
    }

    /// Loses what is under way, and closes.
    pub fn drop_all(&mut self) {
        self.chunks.clear();
        self.under_way = 0;
        self.closed = true;
    }
}

/// A connection: bytes up to the server, and down from it.
#[derive(Debug)]
pub struct Duplex {
    /// From the client to the server.
    pub up: Pipe,
    /// From the server to the client.
    pub down: Pipe,
    dice: Dice,
    broken: bool,
}

impl Duplex {
    /// A new connection.
    #[must_use]
    pub const fn new(weather: Weather, dice: &mut Dice) -> Self {
        let (up, down) = (dice.split(), dice.split());
        Self {
            up: Pipe::new(weather, up),
            down: Pipe::new(weather, down),
            dice: dice.split(),
            broken: false,
        }
    }

    /// If one direction broke and its reader has got the rest, the other ends too: what is under
    /// way there arrives or is lost. Whether this is news.
    pub fn spread_break(&mut self) -> bool {
        let broken = [&self.up, &self.down].iter().any(|pipe| pipe.is_cut() && pipe.is_over());
        if !broken || self.broken {
            return false;
        }
        self.broken = true;
        let abrupt = self.dice.chance(50);
        for pipe in [&mut self.up, &mut self.down] {
            if abrupt {
                pipe.drop_all();
            } else {
                pipe.close();
            }
        }
        true
    }

    /// When the next bytes arrive, in either direction.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        [self.up.next_at(), self.down.next_at()].into_iter().flatten().min()
    }
}
