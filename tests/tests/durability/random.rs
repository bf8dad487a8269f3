//! Random runs: many clients, a store that lags, reorders and fails, and crashes at any point.

use std::collections::BTreeMap;

use tamtam_core::broker::{Durability, Options, Record};
use tamtam_core::{Heap, QoS, Version};
use tamtam_store::{Kept, Memory, Packed};
use tamtam_tests::dice::Dice;
use tamtam_tests::seeds::for_each_seed;

use crate::client::{Client, WillSpec};
use crate::world::{Classes, Crash, World, restored};
use tamtam_tests::broker::store::{Manner, compact, read};

const SEEDS: u64 = 30;
const CLIENTS: usize = 24;
const STEPS: usize = 260;

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];
/// In every other run.
const CLASSES: [(&str, Durability); 3] =
    [("t/+/1", Durability::Relaxed), ("t/5/+", Durability::Memory), ("t/6/+", Durability::Memory)];
const FILTERS: [&str; 6] = ["t/#", "t/+/0", "t/+/1", "t/3/#", "r/#", "will/#"];

pub(crate) struct Run {
    dice: Dice,
    pub(crate) world: World<Heap>,
    fails: bool,
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_comes_twice() {
    let mut crashes = 0;
    let mut failures = 0;
    for_each_seed("durability", SEEDS, |seed| {
        let mut run = Run::new(seed);
        run.all();
        crashes += run.world.crashes;
        failures += run.world.failures;
    });
    println!("{crashes} crashes, {failures} failures of the store");
}

impl Run {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (lag, reorders) = (dice.below(5), dice.chance(40));
        let manner = Manner { lag, reorders, by_key: dice.chance(50), power: seed % 4 == 3 };
        let mut world = World::new(manner, None);
        if !seed.is_multiple_of(2) {
            world.classes = &CLASSES;
        }
        for number in 0..CLIENTS {
            let expiry = if dice.chance(85) { u32::MAX } else { 0 };
            let version = dice.pick(&VERSIONS);
            let at = world.add(&format!("c{number}"), version, expiry);
            let client = &mut world.clients[at];
            if version.is_v5() && dice.chance(30) {
                client.window = 1 + dice.below(3) as u16;
            }
            let qos = if dice.chance(70) { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
            if number % 8 == 7 {
                client.subscribe("$share/g/t/#", qos);
            }
            for _ in 0..if number % 8 == 7 { 0 } else { dice.below(3) } {
                let filter = dice.pick(&FILTERS);
                if client.wishes.iter().all(|wish| wish.filter != filter) {
                    client.subscribe(filter, qos);
                }
            }
            if dice.chance(20) {
                let qos = dice.pick(&[QoS::AtLeastOnce, QoS::ExactlyOnce]);
                let delay_secs = dice.pick(&[0, 0, 5]);
                client.will = Some(WillSpec { topic: "will/a", qos, retain: false, delay_secs });
            }
            world.connect(at);
        }
        let fails = seed.is_multiple_of(3);
        Self { dice, world, fails }
    }

    pub(crate) fn all(&mut self) {
        for _ in 0..STEPS {
            self.step();
        }
        self.end();
    }

    fn step(&mut self) {
        let at = self.dice.below(CLIENTS);
        match self.dice.below(100) {
            0..45 => self.publish(at),
            45..55 => self.world.close(at),
            55..60 => self.world.cut(at),
            60..72 => self.world.connect(at),
            72..76 => self.world.take_over(at),
            76..80 => self.world.clients[at].acks = Some(self.dice.below(4)),
            80..86 => self.world.clients[at].ack_all(),
            86..88 => {
                if let Some(wish) = self.world.clients[at].wishes.first() {
                    let filter = wish.filter.clone();
                    self.world.clients[at].unsubscribe(&filter);
                }
            }
            88..90 => self.world.sleep(1),
            90..92 => self.world.store.manner.lag = self.dice.below(6),
            92..94 => self.arm(),
            94 => self.world.crash_now(self.dice.below(6)),
            95 if self.fails => self.world.fail(),
            96 if self.dice.chance(40) => self.compare(),
            _ => {}
        }
        self.world.turns(self.dice.below(3));
    }

    fn arm(&mut self) {
        let call = self.world.calls + 1 + self.dice.below(60);
        let store_only = self.fails && self.dice.chance(40);
        self.world.crash = Some(Crash { call, extra: self.dice.below(4), store_only });
    }

    fn publish(&mut self, at: usize) {
        let count = 1 + self.dice.below(3);
        for _ in 0..count {
            let number = self.world.clients[at].out.len();
            let payload = format!("c{at}:{number}");
            let qos = self.dice.pick(&[QoS::AtLeastOnce, QoS::ExactlyOnce]);
            if self.dice.chance(15) {
                // One publisher and one QoS for each.
                let topic = format!("r/{at}/{}", qos.level());
                let payload = if self.dice.chance(25) { "" } else { &payload };
                self.world.publish(at, &topic, payload, qos, true);
            } else {
                let topic = format!("t/{at}/{}", self.dice.below(2));
                self.world.publish(at, &topic, &payload, qos, false);
            }
        }
    }

    /// A snapshot now, what the store has now, and the last of each key, are the same.
    fn compare(&mut self) {
        if !self.world.is_quiet() {
            return;
        }
        let log = self.world.everything();
        let snapshot = self.world.snapshot();
        let now = self.world.now;
        let options = (self.world.options, self.world.classes);
        let whole = whole(&log, &options, now);
        same(&whole, &self::whole(&compact(&log), &options, now));
        same(&whole, &self::whole(&self.through_an_engine(&log), &options, now));
        same(&whole, &self::whole(&snapshot, &options, now));
        let twice: Vec<_> = log.iter().chain(&snapshot).cloned().collect();
        same(&whole, &self::whole(&twice, &options, now));
        let seen = self.deliveries(&log);
        same(&seen, &self.deliveries(&snapshot));
        self.world.store.replace(snapshot);
    }

    /// What an engine has after it was handed this, in groups of any size.
    fn through_an_engine(&mut self, log: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut kept = Kept::new(Memory::new());
        let mut rest = log;
        while !rest.is_empty() {
            let (group, behind) = rest.split_at((1 + self.dice.below(12)).min(rest.len()));
            rest = behind;
            let packed: Packed = group.iter().map(|bytes| read(bytes)).collect();
            kept.keep(&packed.records()).expect("an engine in memory");
        }
        let mut found = Vec::new();
        let findings = kept.records(|record| {
            let mut bytes = vec![0; record.len()];
            record.write(&mut bytes);
            found.push(bytes);
        });
        assert!(findings.expect("an engine in memory").is_whole());
        found
    }

    /// What everybody gets from a broker that was given this.
    fn deliveries(&self, kept: &[Vec<u8>]) -> Vec<String> {
        let mut world: World<Heap> = World::new(Manner::default(), None);
        world.classes = self.world.classes;
        world.now = self.world.now;
        world.store.replace(kept.to_vec());
        world.crash_now(0);
        for old in self.world.clients.iter().filter(|client| client.expiry_secs != 0) {
            world.clients.push(Client::new(&old.name, old.version, old.expiry_secs));
        }
        for client in &mut world.clients {
            client.wants = true;
        }
        world.settle();
        let mut seen = Vec::new();
        for client in &world.clients {
            for got in &client.got {
                seen.push(format!("{} {got:?}", client.name));
            }
        }
        let (mut wills, mut seen): (Vec<_>, Vec<_>) =
            seen.into_iter().partition(|line: &String| line.contains("will:"));
        wills.sort();
        seen.extend(wills);
        seen.extend(world.retained().into_iter().map(|retained| format!("{retained:?}")));
        seen
    }

    fn end(&mut self) {
        (self.world.crash, self.world.store.manner.lag) = (None, 0);
        self.world.finish();
        self.world.check_retained();
        let clients = &self.world.clients;
        assert!(clients.iter().map(|client| client.got.len()).sum::<usize>() > 50);
    }
}

fn same(left: &[String], right: &[String]) {
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|one| !those.contains(one)).cloned().collect()
    };
    let (left_only, right_only) = (only(left, right), only(right, left));
    assert!(left == right, "{left_only:#?}\n\n{right_only:#?}");
}

/// Everything that a broker knows, with names instead of numbers, in some order.
fn whole(kept: &[Vec<u8>], how: &(Options, &Classes), now: tamtam_core::Instant) -> Vec<String> {
    let mut broker = restored::<Heap>(kept, &how.0, how.1, now);
    broker.records();
    let (_, records) = broker.take_records(true).expect("records");
    let records: Vec<_> = records.bytes().map(<[u8]>::to_vec).collect();
    let names = Names::of(&records);
    let mut whole: Vec<_> = records.iter().map(|bytes| names.line(read(bytes))).collect();
    whole.retain(|line| !line.is_empty());
    whole.sort();
    whole
}

/// What the numbers in records stand for.
#[derive(Default)]
struct Names {
    bodies: BTreeMap<u64, String>,
    sessions: BTreeMap<u64, String>,
    /// Which message of its session it is. Wills that are due at the restart come in any order:
    /// they have no places here.
    places: BTreeMap<(u64, u64), usize>,
}

impl Names {
    fn of(records: &[Vec<u8>]) -> Self {
        let mut names = Self::default();
        let mut count = 0;
        for bytes in records {
            match read(bytes) {
                Record::Body { body, topic, payload, expires, .. } => {
                    let topic = String::from_utf8_lossy(topic).into_owned();
                    let payload = String::from_utf8_lossy(payload).into_owned();
                    names.bodies.insert(body, format!("{topic} {payload} {expires:?}"));
                }
                Record::Session { session, client_id, .. } => {
                    let name = String::from_utf8_lossy(client_id).into_owned();
                    names.sessions.insert(session, name);
                    count = 0;
                }
                Record::Group { group, filter } => {
                    names.sessions.insert(group, String::from_utf8_lossy(filter).into_owned());
                    count = 0;
                }
                Record::Queued { body, .. } if names.bodies[&body].contains("will:") => {}
                Record::Queued { session, place, .. } | Record::Released { session, place, .. } => {
                    names.places.insert((session, place), count);
                    count += 1;
                }
                _ => {}
            }
        }
        names
    }

    fn line(&self, record: Record<'_>) -> String {
        let place_of = |place| self.places.get(&place).copied();
        match record {
            Record::Body { body, .. } => format!("body {}", self.bodies[&body]),
            Record::Session { session, expiry_secs, ends, .. } => {
                format!("session {} {expiry_secs} {ends:?}", self.sessions[&session])
            }
            Record::Subscription { session, filter, options, id } => {
                format!("subscription {} {filter:?} {options} {id}", self.sessions[&session])
            }
            Record::Queued { session, place, body, qos, retain, .. } => {
                let (name, place) = (&self.sessions[&session], place_of((session, place)));
                format!("queued {name} {place:?} {} {qos:?} {retain}", self.bodies[&body])
            }
            Record::Sent { session, place, packet_id } => match place_of((session, place)) {
                None => String::new(), // a will: whether it was the first
                at => format!("sent {} {at:?} {packet_id}", self.sessions[&session]),
            },
            Record::Released { session, place, packet_id } => {
                let (name, place) = (&self.sessions[&session], place_of((session, place)));
                format!("released {name} {place:?} {packet_id}")
            }
            Record::Received { session, packet_id } => {
                format!("received {} {packet_id}", self.sessions[&session])
            }
            Record::Group { group, .. } => format!("group {}", self.sessions[&group]),
            Record::Given { session, place, group, qos, retain, .. } => {
                let (name, place) = (&self.sessions[&session], place_of((session, place)));
                format!("given {name} {place:?} {} {qos:?} {retain}", self.sessions[&group])
            }
            Record::Retained { body, qos } => format!("retained {} {qos:?}", self.bodies[&body]),
            Record::Will { session, body, qos, retain, delay_secs, due, .. } => {
                let (name, body) = (&self.sessions[&session], &self.bodies[&body]);
                format!("will {name} {body} {qos:?} {retain} {delay_secs} {due:?}")
            }
            other => format!("{other:?}"),
        }
    }
}
