//! A payload that comes in pieces.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_io::AsyncRead;
use tamtam_core::client::AckToken;

use super::shared::Shared;

/// How much of a payload waits for its reader, in bytes.
const BUFFERED_BYTES: usize = 64 << 10;
/// How much of it does while an answer is awaited.
pub(super) const OVERRUN_BYTES: usize = 4 << 20;

/// The payload of a message that is streamed, as it comes.
///
/// While nobody reads it, the server is held back. If the connection is lost within it, reading
/// fails; at QoS 1 and 2 the message comes anew. If it is dropped, the rest of it is thrown away.
#[derive(Debug)]
pub struct Payload {
    pub(super) shared: Arc<Shared>,
    pub(super) id: u64,
    pub(super) len: u32,
}

/// What has come of a payload, and waits.
#[derive(Debug, Default)]
pub(super) struct Body {
    chunks: VecDeque<Bytes>,
    waiting: usize,
    end: Option<End>,
    waker: Option<Waker>,
    /// Whether nobody reads it, and whether its message is to be acknowledged at its end.
    is_abandoned: bool,
    settle: bool,
    pub(super) ack: Option<AckToken>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    Aborted,
}

impl Body {
    pub(super) const fn is_full(&self) -> bool {
        self.waiting >= BUFFERED_BYTES && !self.is_abandoned
    }

    /// How much waits, in bytes.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn push(&mut self, chunk: Bytes) -> Option<Waker> {
        if self.is_abandoned {
            return None;
        }
        self.waiting += chunk.len();
        self.chunks.push_back(chunk);
        self.waker.take()
    }

    pub(super) fn complete(&mut self, ack: AckToken) -> Option<Waker> {
        (self.end, self.ack) = (Some(End::Complete), Some(ack));
        self.waker.take()
    }

    pub(super) fn abort(&mut self) -> Option<Waker> {
        self.end.get_or_insert(End::Aborted);
        self.waker.take()
    }

    pub(super) fn abandon(&mut self, settle: bool) {
        self.chunks.clear();
        (self.waiting, self.is_abandoned) = (0, true);
        self.settle |= settle;
    }

    /// Whether nothing will come of it any more.
    pub(super) const fn is_over(&self) -> bool {
        self.end.is_some() && self.is_abandoned
    }

    /// Whether it is to be acknowledged, now that it is over.
    pub(super) const fn settles(&self) -> bool {
        self.settle
    }
}

impl Payload {
    /// How long it is, in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "the length that the server has told")]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// The next piece of it as it lies in memory; `None` at its end.
    ///
    /// # Errors
    /// The connection was lost within it.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        std::future::poll_fn(|context| self.poll_chunk(usize::MAX, context)).await
    }

    fn poll_chunk(
        &mut self,
        most: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Bytes>>> {
        let id = self.id;
        self.shared.lock(|state| {
            let Some(body) = state.bodies.get_mut(&id) else { return Poll::Ready(Err(aborted())) };
            let Some(mut chunk) = body.chunks.pop_front() else {
                return match body.end {
                    Some(End::Complete) => Poll::Ready(Ok(None)),
                    Some(End::Aborted) => Poll::Ready(Err(aborted())),
                    None => {
                        body.waker = Some(context.waker().clone());
                        Poll::Pending
                    }
                };
            };
            if chunk.len() > most {
                body.chunks.push_front(chunk.split_off(most));
            }
            body.waiting = body.waiting.saturating_sub(chunk.len());
            state.stir();
            Poll::Ready(Ok(Some(chunk)))
        })
    }
}

impl AsyncRead for Payload {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let chunk = std::task::ready!(self.poll_chunk(into.len(), context))?.unwrap_or_default();
        if let Some(place) = into.get_mut(..chunk.len()) {
            place.copy_from_slice(&chunk);
        }
        Poll::Ready(Ok(chunk.len()))
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        let id = self.id;
        self.shared.lock(|state| state.finish_body(id, false));
    }
}

fn aborted() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was lost within the payload")
}
