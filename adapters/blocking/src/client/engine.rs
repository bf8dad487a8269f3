//! The machine and its transport, driven turn by turn by whoever waits for something.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant as Moment};

use tamtam_core::client::{AckToken, Client as Machine, Transport};
use tamtam_core::{Heap, Instant, Version};
use tamtam_transport::Stack;

use super::inbox::Inbox;
use super::setup::{Authenticator, Setup};
use super::wire::{DialError, Dialer, Wire};
use super::{ConnectError, Lost};
use crate::clock::Clock;

/// How much is read at once at least, in bytes.
const READ_BYTES: usize = 16 << 10;

/// How long to wait for a connection to one address at most.
const DIAL_PATIENCE: Duration = Duration::from_secs(10);

/// How often there is a turn at least while the application is busy with what it has.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(1);

/// How long a read may take when nothing says otherwise, and while something can't be written.
const READ_PATIENCE: Duration = Duration::from_secs(3_600);
const STUCK_PATIENCE: Duration = Duration::from_millis(10);

pub(super) struct Engine {
    pub(super) machine: Machine<Heap>,
    clock: Clock,
    dialer: Dialer,
    wire: Option<Box<dyn Wire>>,
    stack: Stack,
    /// What was read; taken in up to `start`, and there up to `end`.
    input: Vec<u8>,
    start: usize,
    end: usize,
    wire_bytes: Vec<u8>,
    pub(super) inbox: Inbox,
    authenticator: Option<Authenticator>,
    /// Why the transport ended, until the machine says that it has.
    broken: Option<Lost>,
    /// Whether somebody waits for an answer, so that reading goes on.
    pub(super) awaited: bool,
    /// Whether the application acknowledges by itself.
    pub(super) manual_ack: bool,
    /// Whether answers to requests are subscribed to.
    pub(super) replies_come: bool,
    /// Whether the transport takes no more at the moment.
    stuck: bool,
    /// When the last turn was, by either clock. It is near enough for what is only queued.
    worked: Moment,
    pub(super) last: Instant,
    /// What is waited on, where other threads can end the waiting.
    poller: Option<Poller>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("is_connected", &self.machine.is_connected()).finish()
    }
}

impl Engine {
    pub(super) fn start(setup: Setup<'_>, dialer: Dialer) -> Result<Self, ConnectError> {
        let manual_ack = setup.options.is_manual_ack();
        let ahead = setup.options.receives_ahead().min(setup.queue);
        let is_v5 = setup.options.version() == Version::V5;
        let limit = usize::from(setup.queue);
        // A message is acknowledged once the application has it, so the machine waits for that.
        let options = setup.options.manual_ack(true);
        let options = if is_v5 { options.receive_maximum(ahead) } else { options };
        let overrun = usize::from(setup.overrun).max(limit);
        let mut machine = Machine::new();
        machine.start(&options, seed())?;
        let clock = Clock::new();
        let now = clock.now();
        let _ = machine.connect(now); // it was just started, so nothing is against it
        let mut inbox = Inbox::new(limit, overrun);
        inbox.reply_topic = setup.reply_topic;
        Ok(Self {
            machine,
            clock,
            dialer,
            wire: None,
            stack: Stack::plain(),
            input: Vec::new(),
            start: 0,
            end: 0,
            wire_bytes: Vec::new(),
            inbox,
            authenticator: setup.authenticator,
            broken: None,
            awaited: false,
            manual_ack,
            replies_come: false,
            stuck: false,
            worked: Moment::now(),
            last: now,
            poller: None,
        })
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Whether the client is not connected, and will not try to be.
    pub(super) fn is_over(&self) -> bool {
        self.machine.transport() == Transport::Resting && self.machine.poll_timeout().is_none()
    }

    /// One turn: does what there is to do, or waits for something to do, until `until` at most.
    pub(super) fn turn(&mut self, until: Option<Moment>) {
        let now = self.now();
        (self.worked, self.last) = (Moment::now(), now);
        self.machine.handle_timeout(now);
        match self.machine.transport() {
            Transport::Wanted => self.open(until),
            Transport::Unwanted => self.close(),
            Transport::Open | Transport::Resting => {}
        }
        if self.take_in() | self.write() {
            return;
        }
        match self.machine.transport() {
            Transport::Open if !self.inbox.is_full(self.awaited) => self.read(until),
            Transport::Resting => self.rest(until),
            _ => {}
        }
    }

    /// Does what there is to do without waiting, if that was not done for long: while messages are
    /// taken from the inbox, pings have to leave too.
    pub(super) fn keep_alive(&mut self) {
        if self.worked.elapsed() >= KEEP_ALIVE_EVERY {
            self.turn(Some(Moment::now()));
        }
    }

    fn open(&mut self, until: Option<Moment>) {
        let patience = until.map(|until| until.saturating_duration_since(Moment::now()));
        let patience = patience.unwrap_or(DIAL_PATIENCE).min(DIAL_PATIENCE);
        let lost = match self.dialer.dial(patience) {
            Ok((mut wire, stack)) => {
                if let Some(poller) = &self.poller {
                    poller.attach(&mut *wire);
                }
                (self.wire, self.stack) = (Some(wire), stack);
                (self.start, self.end, self.stuck) = (0, 0, false);
                return self.machine.handle_open(self.now());
            }
            Err(DialError::Io(error)) => Lost::from(error),
            Err(DialError::Layers(error)) => Lost::Layer(error.into()),
        };
        self.inbox.lose(lost);
        self.machine.handle_close(self.now());
    }

    /// Ends the transport.
    fn close(&mut self) {
        if let Some(mut wire) = self.wire.take()
            && !self.stack.is_plain()
        {
            self.stack.close();
            let _ = wire.write_all(self.stack.output());
        }
        self.stack = Stack::plain();
        self.machine.handle_close(self.now());
    }

    /// The transport failed.
    fn break_off(&mut self, lost: Lost) {
        self.broken = Some(lost);
        self.close();
    }

    /// Hands the machine what was read, and takes what it tells. Whether there was anything.
    fn take_in(&mut self) -> bool {
        let (mut told, now) = (false, self.clock.now());
        while !self.inbox.is_full(self.awaited) {
            let mut input = self.input.get(self.start..self.end).unwrap_or_default();
            let before = input.len();
            match self.machine.handle_input(&mut input, now) {
                Ok(Some(event)) => self.inbox.take(event, &self.machine),
                Ok(None) => {
                    let taken = before.saturating_sub(input.len());
                    self.start = self.start.saturating_add(taken);
                    return told || taken > 0; // PINGRESP is news too
                }
                Err(lost) => {
                    let lost = self.broken.take().unwrap_or_else(|| lost.into());
                    self.inbox.lose(lost);
                    self.write(); // what the machine says of it
                    self.close();
                    (self.start, self.end) = (0, 0);
                    return true;
                }
            }
            told = true;
            self.start = self.start.saturating_add(before.saturating_sub(input.len()));
            self.do_what_is_due(now);
        }
        told
    }

    /// What the inbox asked for while it took something.
    fn do_what_is_due(&mut self, now: Instant) {
        while let Some(ack) = self.inbox.acks.pop() {
            self.acknowledge(ack);
        }
        while let Some(token) = self.inbox.abandoned.pop() {
            let _ = self.machine.abandon_stream(token, now);
        }
        if let Some(challenge) = self.inbox.challenge.take()
            && let Some(answer) = &mut self.authenticator
        {
            let _ = self.machine.authenticate(Some(&answer(&challenge)), now);
        }
        if std::mem::take(&mut self.inbox.is_overrun) {
            self.break_off(Lost::Overrun);
        }
    }

    /// Acknowledges a message. One whose connection is gone comes again.
    pub(super) fn acknowledge(&mut self, ack: AckToken) {
        if ack != AckToken::NOTHING {
            let _ = self.machine.ack(ack, self.now());
        }
    }

    /// Writes what the machine has to say. Whether any of it left.
    pub(super) fn write(&mut self) -> bool {
        match self.try_write() {
            Ok(wrote) => wrote,
            Err(lost) => {
                self.break_off(lost);
                true
            }
        }
    }

    fn try_write(&mut self) -> Result<bool, Lost> {
        let (now, mut wrote) = (self.clock.now(), false);
        self.stuck = false;
        let Some(wire) = &mut self.wire else { return Ok(false) };
        loop {
            let output = if self.stack.is_plain() {
                self.machine.output()
            } else {
                let taken = self.stack.write(self.machine.output());
                let taken = taken.map_err(|error| Lost::Layer(error.into()))?;
                self.machine.output_written(taken, now);
                self.stack.output()
            };
            if output.is_empty() {
                return Ok(wrote);
            }
            match wire.write(output) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(len) if self.stack.is_plain() => self.machine.output_written(len, now),
                Ok(len) => self.stack.output_written(len),
                Err(error) if is_late(&error) => {
                    self.stuck = true; // what has arrived is read before this is tried again
                    return Ok(wrote);
                }
                Err(error) => return Err(error.into()),
            }
            wrote = true;
        }
    }

    /// Waits for bytes.
    fn read(&mut self, until: Option<Moment>) {
        let patience = self.patience(until);
        match self.try_read(patience) {
            Ok(()) => {}
            Err(lost) => self.break_off(lost),
        }
    }

    fn patience(&self, until: Option<Moment>) -> Duration {
        let most = if self.stuck { STUCK_PATIENCE } else { READ_PATIENCE };
        let due = self.machine.poll_timeout().map(|due| due.wait_from(self.clock.now()));
        let until = until.map(|until| until.saturating_duration_since(Moment::now()));
        [due, until].into_iter().flatten().fold(most, Duration::min).max(Duration::from_millis(1))
    }

    fn try_read(&mut self, patience: Duration) -> Result<(), Lost> {
        self.make_room();
        let Some(wire) = &mut self.wire else { return Ok(()) };
        wire.set_read_timeout(patience)?;
        let is_plain = self.stack.is_plain();
        let room = if is_plain {
            self.input.get_mut(self.end..).unwrap_or_default()
        } else {
            self.wire_bytes.resize(READ_BYTES, 0);
            &mut self.wire_bytes
        };
        let len = match wire.read(room) {
            Ok(0) => return Err(Lost::Closed),
            Ok(len) => len,
            Err(error) if is_late(&error) => {
                if let Some(poller) = &mut self.poller {
                    poller.wait(patience);
                }
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if is_plain {
            self.end = self.end.saturating_add(len);
            return Ok(());
        }
        self.input.truncate(self.end);
        let mut wire = self.wire_bytes.get(..len).unwrap_or_default();
        let done = self.stack.handle_wire(&mut wire, &mut self.input);
        self.end = self.input.len();
        done.map_err(|error| Lost::Layer(error.into()))?;
        if self.stack.is_ended() {
            self.take_in();
            return Err(Lost::Closed);
        }
        Ok(())
    }

    /// Room for what is read. It grows with an unfinished packet, by what has come of it.
    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end.saturating_sub(self.start));
        }
        let wanted = self.end.saturating_mul(2).max(READ_BYTES);
        if self.input.len() < wanted {
            self.input.resize(wanted, 0);
        } else if self.end == 0 && self.input.len() > READ_BYTES.saturating_mul(4) {
            self.input = vec![0; READ_BYTES];
        }
    }

    /// Waits for the next attempt.
    fn rest(&mut self, until: Option<Moment>) {
        if self.is_over() {
            return;
        }
        let patience = self.patience(until);
        match &mut self.poller {
            Some(poller) => poller.wait(patience),
            None => std::thread::sleep(patience),
        }
    }

    /// From now on other threads can end the waiting.
    pub(super) fn poll_by(&mut self, poller: Poller) {
        if let Some(wire) = &mut self.wire {
            poller.attach(&mut **wire);
        }
        self.poller = Some(poller);
    }

    /// Ends the connection without a goodbye; what the options say of that goes on.
    pub(super) fn give_up(&mut self) {
        self.break_off(Lost::Closed);
    }
}

/// What a thread waits on that others can wake.
pub(super) struct Poller {
    poll: mio::Poll,
    events: mio::Events,
}

impl Poller {
    pub(super) fn new() -> io::Result<(Self, mio::Waker)> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), mio::Token(0))?;
        Ok((Self { poll, events: mio::Events::with_capacity(4) }, waker))
    }

    /// Also waits for a wire, if it can be waited for.
    fn attach(&self, wire: &mut dyn Wire) {
        let _ = wire.attach(self.poll.registry());
    }

    fn wait(&mut self, patience: Duration) {
        let _ = self.poll.poll(&mut self.events, Some(patience));
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Different in each process and for each client.
pub(super) fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
