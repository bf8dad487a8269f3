//! A life for a world: who does what, and what goes wrong, all from the seed.

use tamtam_core::broker::{Options, PeerLost, QueueFull};
use tamtam_core::client::Filter;
use tamtam_core::{Storage, Version};

use super::actor::{Actor, Manner};
use super::people::Person;
use super::store;
use super::world::World;
use crate::node::{Habits, Node};
use crate::pipe::Weather;
use crate::profile::Profile;
use crate::watched::Draft;
use crate::wire::{Props, Publish, Will, id};

/// How much of a life.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many clients speak by hand.
    pub actors: usize,
    /// How many are machines.
    pub machines: usize,
    /// How many things they do.
    pub acts: usize,
    /// How much time passes between two, at most, in milliseconds.
    pub gap_ms: u64,
    /// How many first levels topics have.
    pub topics: usize,
    /// Of a thousand acts, how many are crashes.
    pub crashes_permille: u64,
    /// Of a thousand acts, how many are failures of the store.
    pub failures_permille: u64,
    /// Of a hundred messages and subscriptions, how many are of a group that shares its topics with
    /// nobody else.
    pub shared_percent: u64,
    /// Of a thousand acts, after how many two of several brokers part for a while.
    pub parts_permille: u64,
    /// How long messages between brokers take at most, in milliseconds.
    pub lag_ms: u64,
    /// Of a hundred filters, how many may match more than one first level.
    pub wide_percent: u64,
}

impl Plan {
    /// One that is over soon.
    pub const SMALL: Self = Self {
        actors: 8,
        machines: 2,
        acts: 400,
        gap_ms: 40,
        topics: 4,
        crashes_permille: 3,
        failures_permille: 2,
        parts_permille: 0,
        lag_ms: 0,
        shared_percent: 10,
        wide_percent: 100,
    };
}

/// A world and what happens in it.
#[derive(Debug)]
pub struct Life<S: Storage> {
    /// The world.
    pub world: World<S>,
    plan: Plan,
    /// Which clients keep their sessions, and how long.
    expiry_secs: Vec<u32>,
    next_number: u64,
    /// Which brokers are parted, and for how many acts.
    parted: Option<(usize, usize, usize)>,
}

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// Options of which a run meets the ends.
fn options(world: &mut crate::dice::Dice, store: bool) -> Options {
    Options {
        store,
        queue: world.pick(&[5, 60, 1_000, 1_000]),
        queue_qos0: world.chance(20),
        queue_full: world.pick(&[QueueFull::DropNewest, QueueFull::DropOldest]),
        send_window: world.pick(&[2, 20, 1_000]),
        receive_maximum: world.pick(&[3, 60]),
        output_bytes: world.pick(&[4_000, 256 << 10]),
        outgoing_aliases: world.pick(&[0, 3, 16]),
        ..Options::DEFAULT
    }
}

impl<S: Storage> Life<S> {
    /// The beginning of a life.
    #[must_use]
    pub fn new(seed: u64, plan: Plan) -> Self {
        let mut dice = crate::dice::Dice::new(seed ^ 0x5EED);
        let store = dice.chance(70);
        let options = options(&mut dice, store);
        Self::with(seed, plan, &options)
    }

    /// The same with three brokers that are joined, none of them with a store.
    #[must_use]
    pub fn joined(seed: u64, plan: Plan, lost: PeerLost) -> Self {
        let mut dice = crate::dice::Dice::new(seed ^ 0x5EED);
        let options = options(&mut dice, false);
        Self::begin(seed, plan, &options, Some(lost))
    }

    /// The same with these options.
    #[must_use]
    pub fn with(seed: u64, plan: Plan, options: &Options) -> Self {
        Self::begin(seed, plan, options, None)
    }

    fn begin(seed: u64, plan: Plan, options: &Options, lost: Option<PeerLost>) -> Self {
        let mut world = World::new(seed, options, store::Manner::default());
        let dice = &mut world.dice;
        world.store.manner = store::Manner {
            lag: dice.below(3),
            reorders: dice.chance(40),
            by_key: dice.chance(50),
            power: false,
        };
        world.store_ms = (0, dice.pick(&[0, 3, 50]));
        if dice.chance(60) {
            world.weather = Weather::any(dice);
            world.weather.delay_ms.1 = world.weather.delay_ms.1.min(20);
            world.weather.capacity = world.weather.capacity.max(500);
        }
        world.cut_percent = dice.pick(&[0, 0, 20]);
        if plan.parts_permille != 0 {
            world.cut_percent = 0;
        }
        if let Some(lost) = lost {
            world.join(3, lost);
            if plan.lag_ms != 0 {
                world.lag(plan.lag_ms);
                (world.weather, world.cut_percent) = (Weather::FINE, 0);
            }
        }
        let mut life = Self { world, plan, expiry_secs: Vec::new(), next_number: 0, parted: None };
        for number in 0..plan.actors {
            life.add_actor(number);
        }
        for number in 0..plan.machines {
            life.add_machine(number);
        }
        life
    }

    fn add_actor(&mut self, number: usize) {
        let dice = &mut self.world.dice;
        let version = dice.pick(&VERSIONS);
        let manner = Manner {
            window: dice.pick(&[1, 3, 20, 65_535]),
            aliases: dice.pick(&[0, 2, 10]),
            max_packet: if dice.chance(10) { 300 } else { 0 },
            keep_alive: dice.pick(&[0, 0, 0, 5]),
            holds_percent: dice.pick(&[0, 0, 30, 90]),
            refuses_percent: dice.pick(&[0, 0, 0, 5]),
        };
        let expiry = dice.pick(&[0, 5, 3_600, u32::MAX, u32::MAX]);
        self.expiry_secs.push(expiry);
        let dice = dice.split();
        self.world.add(Actor::new(format!("a{number}"), version, manner, dice));
    }

    fn add_machine(&mut self, number: usize) {
        let dice = &mut self.world.dice;
        let version = dice.pick(&VERSIONS);
        // Before MQTT 5 the server can't be told how much it may send ahead.
        let least = if version.is_v5() { 0 } else { 1_000 };
        let profile = Profile {
            session_expiry_secs: dice.pick(&[3_600, u32::MAX]),
            outgoing_aliases: 0,
            topic_alias_maximum: dice.pick(&[0, 4]),
            in_flight: dice.pick(&[2, 20]),
            receive_maximum: dice.pick(&[2, 20]).max(least),
            keep_alive_secs: 20,
            resubscribe: false,
            outgoing_bytes: 60_000,
            ..Profile::new(version, &format!("m{number}"))
        };
        self.expiry_secs.push(u32::MAX);
        let dice = dice.split();
        let mut node = Node::new(profile, Habits::PLAIN, dice);
        node.client.machine.connect(self.world.now).expect("it was started");
        self.world.add_machine(node);
    }

    /// Lives it.
    pub fn live(&mut self) {
        self.live_some(self.plan.acts);
    }

    /// Lives as much of it as so many acts.
    pub fn live_some(&mut self, acts: usize) {
        for _ in 0..acts {
            self.act();
            let gap = self.world.dice.between(0, self.plan.gap_ms);
            self.world.pass(gap);
        }
    }

    fn act(&mut self) {
        let roll = self.world.dice.between(0, 999);
        if roll < self.plan.crashes_permille {
            let extra = self.world.dice.below(4);
            return self.world.crash(extra);
        }
        if roll < self.plan.crashes_permille + self.plan.failures_permille {
            let away = self.world.dice.between(0, 500);
            return self.world.fail_store(away);
        }
        self.part_or_meet();
        let person = self.world.dice.below(self.world.people.len());
        match self.world.people[person] {
            Person::Actor(..) => self.act_by_hand(person),
            Person::Machine(_) => self.act_by_machine(person),
        }
        self.world.settle();
    }

    /// Two brokers part for a while, or meet again.
    fn part_or_meet(&mut self) {
        match &mut self.parted {
            Some((one, other, 0)) => {
                self.world.meet(*one, *other);
                self.parted = None;
            }
            Some((.., left)) => *left -= 1,
            None if self.plan.parts_permille == 0 => {}
            None if self.world.dice.between(0, 999) < self.plan.parts_permille => {
                let (one, other) = self.world.dice.pick(&[(1, 0), (2, 0), (2, 1)]);
                self.world.part(one, other);
                self.parted = Some((one, other, self.world.dice.below(20)));
            }
            None => {}
        }
    }

    /// Whether what clients ask for can't be known everywhere.
    fn is_calm(&self) -> bool {
        self.parted.is_some() || self.world.is_lagging()
    }

    /// While brokers are parted, or have not heard each other, clients stay as they are.
    fn act_calmly(&mut self, person: usize) {
        if !self.world.is_connected(person) {
            return;
        }
        let more = self.world.dice.below(6);
        match self.world.dice.below(100) {
            0..70 => {
                let publish = Publish { retain: false, ..self.message(person) };
                if !publish.payload.is_empty() {
                    self.world.with_actor(person, |actor| actor.publish(publish));
                }
            }
            70..90 => self.world.with_actor(person, |actor| actor.acknowledge(more)),
            _ => self.world.with_actor(person, Actor::ping),
        }
    }

    fn act_by_hand(&mut self, person: usize) {
        if self.is_calm() {
            return self.act_calmly(person);
        }
        if !self.world.is_connected(person) {
            if self.world.dice.chance(60) {
                self.connect(person);
            }
            return;
        }
        let more = self.world.dice.below(6);
        match self.world.dice.below(100) {
            0..62 => {
                for _ in 0..=more / 3 {
                    let publish = self.message(person);
                    self.world.with_actor(person, |actor| actor.publish(publish));
                }
            }
            62..72 => self.subscribe(person),
            72..75 => {
                let filter = self.filter();
                self.world.with_actor(person, |actor| actor.unsubscribe(&filter));
            }
            75..85 => self.world.with_actor(person, |actor| actor.acknowledge(more)),
            85..88 => {
                let silently = self.world.dice.chance(30);
                self.world.cut(person, silently);
            }
            88..91 => self.connect(person), // taking over
            91..94 => self.leave(person),
            94..96 => {
                let until = self.world.now.plus_millis(self.world.dice.between(0, 3_000));
                self.world.with_actor(person, |actor| actor.sleeps_until = until);
            }
            _ => self.world.with_actor(person, Actor::ping),
        }
    }

    /// A client connects, anew or again.
    pub fn connect(&mut self, person: usize) {
        let clean = self.world.dice.chance(15);
        let expiry = self.expiry_secs[person];
        let will = self.world.dice.chance(25).then(|| self.will(person));
        if self.world.open(person) {
            let clean = clean || expiry == 0;
            self.world.with_actor(person, |actor| actor.connect(clean, expiry, will));
        }
    }

    fn leave(&mut self, person: usize) {
        let dice = &mut self.world.dice;
        let code = if dice.chance(30) { 4 } else { 0 };
        let keeps = self.expiry_secs[person] != 0;
        let expiry = (keeps && dice.chance(30)).then(|| dice.pick(&[0, 3, 3_600]));
        self.world.with_actor(person, |actor| {
            let code = if actor.version.is_v5() { code } else { 0 };
            actor.disconnect(code, expiry);
        });
    }

    fn next_payload(&mut self) -> Vec<u8> {
        self.next_number += 1;
        let mut payload = format!("m{}.", self.next_number).into_bytes();
        let longer = self.world.dice.pick(&[0, 0, 10, 100, 400, 3_000]);
        payload.resize(payload.len() + longer, b'.');
        payload
    }

    fn message(&mut self, person: usize) -> Publish {
        let v5 = self.world.people[person].version().is_v5();
        let payload = self.next_payload();
        let (topics, dice) = (self.plan.topics, &mut self.world.dice);
        let retain = dice.chance(15);
        let shared = !retain && dice.chance(self.plan.shared_percent);
        let topic = if shared {
            format!("s/{}", dice.below(2))
        } else if retain {
            format!("r/{}", dice.below(topics * 2))
        } else {
            format!("t/{}/{}", dice.below(topics), dice.below(3))
        };
        let mut props = Props::NONE;
        if v5 && dice.chance(20) {
            props = props.with(id::MESSAGE_EXPIRY, dice.pick(&[1, 5, 1_000]));
        }
        if v5 && dice.chance(20) {
            props = props.with_bytes(id::RESPONSE_TOPIC, b"answers/here");
            props = props.with_bytes(id::CORRELATION_DATA, &[0, 1, 2, 255]);
        }
        let clears = retain && dice.chance(20);
        let payload = if clears { Vec::new() } else { payload };
        let qos = if clears { 0 } else { dice.below(3) as u8 };
        Publish { qos, retain, topic: topic.into_bytes(), props, payload, ..Publish::default() }
    }

    fn will(&mut self, person: usize) -> Will {
        let v5 = self.world.people[person].version().is_v5();
        let payload = self.next_payload();
        let dice = &mut self.world.dice;
        let mut props = Props::NONE;
        if v5 && dice.chance(60) {
            props = props.with(id::WILL_DELAY, dice.pick(&[1, 2, 60]));
        }
        let (qos, retain) = (dice.below(3) as u8, dice.chance(20));
        let topic = format!("t/will/{}", dice.below(3)).into_bytes();
        Will { qos, retain, props, topic, payload }
    }

    fn filter(&mut self) -> String {
        let (topics, dice) = (self.plan.topics, &mut self.world.dice);
        if dice.chance(self.plan.shared_percent) {
            return "$share/s/s/#".into();
        }
        let one = dice.below(topics);
        if self.plan.wide_percent < 100 && !dice.chance(self.plan.wide_percent) {
            return match dice.below(6) {
                0 => format!("t/{one}/#"),
                1 => format!("t/{one}/0"),
                2 => format!("t/{one}/2"),
                3 => format!("r/{one}"),
                4 => format!("$share/g/t/{one}/+"),
                _ => "t/will/+".into(),
            };
        }
        match dice.below(14) {
            0 => "t/#".into(),
            1 => "#".into(),
            2 => "t/+/1".into(),
            3 | 4 => format!("t/{one}/#"),
            5 => format!("t/{one}/0"),
            6 => format!("+/{one}/+"),
            7 => "r/#".into(),
            8 => format!("r/{one}"),
            9 => "t/will/+".into(),
            10 => format!("t/{one}/2"),
            11 => format!("$share/g/t/{one}/+"),
            12 => "$share/g/t/#".into(),
            _ => "$share/h/t/+/1".into(),
        }
    }

    fn subscribe(&mut self, person: usize) {
        let filter = self.filter();
        let dice = &mut self.world.dice;
        let mut options = dice.below(3) as u8;
        if dice.chance(30) {
            options |= 8; // as published
        }
        if dice.chance(15) && !filter.starts_with("$share") {
            options |= 4; // no local
        }
        options |= dice.pick(&[0, 0, 1, 2]) << 4;
        let identifier = dice.pick(&[0, 0, 7, 300]);
        self.world.with_actor(person, |actor| {
            actor.subscribe(&[(&filter, options)], identifier);
        });
    }

    fn act_by_machine(&mut self, person: usize) {
        let calm = self.is_calm();
        if !calm && self.world.dice.chance(3) {
            return self.world.cut(person, false);
        }
        let now = self.world.now;
        if !calm && self.world.dice.chance(10) && self.world.is_connected(person) {
            let filter = self.filter();
            let Person::Machine(node) = &mut self.world.people[person] else { return };
            let _ = node.client.subscribe(&[Filter::new(&filter)], now);
        } else {
            let publish = self.message(person);
            let topic = String::from_utf8(publish.topic).expect("a topic");
            let draft =
                Draft { topic, payload: publish.payload, ..Draft::new("", b"", publish.qos) };
            let Person::Machine(node) = &mut self.world.people[person] else { return };
            if !draft.payload.is_empty() {
                let _ = node.client.publish(&draft, now);
            }
        }
        let Person::Machine(node) = &mut self.world.people[person] else { return };
        node.inbox.clear();
        self.world.wake_person(person, now);
    }

    /// Everybody comes back and goes on until nothing is owed; then everything is looked at.
    ///
    /// # Panics
    /// If something is wrong.
    pub fn finish(&mut self) {
        self.come_to_rest();
        self.world.expect_right();
    }

    /// The same; nothing fails.
    pub fn come_to_rest(&mut self) {
        if let Some((one, other, _)) = self.parted.take() {
            self.world.meet(one, other);
        }
        self.world.cut_percent = 0;
        self.world.weather = Weather::FINE;
        for round in 0..60 {
            for person in 0..self.world.people.len() {
                self.rouse(person, round < 50);
            }
            self.world.pass(1_000);
            self.world.serve_store(true);
        }
        self.world.check(true);
    }

    fn rouse(&mut self, person: usize, connects: bool) {
        let now = self.world.now;
        if let Person::Machine(node) = &mut self.world.people[person] {
            node.inbox.clear();
            return self.world.wake_person(person, now);
        }
        let connected = self.world.is_connected(person);
        let expiry = self.expiry_secs[person];
        self.world.with_actor(person, |actor| {
            actor.manner.holds_percent = 0;
            actor.sleeps_until = now;
            actor.acknowledge(usize::MAX);
            if connected && actor.manner.keep_alive != 0 {
                actor.ping();
            }
        });
        if !connected && connects && self.world.open(person) {
            let clean = expiry == 0;
            self.world.with_actor(person, |actor| actor.connect(clean, expiry, None));
        }
    }
}
