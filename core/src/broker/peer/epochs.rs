//! Which session holds if two brokers have one of the same client, as they could not reach each
//! other: the one that its client connected to last. The other one ends, and what it kept for its
//! client is counted as lost with it.

use crate::broker::SessionEnd;
use alloc::vec::Vec;

use super::Cluster;
use super::message::{Message, Stamp};
use crate::broker::Broker;
use crate::broker::session::SessionId;
use crate::storage::{Arena, Pool, Storage};

impl<S: Storage> Broker<S> {
    /// A client connects to its session: it holds since now, or since it began to wait for it.
    pub(in crate::broker) fn renew_epoch(&mut self, id: SessionId) {
        let now = self.now;
        let Some(session) = self.session(id).filter(|_| self.cluster.is_some()) else { return };
        let client_id = self.names.get(session.name);
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let since = cluster.accepting.take();
        let since = since.filter(|since| cluster.epochs.get(client_id) < Some(since));
        let epoch = since.unwrap_or_else(|| cluster.stamp(now));
        match cluster.epochs.get_mut(client_id) {
            Some(known) => *known = epoch,
            None => drop(cluster.epochs.insert(client_id.into(), epoch)),
        }
    }

    /// Sessions that were on their way to a peer that is lost stay here, unless somebody has them.
    pub(super) fn take_back_sessions(&mut self) {
        while let Some(who) = self.cluster.as_deref_mut().and_then(|one| one.returned.pop()) {
            self.take_back(who);
        }
    }

    /// Tells a peer that joined which sessions are here, and since when.
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
        cluster.clock = cluster.clock.max(epoch.clock);
        cluster.doubt(client_id);
        let Some(id) = found else { return };
        let ours = cluster.epoch_of(client_id);
        if epoch < ours {
            cluster.tell_owned(at, client_id);
        }
        if epoch <= ours {
            return;
        }
        self.take_over(id);
        if let Some(id) = self.find_session(client_id) {
            self.end_session(id, SessionEnd::Moved);
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
        cluster.passed.remove(&(id.slot, id.serial));
        if let Some(moving) = cluster.moving.remove(&(id.slot, id.serial)) {
            let lost = moving.release(cluster);
            self.counters.dropped_session = self.counters.dropped_session.saturating_add(lost);
        }
    }
}

impl Cluster {
    /// Tells a peer since when a session is here.
    pub(super) fn tell_owned(&mut self, at: usize, client_id: &[u8]) {
        let epoch = self.epoch_of(client_id);
        self.send(at, 0, Message::Owns { client_id: client_id.into(), epoch });
    }

    /// Since when a session is here; one that was here before there were peers is older than all.
    pub(super) fn epoch_of(&self, client_id: &[u8]) -> Stamp {
        let first = Stamp { clock: 0, peer: self.options.id.0 };
        self.epochs.get(client_id).copied().unwrap_or(first)
    }
}
