//! What calls wait for, by the token of their request.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use tamtam_core::ReasonCode;
use tamtam_core::client::{Failure, Token};

use super::Message;

/// How many places there are at first.
const PLACES: usize = 16;

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

/// A call that waits, or has not looked yet at what it waited for.
#[derive(Debug, Default)]
struct Slot {
    token: u32,
    phase: Phase,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Vacant,
    Waiting,
    /// Only a response will do, or a refusal.
    WaitingForResponse,
    Delivered(ReasonCode),
    /// The outcome lies elsewhere.
    Done,
}

impl Phase {
    const fn waits(self) -> bool {
        matches!(self, Self::Waiting | Self::WaitingForResponse)
    }
}

/// Calls that wait. Its memory is kept, so that a publish allocates nothing.
///
/// Tokens follow one another, so the last bits of one are its place, and requests that are made
/// together lie together. Who finds its place taken, by one that has waited for very long, is
/// among the others.
#[derive(Debug, Default)]
pub(super) struct Completions {
    /// As many as a power of two.
    slots: Vec<Slot>,
    others: BTreeMap<u32, Slot>,
    outcomes: BTreeMap<u32, Outcome>,
    /// How many slots are not vacant, and how many of them wait.
    taken: usize,
    waiting: usize,
}

impl Completions {
    /// How many requests are awaited.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn expect(&mut self, token: Token) {
        self.insert(token.get(), Phase::Waiting);
    }

    pub(super) fn expect_response(&mut self, token: Token) {
        self.insert(token.get(), Phase::WaitingForResponse);
    }

    fn insert(&mut self, token: u32, phase: Phase) {
        if self.taken >= self.slots.len() / 2 {
            self.grow();
        }
        self.waiting += 1;
        self.taken += 1;
        let slot = Slot { token, phase, waker: None };
        match self.place(token) {
            Some(place) if place.phase == Phase::Vacant => *place = slot,
            _ => self.insert_elsewhere(slot),
        }
    }

    #[cold]
    fn insert_elsewhere(&mut self, slot: Slot) {
        self.others.insert(slot.token, slot);
    }

    #[cold]
    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(PLACES);
        let before = std::mem::replace(&mut self.slots, Vec::with_capacity(len));
        self.slots.resize_with(len, Slot::default);
        let others = std::mem::take(&mut self.others).into_values();
        for slot in before.into_iter().filter(|slot| slot.phase != Phase::Vacant).chain(others) {
            match self.place(slot.token) {
                Some(place) if place.phase == Phase::Vacant => *place = slot,
                _ => self.insert_elsewhere(slot),
            }
        }
    }

    /// The place that a token has if nobody else is there.
    fn place(&mut self, token: u32) -> Option<&mut Slot> {
        let last = self.slots.len().wrapping_sub(1);
        self.slots.get_mut(token as usize & last)
    }

    fn find(&mut self, token: u32) -> Option<&mut Slot> {
        let last = self.slots.len().wrapping_sub(1);
        match self.slots.get_mut(token as usize & last) {
            Some(slot) if slot.token == token && slot.phase != Phase::Vacant => Some(slot),
            _ => self.others.get_mut(&token),
        }
    }

    fn remove(&mut self, token: u32) -> Option<Slot> {
        let slot = match self.place(token) {
            Some(slot) if slot.token == token && slot.phase != Phase::Vacant => {
                std::mem::take(slot)
            }
            _ => self.others.remove(&token)?,
        };
        self.taken -= 1;
        Some(slot)
    }

    /// Nobody waits any more: the outcome that nobody has looked at.
    pub(super) fn forget(&mut self, token: Token) -> Option<Outcome> {
        let slot = self.remove(token.get())?;
        if slot.phase.waits() {
            self.waiting -= 1;
        }
        (slot.phase == Phase::Done).then(|| self.outcomes.remove(&token.get())).flatten()
    }

    pub(super) fn is_expected(&mut self, token: Token) -> bool {
        self.find(token.get()).is_some_and(|slot| slot.phase.waits())
    }

    /// Returns whom to wake.
    pub(super) fn deliver(&mut self, token: Token, reason: ReasonCode) -> Option<Waker> {
        let slot = self.find(token.get())?;
        if slot.phase == Phase::Waiting || slot.phase.waits() && reason.is_error() {
            slot.phase = Phase::Delivered(reason);
            let waker = slot.waker.take();
            self.waiting -= 1;
            return waker;
        }
        None
    }

    /// Returns whom to wake.
    pub(super) fn complete(&mut self, token: Token, outcome: Outcome) -> Option<Waker> {
        let slot = self.find(token.get()).filter(|slot| slot.phase.waits())?;
        slot.phase = Phase::Done;
        let waker = slot.waker.take();
        self.waiting -= 1;
        self.outcomes.insert(token.get(), outcome);
        waker
    }

    pub(super) fn poll(&mut self, token: Token, context: &mut Context<'_>) -> Poll<Outcome> {
        let Some(slot) = self.find(token.get()) else { return Poll::Ready(Outcome::Ended) };
        let phase = slot.phase;
        if phase.waits() {
            if slot.waker.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
                slot.waker = Some(context.waker().clone());
            }
            return Poll::Pending;
        }
        self.remove(token.get());
        Poll::Ready(match phase {
            Phase::Delivered(reason) => Outcome::Delivered(reason),
            _ => self.outcomes.remove(&token.get()).unwrap_or(Outcome::Ended),
        })
    }

    /// Everything that is awaited will not come.
    pub(super) fn end(&mut self, wake: &mut Vec<Waker>) {
        self.waiting = 0;
        for slot in self.slots.iter_mut().chain(self.others.values_mut()) {
            if slot.phase.waits() {
                slot.phase = Phase::Done;
                wake.extend(slot.waker.take());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tamtam_core::client::{Client, Options, Publish};
    use tamtam_core::{Heap, Instant, QoS, Version};

    use super::*;

    /// Tokens that follow one another.
    fn tokens(count: usize) -> Vec<Token> {
        let now = Instant::from_millis(1);
        let mut client = Client::<Heap>::new();
        let options = Options::new(Version::V311).client_id("a").outgoing_bytes(1 << 20);
        client.start(&options, 7).unwrap();
        client.connect(now).unwrap();
        let publish = Publish::new("a", b"").qos(QoS::AtLeastOnce);
        (0..count).map(|_| client.publish(publish, now).unwrap()).collect()
    }

    #[test]
    fn one_that_waits_for_long_is_in_nobodys_way_and_takes_no_room() {
        let (mut calls, mut context) = (Completions::default(), Context::from_waker(Waker::noop()));
        let tokens = tokens(10_000);
        calls.expect(tokens[0]);
        for token in &tokens[1..] {
            calls.expect(*token);
            assert!(calls.poll(*token, &mut context).is_pending());
            assert!(calls.deliver(*token, ReasonCode::Success).is_some());
            let outcome = calls.poll(*token, &mut context);
            assert!(matches!(outcome, Poll::Ready(Outcome::Delivered(ReasonCode::Success))));
        }
        assert_eq!((calls.waiting(), calls.taken), (1, 1));
        assert!(calls.slots.len() <= PLACES && calls.others.is_empty());
        assert!(calls.deliver(tokens[0], ReasonCode::Success).is_none(), "nobody has looked");
        assert!(calls.poll(tokens[0], &mut context).is_ready());
        assert_eq!((calls.waiting(), calls.taken), (0, 0));
    }

    #[test]
    fn each_call_has_its_own_end_however_many_there_are() {
        let (mut calls, mut context) = (Completions::default(), Context::from_waker(Waker::noop()));
        let tokens = tokens(5_000);
        for (number, token) in tokens.iter().enumerate() {
            if number % 3 == 0 { calls.expect_response(*token) } else { calls.expect(*token) }
        }
        for (number, token) in tokens.iter().enumerate() {
            match number % 5 {
                0 => drop(calls.forget(*token)),
                1 => drop(calls.complete(*token, Outcome::TimedOut)),
                _ => drop(calls.deliver(*token, ReasonCode::Success)),
            }
        }
        for (number, token) in tokens.iter().enumerate() {
            let outcome = calls.poll(*token, &mut context);
            match (number % 5, number % 3) {
                (0, _) => assert!(matches!(outcome, Poll::Ready(Outcome::Ended))),
                (1, _) => assert!(matches!(outcome, Poll::Ready(Outcome::TimedOut))),
                (_, 0) => assert!(outcome.is_pending(), "it was delivered, not answered"),
                _ => assert!(matches!(outcome, Poll::Ready(Outcome::Delivered(_)))),
            }
        }
        let mut wake = Vec::new();
        calls.end(&mut wake);
        assert_eq!((wake.len(), calls.waiting()), (1_000, 0));
        assert!(calls.outcomes.is_empty());
    }
}
