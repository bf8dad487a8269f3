//! The broker: sessions, routing, retained messages and wills, for any number of connections, as
//! one pure state machine.
//!
//! Whoever drives a [`Broker`] owns the sockets: it tells of each connection ([`Broker::open`],
//! [`Broker::handle_close`]), hands in what arrives ([`Broker::handle_input`]), writes what
//! [`Broker::output`] shows of the connections that [`Broker::next_writable`] names, and does what
//! [`Broker::poll_event`] says.
//!
//! ```
//! use tamtam_core::broker::{Broker, Input, Options};
//! use tamtam_core::{Heap, Instant};
//!
//! let now = Instant::from_millis(1);
//! let mut broker = Broker::<Heap>::new();
//! broker.start(&Options::DEFAULT, 7);
//! let link = broker.open(now)?;
//! let mut input: &[u8] = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3C\x00\x04hall";
//! assert_eq!(broker.handle_input(link, &mut input, now), Input::More);
//! while let Some(link) = broker.next_writable() {
//!     assert_eq!(broker.output(link), b"\x20\x02\x00\x00"); // CONNACK
//!     let n = broker.output(link).len();
//!     broker.output_written(link, n, now);
//! }
//! # Ok::<(), tamtam_core::Full>(())
//! ```

mod admin;
mod ask;
mod asking;
mod body;
mod connack;
mod counters;
mod cursor;
mod deadlines;
mod delivery;
mod durability;
mod durable;
mod event;
mod failing;
mod filter_table;
mod group;
mod handshake;
mod inbound;
mod journal;
mod limits;
mod link;
mod local;
mod mount;
mod news;
mod options;
mod outbound;
mod outgoing;
mod pages;
#[cfg(feature = "alloc")]
mod peer;
#[cfg(not(feature = "alloc"))]
#[path = "peer/alone.rs"]
mod peer;
mod publisher;
mod record;
mod recording;
mod records;
mod restore;
mod restore_groups;
mod retained;
mod rights;
mod room;
mod router;
mod rule_index;
mod session;
mod sharing;
mod subscribe;
mod subscription;
mod topic_tree;
mod verdict;
mod will;

#[cfg(all(test, feature = "alloc", target_pointer_width = "64"))]
mod sizes;
#[cfg(all(test, feature = "alloc"))]
mod tests;

pub use asking::Ask;
pub use counters::{Counters, DropReason, Tally};
pub use durability::Durability;
pub use event::{Ended, Event, Input, SessionEnd};
pub use journal::Ticket;
pub use limits::{Limits, LimitsId, UNLIMITED};
pub use link::LinkId;
pub use local::{Outcome, Post};
pub use news::{Told, Watch};
pub use options::{Options, QueueFull};
pub use pages::{LinkInfo, Page, QueuedInfo, RetainedInfo, SessionInfo, SubscriptionInfo};
#[cfg(feature = "alloc")]
pub use peer::{PeerId, PeerLost, PeerMessage, PeerOptions};
pub use record::Record;
pub use records::Records;
pub use rights::{Access, Permission, Rule, RulesId};
#[cfg(feature = "v5")]
pub use verdict::USER_PROPERTIES;
pub use verdict::{Acceptance, AskId, Refusal, Verdict};

use crate::Instant;
use crate::flow::hash::Hash;
use crate::flow::random::Random;
use crate::flow::timers::{Timer, Timers};
use crate::storage::{Arena, Full, Index, List, Memory, Pool, Queue, Storage};
use crate::types::ReasonCode;
use body::{Bodies, Body};
use cursor::Cursor;
use group::{Entry, Group};
use journal::Journal;
use limits::{LimitSet, OwnLimits};
use link::{Link, Phase};
use rights::RuleSet;
use router::{ExtraId, Target};
use session::{Session, SessionId};
use sharing::Chosen;
use subscribe::Fresh;
use subscription::Subscription;
use topic_tree::{FilterNode, Filters, Step, TopicNode, Topics};

/// The broker machine: see the [module](self).
#[derive(Debug)]
pub struct Broker<S: Storage> {
    options: Options,
    now: Instant,
    random: Random,
    hash: Hash,
    serial: u32,
    links: S::Links<Link<S>>,
    sessions: S::Sessions<Session<S>>,
    session_index: S::SessionIndex,
    names: S::Names,
    users: S::Names,
    rule_sets: S::RuleSets<RuleSet>,
    rule_runs: S::Rules,
    /// The filters of rules, in sets of many, and the number of the last such set.
    rule_filters: Filters<S::RuleLevels<FilterNode>, S::RuleLevelIndex, S::RuleLevelTexts>,
    rule_roots: u32,
    limit_sets: S::RuleSets<LimitSet>,
    /// How long messages of some topics are kept: a run among the rules, plus one.
    topic_classes: u32,
    /// The limits of whoever has no others.
    own_limits: OwnLimits,
    filters: Filters<S::Levels<FilterNode>, S::LevelIndex, S::LevelTexts>,
    subscriptions: S::Subscriptions<Subscription>,
    cursors: S::Subscriptions<Cursor>,
    /// The groups of shared subscriptions, and what waits for them.
    shared: S::Subscriptions<Group>,
    entries: S::Bodies<Entry>,
    waiting_entries: usize,
    retained: Topics<S::Levels<TopicNode>, S::LevelIndex, S::LevelTexts>,
    retained_count: usize,
    retained_bytes: usize,
    bodies: Bodies<S::Bodies<Body>, S::BodyBytes>,
    link_timers: Timers<S::LinkTimers<Timer>, S::LinkTimers<u32>>,
    session_timers: Timers<S::SessionTimers<Timer>, S::SessionTimers<u32>>,
    events: S::Events<Event>,
    /// Which events the host wants to know of; the names in those that wait, as far as they were
    /// told, and those of the one that was told last.
    watch: Watch,
    news: S::News,
    news_read: usize,
    told: news::Place,
    writable: S::Events<LinkId>,
    /// Whether there was no room for all of these: then connections know it themselves.
    crowded: bool,
    stack: S::Scratch<Step>,
    targets: S::Scratch<Target>,
    extra_ids: S::Scratch<ExtraId>,
    groups: S::Scratch<Chosen>,
    nodes: S::Scratch<u32>,
    fresh: S::Scratch<Fresh>,
    /// The names of shared subscriptions' groups.
    group_names: S::Names,
    topic_copy: S::Aliases,
    mounted: S::Aliases,
    codes: S::Scratch<ReasonCode>,
    scratch: S::Outgoing,
    /// Which publish this is: sessions remember it while it is routed.
    stamp: u32,
    counters: Counters,
    journal: Journal<S::Journal>,
    /// The number that a session or a message was given last, for its records.
    numbers: u64,
    gated: S::Events<LinkId>,
    gated_sessions: S::Events<SessionId>,
    /// The ticket of the QoS 2 message that is being routed; 0 for none.
    route_ticket: u32,
    /// Whether that message is taken back if the store fails, as its publisher keeps it.
    revocable: bool,
    /// The same of a message at QoS 1, as far as its copies were not sent.
    revocable_once: bool,
    /// Whether more wait for the store than could be noted.
    gated_more: bool,
    /// Sessions, groups and messages by their numbers, while records come back.
    number_index: S::SessionIndex,
    group_index: S::GroupIndex,
    body_index: S::BodyIndex,
    /// What the broker is together with its peers.
    #[cfg(feature = "alloc")]
    cluster: Option<alloc::boxed::Box<peer::Cluster>>,
}

impl<S: Storage> Broker<S> {
    /// A broker that does nothing until it is started.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            options: Options::NONE,
            now: Instant::ZERO,
            random: Random::new(0),
            hash: Hash::new(0),
            serial: 0,
            links: S::Links::EMPTY,
            sessions: S::Sessions::EMPTY,
            session_index: S::SessionIndex::EMPTY,
            names: S::Names::EMPTY,
            users: S::Names::EMPTY,
            rule_sets: S::RuleSets::EMPTY,
            rule_runs: S::Rules::EMPTY,
            rule_filters: Filters::EMPTY,
            rule_roots: 0,
            limit_sets: S::RuleSets::EMPTY,
            topic_classes: 0,
            own_limits: OwnLimits::Unsaid,
            filters: Filters::EMPTY,
            subscriptions: S::Subscriptions::EMPTY,
            cursors: S::Subscriptions::EMPTY,
            shared: S::Subscriptions::EMPTY,
            entries: S::Bodies::EMPTY,
            waiting_entries: 0,
            retained: Topics::EMPTY,
            retained_count: 0,
            retained_bytes: 0,
            bodies: Bodies::EMPTY,
            link_timers: Timers::EMPTY,
            session_timers: Timers::EMPTY,
            events: S::Events::EMPTY,
            watch: Watch::NOTHING,
            news: S::News::EMPTY,
            news_read: 0,
            told: news::Place::NONE,
            writable: S::Events::EMPTY,
            crowded: false,
            stack: S::Scratch::EMPTY,
            targets: S::Scratch::EMPTY,
            extra_ids: S::Scratch::EMPTY,
            groups: S::Scratch::EMPTY,
            nodes: S::Scratch::EMPTY,
            fresh: S::Scratch::EMPTY,
            group_names: S::Names::EMPTY,
            topic_copy: S::Aliases::EMPTY,
            mounted: S::Aliases::EMPTY,
            codes: S::Scratch::EMPTY,
            scratch: S::Outgoing::EMPTY,
            stamp: 0,
            counters: Counters::NONE,
            journal: Journal::EMPTY,
            numbers: 0,
            gated: S::Events::EMPTY,
            gated_sessions: S::Events::EMPTY,
            route_ticket: 0,
            revocable: false,
            revocable_once: false,
            gated_more: false,
            number_index: S::SessionIndex::EMPTY,
            group_index: S::GroupIndex::EMPTY,
            body_index: S::BodyIndex::EMPTY,
            #[cfg(feature = "alloc")]
            cluster: None,
        }
    }

    /// Sets the broker's options, and its seed, which keeps strangers from aiming at its hash
    /// tables. To be called once, before the first connection.
    pub fn start(&mut self, options: &Options, seed: u64) {
        self.options = *options;
        self.own_limits = OwnLimits::Said(options.limits());
        self.limit_sets.set_limit(usize::MAX);
        self.random = Random::new(seed);
        self.hash = Hash::new(self.random.next());
        self.names.set_limit(usize::MAX);
        self.users.set_limit(usize::MAX);
        self.rule_sets.set_limit(usize::MAX);
        self.rule_runs.set_limit(usize::MAX);
        self.rule_filters.begin(self.hash.of(0, b"rules"), usize::MAX, usize::MAX);
        self.cursors.set_limit(usize::MAX);
        self.shared.set_limit(usize::MAX);
        self.entries.set_limit(u32::MAX as usize);
        self.filters.begin(self.random.next(), usize::MAX, usize::MAX);
        self.retained.begin(self.random.next(), usize::MAX, usize::MAX);
        self.set_room(options);
        self.link_timers.set_limit(usize::MAX);
        self.session_timers.set_limit(usize::MAX);
        self.events.set_limit(usize::MAX);
        self.news.set_limit(news::NEWS_BYTES);
        self.writable.set_limit(usize::MAX);
        self.stack.set_limit(usize::MAX);
        self.gated.set_limit(usize::MAX);
        self.gated_sessions.set_limit(usize::MAX);
        self.journal.begin(options.store);
        self.targets.set_limit(usize::MAX);
        self.extra_ids.set_limit(usize::MAX);
        self.groups.set_limit(usize::MAX);
        self.nodes.set_limit(usize::MAX);
        self.fresh.set_limit(usize::MAX);
        self.group_names.set_limit(usize::MAX);
        self.codes.set_limit(usize::MAX);
    }

    /// What was counted since the start.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// How many sessions there are, connected or not.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.len()
    }

    /// How many retained messages there are.
    #[must_use]
    pub const fn retained_count(&self) -> usize {
        self.retained_count
    }

    /// How many messages are kept: retained, queued, in flight, or wills; and their bytes.
    #[must_use]
    pub fn kept(&self) -> (usize, usize) {
        (self.bodies.count(), self.bodies.used())
    }

    /// A transport is open: its connection.
    ///
    /// # Errors
    /// As many connections as there may be: close it.
    pub fn open(&mut self, now: Instant) -> Result<LinkId, Full> {
        self.open_at(0, now)
    }

    /// The same, for a listener whose clients have a set of limits of their own; those of the
    /// broker, if there is no such set.
    ///
    /// # Errors
    /// As [`Broker::open`].
    pub fn open_with(&mut self, limits: LimitsId, now: Instant) -> Result<LinkId, Full> {
        self.open_at(self.limits_at(limits), now)
    }

    fn open_at(&mut self, limits: limits::LimitsAt, now: Instant) -> Result<LinkId, Full> {
        self.now = self.now.max(now);
        self.serial = self.serial.wrapping_add(1);
        let mut link: Link<S> = Link::new(self.serial, now, self.options.output_bytes);
        link.limits = limits;
        link.gate.set_limit(usize::from(self.limits_of(limits).receive_maximum).saturating_mul(2));
        let slot = self.links.insert(link)?;
        let patience = u64::from(self.options.connect_timeout_ms);
        let _ = self.link_timers.set(slot, now.plus_millis(patience));
        Ok(LinkId { slot, serial: self.serial })
    }

    fn link(&self, id: LinkId) -> Option<&Link<S>> {
        self.links.get(id.slot).filter(|link| link.serial == id.serial)
    }

    fn link_mut(&mut self, id: LinkId) -> Option<&mut Link<S>> {
        self.links.get_mut(id.slot).filter(|link| link.serial == id.serial)
    }

    fn link_id(&self, slot: u32) -> Option<LinkId> {
        let serial = self.links.get(slot)?.serial;
        Some(LinkId { slot, serial })
    }

    fn session(&self, id: SessionId) -> Option<&Session<S>> {
        self.sessions.get(id.slot).filter(|session| session.serial == id.serial)
    }

    fn session_mut(&mut self, id: SessionId) -> Option<&mut Session<S>> {
        self.sessions.get_mut(id.slot).filter(|session| session.serial == id.serial)
    }

    /// What is to be written to a connection.
    #[must_use]
    pub fn output(&self, link: LinkId) -> &[u8] {
        self.link(link).map_or(&[], Link::output)
    }

    /// The next connection that has something to write, or is to be closed; each once a turn.
    #[must_use]
    pub fn next_writable(&mut self) -> Option<LinkId> {
        loop {
            let id = match self.writable.pop_front() {
                Some(id) => id,
                None => self.find_link(|link| core::mem::take(&mut link.unlisted))?,
            };
            if let Some(link) = self.link_mut(id) {
                link.touched = false;
                if link.pending() != 0 {
                    return Some(id);
                }
            }
        }
    }

    /// A connection of which there was no room to note something.
    fn find_link(&mut self, mut is_it: impl FnMut(&mut Link<S>) -> bool) -> Option<LinkId> {
        if !self.crowded {
            return None;
        }
        let slots = u32::try_from(self.links.slots()).unwrap_or(u32::MAX);
        let slot = (0..slots).find(|slot| self.links.get_mut(*slot).is_some_and(&mut is_it))?;
        self.link_id(slot)
    }

    /// The first `len` bytes of a connection's output were written.
    pub fn output_written(&mut self, link: LinkId, len: usize, now: Instant) {
        self.now = self.now.max(now);
        self.counters.bytes_out = self.counters.bytes_out.saturating_add(len as u64);
        let limit = self.options.output_bytes;
        let Some(state) = self.link_mut(link) else { return };
        state.output_written(len, limit);
        let asked = state.question.is_open();
        if state.blocked && !asked && state.phase == Phase::Open && state.pending() == 0 {
            state.blocked = false;
            self.tell(Event::Resume(link));
        }
        if self.link(link).is_some_and(|state| !state.gate.is_empty()) {
            self.release_gate(link);
        }
        let Some(state) = self.link_mut(link) else { return };
        match (state.phase, state.session) {
            (Phase::Open, Some(session)) => self.go_on(session),
            (Phase::Closing, _) => self.tell_to_close(link),
            _ => {}
        }
    }

    /// A connection has something to write.
    fn touch(&mut self, id: LinkId) {
        if let Some(link) = self.link_mut(id)
            && !link.touched
            && !link.attached
        {
            link.touched = true;
            if self.writable.push_back(id).is_err()
                && let Some(link) = self.link_mut(id)
            {
                link.unlisted = true;
                self.crowded = true;
            }
        }
    }

    /// The host is to close a connection, once its output has left.
    fn tell_to_close(&mut self, id: LinkId) {
        if let Some(link) = self.link_mut(id)
            && link.pending() == 0
            && !link.told
        {
            link.told = true;
            self.tell(Event::Close(id));
        }
    }
}

impl<S: Storage> Default for Broker<S> {
    fn default() -> Self {
        Self::new()
    }
}
