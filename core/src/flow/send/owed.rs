//! The sender's rules as a table: who owes what, and what changes it.

use crate::types::QoS;

/// Who owes what for a packet identifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Owed {
    /// The identifier is free.
    #[default]
    Nothing,
    /// We owe the PUBLISH (QoS 1): it waits, for the first time or once more.
    Publish1,
    /// We owe the PUBLISH (QoS 2).
    Publish2,
    /// The peer owes PUBACK.
    PubAck,
    /// The peer owes PUBREC.
    PubRec,
    /// We owe PUBREL: the record of the PUBREC is not kept yet, or there is no connection.
    PubRel,
    /// The peer owes PUBCOMP.
    PubComp,
    /// The peer owes SUBACK.
    SubAck,
    /// The peer owes UNSUBACK.
    UnsubAck,
    /// We owe the application the news of how it ended.
    News,
}

/// What happened to a packet identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// We sent what we owed.
    Sent,
    PubAck,
    PubRec,
    /// A PUBREC of 0x80 or above.
    Refusal,
    PubComp,
    SubAck,
    UnsubAck,
    /// The connection is gone.
    Loss,
    /// Nothing more will come of it.
    End,
    /// The application was told.
    Told,
}

/// The peer answered what was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unexpected;

impl Owed {
    /// The sender's rules, as chapters 4.3 and 4.4 have them.
    #[inline]
    pub(crate) const fn next(self, seen: Seen) -> Result<Self, Unexpected> {
        Ok(match (self, seen) {
            (Self::Publish1, Seen::Sent) => Self::PubAck, // [MQTT5-4.3.2-3]
            (Self::Publish2, Seen::Sent) => Self::PubRec, // [MQTT5-4.3.3-3]
            (Self::PubRel, Seen::Sent) => Self::PubComp,  // [MQTT5-4.3.3-5]

            (Self::PubAck, Seen::PubAck) => Self::Nothing,
            // From here on the PUBLISH is never sent again [MQTT5-4.3.3-6]. Once more is no harm.
            (Self::PubRec | Self::PubRel | Self::PubComp, Seen::PubRec) => Self::PubRel,
            (Self::PubRec, Seen::Refusal) => Self::Nothing, // [MQTT5-4.4.0-2]
            (Self::PubComp, Seen::PubComp) => Self::Nothing,
            (Self::SubAck, Seen::SubAck) | (Self::UnsubAck, Seen::UnsubAck) => Self::Nothing,

            // What is unacknowledged goes again [MQTT5-4.4.0-1, MQTT3-4.4.0-1].
            (Self::PubAck, Seen::Loss) => Self::Publish1,
            (Self::PubRec, Seen::Loss) => Self::Publish2,
            (Self::PubComp, Seen::Loss) => Self::PubRel,
            (Self::SubAck | Self::UnsubAck, Seen::Loss) => Self::News, // asked again only if wanted
            (owed, Seen::Loss) => owed,

            (Self::Nothing | Self::News, Seen::End) => return Err(Unexpected),
            (_, Seen::End) => Self::News,
            (Self::News, Seen::Told) => Self::Nothing,
            _ => return Err(Unexpected),
        })
    }

    /// What a new message of this QoS begins with.
    pub(crate) const fn publish(qos: QoS) -> Self {
        match qos {
            QoS::AtMostOnce => Self::Nothing,
            QoS::AtLeastOnce => Self::Publish1,
            QoS::ExactlyOnce => Self::Publish2,
        }
    }

    /// Whether the PUBLISH has not left, or must leave once more.
    pub(crate) const fn is_publish(self) -> bool {
        matches!(self, Self::Publish1 | Self::Publish2)
    }

    /// Whether the PUBLISH may have to leave, be it once more.
    pub(crate) const fn has_publish(self) -> bool {
        self.is_publish() || matches!(self, Self::PubAck | Self::PubRec)
    }

    /// Whether the exchange is past its PUBREC.
    pub(crate) const fn is_release(self) -> bool {
        matches!(self, Self::PubRel | Self::PubComp)
    }
}
