//! From sockets into the machine.

use std::io;

use tamtam_core::broker::{Input, LinkId};

use super::connection::Connection;
use super::turn::{Loop, SCRATCH_BYTES};

/// A tail longer than this is not copied in front of what is read; more is read behind it.
pub(super) const SHORT_TAIL: usize = 4 << 10;

/// Whether a read that does not fill the buffer has taken all there is: the next edge will come.
const SHORT_IS_ALL: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
));

/// What became of one read.
pub(super) enum Read {
    /// So much was read; whether the buffer was filled.
    Some(usize, bool),
    /// There is nothing now.
    Nothing,
    /// The connection is gone.
    Lost,
}

impl Loop {
    /// Reads once from each connection that is ready; those that have more come again next turn.
    pub(super) fn read_ready(&mut self) {
        for _ in 0..self.ready.len() {
            let Some(link) = self.ready.pop_front() else { break };
            let Some(connection) = self.connections.get_mut(link) else { continue };
            connection.listed = false;
            self.read(link);
            if self.unwritten >= SCRATCH_BYTES {
                self.settle(); // nobody's output is to overflow for want of writing
            }
        }
    }

    fn read(&mut self, link: LinkId) {
        let Some(connection) = self.connections.get_mut(link) else { return };
        if connection.blocked {
            return; // it stays readable, and is listed again when the machine wants input
        }
        if connection.closing {
            return self.discard(link);
        }
        let read = if connection.preamble.is_some() || !connection.stack.is_plain() {
            self.read_layered(link)
        } else if connection.tail.len() <= SHORT_TAIL {
            self.read_to_scratch(link)
        } else {
            self.read_to_tail(link)
        };
        let Some(connection) = self.connections.get_mut(link) else { return };
        match read {
            Read::Nothing => connection.readable = false,
            Read::Lost => self.lose(link),
            Read::Some(len, filled) => {
                self.unwritten = self.unwritten.saturating_add(len);
                if filled || connection.ended || !SHORT_IS_ALL {
                    self.list(link);
                } else {
                    connection.readable = false;
                }
            }
        }
    }

    /// Reads behind a copy of the tail, which is short or empty, into the buffer that all share.
    fn read_to_scratch(&mut self, link: LinkId) -> Read {
        let Some(connection) = self.connections.get_mut(link) else { return Read::Nothing };
        let kept = connection.tail.len();
        let Some((head, room)) = self.scratch.split_at_mut_checked(kept) else {
            return Read::Nothing;
        };
        head.copy_from_slice(&connection.tail);
        let read = receive(connection, room);
        if let Read::Some(len, _) = read {
            let end = kept.saturating_add(len);
            let mut input = self.scratch.get(..end).unwrap_or_default();
            let result = self.broker.handle_input(link, &mut input, self.now);
            connection.heed(result);
            connection.keep(input);
        }
        read
    }

    /// Adds to a long tail, which grows with what has come, not with what is announced.
    fn read_to_tail(&mut self, link: LinkId) -> Read {
        let Some(connection) = self.connections.get_mut(link) else { return Read::Nothing };
        let read = receive(connection, &mut self.scratch);
        if let Read::Some(len, _) = read {
            connection.tail.extend_from_slice(self.scratch.get(..len).unwrap_or_default());
            self.feed(link);
        }
        read
    }

    /// Hands in what is kept of a connection's input.
    pub(super) fn feed(&mut self, link: LinkId) {
        let Some(connection) = self.connections.get_mut(link) else { return };
        let mut tail = std::mem::take(&mut connection.tail);
        let mut input = &tail[..];
        let result = self.broker.handle_input(link, &mut input, self.now);
        connection.heed(result);
        let left = input.len();
        if left == tail.len() {
            connection.tail = tail;
        } else if left > 0 {
            tail.drain(..tail.len().saturating_sub(left));
            connection.tail = tail;
        }
    }

    /// The machine wants input again: what was kept, and what has come meanwhile.
    pub(super) fn resume(&mut self, link: LinkId) {
        let Some(connection) = self.connections.get_mut(link) else { return };
        connection.blocked = false;
        self.feed(link);
        if self.connections.get(link).is_some_and(|connection| connection.readable) {
            self.list(link);
        }
    }

    /// Reads what will not be heeded, to see the end of it.
    fn discard(&mut self, link: LinkId) {
        let Some(connection) = self.connections.get_mut(link) else { return };
        match receive(connection, &mut self.scratch) {
            Read::Nothing => connection.readable = false,
            Read::Some(..) => self.list(link),
            Read::Lost => self.lose(link),
        }
    }

    /// A connection is gone.
    pub(super) fn lose(&mut self, link: LinkId) {
        if self.connections.remove(link).is_some() {
            self.broker.handle_close(link, self.now);
        }
    }
}

impl Connection {
    #[inline]
    pub(super) fn heed(&mut self, result: Input) {
        match result {
            Input::More => {}
            Input::Blocked => self.blocked = true,
            Input::Close => self.closing = true,
        }
    }
}

/// Reads once.
#[inline]
pub(super) fn receive(connection: &mut Connection, room: &mut [u8]) -> Read {
    loop {
        return match connection.socket.read(room) {
            Ok(0) => Read::Lost,
            Ok(len) => Read::Some(len, len == room.len()),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => continue,
                io::ErrorKind::WouldBlock => Read::Nothing,
                _ => Read::Lost,
            },
        };
    }
}
