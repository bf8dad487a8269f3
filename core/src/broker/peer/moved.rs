//! Where a session went: what comes for it, straight or by way of its ghost, until that is gone.
//!
//! Every message has a number of its origin's, so what comes both ways comes once.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::forward::Kept;
use super::ghost::{Ghost, Who, session, who};
use super::message::{Forward, Late, Message, Stamp};
use super::{Batch, Cluster, PeerId};
use crate::broker::Broker;
use crate::broker::body::Content;
use crate::broker::router::SEVERAL_IDS;
use crate::broker::session::SessionId;
use crate::storage::{Arena, Pool, Storage};
use crate::types::{QoS, TopicFilter, TopicName};

/// A session that came from a peer, as long as its ghost is there.
#[derive(Debug)]
pub(super) struct Moving {
    from: PeerId,
    /// By which claim it came.
    since: Stamp,
    /// Whose messages still come by way of the ghost, or came, as far as these filters match.
    unmarked: BTreeSet<PeerId>,
    filters: Vec<Vec<u8>>,
    /// Up to which number messages of each broker were there before it moved; and what came by way
    /// of the ghost.
    before: BTreeMap<PeerId, u64>,
    seen: BTreeSet<(PeerId, u64)>,
    /// What came straight: of those who had not marked, in case that it does not come by way of the
    /// ghost; and of the others, which goes behind what does.
    spare: Vec<Late>,
    held: Vec<Late>,
    /// Whether the ghost is gone.
    pub(super) done: bool,
    /// Who waits for what is held back to be kept.
    holds: Vec<Batch>,
}

impl Moving {
    /// Nothing is held back any more, for the session has ended. How many messages ended with it.
    pub(super) fn release(self, cluster: &mut Cluster) -> u64 {
        for batch in self.holds {
            cluster.settle(batch);
        }
        self.spare.len().saturating_add(self.held.len()) as u64
    }

    /// Whether a message is for what the session wanted where it was.
    fn wanted(&self, topic: &[u8]) -> bool {
        self.filters.iter().any(|filter| matches(filter, topic))
    }

    /// Whether what came straight has come before, where the session was, or by way of the ghost.
    fn has(&self, (origin, seq): (PeerId, u64), topic: &[u8]) -> bool {
        let before = self.before.get(&origin).is_some_and(|last| seq <= *last);
        seq != 0 && (before && self.wanted(topic) || self.seen.contains(&(origin, seq)))
    }

    /// A broker numbers its messages anew.
    pub(super) fn forget_numbers(&mut self, peer: PeerId) {
        self.before.remove(&peer);
        self.seen.retain(|(origin, _)| *origin != peer);
    }

    /// A message came by way of the ghost: it is not needed from elsewhere.
    fn see(&mut self, late: &Late) {
        let Some(key) = late.key() else { return };
        self.seen.insert(key);
        self.spare.retain(|one| one.key() != Some(key));
        self.held.retain(|one| one.key() != Some(key));
    }
}

fn matches(filter: &[u8], topic: &[u8]) -> bool {
    match (TopicFilter::from_bytes(filter), TopicName::from_bytes(topic)) {
        (Ok(filter), Ok(topic)) => filter.matches(topic),
        _ => false,
    }
}

impl Cluster {
    /// Whose message is routed, and its number among those; 0 if it has none.
    fn routed(&self) -> (PeerId, u64) {
        let own = (self.options.id, self.routed);
        let arriving = self.arriving.as_ref().map_or(own, |one| (one.from, self.routed));
        self.late.unwrap_or(arriving)
    }
}

impl<S: Storage> Broker<S> {
    /// The filters that a session subscribed to for itself.
    pub(super) fn filters_of(&self, id: SessionId) -> Vec<Vec<u8>> {
        let mut filters = Vec::new();
        let mut next = self.session(id).map_or(0, |session| session.subscriptions);
        while let Some(slot) = next.checked_sub(1) {
            let Some(subscription) = self.subscriptions.get(slot) else { break };
            next = subscription.next_of_session;
            if subscription.group == 0 {
                filters.extend(self.filter_of(slot));
            }
        }
        filters
    }

    /// A session came from a peer.
    pub(super) fn begin_moving(
        &mut self,
        id: SessionId,
        from: PeerId,
        since: Stamp,
        seen: &[(PeerId, u64)],
    ) {
        let filters = self.filters_of(id);
        let Some(session) = self.session(id) else { return };
        let client_id: Vec<u8> = self.names.get(session.name).into();
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let mut moving = Moving {
            from,
            since,
            unmarked: BTreeSet::new(),
            filters,
            before: seen.iter().copied().collect(),
            seen: BTreeSet::new(),
            spare: Vec::new(),
            held: Vec::new(),
            done: true, // unless it has a ghost, with a peer that is there
            holds: Vec::new(),
        };
        let asked: Vec<PeerId> =
            cluster.present().filter_map(|at| cluster.peers.get(at).map(|peer| peer.id)).collect();
        moving.unmarked.extend(cluster.peers.iter().map(|peer| peer.id));
        for at in cluster.present() {
            let key = who(id);
            let Some(peer) = cluster.peers.get(at).map(|peer| peer.id) else { continue };
            let ticket = cluster.ask(at, Kept::Mark { who: key });
            let done = if peer == from { cluster.ask(at, Kept::Done { who: key }) } else { 0 };
            moving.done &= peer != from;
            let client_id = client_id.clone();
            let asked = asked.clone();
            cluster.send(at, 0, Message::Moved { client_id, since, from, ticket, done, asked });
        }
        let own = cluster.options.id; // it may have been here before
        cluster.pass(&client_id, since, own);
        cluster.moving.insert(who(id), moving);
    }

    /// A peer is there again: what it kept meanwhile it sends before it marks.
    pub(super) fn ask_for_marks(&mut self, at: usize) {
        let Some(mut cluster) = self.cluster.take() else { return };
        let peer = cluster.peers.get(at).map(|peer| peer.id);
        let is_open = |moving: &Moving| peer.is_some_and(|peer| moving.unmarked.contains(&peer));
        let open: Vec<_> = cluster
            .moving
            .iter()
            .filter(|(_, moving)| is_open(moving))
            .map(|(key, moving)| (*key, moving.from, moving.since))
            .collect();
        for (key, from, since) in open {
            let Some(session) = self.session(session(key)) else { continue };
            let client_id = self.names.get(session.name).into();
            let ticket = cluster.ask(at, Kept::Mark { who: key });
            let (done, asked) = (0, Vec::new());
            cluster.send(at, 0, Message::Moved { client_id, since, from, ticket, done, asked });
        }
        self.cluster = Some(cluster);
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
        let mut all = core::mem::take(&mut moving.spare);
        all.append(&mut moving.held);
        let holds = core::mem::take(&mut moving.holds);
        if moving.unmarked.is_empty() {
            cluster.moving.remove(&key);
        }
        for late in &all {
            self.deliver_late(session(key), late);
        }
        if let Some(cluster) = self.cluster.as_deref_mut() {
            for batch in holds {
                cluster.settle(batch);
            }
        }
    }

    /// A peer is lost: it marks nothing before it is there again, and its ghosts send nothing.
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
            if moving.from == peer {
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
    pub(super) fn handle_late(&mut self, at: usize, late: &Late) {
        let mark = self.journal.mark();
        let cluster = self.cluster.as_deref();
        let from = cluster.and_then(|cluster| cluster.peers.get(at)).map(|peer| peer.id);
        let Some(from) = from.filter(|from| !self.keep_late(*from, late)) else { return };
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        // It may have moved on meanwhile, but that is where this one is to go.
        let mut moving = cluster.moving.iter_mut();
        let found = moving.find(|(_, moving)| moving.since == late.since && moving.from == from);
        if let Some((key, moving)) = found {
            let key = *key;
            moving.see(late);
            if late.shared || self.still_wants(session(key), &late.content.topic) {
                self.deliver_late(session(key), late);
            }
        } else {
            let lost = u64::from(late.content.qos != QoS::AtMostOnce);
            self.counters.dropped_session = self.counters.dropped_session.saturating_add(lost);
        }
        let due = (self.ticket_since(mark), Batch::NONE);
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.answer(at, due, late.content.ticket, Vec::new());
        }
    }

    /// A peer will never be there again, nor repeat anything.
    pub(super) fn forget_marks(&mut self, peer: PeerId) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        cluster.moving.retain(|_, moving| {
            moving.unmarked.remove(&peer);
            !(moving.done && moving.unmarked.is_empty())
        });
    }

    fn still_wants(&self, id: SessionId, topic: &[u8]) -> bool {
        self.filters_of(id).iter().any(|filter| matches(filter, topic))
    }

    fn deliver_late(&mut self, id: SessionId, late: &Late) {
        let one = &late.content;
        let content = one.content();
        let Ok(subscription) = self.restore_ids(&late.ids) else { return };
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.late = Some((late.origin, one.seq));
        }
        self.send_late(id, &content, (one.qos, late.retain, late.shared), subscription);
        let mut kept = None;
        self.deliver(id, &content, one.qos, late.retain, subscription, &mut kept);
        if let Some(body) = kept {
            self.release_body(body);
        }
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.late = None;
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
        let mut late = self.late(id, content, how, subscription);
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let to = cluster.ghosts.get(&who(id)).and_then(|ghost| cluster.find(ghost.peer));
        if let Some(at) = to.filter(|at| cluster.is_present(*at)) {
            if how.0 != QoS::AtMostOnce {
                late.content.ticket = cluster.ask(at, Kept::Late);
            }
            cluster.send(at, 0, Message::Late(alloc::boxed::Box::new(late)));
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
        let cluster = self.cluster.as_deref();
        let ghost = cluster.and_then(|cluster| cluster.ghosts.get(&who(id)));
        let since = ghost.map_or_else(Stamp::default, |ghost| ghost.since);
        let (origin, seq) = cluster.map_or((PeerId(0), 0), Cluster::routed);
        let content = Forward { seq, ..Forward::of(content, qos) };
        Late { client_id: name.into(), origin, since, ids: ids.into(), retain, shared, content }
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
        let (key, shared) = (cluster.routed(), how.2);
        let passed = |ghost: &Ghost| ghost.passed.contains(&key.0) && !shared;
        if cluster.ghosts.get(&who(id)).is_some_and(passed) {
            return false;
        }
        if let Some(moving) = cluster.moving.get(&who(id)).filter(|_| !shared) {
            if moving.has(key, content.topic) {
                return false;
            }
            if !moving.done {
                let comes_late = moving.unmarked.contains(&key.0) && moving.wanted(content.topic);
                self.hold(id, content, how, subscription, comes_late);
                return false;
            }
        }
        self.send_late(id, content, how, subscription);
        true
    }

    /// A copy waits until the ghost of its session is gone.
    fn hold(
        &mut self,
        id: SessionId,
        content: &Content<'_>,
        how: (QoS, bool, bool),
        subscription: u32,
        comes_late: bool,
    ) {
        let late = self.late(id, content, how, subscription);
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        cluster.current = cluster.batches.add(cluster.current);
        let batch = cluster.current;
        let Some(moving) = cluster.moving.get_mut(&who(id)) else { return };
        let list = if comes_late { &mut moving.spare } else { &mut moving.held };
        list.push(late);
        moving.holds.push(batch);
    }
}
