//! Acknowledge after commit: what waits for the store, and what happens when it answers.
//!
//! Every change of what must survive becomes a record under the ticket of its turn. Whatever stands
//! on it waits in the gate of its connection until the store has kept that ticket: PUBACK and
//! PUBREC for the message, PUBCOMP for the identifier that is forgotten, PUBREL for the PUBREC, the
//! answers to CONNECT, SUBSCRIBE and UNSUBSCRIBE for their change. Without a store there is no
//! ticket, and the gate is never entered.

use super::Broker;
use super::journal::Ticket;
use super::link::{LinkId, Phase};
use super::record::Records;
use super::session::SessionId;
use crate::Instant;
use crate::codec::{Ack, AckKind};
use crate::flow::receive;
use crate::flow::send::Seen;
use crate::storage::{Arena, Queue, Storage};
use crate::types::{PacketId, ReasonCode};

/// What waits for a ticket, in the order in which it is to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    ticket: u32,
    what: What,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Ack(AckKind, PacketId, ReasonCode),
    /// PUBREL for a message of ours.
    Release(PacketId),
    /// A whole packet, in the bodies.
    Packet(u32),
}

impl<S: Storage> Broker<S> {
    /// The records that the store is to keep next, together or not at all. To be asked for once a
    /// turn; [`Broker::handle_persisted`] says later that they are kept.
    ///
    /// What only a subscriber's acknowledgement changed does not start a ticket of its own: with
    /// `all`, as before a stop, it does.
    #[must_use]
    pub fn take_records(&mut self, all: bool) -> Option<(Ticket, Records<'_>)> {
        let (ticket, bytes) = self.journal.take(all)?;
        Some((ticket, Records(bytes)))
    }

    /// The store has kept a ticket. In any order; what waits is released in the order of tickets.
    pub fn handle_persisted(&mut self, ticket: Ticket, now: Instant) {
        self.now = self.now.max(now);
        if self.journal.persisted(ticket) {
            self.release_gated();
        }
    }

    fn release_gated(&mut self) {
        for _ in 0..self.gated.len() {
            let Some(id) = self.gated.pop_front() else { break };
            self.release_gate(id);
        }
        for _ in 0..self.gated_sessions.len() {
            let Some(id) = self.gated_sessions.pop_front() else { break };
            if let Some(session) = self.session_mut(id) {
                session.gated = false;
                self.pump(id);
            }
        }
    }

    /// Sends what waited on a connection, as far as it is durable.
    fn release_gate(&mut self, id: LinkId) {
        let journal = &self.journal;
        let Some(link) = self.links.get_mut(id.slot).filter(|link| link.serial == id.serial) else {
            return;
        };
        if link.fence != 0 && journal.is_durable(link.fence) {
            link.fence = 0;
        }
        link.gated = false;
        while let Some(pending) = self.link(id).and_then(|link| link.gate.get(0).copied()) {
            if !self.journal.is_durable(pending.ticket) || !self.has_answer_room(id) {
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
    }

    /// Input that waited for the gate can be handed in again.
    fn resume_input(&mut self, id: LinkId) {
        if let Some(link) = self.link_mut(id)
            && link.blocked
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
                self.send_ack(id.slot, AckKind::Rel, Ack::new(packet_id));
                if let Some((_, session)) = self.open_session(id)
                    && let Some(session) = self.session_mut(session)
                {
                    let _ = session.outgoing.advance(packet_id, Seen::Sent);
                }
            }
            What::Packet(run) => {
                let bytes = self.bodies.run(run);
                if let Some(link) = self.links.get_mut(id.slot) {
                    link.push_bytes(bytes);
                }
                self.bodies.release_ids(run);
            }
        }
    }

    fn note_gated(&mut self, id: LinkId) {
        if let Some(link) = self.link_mut(id)
            && !link.gated
        {
            link.gated = true;
            let _ = self.gated.push_back(id);
        }
    }

    /// Sends `what` once `ticket` is durable: at once, if it is and nothing waits before it.
    pub(super) fn answer_after(&mut self, id: LinkId, ticket: u32, what: What) {
        let waits = self.link(id).is_some_and(|link| !link.gate.is_empty());
        if !waits && self.journal.is_durable(ticket) {
            return self.send_pending(id, what);
        }
        let pushed = self.link_mut(id).map(|link| link.gate.push_back(Pending { ticket, what }));
        if !matches!(pushed, Some(Ok(()))) {
            // The room was made sure of before the packet was taken.
            return self.close_link(id, ReasonCode::QuotaExceeded);
        }
        self.note_gated(id);
    }

    /// Whether what one packet may be answered with has room in the gate, and the store is not too
    /// far behind.
    pub(super) fn has_gate_room(&self, id: LinkId) -> bool {
        let behind = self.journal.len() > MOST_BEHIND;
        self.link(id).is_some_and(|link| !behind && link.gate.len() < link.gate.limit())
    }

    /// The ticket that must be durable before what was recorded since `mark` is answered.
    pub(super) fn ticket_since(&mut self, mark: usize) -> u32 {
        if self.journal.len() == mark { 0 } else { self.journal.wait() }
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
            let _ = self.gated_sessions.push_back(id);
        }
    }

    /// The store failed: nothing of what it has not kept is acknowledged. MQTT 5 clients are told
    /// so (0x97), older ones lose their connection. Until [`Broker::records`] is called, messages
    /// above QoS 0 are refused.
    pub fn handle_persist_failed(&mut self, now: Instant) {
        self.now = self.now.max(now);
        for _ in 0..self.gated.len() {
            let Some(id) = self.gated.pop_front() else { break };
            self.refuse_gated(id);
        }
        self.withdraw_copies();
        self.journal.fail();
        self.release_gated();
    }

    /// Answers what waited on a connection with a refusal.
    fn refuse_gated(&mut self, id: LinkId) {
        let Some((version, session)) = self.open_session(id) else { return };
        if let Some(link) = self.link_mut(id) {
            link.gated = false;
        }
        let mut lost = self.link(id).is_some_and(|link| link.fence != 0);
        while let Some(pending) = self.link_mut(id).and_then(|link| link.gate.pop_front()) {
            match pending.what {
                What::Ack(kind @ (AckKind::Ack | AckKind::Rec), packet_id, _) => {
                    if let Some(session) = self.session_mut(session) {
                        // It is new when it comes again.
                        let seen = receive::Seen::Refused;
                        let _ = session.receipts.advance(packet_id, seen, 0);
                    }
                    let reason = ReasonCode::QuotaExceeded;
                    lost |= !version.is_v5();
                    if version.is_v5() {
                        self.send_ack(id.slot, kind, Ack::with_reason(packet_id, reason));
                    }
                }
                What::Ack(..) | What::Release(_) => lost = true,
                What::Packet(run) => {
                    self.bodies.release_ids(run);
                    lost = true;
                }
            }
        }
        if lost {
            if let Some(link) = self.link_mut(id) {
                link.fence = 0;
            }
            self.close_link(id, ReasonCode::QuotaExceeded);
        }
    }

    /// Copies whose ticket was not kept, and that were not sent, are taken back.
    fn withdraw_copies(&mut self) {
        let slots = u32::try_from(self.sessions.slots()).unwrap_or(u32::MAX);
        for slot in 0..slots {
            loop {
                let journal = &self.journal;
                let Some(session) = self.sessions.get_mut(slot) else { break };
                let withdrawn = session.outgoing.withdraw(|ticket| !journal.is_durable(ticket));
                let Some(delivery) = withdrawn else { break };
                self.counters.dropped_memory = self.counters.dropped_memory.saturating_add(1);
                self.let_go(&delivery);
            }
        }
    }
}

/// How many bytes of records may wait for the store before input does, in bytes.
const MOST_BEHIND: usize = 8 << 20;
