//! Letting clients in, also when the system has no room for more.

use std::io;

use mio::Token;
use tamtam_core::Instant;
use tamtam_transport::Stack;

use super::admission::Pace;
use super::connection::Connection;
use super::turn::{Loop, WAKER};

/// How many clients are let in in one turn by one listener, so that those inside are served too.
const AT_ONCE: usize = 64;

/// How long to wait, in milliseconds, when the system has no room for another connection.
const PAUSE_MS: u64 = 50;

/// What is known of each listener, in their order.
#[derive(Debug, Default)]
pub(super) struct Doors {
    doors: Vec<Door>,
}

#[derive(Clone, Debug, Default)]
struct Door {
    /// Whether clients may wait at it.
    is_ready: bool,
    /// Nobody comes in before this moment.
    closed_until: Option<Instant>,
    pace: Pace,
}

impl Door {
    fn is_open(&self, now: Instant) -> bool {
        self.is_ready && self.closed_until.is_none_or(|until| until <= now)
    }
}

impl Doors {
    /// The listener that a token belongs to.
    fn index(token: Token) -> usize {
        WAKER.0.wrapping_sub(token.0).wrapping_sub(1)
    }

    fn token(index: usize) -> Token {
        Token(WAKER.0.wrapping_sub(index).wrapping_sub(1))
    }

    /// Notes that clients wait; whether the token was a listener's.
    pub(super) fn note(&mut self, token: Token) -> bool {
        match self.doors.get_mut(Self::index(token)) {
            Some(door) => {
                door.is_ready = true;
                true
            }
            None => false,
        }
    }

    /// Whether somebody may wait who can be let in now.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.doors.iter().any(|door| door.is_open(now))
    }

    /// When to try again to let in those who wait.
    pub(super) fn try_again(&self) -> Option<Instant> {
        let waiting = self.doors.iter().filter(|door| door.is_ready);
        waiting.filter_map(|door| door.closed_until).min()
    }

    /// The system has no room, by whatever listener somebody comes.
    fn close_all(&mut self, until: Instant) {
        for door in &mut self.doors {
            door.is_ready = true;
            door.closed_until = Some(until);
        }
    }
}

impl Loop {
    pub(super) fn open_doors(&mut self) -> io::Result<()> {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            listener.register(self.poll.registry(), Doors::token(index))?;
        }
        let door = Door { is_ready: true, ..Door::default() };
        self.doors.doors = vec![door; self.listeners.len()];
        self.connections.count_addresses(&self.listeners);
        Ok(())
    }

    /// Nobody comes in any more.
    pub(super) fn shut_doors(&mut self) {
        self.doors = Doors::default();
        self.listeners.clear();
    }

    pub(super) fn accept(&mut self) {
        if !self.doors.is_ready(self.now) {
            return;
        }
        for index in 0..self.listeners.len() {
            for _ in 0..AT_ONCE {
                if !self.may_accept(index) {
                    break;
                }
                self.accept_one(index);
            }
        }
    }

    /// Whether a listener lets in the next one now.
    fn may_accept(&mut self, index: usize) -> bool {
        let Some(door) = self.doors.doors.get_mut(index) else { return false };
        if !door.is_open(self.now) {
            return false;
        }
        let rate = self.listeners.get(index).and_then(|listener| listener.admission.rate);
        door.closed_until = door.pace.take(rate, self.now).err();
        if door.closed_until.is_some() {
            add_one(&mut self.arrivals.waits);
        }
        door.closed_until.is_none()
    }

    fn accept_one(&mut self, index: usize) {
        let Some(listener) = self.listeners.get(index) else { return };
        let (mut socket, address) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => return self.not_accepted(index, &error),
        };
        let is_full = |limit: Option<usize>, count| limit.is_some_and(|limit| count >= limit);
        let census = self.connections.census();
        if is_full(listener.admission.connections, census.at_listener(index)) {
            return add_one(&mut self.arrivals.listener_full);
        }
        let from_there = address.map_or(0, |address| census.at_address(address));
        if address.is_some() && is_full(listener.admission.per_address, from_there) {
            return add_one(&mut self.arrivals.address_full);
        }
        // Only a configuration that never worked fails here.
        let Ok(stack) = Stack::server(&listener.layers) else { return };
        let preamble = listener.preamble;
        let opened = match listener.limits {
            Some(limits) => self.broker.open_with(limits, self.now),
            None => self.broker.open(self.now),
        };
        let Ok(link) = opened else { return add_one(&mut self.arrivals.broker_full) };
        if socket.register(self.poll.registry(), Token(link.place())).is_err() {
            self.broker.handle_close(link, self.now);
            return;
        }
        add_one(&mut self.arrivals.taken);
        let listener = u16::try_from(index).unwrap_or(u16::MAX);
        let mut connection = Connection::new(link, socket, stack, listener);
        connection.preamble = preamble;
        self.connections.insert(connection);
        if let Some(address) = address {
            self.connections.is_from(link, address);
        }
    }

    /// Nothing ends the broker here: a client that was gone again is nobody's loss, and when the
    /// system has no room, those who wait are let in once it has.
    fn not_accepted(&mut self, index: usize, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => return,
            io::ErrorKind::WouldBlock => {}
            _ => {
                return self.doors.close_all(self.now.plus_millis(PAUSE_MS));
            }
        }
        if let Some(door) = self.doors.doors.get_mut(index) {
            door.is_ready = false;
            door.pace.give_back(); // there was nobody
        }
    }
}

pub(super) const fn add_one(count: &mut u64) {
    *count = count.saturating_add(1);
}
