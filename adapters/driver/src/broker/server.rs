//! The loop.

use std::collections::VecDeque;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tamtam_core::Instant;
use tamtam_core::broker::{Broker, Event, LinkId, Options};
use tamtam_transport::store::{Receipt, Store, Teller};
use tamtam_transport::{ServerLayers, Stack};

use super::handle::{Handle, Shared, State};
use super::link::{Link, State as Fate};
use super::policy::{Links, Policy, Turn};
use super::ready::Flag;
use super::{Accepted, Accepting};
use crate::Runtime;
use crate::wire::{READ_BYTES, Wire};

/// How many turns are made before others have theirs.
const TURNS: u32 = 32;
/// How many connections are looked at in a turn: for so long handles may have to wait.
const LINKS: usize = 64;
/// How long nothing is accepted after that failed, as it does when there are no descriptors left,
/// in milliseconds.
const RETRY_MS: u64 = 100;
/// Sources from here on are listeners.
const LISTENERS: usize = usize::MAX / 2;

/// A broker: a future that serves until it is stopped.
#[must_use = "nothing happens unless it is driven: spawn it"]
pub struct Server<R: Runtime, P> {
    pub(super) shared: Arc<Shared>,
    runtime: R,
    policy: P,
    pub(super) links: Links,
    pub(super) listeners: Vec<Listener>,
    pub(super) store: Option<Box<dyn Store>>,
    /// Whom its receipts tell, and how many of them are awaited.
    teller: Teller,
    pub(super) unsigned: usize,
    /// What is ready, and not yet looked at.
    ready: Vec<usize>,
    /// When the broker ends, if it is to.
    pub(super) stopping: Option<Instant>,
    /// Connections that say farewell, in the order of their deadlines.
    closing: VecDeque<(Instant, LinkId)>,
    /// Whom to wake after the turn.
    pub(super) wake: Vec<Waker>,
    sleep: Option<(Instant, Pin<Box<R::Sleep>>)>,
    scratch: Box<[u8]>,
}

pub(super) struct Listener {
    accept: Box<dyn FnMut() -> Accepting + Send>,
    accepting: Option<Accepting>,
    layers: ServerLayers,
    flag: Arc<Flag>,
    /// Until when it rests, after a failure.
    resting: Option<Instant>,
}

impl<R, P> Server<R, P>
where
    R: Runtime + Clone + Send + Sync + 'static,
    P: Policy,
{
    /// A broker without listeners, and what reaches it.
    pub fn new(runtime: R, options: &Options, policy: P) -> (Handle, Self) {
        let mut broker = Broker::new();
        broker.start(options, RandomState::new().build_hasher().finish());
        let clock = runtime.clone();
        let shared = Arc::new(Shared::new(broker, move || clock.now()));
        let server = Self {
            shared: Arc::clone(&shared),
            runtime,
            policy,
            links: Links::default(),
            listeners: Vec::new(),
            store: None,
            teller: shared.ready.teller(),
            unsigned: 0,
            ready: Vec::new(),
            stopping: None,
            closing: VecDeque::new(),
            wake: Vec::new(),
            sleep: None,
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
        };
        (Handle { shared }, server)
    }
}

impl<R: Runtime, P: Policy> Server<R, P> {
    /// Also serves what `accept` accepts, one connection after the other, through these layers.
    pub fn listen<F>(
        mut self,
        layers: ServerLayers,
        mut accept: impl FnMut() -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = io::Result<Accepted>> + Send + 'static,
    {
        let flag = Flag::new(&self.shared.ready, LISTENERS + self.listeners.len());
        let accept = Box::new(move || Box::pin(accept()) as Accepting);
        self.listeners.push(Listener { accept, accepting: None, layers, flag, resting: None });
        self
    }

    /// This keeps what must survive. [`Options::store`] has to be set too.
    ///
    /// What a store has from before is handed back to the machine by way of
    /// [`Handle::with`], before the loop is driven: [`Broker::restore`], [`Broker::restored`].
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Box::new(store));
        self
    }

    fn turn(&mut self, now: Instant) {
        let shared = Arc::clone(&self.shared);
        shared.turn(|state| {
            self.hear_of_tickets(state, now);
            for (stream, layers) in std::mem::take(&mut state.brought) {
                self.open(state, stream, &layers, None, now);
            }
            self.begin_stopping(state, now);
            self.end_farewells(state, now);
            state.broker.handle_timeout(now);
            let some = self.ready.len().min(LINKS);
            for source in self.ready.drain(..some).collect::<Vec<_>>() {
                match source.checked_sub(LISTENERS) {
                    Some(listener) => self.accept(state, listener, now),
                    None => self.look_at(state, source, now),
                }
            }
            // What is told may give something to keep or to write, and the other way round.
            loop {
                self.tell(state, now);
                self.keep_records(state, self.stopping.is_some());
                if !self.write(state, now) {
                    break;
                }
            }
        });
        for waker in self.wake.drain(..) {
            waker.wake();
        }
    }

    /// Waits for the next deadline; whether it is there.
    fn rest(&mut self, now: Instant, context: &mut Context<'_>) -> bool {
        let timeout = self.shared.turn(|state| state.broker.poll_timeout());
        let farewell = self.closing.front().map(|(until, _)| *until);
        let resting = self.listeners.iter().filter_map(|listener| listener.resting).min();
        let next = [timeout, farewell, resting, self.stopping].into_iter().flatten().min();
        let Some(when) = next.map(|when| when.max(now)) else { return false };
        // One that comes too early is cheaper than another one for each turn: deadlines mostly move
        // away, as that of a ping does whenever something is sent.
        if self.sleep.as_ref().is_none_or(|(armed, _)| *armed > when) {
            self.sleep = Some((when, Box::pin(self.runtime.sleep_until(when))));
        }
        let Some((_, sleep)) = &mut self.sleep else { return false };
        if sleep.as_mut().poll(context).is_pending() {
            return false;
        }
        self.sleep = None;
        for listener in &mut self.listeners {
            if listener.resting.take_if(|until| *until <= self.runtime.now()).is_some() {
                Waker::from(Arc::clone(&listener.flag)).wake();
            }
        }
        true
    }

    fn look_at(&mut self, state: &mut State, place: usize, now: Instant) {
        let Some(link) = self.links.at(place) else { return };
        if link.handle_ready(&mut state.broker, &mut self.scratch, now) == Fate::Gone {
            self.remove(state, place, now);
        }
        self.note(place);
    }

    fn remove(&mut self, state: &mut State, place: usize, now: Instant) {
        if let Some(link) = self.links.remove(place) {
            state.broker.handle_close(link.id, now);
        }
    }

    /// Notes it if a connection has begun to say farewell.
    fn note(&mut self, place: usize) {
        if let Some(link) = self.links.at(place)
            && let Some(until) = link.take_closing()
        {
            self.closing.push_back((until, link.id));
        }
    }

    /// Connections that take too long to say farewell go without.
    fn end_farewells(&mut self, state: &mut State, now: Instant) {
        while let Some((until, id)) = self.closing.front().copied()
            && until <= now
        {
            self.closing.pop_front();
            if let Some(place) = self.place(id) {
                self.remove(state, place, now);
            }
        }
    }

    /// Accepts what there is.
    fn accept(&mut self, state: &mut State, index: usize, now: Instant) {
        let Some(listener) = self.listeners.get_mut(index) else { return };
        listener.flag.look();
        let waker = Waker::from(Arc::clone(&listener.flag));
        let mut context = Context::from_waker(&waker);
        for _ in 0..LINKS {
            let Some(listener) = self.listeners.get_mut(index) else { return };
            if self.stopping.is_some() || listener.resting.is_some_and(|until| until > now) {
                return;
            }
            listener.resting = None;
            let accept = &mut listener.accept;
            let accepting = listener.accepting.get_or_insert_with(accept);
            let Poll::Ready(accepted) = accepting.as_mut().poll(&mut context) else { return };
            listener.accepting = None;
            match accepted {
                Ok(stream) => {
                    let layers = listener.layers.clone();
                    self.open(state, stream, &layers, Some(index), now);
                }
                Err(_) => listener.resting = Some(now.plus_millis(RETRY_MS)),
            }
        }
        waker.wake(); // there may be more
    }

    fn open(
        &mut self,
        state: &mut State,
        accepted: Accepted,
        layers: &ServerLayers,
        listener: Option<usize>,
        now: Instant,
    ) {
        // Without room or layers the stream is dropped, which closes it.
        let Ok(stack) = Stack::server(layers) else { return };
        let Ok(id) = state.broker.open(now) else { return };
        let place = self.links.next_place();
        let flag = Flag::new(&self.shared.ready, place);
        let wire = Wire::new(accepted.stream, stack);
        self.links.insert(place, Link::new(id, wire, accepted.address, listener, flag));
    }

    /// Does what the machine asks for.
    fn tell(&mut self, state: &mut State, now: Instant) {
        while let Some(event) = state.broker.poll_event() {
            match event {
                Event::Resume(id) => {
                    let Some(place) = self.place(id) else { continue };
                    if let Some(link) = self.links.at(place) {
                        link.resume(&mut state.broker, now);
                    }
                    self.note(place);
                }
                Event::Close(id) => self.close(state, id, now),
                Event::Ask(ask) => {
                    let links = &self.links;
                    let mut turn = Turn { broker: &mut state.broker, now, links };
                    self.policy.ask(ask, &mut turn);
                }
                event => {
                    if let Event::Disconnected { link, .. } = event {
                        self.end_local(state, link);
                    }
                    let links = &self.links;
                    let mut turn = Turn { broker: &mut state.broker, now, links };
                    self.policy.event(&event, &mut turn);
                }
            }
        }
    }

    /// What the store has said.
    fn hear_of_tickets(&mut self, state: &mut State, now: Instant) {
        if self.unsigned == 0 {
            return;
        }
        for (ticket, is_kept) in self.shared.ready.take_tickets() {
            self.unsigned -= 1;
            if is_kept {
                state.broker.handle_persisted(ticket, now);
            } else if state.broker.is_awaited(ticket) {
                state.broker.handle_persist_failed(now);
            }
        }
    }

    /// Hands the store what it is to keep.
    fn keep_records(&mut self, state: &mut State, all: bool) {
        let Some(store) = &mut self.store else { return };
        while let Some((ticket, records)) = state.broker.take_records(all) {
            self.unsigned += 1;
            store.keep(&records, Receipt::new(ticket, &self.teller));
        }
    }

    fn place(&self, id: LinkId) -> Option<usize> {
        self.links.places.get(&id).copied()
    }

    fn close(&mut self, state: &mut State, id: LinkId, now: Instant) {
        let Some(place) = self.place(id) else { return self.end_local(state, id) };
        if let Some(link) = self.links.at(place) {
            link.close(now);
        }
        self.note(place);
    }

    /// A connection without a transport is over.
    fn end_local(&mut self, state: &mut State, id: LinkId) {
        if let Some(local) = state.locals.get_mut(&id) {
            local.is_over = true;
            self.wake.extend(local.waker.take());
        }
    }

    /// Writes to every connection that has something to say; whether there was one.
    fn write(&mut self, state: &mut State, now: Instant) -> bool {
        let mut any = false;
        while let Some(id) = state.broker.next_writable() {
            any = true;
            match self.place(id) {
                Some(place) => {
                    let Some(link) = self.links.at(place) else { continue };
                    if link.write(&mut state.broker, now) == Fate::Gone {
                        self.remove(state, place, now);
                    }
                }
                None => {
                    let waker = state.locals.get_mut(&id).and_then(|local| local.waker.take());
                    self.wake.extend(waker);
                }
            }
        }
        any
    }
}

impl<R, P> Future for Server<R, P>
where
    R: Runtime + Unpin,
    P: Policy + Unpin,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let ready = Arc::clone(&this.shared.ready);
        for _ in 0..TURNS {
            let any = ready.take(&mut this.ready, context.waker()) || !this.ready.is_empty();
            let now = this.runtime.now();
            if any {
                this.turn(now);
            }
            if this.is_over(now) {
                return Poll::Ready(());
            }
            if !any {
                if !this.rest(now, context) {
                    return Poll::Pending;
                }
                this.turn(this.runtime.now()); // something is due
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R: Runtime, P> std::fmt::Debug for Server<R, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("links", &self.links).finish_non_exhaustive()
    }
}
