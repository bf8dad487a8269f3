//! Hash tables that hold slot numbers only; the keys stay where the slots are.

use super::{Full, Index};

/// An index on the heap.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct HeapIndex(hashbrown::HashTable<u32>);

#[cfg(feature = "alloc")]
impl Index for HeapIndex {
    const EMPTY: Self = Self(hashbrown::HashTable::new());

    fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.0.find(hash, |slot| is_it(*slot)).copied()
    }

    fn insert(&mut self, hash: u64, slot: u32, rehash: impl Fn(u32) -> u64) -> Result<(), Full> {
        self.0.insert_unique(hash, slot, |slot| rehash(*slot));
        Ok(())
    }

    fn remove(&mut self, hash: u64, slot: u32, _: impl Fn(u32) -> u64) -> bool {
        match self.0.find_entry(hash, |found| *found == slot) {
            Ok(entry) => {
                entry.remove();
                true
            }
            Err(_) => false,
        }
    }
}

/// An index of `N` entries in place: open addressing, each entry as near as may be behind the place
/// that its hash names.
///
/// Entries are slot numbers plus one, so that an empty index is all zeros.
#[derive(Debug)]
pub struct FixedIndex<const N: usize> {
    entries: [u32; N],
}

impl<const N: usize> FixedIndex<N> {
    /// Where an entry of this hash would be best.
    const fn home(hash: u64) -> usize {
        match hash.checked_rem(N as u64) {
            Some(place) => place as usize,
            None => 0,
        }
    }

    const fn next(place: usize) -> usize {
        let next = place.wrapping_add(1);
        if next >= N { 0 } else { next }
    }

    fn at(&self, place: usize) -> Option<u32> {
        self.entries.get(place)?.checked_sub(1)
    }

    /// The places from this hash's home to the first empty one, with what stands there.
    fn probe(&self, hash: u64) -> impl Iterator<Item = (usize, u32)> {
        let mut place = Self::home(hash);
        (0..N).map_while(move |_| {
            let here = place;
            place = Self::next(place);
            Some((here, self.at(here)?))
        })
    }

    fn set(&mut self, place: usize, entry: u32) {
        if let Some(place) = self.entries.get_mut(place) {
            *place = entry;
        }
    }

    /// How far `place` is behind `home`, going round.
    const fn distance(home: usize, place: usize) -> usize {
        if place >= home {
            place.wrapping_sub(home)
        } else {
            place.wrapping_add(N).wrapping_sub(home)
        }
    }
}

impl<const N: usize> Index for FixedIndex<N> {
    const EMPTY: Self = Self { entries: [0; N] };

    fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.probe(hash).map(|(_, slot)| slot).find(|slot| is_it(*slot))
    }

    fn insert(&mut self, hash: u64, slot: u32, _: impl Fn(u32) -> u64) -> Result<(), Full> {
        let mut place = Self::home(hash);
        for _ in 0..N {
            if self.at(place).is_none() {
                self.set(place, slot.checked_add(1).ok_or(Full)?);
                return Ok(());
            }
            place = Self::next(place);
        }
        Err(Full)
    }

    fn remove(&mut self, hash: u64, slot: u32, rehash: impl Fn(u32) -> u64) -> bool {
        let found = self.probe(hash).find(|(_, found)| *found == slot);
        let Some((mut hole, _)) = found else { return false };
        // Entries behind the hole move up if that brings them nearer to their home.
        let mut place = Self::next(hole);
        while let Some(other) = self.at(place) {
            if place == hole {
                break;
            }
            let home = Self::home(rehash(other));
            if Self::distance(home, hole) < Self::distance(home, place) {
                self.set(hole, other.wrapping_add(1));
                hole = place;
            }
            place = Self::next(place);
            if place == hole {
                break;
            }
        }
        self.set(hole, 0);
        true
    }
}
