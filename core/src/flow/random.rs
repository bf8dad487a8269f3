//! Numbers that look random, from a seed that the caller chose: same seed, same run.

/// A generator of one word of state (SplitMix64); not for secrets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `highest`, both included.
    pub(crate) const fn up_to(&mut self, highest: u32) -> u32 {
        let wide = (self.next() >> 32).wrapping_mul((highest as u64).wrapping_add(1));
        (wide >> 32) as u32
    }
}
