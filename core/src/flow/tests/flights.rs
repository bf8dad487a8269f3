//! Packet identifiers: unique while in use, rested before they are used again, and in order.

use std::collections::{BTreeMap, VecDeque};
use std::vec::Vec;

use super::tables::SEEN;
use super::{Dice, id, numbers};
use crate::flow::send::{Flight, Flights, Owed, Seen};
use crate::storage::{Full, HeapList, List};
use crate::types::PacketId;

/// How many identifiers are made before one is used again.
const RESTING: u16 = 32;

/// What the table must hold.
#[derive(Default)]
struct Model {
    limit: u16,
    made: u16,
    in_use: BTreeMap<u16, (Owed, u32)>,
    free: VecDeque<u16>,
    releases: Vec<u16>,
    news: VecDeque<u16>,
}

impl Model {
    fn owed(&self, number: u16) -> Owed {
        self.in_use.get(&number).map_or(Owed::Nothing, |(owed, _)| *owed)
    }

    fn next(&self) -> Option<u16> {
        let rested = self.made >= RESTING && !self.free.is_empty();
        let next = if self.made < self.limit { Some(self.made + 1) } else { None };
        if rested || next.is_none() { self.free.front().copied() } else { next }
    }

    fn take(&mut self, owed: Owed, token: u32) -> Option<u16> {
        let number = self.next()?;
        if number > self.made {
            self.made = number;
        } else {
            self.free.pop_front();
        }
        self.in_use.insert(number, (owed, token));
        Some(number)
    }

    /// The identifier is in this state from now on, and in the rows that go with it.
    fn set(&mut self, number: u16, after: Owed) {
        let before = self.owed(number);
        if after.is_release() != before.is_release() {
            self.releases.retain(|other| *other != number);
            self.releases.extend(after.is_release().then_some(number));
        }
        if after == Owed::News && before != Owed::News {
            self.news.push_back(number);
        }
        if after == Owed::Nothing {
            if self.in_use.remove(&number).is_some() {
                self.free.push_back(number);
            }
        } else if let Some(entry) = self.in_use.get_mut(&number) {
            entry.0 = after;
        }
    }

    fn restore(&mut self, number: u16, owed: Owed, token: u32) -> Result<(), Full> {
        while self.made < number {
            if self.made == self.limit {
                return Err(Full);
            }
            self.made += 1;
            self.free.push_back(self.made);
        }
        if self.owed(number) == Owed::Nothing {
            self.free.retain(|other| *other != number);
            self.in_use.insert(number, (Owed::Publish1, token));
            self.set(number, owed);
        }
        Ok(())
    }
}

fn assert_agree<L: List<Flight>>(flights: &mut Flights<L>, model: &Model, seed: u64) {
    let found: BTreeMap<_, _> =
        flights.each().map(|(id, flight)| (id.get(), (flight.owed, flight.token))).collect();
    assert_eq!(found, model.in_use, "seed {seed}");
    assert_eq!(usize::from(flights.in_use()), model.in_use.len(), "seed {seed}");
    assert_eq!(flights.peek_free().map(PacketId::get), model.next(), "seed {seed}");
    assert_eq!(usize::from(flights.released()), model.releases.len(), "seed {seed}");
    assert_eq!(numbers(flights.each_release()), model.releases, "seed {seed}");
    let is_due = |number: &&u16| model.owed(**number) == Owed::PubRel;
    let due = model.releases.iter().find(is_due).copied();
    assert_eq!(flights.first_due().map(PacketId::get), due, "seed {seed}");
    let mut after = 0;
    let row = core::iter::from_fn(|| {
        let here = flights.next_in_use(after)?;
        after = here.get();
        Some(here)
    });
    assert!(numbers(row).iter().eq(model.in_use.keys()), "seed {seed}");
}

/// One random operation on both.
fn operate<L: List<Flight>>(flights: &mut Flights<L>, model: &mut Model, dice: &mut Dice) {
    let token = dice.roll(1..1_000_000) as u32;
    let used: Vec<u16> = model.in_use.keys().copied().collect();
    let some = dice.pick(&used).unwrap_or(1);
    match dice.roll(0..20) {
        0..6 => {
            let kinds = [Owed::Publish1, Owed::Publish2, Owed::SubAck, Owed::UnsubAck];
            let owed = dice.pick(&kinds).unwrap();
            let taken = flights.take(owed, token).map(PacketId::get);
            assert_eq!(taken.ok(), model.take(owed, token));
        }
        6..14 => {
            let seen = dice.pick(&SEEN).unwrap();
            let expected = model.owed(some).next(seen);
            // `Told` frees an identifier that is in the row of news: only `take_news` does that.
            if seen != Seen::Told {
                assert_eq!(flights.advance(id(some), seen), expected);
                if let Ok(after) = expected {
                    model.set(some, after);
                }
            }
        }
        14 => {
            if !matches!(model.owed(some), Owed::Nothing | Owed::News) {
                model.set(some, Owed::News);
            }
            flights.fail(id(some), 7);
        }
        15 => {
            // Whoever is owed the news is not forgotten.
            if model.owed(some) != Owed::News {
                model.set(some, Owed::Nothing);
                flights.forget(id(some));
            }
        }
        16..19 => {
            let told = flights.take_news().map(|flight| flight.token);
            let number = model.news.pop_front();
            assert_eq!(told, number.map(|number| model.in_use[&number].1));
            if let Some(number) = number {
                model.set(number, Owed::Nothing);
            }
        }
        _ => {
            let number = dice.roll(1..usize::from(model.limit) + 2) as u16;
            let owed = dice.pick(&[Owed::Publish1, Owed::Publish2, Owed::PubRel]).unwrap();
            let restored = flights.restore(id(number), owed, token);
            assert_eq!(restored, model.restore(number, owed, token));
        }
    }
}

fn flights_agree_with_the_model<L: List<Flight>>(limit: u16) {
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let mut flights = Flights::<L>::EMPTY;
        flights.set_limit(limit);
        assert_eq!(flights.limit(), limit);
        let mut model = Model { limit, ..Model::default() };
        for _ in 0..400 {
            operate(&mut flights, &mut model, &mut dice);
            assert_agree(&mut flights, &model, seed);
        }
        flights.clear();
        assert_agree(&mut flights, &Model { limit, ..Model::default() }, seed);
    }
}

// [MQTT5-2.2.1-3, MQTT5-4.3.2-1, MQTT5-4.3.3-1, MQTT5-4.6.0-4, MQTT3-2.3.1-2, MQTT3-2.3.1-3]
#[test]
fn flights_agree_with_a_model_on_both_storages() {
    flights_agree_with_the_model::<heapless::Vec<Flight, 3>>(3);
    flights_agree_with_the_model::<HeapList<Flight>>(3);
    flights_agree_with_the_model::<heapless::Vec<Flight, 40>>(40);
    flights_agree_with_the_model::<HeapList<Flight>>(40);
}

#[test]
fn an_identifier_rests_before_it_is_used_again() {
    let mut flights = Flights::<HeapList<Flight>>::EMPTY;
    flights.set_limit(u16::MAX);
    let mut taken = Vec::new();
    for token in 0..100 {
        let id = flights.take(Owed::PubAck, token).unwrap();
        flights.advance(id, Seen::PubAck).unwrap();
        taken.push(id.get());
    }
    let expected: Vec<u16> = (0..100).map(|turn| turn % RESTING + 1).collect();
    assert_eq!(taken, expected);
}

#[test]
fn every_identifier_up_to_the_last_can_be_in_use_at_once() {
    let mut flights = Flights::<HeapList<Flight>>::EMPTY;
    flights.set_limit(u16::MAX);
    for token in 1..=u32::from(u16::MAX) {
        let id = flights.take(Owed::Publish1, token).unwrap();
        assert_eq!(u32::from(id.get()), token);
    }
    assert_eq!(flights.take(Owed::Publish1, 0), Err(Full));
    assert_eq!(flights.next_in_use(u16::MAX - 1), PacketId::new(u16::MAX));
    assert_eq!(flights.next_in_use(u16::MAX), None);
    flights.fail(id(u16::MAX), 3);
    let news = flights.take_news().unwrap();
    assert_eq!((news.token, news.why), (u32::from(u16::MAX), 3));
    assert_eq!(flights.take(Owed::Publish2, 0), Ok(id(u16::MAX)));
}
