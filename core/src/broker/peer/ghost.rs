//! Nothing is lost or doubled while a session moves, though messages for it are on their way.
//!
//! Where the session was, a *ghost* of it stays: what is still sent there goes on to where the
//! session is (*late* messages). The new place asks every peer to mark the moment from which it
//! knows: what a peer sends before its mark comes by way of the ghost, what it sends afterwards
//! comes straight. So that the order holds, what comes straight is held back until the ghost, which
//! has seen the marks of all, is gone.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::forward::{Kept, Sent};
use super::message::{Forward, Late, Message, Stamp};
use super::{Batch, Cluster, PeerId};
use crate::broker::Broker;
use crate::broker::body::Content;
use crate::broker::router::SEVERAL_IDS;
use crate::broker::session::SessionId;
use crate::storage::{Arena, Index, Pool, Storage};
use crate::types::{QoS, TopicFilter, TopicName};

/// A session, as a key.
pub(super) type Who = (u32, u32);

/// What is left of a session that moved to a peer.
#[derive(Debug)]
pub(super) struct Ghost {
    pub(super) peer: PeerId,
    client_id: Vec<u8>,
    /// Since when it was here, and since when it is there.
    epoch: Stamp,
    since: Stamp,
    /// Who sends the session its messages itself by now.
    passed: BTreeSet<PeerId>,
    /// Who was lost meanwhile, and is not waited for.
    excused: BTreeSet<PeerId>,
    /// Who was told where the session is, once it is known who was.
    asked: Vec<PeerId>,
    /// What confirms that it is gone, once the new place has asked for that.
    done: Option<u64>,
}

/// A session that came from a peer, as long as its ghost is there.
#[derive(Debug)]
pub(super) struct Moving {
    from: PeerId,
    /// By which claim it came.
    since: Stamp,
    /// Whose messages still come by way of the ghost, as far as these filters match.
    unmarked: BTreeSet<PeerId>,
    filters: Vec<Vec<u8>>,
    held: Vec<Late>,
    /// Whether the ghost is gone, and whether it was lost with its broker.
    done: bool,
    lost: bool,
    /// Who waits for what is held back to be kept.
    holds: Vec<Batch>,
}

impl Moving {
    /// Nothing is held back any more, for the session has ended.
    pub(super) fn release(self, cluster: &mut Cluster) {
        for batch in self.holds {
            cluster.settle(batch);
        }
    }
}

fn who(id: SessionId) -> Who {
    (id.slot, id.serial)
}

const fn session((slot, serial): Who) -> SessionId {
    SessionId { slot, serial }
}

fn matches(filter: &[u8], topic: &[u8]) -> bool {
    match (TopicFilter::from_bytes(filter), TopicName::from_bytes(topic)) {
        (Ok(filter), Ok(topic)) => filter.matches(topic),
        _ => false,
    }
}

impl Cluster {
    /// Whose message is routed.
    fn origin(&self) -> PeerId {
        self.arriving.as_ref().map_or(self.options.id, |arriving| arriving.from)
    }

    /// Something is to be confirmed by a peer, and then this is done.
    fn ask(&mut self, at: usize, what: Kept) -> u64 {
        let Some(peer) = self.peers.get_mut(at) else { return 0 };
        peer.ticket = peer.ticket.saturating_add(1);
        let (ticket, batch) = (peer.ticket, Batch::NONE);
        peer.sent.push_back(Sent { ticket, batch, what });
        ticket
    }

    /// Ghosts of a session get nothing more of this broker, since it sends the session its messages
    /// itself: it is where it went by this claim.
    fn pass(&mut self, client_id: &[u8], since: Stamp, origin: PeerId) {
        for ghost in self.ghosts.values_mut() {
            if ghost.client_id == client_id && ghost.since <= since {
                ghost.passed.insert(origin);
            }
        }
    }

    /// The ghost of a session does not wait for this one, who was lost.
    pub(super) fn excuse(&mut self, client_id: &[u8], since: Stamp, peer: PeerId) {
        for ghost in self.ghosts.values_mut() {
            if ghost.client_id == client_id && ghost.since == since {
                ghost.excused.insert(peer);
            }
        }
    }

    /// Whether a session went to somebody whose claim is later than this one.
    pub(super) fn is_overruled(&self, client_id: &[u8], epoch: Stamp) -> bool {
        self.ghosts.values().any(|ghost| ghost.client_id == client_id && ghost.since > epoch)
    }
}

/// Where the session was.
impl<S: Storage> Broker<S> {
    /// A session moves to a peer: what is left of it is not found by its name any more.
    pub(super) fn leave_ghost(
        &mut self,
        id: SessionId,
        peer: PeerId,
        (epoch, since): (Stamp, Stamp),
    ) {
        let Some(session) = self.session(id) else { return };
        let client_id: Vec<u8> = self.names.get(session.name).into();
        self.session_timers.clear(id.slot);
        let hash = self.hash.of(0, &client_id);
        let (sessions, names, hasher) = (&self.sessions, &self.names, self.hash);
        self.session_index.remove(hash, id.slot, |slot| {
            sessions.get(slot).map_or(0, |session| hasher.of(0, names.get(session.name)))
        });
        let (passed, excused, done) = (BTreeSet::new(), BTreeSet::new(), None);
        let mut ghost =
            Ghost { peer, client_id, epoch, since, passed, excused, asked: Vec::new(), done };
        if let Some(cluster) = self.cluster.as_deref_mut() {
            let absent = cluster.peers.iter().filter(|peer| !peer.present);
            ghost.excused.extend(absent.map(|peer| peer.id));
            cluster.ghosts.insert(who(id), ghost);
        }
    }

    /// The session did not arrive: it is here as before, unless there is another one by now.
    pub(super) fn take_back(&mut self, key: Who) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(ghost) = cluster.ghosts.remove(&key) else { return };
        let id = session(key);
        if self.find_session(&ghost.client_id).is_some() {
            return self.drop_session(id);
        }
        let (sessions, names, hasher) = (&self.sessions, &self.names, self.hash);
        let rehash =
            |slot| sessions.get(slot).map_or(0, |session| hasher.of(0, names.get(session.name)));
        let hash = self.hash.of(0, &ghost.client_id);
        if self.session_index.insert(hash, id.slot, rehash).is_err() {
            return self.drop_session(id);
        }
        if let Some(cluster) = self.cluster.as_deref_mut() {
            // Somebody else may have it by now.
            for at in cluster.present() {
                let (client_id, epoch) = (ghost.client_id.clone(), ghost.epoch);
                cluster.send(at, 0, Message::Owns { client_id, epoch });
            }
            cluster.epochs.insert(ghost.client_id, ghost.epoch);
        }
        self.set_session_timer(id);
    }

    /// A session is at a peer now, which came from another one: we send it its messages ourselves.
    pub(super) fn handle_moved(
        &mut self,
        at: usize,
        (client_id, since): (&[u8], Stamp),
        (from, asked): (PeerId, &[PeerId]),
        (ticket, done): (u64, u64),
    ) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(to) = cluster.peers.get(at).map(|peer| peer.id) else { return };
        // In order with the messages that go there, and with those that went to ghosts.
        cluster.send(at, 0, Message::Accepted { ticket, unserved: Vec::new() });
        for other in cluster.present().filter(|other| *other != at) {
            let client_id = client_id.into();
            cluster.send(other, 0, Message::Passed { client_id, since });
        }
        let own = cluster.options.id;
        cluster.pass(client_id, since, own);
        cluster.pass(client_id, since, to);
        if from != own {
            return;
        }
        let mut ghosts = cluster.ghosts.values_mut();
        match ghosts.find(|ghost| ghost.since == since && ghost.client_id == client_id) {
            Some(ghost) => {
                ghost.done = Some(done);
                ghost.asked = asked.into();
            }
            None => cluster.send(at, 0, Message::Accepted { ticket: done, unserved: Vec::new() }),
        }
    }

    /// A peer sends a session its messages itself by now.
    pub(super) fn handle_passed(&mut self, at: usize, client_id: &[u8], since: Stamp) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(from) = cluster.peers.get(at).map(|peer| peer.id) else { return };
        cluster.pass(client_id, since, from);
    }

    /// Ghosts that nobody sends anything any more are gone.
    pub(super) fn drop_ghosts(&mut self) {
        let Some(cluster) = self.cluster.as_deref() else { return };
        let is_over = |(key, ghost): (&Who, &Ghost)| {
            let passed = ghost
                .asked
                .iter()
                .all(|peer| ghost.passed.contains(peer) || ghost.excused.contains(peer));
            let lost = !cluster.find(ghost.peer).is_some_and(|at| cluster.is_present(at));
            let over = ghost.done.is_some() && passed && !cluster.moving.contains_key(key);
            (over || lost).then_some(*key)
        };
        let over: Vec<Who> = cluster.ghosts.iter().filter_map(is_over).collect();
        for key in over {
            let Some(cluster) = self.cluster.as_deref_mut() else { return };
            let Some(ghost) = cluster.ghosts.remove(&key) else { continue };
            if let (Some(at), Some(ticket)) = (cluster.find(ghost.peer), ghost.done)
                && cluster.is_present(at)
            {
                cluster.send(at, 0, Message::Accepted { ticket, unserved: Vec::new() });
            }
            self.drop_session(session(key));
        }
    }
}

/// Where the session is.
impl<S: Storage> Broker<S> {
    /// A session came from a peer, with these subscriptions.
    pub(super) fn begin_moving(&mut self, id: SessionId, from: PeerId, since: Stamp) {
        let mut filters = Vec::new();
        let mut next = self.session(id).map_or(0, |session| session.subscriptions);
        while let Some(slot) = next.checked_sub(1) {
            let Some(subscription) = self.subscriptions.get(slot) else { break };
            next = subscription.next_of_session;
            if subscription.group == 0 {
                filters.extend(self.filter_of(slot));
            }
        }
        let Some(session) = self.session(id) else { return };
        let client_id: Vec<u8> = self.names.get(session.name).into();
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let (unmarked, held, holds) = (BTreeSet::new(), Vec::new(), Vec::new());
        let mut moving =
            Moving { from, since, unmarked, filters, held, done: false, lost: false, holds };
        let asked: Vec<PeerId> =
            cluster.present().filter_map(|at| cluster.peers.get(at).map(|peer| peer.id)).collect();
        for at in cluster.present() {
            let key = who(id);
            let Some(peer) = cluster.peers.get(at).map(|peer| peer.id) else { continue };
            moving.unmarked.insert(peer);
            let ticket = cluster.ask(at, Kept::Mark { who: key });
            let done = if peer == from { cluster.ask(at, Kept::Done { who: key }) } else { 0 };
            let client_id = client_id.clone();
            let asked = asked.clone();
            cluster.send(at, 0, Message::Moved { client_id, since, from, ticket, done, asked });
        }
        let own = cluster.options.id; // it may have been here before
        cluster.pass(&client_id, since, own);
        cluster.moving.insert(who(id), moving);
    }

    /// From here on what comes of this peer comes straight.
    pub(super) fn end_mark(&mut self, key: Who, peer: PeerId) {
        let name = self.session(session(key)).map(|session| session.name);
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(moving) = cluster.moving.get_mut(&key) else { return };
        moving.unmarked.remove(&peer);
        let (since, over) = (moving.since, moving.done && moving.unmarked.is_empty());
        if over {
            cluster.moving.remove(&key);
        }
        if let Some(name) = name {
            cluster.pass(self.names.get(name), since, peer);
        }
    }

    /// The ghost is gone, and nothing comes from it any more: what was held back is let go.
    pub(super) fn end_moving(&mut self, key: Who) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(moving) = cluster.moving.get_mut(&key) else { return };
        moving.done = true;
        let held = core::mem::take(&mut moving.held);
        let holds = core::mem::take(&mut moving.holds);
        if moving.unmarked.is_empty() {
            cluster.moving.remove(&key);
        }
        for late in &held {
            self.deliver_late(session(key), late);
        }
        if let Some(cluster) = self.cluster.as_deref_mut() {
            for batch in holds {
                cluster.settle(batch);
            }
        }
    }

    /// A peer is lost: it marks nothing, and its ghosts send nothing.
    pub(super) fn give_up_moves(&mut self, peer: PeerId) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        for ghost in cluster.ghosts.values_mut() {
            ghost.excused.insert(peer);
        }
        let mut over = Vec::new();
        let mut excused = Vec::new();
        for (key, moving) in &mut cluster.moving {
            if !moving.done {
                excused.push((moving.from, *key, moving.since));
            }
            moving.unmarked.remove(&peer);
            moving.lost |= moving.from == peer;
            if moving.lost || moving.unmarked.is_empty() && moving.done {
                over.push(*key);
            }
        }
        for (from, key, since) in excused {
            let name = self.session(session(key)).map(|session| session.name);
            let Some(cluster) = self.cluster.as_deref_mut() else { return };
            let to = cluster.find(from).filter(|at| cluster.is_present(*at));
            if let (Some(at), Some(name)) = (to, name) {
                let client_id = self.names.get(name).into();
                cluster.send(at, 0, Message::Excused { client_id, since, peer });
            }
        }
        for key in over {
            self.end_moving(key);
        }
    }

    /// A message that the ghost of a session got.
    pub(super) fn handle_late(&mut self, late: &Late) {
        if self.keep_late(late) {
            return;
        }
        let Some(cluster) = self.cluster.as_deref() else { return };
        // It may have moved on meanwhile, but that is where this one is to go.
        let mut moving = cluster.moving.iter();
        let Some((key, _)) = moving.find(|(_, moving)| moving.since == late.since) else { return };
        let key = *key;
        if late.shared || self.still_wants(session(key), &late.content.topic) {
            self.deliver_late(session(key), late);
        }
    }

    fn still_wants(&self, id: SessionId, topic: &[u8]) -> bool {
        let mut next = self.session(id).map_or(0, |session| session.subscriptions);
        while let Some(slot) = next.checked_sub(1) {
            let Some(subscription) = self.subscriptions.get(slot) else { return false };
            next = subscription.next_of_session;
            if subscription.group == 0
                && self.filter_of(slot).is_some_and(|filter| matches(&filter, topic))
            {
                return true;
            }
        }
        false
    }

    fn deliver_late(&mut self, id: SessionId, late: &Late) {
        let one = &late.content;
        let content = Content {
            topic: &one.topic,
            properties: &one.properties,
            payload: &one.payload,
            expires: one.expires,
            publisher: (0, 0),
        };
        let Ok(subscription) = self.restore_ids(&late.ids) else { return };
        self.send_late(id, &content, (one.qos, late.retain, late.shared), subscription);
        let mut kept = None;
        self.deliver(id, &content, one.qos, late.retain, subscription, &mut kept);
        if let Some(body) = kept {
            self.release_body(body);
        }
    }

    /// Sends a copy for a ghost to where the session is.
    fn send_late(
        &mut self,
        id: SessionId,
        content: &Content<'_>,
        how: (QoS, bool, bool),
        subscription: u32,
    ) {
        let cluster = self.cluster.as_deref();
        if !cluster.is_some_and(|cluster| cluster.ghosts.contains_key(&who(id))) {
            return;
        }
        let late = self.late(id, content, how, subscription);
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let to = cluster.ghosts.get(&who(id)).and_then(|ghost| cluster.find(ghost.peer));
        if let Some(at) = to.filter(|at| cluster.is_present(*at)) {
            cluster.send(at, 0, Message::Late(Box::new(late)));
        }
    }

    fn late(
        &self,
        id: SessionId,
        content: &Content<'_>,
        (qos, retain, shared): (QoS, bool, bool),
        subscription: u32,
    ) -> Late {
        let one = subscription.to_be_bytes();
        let ids = match subscription {
            0 => &[][..],
            several if several & SEVERAL_IDS != 0 => self.bodies.ids_of(several),
            _ => &one[..],
        };
        let name = self.session(id).map_or(&[][..], |session| self.names.get(session.name));
        let ghosts = self.cluster.as_deref().map(|cluster| &cluster.ghosts);
        let ghost = ghosts.and_then(|ghosts| ghosts.get(&who(id)));
        let since = ghost.map_or_else(Stamp::default, |ghost| ghost.since);
        let content = Forward::of(content, qos);
        Late { client_id: name.into(), since, ids: ids.into(), retain, shared, content }
    }

    /// Whether a copy of the message that is routed is to be kept for a session now: not while it
    /// moves, if the copy comes another way, or has to wait for those that do.
    pub(in crate::broker) fn is_due(
        &mut self,
        id: SessionId,
        content: &Content<'_>,
        how: (QoS, bool, bool),
        subscription: u32,
    ) -> bool {
        let Some(cluster) = self.cluster.as_deref() else { return true };
        if cluster.moving.is_empty() && cluster.ghosts.is_empty() {
            return true;
        }
        let (origin, shared) = (cluster.origin(), how.2);
        if let Some(moving) = cluster.moving.get(&who(id)).filter(|_| !shared) {
            // What may have come from a ghost that was lost does not come twice at QoS 2.
            if moving.unmarked.contains(&origin)
                && !(moving.lost && how.0 == QoS::AtLeastOnce)
                && moving.filters.iter().any(|filter| matches(filter, content.topic))
            {
                return false;
            }
        }
        let passed = |ghost: &Ghost| ghost.passed.contains(&origin) && !shared;
        if cluster.ghosts.get(&who(id)).is_some_and(passed) {
            return false;
        }
        if !shared && cluster.moving.get(&who(id)).is_some_and(|moving| !moving.done) {
            let late = self.late(id, content, how, subscription);
            let Some(cluster) = self.cluster.as_deref_mut() else { return false };
            cluster.current = cluster.batches.add(cluster.current);
            let batch = cluster.current;
            if let Some(moving) = cluster.moving.get_mut(&who(id)) {
                moving.held.push(late);
                moving.holds.push(batch);
            }
            return false;
        }
        self.send_late(id, content, how, subscription);
        true
    }
}
