//! Quota, aliases, deadlines, keep alive, random numbers.

use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::Dice;
use crate::Instant;
use crate::flow::alias::Aliases;
use crate::flow::deadlines::Deadlines;
use crate::flow::keep_alive::KeepAlive;
use crate::flow::quota::Quota;
use crate::flow::random::Random;
use crate::storage::{FixedMemory, HeapMemory, Memory};
use crate::types::TopicName;

// [MQTT5-4.9.0-1, MQTT5-4.9.0-2]
#[test]
fn the_window_never_opens_wider_than_it_began() {
    for seed in 0..50 {
        let mut dice = Dice::new(seed);
        let (limit, held) = (dice.roll(0..6) as u16, dice.roll(0..9) as u16);
        let mut quota = Quota::new(limit, held);
        let mut in_use = held;
        for _ in 0..200 {
            assert_eq!(quota.is_open(), in_use < limit, "seed {seed}");
            if dice.one_in(2) {
                quota.give(); // even if there is nothing to give
                in_use = in_use.saturating_sub(1);
            } else if quota.is_open() {
                quota.take();
                in_use += 1;
            }
        }
    }
    assert!(!Quota::CLOSED.is_open());
    assert!(Quota::new(u16::MAX, u16::MAX - 1).is_open());
}

/// As many topics of one letter more each.
fn topics() -> Vec<String> {
    (1..12).map(|length| "x".repeat(length)).collect()
}

fn aliases_agree_with_the_model<M: Memory>(bytes: usize) {
    let topics = topics();
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let mut aliases = Aliases::<M>::EMPTY;
        aliases.set_limit(bytes);
        let mut model = BTreeMap::<u16, &str>::new();
        let mut maximum = 0;
        for _ in 0..200 {
            if dice.one_in(40) {
                maximum = dice.roll(0..10) as u16;
                aliases.begin(maximum);
                model.clear();
            }
            let (alias, text) = (dice.roll(1..10) as u16, topics[dice.roll(0..11)].as_str());
            let topic = TopicName::new(text).unwrap();
            let room = |model: &BTreeMap<u16, &str>| {
                model.values().fold(0, |sum, topic| sum + topic.len() + 4) + text.len() + 4
            };
            assert_eq!(aliases.has_room(topic), room(&model) <= bytes, "seed {seed}");
            let set = aliases.set(alias, topic);
            if model.get(&alias) != Some(&text) {
                model.remove(&alias); // even if there is no room for the new topic
                assert_eq!(set.is_ok(), room(&model) <= bytes, "seed {seed}");
                if set.is_ok() {
                    model.insert(alias, text);
                }
            }
            for alias in 0..12 {
                let found = aliases.topic(alias).map(|topic| topic.as_str());
                assert_eq!(found, model.get(&alias).copied(), "seed {seed}");
            }
            let found = aliases.alias(topic).map(|alias| model[&alias]);
            assert_eq!(found.is_some(), model.values().any(|topic| *topic == text), "seed {seed}");
            assert!(found.is_none_or(|found| found == text), "seed {seed}");
            let next = u16::try_from(model.len()).unwrap() + 1;
            assert_eq!(aliases.next_free(), (next <= maximum).then_some(next), "seed {seed}");
            assert_eq!(aliases.maximum(), maximum);
        }
    }
}

// [MQTT5-3.3.2-7]
#[test]
fn aliases_agree_with_a_model_on_both_storages() {
    aliases_agree_with_the_model::<FixedMemory<40>>(40);
    aliases_agree_with_the_model::<HeapMemory>(40);
    aliases_agree_with_the_model::<FixedMemory<0>>(0);
    aliases_agree_with_the_model::<HeapMemory>(1000);
}

#[test]
fn the_earliest_deadline_is_next() {
    for seed in 0..50 {
        let mut dice = Dice::new(seed);
        let mut deadlines = Deadlines::<4>::NONE;
        let mut model = BTreeMap::new();
        for _ in 0..200 {
            let (name, now) = (dice.roll(0..4), Instant::from_millis(dice.roll(0..50) as u64));
            match dice.roll(0..3) {
                0 => {
                    deadlines.set(name, now);
                    model.insert(name, now.max(Instant::from_millis(1)));
                }
                1 => {
                    deadlines.clear(name);
                    model.remove(&name);
                }
                _ => {
                    let due = model.get(&name).is_some_and(|when| *when <= now);
                    assert_eq!(deadlines.take_due(name, now), due, "seed {seed}");
                    model.retain(|other, _| *other != name || !due);
                }
            }
            assert_eq!(deadlines.get(name), model.get(&name).copied(), "seed {seed}");
            assert_eq!(deadlines.next(), model.values().min().copied(), "seed {seed}");
        }
    }
    let mut deadlines = Deadlines::<1>::NONE;
    deadlines.set(0, Instant::NEVER);
    assert!(!deadlines.take_due(0, Instant::from_millis(u64::MAX - 1)));
    deadlines.set(7, Instant::ZERO);
    assert_eq!((deadlines.get(7), deadlines.next()), (None, Some(Instant::NEVER)));
}

// [MQTT5-3.1.2-20, MQTT3-3.1.2-23]
#[test]
fn a_ping_is_due_before_the_interval_ends_counted_from_what_left_last() {
    let start = Instant::from_millis(5_000);
    for secs in [1, 2, 60, u16::MAX] {
        let mut keep_alive = KeepAlive::new(secs, start);
        let interval = u64::from(secs) * 1_000;
        let wait = keep_alive.ping_at().unwrap().millis_since(start);
        assert!(wait < interval && wait * 2 > interval, "{wait} of {interval} ms");
        let later = start.plus_millis(777);
        keep_alive.sent(later);
        assert_eq!(keep_alive.ping_at(), Some(later.plus_millis(wait)));
    }
    assert_eq!(KeepAlive::new(0, start).ping_at(), None);
    assert_eq!(KeepAlive::OFF.ping_at(), None);
    assert_eq!(KeepAlive::new(9, Instant::NEVER).ping_at(), Some(Instant::NEVER));
}

#[test]
fn the_same_seed_gives_the_same_numbers_spread_over_the_range() {
    let (mut one, mut other) = (Random::new(7), Random::new(7));
    let mut seen = [0; 10];
    for _ in 0..1_000 {
        let number = one.up_to(9);
        assert_eq!(other.up_to(9), number);
        seen[number as usize] += 1;
    }
    assert!(seen.iter().all(|times| (60..140).contains(times)), "{}", format!("{seen:?}"));
    assert_eq!(one.up_to(0), 0);
    assert_ne!(Random::new(1).next(), Random::new(2).next());
    assert!((0..100).any(|_| one.up_to(u32::MAX) > u32::MAX / 2));
}
