//! The packets, and the will inside CONNECT, as places for properties.

/// Where properties stand: a packet, and who sends it where that decides what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is a packet's name")]
#[cfg_attr(not(feature = "v5"), allow(unreachable_pub))]
#[repr(u8)]
pub enum Place {
    Connect,
    Will,
    ConnAck,
    ClientPublish,
    ServerPublish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    ClientDisconnect,
    ServerDisconnect,
    Auth,
}

impl Place {
    /// A PUBLISH from this side.
    #[inline]
    pub(crate) const fn of_publish(sender: super::header::Sender) -> Self {
        match sender {
            super::header::Sender::Client => Self::ClientPublish,
            super::header::Sender::Server => Self::ServerPublish,
        }
    }

    #[cfg(feature = "v5")]
    pub(crate) const fn bit(self) -> u16 {
        1 << self as u16
    }

    /// The bits of the same packet from either side.
    #[cfg(feature = "v5")]
    pub(crate) const fn packet_bits(self) -> u16 {
        match self {
            Self::ClientPublish | Self::ServerPublish => {
                Self::ClientPublish.bit() | Self::ServerPublish.bit()
            }
            Self::ClientDisconnect | Self::ServerDisconnect => {
                Self::ClientDisconnect.bit() | Self::ServerDisconnect.bit()
            }
            _ => self.bit(),
        }
    }
}
