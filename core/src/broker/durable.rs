//! Acknowledge after commit: what waits for the store, and what happens when it answers.
//!
//! Every change of what must survive becomes a record under the ticket of its turn. Whatever stands
//! on it waits in the gate of its connection until the store has kept that ticket: PUBACK and
//! PUBREC for the message, PUBCOMP for the identifier that is forgotten, PUBREL for the PUBREC, the
//! answers to CONNECT, SUBSCRIBE and UNSUBSCRIBE for their change. Without a store there is no
//! ticket, and the gate is never entered.

use super::Broker;
use super::durability::Durability;
use super::journal::Ticket;
use super::link::{LinkId, Phase};
use super::peer::Batch;
use super::records::Records;
use super::session::SessionId;
use crate::Instant;
use crate::codec::{Ack, AckKind};
use crate::flow::send::Seen;
use crate::storage::{Arena, Queue, Storage};
use crate::types::{PacketId, ReasonCode};

/// What waits for a ticket, in the order in which it is to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(super) ticket: u32,
    /// What peers have to confirm before.
    pub(super) batch: Batch,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Ack(AckKind, PacketId, ReasonCode),
    /// PUBREL for a message of ours.
    Release(PacketId),
    /// A whole packet, in the bodies.
    Packet(u32),
}

impl What {
    /// Whether it answers a PUBLISH; those keep their order among each other.
    pub(super) const fn is_of_publish(self) -> bool {
        matches!(self, Self::Ack(AckKind::Ack | AckKind::Rec, ..))
    }
}

impl<S: Storage> Broker<S> {
    /// The records that the store is to keep next, together or not at all. To be asked for once a
    /// turn; [`Broker::handle_persisted`] says later that they are kept.
    ///
    /// What only a subscriber's acknowledgement changed does not start a ticket of its own: with
    /// `all`, as before a stop, it does.
    #[must_use]
    pub fn take_records(&mut self, all: bool) -> Option<(Ticket, Records<'_>)> {
        if self.journal.begins_again() {
            self.records(); // from the beginning, as the changes were too many
        }
        self.journal.take(all)
    }

    /// The store has kept a ticket, and all before it. It may say so in any order; what waits is
    /// released in the order of tickets.
    pub fn handle_persisted(&mut self, ticket: Ticket, now: Instant) {
        self.now = self.now.max(now);
        if self.journal.persisted(ticket) {
            self.release_gated();
        }
    }

    /// Whether it is still open whether a ticket is kept: it was handed out, and neither was
    /// reported as kept nor did the store fail since. A late report that one is not kept is to be
    /// passed over if this says no.
    #[must_use]
    pub const fn is_awaited(&self, ticket: Ticket) -> bool {
        self.journal.is_awaited(ticket)
    }

    pub(super) fn release_gated(&mut self) {
        if core::mem::take(&mut self.gated_more) {
            self.note_all_gated();
        }
        for _ in 0..self.gated.len() {
            let Some(id) = self.gated.pop_front() else { break };
            self.release_gate(id);
        }
        for _ in 0..self.gated_sessions.len() {
            let Some(id) = self.gated_sessions.pop_front() else { break };
            if let Some(session) = self.session_mut(id) {
                session.gated = false;
                self.go_on(id);
            }
        }
    }

    /// Sends what waited on a connection, as far as it is durable.
    pub(super) fn release_gate(&mut self, id: LinkId) {
        let journal = &self.journal;
        let Some(link) = self.links.get_mut(id.slot).filter(|link| link.serial == id.serial) else {
            return;
        };
        let shown = link.fence != 0 && journal.is_durable(link.fence);
        if shown {
            link.fence = 0;
        }
        link.gated = false;
        while let Some(pending) = self.link(id).and_then(|link| link.gate.get(0).copied()) {
            let due = self.journal.is_durable(pending.ticket) && self.is_confirmed(pending.batch);
            if !due || !self.has_room_for(id, pending.what) {
                break;
            }
            if let Some(link) = self.link_mut(id) {
                link.gate.pop_front();
            }
            self.send_pending(id, pending.what);
        }
        if self.link(id).is_some_and(|link| link.fence != 0 || !link.gate.is_empty()) {
            self.note_gated(id);
        }
        self.resume_input(id);
        self.touch(id);
        if let Some((_, session)) = self.open_session(id).filter(|_| shown) {
            self.go_on(session);
        }
    }

    /// Input that waited for the gate can be handed in again.
    fn resume_input(&mut self, id: LinkId) {
        if let Some(link) = self.link_mut(id)
            && link.blocked
            && !link.question.is_open()
            && link.phase == Phase::Open
        {
            link.blocked = false;
            self.tell(super::Event::Resume(id));
        }
    }

    fn send_pending(&mut self, id: LinkId, what: What) {
        match what {
            What::Ack(kind, packet_id, reason) => {
                self.send_ack(id.slot, kind, Ack::with_reason(packet_id, reason));
            }
            What::Release(packet_id) => {
                let Some((_, session)) = self.open_session(id) else { return };
                let Some(session) = self.session_mut(session) else { return };
                // It may have been sent with the others of a session that goes on.
                if session.outgoing.advance(packet_id, Seen::Sent).is_ok() {
                    self.send_ack(id.slot, AckKind::Rel, Ack::new(packet_id));
                }
            }
            What::Packet(run) => {
                let bytes = self.bodies.run(run);
                let sent = self.links.get_mut(id.slot).map(|link| link.push_bytes(bytes));
                self.bodies.release_ids(run);
                self.counters.count_others(u64::from(sent == Some(true)));
                if sent == Some(false) {
                    self.close_link(id, ReasonCode::QuotaExceeded); // there never will be room
                }
            }
        }
    }

    /// Whether what waited has room in the output.
    fn has_room_for(&mut self, id: LinkId, what: What) -> bool {
        let len = match what {
            What::Packet(run) => self.bodies.run(run).len(),
            _ => 0,
        };
        self.has_answer_room(id, len)
    }

    pub(super) fn note_gated(&mut self, id: LinkId) {
        let Some(link) = self.link_mut(id).filter(|link| !link.gated) else { return };
        link.gated = true;
        self.gated_more |= self.gated.push_back(id).is_err();
    }

    /// There are more that wait than could be noted: looks for them.
    fn note_all_gated(&mut self) {
        for slot in 0..u32::try_from(self.links.slots()).unwrap_or(u32::MAX) {
            if let Some(id) = self.link_id(slot)
                && self.link(id).is_some_and(|link| link.gated)
            {
                self.release_gate(id);
            }
        }
        for slot in 0..u32::try_from(self.sessions.slots()).unwrap_or(u32::MAX) {
            let Some(session) = self.sessions.get_mut(slot) else { continue };
            if core::mem::take(&mut session.gated) {
                let id = SessionId { slot, serial: session.serial };
                self.go_on(id);
            }
        }
    }

    /// Nothing waits for the store any more on a connection that ends.
    pub(super) fn clear_gate(&mut self, id: LinkId) {
        while let Some(pending) = self.link_mut(id).and_then(|link| link.gate.pop_front()) {
            if let What::Packet(run) = pending.what {
                self.bodies.release_ids(run);
            }
        }
    }

    /// Sends `what` once `ticket` is durable: at once, if it is and nothing waits before it.
    pub(super) fn answer_after(&mut self, id: LinkId, ticket: u32, what: What) {
        self.answer_after_all(id, ticket, Batch::NONE, what);
    }

    /// The same once peers have confirmed `batch`, too.
    pub(super) fn answer_after_all(&mut self, id: LinkId, ticket: u32, batch: Batch, what: What) {
        if self.open_session(id).is_none() {
            if let What::Packet(run) = what {
                self.bodies.release_ids(run);
            }
            return; // it ends, and hears nothing more
        }
        let due = self.journal.is_durable(ticket) && self.is_confirmed(batch);
        if due && !self.waits_behind(id, what) {
            return self.send_pending(id, what);
        }
        self.await_batch(batch, id);
        let pending = Pending { ticket, batch, what };
        let pushed = self.link_mut(id).map(|link| link.gate.push_back(pending));
        if !matches!(pushed, Some(Ok(()))) {
            // The room was made sure of before the packet was taken.
            return self.close_link(id, ReasonCode::QuotaExceeded);
        }
        self.note_gated(id);
    }

    /// Whether an answer has to wait for others to be sent. While the store has failed, refusals
    /// don't wait for what is held back until it is there again.
    fn waits_behind(&self, id: LinkId, what: What) -> bool {
        let Some(link) = self.link(id) else { return false };
        let refusals = self.journal.failed && what.is_of_publish();
        let mut pending = (0..link.gate.len()).filter_map(|at| link.gate.get(at));
        pending.any(|pending| !refusals || pending.what.is_of_publish())
    }

    /// Whether what one packet may be answered with has room in the gate, and the store is not too
    /// far behind.
    pub(super) fn has_gate_room(&mut self, id: LinkId) -> bool {
        if self.journal.is_behind() {
            self.journal.wait();
            return false;
        }
        if self.peers_are_behind() {
            return false;
        }
        self.link(id).is_some_and(|link| link.gate.len() < link.gate.limit())
    }

    /// The ticket that must be durable before what was recorded since `mark` is answered.
    pub(super) fn ticket_since(&mut self, mark: u32) -> u32 {
        if self.journal.mark() == mark { 0 } else { self.journal.wait() }
    }

    /// The ticket that must be durable before a message is answered that was recorded since `mark`.
    pub(super) fn due_since(&mut self, mark: u32, class: Durability) -> u32 {
        match class {
            Durability::Durable => self.ticket_since(mark),
            Durability::Relaxed | Durability::Memory => 0,
        }
    }

    /// The connection shows nothing before `ticket` is durable.
    pub(super) fn fence(&mut self, id: LinkId, ticket: u32) {
        if self.journal.is_durable(ticket) {
            return;
        }
        if let Some(link) = self.link_mut(id) {
            link.fence = ticket;
        }
        self.note_gated(id);
    }

    /// A session waits for a ticket before it can be sent more.
    pub(super) fn gate_session(&mut self, id: SessionId) {
        if let Some(session) = self.session_mut(id)
            && !session.gated
        {
            session.gated = true;
            self.gated_more |= self.gated_sessions.push_back(id).is_err();
        }
    }
}
