//! What calls wait for, by the token of their request.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::task::{Context, Poll, Waker};

use tamtam_core::ReasonCode;
use tamtam_core::client::{Failure, Token};

use super::Message;

/// How a request ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Delivered(ReasonCode),
    /// The answers to a SUBSCRIBE or an UNSUBSCRIBE.
    Codes(Vec<ReasonCode>),
    Response(Box<Message>),
    Failed(Failure),
    /// A streamed payload is to be sent once more.
    Again,
    TimedOut,
    Ended,
}

#[derive(Debug)]
enum Slot {
    Waiting(Option<Waker>),
    /// Only a response will do, or a refusal.
    WaitingForResponse(Option<Waker>),
    Done(Outcome),
}

/// Calls that wait. Its memory is kept, so that a publish allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Completions {
    slots: HashMap<u32, Slot, BuildHasherDefault<Spread>>,
    waiting: usize,
}

impl Completions {
    /// How many requests are awaited.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn expect(&mut self, token: Token) {
        self.slots.insert(token.get(), Slot::Waiting(None));
        self.waiting += 1;
    }

    pub(super) fn expect_response(&mut self, token: Token) {
        self.slots.insert(token.get(), Slot::WaitingForResponse(None));
        self.waiting += 1;
    }

    /// Nobody waits any more.
    pub(super) fn forget(&mut self, token: Token) {
        if let Some(slot) = self.slots.remove(&token.get())
            && !matches!(slot, Slot::Done(_))
        {
            self.waiting -= 1;
        }
    }

    pub(super) fn is_expected(&self, token: Token) -> bool {
        matches!(self.slots.get(&token.get()), Some(Slot::Waiting(_) | Slot::WaitingForResponse(_)))
    }

    /// Returns whom to wake.
    pub(super) fn complete(&mut self, token: Token, outcome: Outcome) -> Option<Waker> {
        let slot = self.slots.get_mut(&token.get())?;
        let waker = match (&mut *slot, &outcome) {
            (Slot::Done(_), _) => return None,
            (Slot::WaitingForResponse(_), Outcome::Delivered(reason)) if !reason.is_error() => {
                return None;
            }
            (Slot::Waiting(waker) | Slot::WaitingForResponse(waker), _) => waker.take(),
        };
        *slot = Slot::Done(outcome);
        self.waiting -= 1;
        waker
    }

    pub(super) fn poll(&mut self, token: Token, context: &mut Context<'_>) -> Poll<Outcome> {
        let Entry::Occupied(mut entry) = self.slots.entry(token.get()) else {
            return Poll::Ready(Outcome::Ended);
        };
        if let Slot::Waiting(waker) | Slot::WaitingForResponse(waker) = entry.get_mut() {
            if waker.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
                *waker = Some(context.waker().clone());
            }
            return Poll::Pending;
        }
        match entry.remove() {
            Slot::Done(outcome) => Poll::Ready(outcome),
            _ => Poll::Ready(Outcome::Ended),
        }
    }

    /// Everything that is awaited will not come.
    pub(super) fn end(&mut self, wake: &mut Vec<Waker>) {
        self.waiting = 0;
        for slot in self.slots.values_mut() {
            if let Slot::Waiting(waker) | Slot::WaitingForResponse(waker) = slot {
                wake.extend(waker.take());
                *slot = Slot::Done(Outcome::Ended);
            }
        }
    }
}

/// Spreads tokens, which follow one another: nobody from outside can choose them.
#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
