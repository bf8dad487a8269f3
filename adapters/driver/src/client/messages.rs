//! The messages that a client receives, one after the other.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::message::Message;
use super::shared::{Handed, Shared, State};

/// The messages that a client receives.
///
/// Whoever asks for the next one is done with the one before: it is acknowledged then, unless the
/// options say that the application does that itself
/// ([`Options::manual_ack`](tamtam_core::client::Options::manual_ack)). So is the last one when
/// the client disconnects. What waits here is not acknowledged; the server sends no more than may
/// wait ([`Setup::queue`](super::Setup::queue)).
///
/// Nobody needs to ask for the connection to live: pings and acknowledgements are answered all
/// the same. If it is dropped, messages are thrown away from then on.
#[derive(Debug)]
pub struct Messages {
    pub(super) shared: Arc<Shared>,
}

impl Messages {
    /// The next message; `None` once the client has ended and nothing waits any more.
    ///
    /// The future may be dropped: no message is lost.
    pub async fn next(&mut self) -> Option<Message> {
        poll_fn(|context| self.poll(context)).await
    }

    /// A message that waits already.
    pub fn try_next(&mut self) -> Option<Message> {
        self.shared.lock(take)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.shared.lock(|state| {
            if let Some(message) = take(state) {
                return Poll::Ready(Some(message));
            }
            if state.ended.is_some() {
                return Poll::Ready(None);
            }
            state.inbox.waker = Some(context.waker().clone());
            Poll::Pending
        })
    }
}

fn take(state: &mut State) -> Option<Message> {
    state.settle_handed();
    let message = state.inbox.queue.pop_front()?;
    if !state.inbox.manual {
        state.inbox.handed = Some(match &message.stream {
            Some(payload) => Handed::Streamed(payload.id),
            None => Handed::Whole(message.ack),
        });
    }
    if state.inbox.is_full && state.inbox.queue.len() <= state.inbox.limit / 2 {
        state.inbox.is_full = false;
        state.stir(); // there is room again for what was not read
    }
    Some(message)
}

impl Stream for Messages {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.get_mut().poll(context)
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        // Payloads that wait want the lock when they are dropped.
        let _waiting = self.shared.lock(|state| {
            state.inbox.is_open = false;
            state.settle_handed();
            let waiting = std::mem::take(&mut state.inbox.queue);
            state.inbox.is_full = false;
            if !state.inbox.manual {
                for message in &waiting {
                    let _ = state.machine.ack(message.ack, state.now);
                }
            }
            state.stir();
            waiting
        });
    }
}
