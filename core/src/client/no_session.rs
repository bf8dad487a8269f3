//! What stands for the session where the feature `session` is off: each connection begins one.
//!
//! Nothing waits for a connection, and what a connection leaves behind has failed.

use core::marker::PhantomData;

use super::Client;
use super::error::{Failure, SendError};
use super::event::AckToken;
use super::subscribe::Filter;
use crate::codec::{ConnAck, Items};
use crate::flow::quota::Quota;
use crate::storage::Storage;
use crate::types::{PacketId, ReasonCode};

/// What a store would be told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {}

/// There is no store.
#[derive(Debug)]
pub(super) struct Journal<Q>(PhantomData<Q>);

impl<Q> Journal<Q> {
    pub(super) const EMPTY: Self = Self(PhantomData);

    pub(super) fn set_limit(&mut self, _: u16) {}

    pub(super) fn begin(&mut self, _: bool) {}

    pub(super) const fn is_on(&self) -> bool {
        false
    }

    pub(super) const fn behind(&self) -> usize {
        0
    }

    pub(super) const fn has_room(&self) -> bool {
        true
    }

    pub(super) fn answer_when_forgotten(&mut self, _: PacketId) -> bool {
        false
    }
}

impl<S: Storage> Client<S> {
    pub(super) fn begin_anew(&mut self) {}

    /// No server has a session that this client could go on with.
    pub(super) const fn may_resume(&self) -> bool {
        false
    }

    pub(super) fn begin_session(&mut self, _: &ConnAck<'_>) {
        let window = self.limits.receive_maximum.min(self.flights.limit());
        self.quota = Quota::new(window, 0);
    }

    /// The connection is gone: every request has failed.
    pub(super) fn leave_session(&mut self) {
        self.outbox.clear();
        let mut after = 0;
        while let Some(id) = self.flights.next_in_use(after) {
            after = id.get();
            self.flights.fail(id, Failure::Disconnected.as_byte());
        }
        self.releases_due = 0;
        self.receipts.clear();
        self.handed = AckToken::NOTHING;
    }

    pub(super) fn make_room(&mut self, _: usize) -> Result<(), SendError> {
        Err(SendError::Full)
    }

    pub(super) fn evict(&mut self, _: usize) -> Result<PacketId, SendError> {
        Err(SendError::Full)
    }

    pub(super) fn promote(&mut self) {}

    pub(super) fn kept_len(&self, _: &[Filter<'_>]) -> usize {
        0
    }

    pub(super) fn keep_filters(
        &mut self,
        _: &[Filter<'_>],
        _: u32,
        _: PacketId,
    ) -> Result<(), SendError> {
        Ok(())
    }

    pub(super) fn forget_filter(&mut self, _: &[u8]) {}

    pub(super) fn forget_refused_filters(&mut self, _: PacketId, _: Items<'_, ReasonCode>) {}

    pub(super) fn note_resubscribed(&mut self) {}

    pub(super) fn send_resubscriptions(&mut self) {}

    pub(super) fn record_publish(&mut self, _: PacketId) {}

    pub(super) fn record_settled(&mut self, _: PacketId) {}

    pub(super) fn record_release(&mut self, _: PacketId) {}

    pub(super) fn record_received(&mut self, _: PacketId) {}

    pub(super) fn record_forgotten(&mut self, _: PacketId) {}

    pub(super) fn act_on_kept(&mut self) {}
}
