//! Hashes that a stranger can't aim: keyed by the seed, two multiplications a word.

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
        let mut state = fold(self.0 ^ u64::from(salt), STIR ^ bytes.len() as u64);
        let (words, tail) = bytes.as_chunks::<8>();
        for word in words {
            state = fold(state ^ u64::from_le_bytes(*word), STIR ^ self.0);
        }
        let last = tail.iter().fold(0_u64, |last, byte| last << 8 | u64::from(*byte));
        fold(state ^ last, STIR ^ self.0.rotate_left(32))
    }
}

/// Both halves of a product, folded into one.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    product as u64 ^ (product >> 64) as u64
}
