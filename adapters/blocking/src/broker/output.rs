//! From the machine to sockets.

use std::io;

use tamtam_core::broker::LinkId;

use super::turn::Loop;

/// How much of what a client still sends is read before its connection is closed, in bytes: what
/// is unread then would take our last words with it.
const DRAIN_BYTES: usize = 256 << 10;

impl Loop {
    /// Writes once to each connection that has something to say, and can take it. Whether there
    /// was any.
    pub(super) fn write_all(&mut self) -> bool {
        let mut wrote = false;
        while let Some(link) = self.broker.next_writable() {
            wrote |= self.write(link);
        }
        wrote | self.serve_locals()
    }

    /// Writes what a connection has to say, as far as it takes it. Whether it took any.
    pub(super) fn write(&mut self, link: LinkId) -> bool {
        let Some(connection) = self.connections.get_mut(link) else { return false };
        if !connection.writable {
            return false; // an edge will tell
        }
        if !connection.stack.is_plain() {
            return self.write_layered(link);
        }
        let output = self.broker.output(link);
        if output.is_empty() {
            return false;
        }
        loop {
            match connection.socket.write(output) {
                Ok(len) => {
                    connection.writable = len == output.len();
                    self.broker.output_written(link, len, self.now);
                    return true;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => {
                        connection.writable = false;
                        return false;
                    }
                    _ => {
                        self.lose(link);
                        return true;
                    }
                },
            }
        }
    }

    /// Closes a connection that the machine is done with: its output has left.
    pub(super) fn close(&mut self, link: LinkId) {
        self.broker.handle_close(link, self.now);
        let Some(mut connection) = self.connections.remove(link) else {
            return self.locals.remove(link);
        };
        connection.say_farewell();
        if connection.has_left || connection.ended {
            return;
        }
        connection.socket.finish();
        let mut left = DRAIN_BYTES;
        while left > 0 {
            match connection.socket.read(&mut self.scratch) {
                Ok(len) if len > 0 => left = left.saturating_sub(len),
                _ => break,
            }
        }
    }
}
