//! What a host decides.

use std::collections::HashMap;
use std::net::SocketAddr;

use tamtam_core::broker::{Acceptance, AskId, Broker, Event, LinkId, Verdict};
use tamtam_core::{Heap, Instant};

use super::link::Link;

/// Who may connect, and whatever else a host wants to decide or to know.
///
/// All of it is called within a turn of the loop, which waits meanwhile: what takes long is done
/// elsewhere, and answered by [`Handle::answer`](super::Handle::answer). Within a turn the machine
/// is in [`Turn::broker`], and out of the handle's reach.
pub trait Policy: Send + 'static {
    /// Somebody asks: to connect, if
    /// [`Options::ask_connect`](tamtam_core::broker::Options::ask_connect) says that this is
    /// wanted, or to publish or subscribe, if a rule says so
    /// ([`Rule::ask`](tamtam_core::broker::Rule::ask)). [`Broker::asked`] has the packet,
    /// [`Broker::answer`] takes the answer, now or later. Until then the client waits, and nobody
    /// else.
    ///
    /// Unless said otherwise, everybody may.
    fn ask(&mut self, ask: AskId, turn: &mut Turn<'_>) {
        turn.broker.answer(ask, Verdict::Accept(Acceptance::default()), turn.now);
    }

    /// Something happened that the loop has no part in, such as a client that has connected.
    fn event(&mut self, event: &Event, turn: &mut Turn<'_>) {
        let _ = (event, turn);
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

impl<F: FnMut(&str, &[u8]) -> bool + Send + 'static> Policy for Logins<F> {
    fn ask(&mut self, ask: AskId, turn: &mut Turn<'_>) {
        let Some(connect) = turn.broker.connect_of(ask) else { return };
        let verdict = Verdict::of_login(&connect, &mut self.0);
        turn.broker.answer(ask, verdict, turn.now);
    }
}

/// The broker in the middle of a turn of its loop: what a host may do then.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The machine. What it has to send leaves at the end of the turn.
    pub broker: &'a mut Broker<Heap>,
    /// When this turn began.
    pub now: Instant,
    pub(super) links: &'a Links,
}

/// The connections by their places.
#[derive(Debug, Default)]
pub(super) struct Links {
    pub(super) list: Vec<Option<Link>>,
    pub(super) places: HashMap<LinkId, usize>,
    pub(super) free: Vec<usize>,
}

impl Links {
    pub(super) fn get(&self, id: LinkId) -> Option<&Link> {
        self.list.get(*self.places.get(&id)?)?.as_ref()
    }

    pub(super) fn at(&mut self, place: usize) -> Option<&mut Link> {
        self.list.get_mut(place)?.as_mut()
    }

    /// The place that the next one will have.
    pub(super) fn next_place(&mut self) -> usize {
        match self.free.pop() {
            Some(place) => place,
            None => {
                self.list.push(None);
                self.list.len() - 1
            }
        }
    }

    pub(super) fn insert(&mut self, place: usize, link: Link) {
        self.places.insert(link.id, place);
        if let Some(slot) = self.list.get_mut(place) {
            *slot = Some(link);
        }
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<Link> {
        let link = self.list.get_mut(place)?.take()?;
        self.places.remove(&link.id);
        self.free.push(place);
        Some(link)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

impl Turn<'_> {
    /// Where a connection comes from, if it has an address.
    #[must_use]
    pub fn address(&self, link: LinkId) -> Option<SocketAddr> {
        self.links.get(link)?.address
    }

    /// By which listener a connection came, counted from 0 in the order in which they were given;
    /// `None` for those that a handle brought.
    #[must_use]
    pub fn listener(&self, link: LinkId) -> Option<usize> {
        self.links.get(link)?.listener
    }

    /// Who the certificate of the peer says it is, if it has shown one.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn certificate(&self, link: LinkId) -> Option<tamtam_transport::PeerCertificate<'_>> {
        self.links.get(link)?.wire.stack.peer_certificate()
    }
}
