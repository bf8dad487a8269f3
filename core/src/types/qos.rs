//! How hard the two ends try to deliver a message.

/// Quality of Service of one hop: from publisher to broker, or from broker to subscriber.
///
/// Ordered by strength, so a downgrade is `min`:
///
/// ```
/// use tamtam_core::QoS;
///
/// assert_eq!(QoS::ExactlyOnce.min(QoS::AtLeastOnce), QoS::AtLeastOnce);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QoS {
    /// QoS 0: sent once, acknowledged by nobody.
    #[default]
    AtMostOnce = 0,
    /// QoS 1: sent again until acknowledged; may arrive more than once.
    AtLeastOnce = 1,
    /// QoS 2: arrives once, by a handshake of four packets.
    ExactlyOnce = 2,
}

impl QoS {
    /// The level as the wire numbers it; `None` above 2 [MQTT5-3.3.1-4].
    #[must_use]
    pub const fn from_level(level: u8) -> Option<Self> {
        match level {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    /// The level as the wire numbers it: 0, 1 or 2.
    #[must_use]
    pub const fn level(self) -> u8 {
        self as u8
    }
}
