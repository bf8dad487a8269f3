//! A payload that is sent piece by piece.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use tamtam_core::ReasonCode;
use tamtam_core::client::{Failure, Publish, SendError, Token};

use super::delivery::{Awaited, delivered};
use super::error::Error;
use super::handle::Client;
use super::shared::State;

/// How much of a source is read at once, in bytes.
const PIECE_BYTES: usize = 16 << 10;

/// A payload that is sent piece by piece: write all of it, then call [`PayloadWriter::finish`].
///
/// While it is being written nothing else leaves. If it is dropped before all of it was written,
/// the connection is dropped too, for MQTT has no other way to take back a message that was begun.
/// If it is dropped where the message would have to be sent once more, the message is given up.
#[derive(Debug)]
pub struct PayloadWriter {
    client: Client,
    token: Token,
    awaited: Option<Awaited>,
    /// How much of it is to come.
    left: u32,
    /// How many connections had been lost when it was begun, and whether its own was.
    losses: u64,
    lost: bool,
    /// Whether it was told that the message is wanted again, and has not begun it again.
    wanted: bool,
}

impl Client {
    /// Begins a message whose payload of `len` bytes is written piece by piece, so that it never is
    /// in memory as a whole. The payload of `publish` is not looked at. Waits for a connection, and
    /// until nothing else waits.
    ///
    /// # Errors
    /// Nothing has happened: see [`SendError`].
    pub async fn publish_stream(
        &self,
        publish: Publish<'_>,
        len: u32,
    ) -> Result<PayloadWriter, Error> {
        let begun = self.shared().wait_for(|state| {
            if let Err(error) = state.check() {
                return Some(Err(error));
            }
            let result = state.machine.publish_stream(publish, len, state.now);
            let result = state.tried(result)?;
            if let Ok(token) = result
                && publish.is_acknowledged()
            {
                state.completions.expect(token);
            }
            Some(result.map(|token| (token, state.losses)))
        });
        let (token, losses) = begun.await?;
        let awaited = publish.is_acknowledged().then(|| self.awaited(token));
        let (client, left, lost, wanted) = (self.clone(), len, false, false);
        Ok(PayloadWriter { client, token, awaited, left, losses, lost, wanted })
    }

    /// Publishes a message whose payload of `len` bytes is read from a source, which `open` opens;
    /// once more if the connection is lost and the session demands the message again.
    ///
    /// # Errors
    /// As [`Client::publish`]; or the source could not be opened, or ended too early.
    pub async fn publish_from<R, O>(
        &self,
        publish: Publish<'_>,
        len: u32,
        mut open: impl FnMut() -> O,
    ) -> Result<ReasonCode, StreamError>
    where
        R: AsyncRead + Unpin,
        O: Future<Output = io::Result<R>>,
    {
        let mut source = open().await?;
        let mut writer = self.publish_stream(publish, len).await?;
        loop {
            match writer.copy(&mut source).await {
                Ok(()) => {}
                Err(StreamError::Call(Error::Again)) if publish.is_acknowledged() => {}
                Err(error) => return Err(error),
            }
            match writer.finish().await {
                Err(Error::Again) => {
                    source = open().await?;
                    writer.again(publish, len).await?;
                }
                other => return Ok(other?),
            }
        }
    }
}

/// Why a message could not be published from a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The source failed or ended too early.
    #[error("the source of the payload: {0}")]
    Source(#[from] io::Error),
    /// The message could not be published.
    #[error(transparent)]
    Call(#[from] Error),
}

impl PayloadWriter {
    /// Waits for the acknowledgement of the message; at QoS 0 not at all.
    ///
    /// # Errors
    /// [`Error::Again`]: the connection was lost, and the message has to be sent once more:
    /// [`PayloadWriter::again`]. Before all of it was written: [`SendError::Stream`].
    pub async fn finish(&mut self) -> Result<ReasonCode, Error> {
        if self.left > 0 && !self.lost {
            return Err(SendError::Stream.into());
        }
        match &mut self.awaited {
            Some(awaited) => {
                let outcome = delivered(awaited.outcome().await);
                self.wanted = matches!(outcome, Err(Error::Again));
                outcome
            }
            None if self.lost => Err(Failure::Disconnected.into()),
            None => Ok(ReasonCode::Success),
        }
    }

    /// Begins the message once more, which must be the same; then all of its payload is to be
    /// written again.
    ///
    /// # Errors
    /// The message is not wanted again.
    pub async fn again(&mut self, publish: Publish<'_>, len: u32) -> Result<(), Error> {
        let token = self.token;
        let begun = self.client.shared().wait_for(|state| {
            if state.ended.is_some() {
                return Some(Err(Error::Ended));
            }
            let result = state.machine.resend_stream(token, publish, len, state.now);
            let result = state.tried(result)?;
            if result.is_ok() {
                let _ = state.completions.forget(token);
                state.completions.expect(token);
            }
            Some(result.map(|()| state.losses))
        });
        self.losses = begun.await?;
        if let Some(before) = &mut self.awaited {
            before.token = None;
        }
        (self.left, self.lost, self.wanted) = (len, false, false);
        self.awaited = Some(self.client.awaited(token));
        Ok(())
    }

    async fn copy(&mut self, source: &mut (impl AsyncRead + Unpin)) -> Result<(), StreamError> {
        let mut piece = vec![0; PIECE_BYTES];
        while self.left > 0 {
            let read =
                std::future::poll_fn(|context| pin!(&mut *source).poll_read(context, &mut piece));
            let read = read.await?;
            let mut rest = piece.get(..read).unwrap_or_default();
            if rest.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            while !rest.is_empty() && self.left > 0 {
                let wrote = std::future::poll_fn(|context| self.poll_piece(rest, context)).await?;
                rest = rest.get(wrote..).unwrap_or_default();
            }
        }
        Ok(())
    }

    fn poll_piece(
        &mut self,
        piece: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<Result<usize, Error>> {
        if self.lost {
            return Poll::Ready(Err(Error::Again));
        }
        let most = piece.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let piece = piece.get(..most).unwrap_or_default();
        let taken = self.client.shared().lock(|state| {
            if state.ended.is_some() {
                return Poll::Ready(Err(Error::Ended));
            }
            if state.losses != self.losses {
                return Poll::Ready(Err(Error::Again));
            }
            take(state, piece, context)
        });
        match taken {
            Poll::Ready(Ok(taken)) => {
                self.left = self.left.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX));
            }
            Poll::Ready(Err(_)) => self.lost = true,
            Poll::Pending => {}
        }
        taken
    }
}

fn take(state: &mut State, piece: &[u8], context: &Context<'_>) -> Poll<Result<usize, Error>> {
    match state.machine.publish_chunk(piece, state.now) {
        Ok(0) if !piece.is_empty() => {
            state.wait(context);
            Poll::Pending
        }
        Ok(taken) => {
            state.stir();
            Poll::Ready(Ok(taken))
        }
        Err(_) => Poll::Ready(Err(Error::Again)),
    }
}

impl AsyncWrite for PayloadWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        piece: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_piece(piece, context).map_err(|error| match error {
            Error::Again => io::Error::new(io::ErrorKind::ConnectionReset, error),
            error => io::Error::other(error),
        })
    }

    /// What was written leaves by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for PayloadWriter {
    fn drop(&mut self) {
        if self.wanted {
            self.client.shared().lock(|state| state.abandon(self.token));
        } else if self.left > 0 && !self.lost {
            self.client.shared().lock(|state| {
                state.cut = state.losses == self.losses;
                state.stir();
            });
        }
    }
}
