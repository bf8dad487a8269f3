//! Connections with something between the socket and MQTT: a proxy's header, TLS, WebSocket.

use std::io;
use std::net::SocketAddr;

use tamtam_core::broker::LinkId;

use super::accept::add_one;
use super::connection::Connection;
use super::input::{Read, SHORT_TAIL, receive};
use super::turn::Loop;

/// The longest header of a proxy, in bytes.
const PREAMBLE_BYTES: usize = 4 << 10;

impl Loop {
    /// Reads once, and hands in what comes out of the layers.
    pub(super) fn read_layered(&mut self, link: LinkId) -> Read {
        let Some(connection) = self.connections.get_mut(link) else { return Read::Nothing };
        let read = receive(connection, &mut self.scratch);
        match read {
            Read::Some(len, _) => {
                let scratch = std::mem::take(&mut self.scratch);
                let is_sound = self.unwrap(link, scratch.get(..len).unwrap_or_default());
                self.scratch = scratch;
                self.write(link); // a part of a handshake, or why there is no more
                if is_sound { read } else { Read::Lost }
            }
            read => read,
        }
    }

    /// Takes in bytes of the wire. Whether the connection goes on.
    fn unwrap(&mut self, link: LinkId, mut wire: &[u8]) -> bool {
        let Some(connection) = self.connections.get_mut(link) else { return false };
        if connection.preamble.is_some() {
            return self.read_preamble(link, wire);
        }
        if connection.tail.len() > SHORT_TAIL {
            let done = connection.stack.handle_wire(&mut wire, &mut connection.tail);
            let ended = connection.stack.is_ended();
            self.feed(link);
            return done.is_ok() && !ended;
        }
        self.plaintext.clear();
        self.plaintext.extend_from_slice(&connection.tail);
        let done = connection.stack.handle_wire(&mut wire, &mut self.plaintext);
        let mut input = &self.plaintext[..];
        let result = self.broker.handle_input(link, &mut input, self.now);
        connection.heed(result);
        connection.keep(input);
        // Layers that ended say so only behind what they still brought.
        done.is_ok() && !connection.stack.is_ended()
    }

    /// Gathers what a proxy says; what is behind it belongs to the client.
    fn read_preamble(&mut self, link: LinkId, wire: &[u8]) -> bool {
        let Some(connection) = self.connections.get_mut(link) else { return false };
        let Some(preamble) = connection.preamble else { return false };
        connection.tail.extend_from_slice(wire);
        match (preamble.0)(&connection.tail) {
            Ok(Some(origin)) => {
                let gathered = std::mem::take(&mut connection.tail);
                connection.preamble = None;
                if let Some(address) = origin.address
                    && !self.admit(link, address)
                {
                    return false;
                }
                self.unwrap(link, gathered.get(origin.len..).unwrap_or_default())
            }
            Ok(None) => connection.tail.len() <= PREAMBLE_BYTES,
            Err(_) => false,
        }
    }

    /// Notes where a client is from that came through a proxy. Whether so many may be from there.
    fn admit(&mut self, link: LinkId, address: SocketAddr) -> bool {
        let listener = self.connections.get(link).map(|connection| connection.listener.into());
        let listener = listener.and_then(|index: usize| self.listeners.get(index));
        let limit = listener.and_then(|listener| listener.admission.per_address);
        if limit.is_some_and(|limit| self.connections.census().at_address(address.ip()) >= limit) {
            add_one(&mut self.arrivals.address_full);
            return false;
        }
        self.connections.set_origin(link, address);
        true
    }

    /// Writes what a connection has to say through its layers. Whether any of it was taken.
    pub(super) fn write_layered(&mut self, link: LinkId) -> bool {
        let mut wrote = false;
        loop {
            let Some(connection) = self.connections.get_mut(link) else { return wrote };
            let taken = match connection.stack.write(self.broker.output(link)) {
                Ok(taken) => taken,
                Err(_) => {
                    self.lose(link);
                    return true;
                }
            };
            if taken > 0 {
                wrote = true;
                self.broker.output_written(link, taken, self.now);
            }
            match connection.flush() {
                Ok(true) if taken > 0 => {} // there may be more, and there is room for it
                Ok(_) => return wrote,
                Err(_) => {
                    self.lose(link);
                    return true;
                }
            }
        }
    }
}

impl Connection {
    /// Writes what the layers have for the wire. Whether all of it was taken.
    fn flush(&mut self) -> io::Result<bool> {
        while self.writable && !self.stack.output().is_empty() {
            let output = self.stack.output();
            match self.socket.write(output) {
                Ok(len) => {
                    self.writable = len == output.len();
                    self.stack.output_written(len);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => self.writable = false,
                    _ => return Err(error),
                },
            }
        }
        Ok(self.writable)
    }

    /// Ends the layers in their own way, as far as the socket takes it now.
    pub(super) fn say_farewell(&mut self) {
        if !self.stack.is_plain() {
            self.stack.close();
            let _ = self.flush();
        }
    }
}
