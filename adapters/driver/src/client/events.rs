//! What happens to the connection, for those who want to watch.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Event;
use super::shared::Shared;

/// How many are kept for a watcher that does not come.
const KEPT: usize = 64;

/// The last events, numbered.
#[derive(Debug, Default)]
pub(super) struct Log {
    kept: VecDeque<Event>,
    /// The number of the first that is kept.
    first: u64,
}

impl Log {
    pub(super) fn push(&mut self, event: Event) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
            self.first += 1;
        }
        self.kept.push_back(event);
    }

    pub(super) fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// The event with the number `at`, or the first behind it; moves `at` behind it.
    fn next(&self, at: &mut u64) -> Option<Event> {
        *at = (*at).max(self.first);
        let index = usize::try_from(*at - self.first).ok()?;
        let event = self.kept.get(index)?.clone();
        *at += 1;
        Some(event)
    }
}

/// What happens from now on: see [`Client::events`](super::Client::events).
#[derive(Debug)]
pub struct Events {
    pub(super) shared: Arc<Shared>,
    pub(super) next: u64,
}

impl Events {
    /// The next event; `None` once the client has ended. Of those that nobody fetches, the last 64
    /// are kept.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let next = &mut self.next;
        self.shared.lock(|state| {
            if let Some(event) = state.log.next(next) {
                return Poll::Ready(Some(event));
            }
            if state.ended.is_some() {
                return Poll::Ready(None);
            }
            state.wait(context);
            Poll::Pending
        })
    }
}
