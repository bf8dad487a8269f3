//! A broker without memory that grows has no peers: nobody is asked, told, or waited for.

use super::Acceptance;
use super::Broker;
use super::body::Content;
use super::event::Input;
use super::link::LinkId;
use super::session::SessionId;
use crate::codec::Connect;
use crate::storage::Storage;
use crate::types::QoS;

/// What an answer waits for: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch;

impl Batch {
    pub(super) const NONE: Self = Self;

    #[expect(clippy::unused_self, reason = "with peers it is a question")]
    pub(super) const fn is_none(self) -> bool {
        true
    }
}

#[expect(clippy::unused_self, reason = "with peers there is something to do")]
impl<S: Storage> Broker<S> {
    pub(super) const fn count_interest(&self, _: u32, _: i8) {}

    pub(super) const fn count_presence(&self, _: SessionId, _: bool) {}

    pub(super) const fn begin_batch(&self) {}

    pub(super) const fn take_batch(&self) -> Batch {
        Batch
    }

    pub(super) const fn is_confirmed(&self, _: Batch) -> bool {
        true
    }

    pub(super) const fn await_batch(&self, _: Batch, _: LinkId) {}

    pub(super) const fn peers_are_behind(&self) -> bool {
        false
    }

    pub(super) const fn plan_forwards(&self, _: &[u8]) {}

    pub(super) const fn forward(&self, _: &Content<'_>, _: QoS, _: bool) -> bool {
        false
    }

    pub(super) const fn fail_forwards(&self, _: u32, _: u32) {}

    pub(super) const fn note_received(&self, _: SessionId, _: u16, _: Batch) {}

    pub(super) const fn received_batch(&self, _: SessionId, _: u16, _: bool) -> Batch {
        Batch
    }

    pub(super) const fn is_for_all(&self) -> bool {
        true
    }

    pub(super) const fn is_for_group(&self, _: u32) -> bool {
        true
    }

    pub(super) const fn hand_over(&self, _: u32, _: bool) {}

    pub(super) const fn may_retain(&self, _: &[u8]) -> bool {
        true
    }

    pub(super) const fn tell_deleted(&self, _: u32) {}

    pub(super) const fn must_claim(&self, _: LinkId, _: &Connect<'_>, _: &Acceptance<'_>) -> bool {
        false
    }

    pub(super) const fn claim(&self, _: LinkId, _: &[u8]) -> Input {
        Input::Blocked
    }

    pub(super) const fn claim_kept(&self, _: LinkId, _: &Acceptance<'_>, _: Option<&[u8]>) -> bool {
        false
    }

    pub(super) const fn claim_attached(
        &self,
        _: LinkId,
        _: &Connect<'_>,
        _: &Acceptance<'_>,
    ) -> bool {
        false
    }

    pub(super) const fn is_due(
        &self,
        _: SessionId,
        _: &Content<'_>,
        _: (QoS, bool, bool),
        _: u32,
    ) -> bool {
        true
    }

    pub(super) const fn forget_epoch(&self, _: SessionId) {}

    pub(super) const fn forget_passed(&self, _: SessionId, _: u32) {}

    pub(super) const fn was_passed(&self, _: SessionId, _: u32, _: u32) -> bool {
        false
    }

    pub(super) const fn renew_epoch(&self, _: SessionId) {}
}
