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
    /// What is owed after `seen`: by the rules, or where flash is dear by a table of what they say.
    #[inline]
    pub(crate) fn next(self, seen: Seen) -> Result<Self, Unexpected> {
        if cfg!(feature = "alloc") {
            return self.rule(seen);
        }
        let row = NEXT.get(self as usize).and_then(|row| row.get(seen as usize));
        row.copied().flatten().ok_or(Unexpected)
    }

    /// The sender's rules, as chapters 4.3 and 4.4 have them.
    #[inline]
    const fn rule(self, seen: Seen) -> Result<Self, Unexpected> {
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

const OWED: [Owed; 10] = [
    Owed::Nothing,
    Owed::Publish1,
    Owed::Publish2,
    Owed::PubAck,
    Owed::PubRec,
    Owed::PubRel,
    Owed::PubComp,
    Owed::SubAck,
    Owed::UnsubAck,
    Owed::News,
];

const SEEN: [Seen; 10] = [
    Seen::Sent,
    Seen::PubAck,
    Seen::PubRec,
    Seen::Refusal,
    Seen::PubComp,
    Seen::SubAck,
    Seen::UnsubAck,
    Seen::Loss,
    Seen::End,
    Seen::Told,
];

/// What the rules say, for each pair.
static NEXT: [[Option<Owed>; SEEN.len()]; OWED.len()] = {
    let mut table = [[None; SEEN.len()]; OWED.len()];
    let (mut rows, mut owed): (&mut [[Option<Owed>; SEEN.len()]], &[Owed]) = (&mut table, &OWED);
    while let ([row, more_rows @ ..], [from, more_owed @ ..]) = (rows, owed) {
        let (mut cells, mut seen): (&mut [Option<Owed>], &[Seen]) = (row, &SEEN);
        while let ([cell, more_cells @ ..], [what, more_seen @ ..]) = (cells, seen) {
            *cell = match from.rule(*what) {
                Ok(next) => Some(next),
                Err(Unexpected) => None,
            };
            (cells, seen) = (more_cells, more_seen);
        }
        (rows, owed) = (more_rows, more_owed);
    }
    table
};
