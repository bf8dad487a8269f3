//! Hashes that a stranger can't aim: keyed by the seed, one multiplication a word.

/// A keyed hash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hash(u64);

/// Odd, with bits in no pattern: the digits of pi.
const STIR: u64 = 0x243F_6A88_85A3_08D3;

impl Hash {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The hash of `bytes`, in a family of its own for each `salt`.
    #[inline]
    pub(crate) fn of(self, salt: u32, bytes: &[u8]) -> u64 {
        let mut state = self.begin(salt);
        let (words, tail) = bytes.as_chunks::<8>();
        for word in words {
            state = self.add(state, u64::from_le_bytes(*word));
        }
        self.end(state, last_word(bytes, tail.len()), bytes.len())
    }

    /// The hash of nothing yet, in a family of its own for each `salt`.
    #[inline]
    pub(crate) const fn begin(self, salt: u32) -> u64 {
        fold(self.0 ^ salt as u64, STIR)
    }

    /// The hash of a text of `len` bytes, whose last word is not full.
    #[inline]
    pub(crate) const fn end(self, state: u64, last: u64, len: usize) -> u64 {
        // The length, so that no word stands for two endings.
        self.add(state, last) ^ len as u64
    }

    /// What comes of a hash with a further word.
    #[inline]
    pub(crate) const fn add(self, state: u64, word: u64) -> u64 {
        fold(state ^ word, STIR ^ self.0.rotate_left(32))
    }
}

/// The last `len` bytes, below eight, with zeros behind them.
#[inline]
pub(crate) fn last_word(bytes: &[u8], len: usize) -> u64 {
    match bytes.last_chunk() {
        Some(word) => {
            let before = 64_usize.wrapping_sub(len.wrapping_mul(8));
            u64::from_le_bytes(*word).checked_shr(before as u32).unwrap_or(0)
        }
        None => bytes.iter().rev().take(len).fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Both halves of a product, folded into one.
#[cfg(target_pointer_width = "64")]
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    product as u64 ^ (product >> 64) as u64
}

/// The four products of the halves, folded into one: what a machine of 32 bits does at once.
#[cfg(not(target_pointer_width = "64"))]
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    const fn product(a: u64, b: u64) -> u64 {
        (a as u32 as u64).wrapping_mul(b as u32 as u64)
    }
    let (outer, inner) = (product(a >> 32, b) ^ product(a, b).rotate_left(32), product(a, b >> 32));
    outer.rotate_left(32) ^ inner ^ product(a >> 32, b >> 32).rotate_left(32)
}
