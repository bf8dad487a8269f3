//! Messages that come from peers: for our own clients, and nobody else.

use alloc::vec::Vec;

use super::message::{Forward, Message, Stamp};
use super::{Batch, Cluster, Out, PeerId};
use crate::broker::Broker;
use crate::broker::body::Content;
use crate::broker::durability::Durability;
use crate::storage::Storage;

/// The message of a peer that is being routed.
#[derive(Debug)]
pub(super) struct Arriving {
    /// Whose it is.
    pub(super) from: PeerId,
    /// Whether it is for all, or for the groups alone.
    live: bool,
    pub(super) retain: Option<Stamp>,
    groups: Vec<u32>,
}

impl Cluster {
    /// Confirms something to a peer, once `after` is durable.
    pub(super) fn answer(
        &mut self,
        at: usize,
        (after, batch): (u32, Batch),
        ticket: u64,
        unserved: Vec<Vec<u8>>,
    ) {
        if ticket == 0 {
            return;
        }
        if let Some(peer) = self.peers.get_mut(at) {
            let message = Message::Accepted { ticket, unserved };
            let batches = [batch].into();
            peer.answers.push_back(Out { after, batches, revocable: false, message });
        }
    }

    /// A peer begins, or begins again: what it said it wants may not hold any more, and if it
    /// forgot what it was, its messages are numbered anew.
    pub(super) fn greet(&mut self, at: usize, life: u64, clock: u64) {
        self.clock = self.clock.max(clock);
        let Some(peer) = self.peers.get_mut(at) else { return };
        if peer.life != life {
            (peer.life, peer.seen) = (life, 0);
            let id = peer.id;
            self.moving.values_mut().for_each(|moving| moving.forget_numbers(id));
        }
        let Some(id) = self.peers.get(at).map(|peer| peer.id) else { return };
        self.theirs.make_stale(id);
    }
}

impl<S: Storage> Broker<S> {
    pub(super) fn handle_forward(&mut self, at: usize, forward: &Forward) {
        let mark = self.journal.mark();
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        if let Some(retain) = forward.retain {
            cluster.clock = cluster.clock.max(retain.clock);
        }
        let Some(peer) = cluster.peers.get_mut(at) else { return };
        let from = peer.id;
        let repeated = forward.seq != 0 && forward.seq <= peer.seen;
        peer.seen = peer.seen.max(forward.seq);
        self.begin_batch();
        let (after, unserved) = if repeated {
            (self.journal.latest(), Vec::new()) // as the first time
        } else {
            let unserved = self.route_arriving(from, forward);
            (self.ticket_since(mark), unserved)
        };
        let due = (after, self.take_batch());
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.answer(at, due, forward.ticket, unserved);
        }
    }

    /// Routes a message to our own clients. The groups of it that have no member here.
    pub(super) fn route_arriving(&mut self, from: PeerId, forward: &Forward) -> Vec<Vec<u8>> {
        let groups = forward.groups.iter().filter_map(|filter| self.group_named(filter)).collect();
        let Some(cluster) = self.cluster.as_deref_mut() else { return Vec::new() };
        let (live, retain) = (forward.live, forward.retain);
        cluster.arriving = Some(Arriving { from, live, retain, groups });
        cluster.routed = forward.seq;
        let fleeting = self.class_of(0, &forward.topic) == Durability::Memory;
        let content = Content { fleeting, ..forward.content() };
        self.route(&content, forward.qos, retain.is_some());
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.arriving = None;
        }
        let groups = forward.groups.iter();
        groups.filter(|filter| self.group_here(filter).is_none()).cloned().collect()
    }

    /// Whether the message that is routed is for all that want it: a peer's may be for groups only.
    #[inline]
    pub(in crate::broker) fn is_for_all(&self) -> bool {
        let cluster = self.cluster.as_deref();
        cluster.and_then(|cluster| cluster.arriving.as_ref()).is_none_or(|arriving| arriving.live)
    }

    /// Whether it is for this group: a peer's is for those that it names.
    #[inline]
    pub(in crate::broker) fn is_for_group(&self, slot: u32) -> bool {
        let cluster = self.cluster.as_deref();
        cluster
            .and_then(|cluster| cluster.arriving.as_ref())
            .is_none_or(|arriving| arriving.groups.contains(&slot))
    }
}
