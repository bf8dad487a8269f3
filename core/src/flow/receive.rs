//! The receiver's half of QoS 2: which identifiers were received and not yet released.

use crate::storage::{Full, List};
use crate::types::PacketId;

/// Who owes what for a received QoS 2 message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owed {
    /// We owe PUBREC: the application, or the store, has the message.
    PubRec,
    /// The peer owes PUBREL.
    PubRel,
}

/// What happened to a received QoS 2 message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Publish,
    /// The message was taken over.
    Accepted,
    /// The message was refused: a PUBREC of 0x80 or above.
    Refused,
    PubRel,
}

/// The peer did what it must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unexpected;

/// The receiver's rules, as chapter 4.3.3 has them; `None` is an identifier that is not in use.
pub(crate) const fn next(owed: Option<Owed>, seen: Seen) -> Result<Option<Owed>, Unexpected> {
    Ok(match (owed, seen) {
        (None, Seen::Publish) => Some(Owed::PubRec),
        // Not delivered twice [MQTT5-4.3.3-10].
        (Some(owed), Seen::Publish) => Some(owed),
        (Some(_), Seen::Accepted) => Some(Owed::PubRel),
        (Some(_), Seen::Refused) => None, // [MQTT5-4.3.3-9]
        // Unknown: answered all the same [MQTT5-4.3.3-11]. Afterwards it is new [MQTT5-4.3.3-12].
        (None | Some(Owed::PubRel), Seen::PubRel) => None,
        (Some(Owed::PubRec), Seen::PubRel) | (None, Seen::Accepted | Seen::Refused) => {
            return Err(Unexpected);
        }
    })
}

/// One received identifier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    id: u16,
    pub(crate) owed: Owed,
    /// What the application knows the message by.
    pub(crate) token: u32,
    /// Whether a store has not confirmed that the message was taken over.
    pub(crate) unrecorded: bool,
}

/// The received identifiers, in order of their numbers.
#[derive(Debug)]
pub(crate) struct Receipts<L> {
    list: L,
}

impl<L: List<Received>> Receipts<L> {
    pub(crate) const EMPTY: Self = Self { list: L::EMPTY };

    pub(crate) fn set_limit(&mut self, limit: u16) {
        self.list.set_limit(limit as usize);
    }

    /// How many may be in use at once.
    pub(crate) fn limit(&self) -> usize {
        self.list.limit()
    }

    /// Whether another identifier fits.
    pub(crate) fn has_room(&self) -> bool {
        self.list.as_slice().len() < self.list.limit()
    }

    pub(crate) fn get(&self, id: PacketId) -> Option<&Received> {
        self.list.as_slice().get(self.find(id).ok()?)
    }

    pub(crate) fn get_mut(&mut self, id: PacketId) -> Option<&mut Received> {
        let at = self.find(id).ok()?;
        self.list.as_mut_slice().get_mut(at)
    }

    /// Something happened to `id`. A new entry gets `token`.
    pub(crate) fn advance(
        &mut self,
        id: PacketId,
        seen: Seen,
        token: u32,
    ) -> Result<Option<Owed>, Failure> {
        let found = self.find(id);
        let before = found.ok().and_then(|at| self.list.as_slice().get(at)).map(|entry| entry.owed);
        let after = next(before, seen).map_err(|Unexpected| Failure::Unexpected)?;
        match (found, after) {
            (Ok(at), Some(owed)) => {
                if let Some(entry) = self.list.as_mut_slice().get_mut(at) {
                    entry.owed = owed;
                }
            }
            (Ok(at), None) => {
                self.list.remove(at);
            }
            (Err(at), Some(owed)) => {
                let entry = Received { id: id.get(), owed, token, unrecorded: false };
                self.list.insert(at, entry).map_err(|Full| Failure::Full)?;
            }
            (Err(_), None) => {}
        }
        Ok(after)
    }

    /// Forgets the identifiers whose token `is_it` picks: they are new when they come again.
    pub(crate) fn forget_if(&mut self, is_it: impl Fn(u32) -> bool) {
        let mut at = 0;
        while let Some(entry) = self.list.as_slice().get(at) {
            if is_it(entry.token) {
                self.list.remove(at);
            } else {
                at = at.saturating_add(1);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    /// The first identifier above `after` whose message was taken over.
    pub(crate) fn accepted_after(&self, after: u16) -> Option<PacketId> {
        let mut entries = self.list.as_slice().iter();
        let entry = entries.find(|entry| entry.id > after && entry.owed == Owed::PubRel)?;
        PacketId::new(entry.id)
    }

    fn find(&self, id: PacketId) -> Result<usize, usize> {
        let entries = self.list.as_slice();
        if cfg!(not(feature = "alloc")) {
            // Where flash is dear there are few.
            let at = entries.iter().take_while(|entry| entry.id < id.get()).count();
            let is_it = entries.get(at).is_some_and(|entry| entry.id == id.get());
            return if is_it { Ok(at) } else { Err(at) };
        }
        match entries.last() {
            // Identifiers mostly come in order.
            Some(last) if last.id < id.get() => Err(entries.len()),
            _ => entries.binary_search_by_key(&id.get(), |entry| entry.id),
        }
    }
}

/// Why an entry did not advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Unexpected,
    Full,
}
