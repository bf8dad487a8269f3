//! Letting clients in, also when the system has no room for more.

use std::io;

use mio::Token;
use tamtam_core::Instant;
use tamtam_transport::Stack;

use super::connection::Connection;
use super::turn::{Loop, WAKER};

/// How many clients are let in in one turn by one listener, so that those inside are served too.
const AT_ONCE: usize = 64;

/// How long to wait, in milliseconds, when the system has no room for another connection.
const PAUSE_MS: u64 = 50;

/// What is known of each listener, in their order.
#[derive(Debug, Default)]
pub(super) struct Doors {
    /// Whether clients may wait at it.
    ready: Vec<bool>,
    /// The system has no room before this moment.
    closed_until: Option<Instant>,
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
        match self.ready.get_mut(Self::index(token)) {
            Some(ready) => {
                *ready = true;
                true
            }
            None => false,
        }
    }

    /// Whether somebody may wait who can be let in now.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.closed_until.is_none_or(|until| until <= now) && self.ready.contains(&true)
    }

    /// When to try again to let in those who wait.
    pub(super) fn try_again(&self) -> Option<Instant> {
        self.closed_until.filter(|_| self.ready.contains(&true))
    }
}

impl Loop {
    pub(super) fn open_doors(&mut self) -> io::Result<()> {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            listener.register(self.poll.registry(), Doors::token(index))?;
        }
        self.doors.ready = vec![true; self.listeners.len()];
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
        self.doors.closed_until = None;
        for index in 0..self.listeners.len() {
            for _ in 0..AT_ONCE {
                if !self.doors.ready.get(index).is_some_and(|ready| *ready) {
                    break;
                }
                self.accept_one(index);
            }
        }
    }

    fn accept_one(&mut self, index: usize) {
        let Some(listener) = self.listeners.get(index) else { return };
        let mut socket = match listener.accept() {
            Ok(socket) => socket,
            Err(error) => return self.not_accepted(index, &error),
        };
        // Only a configuration that never worked fails here.
        let Ok(stack) = Stack::server(&listener.layers) else { return };
        let preamble = listener.preamble;
        let opened = match listener.limits {
            Some(limits) => self.broker.open_with(limits, self.now),
            None => self.broker.open(self.now),
        };
        let Ok(link) = opened else { return }; // as many as there may be
        if socket.register(self.poll.registry(), Token(link.place())).is_err() {
            self.broker.handle_close(link, self.now);
            return;
        }
        let listener = u16::try_from(index).unwrap_or(u16::MAX);
        let mut connection = Connection::new(link, socket, stack, listener);
        connection.preamble = preamble;
        self.connections.insert(connection);
    }

    /// Nothing ends the broker here: a client that was gone again is nobody's loss, and when the
    /// system has no room, those who wait are let in once it has.
    fn not_accepted(&mut self, index: usize, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => return,
            io::ErrorKind::WouldBlock => {}
            _ => {
                self.doors.closed_until = Some(self.now.plus_millis(PAUSE_MS));
                for ready in &mut self.doors.ready {
                    *ready = true;
                }
                return;
            }
        }
        if let Some(ready) = self.doors.ready.get_mut(index) {
            *ready = false;
        }
    }
}
