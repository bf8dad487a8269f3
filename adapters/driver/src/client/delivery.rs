//! A message that is on its way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tamtam_core::ReasonCode;
use tamtam_core::client::Token;

use super::completions::Outcome;
use super::error::Error;
use super::shared::Shared;

/// A message that is on its way: resolves at its acknowledgement, with its reason code; at QoS 0 at
/// once.
///
/// The message is sent whether or not anybody waits for this.
#[derive(Debug)]
#[must_use = "drop it if nobody wants to know whether the message was acknowledged"]
pub struct Delivery {
    awaited: Awaited,
}

impl Delivery {
    pub(super) const fn new(awaited: Awaited) -> Self {
        Self { awaited }
    }
}

impl Future for Delivery {
    type Output = Result<ReasonCode, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.awaited.token.is_none() {
            return Poll::Ready(Ok(ReasonCode::Success));
        }
        Poll::Ready(delivered(ready!(self.awaited.poll(context))))
    }
}

/// What the end of a message means to who waits for it.
pub(super) fn delivered(outcome: Outcome) -> Result<ReasonCode, Error> {
    match outcome {
        Outcome::Delivered(reason) if reason.is_error() => Err(Error::Refused(reason)),
        Outcome::Delivered(reason) => Ok(reason),
        Outcome::Failed(why) => Err(why.into()),
        Outcome::Again => Err(Error::Again),
        Outcome::TimedOut => Err(Error::TimedOut),
        Outcome::Codes(_) | Outcome::Response(_) | Outcome::Ended => Err(Error::Ended),
    }
}

/// The end of a request, for one who waits.
#[derive(Debug)]
pub(super) struct Awaited {
    pub(super) shared: Arc<Shared>,
    /// None if there is nothing to wait for, or no more.
    pub(super) token: Option<Token>,
}

impl Awaited {
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        let Some(token) = self.token else { return Poll::Ready(Outcome::Ended) };
        let outcome = ready!(self.shared.lock(|state| state.completions.poll(token, context)));
        self.token = None;
        Poll::Ready(outcome)
    }

    pub(super) async fn outcome(&mut self) -> Outcome {
        std::future::poll_fn(|context| self.poll(context)).await
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            self.shared.lock(|state| state.forget(token));
        }
    }
}
