//! One message on its way to one session.

use super::body::BodyId;
use crate::flow::send::Owed;
use crate::types::QoS;

/// One message on its way to one session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    pub(crate) body: BodyId,
    /// The subscription identifier; with the highest bit set, a run of several in the bodies.
    pub(crate) subscription: u32,
    /// The ticket of its records; at QoS 2 it waits for that, and at QoS 0 for that with which it
    /// is gone from the store.
    pub(crate) ticket: u32,
    /// How many bytes its message has.
    pub(crate) len: u32,
    /// What it is of a group, an entry plus one; 0 if it is none, or can't go to another member any
    /// more.
    pub(super) entry: u32,
    /// Its packet identifier, once it was chosen; 0 before.
    pub(super) id: u16,
    /// Whether it was sent, on this connection or an earlier one; at QoS 0, whether it is gone from
    /// the store, and is to leave.
    pub(super) sent: bool,
    /// Whether it is taken back if its ticket is not kept.
    pub(crate) revocable: bool,
    pub(crate) owed: Owed,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Whether it is what a topic retained when the session subscribed: of no use any more once the
    /// topic retains something else.
    pub(crate) stored: bool,
}

impl Delivery {
    pub(crate) const fn new(body: BodyId, qos: QoS, retain: bool, subscription: u32) -> Self {
        let owed = match qos {
            QoS::ExactlyOnce => Owed::Publish2,
            _ => Owed::Publish1, // at QoS 0 it is settled by sending it
        };
        Self {
            body,
            subscription,
            ticket: 0,
            len: 0,
            entry: 0,
            id: 0,
            sent: false,
            revocable: false,
            owed,
            qos,
            retain,
            stored: false,
        }
    }

    /// The same, of a message of so many bytes.
    pub(crate) const fn with_len(self, len: u32) -> Self {
        Self { len, ..self }
    }

    /// The same, of an entry of a group.
    pub(crate) const fn of_entry(self, entry: Option<u32>) -> Self {
        let entry = match entry {
            Some(at) => at.saturating_add(1),
            None => 0,
        };
        Self { entry, ..self }
    }

    /// The entry of a group that it is, as long as it may go to another member.
    pub(crate) const fn entry(&self) -> Option<u32> {
        self.entry.checked_sub(1)
    }

    /// It can't go to another member any more.
    pub(crate) const fn keep(&mut self) -> Option<u32> {
        let entry = self.entry();
        self.entry = 0;
        entry
    }

    /// One of which only the PUBREL is owed.
    pub(crate) const fn released() -> Self {
        let mut delivery = Self::new(BodyId(u32::MAX), QoS::ExactlyOnce, false, 0);
        delivery.owed = Owed::PubRel;
        delivery
    }

    /// Whether it was sent before, on this connection or an earlier one.
    pub(crate) const fn was_sent(&self) -> bool {
        self.sent
    }

    /// Whether it waits, and never was sent.
    pub(super) const fn is_unsent(&self) -> bool {
        !self.sent && self.holds_body()
    }

    /// Its packet identifier, or 0.
    pub(crate) const fn packet_id(&self) -> u16 {
        self.id
    }

    /// Whether it has an identifier that no other message may have before it is settled.
    pub(crate) const fn has_exact_id(&self) -> bool {
        matches!(self.qos, QoS::ExactlyOnce) && self.id != 0
    }

    /// Whether its body is still needed.
    pub(crate) const fn holds_body(&self) -> bool {
        matches!(self.owed, Owed::Publish1 | Owed::Publish2 | Owed::PubAck | Owed::PubRec)
    }
}
