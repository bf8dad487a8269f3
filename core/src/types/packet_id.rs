//! The number that ties an acknowledgement to what it acknowledges.

use core::fmt;
use core::num::NonZeroU16;

/// A Packet Identifier: 1 to 65,535, never 0 [MQTT5-2.2.1-3, MQTT3-2.3.1-1].
///
/// ```
/// use tamtam_core::PacketId;
///
/// assert_eq!(PacketId::new(0), None);
/// assert_eq!(PacketId::new(7).map(PacketId::get), Some(7));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(NonZeroU16);

impl PacketId {
    /// The smallest Packet Identifier, 1.
    pub const MIN: Self = Self(NonZeroU16::MIN);

    /// The identifier `number`, or `None` for 0.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The identifier as a number, 1 to 65,535.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Debug for PacketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Display for PacketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
