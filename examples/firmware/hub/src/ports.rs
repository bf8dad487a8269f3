//! The places at which clients connect: a socket, a connection of the broker, and the bytes that
//! wait for the rest of their packet.

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use tamtam_core::Instant;
use tamtam_core::broker::{Input, LinkId};

use crate::Hub;

/// How many clients at once.
pub(crate) const PORTS: usize = 6;
/// The largest packet that is taken, in bytes.
pub(crate) const PACKET: usize = 512;
const SOCKET: usize = 1024;
const MQTT: u16 = 1883;

/// The memory of sockets and ports.
pub(crate) struct Memory {
    buffers: [[[u8; SOCKET]; 2]; PORTS],
    packets: [[u8; PACKET]; PORTS],
}

impl Memory {
    pub(crate) const EMPTY: Self =
        Self { buffers: [[[0; SOCKET]; 2]; PORTS], packets: [[0; PACKET]; PORTS] };

    /// The ports, with a socket each.
    pub(crate) fn ports(&'static mut self, sockets: &mut SocketSet<'static>) -> [Port; PORTS] {
        let mut memory = self.buffers.iter_mut().zip(self.packets.iter_mut());
        core::array::from_fn(|_| {
            // As many as there are ports.
            let (rx, tx, bytes): (&mut [u8], &mut [u8], &mut [u8]) = match memory.next() {
                Some(([rx, tx], bytes)) => (rx, tx, bytes),
                None => (&mut [], &mut [], &mut []),
            };
            let (rx, tx) = (tcp::SocketBuffer::new(rx), tcp::SocketBuffer::new(tx));
            let socket = sockets.add(tcp::Socket::new(rx, tx));
            Port { socket, link: None, bytes, len: 0, blocked: false, closing: false }
        })
    }
}

/// A place at which a client connects.
pub(crate) struct Port {
    socket: SocketHandle,
    link: Option<LinkId>,
    bytes: &'static mut [u8],
    len: usize,
    /// The broker takes nothing for now.
    blocked: bool,
    /// The socket is closed once the output has left.
    closing: bool,
}

impl Port {
    pub(crate) fn resume(&mut self, link: LinkId) {
        self.blocked &= self.link != Some(link);
    }

    pub(crate) fn close(&mut self, link: LinkId) {
        self.closing |= self.link == Some(link);
    }

    /// Does what there is to do; whether there was anything.
    pub(crate) fn turn(
        &mut self,
        broker: &mut Hub,
        sockets: &mut SocketSet<'static>,
        now: Instant,
    ) -> bool {
        let socket = sockets.get_mut::<tcp::Socket<'_>>(self.socket);
        match self.link {
            None if !socket.is_open() => {
                let _ = socket.listen(MQTT);
                false
            }
            None if socket.may_send() => {
                match broker.open(now) {
                    Ok(link) => {
                        self.link = Some(link);
                        (self.len, self.blocked, self.closing) = (0, false, false);
                    }
                    Err(_) => socket.abort(),
                }
                true
            }
            None => false,
            Some(link) => {
                let mut busy = self.read(broker, link, socket, now);
                busy |= write(broker, link, socket, now);
                let is_gone = !socket.may_recv() && socket.recv_queue() == 0;
                if is_gone || self.closing && broker.output(link).is_empty() {
                    broker.handle_close(link, now);
                    socket.close();
                    self.link = None;
                }
                busy
            }
        }
    }

    fn read(
        &mut self,
        broker: &mut Hub,
        link: LinkId,
        socket: &mut tcp::Socket<'_>,
        now: Instant,
    ) -> bool {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let read = if self.closing { 0 } else { socket.recv_slice(room).unwrap_or(0) };
        self.len += read;
        if self.blocked || self.closing || self.len == 0 {
            return read != 0;
        }
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        let mut input = bytes;
        match broker.handle_input(link, &mut input, now) {
            Input::More => {}
            Input::Blocked => self.blocked = true,
            Input::Close => self.closing = true,
        }
        let left = input.len();
        let taken = self.len - left;
        self.bytes.copy_within(taken..self.len, 0);
        self.len = left;
        read != 0 || taken != 0
    }
}

fn write(broker: &mut Hub, link: LinkId, socket: &mut tcp::Socket<'_>, now: Instant) -> bool {
    let output = broker.output(link);
    if output.is_empty() || !socket.can_send() {
        return false;
    }
    let written = socket.send_slice(output).unwrap_or(0);
    broker.output_written(link, written, now);
    written != 0
}
