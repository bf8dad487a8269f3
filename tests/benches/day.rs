//! A day of a broker in a simulated world: `cargo bench -p tamtam-tests --bench day` lives it twice
//! from one seed, compares, and prints what happened.

use std::process::ExitCode;
use std::time::Instant;

use tamtam_core::Heap;
use tamtam_core::broker::Options;
use tamtam_tests::broker::life::{Life, Plan};
use tamtam_tests::broker::oracle::Counts;
use tamtam_tests::broker::world;

const SEED: u64 = 20_261_124;

/// A thousand clients.
const PLAN: Plan = Plan {
    actors: 960,
    machines: 40,
    acts: 400_000,
    gap_ms: 432, // 86,400 seconds in all, on average
    topics: 200,
    crashes_permille: 0,
    failures_permille: 0,
    shared_percent: 0,
    parts_permille: 0,
    lag_ms: 0,
};

/// How often the broker crashes.
const CRASHES: usize = 100;

#[derive(Debug, PartialEq, Eq)]
struct Day {
    log: u64,
    world: world::Counts,
    oracle: Counts,
    violations: Vec<String>,
}

fn live(scale: usize) -> Day {
    let options = Options { store: true, queue: 1_000, ..Options::DEFAULT };
    let mut life = Life::<Heap>::with(SEED, PLAN, &options);
    life.world.store.manner.by_key = true;
    for _ in 0..CRASHES / scale {
        life.live_some(PLAN.acts / CRASHES);
        let extra = life.world.dice.below(4);
        life.world.crash(extra);
        life.world.check(false);
    }
    life.come_to_rest();
    Day {
        log: life.world.oracle.log.number(),
        world: life.world.counts,
        oracle: life.world.oracle.counts,
        violations: life.world.violations(),
    }
}

fn main() -> ExitCode {
    // As a test, which `cargo nextest run --all-targets` runs too, a hundredth of it.
    let scale = if std::env::args().any(|argument| argument == "--bench") { 1 } else { 100 };
    let began = Instant::now();
    let day = live(scale);
    let took = began.elapsed();
    let same = live(scale) == day;
    println!("{day:#?}");
    println!("{took:.1?} of real time for a day; the second was the same: {same}");
    if same && day.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
