//! Thousands of connections, each with its own weather, habits, limits and mishaps, from seeds.

use tamtam_core::client::{AckToken, Filter, SendError, Transport};
use tamtam_core::{Heap, QoS, ReasonCode, Version};
use tamtam_tests::dice::Dice;
use tamtam_tests::happened::Happened;
use tamtam_tests::node::Habits;
use tamtam_tests::pipe::Weather;
use tamtam_tests::profile::Profile;
use tamtam_tests::seeds::for_each_seed;
use tamtam_tests::server::{Manners, Scripted};
use tamtam_tests::watched::Draft;
use tamtam_tests::wire::{Props, id};
use tamtam_tests::world::{Counts, World};

use crate::support::{Kind, Small, add_counts, is_at_rest, problems};

/// How many things happen in a storm.
const ACTIONS: usize = 70;
const NAME: &str = "sailor";

/// A client of any kind.
fn any_profile<S: Kind>(dice: &mut Dice) -> Profile {
    let version = dice.pick(&[Version::V31, Version::V311, Version::V5, Version::V5]);
    let clean = dice.chance(10);
    let outgoing_bytes = dice.pick(&[1_000, 20_000, 1 << 20]);
    // Where there is little room, queued messages leave none for AUTH.
    let authenticates = dice.chance(15) && S::IS_ROOMY && outgoing_bytes == 1 << 20;
    Profile {
        clean_start: clean,
        session_expiry_secs: if clean { 0 } else { u32::MAX },
        keep_alive_secs: dice.pick(&[0, 2, 20, 60]),
        outgoing_bytes,
        in_flight: dice.pick(&[2, 5, 40, 60_000]),
        receive_maximum: dice.pick(&[1, 3, 65_535]),
        // Before MQTT 5 a server can't be told.
        max_packet_size: if version.is_v5() {
            dice.pick(&[400, 5_000, u32::MAX])
        } else {
            u32::MAX
        },
        topic_alias_maximum: if S::HAS_ALIASES { dice.pick(&[0, 1, 4]) } else { 0 },
        outgoing_aliases: dice.pick(&[0, 2, 65_535]),
        stream_above: dice.pick(&[100, 300, u32::MAX, u32::MAX]),
        connect_timeout_ms: dice.pick(&[500, 10_000]),
        ping_timeout_ms: dice.pick(&[1_500, 10_000]),
        backoff_ms: Some((dice.pick(&[10, 100, 500]), dice.pick(&[1_000, 60_000]))),
        manual_ack: dice.chance(40),
        queue_qos0: dice.chance(70),
        drop_oldest: dice.chance(30),
        send_again_unknown: dice.chance(30),
        resubscribe: dice.chance(70),
        adopt_session: dice.chance(20),
        store: dice.chance(30),
        authentication_method: authenticates.then(|| "method".into()),
        ..Profile::new(version, NAME)
    }
}

/// What the server of today takes.
fn any_limits(dice: &mut Dice) -> Props {
    let mut props = Props::NONE;
    if dice.chance(40) {
        props = props.with(id::RECEIVE_MAXIMUM, dice.pick(&[1, 2, 10]));
    }
    if dice.chance(20) {
        props = props.with(id::MAXIMUM_PACKET_SIZE, dice.pick(&[60, 200, 2_000]));
    }
    if dice.chance(15) {
        props = props.with(id::MAXIMUM_QOS, dice.pick(&[0, 1]));
    }
    if dice.chance(15) {
        props = props.with(id::RETAIN_AVAILABLE, 0);
    }
    if dice.chance(50) {
        props = props.with(id::TOPIC_ALIAS_MAXIMUM, dice.pick(&[1, 3, 100]));
    }
    if dice.chance(15) {
        props = props.with(id::SERVER_KEEP_ALIVE, dice.pick(&[1, 5, 30]));
    }
    for property in [id::WILDCARDS_AVAILABLE, id::SHARED_AVAILABLE] {
        if dice.chance(10) {
            props = props.with(property, 0);
        }
    }
    props
}

fn any_manners(dice: &mut Dice) -> Manners {
    Manners {
        connack: any_limits(dice),
        answer_ms: (0, dice.pick(&[0, 1, 50, 800])),
        refuse_percent: dice.pick(&[0, 0, 10]),
        alias_percent: dice.pick(&[0, 50, 100]),
        authentication_rounds: dice.pick(&[0, 1, 3]),
        echoes: dice.chance(30),
        pongs: dice.chance(95),
        accepts: dice.chance(95),
        ..Manners::GOOD
    }
}

/// A world in a storm, and what its application still has to do.
struct Storm<S: Kind> {
    world: World<S, Scripted>,
    dice: Dice,
    to_ack: Vec<AckToken>,
    written: u64,
}

impl<S: Kind> Storm<S> {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let server = Scripted::new(any_manners(&mut dice), dice.roll());
        let mut world = World::new(seed, server);
        world.add(any_profile::<S>(&mut dice), Habits::any(&mut dice));
        world.weather = Weather::any(&mut dice);
        world.cuts = (dice.pick(&[0, 30, 80]), dice.pick(&[100, 1_000, 10_000]));
        Self { world, dice, to_ack: Vec::new(), written: 0 }
    }

    /// A message like no other.
    fn draft(&mut self) -> Draft {
        self.written += 1;
        let mut payload = format!("message {} ", self.written).into_bytes();
        let longest = self.dice.pick(&[0, 20, 200, 1_000]);
        payload.resize(payload.len() + self.dice.below(longest + 1), b'.');
        let topic = self.dice.pick(&["a", "some/longer/topic", "echo/x", "echo/y/z"]);
        let qos = self.dice.pick(&[0, 1, 1, 2, 2]);
        Draft { retain: self.dice.chance(10), ..Draft::new(topic, &payload, qos) }
    }

    /// The application looks at what happened.
    fn attend(&mut self) {
        let node = &mut self.world.nodes[0];
        for happened in std::mem::take(&mut node.inbox) {
            if let Happened::Message(message) = happened {
                self.world.counts.messages_down += 1;
                if node.profile.manual_ack {
                    self.to_ack.push(message.ack);
                }
            }
        }
    }

    fn acknowledge_one(&mut self) {
        if self.to_ack.is_empty() {
            return;
        }
        let now = self.world.now;
        let token = self.to_ack.swap_remove(self.dice.below(self.to_ack.len()));
        let client = &mut self.world.nodes[0].client;
        let refuses = self.dice.chance(10);
        let acked = if refuses {
            client.refuse(token, ReasonCode::QuotaExceeded, now)
        } else {
            client.ack(token, now)
        };
        self.world.log.remark(now, &format!("{token:?}, refused: {refuses}: {acked:?}"));
        if acked == Err(SendError::Full) {
            self.to_ack.push(token); // the store is behind
        }
    }

    fn act(&mut self) {
        let now = self.world.now;
        match self.dice.below(100) {
            0..30 => {
                let draft = self.draft();
                let client = &mut self.world.nodes[0].client;
                self.world.counts.messages_up += u64::from(client.publish(&draft, now).is_ok());
            }
            30..36 => {
                let mut draft = self.draft();
                if self.world.nodes[0].profile.store {
                    draft.qos = draft.qos.min(1); // no store knows that its identifier is in use
                }
                let client = &mut self.world.nodes[0].client;
                let streamed = client.publish_stream(&draft, now).is_ok();
                self.world.counts.messages_up += u64::from(streamed);
            }
            36..55 => {
                let draft = self.draft();
                let name = NAME.as_bytes();
                let payload = [b"server's ", &draft.payload[..]].concat();
                self.world.server.publish(name, &draft.topic, &payload, draft.qos);
            }
            55..70 => self.acknowledge_one(),
            70..75 => self.ask(),
            _ => self.mishap(),
        }
    }

    /// Subscribes, unsubscribes, or makes a request.
    fn ask(&mut self) {
        let (now, mut draft) = (self.world.now, self.draft());
        let filter = self.dice.pick(&["a", "b/#", "c/+/d", "$share/g/e"]);
        let client = &mut self.world.nodes[0].client;
        match self.dice.below(4) {
            0 => drop(client.subscribe(&[Filter::new(filter).qos(QoS::AtLeastOnce)], now)),
            1 => drop(client.subscribe(&[Filter::new("x"), Filter::new(filter)], now)),
            2 => drop(client.unsubscribe(&[filter], now)),
            _ => {
                draft.topic = "service".into();
                let _ = client.request(&draft, "answers", now);
            }
        }
    }

    fn mishap(&mut self) {
        let (now, dice) = (self.world.now, &mut self.dice);
        match dice.below(22) {
            0..10 => self.world.pass(dice.pick(&[0, 1, 30, 300, 3_000])),
            10 => self.world.pass(100_000),
            11..13 => self.world.break_line(0),
            13 => self.world.stall_line(0, dice.pick(&[10, 1_000, 40_000])),
            14 => self.world.server.hang_up_on(NAME.as_bytes()),
            // MQTT 3.1 can't say so: see the cuts for what becomes of that.
            15 if self.world.nodes[0].profile.version != Version::V31 => {
                self.world.server.lose_sessions();
            }
            16 => self.world.server.manners = any_manners(dice),
            17 => self.world.weather = Weather::any(dice),
            18 => drop(self.world.nodes[0].client.machine.disconnect(now)),
            19 => drop(self.world.nodes[0].client.machine.connect(now)),
            20 => drop(self.world.nodes[0].client.machine.reauthenticate(None, now)),
            _ => {
                if self.world.nodes[0].profile.store {
                    self.world.crash(0);
                    self.to_ack.clear();
                }
            }
        }
    }

    /// The sea is calm again: all that is owed is paid.
    fn calm(&mut self) {
        self.world.cuts = (0, 0);
        self.world.weather = Weather::FINE;
        self.world.server.manners = Manners::GOOD;
        self.world.break_line(0);
        let end = self.world.now.plus_millis(1_000_000);
        while self.world.now < end {
            let now = self.world.now;
            let machine = &mut self.world.nodes[0].client.machine;
            if machine.transport() == Transport::Resting && machine.poll_timeout().is_none() {
                machine.connect(now).expect("it was started");
            }
            self.world.settle();
            self.attend();
            for _ in 0..self.to_ack.len() {
                self.acknowledge_one();
            }
            self.world.settle();
            if is_at_rest(&self.world) {
                break;
            }
            self.world.step();
        }
        let mut problems = problems(&self.world, true);
        if !is_at_rest(&self.world) {
            let node = &self.world.nodes[0];
            problems.push(format!("no rest: {}", S::show(&node.client.machine)));
        }
        if !problems.is_empty() {
            problems.push(format!("{:?}", self.world.nodes[0].profile));
        }
        self.world.expect_right(&problems);
    }
}

/// A storm and the calm behind it.
fn storm<S: Kind>(seed: u64) -> (Counts, u64) {
    let mut storm = Storm::<S>::new(seed);
    let _ = storm.world.nodes[0].client.machine.connect(storm.world.now);
    for _ in 0..ACTIONS {
        storm.act();
        storm.world.settle();
        storm.attend();
        let nothing = storm.world.violations().is_empty();
        if !nothing {
            storm.world.expect_right(&[format!("{:?}", storm.world.nodes[0].profile)]);
        }
    }
    storm.calm();
    (storm.world.counts, storm.world.log.number())
}

fn storms<S: Kind>(suite: &str, count: u64) {
    let mut sum = Counts::default();
    for_each_seed(suite, count, |seed| add_counts(&mut sum, &storm::<S>(seed).0));
    println!("{suite}: {sum:?}");
}

#[test]
fn on_the_heap_storms_lose_and_double_nothing() {
    storms::<Heap>("storms on Heap", 300);
}

#[test]
fn in_fixed_memory_storms_lose_and_double_nothing() {
    storms::<Small>("storms on Fixed", 300);
}

#[test]
fn one_seed_is_one_run() {
    for seed in 1..20 {
        assert_eq!(storm::<Heap>(seed).1, storm::<Heap>(seed).1, "seed {seed}");
        assert_eq!(storm::<Small>(seed).1, storm::<Small>(seed).1, "seed {seed}");
        assert_ne!(storm::<Heap>(seed).1, storm::<Heap>(seed + 1).1, "seed {seed}");
    }
}
