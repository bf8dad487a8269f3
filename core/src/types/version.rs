//! Which of the three protocols a connection speaks.

use core::fmt;

/// A version of MQTT, chosen at run time.
///
/// Ordered by age. Without the feature `v5` there is no `V5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Version {
    /// MQTT 3.1: protocol name `MQIsdp`, level 3.
    V31,
    /// MQTT 3.1.1: protocol name `MQTT`, level 4.
    V311,
    /// MQTT 5.0: protocol name `MQTT`, level 5.
    #[cfg(feature = "v5")]
    V5,
}

impl Version {
    /// Every version that this build speaks, oldest first.
    pub const ALL: &'static [Self] = &[
        Self::V31,
        Self::V311,
        #[cfg(feature = "v5")]
        Self::V5,
    ];

    /// The version with this protocol level (3, 4 or 5), if this build speaks it.
    #[must_use]
    pub const fn from_level(level: u8) -> Option<Self> {
        match level {
            3 => Some(Self::V31),
            4 => Some(Self::V311),
            #[cfg(feature = "v5")]
            5 => Some(Self::V5),
            _ => None,
        }
    }

    /// The protocol level that CONNECT carries: 3, 4 or 5.
    #[must_use]
    pub const fn level(self) -> u8 {
        match self {
            Self::V31 => 3,
            Self::V311 => 4,
            #[cfg(feature = "v5")]
            Self::V5 => 5,
        }
    }

    /// The protocol name that CONNECT carries [MQTT5-3.1.2-1, MQTT3-3.1.2-1].
    #[must_use]
    pub const fn protocol_name(self) -> &'static str {
        match self {
            Self::V31 => "MQIsdp",
            _ => "MQTT",
        }
    }

    /// Whether this is MQTT 5.0: properties, reason codes everywhere, AUTH.
    #[must_use]
    pub const fn is_v5(self) -> bool {
        self.level() == 5
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V31 => "3.1",
            Self::V311 => "3.1.1",
            #[cfg(feature = "v5")]
            Self::V5 => "5.0",
        })
    }
}
