//! One connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tamtam_core::broker::{Broker, Input, LinkId};
use tamtam_core::{Heap, Instant};

use super::ready::Flag;
use crate::Duplex;
use crate::wire::{READ_BYTES, Wire};

/// How often one connection is read in a turn, before others have theirs.
const READS: u32 = 4;
/// How long a connection that is over may take to say so, in milliseconds.
const FAREWELL_MS: u64 = 2_000;

pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) wire: Wire<Box<dyn Duplex>>,
    pub(super) address: Option<SocketAddr>,
    pub(super) listener: Option<usize>,
    flag: Arc<Flag>,
    waker: Waker,
    /// Whether the machine wants no input.
    blocked: bool,
    /// Until when it may say farewell, if it is over.
    closing: Option<Instant>,
    is_noted: bool,
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Alive,
    /// It is gone.
    Gone,
}

impl Link {
    pub(super) fn new(
        id: LinkId,
        wire: Wire<Box<dyn Duplex>>,
        address: Option<SocketAddr>,
        listener: Option<usize>,
        flag: Arc<Flag>,
    ) -> Self {
        let waker = Waker::from(Arc::clone(&flag));
        Self {
            id,
            wire,
            address,
            listener,
            flag,
            waker,
            blocked: false,
            closing: None,
            is_noted: false,
        }
    }

    /// It is ready for something: reads, and writes what could not be written before.
    pub(super) fn handle_ready(
        &mut self,
        broker: &mut Broker<Heap>,
        scratch: &mut [u8],
        now: Instant,
    ) -> State {
        self.flag.look();
        if self.write(broker, now) == State::Gone || self.read(broker, scratch, now) == State::Gone
        {
            return State::Gone;
        }
        // The layers may have answered: in a handshake, to pings.
        if self.wire.stack.output().is_empty() { State::Alive } else { self.write(broker, now) }
    }

    fn read(&mut self, broker: &mut Broker<Heap>, scratch: &mut [u8], now: Instant) -> State {
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        for _ in 0..READS {
            // While much waits to be written, as answers to pings do, nothing is read.
            let is_choked = self.wire.stack.output().len() >= READ_BYTES;
            if self.blocked || self.closing.is_some() || is_choked {
                return State::Alive;
            }
            match self.wire.poll_read(scratch, &mut context) {
                Poll::Pending => return State::Alive,
                Poll::Ready(Ok(read)) if read > 0 => self.feed(broker, now),
                Poll::Ready(end) => {
                    if end.is_err() && self.closing.is_none() {
                        // What the layers have to say of it still goes.
                        let _ = self.wire.poll_close(&mut context);
                    }
                    return State::Gone;
                }
            }
        }
        waker.wake(); // it may have more
        State::Alive
    }

    /// Hands in what was read.
    fn feed(&mut self, broker: &mut Broker<Heap>, now: Instant) {
        let mut input = self.wire.read();
        let before = input.len();
        let done = broker.handle_input(self.id, &mut input, now);
        let used = before - input.len();
        self.wire.used(used);
        match done {
            Input::More => {}
            Input::Blocked => self.blocked = true,
            Input::Close => self.close(now),
        }
    }

    /// The machine wants input again.
    pub(super) fn resume(&mut self, broker: &mut Broker<Heap>, now: Instant) {
        if std::mem::take(&mut self.blocked) {
            self.feed(broker, now);
            self.waker.wake_by_ref(); // to be read again
        }
    }

    /// It is over, once its output has left.
    pub(super) fn close(&mut self, now: Instant) {
        self.closing.get_or_insert(now.plus_millis(FAREWELL_MS));
        self.waker.wake_by_ref();
    }

    /// Until when it may say farewell, the first time that it is asked once it is over.
    pub(super) const fn take_closing(&mut self) -> Option<Instant> {
        if self.is_noted {
            None
        } else {
            self.is_noted = self.closing.is_some();
            self.closing
        }
    }

    /// Writes what there is.
    pub(super) fn write(&mut self, broker: &mut Broker<Heap>, now: Instant) -> State {
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        loop {
            let (sent, written) = self.wire.poll_write(broker.output(self.id), &mut context);
            if sent > 0 {
                broker.output_written(self.id, sent, now);
            }
            match written {
                Poll::Ready(Err(_)) => return State::Gone,
                Poll::Ready(Ok(())) if sent > 0 => {} // there may be more by now
                Poll::Ready(Ok(())) | Poll::Pending => break,
            }
        }
        let is_late = self.closing.is_some_and(|until| until <= now);
        let is_done = self.closing.is_some() && broker.output(self.id).is_empty();
        if is_late || is_done && self.wire.poll_close(&mut context).is_ready() {
            return State::Gone;
        }
        State::Alive
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("id", &self.id).finish_non_exhaustive()
    }
}
