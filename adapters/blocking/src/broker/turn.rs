//! The loop: what one turn of it does, and in which order.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Token};
use tamtam_core::broker::{Broker, Ended, Event, LinkId};
use tamtam_core::{Heap, Instant};
use tamtam_transport::store::Teller;

use super::accept::Doors;
use super::admission::Arrivals;
use super::connection::Connections;
use super::local::Locals;
use super::policy::Turn;
use super::stop::Stopping;
use super::{Handle, Listener, Policy, Receipt, Store};
use crate::clock::Clock;

/// What wakes the loop from other threads.
pub(super) const WAKER: Token = Token(usize::MAX);

/// How many bytes are read at once, and between two rounds of writing.
pub(super) const SCRATCH_BYTES: usize = 64 << 10;

/// The loop and all that it holds.
pub(super) struct Loop {
    pub(super) poll: Poll,
    pub(super) broker: Broker<Heap>,
    pub(super) clock: Clock,
    /// When this turn began.
    pub(super) now: Instant,
    pub(super) handle: Handle,
    pub(super) policy: Arc<dyn Policy>,
    pub(super) store: Option<Box<dyn Store>>,
    /// Whom its receipts tell, and how many of them are awaited.
    teller: Teller,
    pub(super) unsigned: usize,
    pub(super) listeners: Vec<Listener>,
    pub(super) doors: Doors,
    pub(super) arrivals: Arrivals,
    pub(super) locals: Locals,
    pub(super) connections: Connections,
    /// Those that may have something to read.
    pub(super) ready: VecDeque<LinkId>,
    pub(super) scratch: Vec<u8>,
    /// What came out of a connection's layers.
    pub(super) plaintext: Vec<u8>,
    /// How many bytes were read since the last writing.
    pub(super) unwritten: usize,
    /// Until when the policy has nothing to do.
    policy_due: Option<Instant>,
    pub(super) stopping: Option<Stopping>,
}

impl std::fmt::Debug for Loop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loop").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

impl Loop {
    pub(super) fn new(
        poll: Poll,
        broker: Broker<Heap>,
        clock: Clock,
        handle: Handle,
        policy: Arc<dyn Policy>,
    ) -> Self {
        let teller = handle.teller();
        Self {
            poll,
            broker,
            clock,
            now: clock.now(),
            handle,
            policy,
            store: None,
            teller,
            unsigned: 0,
            listeners: Vec::new(),
            doors: Doors::default(),
            arrivals: Arrivals::default(),
            locals: Locals::default(),
            connections: Connections::default(),
            ready: VecDeque::new(),
            scratch: vec![0; SCRATCH_BYTES],
            plaintext: Vec::new(),
            unwritten: 0,
            policy_due: None,
            stopping: None,
        }
    }

    pub(super) fn run(&mut self) -> io::Result<()> {
        self.handle.shared().begin();
        let result = self.turn_on();
        // Whoever still waits for an answer learns that none will come.
        self.handle.shared().close();
        if let Some(store) = &mut self.store {
            store.close();
        }
        result
    }

    fn turn_on(&mut self) -> io::Result<()> {
        self.open_doors()?;
        let policy = Arc::clone(&self.policy);
        policy.started(&self.handle);
        let mut events = Events::with_capacity(1_024);
        while !self.is_stopped() {
            self.wait(&mut events)?;
            for event in &events {
                self.note(event);
            }
            self.take_inbox();
            if self.broker.poll_timeout().is_some_and(|due| due <= self.now) {
                self.broker.handle_timeout(self.now);
            }
            self.accept();
            self.read_ready();
            self.policy_due = policy.turn(&mut self.as_turn());
            self.settle();
            self.go_on_stopping();
        }
        Ok(())
    }

    /// Waits until there is something to do, and looks at the clock.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout =
            if self.handle.shared().sleep() { self.timeout() } else { Some(Duration::ZERO) };
        let polled = self.poll.poll(events, timeout);
        self.handle.shared().wake();
        self.now = self.clock.now();
        match polled {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() || self.doors.is_ready(self.now) {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.broker.poll_timeout(),
            self.policy_due,
            self.doors.try_again(),
            self.stopping.as_ref().map(Stopping::deadline),
        ];
        deadlines.into_iter().flatten().min().map(|due| due.wait_from(self.now))
    }

    /// Notes what became ready.
    fn note(&mut self, event: &mio::event::Event) {
        let token = event.token();
        if token == WAKER {
            return; // the inbox is looked into in any case
        }
        if self.doors.note(token) {
            return;
        }
        let Some(connection) = self.connections.at(token.0) else { return };
        let link = connection.link;
        connection.ended |= event.is_read_closed() || event.is_error();
        if event.is_error() && connection.blocked {
            return self.lose(link); // what is unread would only be read once it is unblocked
        }
        if event.is_readable() || connection.ended {
            connection.readable = true;
            self.list(link);
        }
        if event.is_writable()
            && let Some(connection) = self.connections.get_mut(link)
            && !connection.writable
        {
            connection.writable = true;
            self.write(link);
        }
    }

    /// A connection is to be read.
    pub(super) fn list(&mut self, link: LinkId) {
        if let Some(connection) = self.connections.get_mut(link)
            && !connection.listed
        {
            connection.listed = true;
            self.ready.push_back(link);
        }
    }

    pub(super) fn as_turn(&mut self) -> Turn<'_> {
        Turn {
            broker: &mut self.broker,
            now: self.now,
            connections: &mut self.connections,
            arrivals: self.arrivals,
            listeners: &mut self.listeners,
            locals: &mut self.locals,
        }
    }

    /// What came from other threads.
    fn take_inbox(&mut self) {
        let Some(inbox) = self.handle.shared().take() else { return };
        for (ticket, is_kept) in inbox.tickets {
            self.unsigned = self.unsigned.saturating_sub(1);
            if is_kept {
                self.broker.handle_persisted(ticket, self.now);
            } else if self.broker.is_awaited(ticket) {
                self.broker.handle_persist_failed(self.now);
            }
        }
        for job in inbox.jobs {
            job(&mut self.as_turn());
        }
        if let Some(patience) = inbox.stop {
            self.begin_stopping(patience);
        }
    }

    /// Does what the machine asks for and writes what it says, until it is silent.
    pub(super) fn settle(&mut self) {
        loop {
            while let Some(event) = self.broker.poll_event() {
                self.handle_event(event);
            }
            self.keep_records(false);
            if !self.write_all() {
                break;
            }
        }
        self.unwritten = 0;
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Ask(ask) => {
                let policy = Arc::clone(&self.policy);
                policy.ask(ask, &mut self.as_turn());
            }
            Event::Resume(link) => self.resume(link),
            Event::Close(link) => self.close(link),
            other => {
                if let Event::Disconnected { link, why: Ended::Disconnected } = other
                    && let Some(connection) = self.connections.get_mut(link)
                {
                    connection.has_left = true;
                }
                let policy = Arc::clone(&self.policy);
                policy.event(&other, &mut self.as_turn());
            }
        }
    }

    /// Hands the store what it is to keep.
    pub(super) fn keep_records(&mut self, all: bool) {
        let Some(store) = &mut self.store else { return };
        while let Some((ticket, records)) = self.broker.take_records(all) {
            self.unsigned = self.unsigned.saturating_add(1);
            store.keep(&records, Receipt::new(ticket, &self.teller));
        }
    }
}
