//! The levels of a path: where each ends, and its hash, eight bytes at a time.

use super::END;
use crate::flow::hash::Hash;

/// A level of a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) hash: u64,
    /// Where it ends.
    pub(super) end: usize,
    /// Where the next one begins, or [`END`].
    pub(super) next: usize,
}

/// How many levels a [`Path`] has looked at beforehand.
const KNOWN: usize = 16;

/// A path whose first levels are known.
#[derive(Debug)]
pub(super) struct Path<'a> {
    pub(super) text: &'a [u8],
    hash: Hash,
    known: [Level; KNOWN],
    /// How many levels there are in all.
    pub(super) count: usize,
}

impl<'a> Path<'a> {
    #[inline]
    pub(super) fn new(hash: Hash, text: &'a [u8]) -> Self {
        let known = [Level { hash: 0, end: 0, next: 0 }; KNOWN];
        let mut path = Self { text, hash, known, count: 0 };
        let mut at = 0;
        while at != END {
            let level = level(hash, text, at);
            if let Some(place) = path.known.get_mut(path.count) {
                *place = level;
            }
            path.count = path.count.saturating_add(1);
            at = level.next;
        }
        path
    }

    /// The level with this number, which begins at `at`.
    #[inline]
    pub(super) fn level(&self, number: usize, at: usize) -> Level {
        match self.known.get(number) {
            Some(level) => *level,
            None => level(self.hash, self.text, at),
        }
    }
}

/// The level that begins at `at`.
#[inline]
pub(super) fn level(hash: Hash, path: &[u8], at: usize) -> Level {
    let mut state = 0;
    let mut from = at;
    loop {
        let (word, left) = word_at(path, from);
        let mut ends = separators(word);
        if left < 8 {
            ends |= 0x80_u64 << left.wrapping_mul(8);
        }
        if ends == 0 {
            state = hash.add(state, word);
            from = from.saturating_add(8);
            continue;
        }
        let bits = ends.trailing_zeros() & !7; // below 64
        let end = from.saturating_add(bits as usize / 8);
        let text = word & !(u64::MAX << bits);
        // The length last, so that no word stands for two endings.
        let hash = hash.add(state, text) ^ end.wrapping_sub(at) as u64;
        let next = if end < path.len() { end.saturating_add(1) } else { END };
        return Level { hash, end, next };
    }
}

/// The eight bytes from `from` on, zeros behind the end, and how many there are up to there.
#[inline]
fn word_at(path: &[u8], from: usize) -> (u64, usize) {
    let rest = path.get(from..).unwrap_or_default();
    if let Some(word) = rest.first_chunk() {
        return (u64::from_le_bytes(*word), rest.len());
    }
    let word = match path.last_chunk() {
        Some(word) => {
            let before = 64_usize.wrapping_sub(rest.len().wrapping_mul(8));
            u64::from_le_bytes(*word).checked_shr(before as u32).unwrap_or(0)
        }
        None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    (word, rest.len())
}

/// A byte in each of eight places.
const ONES: u64 = 0x0101_0101_0101_0101;

/// The top bit of the first byte that is a separator; those of bytes behind it may be set too.
#[inline]
const fn separators(word: u64) -> u64 {
    let other = word ^ ONES.wrapping_mul(b'/' as u64);
    other.wrapping_sub(ONES) & !other & ONES.wrapping_mul(0x80)
}
