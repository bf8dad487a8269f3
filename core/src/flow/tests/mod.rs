//! The rules as tables, and each part against a plain model of itself, on both storages.
//!
//! A model keeps what it is told in vectors and looks for it from the front: too slow to use, too
//! simple to be wrong. Both get the same random operations and must agree after each. A run is its
//! seed, which a failing assertion names.

mod flights;
mod gate;
mod outbox;
mod receipts;
mod small;
mod tables;

use core::ops::Range;
use std::vec::Vec;

use crate::flow::random::Random;
use crate::types::PacketId;

/// Random choices of one run.
struct Dice(Random);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    /// A number of the range.
    fn roll(&mut self, range: Range<usize>) -> usize {
        let width = u32::try_from(range.len()).unwrap();
        range.start + self.0.up_to(width - 1) as usize
    }

    /// Whether one of so many chances came true.
    fn one_in(&mut self, chances: usize) -> bool {
        self.roll(0..chances) == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> Option<T> {
        if list.is_empty() { None } else { Some(list[self.roll(0..list.len())]) }
    }
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn numbers(ids: impl Iterator<Item = PacketId>) -> Vec<u16> {
    ids.map(PacketId::get).collect()
}
