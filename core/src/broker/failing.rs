//! The store fails: nothing of what it has not kept is acknowledged, and no message is lost that
//! was.
//!
//! What publishers are still owed an answer for is refused and taken back. Everything else that
//! waited goes on waiting, until the store is there again and was told everything.

use super::Broker;
use super::counters::DropReason;
use super::durable::{Pending, What};
use super::link::LinkId;
use super::session::SessionId;
use crate::Instant;
use crate::codec::{Ack, AckKind};
use crate::storage::{Arena, Queue, Storage};
use crate::types::{PacketId, ReasonCode};

impl<S: Storage> Broker<S> {
    /// The store failed: what it has not reported as kept it does not keep, and never will. Nothing
    /// of that is acknowledged: MQTT 5 clients are told so (0x97), older ones lose their
    /// connection.
    ///
    /// Until [`Broker::records`] is called, messages above QoS 0 are refused, and whatever else has
    /// to be kept before it is answered waits.
    pub fn handle_persist_failed(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.journal.is_on() {
            self.fail_from(self.journal.first_unkept());
        }
    }

    /// The memory for records may have been too small: then the open ticket failed.
    pub(super) fn check_journal(&mut self) {
        if self.journal.has_overflowed() {
            let ticket = self.journal.open_ticket();
            self.fail_from(ticket);
            self.journal.begin_again();
        }
    }

    /// Nothing of the tickets from `first` on is kept.
    fn fail_from(&mut self, first: u32) {
        let last = self.journal.open_ticket();
        let snapshot = self.journal.fail(first);
        for slot in 0..u32::try_from(self.sessions.slots()).unwrap_or(u32::MAX) {
            let Some(session) = self.sessions.get_mut(slot) else { continue };
            // A message of the client's is new when it comes again.
            session.receipts.forget_if(|token| (first..=last).contains(&token));
            let id = SessionId { slot, serial: session.serial };
            self.withdraw(id, first, snapshot);
        }
        self.withdraw_entries(first, snapshot);
        for slot in 0..u32::try_from(self.links.slots()).unwrap_or(u32::MAX) {
            let Some(id) = self.link_id(slot) else { continue };
            if let Some(link) = self.link_mut(id).filter(|link| link.fence >= first) {
                link.fence = snapshot;
            }
            self.refuse_gated(id, first, snapshot);
        }
        self.fail_forwards(first, snapshot);
        self.release_gated();
    }

    /// Copies that were not kept, and whose publisher keeps the message, are taken back; others
    /// wait for the snapshot.
    fn withdraw(&mut self, id: SessionId, first: u32, snapshot: u32) {
        let mut from = 0;
        while let Some(session) = self.session_mut(id)
            && let Some((at, delivery)) = session.outgoing.withdraw(from, first, snapshot)
        {
            from = at.saturating_add(1);
            self.drop_queued(DropReason::Memory, id, &delivery);
            self.let_go(&delivery);
        }
    }

    /// Refuses the messages of a connection that were not kept; what else waited goes on waiting.
    fn refuse_gated(&mut self, id: LinkId, first: u32, snapshot: u32) {
        let Some(version) = self.link(id).map(|link| link.version) else { return };
        let count = self.link(id).map_or(0, |link| link.gate.len());
        let mut lost = false;
        for _ in 0..count {
            let Some(pending) = self.link_mut(id).and_then(|link| link.gate.pop_front()) else {
                break;
            };
            let Pending { mut ticket, batch, what } = pending;
            if ticket >= first {
                if let What::Ack(kind @ (AckKind::Ack | AckKind::Rec), packet_id, _) = what {
                    lost |= !version.is_v5();
                    self.refuse_one(id, kind, packet_id);
                    continue;
                }
                ticket = snapshot;
            }
            if let Some(link) = self.link_mut(id) {
                let _ = link.gate.push_back(Pending { ticket, batch, what });
            }
        }
        if lost {
            self.close_link(id, ReasonCode::QuotaExceeded);
        }
    }

    fn refuse_one(&mut self, id: LinkId, kind: AckKind, packet_id: PacketId) {
        if self.link(id).is_some_and(|link| link.version.is_v5()) {
            self.send_ack(id.slot, kind, Ack::with_reason(packet_id, ReasonCode::QuotaExceeded));
        }
    }
}
