//! Client identifiers: a session is at one broker, and moves to where its client connects.
//!
//! A broker that does not have the session of a client that connects asks every peer. Whoever has
//! it ends its connection, as for any takeover, and gives the session up; once all have answered,
//! the client is accepted. Of two brokers that ask at once one is overruled: its client is refused,
//! and what it was given meanwhile goes on to the other. A session that is not for the user who
//! connects stays where it is, and its client stays connected: as within one broker, the stranger
//! is refused; and of two users that ask at once, the first one goes first.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::forward::{Kept, Sent};
use super::message::{Late, Message, Stamp, Wanted};
use super::waiting::Waiting;
use super::{Batch, Cluster, Out, PeerId};
use crate::broker::event::{Event, Input};
use crate::broker::link::{LinkId, Phase};
use crate::broker::session::SessionId;
use crate::broker::{Acceptance, Broker};
use crate::codec::{Connect, Packet};
use crate::storage::{Arena, Pool, Storage};
use crate::types::{ReasonCode, Text};

/// A client that connects here, while its session is looked for.
#[derive(Debug)]
pub(super) struct Claim {
    /// What peers are asked.
    wanted: Wanted,
    /// Who was asked and has not answered.
    asked: Vec<(PeerId, u64)>,
    /// Who was asked at all.
    told: Vec<PeerId>,
    /// The connections that wait for it, in order.
    waiting: Vec<Waiting>,
    /// What was given up for it, and how that is confirmed.
    given: Vec<(PeerId, u64, Vec<u8>)>,
    /// What ghosts got for it, which goes behind that.
    late: Vec<Late>,
    /// Later claims of others, which get what this one is given, or what comes of it.
    rivals: Vec<(PeerId, Wanted)>,
    /// Whether it is overruled, and whether the session is not for who connects.
    lost: bool,
    denied: bool,
}

impl Claim {
    fn answered(&mut self, peer: PeerId, ticket: u64) {
        self.asked.retain(|asked| *asked != (peer, ticket));
    }
}

impl Cluster {
    /// Asks every peer that is there for the session of a client.
    fn ask_for(&mut self, wanted: Wanted) -> Claim {
        let (mut asked, waiting, given, rivals) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for at in self.present() {
            let Some(peer) = self.peers.get_mut(at) else { break };
            peer.ticket = peer.ticket.saturating_add(1);
            let ticket = peer.ticket;
            asked.push((peer.id, ticket));
            self.send(at, 0, Message::Claim(Box::new(Wanted { ticket, ..wanted.clone() })));
        }
        let told = asked.iter().map(|(peer, _)| *peer).collect();
        let (late, lost, denied) = (Vec::new(), false, false);
        Claim { wanted, asked, told, waiting, given, late, rivals, lost, denied }
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
        let alone = !cluster.peers.iter().any(|peer| peer.present);
        cluster.claims.contains_key(client_id) || !alone && self.find_session(client_id).is_none()
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
        if let Some(link) = self.link_mut(id) {
            link.phase = Phase::Claiming;
        }
        let Some(cluster) = self.cluster.as_deref_mut() else { return false };
        if !cluster.claims.contains_key(&client_id) {
            let (epoch, ticket, name) = (cluster.stamp(), 0, client_id.clone());
            let wanted = Wanted { client_id: name, user, of_anybody, epoch, clean, ticket };
            let claim = cluster.ask_for(wanted);
            cluster.claims.insert(client_id.clone(), claim);
        }
        if let Some(claim) = cluster.claims.get_mut(&client_id) {
            claim.waiting.push(Waiting::new(id, how, data));
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
        let Some(claim) = cluster.claims.remove(client_id) else { return };
        let epoch = claim.wanted.epoch;
        cluster.epochs.insert(client_id.into(), epoch);
        // Who is there only since then may have a session of that name.
        for at in cluster.present() {
            if cluster.peers.get(at).is_some_and(|peer| !claim.told.contains(&peer.id)) {
                cluster.send(at, 0, Message::Owns { client_id: client_id.into(), epoch });
            }
        }
        for (peer, ticket, records) in &claim.given {
            let mark = self.journal.mark();
            if self.find_session(client_id).is_none() {
                self.import(records);
            }
            if let Some(id) = self.find_session(client_id) {
                self.begin_moving(id, *peer, epoch);
            }
            let due = (self.ticket_since(mark), Batch::NONE);
            if let Some(cluster) = self.cluster.as_deref_mut()
                && let Some(at) = cluster.find(*peer)
            {
                cluster.answer(at, due, *ticket, Vec::new());
            }
        }
        for late in &claim.late {
            self.handle_late(late);
        }
        for waiting in &claim.waiting {
            self.end_waiting(waiting, &claim);
        }
        for (peer, wanted) in claim.rivals {
            let at = self.cluster.as_deref().and_then(|cluster| cluster.find(peer));
            if let Some(at) = at {
                self.handle_claim(at, wanted);
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
        } else {
            let mut waits = false;
            waiting.with(|how, data| waits = self.end_claim(id, claim, how, data));
            if waits {
                return;
            }
        }
        if !self.link(id).is_some_and(|link| link.attached) {
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
                let (records, confirm) = (Vec::new(), 0);
                cluster.send(at, 0, Message::Owned { client_id, records, ticket, confirm });
            }
            Some(claim) => {
                claim.lost |= wanted.overrules(&claim.wanted);
                claim.rivals.push((peer, wanted));
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
        let mut records = Vec::new();
        let mut moved = None;
        match self.find_session(client_id) {
            Some(old) if !wanted.clean => {
                self.cancel_will(old); // [MQTT5-3.1.3-9]
                records = self.export(old);
                moved = Some(old);
            }
            Some(old) => self.end_session(old),
            None => {}
        }
        let after = self.journal.latest();
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let epoch = cluster.epochs.remove(client_id).unwrap_or_default();
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
        let message = Message::Owned { client_id, records, ticket, confirm };
        if let Some(peer) = cluster.peers.get_mut(at) {
            peer.moves.push_back(Out { after, batches, revocable: false, message });
        }
        if let Some(old) = moved {
            self.leave_ghost(old, to, (epoch, wanted.epoch));
        }
    }

    pub(super) fn handle_owned(
        &mut self,
        at: usize,
        client_id: &[u8],
        records: Vec<u8>,
        (ticket, confirm): (u64, u64),
    ) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(peer) = cluster.peers.get(at).map(|peer| peer.id) else { return };
        let Some(claim) = cluster.claims.get_mut(client_id) else { return };
        claim.answered(peer, ticket);
        if !records.is_empty() {
            claim.given.push((peer, confirm, records));
        }
        self.go_on_with(client_id);
    }

    /// A session has not come, but messages for it have: they wait. Whether they do.
    pub(super) fn keep_late(&mut self, late: &Late) -> bool {
        let cluster = self.cluster.as_deref_mut();
        match cluster.and_then(|cluster| cluster.claims.get_mut(&late.client_id)) {
            Some(claim) if claim.wanted.epoch == late.since => {
                claim.late.push(late.clone());
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
            claim.told.retain(|told| *told != peer);
        }
        let all: Vec<Vec<u8>> = cluster.claims.keys().cloned().collect();
        for client_id in all {
            self.go_on_with(&client_id);
        }
    }

    /// Sessions that were on their way to a peer that is lost stay here, unless somebody has them.
    pub(super) fn take_back_sessions(&mut self) {
        while let Some(who) = self.cluster.as_deref_mut().and_then(|one| one.returned.pop()) {
            self.take_back(who);
        }
    }

    /// Tells a peer that joined which sessions are here, and since when: both may have the same one
    /// after they could not reach each other.
    pub(super) fn tell_epochs(&mut self, at: usize) {
        let Some(mut cluster) = self.cluster.take() else { return };
        for slot in 0..u32::try_from(self.sessions.slots()).unwrap_or(u32::MAX) {
            let Some(session) = self.sessions.get(slot) else { continue };
            if cluster.ghosts.contains_key(&(slot, session.serial)) {
                continue;
            }
            let client_id: Vec<u8> = self.names.get(session.name).into();
            let epoch = cluster.epoch_of(&client_id);
            cluster.send(at, 0, Message::Owns { client_id, epoch });
        }
        self.cluster = Some(cluster);
    }

    /// A peer has a session: if it has it since later than we do, ours ends.
    pub(super) fn handle_owns(&mut self, at: usize, client_id: &[u8], epoch: Stamp) {
        let found = self.find_session(client_id);
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let peer = cluster.peers.get(at).map(|peer| peer.id);
        if let Some(claim) = cluster.claims.get_mut(client_id) {
            claim.told.retain(|told| Some(*told) != peer); // it is told later
        }
        let Some(id) = found else { return };
        let ours = cluster.epoch_of(client_id);
        if epoch < ours {
            let (client_id, epoch) = (client_id.into(), ours);
            cluster.send(at, 0, Message::Owns { client_id, epoch });
        }
        if epoch <= ours {
            return;
        }
        self.take_over(id);
        if let Some(id) = self.find_session(client_id) {
            self.end_session(id);
        }
    }

    /// A session ends: nothing is known of its client identifier any more.
    pub(in crate::broker) fn forget_epoch(&mut self, id: SessionId) {
        let Some(session) = self.session(id).filter(|_| self.cluster.is_some()) else { return };
        let client_id = self.names.get(session.name);
        let found = self.find_session(client_id) == Some(id); // else it is a ghost
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        if found {
            cluster.epochs.remove(client_id);
        }
        cluster.ghosts.remove(&(id.slot, id.serial));
        if let Some(moving) = cluster.moving.remove(&(id.slot, id.serial)) {
            moving.release(cluster);
        }
    }
}

impl Cluster {
    /// Since when a session is here; one that was here before there were peers is older than all.
    fn epoch_of(&self, client_id: &[u8]) -> Stamp {
        let first = Stamp { clock: 0, peer: self.options.id.0 };
        self.epochs.get(client_id).copied().unwrap_or(first)
    }
}
