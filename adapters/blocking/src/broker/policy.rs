//! What a host decides, and what it is told: the questions and events of the broker machine.

use tamtam_core::broker::{Acceptance, AskId, Broker, Event, LinkId, Verdict};
use tamtam_core::{Heap, Instant};
use tamtam_transport::ServerLayers;

use super::Handle;
use super::admission::{Admission, Arrivals};
use super::connection::Connections;
use super::listener::Listener;
use super::local::Locals;
use super::socket::Address;

/// Who may connect, and whatever else a host wants to decide or to know.
///
/// All of it is called on the thread of the broker, which waits meanwhile: what takes long belongs
/// on another thread, which answers through a [`Handle`].
pub trait Policy: Send + Sync + 'static {
    /// The broker begins, and can be reached by `handle` from now on.
    fn started(&self, handle: &Handle) {
        let _ = handle;
    }

    /// Somebody asks: to connect, if
    /// [`Options::ask_connect`](tamtam_core::broker::Options::ask_connect) says that this is
    /// wanted, or to publish or subscribe, if a rule says so
    /// ([`Rule::ask`](tamtam_core::broker::Rule::ask)). [`Broker::asked`] has the packet,
    /// [`Broker::answer`] takes the answer, now or later. Until then the client waits, and nobody
    /// else.
    ///
    /// Unless said otherwise, everybody may.
    fn ask(&self, ask: AskId, turn: &mut Turn<'_>) {
        turn.broker.answer(ask, Verdict::Accept(Acceptance::default()), turn.now);
    }

    /// Something happened that the loop has no part in, such as a client that has connected.
    fn event(&self, event: &Event, turn: &mut Turn<'_>) {
        let _ = (event, turn);
    }

    /// A turn of the loop is done. Called once each time, so it must be quick. Until which moment
    /// nothing needs to be done, if there is one.
    fn turn(&self, turn: &mut Turn<'_>) -> Option<Instant> {
        let _ = turn;
        None
    }
}

/// Everybody may do everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Policy for Open {}

/// Who may connect, by user and password: both are empty for a client that says none. Wants
/// [`Options::ask_connect`](tamtam_core::broker::Options::ask_connect).
#[derive(Clone, Copy, Debug)]
pub struct Logins<F>(pub F);

impl<F: Fn(&str, &[u8]) -> bool + Send + Sync + 'static> Policy for Logins<F> {
    fn ask(&self, ask: AskId, turn: &mut Turn<'_>) {
        let Some(connect) = turn.broker.connect_of(ask) else { return };
        let verdict = Verdict::of_login(&connect, &self.0);
        turn.broker.answer(ask, verdict, turn.now);
    }
}

impl std::fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").field("now", &self.now).finish_non_exhaustive()
    }
}

/// The broker in the middle of a turn of its loop: what a host may do then.
pub struct Turn<'a> {
    /// The machine. What it has to send leaves at the end of the turn.
    pub broker: &'a mut Broker<Heap>,
    /// When this turn began.
    pub now: Instant,
    pub(super) connections: &'a mut Connections,
    pub(super) arrivals: Arrivals,
    pub(super) listeners: &'a mut [Listener],
    pub(super) locals: &'a mut Locals,
}

impl Turn<'_> {
    /// Who is at the other end of a connection; `None` once it is gone.
    #[must_use]
    pub fn peer(&self, link: LinkId) -> Option<Peer> {
        let listener = self.connections.get(link)?.listener.into();
        Some(Peer { address: self.connections.address(link)?, listener })
    }

    /// Who the certificate of the peer says it is, if it has shown one.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn certificate(&self, link: LinkId) -> Option<tamtam_transport::PeerCertificate<'_>> {
        self.connections.get(link)?.stack.peer_certificate()
    }

    /// Gives a listener, counted from 0, other layers for the clients that come from now on: a new
    /// certificate, for example. Whether there is such a listener.
    pub fn set_layers(&mut self, listener: usize, layers: ServerLayers) -> bool {
        match self.listeners.get_mut(listener) {
            Some(listener) => {
                listener.layers = layers;
                true
            }
            None => false,
        }
    }

    /// Gives a listener, counted from 0, other limits of how many come in, and how fast. Who is
    /// inside stays. Whether there is such a listener.
    pub fn set_admission(&mut self, listener: usize, admission: Admission) -> bool {
        let found = self.listeners.get_mut(listener);
        let is_there = found.map(|listener| listener.admission = admission).is_some();
        self.connections.count_addresses(self.listeners);
        is_there
    }

    /// Has a listener, counted from 0, send small packets at once, or not, for the clients that
    /// come from now on. Whether there is such a listener.
    pub fn set_no_delay(&mut self, listener: usize, no_delay: bool) -> bool {
        let found = self.listeners.get_mut(listener);
        found.map(|listener| listener.no_delay = no_delay).is_some()
    }

    /// What became of those who came to the listeners, since the start.
    #[must_use]
    pub const fn arrivals(&self) -> Arrivals {
        self.arrivals
    }

    /// The name of the listener that a client came in by.
    #[must_use]
    pub fn listener_name(&self, peer: &Peer) -> &str {
        self.listeners.get(peer.listener).map_or("", |listener| &listener.name)
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// From where.
    pub address: Address,
    /// By which listener, counted from 0 in the order in which they were given.
    pub listener: usize,
}
