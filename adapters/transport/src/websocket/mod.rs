//! WebSocket, as a byte stream.
//!
//! MQTT does not care where a frame begins or ends [MQTT5-6.0.0-2, MQTT3-6.0.0-2], so no frame is
//! ever collected: its payload passes through as it comes, however long it says it will be.
//! tungstenite reads the request, the response and the heads of frames, and writes them.

mod error;
mod frames;
mod handshake;

pub use error::WebSocketError;
pub(crate) use handshake::Door;

use crate::Endpoint;
use frames::{Frames, Role};
use handshake::Handshake;

/// Above this capacity the memory is given back once the output was taken, in bytes.
const KEPT_BYTES: usize = 1024;

/// What closes a connection whose work is done (RFC 6455, 7.4.1).
const NORMAL: u16 = 1000;

/// One connection's WebSocket.
#[derive(Debug)]
pub(crate) struct WebSocket {
    /// Until it is open.
    handshake: Option<Box<Handshake>>,
    frames: Frames,
    output: Vec<u8>,
}

impl WebSocket {
    /// A client's; the request is in the output.
    pub(crate) fn client(
        endpoint: &Endpoint,
        headers: &[(String, String)],
    ) -> Result<Self, WebSocketError> {
        let mut output = Vec::new();
        let handshake = Handshake::client(endpoint, headers, &mut output)?;
        Ok(Self::new(Role::Client, handshake, output))
    }

    /// A server's, behind this door.
    pub(crate) fn server(door: Door) -> Self {
        Self::new(Role::Server, Handshake::server(door), Vec::new())
    }

    fn new(role: Role, handshake: Handshake, output: Vec<u8>) -> Self {
        Self { handshake: Some(Box::new(handshake)), frames: Frames::new(role), output }
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.handshake.is_none()
    }

    /// Whether the peer has closed.
    pub(crate) const fn is_ended(&self) -> bool {
        self.frames.is_closed()
    }

    pub(crate) fn read(
        &mut self,
        mut wire: &[u8],
        plaintext: &mut Vec<u8>,
    ) -> Result<(), WebSocketError> {
        if let Some(handshake) = &mut self.handshake {
            if !handshake.read(&mut wire, &mut self.output)? {
                return Ok(());
            }
            self.handshake = None;
        }
        self.frames.read(wire, plaintext, &mut self.output)
    }

    pub(crate) fn send(&mut self, plaintext: &[u8]) {
        self.frames.send(plaintext, &mut self.output);
    }

    pub(crate) fn close(&mut self) {
        if self.is_open() {
            self.frames.close(NORMAL, &mut self.output);
        }
    }

    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }

    pub(crate) fn output_taken(&mut self) {
        if self.output.capacity() > KEPT_BYTES {
            self.output = Vec::new();
        }
        self.output.clear();
    }
}
