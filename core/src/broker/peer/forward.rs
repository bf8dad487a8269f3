//! Messages on their way to peers, until each of them is confirmed.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::ghost::Who;
use super::message::{Forward, Message, Stamp};
use super::{Batch, Cluster, Out, PeerLost};
use crate::broker::Broker;
use crate::broker::body::Content;
use crate::broker::retained::is_own;
use crate::broker::session::SessionId;
use crate::storage::{List, Storage};
use crate::types::QoS;

/// What of a message a peer gets.
#[derive(Debug, Default)]
pub(super) struct Plan {
    live: bool,
    /// The interests of the groups of which it serves a member.
    groups: Vec<u32>,
}

/// What a peer has not confirmed.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) ticket: u64,
    pub(super) batch: Batch,
    pub(super) what: Kept,
}

/// What is needed again if the peer is lost before it has confirmed it.
#[derive(Debug)]
pub(super) enum Kept {
    Nothing,
    /// A message; what it waits for, and whether it is dropped if that fails.
    Forward {
        after: u32,
        revocable: bool,
        forward: Box<Forward>,
    },
    /// A session that moves there, of which a ghost is here.
    Session {
        who: Who,
    },
    /// A mark, from which on messages for a session that moved come straight.
    Mark {
        who: Who,
    },
    /// That the ghost of a session is gone.
    Done {
        who: Who,
    },
    /// What the ghost of a session got for it: it goes there alone.
    Late,
}

impl Sent {
    pub(super) fn cost(&self) -> usize {
        match &self.what {
            Kept::Forward { forward, .. } => forward.cost(),
            _ => 0,
        }
    }

    const fn is_forward(&self) -> bool {
        matches!(self.what, Kept::Forward { .. })
    }
}

impl Cluster {
    /// The confirmation with this number came, or never will: nothing waits for it any more.
    pub(super) fn settle(&mut self, batch: Batch) {
        self.settled.extend(self.batches.confirm(batch));
    }

    /// A peer is lost. How many messages are lost with it.
    pub(super) fn lose(&mut self, at: usize) -> u64 {
        let policy = self.options.lost;
        if policy == PeerLost::Forget {
            return self.forget(at);
        }
        let Some(peer) = self.peers.get_mut(at) else { return 0 };
        let is_lost = |out: &&Out| matches!(&out.message, Message::Forward(one) if one.ticket == 0);
        let mut dropped = peer.out.iter().filter(is_lost).count() as u64;
        peer.out.clear();
        let sent = core::mem::take(&mut peer.sent);
        for mut one in sent {
            if !one.is_forward() || policy == PeerLost::Keep {
                self.settle(core::mem::take(&mut one.batch));
            }
            match one.what {
                Kept::Forward { .. } => self.keep(at, one),
                Kept::Session { who } => self.returned.push(who),
                Kept::Late => dropped = dropped.saturating_add(1),
                _ => {}
            }
        }
        self.count_bytes(at);
        dropped
    }

    fn keep(&mut self, at: usize, sent: Sent) {
        if let Some(peer) = self.peers.get_mut(at) {
            peer.sent.push_back(sent);
        }
    }

    fn count_bytes(&mut self, at: usize) {
        if let Some(peer) = self.peers.get_mut(at) {
            let sent = peer.sent.iter().map(Sent::cost).fold(0, usize::saturating_add);
            let out = peer.out.iter().map(|out| out.message.cost());
            peer.bytes = out.fold(sent, usize::saturating_add);
        }
    }

    /// Nothing is kept for a peer. How many messages are lost with it.
    pub(super) fn forget(&mut self, at: usize) -> u64 {
        let Some(peer) = self.peers.get_mut(at) else { return 0 };
        let id = peer.id;
        let out = core::mem::take(&mut peer.out);
        let sent = core::mem::take(&mut peer.sent);
        peer.bytes = 0;
        let at_most_once = out.iter().filter(|out| match &out.message {
            Message::Forward(forward) => forward.ticket == 0 && forward.live,
            _ => false,
        });
        let mut dropped = at_most_once.count() as u64;
        for one in sent {
            let is_lost = one.is_forward() || matches!(one.what, Kept::Late);
            dropped = dropped.saturating_add(u64::from(is_lost));
            self.settle(one.batch);
            if let Kept::Session { who } = one.what {
                self.returned.push(who);
            }
        }
        self.theirs.drop_all(id);
        dropped
    }

    /// How many messages for all are kept for a peer that is lost.
    pub(super) fn kept_for_lost(&self, id: super::PeerId) -> u64 {
        let peer = self.find(id).and_then(|at| self.peers.get(at)).filter(|peer| !peer.present);
        let is_live =
            |sent: &&Sent| matches!(&sent.what, Kept::Forward { forward, .. } if forward.live);
        peer.map_or(0, |peer| peer.sent.iter().filter(is_live).count() as u64)
    }

    /// A peer is there again: it gets what it has not confirmed, in order.
    pub(super) fn send_again(&mut self, at: usize) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        for sent in &peer.sent {
            if let Kept::Forward { after, revocable, forward } = &sent.what {
                let message = Message::Forward(forward.clone());
                let (after, revocable, batches) = (*after, *revocable, Vec::new());
                peer.out.push_back(Out { after, batches, revocable, message });
            }
        }
        self.count_bytes(at);
    }

    /// A message is to be sent to a peer.
    pub(super) fn send_forward(
        &mut self,
        at: usize,
        mut forward: Forward,
        after: u32,
        revocable: bool,
    ) -> bool {
        let (lost, most) = (self.options.lost, self.options.kept_bytes);
        let Some(peer) = self.peers.get_mut(at) else { return false };
        let present = peer.present;
        let confirmed = forward.qos != QoS::AtMostOnce || forward.retain.is_some();
        let kept = match lost {
            PeerLost::Keep => peer.bytes <= most,
            PeerLost::Wait => true,
            PeerLost::Forget => false,
        };
        if !(present || confirmed && kept) {
            return false;
        }
        if confirmed {
            // For one that is not there, only by its policy does anybody wait.
            if present || lost == PeerLost::Wait {
                self.current = self.batches.add(self.current);
            }
            let batch = if present || lost == PeerLost::Wait { self.current } else { Batch::NONE };
            let Some(peer) = self.peers.get_mut(at) else { return false };
            peer.ticket = peer.ticket.saturating_add(1);
            forward.ticket = peer.ticket;
            let kept = Box::new(forward.clone());
            peer.bytes = peer.bytes.saturating_add(kept.cost());
            let what = Kept::Forward { after, revocable, forward: kept };
            peer.sent.push_back(Sent { ticket: forward.ticket, batch, what });
        }
        if present {
            self.send(at, after, Message::Forward(Box::new(forward)));
            if let Some(out) = self.peers.get_mut(at).and_then(|peer| peer.out.back_mut()) {
                out.revocable = revocable;
            }
        }
        true
    }

    /// The tickets from `first` on are not kept: what may not leave without them is taken back, and
    /// the rest waits for `snapshot`.
    fn fail(&mut self, first: u32, snapshot: u32) {
        for at in 0..self.peers.len() {
            let Some(peer) = self.peers.get_mut(at) else { return };
            peer.out.retain(|out| out.after < first || !out.revocable);
            for out in peer.out.iter_mut().chain(&mut peer.answers) {
                if out.after >= first {
                    out.after = snapshot;
                }
            }
            let sent = core::mem::take(&mut peer.sent);
            for mut one in sent {
                if let Kept::Forward { after, revocable, .. } = &mut one.what
                    && *after >= first
                {
                    if *revocable {
                        self.settle(one.batch);
                        continue;
                    }
                    *after = snapshot;
                }
                self.keep(at, one);
            }
            self.count_bytes(at);
        }
    }
}

impl<S: Storage> Broker<S> {
    /// Finds the peers that are to get a message, and for each group whether a member here or one
    /// at a peer is to get it.
    pub(in crate::broker) fn plan_forwards(&mut self, topic: &[u8]) {
        let Some(mut cluster) = self.cluster.take() else { return };
        for plan in &mut cluster.plan {
            plan.live = false;
            plan.groups.clear();
        }
        if cluster.arriving.is_none() && !is_own(topic) {
            let mut found = Vec::new();
            cluster.theirs.match_topic(topic, |slot| found.push(slot));
            while let Some(slot) = found.pop() {
                let Some(entry) = cluster.theirs.get(slot) else { continue };
                if entry.is_shared {
                    let filter = entry.filter.clone();
                    let members = |slot: &u32| {
                        cluster.theirs.get(*slot).is_some_and(|entry| entry.filter == filter)
                    };
                    let mut group: Vec<u32> = found.extract_if(.., |slot| members(slot)).collect();
                    group.push(slot);
                    self.plan_group(&mut cluster, &filter, &group, None);
                } else if let Some(at) = cluster.find(entry.peer)
                    && let Some(plan) = cluster.plan.get_mut(at)
                {
                    plan.live = true;
                }
            }
        }
        self.cluster = Some(cluster);
    }

    /// Chooses where a group gets a message: here, where the member was chosen already, or at the
    /// peer of one of these interests. Whether it is at a peer.
    fn plan_group(
        &mut self,
        cluster: &mut Cluster,
        filter: &[u8],
        interests: &[u32],
        except: Option<super::PeerId>,
    ) -> bool {
        let rank = |slot: &u32| {
            let entry = cluster.theirs.get(*slot)?;
            let peer = cluster.peers.get(cluster.find(entry.peer)?)?;
            let (rank, served) = entry.rank();
            let rank = if peer.present { rank } else { 3 };
            Some((rank, served, entry.peer, *slot)).filter(|_| Some(entry.peer) != except)
        };
        let Some((rank, served, id, slot)) = interests.iter().filter_map(rank).min() else {
            return false;
        };
        let ours = self.group_here(filter);
        if let Some(at) = ours {
            let best = self.groups.as_slice().get(at).map(|group| group.rank);
            if best.is_some_and(|best| best <= (rank, served)) {
                return false;
            }
            self.groups.remove(at);
        }
        if let Some(entry) = cluster.theirs.get_mut(slot) {
            entry.serve(self.stamp);
        }
        if let Some(plan) = cluster.find(id).and_then(|at| cluster.plan.get_mut(at)) {
            plan.groups.push(slot);
        }
        true
    }

    /// The group with this filter among those that have a member here and match.
    pub(super) fn group_here(&self, filter: &[u8]) -> Option<usize> {
        let slot = self.group_named(filter)?;
        self.groups.as_slice().iter().position(|chosen| chosen.group == slot)
    }

    /// Sends a message to the peers that are to get it. Whether anybody there wants it.
    pub(in crate::broker) fn forward(
        &mut self,
        content: &Content<'_>,
        qos: QoS,
        retain: bool,
    ) -> bool {
        let (after, revocable) = (self.route_ticket, self.revocable && self.route_ticket != 0);
        let Some(cluster) = self.cluster.as_deref_mut() else { return false };
        if cluster.arriving.is_some() {
            return false;
        }
        cluster.routed = 0;
        if is_own(content.topic) {
            return false;
        }
        let retain = if retain { cluster.stamps.get(content.topic).copied() } else { None };
        let (mut wanted, mut numbered, mut unsure) = (false, false, false);
        for at in 0..cluster.peers.len() {
            let is_lost = !cluster.is_present(at);
            let Some(plan) = cluster.plan.get_mut(at) else { break };
            unsure |= is_lost && !plan.live && qos != QoS::AtMostOnce;
            let live = plan.live || retain.is_some();
            let interests = core::mem::take(&mut plan.groups);
            if !live && interests.is_empty() {
                continue;
            }
            let counts = plan.live || !interests.is_empty();
            wanted |= counts;
            let groups = interests
                .iter()
                .filter_map(|slot| cluster.theirs.get(*slot).map(|entry| entry.filter.clone()));
            let groups: Vec<_> = groups.collect();
            if !numbered {
                cluster.seq = cluster.seq.saturating_add(1);
                cluster.routed = cluster.seq;
                numbered = true;
            }
            let forward =
                Forward { seq: cluster.seq, groups, live, retain, ..Forward::of(content, qos) };
            if !cluster.send_forward(at, forward, after, revocable) && counts {
                self.counters.dropped_peers = self.counters.dropped_peers.saturating_add(1);
            }
        }
        let unsure = u64::from(unsure);
        self.counters.unsure_peers = self.counters.unsure_peers.saturating_add(unsure);
        wanted
    }

    /// A peer has confirmed something; these groups have no member there any more.
    pub(super) fn handle_accepted(&mut self, at: usize, ticket: u64, unserved: &[Vec<u8>]) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(peer) = cluster.peers.get_mut(at) else { return };
        let Some(place) = peer.sent.iter().position(|sent| sent.ticket == ticket) else { return };
        let Some(sent) = peer.sent.remove(place) else { return };
        peer.bytes = peer.bytes.saturating_sub(sent.cost());
        let except = peer.id;
        match &sent.what {
            Kept::Forward { forward, .. } => {
                for filter in unserved {
                    self.serve_again(forward, filter, except, sent.batch);
                }
            }
            Kept::Mark { who } => self.end_mark(*who, except),
            Kept::Done { who } => self.end_moving(*who),
            _ => {}
        }
        self.end_handed(except, ticket);
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.settle(sent.batch);
        }
        self.release_settled();
        self.let_input_go();
    }

    /// A group has no member any more at the peer that was to give it a message: somebody else
    /// does, and who waited for that one waits on.
    fn serve_again(
        &mut self,
        forward: &Forward,
        filter: &[u8],
        except: super::PeerId,
        batch: Batch,
    ) {
        let one = Forward {
            groups: alloc::vec![filter.into()],
            live: false,
            retain: forward.retain.map(|_| Stamp::KNOWN),
            ..forward.clone()
        };
        let Some(mut cluster) = self.cluster.take() else { return };
        let mut found = Vec::new();
        cluster.theirs.match_topic(&forward.topic, |slot| found.push(slot));
        found.retain(|slot| cluster.theirs.get(*slot).is_some_and(|entry| entry.filter == filter));
        self.groups.clear();
        if let Some(group) = self.group_named(filter) {
            self.add_group(group, &forward.content(), forward.qos);
        }
        let own = cluster.options.id;
        let elsewhere = self.plan_group(&mut cluster, filter, &found, Some(except));
        if elsewhere {
            cluster.seq = cluster.seq.saturating_add(1);
            cluster.current = batch;
            let seq = cluster.seq;
            for at in 0..cluster.peers.len() {
                let plan = cluster.plan.get_mut(at).map(|plan| core::mem::take(&mut plan.groups));
                if plan.is_some_and(|groups| !groups.is_empty()) {
                    cluster.send_forward(at, Forward { seq, ..one.clone() }, 0, false);
                }
            }
            cluster.current = Batch::NONE;
        }
        self.cluster = Some(cluster);
        if !elsewhere {
            self.route_arriving(own, &one);
        }
    }

    /// Releases what waited for the sets that are settled by now.
    pub(super) fn release_settled(&mut self) {
        while let Some(link) = self.cluster.as_deref_mut().and_then(|cluster| cluster.settled.pop())
        {
            self.release_gate(link);
        }
    }

    /// The store failed: see [`Broker::handle_persist_failed`].
    pub(in crate::broker) fn fail_forwards(&mut self, first: u32, snapshot: u32) {
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.fail(first, snapshot);
        }
        self.release_settled();
    }

    /// A QoS 2 message was taken: one that repeats it waits for the same.
    pub(in crate::broker) fn note_received(&mut self, id: SessionId, packet_id: u16, batch: Batch) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        if batch.is_none() {
            return;
        }
        if cluster.received.len() > 64 * 1_024 {
            let batches = &cluster.batches;
            cluster.received.retain(|_, batch| !batches.is_settled(*batch));
        }
        cluster.received.insert((id.slot, id.serial, packet_id), batch);
    }

    /// What a repeated QoS 2 message waits for; it is forgotten with `done`.
    pub(in crate::broker) fn received_batch(
        &mut self,
        id: SessionId,
        packet_id: u16,
        done: bool,
    ) -> Batch {
        let key = (id.slot, id.serial, packet_id);
        let Some(cluster) = self.cluster.as_deref_mut() else { return Batch::NONE };
        let batch =
            if done { cluster.received.remove(&key) } else { cluster.received.get(&key).copied() };
        batch.unwrap_or_default()
    }
}
