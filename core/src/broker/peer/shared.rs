//! A shared subscription's group is one group, wherever its members are: a message waits where it
//! came for a member there, and goes on to a peer whose members are connected if none here is.

use crate::broker::DropReason;
use alloc::vec;
use alloc::vec::Vec;

use super::message::{Forward, Stamp};
use super::{Batch, PeerId};
use crate::broker::Broker;
use crate::broker::group::EntryState;
use crate::storage::{Arena, Storage};
use crate::types::{QoS, TopicFilter};

impl<S: Storage> Broker<S> {
    /// The group of this filter, if it has members here.
    pub(super) fn group_named(&self, filter: &[u8]) -> Option<u32> {
        self.group_of(TopicFilter::from_bytes(filter).ok()?)
    }

    fn name_of_group(&self, group: u32) -> Option<Vec<u8>> {
        let mut filter = vec![0; self.whole_filter_len(self.shared.get(group)?)];
        self.write_shared_filter(group, &mut filter)?;
        Some(filter)
    }

    /// A peer's members of a group came or went: they get what waits here, if nobody here can.
    pub(super) fn serve_named(&mut self, filter: &[u8]) {
        if self.waiting_entries != 0
            && let Some(group) = self.group_named(filter)
        {
            self.serve_group(group);
        }
    }

    /// What waits for a group goes to peers with members that are connected, or with any. It is the
    /// group's here, and in its records, until it is confirmed.
    pub(in crate::broker) fn hand_over(&mut self, group: u32, to_any: bool) {
        if self.first_waiting(group).is_none() || self.cluster.is_none() {
            return;
        }
        let Some(filter) = self.name_of_group(group) else { return };
        while let Some(at) = self.first_waiting(group) {
            let Some(entry) = self.entries.get(at).copied() else { return };
            let Some(content) = self.bodies.get(entry.body) else { return };
            if content.is_expired(self.now) {
                self.counters.count_dropped(DropReason::Expired, 1);
                self.end_entry(at);
                continue;
            }
            let mut forward = Forward::of(&content, entry.qos);
            forward.groups = vec![filter.clone()];
            forward.retain = entry.retain.then_some(Stamp::KNOWN);
            let stamp = self.stamp;
            let Some(cluster) = self.cluster.as_deref_mut() else { return };
            let mut best = None;
            let peers = &cluster.peers;
            cluster.theirs.each_named(&filter, |slot, entry| {
                let place = peers.binary_search_by_key(&entry.peer, |peer| peer.id).ok();
                let place = place.filter(|at| peers.get(*at).is_some_and(|peer| peer.present));
                let (rank, served) = entry.rank();
                if let Some(place) = place.filter(|_| to_any || rank == 0) {
                    let this = (rank, served, entry.peer, place, slot);
                    best = Some(best.map_or(this, |best| this.min(best)));
                }
            });
            let Some((_, _, peer, place, slot)) = best else { return };
            if let Some(entry) = cluster.theirs.get_mut(slot) {
                entry.serve(stamp);
            }
            cluster.seq = cluster.seq.saturating_add(1);
            forward.seq = cluster.seq;
            let current = core::mem::replace(&mut cluster.current, Batch::NONE);
            let sent = cluster.send_forward(place, forward, entry.ticket, false);
            cluster.current = current;
            if !sent {
                return;
            }
            if entry.qos == QoS::AtMostOnce {
                self.end_entry(at);
                continue;
            }
            let ticket = cluster.peers.get(place).map_or(0, |peer| peer.ticket);
            cluster.handed.insert((peer, ticket), at);
            self.move_entry(at, EntryState::Handed);
        }
    }

    /// A peer has confirmed something: if it was a message of a group, that is its own now.
    pub(super) fn end_handed(&mut self, peer: PeerId, ticket: u64) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        if let Some(entry) = cluster.handed.remove(&(peer, ticket)) {
            self.end_entry(entry);
        }
    }

    /// A peer will not get what it was to be handed, as far as it is not kept for it.
    pub(super) fn take_back_handed(&mut self, peer: PeerId) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let kept = |ticket: u64| {
            let at = cluster.peers.binary_search_by_key(&peer, |peer| peer.id).ok();
            let peer = at.and_then(|at| cluster.peers.get(at));
            peer.is_some_and(|peer| peer.sent.iter().any(|sent| sent.ticket == ticket))
        };
        let of_it = cluster.handed.range((peer, 0)..=(peer, u64::MAX));
        let lost: Vec<u64> =
            of_it.map(|((_, ticket), _)| *ticket).filter(|ticket| !kept(*ticket)).collect();
        for ticket in lost {
            let Some(cluster) = self.cluster.as_deref_mut() else { return };
            let Some(entry) = cluster.handed.remove(&(peer, ticket)) else { continue };
            let group = self.entries.get(entry).map_or(0, |entry| entry.group);
            match group.checked_sub(1) {
                Some(group) => {
                    self.move_entry(entry, EntryState::Waiting);
                    self.serve_group(group);
                }
                None => self.end_entry(entry),
            }
        }
    }
}
