//! The loop that drives a client: one step a call.

use core::fmt;

use tamtam_core::client::{Client, Event, Lost, Transport as Wish};
use tamtam_core::{Instant, Storage};

use crate::either::{Either, either};
use crate::{Clock, Transport};

/// How long the last words of a connection may take, in milliseconds.
const LAST_WORDS_MS: u64 = 1_000;

/// A client with its transport, its clock, and the memory for what is received.
///
/// [`Connection::wait`] until something may have happened, then [`Connection::take`] until it says
/// `None`, and so on. See the [crate](crate).
pub struct Connection<'m, S: Storage, T, C> {
    client: &'m mut Client<S>,
    transport: T,
    clock: C,
    received: &'m mut [u8],
    /// What of `received` was not taken in yet.
    start: usize,
    end: usize,
    /// Since when the connection is over, but for its last words.
    over: Option<Instant>,
}

/// What happened, and the client to act upon it: the event borrows from what was received, so that
/// one may publish while holding it.
pub struct Turn<'t, S: Storage> {
    /// What happened.
    pub happened: Happened<'t>,
    /// The client.
    pub client: &'t mut Client<S>,
    /// The time.
    pub now: Instant,
}

/// What happened.
#[derive(Debug)]
pub enum Happened<'t> {
    /// What the client tells.
    Event(Event<'t>),
    /// The connection is over, and the next [`Connection::wait`] closes it once its last words have
    /// left. After [`Lost::Done`] that is all; otherwise there will be another connection, as the
    /// client's options say.
    Lost(Lost<'t>),
    /// The server sent a packet larger than the memory for what is received, and the connection is
    /// over. Give it more, or lower `stream_above` so that messages come in pieces.
    TooLarge,
}

impl<S: Storage> fmt::Debug for Turn<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("happened", &self.happened).finish_non_exhaustive()
    }
}

impl<S: Storage, T, C> fmt::Debug for Connection<'_, S, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = self.end.saturating_sub(self.start);
        f.debug_struct("Connection").field("received", &pending).finish_non_exhaustive()
    }
}

impl<'m, S: Storage, T: Transport, C: Clock> Connection<'m, S, T, C> {
    /// Drives `client`, which was started and told to connect. `received` is the memory for what
    /// comes: it must hold the largest packet that is taken as a whole.
    pub fn new(client: &'m mut Client<S>, transport: T, clock: C, received: &'m mut [u8]) -> Self {
        Self { client, transport, clock, received, start: 0, end: 0, over: None }
    }

    /// The client, to publish by it between two turns.
    pub fn client(&mut self) -> &mut Client<S> {
        self.client
    }

    /// The time, as the client should be told it.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Gives back what it was made of.
    pub fn into_parts(self) -> (T, C) {
        (self.transport, self.clock)
    }

    /// What has happened, one thing a call; `None` once all is told.
    ///
    /// A message is acknowledged by the call after the one that told it, unless acknowledging is
    /// manual.
    pub fn take(&mut self) -> Option<Turn<'_, S>> {
        let now = self.clock.now();
        let mut input = match self.over {
            None => self.received.get(self.start..self.end).unwrap_or_default(),
            Some(_) => return None,
        };
        let happened = self.client.handle_input(&mut input, now);
        self.start = self.end.saturating_sub(input.len());
        let happened = match happened {
            Ok(Some(event)) => Happened::Event(event),
            Ok(None) => {
                // Nothing of it can be taken in, and there is no room for more.
                let is_stuck = input.len() == self.received.len() && !self.received.is_empty();
                if !is_stuck || !self.client.output().is_empty() {
                    return None;
                }
                self.over = Some(now);
                Happened::TooLarge
            }
            Err(lost) => {
                self.over = Some(now);
                Happened::Lost(lost)
            }
        };
        Some(Turn { happened, client: self.client, now })
    }

    /// Waits until something may have happened: bytes came or left, or time has passed.
    ///
    /// Its future may be dropped at any moment.
    pub async fn wait(&mut self) {
        let now = self.clock.now();
        self.client.handle_timeout(now);
        if let Some(since) = self.over {
            return self.part(since).await;
        }
        match self.client.transport() {
            Wish::Wanted => self.open().await,
            Wish::Unwanted => self.close(),
            Wish::Resting => self.rest().await,
            Wish::Open if self.client.output().is_empty() => self.read().await,
            Wish::Open => self.write().await,
        }
    }

    /// When the client must be woken.
    fn deadline(&self) -> Instant {
        self.client.poll_timeout().unwrap_or(Instant::NEVER)
    }

    async fn rest(&mut self) {
        self.clock.wait_until(self.deadline()).await;
    }

    async fn open(&mut self) {
        let deadline = self.deadline();
        match either(self.transport.open(), self.clock.wait_until(deadline)).await {
            Either::First(Ok(())) => {
                (self.start, self.end) = (0, 0);
                self.client.handle_open(self.clock.now());
            }
            Either::First(Err(_)) => self.close(),
            Either::Second(()) => {} // the client takes note of it by itself
        }
    }

    fn close(&mut self) {
        self.transport.close();
        (self.start, self.end) = (0, 0);
        self.over = None;
        self.client.handle_close(self.clock.now());
    }

    /// Writes once. It does not read meanwhile: there is little to write, and a transport that
    /// takes none of it ends by the keep alive.
    async fn write(&mut self) {
        let deadline = self.deadline();
        let output = self.client.output();
        match either(self.transport.write(output), self.clock.wait_until(deadline)).await {
            Either::First(Ok(written)) if written != 0 => {
                self.client.output_written(written, self.clock.now());
            }
            Either::First(_) => self.close(),
            Either::Second(()) => {}
        }
    }

    /// Reads once.
    async fn read(&mut self) {
        self.received.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end.saturating_sub(self.start));
        let deadline = self.deadline();
        let room = self.received.get_mut(self.end..).unwrap_or_default();
        if room.is_empty() {
            return; // what is there is to be taken first
        }
        match either(self.transport.read(room), self.clock.wait_until(deadline)).await {
            Either::First(Ok(read)) if read != 0 => self.end = self.end.saturating_add(read),
            Either::First(_) => self.close(),
            Either::Second(()) => {}
        }
    }

    /// The last words leave, within a moment; then the transport is closed.
    async fn part(&mut self, since: Instant) {
        let deadline = since.plus_millis(LAST_WORDS_MS);
        while !self.client.output().is_empty() && self.clock.now() < deadline {
            let output = self.client.output();
            match either(self.transport.write(output), self.clock.wait_until(deadline)).await {
                Either::First(Ok(written)) if written != 0 => {
                    self.client.output_written(written, self.clock.now());
                }
                _ => break,
            }
        }
        let _ = either(self.transport.flush(), self.clock.wait_until(deadline)).await;
        self.close();
    }
}
