//! Messages that wait: for a connection, for quota, for a store; and what makes room for them.

use super::records::Change;
use crate::client::error::{Failure, SendError};
use crate::client::options::WhenFull;
use crate::client::{Client, Phase};
use crate::flow::packets::{is_dup, is_owed};
use crate::flow::send::Seen;
use crate::storage::Storage;
use crate::types::PacketId;

impl<S: Storage> Client<S> {
    #[cold]
    pub(in crate::client) fn make_room(&mut self, len: usize) -> Result<(), SendError> {
        self.check_room(len)?;
        while !self.outbox.has_room(len.saturating_add(self.reserve())) {
            if !self.drop_oldest() {
                return Err(SendError::Full);
            }
        }
        Ok(())
    }

    /// That a packet fits, if need be once all that may be dropped is dropped.
    fn check_room(&mut self, len: usize) -> Result<(), SendError> {
        let limit = self.outbox.most_room().saturating_sub(self.reserve());
        if len > limit {
            return Err(SendError::TooLarge { limit });
        }
        let droppable = match self.may_drop() {
            true => {
                self.outbox.each_waiting().filter(|packet| !is_dup(packet)).map(<[u8]>::len).sum()
            }
            false => 0,
        };
        let room = self.outbox.free_room().saturating_add(droppable);
        if len.saturating_add(self.reserve()) > room { Err(SendError::Full) } else { Ok(()) }
    }

    /// Whether older messages make room for new ones: without a connection, if the policy is so.
    fn may_drop(&self) -> bool {
        self.phase != Phase::Open && self.settings.when_full == WhenFull::DropOldest
    }

    /// Drops the oldest message that was never sent.
    fn drop_oldest(&mut self) -> bool {
        match self.outbox.drop_waiting(|packet| !is_dup(packet)) {
            None => return false,
            Some(None) => self.dropped = self.dropped.saturating_add(1),
            Some(Some(id)) => self.fail(id, Failure::Dropped),
        }
        true
    }

    /// Drops the oldest message that was never sent and has a packet identifier, for a message of
    /// `len` bytes; returns its identifier.
    ///
    /// One at a time: there is a place for the news of one. Until the application was told, the
    /// next has no identifier.
    #[cold]
    pub(in crate::client) fn evict(&mut self, len: usize) -> Result<PacketId, SendError> {
        self.limits.check_size(len)?;
        self.check_room(len)?;
        if !self.may_drop() || self.evicted != 0 {
            return Err(SendError::Full);
        }
        let dropped = self.outbox.drop_waiting(|packet| is_owed(packet) && !is_dup(packet));
        let id = dropped.flatten().ok_or(SendError::Full)?;
        self.evicted = self.token_of(id).0;
        self.flights.forget(id);
        self.record_settled(id);
        self.flights.peek_free().ok_or(SendError::Full)
    }

    /// Nothing more will come of this message.
    pub(in crate::client) fn fail(&mut self, id: PacketId, why: Failure) {
        self.flights.fail(id, why.as_byte());
        self.record_dropped(id);
    }

    /// What waits leaves, as far as quota and store allow.
    pub(in crate::client) fn promote(&mut self) {
        while let Some(packet) = self.outbox.first_waiting() {
            if let Some(id) = crate::codec::publish_packet_id(packet) {
                let unrecorded = self.flights.get(id).is_some_and(|flight| flight.unrecorded);
                if unrecorded || !self.quota.is_open() {
                    return;
                }
                #[cfg(feature = "stream")]
                if self.waits_for_stream(id) {
                    return;
                }
                self.quota.take();
                let _ = self.flights.advance(id, Seen::Sent);
                let place = self.outbox.promote();
                self.flights.set_place(id, place);
            } else {
                self.outbox.promote();
            }
        }
    }

    pub(in crate::client) fn record_publish(&mut self, id: PacketId) {
        if let Some(flight) = self.flights.get_mut(id) {
            flight.unrecorded = true;
            self.journal.push(Change::Publish(id, flight.token as u16));
        }
    }
}
