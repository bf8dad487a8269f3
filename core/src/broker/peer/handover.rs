//! Connections that go to the broker that has the session, in the place of sessions that come to
//! the connection: between loops of one process, where a socket is handed over for less than it
//! takes to move a session, and takeover and messages stay in one place.

use super::{Cluster, PeerId};
use crate::broker::Broker;
use crate::broker::event::Event;
use crate::broker::link::{LinkId, Phase};
use crate::codec::Connect;
use crate::storage::Storage;
use crate::types::ReasonCode;

impl<S: Storage> Broker<S> {
    /// Whether a peer that has joined is a loop of this process: then a client whose session is
    /// there is handed over to it ([`Event::MoveTo`]), and its session stays.
    pub fn set_peer_near(&mut self, id: PeerId, near: bool) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        if let Some(peer) = cluster.find(id).and_then(|at| cluster.peers.get_mut(at)) {
            peer.near = near;
        }
    }

    /// What a connection had said already that is to be handed over: the peer's loop is given it
    /// first.
    #[must_use]
    pub fn moved_input(&self, link: LinkId) -> &[u8] {
        let moved = self.link(link).filter(|link| link.phase == Phase::Moved);
        let run = moved.and_then(|link| link.connect.checked_sub(1));
        run.map_or(&[], |run| self.bodies.run(run))
    }

    /// The connection, of which CONNECT is kept, goes to a peer. Not if it has begun to
    /// authenticate here.
    pub(in crate::broker) fn move_link(&mut self, id: LinkId, peer: PeerId) {
        let Some(link) = self.link_mut(id) else { return };
        if link.auth != 0 || link.attached || !link.is_idle() {
            self.forget_question(id);
            let _ = self.refuse(id, ReasonCode::UseAnotherServer);
            return;
        }
        link.phase = Phase::Moved;
        self.link_timers.clear(id.slot);
        self.tell(Event::MoveTo { link: id, peer });
    }

    /// Whether a connection is one of the host's own.
    pub(super) fn is_attached(&self, id: LinkId) -> bool {
        self.link(id).is_some_and(|link| link.attached)
    }

    /// Whether a connection may go where its session is, instead of that coming here.
    pub(super) fn may_move(&self, id: LinkId, connect: &Connect<'_>, client_id: &[u8]) -> bool {
        #[cfg(feature = "v5")]
        let authenticates = connect.properties.authentication_method().is_some();
        #[cfg(not(feature = "v5"))]
        let authenticates = false;
        !authenticates
            && connect.client_id.as_bytes() == client_id
            && !self.is_attached(id)
            && self.find_session(client_id).is_none()
    }
}

impl Cluster {
    /// A peer has the session that is looked for, and keeps it for a connection that comes there.
    pub(super) fn is_near(&self, at: usize) -> bool {
        self.peers.get(at).is_some_and(|peer| peer.near)
    }
}
