//! Who watches the judge: the broker is told another class for some topics than the judge knows,
//! and each time that must be found within [`SEEDS`] runs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tamtam_core::broker::Durability::{Durable, Memory, Relaxed};

use crate::random::Run;
use crate::world::Classes;

/// Within how many runs each fault is found.
const SEEDS: u64 = 12;

/// The words of the judge for a run, if it has any. What it knows is said of every other seed.
fn found(seed: u64, said: Option<&'static Classes>) -> Option<String> {
    let mut run = Run::new(seed * 2 - 1);
    if let Some(said) = said {
        run.world.mislead(said);
    }
    let words = catch_unwind(AssertUnwindSafe(|| run.all())).err()?;
    Some(words.downcast_ref::<String>().cloned().unwrap_or_default())
}

fn expect_found(name: &str, said: &'static Classes) {
    assert_eq!(found(1, None), None, "without a fault");
    let words = (1..=SEEDS).find_map(|seed| Some((seed, found(seed, Some(said))?)));
    let Some((seed, words)) = words else { panic!("{name}: not found within {SEEDS} runs") };
    println!("{name}: seed {seed}, {words:.150}");
    assert!(words.contains(" to c"), "a message is missed: {words}");
}

#[test]
fn durable_messages_that_are_kept_in_memory_are_found() {
    expect_found("durable, kept in memory", &[("t/+/0", Memory), ("t/+/1", Relaxed)]);
}

#[test]
fn durable_messages_that_are_acknowledged_before_they_are_kept_are_found() {
    const SAID: &Classes = &[("t/5/+", Memory), ("t/6/+", Memory), ("t/#", Relaxed)];
    expect_found("durable, acknowledged too soon", SAID);
}

#[test]
fn relaxed_messages_that_are_never_kept_are_found() {
    expect_found("relaxed, never kept", &[("t/+/1", Memory), ("r/#", Durable)]);
}
