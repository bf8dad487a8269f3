//! What a store kept of groups becomes theirs again.

use super::Broker;
use super::delivery::Delivery;
use super::group::{Entry, EntryState};
use super::session::SessionId;
use crate::flow::hash::Hash;
use crate::storage::{Arena, Full, Index, Storage};
use crate::types::{QoS, TopicFilter};

impl<S: Storage> Broker<S> {
    /// A group, before its members or behind the first of them.
    pub(super) fn restore_group(&mut self, number: u64, filter: &[u8]) -> Result<bool, Full> {
        self.numbers = self.numbers.max(number);
        let Ok(filter) = TopicFilter::from_bytes(filter) else { return Ok(false) };
        let Some(name) = filter.share_name() else { return Ok(false) };
        let node = self.filters.insert(filter.inner().as_bytes())?;
        let slot = match self.make_group(node, name.as_bytes()) {
            Ok(slot) => slot,
            Err(full) => {
                self.filters.prune(node);
                return Err(full);
            }
        };
        let Some(group) = self.shared.get_mut(slot) else { return Ok(false) };
        if core::mem::replace(&mut group.number, number) != 0 {
            self.index_groups();
            return Ok(true);
        }
        self.index_group(number, slot)?;
        Ok(true)
    }

    fn index_group(&mut self, number: u64, slot: u32) -> Result<(), Full> {
        let (groups, hash) = (&self.shared, self.hash);
        let rehash = |slot| hash_of(hash, groups.get(slot).map_or(0, |group| group.number));
        self.group_index.insert(hash_of(hash, number), slot, rehash)
    }

    /// A group got another number: that is rare, so all are found anew.
    fn index_groups(&mut self) {
        self.group_index = S::GroupIndex::EMPTY;
        for slot in 0..u32::try_from(self.shared.slots()).unwrap_or(u32::MAX) {
            let number = self.shared.get(slot).map_or(0, |group| group.number);
            if number != 0 {
                let _ = self.index_group(number, slot);
            }
        }
    }

    /// The group that records know by a number.
    pub(super) fn group_numbered(&self, number: u64) -> Option<u32> {
        self.group_index.find(hash_of(self.hash, number), |slot| {
            self.shared.get(slot).is_some_and(|group| group.number == number)
        })
    }

    pub(super) fn restore_waiting(
        &mut self,
        group: u32,
        place: u64,
        delivery: &Delivery,
    ) -> Result<bool, Full> {
        let (qos, retain, len) = (delivery.qos, delivery.retain, delivery.len);
        let entry = Entry { place, len, recorded: true, ..Entry::new(delivery.body, qos, retain) };
        self.bodies.hold(delivery.body);
        match self.add_entry(group, entry) {
            Ok(_) => Ok(true),
            Err(full) => {
                self.release_body(delivery.body);
                Err(full)
            }
        }
    }

    /// What a session has came through a group.
    pub(super) fn restore_given(
        &mut self,
        (session, place): (u64, u64),
        (group, at): (u64, u64),
        qos: QoS,
        retain: bool,
    ) -> Result<bool, Full> {
        let Some(id) = self.session_numbered(session) else { return Ok(false) };
        let Some(group) = self.group_numbered(group) else { return Ok(false) };
        let session = self.session_mut(id);
        let delivery = session.and_then(|session| session.outgoing.at_place(place).copied());
        let Some(delivery) = delivery.filter(Delivery::holds_body) else { return Ok(false) };
        if delivery.entry().is_some() {
            return Ok(false);
        }
        let (state, len) = (EntryState::Given, delivery.len);
        let entry = Entry { place: at, len, state, ..Entry::new(delivery.body, qos, retain) };
        let entry = self.add_entry(group, entry)?;
        if let Some(session) = self.session_mut(id)
            && let Some(delivery) = session.outgoing.at_place(place)
        {
            *delivery = delivery.of_entry(Some(entry));
        }
        self.keep_restored(id, place);
        Ok(true)
    }

    /// What may have been sent at QoS 2 goes to no other member [MQTT5-4.8.2-5].
    pub(super) fn keep_restored(&mut self, id: SessionId, place: u64) {
        let session = self.session_mut(id);
        let delivery = session.and_then(|session| session.outgoing.at_place(place));
        let kept = delivery.filter(|one| one.qos == QoS::ExactlyOnce && one.packet_id() != 0);
        if let Some(entry) = kept.and_then(Delivery::keep) {
            self.end_entry(entry);
        }
    }

    pub(super) fn settle_restored(&mut self, group: u32, place: u64) -> bool {
        let entry = self.entry_at(group, place);
        let waits = |at: &u32| {
            self.entries.get(*at).is_some_and(|entry| entry.state == EntryState::Waiting)
        };
        let Some(at) = entry.filter(waits) else { return false };
        self.end_entry(at);
        true
    }

    /// A group ended, or no session is a member any more that outlives its connection.
    pub(super) fn forget_group(&mut self, number: u64) -> bool {
        let Some(slot) = self.group_numbered(number) else { return false };
        while let Some(at) = self.first_waiting(slot) {
            self.end_entry(at);
        }
        let is_empty = self.shared.get(slot).is_some_and(|group| group.members == 0);
        if let Some(group) = self.shared.get_mut(slot) {
            group.number = 0;
        }
        if is_empty {
            self.end_group(slot);
        }
        self.index_groups();
        true
    }

    pub(super) fn forget_groups(&mut self) {
        self.end_empty_groups();
        self.group_index = S::GroupIndex::EMPTY;
    }

    /// All records are back: what was not sent at QoS 2 is for any member. At QoS 1 nobody knows.
    pub(super) fn take_back_restored(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        for slot in 0..u32::try_from(self.sessions.slots()).unwrap_or(u32::MAX) {
            let Some(session) = self.sessions.get(slot) else { continue };
            let id = SessionId { slot, serial: session.serial };
            self.take_back_unsent(id, 0, QoS::ExactlyOnce);
        }
    }
}

fn hash_of(hash: Hash, number: u64) -> u64 {
    hash.of(3, &number.to_be_bytes())
}
