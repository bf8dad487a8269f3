//! What the loop knows of each connection.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use tamtam_core::broker::LinkId;
use tamtam_transport::Stack;

use super::admission::Census;
use super::listener::{Listener, Preamble};
use super::socket::{Address, Socket};

/// A connection. Idle ones are many, so this is small.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: LinkId,
    pub(super) socket: Socket,
    /// What lies between the socket and MQTT.
    pub(super) stack: Stack,
    /// What a proxy has to say before all else, while it has not.
    pub(super) preamble: Option<Preamble>,
    /// The beginning of a packet, or input that the machine does not want yet.
    pub(super) tail: Vec<u8>,
    pub(super) listener: u16,
    /// Whether there may be something to read of which no further edge will tell.
    pub(super) readable: bool,
    /// Whether it can be written to, as far as is known.
    pub(super) writable: bool,
    /// Whether it stands in the list of those to be read.
    pub(super) listed: bool,
    /// Whether the machine wants no input until it says so.
    pub(super) blocked: bool,
    /// Whether nothing that comes counts any more.
    pub(super) closing: bool,
    /// Whether the client has said goodbye.
    pub(super) has_left: bool,
    /// Whether the peer has closed, so that a short read does not mean that nothing follows.
    pub(super) ended: bool,
}

impl Connection {
    pub(super) const fn new(link: LinkId, socket: Socket, stack: Stack, listener: u16) -> Self {
        Self {
            link,
            socket,
            stack,
            preamble: None,
            tail: Vec::new(),
            listener,
            readable: false,
            writable: true,
            listed: false,
            blocked: false,
            closing: false,
            has_left: false,
            ended: false,
        }
    }

    /// Keeps what is left of the input; an idle connection holds no memory.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            if self.tail.capacity() != 0 {
                self.tail = Vec::new();
            }
        } else {
            self.tail.clear();
            self.tail.extend_from_slice(rest);
        }
    }
}

/// All connections, each at the place that the machine gave it.
#[derive(Debug, Default)]
pub(super) struct Connections {
    places: Vec<Option<Connection>>,
    count: usize,
    /// Where those are from that came through a proxy.
    origins: HashMap<LinkId, SocketAddr>,
    census: Census,
}

impl Connections {
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn get(&self, link: LinkId) -> Option<&Connection> {
        self.places.get(link.place())?.as_ref().filter(|connection| connection.link == link)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, link: LinkId) -> Option<&mut Connection> {
        self.places.get_mut(link.place())?.as_mut().filter(|connection| connection.link == link)
    }

    #[inline]
    pub(super) fn at(&mut self, place: usize) -> Option<&mut Connection> {
        self.places.get_mut(place)?.as_mut()
    }

    pub(super) fn insert(&mut self, connection: Connection) {
        let place = connection.link.place();
        if place >= self.places.len() {
            self.places.resize_with(place.saturating_add(1), || None);
        }
        if let Some(slot) = self.places.get_mut(place) {
            self.count = self.count.saturating_add(usize::from(slot.is_none()));
            self.census.enter(connection.listener.into());
            *slot = Some(connection);
        }
    }

    pub(super) fn remove(&mut self, link: LinkId) -> Option<Connection> {
        let listener = self.get(link)?.listener.into();
        self.census.leave(link, listener);
        if !self.origins.is_empty() {
            self.origins.remove(&link);
        }
        self.count = self.count.saturating_sub(1);
        self.places.get_mut(link.place())?.take()
    }

    /// A proxy says where a connection is from.
    pub(super) fn set_origin(&mut self, link: LinkId, address: SocketAddr) {
        self.origins.insert(link, address);
        self.census.is_from(link, address.ip());
    }

    /// Where a connection is from that came without a proxy.
    pub(super) fn is_from(&mut self, link: LinkId, address: IpAddr) {
        self.census.is_from(link, address);
    }

    pub(super) const fn census(&self) -> &Census {
        &self.census
    }

    /// Begins to count addresses if a listener limits them, or gives it up.
    pub(super) fn count_addresses(&mut self, listeners: &[Listener]) {
        let wanted = listeners.iter().any(|one| one.admission.per_address.is_some());
        if !self.census.count_addresses(wanted) {
            return;
        }
        for connection in self.places.iter().flatten() {
            let listener = listeners.get(usize::from(connection.listener));
            let has_proxy = listener.is_some_and(|listener| listener.preamble.is_some());
            let own = || match connection.socket.address() {
                Address::Tcp(address) if !has_proxy => Some(address),
                _ => None,
            };
            let origin = self.origins.get(&connection.link).copied();
            if let Some(address) = origin.or_else(own) {
                self.census.is_from(connection.link, address.ip());
            }
        }
    }

    pub(super) fn address(&self, link: LinkId) -> Option<Address> {
        let connection = self.get(link)?;
        let origin = self.origins.get(&link).copied().map(Address::Tcp);
        Some(origin.unwrap_or_else(|| connection.socket.address()))
    }

    pub(super) fn links(&self) -> Vec<LinkId> {
        self.places.iter().flatten().map(|connection| connection.link).collect()
    }
}
