//! Nothing is lost or doubled while a session moves, though messages for it are on their way.
//!
//! Where the session was, a *ghost* of it stays: what is still sent there goes on to where the
//! session is (*late* messages). The new place asks every peer to mark the moment from which it
//! knows: what a peer sends before its mark comes by way of the ghost, what it sends afterwards
//! comes straight. So that the order holds, what comes straight is held back until the ghost, which
//! has seen the marks of all, is gone.

use crate::broker::SessionEnd;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::forward::{Kept, Sent};
use super::message::{Message, Stamp};
use super::{Batch, Cluster, PeerId, PeerLost};
use crate::broker::Broker;
use crate::broker::session::SessionId;
use crate::storage::{Arena, Index, Pool, Storage};

/// A session, as a key.
pub(super) type Who = (u32, u32);

/// What is left of a session that moved to a peer.
#[derive(Debug)]
pub(super) struct Ghost {
    pub(super) peer: PeerId,
    client_id: Vec<u8>,
    /// Since when it was here, and since when it is there.
    epoch: Stamp,
    pub(super) since: Stamp,
    /// Who sends the session its messages itself by now.
    pub(super) passed: BTreeSet<PeerId>,
    /// Who was lost meanwhile, and is not waited for.
    pub(super) excused: BTreeSet<PeerId>,
    /// Who was told where the session is, once it is known who was.
    asked: Vec<PeerId>,
    /// What confirms that it is gone, once the new place has asked for that.
    done: Option<u64>,
}

pub(super) const fn who(id: SessionId) -> Who {
    (id.slot, id.serial)
}

pub(super) const fn session((slot, serial): Who) -> SessionId {
    SessionId { slot, serial }
}

impl Cluster {
    /// Something is to be confirmed by a peer, and then this is done.
    pub(super) fn ask(&mut self, at: usize, what: Kept) -> u64 {
        let Some(peer) = self.peers.get_mut(at) else { return 0 };
        peer.ticket = peer.ticket.saturating_add(1);
        let (ticket, batch) = (peer.ticket, Batch::NONE);
        peer.sent.push_back(Sent { ticket, batch, what });
        ticket
    }

    /// Ghosts of a session get nothing more of this broker, since it sends the session its messages
    /// itself: it is where it went by this claim.
    pub(super) fn pass(&mut self, client_id: &[u8], since: Stamp, origin: PeerId) {
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
        self.counters.returned_sessions = self.counters.returned_sessions.saturating_add(1);
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
            let unsure = cluster.kept_for_lost(from);
            self.counters.unsure_peers = self.counters.unsure_peers.saturating_add(unsure);
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

    /// The session that went to a peer is not needed there: it ends, with what was kept for it.
    pub(super) fn handle_discard(&mut self, at: usize, client_id: &[u8], since: Stamp) {
        let Some(cluster) = self.cluster.as_deref() else { return };
        let from = cluster.peers.get(at).map(|peer| peer.id);
        let mut ghosts = cluster.ghosts.iter();
        let is_it = |(_, ghost): &(&Who, &Ghost)| {
            Some(ghost.peer) == from && ghost.since == since && ghost.client_id == client_id
        };
        if let Some((key, _)) = ghosts.find(is_it) {
            self.end_session(session(*key), SessionEnd::Moved);
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
            let came = cluster.moving.get(key).is_none_or(|moving| moving.done);
            let over = ghost.done.is_some() && passed && came;
            (over || lost).then_some(*key)
        };
        let over: Vec<Who> = cluster.ghosts.iter().filter_map(is_over).collect();
        for key in over {
            let filters = self.filters_of(session(key));
            let Some(cluster) = self.cluster.as_deref_mut() else { return };
            let Some(ghost) = cluster.ghosts.remove(&key) else { continue };
            // What it wanted is wanted there, whether or not that was said before it was lost.
            let lost = !cluster.find(ghost.peer).is_some_and(|at| cluster.is_present(at));
            if lost && cluster.options.lost != PeerLost::Forget {
                for filter in &filters {
                    cluster.theirs.want(ghost.peer, filter);
                }
            }
            if let (Some(at), Some(ticket)) = (cluster.find(ghost.peer), ghost.done)
                && cluster.is_present(at)
            {
                cluster.send(at, 0, Message::Accepted { ticket, unserved: Vec::new() });
            }
            self.drop_session(session(key));
        }
    }
}
