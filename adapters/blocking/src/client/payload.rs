//! A payload that is read, while it arrives if it is a long one.

use std::io::{self, Read};

use super::Client;
use super::message::Message;

/// A payload: [`Payload::bytes`] has it, unless it is streamed; read, it comes in either case.
///
/// Reading a streamed one works for the client meanwhile. It fails with
/// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) if the connection is lost: at QoS 1 and
/// 2 the message comes again, from its beginning.
#[derive(Debug)]
pub struct Payload<'a> {
    client: &'a Client,
    message: &'a Message,
    /// How much of it was read.
    read: usize,
}

impl<'a> Payload<'a> {
    pub(super) const fn new(client: &'a Client, message: &'a Message) -> Self {
        Self { client, message, read: 0 }
    }

    /// The message that it belongs to.
    #[must_use]
    pub const fn message(&self) -> &'a Message {
        self.message
    }

    /// The client that it came to.
    #[must_use]
    pub const fn client(&self) -> &'a Client {
        self.client
    }

    /// All of it, if it is not streamed; else nothing.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.message.payload()
    }

    /// As text, if it is one, and not streamed.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        self.message.text()
    }

    /// How long it is, in bytes, arrived or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.message.payload_len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Read for Payload<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((id, _)) = self.message.stream else {
            let rest = self.message.payload().get(self.read..).unwrap_or_default();
            let len = rest.len().min(buffer.len());
            if let (Some(to), Some(from)) = (buffer.get_mut(..len), rest.get(..len)) {
                to.copy_from_slice(from);
            }
            self.read = self.read.saturating_add(len);
            return Ok(len);
        };
        let len = self.client.read_stream(id, buffer)?;
        self.read = self.read.saturating_add(len);
        Ok(len)
    }
}

impl Client {
    fn read_stream(&self, id: u32, buffer: &mut [u8]) -> io::Result<usize> {
        let lost = || io::Error::from(io::ErrorKind::ConnectionAborted);
        loop {
            let mut engine = self.engine.borrow_mut();
            let stream = engine.inbox.stream(id).ok_or_else(lost)?;
            if !stream.bytes.is_empty() || buffer.is_empty() {
                return stream.bytes.read(buffer);
            }
            if stream.ended {
                return Ok(0);
            }
            if stream.aborted {
                return Err(lost());
            }
            engine.turn(None);
        }
    }
}
