//! Payloads that are read while they are sent, and never are in memory as a whole.

use std::io::Read;
use std::sync::Arc;

use tamtam_core::ReasonCode;
use tamtam_core::client::{Publish, SendError};

use super::Client;
use super::error::Error;

/// How much of a payload is read at once, in bytes.
const PIECE_BYTES: usize = 16 << 10;

impl Client {
    /// Publishes a message whose payload is `len` bytes of `reader`; that of `publish` is not
    /// looked at. Nothing else leaves meanwhile.
    ///
    /// # Errors
    /// As [`Client::publish`]; the patience of a call counts for each piece. [`Error::Again`] if
    /// the connection was lost: then the payload is to be read and published from its beginning
    /// once more. [`Error::Payload`] if the reader fails or ends early: then the connection is
    /// given up too, as half a message can't be taken back.
    pub fn publish_reader(
        &self,
        publish: Publish<'_>,
        len: u32,
        mut reader: impl Read,
    ) -> Result<ReasonCode, Error> {
        let deadline = self.deadline();
        self.wait_connection(deadline)?;
        let token =
            self.ask(deadline, |engine| engine.machine.publish_stream(publish, len, engine.now()))?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut left = len as usize;
        while left > 0 {
            let room = piece.get_mut(..left.min(PIECE_BYTES)).unwrap_or_default();
            let read = match reader.read(room) {
                Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other,
            };
            let read = read.map_err(|error| {
                self.engine.borrow_mut().give_up();
                Error::Payload(Arc::new(error))
            })?;
            self.send_piece(piece.get(..read).unwrap_or_default())?;
            left = left.saturating_sub(read);
        }
        let deadline = self.deadline();
        if publish.is_acknowledged() {
            return self.wait_for(token, deadline);
        }
        self.wait(deadline, |engine| {
            if !engine.machine.is_connected() {
                return Some(Err(Error::Again));
            }
            engine.machine.output().is_empty().then_some(Ok(ReasonCode::Success))
        })
    }

    fn send_piece(&self, mut piece: &[u8]) -> Result<(), Error> {
        self.wait(self.deadline(), |engine| {
            let now = engine.now();
            match engine.machine.publish_chunk(piece, now) {
                Ok(taken) => piece = piece.get(taken..).unwrap_or_default(),
                // Its connection is gone, and another has begun or will.
                Err(SendError::Stream) => return Some(Err(Error::Again)),
                Err(error) => return Some(Err(error.into())),
            }
            piece.is_empty().then_some(Ok(()))
        })
    }
}
