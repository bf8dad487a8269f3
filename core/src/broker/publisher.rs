//! Who published a message, as far as that matters later: whether it is the very client that would
//! get it, which does not want what it published itself (No Local).

/// A client identifier as a number: the same one in every broker and in every life, so that it
/// holds for what is retained when the session is long gone, for what a store kept, and for what
/// came from a peer.
///
/// It has no key, so whoever wants to can make another identifier with the same number. All that
/// comes of it is that who has that one and wants no own messages misses those of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Publisher(pub(crate) u64);

impl Publisher {
    /// Nobody who could subscribe.
    pub(crate) const NOBODY: Self = Self(0);

    /// The client of this identifier; nobody, if it is empty.
    pub(crate) fn of(client_id: &[u8]) -> Self {
        if client_id.is_empty() {
            return Self::NOBODY;
        }
        // FNV-1a, and a last round that makes every bit depend on every other.
        let step = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3);
        let mut state = client_id.iter().fold(0xCBF2_9CE4_8422_2325, step);
        state = (state ^ state >> 33).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        state = (state ^ state >> 33).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        Self((state ^ state >> 33).max(1))
    }

    /// Whether it is somebody, and this one.
    pub(crate) fn is(self, other: Self) -> bool {
        self != Self::NOBODY && self == other
    }
}
