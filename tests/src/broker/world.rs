//! A broker and its clients, the lines between them, a store, and one clock, all from one seed.
//!
//! As in the world of clients nothing waits: [`World::step`] jumps to the next moment at which
//! something is due. What is due is kept in a heap, so that a thousand clients cost no more than
//! those that have something to do.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};

use tamtam_core::broker::{AskId, Broker, Counters, LinkId, Options, Ticket};
use tamtam_core::{Instant, Storage, Version};

use super::meddler::Meddler;
use super::oracle::{Facts, Oracle};
use super::peers::Peers;
use super::people::Person;
use super::store::{Manner, Store};
use crate::dice::Dice;
use crate::pipe::{Duplex, Weather};
use crate::transcript::Transcript;

/// The time at which a world begins.
const BEGINNING: Instant = Instant::from_millis(1_000_000);

/// After how many steps everything is looked at.
pub const CHECK_EVERY: u64 = 10_000;

/// How often something may happen at one moment before it counts as going round in circles.
const MOST_ROUNDS: usize = 100_000;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    Person(usize),
    Line(usize),
    Store,
    Reopen,
    Host,
}

/// How much was simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Moments at which something happened.
    pub steps: u64,
    /// Times that everything was looked at.
    pub checks: u64,
    /// Lines that were opened.
    pub connections: u64,
    /// Times that the broker crashed.
    pub crashes: u64,
    /// Times that its store failed.
    pub failures: u64,
    /// Questions that its host answered.
    pub questions: u64,
}

/// A connection, and what the broker's host knows of it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) person: usize,
    pub(super) duplex: Duplex,
    /// Which broker it leads to, and as what.
    pub(super) at: usize,
    pub(super) link: LinkId,
    pub(super) version: Version,
    /// What the broker has not taken.
    pub(super) rx: Vec<u8>,
    /// How much of its output was noted.
    pub(super) seen: usize,
    pub(super) blocked: bool,
    /// Whether what is there is to be handed in though nothing new came.
    pub(super) again: bool,
    /// Whether nothing that comes has an effect.
    pub(super) ending: bool,
    pub(super) closes: bool,
    pub(super) broker_gone: bool,
    pub(super) client_gone: bool,
    /// When it wakes up next.
    scheduled: [Option<Instant>; 2],
    // With a meddler: packets that came, what the broker is handed instead of one, what left it in
    // part, and what leaves instead.
    pub(super) frames: VecDeque<Vec<u8>>,
    pub(super) original: Vec<u8>,
    pub(super) meddled_up: Vec<u8>,
    pub(super) meddled_down: Vec<u8>,
    pub(super) tx: Vec<u8>,
}

impl Line {
    pub(super) const fn new(
        person: usize,
        duplex: Duplex,
        (at, link): (usize, LinkId),
        version: Version,
    ) -> Self {
        Self {
            person,
            duplex,
            at,
            link,
            version,
            rx: Vec::new(),
            seen: 0,
            blocked: false,
            again: false,
            ending: false,
            closes: false,
            broker_gone: false,
            client_gone: false,
            scheduled: [None; 2],
            frames: VecDeque::new(),
            original: Vec::new(),
            meddled_up: Vec::new(),
            meddled_down: Vec::new(),
            tx: Vec::new(),
        }
    }

    /// Changes with whatever the client writes or reads.
    pub(super) const fn traffic(&self) -> (u64, usize) {
        (self.duplex.up.written(), self.duplex.down.under_way())
    }
}

/// See the module.
pub struct World<S: Storage> {
    /// The time.
    pub now: Instant,
    /// What makes the run what it is.
    pub seed: u64,
    /// For whoever lives in the world.
    pub dice: Dice,
    /// The broker itself: to be asked.
    pub broker: Box<Broker<S>>,
    /// Those that are joined with it, and the ways between them.
    pub(super) others: Vec<Box<Broker<S>>>,
    pub(super) peers: Option<Peers>,
    /// The judge.
    pub oracle: Oracle,
    /// Everybody else.
    pub people: Vec<Person>,
    /// How lines are that open from now on.
    pub weather: Weather,
    /// In how many of a hundred cases a line breaks somewhere.
    pub cut_percent: u64,
    /// How long the store takes, in milliseconds.
    pub store_ms: (u64, u64),
    /// How long the host takes at most to answer what it is asked, in milliseconds; `None` if it is
    /// asked nothing.
    pub answer_ms: Option<u64>,
    pub(super) asks: Vec<(Instant, AskId)>,
    /// What machines told their applications.
    pub log: Transcript,
    /// How much.
    pub counts: Counts,
    /// What the broker counted before it crashed last.
    pub before: Counters,
    /// What the broker allows.
    pub options: Options,
    /// What its store has.
    pub store: Store,
    pub(super) store_due: Option<Instant>,
    pub(super) reopens_at: Option<Instant>,
    pub(super) marks: BTreeMap<Ticket, u64>,
    pub(super) lines: BTreeMap<usize, Line>,
    pub(super) numbers: HashMap<(usize, LinkId), usize>,
    pub(super) next_line: usize,
    pub(super) births: u64,
    pub(super) meddler: Option<Box<dyn Meddler>>,
    pub(super) dirty_lines: BTreeSet<usize>,
    pub(super) dirty_people: BTreeSet<usize>,
    heap: BinaryHeap<Reverse<(Instant, u64, Wake)>>,
    wakes: u64,
}

impl<S: Storage> std::fmt::Debug for World<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("oracle", &self.oracle).finish_non_exhaustive()
    }
}

impl<S: Storage> World<S> {
    /// A world with a broker and nobody else.
    #[must_use]
    pub fn new(seed: u64, options: &Options, store: Manner) -> Self {
        let mut broker = Box::new(Broker::new());
        broker.start(options, seed);
        Self {
            now: BEGINNING,
            seed,
            dice: Dice::new(seed),
            broker,
            others: Vec::new(),
            peers: None,
            oracle: Oracle::new(options, BEGINNING),
            people: Vec::new(),
            weather: Weather::FINE,
            cut_percent: 0,
            store_ms: (0, 0),
            answer_ms: None,
            asks: Vec::new(),
            log: Transcript::new(false),
            counts: Counts::default(),
            before: Counters::default(),
            options: *options,
            store: Store::new(store),
            store_due: None,
            reopens_at: None,
            marks: BTreeMap::new(),
            lines: BTreeMap::new(),
            numbers: HashMap::new(),
            next_line: 0,
            births: seed,
            meddler: None,
            dirty_lines: BTreeSet::new(),
            dirty_people: BTreeSet::new(),
            heap: BinaryHeap::new(),
            wakes: 0,
        }
    }

    /// From now on, this meddles. To be set before anybody comes.
    pub fn meddle(&mut self, meddler: Box<dyn Meddler>) {
        self.meddler = Some(meddler);
    }

    /// Something is due at this moment.
    pub(super) fn wake(&mut self, when: Instant, wake: Wake) {
        self.wakes += 1;
        self.heap.push(Reverse((when, self.wakes, wake)));
    }

    /// A client has something to do at this moment.
    pub fn wake_person(&mut self, person: usize, when: Instant) {
        self.wake(when, Wake::Person(person));
    }

    /// Whoever waits for bytes of a line wakes up when they arrive.
    pub(super) fn schedule_line(&mut self, number: usize) {
        let Some(line) = self.lines.get_mut(&number) else { return };
        let next = [
            line.duplex.up.next_at().filter(|_| !line.blocked && !line.broker_gone),
            line.duplex.down.next_at().filter(|_| !line.client_gone),
        ];
        let person = line.person;
        for (side, next) in next.into_iter().enumerate() {
            let Some(when) = next else { continue };
            let known = line.scheduled[side].filter(|known| *known > self.now);
            if known.is_some_and(|known| known <= when) {
                continue;
            }
            line.scheduled[side] = Some(when);
            self.wakes += 1;
            let wake = if side == 0 { Wake::Line(number) } else { Wake::Person(person) };
            self.heap.push(Reverse((when, self.wakes, wake)));
        }
    }

    /// When something is due next.
    fn next_at(&self) -> Option<Instant> {
        let first = self.heap.peek().map(|Reverse((when, ..))| *when);
        let timeouts = self.brokers().map(Broker::poll_timeout);
        timeouts.chain([first, self.arrives_at()]).flatten().min()
    }

    /// Jumps to the next moment and lets everything happen that is due. False if there is none
    /// before `end`.
    pub fn step(&mut self, end: Instant) -> bool {
        let Some(when) = self.next_at().filter(|when| *when <= end) else {
            self.now = self.now.max(end);
            return false;
        };
        self.now = self.now.max(when);
        self.counts.steps += 1;
        self.settle();
        if self.counts.steps.is_multiple_of(CHECK_EVERY) {
            self.check(false);
        }
        true
    }

    /// Lets this much time pass.
    pub fn pass(&mut self, millis: u64) {
        let end = self.now.plus_millis(millis);
        self.settle();
        while self.step(end) {}
    }

    /// Lets everything happen that is due now.
    ///
    /// # Panics
    /// If it goes round in circles.
    pub fn settle(&mut self) {
        for _ in 0..MOST_ROUNDS {
            while let Some(Reverse((when, _, wake))) = self.heap.peek().copied() {
                if when > self.now {
                    break;
                }
                self.heap.pop();
                self.run(wake);
            }
            self.serve_timeouts();
            self.serve_peers();
            if let Some(person) = self.dirty_people.pop_first() {
                self.turn(person);
            } else if let Some(line) = self.dirty_lines.pop_first() {
                self.serve(line);
            } else {
                self.serve_store(false);
                let due = self.next_at().is_some_and(|when| when <= self.now);
                if !due && self.dirty_lines.is_empty() && self.dirty_people.is_empty() {
                    return;
                }
            }
        }
        panic!("seed {}: the world goes round in circles", self.seed);
    }

    fn run(&mut self, wake: Wake) {
        match wake {
            Wake::Person(person) => drop(self.dirty_people.insert(person)),
            Wake::Line(line) => drop(self.dirty_lines.insert(line)),
            Wake::Store if self.store_due.is_some_and(|when| when <= self.now) => self.run_store(),
            Wake::Reopen if self.reopens_at.is_some_and(|when| when <= self.now) => {
                self.reopen_store();
            }
            Wake::Host => self.answer(),
            Wake::Store | Wake::Reopen => {}
        }
    }

    /// Looks at everything. `quiet` is whether nothing is under way.
    pub fn check(&mut self, quiet: bool) {
        self.counts.checks += 1;
        let facts = Facts {
            sessions: self.brokers().map(Broker::session_count).sum(),
            subscriptions: self.brokers().map(Broker::subscription_count).sum(),
            retained: self.broker.retained_count(),
            kept: self.kept(),
            counters: self.counters(),
            quiet,
            lagging: self.is_lagging(),
        };
        self.oracle.check(&facts, &self.before);
    }

    /// What was found wrong so far, by the broker's judge and by those of its clients.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let mut all = self.oracle.violations().to_vec();
        for person in &self.people {
            if let Person::Machine(node) = person {
                let name = &node.profile.client_id;
                let words = node.client.oracle.violations();
                all.extend(words.iter().map(|words| format!("client {name}: {words}")));
            }
        }
        all
    }

    /// Fails if something is wrong, with all that is needed to see it again.
    ///
    /// # Panics
    /// If it is.
    pub fn expect_right(&self) {
        let all = self.violations();
        if !all.is_empty() {
            let log = self.oracle.log.lines().join("\n");
            panic!("{log}\nseed {} (TAMTAM_SEED={0} runs it alone): {all:#?}", self.seed);
        }
    }
}
