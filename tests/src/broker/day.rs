//! A day of a broker with a thousand clients and a store, which crashes a hundred times.

use tamtam_core::Heap;
use tamtam_core::broker::{Counters, Options};

use super::joined::total;
use super::life::{Life, Plan};
use super::oracle::Counts;
use super::people::Person;
use super::world;

/// How often the broker crashes in a day. What is between two crashes is a part.
pub const PARTS: usize = 100;

const DAY_MS: u64 = 86_400_000;

/// A thousand clients, and a little less than a day: the rest of it passes at the end.
const PLAN: Plan = Plan {
    actors: 960,
    machines: 40,
    acts: 100_000,
    gap_ms: 1_700, // half of it on average; some time is spent coming back
    topics: 1_000,
    crashes_permille: 0,
    failures_permille: 0,
    shared_percent: 0,
    parts_permille: 0,
    lag_ms: 0,
    wide_percent: 1,
};

/// What happened. Days that are equal had the same bytes on every line, at the same moments.
#[derive(Debug, PartialEq, Eq)]
pub struct Day {
    /// From all bytes that the broker took and sent, each with its moment.
    pub hash: u64,
    /// How many seconds passed.
    pub seconds: u64,
    /// What the world counted.
    pub world: world::Counts,
    /// What the judge counted.
    pub judge: Counts,
    /// What the broker counted, over all its lives.
    pub broker: Counters,
    /// What was wrong.
    pub violations: Vec<String>,
}

impl Day {
    /// Lives so many of the [`PARTS`] of a day.
    #[must_use]
    pub fn live(seed: u64, parts: usize) -> Self {
        let options = Options { store: true, queue: 1_000, ..Options::DEFAULT };
        let mut life = Life::<Heap>::with(seed, PLAN, &options);
        let began = life.world.now;
        life.world.store.manner.by_key = true;
        come_back(&mut life, 1);
        for _ in 0..parts {
            life.live_some(PLAN.acts / PARTS);
            let extra = life.world.dice.below(4);
            life.world.crash(extra);
            life.world.check(false);
            come_back(&mut life, 20);
        }
        let passed = life.world.now.millis_since(began);
        life.world.pass((DAY_MS * parts as u64 / PARTS as u64).saturating_sub(passed));
        life.come_to_rest();
        Self {
            hash: life.world.oracle.log.number(),
            seconds: life.world.now.millis_since(began) / 1_000,
            world: life.world.counts,
            judge: life.world.oracle.counts,
            broker: total([life.world.before, life.world.counters()].into_iter()),
            violations: life.world.violations(),
        }
    }
}

/// Of ten clients without a line nine connect, one after the other, and up to so many milliseconds
/// pass between two.
fn come_back(life: &mut Life<Heap>, gap_ms: u64) {
    for person in 0..life.world.people.len() {
        let is_actor = matches!(life.world.people[person], Person::Actor(..));
        if is_actor && !life.world.has_line(person) && life.world.dice.chance(90) {
            life.connect(person);
        }
        let gap = life.world.dice.between(0, gap_ms);
        life.world.pass(gap);
    }
}
