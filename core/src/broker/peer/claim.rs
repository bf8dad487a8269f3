//! Client identifiers: a session is at one broker, and moves to where its client connects.
//!
//! A broker that does not have the session of a client that connects asks every peer. Whoever has
//! it ends its connection, as for any takeover, and gives the session up; once all have answered,
//! the client is accepted. Of two brokers that ask at once one is overruled: its client is refused,
//! and what it was given meanwhile goes on to the other. A session that is not for the user who
//! connects stays where it is, and its client stays connected: as within one broker, the stranger
//! is refused; and of two users that ask at once, the first one goes first.

use crate::broker::SessionEnd;
use alloc::boxed::Box;
use alloc::vec::Vec;

use super::forward::{Kept, Sent};
use super::message::{Late, Message, Stamp, Wanted};
use super::moving::Passed;
use super::waiting::Waiting;
use super::{Batch, Cluster, Out, PeerId};
use crate::broker::event::{Event, Input};
use crate::broker::link::{LinkId, Phase};
use crate::broker::session::SessionId;
use crate::broker::{Acceptance, Broker};
use crate::codec::{Connect, Packet};
use crate::storage::Storage;
use crate::types::{ReasonCode, Text};

/// A client that connects here, while its session is looked for.
#[derive(Debug)]
pub(super) struct Claim {
    /// What peers are asked.
    wanted: Wanted,
    /// Who was asked and has not answered.
    asked: Vec<(PeerId, u64)>,
    /// The connections that wait for it, in order.
    waiting: Vec<Waiting>,
    /// What was given up for it, and how that is confirmed.
    given: Vec<Given>,
    /// What ghosts got for it, which goes behind that.
    late: Vec<(PeerId, Late)>,
    /// Later claims of others, which get what this one is given, or what comes of it.
    rivals: Vec<(PeerId, Wanted)>,
    /// Whether it is overruled, and whether the session is not for who connects.
    lost: bool,
    denied: bool,
    /// Who has the session, and keeps it for a client that comes.
    here: Option<PeerId>,
    /// Whether a peer that was not asked may have a session as well.
    doubtful: bool,
}

/// A session that a peer gave up.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) peer: PeerId,
    /// Since when it was there, and what of each broker had come there by then.
    pub(super) epoch: Stamp,
    pub(super) seen: Vec<(PeerId, u64)>,
    pub(super) passed: Vec<Passed>,
    pub(super) confirm: u64,
    pub(super) records: Vec<u8>,
}

impl Claim {
    fn answered(&mut self, peer: PeerId, ticket: u64) {
        self.asked.retain(|asked| *asked != (peer, ticket));
    }
}

impl Cluster {
    /// Up to which number messages of each broker have come.
    fn seen(&self) -> Vec<(PeerId, u64)> {
        let own = (self.options.id, self.seq);
        self.peers.iter().map(|peer| (peer.id, peer.seen)).chain([own]).collect()
    }

    /// Asks every peer that is there for the session of a client.
    fn ask_for(&mut self, wanted: Wanted) -> Claim {
        let (mut asked, waiting, given, rivals) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for at in self.present() {
            let Some(peer) = self.peers.get_mut(at) else { break };
            peer.ticket = peer.ticket.saturating_add(1);
            let ticket = peer.ticket;
            asked.push((peer.id, ticket));
            let comes = wanted.comes && self.is_near(at);
            let wanted = Wanted { ticket, comes, ..wanted.clone() };
            self.send(at, 0, Message::Claim(Box::new(wanted)));
        }
        let (late, lost, denied, doubtful) = (Vec::new(), false, false, false);
        let here = None;
        Claim { wanted, asked, waiting, given, late, rivals, lost, denied, here, doubtful }
    }

    /// A peer has a session that is looked for.
    pub(super) fn doubt(&mut self, client_id: &[u8]) {
        if let Some(claim) = self.claims.get_mut(client_id) {
            claim.doubtful = true;
        }
    }

    /// A peer joined: it is asked for the sessions that are looked for. What it gave up before it
    /// was lost it has again.
    pub(super) fn ask_newcomer(&mut self, at: usize) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        let mut all = Vec::new();
        for claim in self.claims.values_mut() {
            if claim.lost || claim.denied {
                claim.doubtful = true;
                continue;
            }
            peer.ticket = peer.ticket.saturating_add(1);
            let (id, ticket) = (peer.id, peer.ticket);
            claim.asked.push((id, ticket));
            claim.given.retain(|given| given.peer != id);
            claim.late.retain(|(from, _)| *from != id);
            let comes = claim.wanted.comes && peer.near;
            all.push(Wanted { ticket, comes, ..claim.wanted.clone() });
        }
        for wanted in all {
            self.send(at, 0, Message::Claim(Box::new(wanted)));
        }
    }
}

impl<S: Storage> Broker<S> {
    /// Whether peers have to be asked before this client is accepted.
    pub(in crate::broker) fn must_claim(
        &self,
        id: LinkId,
        connect: &Connect<'_>,
        how: &Acceptance<'_>,
    ) -> bool {
        let Some(cluster) = self.cluster.as_deref() else { return false };
        let client_id = self.client_id_of(id, connect, how);
        if client_id.is_empty() {
            return false; // it is given one that nobody has
        }
        let mut there = cluster.peers.iter().filter(|peer| peer.present);
        // One that joined may have a session of that name as well, until it has told of all.
        let unknown = self.find_session(client_id).is_none();
        cluster.claims.contains_key(client_id) || there.any(|peer| unknown || !peer.told)
    }

    /// Asks peers for the session of the client whose CONNECT is kept, if they have to be. Whether
    /// they are.
    pub(in crate::broker) fn claim_kept(
        &mut self,
        id: LinkId,
        how: &Acceptance<'_>,
        data: Option<&[u8]>,
    ) -> bool {
        let Some(connect) = self.kept_connect(id).filter(|one| self.must_claim(id, one, how))
        else {
            return false;
        };
        let client_id: Vec<u8> = self.client_id_of(id, &connect, how).into();
        let (clean, (user, of_anybody)) = (connect.clean_start, self.claimant(&connect, how));
        let comes = self.may_move(id, &connect, &client_id);
        if let Some(link) = self.link_mut(id) {
            link.phase = Phase::Claiming;
        }
        let now = self.now;
        let Some(cluster) = self.cluster.as_deref_mut() else { return false };
        let epoch = cluster.stamp(now);
        if !cluster.claims.contains_key(&client_id) {
            let (ticket, name) = (0, client_id.clone());
            let wanted = Wanted { client_id: name, user, of_anybody, epoch, clean, comes, ticket };
            let claim = cluster.ask_for(wanted);
            cluster.claims.insert(client_id.clone(), claim);
        }
        if let Some(claim) = cluster.claims.get_mut(&client_id) {
            claim.wanted.comes &= comes;
            claim.waiting.push(Waiting::new(id, epoch, how, data));
        }
        true
    }

    /// As whom a client connects, and whether it gets the session of anybody.
    fn claimant(&self, connect: &Connect<'_>, how: &Acceptance<'_>) -> (Vec<u8>, bool) {
        let user = how.user.or(connect.user_name).map_or(&[][..], Text::as_bytes);
        (user.into(), how.take_over || !self.options.ask_connect)
    }

    /// The same for a CONNECT that is not kept yet: what handing it in comes to.
    pub(in crate::broker) fn claim(&mut self, id: LinkId, packet: &[u8]) -> Input {
        let Ok(run) = self.bodies.keep_ids(packet) else {
            return self.refuse(id, ReasonCode::QuotaExceeded);
        };
        if let Some(link) = self.link_mut(id) {
            link.connect = run.saturating_add(1);
        }
        self.claim_kept(id, &Acceptance::default(), None);
        Input::Blocked
    }

    /// The same for a client of the host's. Whether peers are asked.
    pub(in crate::broker) fn claim_attached(
        &mut self,
        id: LinkId,
        connect: &Connect<'_>,
        how: &Acceptance<'_>,
    ) -> bool {
        if !self.must_claim(id, connect, how) {
            return false;
        }
        let packet = Packet::Connect(*connect);
        let Ok(len) = packet.encoded_len(connect.version) else { return false };
        let mut bytes = alloc::vec![0; len];
        if packet.encode(connect.version, &mut bytes).is_err() {
            return false;
        }
        let Ok(run) = self.bodies.keep_ids(&bytes) else { return false };
        if let Some(link) = self.link_mut(id) {
            link.connect = run.saturating_add(1);
        }
        self.claim_kept(id, how, None)
    }

    /// Goes on with a claim if all have answered.
    fn go_on_with(&mut self, client_id: &[u8]) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        if !cluster.claims.get(client_id).is_some_and(|claim| claim.asked.is_empty()) {
            return;
        }
        let Some(mut claim) = cluster.claims.remove(client_id) else { return };
        let there = |peer: &PeerId| cluster.find(*peer).is_some_and(|at| cluster.is_present(at));
        claim.here = claim.here.filter(there);
        // It may be that another broker has one as well.
        claim.doubtful |= claim.here.is_some() && !claim.given.is_empty();
        self.take_given(client_id, claim.wanted.epoch, &claim.given);
        for (peer, late) in &claim.late {
            let at = self.cluster.as_deref().and_then(|cluster| cluster.find(*peer));
            if let Some(at) = at {
                self.handle_late(at, late);
            }
        }
        for waiting in &claim.waiting {
            self.end_waiting(waiting, &claim);
        }
        if claim.doubtful && self.find_session(client_id).is_some() {
            let Some(cluster) = self.cluster.as_deref_mut() else { return };
            cluster.present().for_each(|at| cluster.tell_owned(at, client_id));
        }
        for (peer, wanted) in claim.rivals {
            let at = self.cluster.as_deref().and_then(|cluster| cluster.find(peer));
            if let Some(at) = at {
                self.handle_claim(at, wanted);
            }
        }
    }

    /// What was given up for a claim is here from now on: of several sessions, as brokers were
    /// parted, the one that holds.
    fn take_given(&mut self, client_id: &[u8], since: Stamp, given: &[Given]) {
        let (ours, now) = (self.find_session(client_id), self.now);
        let Some(cluster) = self.cluster.as_deref() else { return };
        let known = ours.map(|_| cluster.epoch_of(client_id));
        let best = given.iter().map(|one| one.epoch).max().max(known);
        if let Some(id) = ours.filter(|_| best > known) {
            self.end_session(id, SessionEnd::Moved);
        }
        for Given { peer, epoch, seen, passed, confirm, records } in given {
            let mark = self.journal.mark();
            let holds = Some(*epoch) == best && self.find_session(client_id).is_none();
            if holds {
                self.import(records);
            }
            let id = self.find_session(client_id).filter(|_| holds);
            if let (Some(_), Some(cluster)) = (id, self.cluster.as_deref_mut()) {
                let holds_since = if *epoch < since { since } else { cluster.stamp(now) };
                cluster.epochs.insert(client_id.into(), holds_since);
            }
            let due = (self.ticket_since(mark), Batch::NONE);
            if let Some(cluster) = self.cluster.as_deref_mut()
                && let Some(at) = cluster.find(*peer).filter(|at| cluster.is_present(*at))
            {
                cluster.answer(at, due, *confirm, Vec::new());
                if id.is_none() {
                    let client_id = client_id.into();
                    cluster.send(at, 0, Message::Discard { client_id, since });
                }
            }
            if let Some(id) = id {
                self.note_passed(id, passed);
                self.begin_moving(id, *peer, since, seen);
            }
        }
    }

    /// A connection that waited for a claim is answered, or waits for another one.
    fn end_waiting(&mut self, waiting: &Waiting, claim: &Claim) {
        let id = waiting.link;
        if !self.link(id).is_some_and(|link| link.phase == Phase::Claiming) {
            return;
        }
        if claim.lost {
            self.forget_question(id);
            let _ = self.refuse(id, ReasonCode::ServerBusy);
        } else if let Some(peer) = claim.here.filter(|_| claim.given.is_empty())
            && !self.is_attached(id)
        {
            return self.move_link(id, peer);
        } else {
            let mut waits = false;
            if let Some(cluster) = self.cluster.as_deref_mut() {
                cluster.accepting = Some(waiting.since);
            }
            waiting.with(|how, data| waits = self.end_claim(id, claim, how, data));
            if let Some(cluster) = self.cluster.as_deref_mut() {
                cluster.accepting = None;
            }
            if waits {
                return;
            }
        }
        if !self.is_attached(id) {
            self.tell(Event::Resume(id));
        }
    }

    /// The same for one that is not overruled. Whether it still waits.
    fn end_claim(
        &mut self,
        id: LinkId,
        claim: &Claim,
        how: &Acceptance<'_>,
        data: Option<&[u8]>,
    ) -> bool {
        if claim.here.is_some() && claim.given.is_empty() && self.claim_kept(id, how, data) {
            return true; // it can't come, so the session does
        }
        if claim.denied {
            let Some(connect) = self.kept_connect(id) else { return false };
            let (user, of_anybody) = self.claimant(&connect, how);
            if (&user, of_anybody) == (&claim.wanted.user, claim.wanted.of_anybody) {
                self.forget_question(id);
                let _ = self.refuse(id, ReasonCode::NotAuthorized);
                return false;
            }
            // It is somebody else, who may be the owner.
            if self.claim_kept(id, how, data) {
                return true;
            }
        }
        self.accept_kept(id, how, data);
        false
    }

    /// A peer's client connects there.
    pub(super) fn handle_claim(&mut self, at: usize, wanted: Wanted) {
        let is_owner = wanted.of_anybody || self.owns(&wanted.user, &wanted.client_id);
        let is_here = self.find_session(&wanted.client_id).is_some();
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        cluster.clock = cluster.clock.max(wanted.epoch.clock);
        let Some(peer) = cluster.peers.get(at).map(|peer| peer.id) else { return };
        let (client_id, ticket) = (wanted.client_id.clone(), wanted.ticket);
        let overruled = cluster.is_overruled(&client_id, wanted.epoch);
        let claim = cluster.claims.get_mut(&client_id);
        if overruled || claim.as_ref().is_some_and(|claim| claim.wanted.overrules(&wanted)) {
            return cluster.send(at, 0, Message::Lost { client_id, ticket, denied: false });
        }
        match claim {
            Some(claim) if claim.wanted.epoch > wanted.epoch => {
                // It goes first, and does not wait for who waits for it.
                let (epoch, seen, records) = (Stamp::default(), Vec::new(), Vec::new());
                let (passed, confirm) = (Vec::new(), 0);
                let owned =
                    Message::Owned { client_id, epoch, seen, passed, records, ticket, confirm };
                cluster.send(at, 0, owned);
            }
            Some(claim) => {
                claim.lost |= wanted.overrules(&claim.wanted);
                claim.rivals.push((peer, wanted));
            }
            None if is_here && wanted.comes => {
                cluster.send(at, 0, Message::Here { client_id, ticket });
            }
            None if is_owner => self.give_up(at, &wanted),
            None => cluster.send(at, 0, Message::Lost { client_id, ticket, denied: true }),
        }
    }

    /// The session of a client goes to a peer, as if the client had connected here again.
    fn give_up(&mut self, at: usize, wanted: &Wanted) {
        let client_id = &wanted.client_id[..];
        if let Some(old) = self.find_session(client_id) {
            self.take_over(old);
            self.check_session(old.slot); // its time may have passed
        }
        let (mut records, mut passed) = (Vec::new(), Vec::new());
        let mut moved = None;
        match self.find_session(client_id) {
            Some(old) if !wanted.clean => {
                self.cancel_will(old); // [MQTT5-3.1.3-9]
                records = self.export(old);
                passed = self.passed_by(old);
                moved = Some(old);
            }
            Some(old) => self.end_session(old, SessionEnd::CleanStart),
            None => {}
        }
        let after = self.journal.latest();
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let epoch = cluster.epoch_of(client_id);
        cluster.epochs.remove(client_id);
        let Some(peer) = cluster.peers.get_mut(at) else { return };
        let (to, mut confirm, mut batches) = (peer.id, 0, Vec::new());
        if let Some(SessionId { slot, serial }) = moved {
            peer.ticket = peer.ticket.saturating_add(1);
            confirm = peer.ticket;
            let what = Kept::Session { who: (slot, serial) };
            peer.sent.push_back(Sent { ticket: confirm, batch: Batch::NONE, what });
            // What its client sent at QoS 2 is where it has to be.
            let ids = (slot, serial, 0)..=(slot, serial, u16::MAX);
            batches.extend(cluster.received.range(ids).map(|(_, batch)| *batch));
        }
        let (client_id, ticket) = (client_id.into(), wanted.ticket);
        let seen = cluster.seen();
        let message = Message::Owned { client_id, epoch, seen, passed, records, ticket, confirm };
        if let Some(peer) = cluster.peers.get_mut(at) {
            peer.moves.push_back(Out { after, batches, revocable: false, message });
        }
        if let Some(old) = moved {
            self.leave_ghost(old, to, (epoch, wanted.epoch));
        }
    }

    pub(super) fn handle_owned(&mut self, client_id: &[u8], ticket: u64, given: Given) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        cluster.clock = cluster.clock.max(given.epoch.clock);
        let Some(claim) = cluster.claims.get_mut(client_id) else { return };
        if !claim.asked.contains(&(given.peer, ticket)) {
            return; // it was asked anew
        }
        claim.answered(given.peer, ticket);
        if !given.records.is_empty() {
            claim.given.push(given);
        }
        self.go_on_with(client_id);
    }

    pub(super) fn handle_here(&mut self, client_id: &[u8], peer: PeerId, ticket: u64) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(claim) = cluster.claims.get_mut(client_id) else { return };
        if claim.asked.contains(&(peer, ticket)) {
            claim.here = Some(peer);
        }
        claim.answered(peer, ticket);
        self.go_on_with(client_id);
    }

    /// A session has not come, but messages for it have: they wait. Whether they do.
    pub(super) fn keep_late(&mut self, from: PeerId, late: &Late) -> bool {
        let cluster = self.cluster.as_deref_mut();
        match cluster.and_then(|cluster| cluster.claims.get_mut(&late.client_id)) {
            Some(claim) if claim.wanted.epoch == late.since => {
                claim.late.push((from, late.clone()));
                true
            }
            _ => false,
        }
    }

    pub(super) fn handle_claim_lost(
        &mut self,
        at: usize,
        client_id: &[u8],
        ticket: u64,
        denied: bool,
    ) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(peer) = cluster.peers.get(at).map(|peer| peer.id) else { return };
        let Some(claim) = cluster.claims.get_mut(client_id) else { return };
        claim.denied |= denied;
        claim.lost |= !denied;
        claim.answered(peer, ticket);
        self.go_on_with(client_id);
    }

    /// A peer is lost: it answers nothing, and wants nothing.
    pub(super) fn give_up_claims(&mut self, peer: PeerId) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        for claim in cluster.claims.values_mut() {
            claim.asked.retain(|(asked, _)| *asked != peer);
            claim.rivals.retain(|(rival, _)| *rival != peer);
        }
        let all: Vec<Vec<u8>> = cluster.claims.keys().cloned().collect();
        for client_id in all {
            self.go_on_with(&client_id);
        }
    }
}
