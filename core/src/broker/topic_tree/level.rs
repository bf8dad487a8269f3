//! The levels of a path: how many there are, where each ends, and its hash, eight bytes at a time.

use super::END;
use crate::flow::hash::{Hash, last_word};

/// A level of a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) hash: u64,
    /// Where it ends.
    pub(super) end: usize,
    /// Where the next one begins, or [`END`].
    pub(super) next: usize,
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
        let hash = hash.end(state, text, end.wrapping_sub(at));
        let next = if end < path.len() { end.saturating_add(1) } else { END };
        return Level { hash, end, next };
    }
}

/// The eight bytes from `from` on, zeros behind the end, and how many there are up to there.
#[inline]
pub(super) fn word_at(path: &[u8], from: usize) -> (u64, usize) {
    let rest = path.get(from..).unwrap_or_default();
    match rest.first_chunk() {
        Some(word) => (u64::from_le_bytes(*word), rest.len()),
        None => (last_word(path, rest.len()), rest.len()),
    }
}

/// How many levels a topic or a filter has.
#[inline]
pub(crate) fn level_count(path: &[u8]) -> usize {
    let (words, rest) = path.as_chunks::<8>();
    let count = |word| separators(word).wrapping_shr(7).wrapping_mul(ONES) >> 56;
    let words =
        words.iter().fold(1_u64, |sum, word| sum.saturating_add(count(u64::from_le_bytes(*word))));
    words.saturating_add(count(last_word(path, rest.len()))) as usize
}

/// A byte in each of eight places.
const ONES: u64 = 0x0101_0101_0101_0101;

/// The top bit of each byte that is a separator.
#[inline]
pub(super) const fn separators(word: u64) -> u64 {
    const LOW: u64 = ONES.wrapping_mul(0x7F);
    let other = word ^ ONES.wrapping_mul(b'/' as u64);
    !((other & LOW).wrapping_add(LOW) | other | LOW)
}
