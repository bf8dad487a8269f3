//! The loop of a client: it opens streams, reads, writes, and keeps the time.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_io::{AsyncRead, AsyncWrite};
use tamtam_core::client::{SendError, Transport};
use tamtam_core::{Instant, frame_len};
use tamtam_transport::Stack;

use super::dispatch::{Receiving, Source, plus};
use super::shared::{Leaving, Shared, State};
use super::{Event, Lost};
use crate::Runtime;
use crate::wire::{READ_BYTES, Wire};

/// How many turns are made before others have theirs.
const TURNS: u32 = 32;
/// How much is written at once at most, in bytes.
const WRITE_BYTES: usize = 64 << 10;
/// How long a farewell may take, and when to look again at a server that is not read, in
/// milliseconds.
const FAREWELL_MS: u64 = 2_000;
const RECHECK_MS: u64 = 1_000;

/// What carries a client and its messages: a future that ends when the client has ended.
#[must_use = "nothing happens unless it is driven: spawn it"]
pub struct Connection<R: Runtime, F, O, T> {
    shared: Arc<Shared>,
    runtime: R,
    open: F,
    phase: Phase<O, T>,
    /// A stream that says farewell.
    closing: Option<(Wire<T>, Instant)>,
    sleep: Option<(Instant, Pin<Box<R::Sleep>>)>,
    receiving: Receiving,
    scratch: Box<[u8]>,
    /// What is written, while the machine is free for others.
    outgoing: Vec<u8>,
    wake: Vec<Waker>,
}

enum Phase<O, T> {
    Closed,
    Opening(Pin<Box<O>>),
    Open(Wire<T>),
}

/// What a turn came to.
enum Turn {
    /// There may be more to do.
    Again,
    /// Nothing, until somebody wakes the loop.
    Wait,
    /// The client has ended.
    Ended,
}

impl<R, F, O, T> Connection<R, F, O, T>
where
    R: Runtime,
    F: FnMut() -> O,
    O: Future<Output = io::Result<(T, Stack)>>,
    T: AsyncRead + AsyncWrite + Unpin,
{
    pub(super) fn new(shared: Arc<Shared>, runtime: R, open: F) -> Self {
        Self {
            shared,
            runtime,
            open,
            phase: Phase::Closed,
            closing: None,
            sleep: None,
            receiving: Receiving::default(),
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
            outgoing: Vec::new(),
            wake: Vec::new(),
        }
    }

    fn lock<V>(&mut self, work: impl FnOnce(&mut State) -> V) -> V {
        self.shared.lock_with(&mut self.wake, work)
    }

    fn turn(&mut self, context: &mut Context<'_>) -> Turn {
        let now = self.runtime.now();
        let (transport, cut, ended) = self.lock(|state| {
            state.look();
            state.now = now;
            state.machine.handle_timeout(now);
            state.leave_if_alone();
            leave(state, now);
            let cut = std::mem::take(&mut state.cut);
            (state.machine.transport(), cut, state.ended.is_some())
        });
        if ended {
            self.phase = Phase::Closed;
            self.farewell(now, context);
            return self.rest(now, context);
        }
        if cut && matches!(self.phase, Phase::Open(_)) {
            self.phase = Phase::Closed;
            self.lost(Some(Lost::Closed), now);
            return Turn::Again;
        }
        let progress = match (&mut self.phase, transport) {
            (Phase::Closed, Transport::Wanted) => {
                self.phase = Phase::Opening(Box::pin((self.open)()));
                true
            }
            (Phase::Opening(_), Transport::Wanted) => self.opening(now, context),
            (Phase::Open(_), Transport::Open) => self.carry(now, context),
            (_, Transport::Unwanted) => {
                self.close(now);
                true
            }
            (Phase::Closed, Transport::Open) => {
                self.lost(None, now); // there is no stream any more
                true
            }
            (Phase::Closed, Transport::Resting) => false,
            (_, Transport::Wanted | Transport::Open | Transport::Resting) => {
                self.phase = Phase::Closed;
                true
            }
        };
        self.farewell(now, context);
        if progress { Turn::Again } else { self.rest(now, context) }
    }

    /// Waits for the stream that is being opened.
    fn opening(&mut self, now: Instant, context: &mut Context<'_>) -> bool {
        let Phase::Opening(opening) = &mut self.phase else { return false };
        match opening.as_mut().poll(context) {
            Poll::Pending => false,
            Poll::Ready(Ok((stream, stack))) => {
                self.phase = Phase::Open(Wire::new(stream, stack));
                self.lock(|state| state.machine.handle_open(now));
                true
            }
            Poll::Ready(Err(error)) => {
                self.phase = Phase::Closed;
                self.lost(Some(error.into()), now);
                true
            }
        }
    }

    /// Reads and writes once; whether anything went.
    fn carry(&mut self, now: Instant, context: &mut Context<'_>) -> bool {
        let Phase::Open(wire) = &mut self.phase else { return false };
        let (scratch, outgoing) = (&mut self.scratch, &mut self.outgoing);
        let (receiving, source) = (&mut self.receiving, &self.shared);
        let crowded = self.shared.lock_with(&mut self.wake, |state| state.is_crowded());
        // While much waits to be written, as pings do that are answered, nothing is read.
        let choked = wire.stack.output().len() >= READ_BYTES;
        // What the machine took no part of waits, and more of it would only take memory.
        let read = if crowded || choked || is_stuck(source, wire) {
            Poll::Pending
        } else {
            wire.poll_read(scratch, context)
        };
        let (came, broken) = match read {
            Poll::Pending => (false, None),
            Poll::Ready(Ok(0)) => (false, Some(Lost::Closed)),
            Poll::Ready(Ok(_)) => (true, None),
            Poll::Ready(Err(error)) => (false, Some(error.into())),
        };
        let (took, mut over) = self.shared.lock_with(&mut self.wake, |state| {
            let mut over = None;
            let before = wire.read().len();
            if !crowded || came {
                over = take_in(state, receiving, source, wire, now).err();
            }
            let took = wire.read().len() < before;
            outgoing.clear();
            let output = state.machine.output();
            outgoing.extend_from_slice(output.get(..WRITE_BYTES).unwrap_or(output));
            (took, over)
        });
        let (sent, written) = wire.poll_write(outgoing, context);
        if sent > 0 {
            self.shared.lock_with(&mut self.wake, |state| {
                state.machine.output_written(sent, now);
                state.changed();
            });
        }
        if let Poll::Ready(Err(error)) = written {
            over = over.or(Some(error.into()));
        }
        let wrote = sent > 0;
        if let Some(lost) = over.or(broken) {
            self.close_after(lost, now);
            return true;
        }
        came || took || wrote
    }

    /// The connection is over for this reason.
    fn close_after(&mut self, lost: Lost, now: Instant) {
        if let Phase::Open(wire) = std::mem::replace(&mut self.phase, Phase::Closed) {
            self.closing = Some((wire, now.plus_millis(FAREWELL_MS)));
        }
        self.lost(Some(lost), now);
    }

    /// The machine wants no stream.
    fn close(&mut self, now: Instant) {
        if let Phase::Open(wire) = std::mem::replace(&mut self.phase, Phase::Closed) {
            self.closing = Some((wire, now.plus_millis(FAREWELL_MS)));
        }
        self.lost(None, now);
    }

    /// There is no stream any more, or none could be opened; `lost` if the machine does not know
    /// why.
    fn lost(&mut self, lost: Option<Lost>, now: Instant) {
        self.receiving.lose();
        let (receiving, source) = (&mut self.receiving, &self.shared);
        self.shared.lock_with(&mut self.wake, |state| {
            state.losses += 1;
            state.machine.handle_close(now);
            // What the loss has settled is told without any input, and why it came about.
            let source = Source { chunk: None, shared: source };
            let told = receiving.take_news(state, &source, now).err();
            let lost = match (lost, told) {
                (_, Some(Lost::Done)) => Lost::Done,
                (Some(lost), _) | (None, Some(lost)) => lost,
                (None, None) => Lost::Closed,
            };
            let has_body = state.bodies.values_mut().filter_map(super::payload::Body::abort);
            state.wake.extend(has_body);
            state.lost = Some(lost.clone());
            state.note(Event::Lost(lost.clone()));
            if state.is_at_rest() || state.leaving.is_some_and(|leaving| leaving.said) {
                state.end(lost);
            }
        });
    }

    /// Lets a stream say farewell.
    fn farewell(&mut self, now: Instant, context: &mut Context<'_>) {
        if let Some((wire, until)) = &mut self.closing
            && (wire.poll_close(context).is_ready() || *until <= now)
        {
            self.closing = None;
        }
    }

    /// Waits for the next deadline, or whatever comes before it.
    fn rest(&mut self, now: Instant, context: &mut Context<'_>) -> Turn {
        self.outgoing.clear();
        self.outgoing.shrink_to(READ_BYTES);
        let closing = self.closing.as_ref().map(|(_, until)| *until);
        let ready = self.lock(|state| {
            if state.ended.is_some() {
                return if closing.is_some() { Ok(closing) } else { Err(Turn::Ended) };
            }
            let late = |when: Instant| if when <= now { now.plus_millis(RECHECK_MS) } else { when };
            let timeout = state.machine.poll_timeout().map(late);
            let requests = state.expire(now);
            let leaving = state.leaving.and_then(|leaving| leaving.until);
            let next = [timeout, requests, leaving, closing].into_iter().flatten().min();
            if state.sleep(context) { Ok(next) } else { Err(Turn::Again) }
        });
        let when = match ready {
            Ok(Some(when)) => when,
            Ok(None) => return Turn::Wait,
            Err(turn) => return turn,
        };
        // One that comes too early is cheaper than another one for each turn: deadlines mostly move
        // away, as that of a ping does whenever something is sent.
        if self.sleep.as_ref().is_none_or(|(armed, _)| *armed > when) {
            self.sleep = Some((when, Box::pin(self.runtime.sleep_until(when))));
        }
        let Some((_, sleep)) = &mut self.sleep else { return Turn::Wait };
        if sleep.as_mut().poll(context).is_pending() {
            return Turn::Wait;
        }
        self.sleep = None;
        Turn::Again
    }
}

/// Whether a whole packet waits that the machine did not take: it has no room for the answer.
fn is_stuck<T: AsyncRead + AsyncWrite + Unpin>(shared: &Shared, wire: &Wire<T>) -> bool {
    let read = wire.read();
    if read.len() < READ_BYTES {
        return false;
    }
    let version = shared.lock(|state| state.machine.version());
    frame_len(read, version).is_ok_and(|len| len.is_some_and(|len| len <= read.len()))
}

fn take_in<T: AsyncRead + AsyncWrite + Unpin>(
    state: &mut State,
    receiving: &mut Receiving,
    shared: &Arc<Shared>,
    wire: &mut Wire<T>,
    now: Instant,
) -> Result<(), Lost> {
    let whole = frame_len(wire.read(), state.machine.version());
    let is_whole = whole.is_ok_and(|len| len.is_some_and(|len| len <= wire.read().len()));
    if !is_whole {
        // Nothing that is kept comes of it, but for pieces of a payload.
        let source = Source { chunk: None, shared };
        let mut input = wire.read();
        let before = input.len();
        let done = receiving.take_in(state, &source, &mut input, now);
        let used = before - input.len();
        wire.used(used);
        return done;
    }
    let chunk = wire.take_read();
    let source = Source { chunk: Some(&chunk), shared };
    let mut input = &chunk[..];
    let done = receiving.take_in(state, &source, &mut input, now);
    wire.put_back(input);
    done
}

/// The application wants to leave: is it time?
fn leave(state: &mut State, now: Instant) {
    let Some(Leaving { patience, until, said }) = state.leaving else { return };
    let until = until.unwrap_or_else(|| plus(now, patience));
    state.leaving = Some(Leaving { patience, until: Some(until), said });
    let late = until <= now;
    let idle = state.machine.in_flight() == 0 && state.machine.output().is_empty();
    if !late && (said || !idle) {
        return;
    }
    if said {
        state.machine.handle_close(now); // it had its time
        state.end(Lost::Done);
        return;
    }
    match state.machine.disconnect(now) {
        Ok(()) => state.leaving = Some(Leaving { patience, until: Some(until), said: true }),
        Err(SendError::Full | SendError::Stream) if !late => {}
        Err(_) => {
            state.machine.handle_close(now);
            state.note(Event::Lost(Lost::Done));
            state.end(Lost::Done);
        }
    }
}

impl<R, F, O, T> Future for Connection<R, F, O, T>
where
    R: Runtime + Unpin,
    F: FnMut() -> O + Unpin,
    O: Future<Output = io::Result<(T, Stack)>>,
    T: AsyncRead + AsyncWrite + Unpin,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURNS {
            match self.turn(context) {
                Turn::Again => {}
                Turn::Wait => return Poll::Pending,
                Turn::Ended => return Poll::Ready(()),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R: Runtime, F, O, T> Drop for Connection<R, F, O, T> {
    fn drop(&mut self) {
        self.shared.lock(|state| {
            if state.ended.is_none() {
                state.end(Lost::Closed);
            }
        });
    }
}

impl<R: Runtime, F, O, T> std::fmt::Debug for Connection<R, F, O, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
