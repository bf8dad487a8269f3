//! What a connection and its handles share, under one lock.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tamtam_core::client::{AckToken, Client as Machine, SendError, Token, Transport};
use tamtam_core::{Heap, Instant, QoS, ReasonCode};

use super::completions::{Completions, Outcome};
use super::events::Log;
use super::message::Message;
use super::payload::Body;
use super::setup::Authenticator;
use super::{Error, Event, Lost};

/// What a connection and its handles share.
#[derive(Debug)]
pub(super) struct Shared(Mutex<State>);

impl Shared {
    pub(super) const fn new(state: State) -> Self {
        Self(Mutex::new(state))
    }

    /// Does something with the state, and wakes whom it concerns once the lock is released: a waker
    /// may run code of others.
    pub(super) fn lock<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut state);
        if state.has_news() {
            release(state, &mut Vec::new());
        }
        result
    }

    /// The same, with memory for wakers that is kept.
    pub(super) fn lock_with<T>(
        &self,
        wake: &mut Vec<Waker>,
        work: impl FnOnce(&mut State) -> T,
    ) -> T {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut state);
        if state.has_news() {
            release(state, wake);
        }
        result
    }

    /// Waits until `work` has something, which is asked again whenever something has changed.
    pub(super) async fn wait_for<T>(&self, mut work: impl FnMut(&mut State) -> Option<T>) -> T {
        poll_fn(|context| {
            self.lock(|state| match work(state) {
                Some(result) => Poll::Ready(result),
                None => {
                    state.wait(context);
                    Poll::Pending
                }
            })
        })
        .await
    }
}

/// Releases the lock, and then wakes whom the news concern. Most calls have none.
#[cold]
fn release(mut state: MutexGuard<'_, State>, wake: &mut Vec<Waker>) {
    std::mem::swap(&mut state.wake, wake);
    let asleep = state.stirred && std::mem::take(&mut state.asleep);
    let driver = if asleep { state.driver.take() } else { None };
    let _discarded = state.discarded.take();
    drop(state);
    for waker in wake.drain(..).chain(driver) {
        waker.wake();
    }
}

/// When to end the connection that the application wants to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    /// What is not acknowledged after this time is left.
    pub(super) patience: Duration,
    /// When that is, once the loop has looked.
    pub(super) until: Option<Instant>,
    /// Whether DISCONNECT was sent.
    pub(super) said: bool,
}

pub(super) struct State {
    pub(super) machine: Machine<Heap>,
    /// The time of the last turn of the loop: near enough for what is only queued.
    pub(super) now: Instant,
    pub(super) completions: Completions,
    pub(super) inbox: Inbox,
    pub(super) bodies: HashMap<u64, Body>,
    pub(super) log: Log,
    /// When requests are given up; and those of which the loop does not know yet.
    pub(super) timeouts: BTreeSet<(Instant, Token)>,
    pub(super) new_timeouts: Vec<(Duration, Token)>,
    pub(super) replies: Replies,
    pub(super) authenticator: Option<Authenticator>,
    pub(super) leaving: Option<Leaving>,
    /// How many connections were lost.
    pub(super) losses: u64,
    /// Whether the connection is to be dropped, because a payload will not be completed.
    pub(super) cut: bool,
    /// Whether there are handles.
    pub(super) has_clients: bool,
    pub(super) ended: Option<Lost>,
    /// Why the last connection was lost, or not made.
    pub(super) lost: Option<Lost>,
    /// Who waits for something to change.
    waiting: Vec<Waker>,
    /// Whom to wake once the lock is released.
    pub(super) wake: Vec<Waker>,
    /// A message to drop then: its payload wants the lock.
    discarded: Option<Box<Message>>,
    driver: Option<Waker>,
    /// Whether the loop waits, and whether there is something for it to do.
    asleep: bool,
    stirred: bool,
}

/// Messages that wait for the application.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) queue: VecDeque<Message>,
    pub(super) limit: usize,
    pub(super) overrun: usize,
    pub(super) manual: bool,
    /// The message that the application was handed last.
    pub(super) handed: Option<Handed>,
    pub(super) waker: Option<Waker>,
    /// Whether anybody receives.
    pub(super) is_open: bool,
    /// Whether as many wait as may, and not yet half of them were taken.
    pub(super) is_full: bool,
    /// QoS 0 messages that made room for others.
    pub(super) dropped: u64,
}

/// What the application handles.
#[derive(Clone, Copy, Debug)]
pub(super) enum Handed {
    Whole(AckToken),
    Streamed(u64),
}

/// Where answers to requests come in.
#[derive(Debug)]
pub(super) struct Replies {
    pub(super) topic: String,
    /// Whether it was chosen by the application.
    pub(super) is_fixed: bool,
    pub(super) state: Subscription,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subscription {
    None,
    UnderWay,
    Made,
}

impl State {
    pub(super) fn new(
        machine: Machine<Heap>,
        inbox: Inbox,
        replies: Replies,
        authenticator: Option<Authenticator>,
        now: Instant,
    ) -> Self {
        Self {
            machine,
            now,
            completions: Completions::default(),
            inbox,
            bodies: HashMap::new(),
            log: Log::default(),
            timeouts: BTreeSet::new(),
            new_timeouts: Vec::new(),
            replies,
            authenticator,
            leaving: None,
            losses: 0,
            cut: false,
            has_clients: true,
            ended: None,
            lost: None,
            waiting: Vec::new(),
            wake: Vec::new(),
            discarded: None,
            driver: None,
            asleep: false,
            stirred: false,
        }
    }

    /// There is something for the loop to do.
    pub(super) const fn stir(&mut self) {
        self.stirred = true;
    }

    /// The loop looks now.
    pub(super) const fn look(&mut self) {
        (self.asleep, self.stirred) = (false, false);
    }

    /// The loop waits, to be woken by `context`; false if there is something to do already.
    pub(super) fn sleep(&mut self, context: &Context<'_>) -> bool {
        if self.stirred {
            return false;
        }
        if self.driver.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
            self.driver = Some(context.waker().clone());
        }
        self.asleep = true;
        true
    }

    /// The task is woken when something has changed.
    pub(super) fn wait(&mut self, context: &Context<'_>) {
        if !self.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            self.waiting.push(context.waker().clone());
        }
    }

    /// Whether somebody is to be woken, or something dropped, once the lock is released.
    const fn has_news(&self) -> bool {
        !self.wake.is_empty() || self.stirred && self.asleep || self.discarded.is_some()
    }

    /// Something has changed for those who wait.
    pub(super) fn changed(&mut self) {
        if !self.waiting.is_empty() {
            self.wake.append(&mut self.waiting);
        }
    }

    /// A message is acknowledged.
    pub(super) fn deliver(&mut self, token: Token, reason: ReasonCode) {
        if let Some(waker) = self.completions.deliver(token, reason) {
            self.wake.push(waker);
        }
        self.changed();
    }

    /// Nobody waits for a request any more.
    pub(super) fn forget(&mut self, token: Token) {
        if let Some(Outcome::Again) = self.completions.forget(token) {
            self.abandon(token);
        }
    }

    /// Nobody sends a payload again that is wanted again: the message is given up, or all that was
    /// published behind it would wait.
    pub(super) fn abandon(&mut self, token: Token) {
        let _ = self.machine.abandon_stream(token, self.now);
        self.stir();
        self.changed();
    }

    pub(super) fn complete(&mut self, token: Token, outcome: Outcome) {
        let waker = self.completions.complete(token, outcome);
        self.wake.extend(waker);
    }

    /// Whether the call may go on.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.ended.is_some() || self.leaving.is_some() { Err(Error::Ended) } else { Ok(()) }
    }

    /// What came of a call to the machine: nothing yet, if it can be tried again later.
    pub(super) fn tried<T>(&mut self, result: Result<T, SendError>) -> Option<Result<T, Error>> {
        match result {
            Ok(value) => {
                self.stir();
                Some(Ok(value))
            }
            Err(SendError::Full | SendError::NotConnected | SendError::Stream)
                if self.ended.is_none() =>
            {
                None
            }
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Whether the machine will not connect any more by itself.
    pub(super) fn is_at_rest(&self) -> bool {
        self.machine.transport() == Transport::Resting && self.machine.poll_timeout().is_none()
    }

    /// The message that was handed out last is done with.
    pub(super) fn settle_handed(&mut self) {
        match self.inbox.handed.take() {
            Some(Handed::Whole(ack)) => {
                let _ = self.machine.ack(ack, self.now);
                self.stir();
            }
            Some(Handed::Streamed(id)) => self.finish_body(id, true),
            None => {}
        }
    }

    /// Nobody reads the payload any more; `settle` if its message is done with, too.
    pub(super) fn finish_body(&mut self, id: u64, settle: bool) {
        let settle = settle || !self.inbox.is_open;
        if let Some(body) = self.bodies.get_mut(&id) {
            body.abandon(settle);
        }
        self.close_body(id);
        self.stir();
    }

    /// Acknowledges a streamed message, and forgets its payload, if it is time for that.
    pub(super) fn close_body(&mut self, id: u64) {
        let Some(body) = self.bodies.get_mut(&id) else { return };
        if body.settles()
            && !self.inbox.manual
            && let Some(ack) = body.ack.take()
        {
            let _ = self.machine.ack(ack, self.now);
        }
        if body.is_over() && (body.settles() || self.inbox.manual || body.ack.is_none()) {
            self.bodies.remove(&id);
        }
    }

    /// Puts a message where the application finds it.
    pub(super) fn receive(&mut self, message: Message) -> Result<(), Lost> {
        let inbox = &mut self.inbox;
        if inbox.queue.len() >= inbox.limit {
            let oldest = inbox.queue.iter().position(|message| message.is_droppable());
            if let Some(oldest) = oldest {
                inbox.queue.remove(oldest);
                inbox.dropped += 1;
            } else if message.is_droppable() {
                inbox.dropped += 1;
                return Ok(());
            } else if inbox.queue.len() >= inbox.overrun.max(inbox.limit) {
                self.discarded = Some(Box::new(message));
                return Err(Lost::Overrun);
            }
        }
        inbox.queue.push_back(message);
        inbox.is_full |= inbox.queue.len() >= inbox.limit;
        self.wake.extend(inbox.waker.take());
        Ok(())
    }

    /// Whether no more is to be read for now.
    pub(super) fn is_crowded(&self) -> bool {
        self.completions.waiting() == 0
            && (self.inbox.is_full || self.bodies.values().any(Body::is_full))
    }

    pub(super) fn note(&mut self, event: Event) {
        self.log.push(event);
        self.changed();
    }

    /// The client has ended.
    pub(super) fn end(&mut self, lost: Lost) {
        self.ended.get_or_insert(lost);
        let mut wake = std::mem::take(&mut self.wake);
        self.completions.end(&mut wake);
        for body in self.bodies.values_mut() {
            wake.extend(body.abort());
        }
        self.wake = wake;
        self.wake.extend(self.inbox.waker.take());
        self.changed();
    }
}

impl Message {
    /// Whether it may be dropped for others: at QoS 0, and not on its way.
    fn is_droppable(&self) -> bool {
        self.qos == QoS::AtMostOnce && self.stream.is_none()
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("ended", &self.ended).finish_non_exhaustive()
    }
}
