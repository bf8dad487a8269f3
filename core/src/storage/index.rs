//! Hash tables that hold slot numbers only; the keys stay where the slots are.

use super::{Full, Index};

/// An index on the heap: open addressing, in a table of twice the size once it is seven eighths
/// full.
///
/// An entry is the low half of a hash over the slot number plus one, so that a look at the table is
/// nearly always enough, and growing asks nobody. Entries stand in the order of their distance from
/// home: one that is nearer to its home than the one looked for ends the search.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct HeapIndex {
    entries: alloc::vec::Vec<u64>,
    len: usize,
}

#[cfg(feature = "alloc")]
impl HeapIndex {
    /// The place behind this one, going round.
    fn next(&self, place: usize) -> usize {
        self.round(place.wrapping_add(1))
    }

    /// Sizes are powers of two.
    fn round(&self, place: usize) -> usize {
        place & self.entries.len().wrapping_sub(1)
    }

    /// How far an entry that stands at `place` is from its home.
    fn distance(&self, entry: u64, place: usize) -> usize {
        self.round(place.wrapping_sub((entry >> 32) as usize))
    }

    /// The places where an entry of this hash may stand, with what stands there.
    #[inline]
    fn probe(&self, hash: u64) -> impl Iterator<Item = (usize, u64)> {
        let mut place = self.round(hash as u32 as usize);
        let mut distance = 0_usize;
        core::iter::from_fn(move || {
            let (here, entry) = (place, *self.entries.get(place)?);
            if entry == 0 || self.distance(entry, here) < distance {
                return None;
            }
            place = self.next(here);
            distance = distance.wrapping_add(1);
            Some((here, entry))
        })
    }

    fn put(&mut self, mut entry: u64) {
        let mut place = self.round((entry >> 32) as usize);
        let mut distance = 0_usize;
        while let Some(here) = self.entries.get(place).copied() {
            let its = self.distance(here, place);
            if here == 0 || its < distance {
                self.set(place, entry);
                if here == 0 {
                    return;
                }
                (entry, distance) = (here, its);
            }
            place = self.next(place);
            distance = distance.wrapping_add(1);
        }
    }

    fn set(&mut self, place: usize, entry: u64) {
        if let Some(place) = self.entries.get_mut(place) {
            *place = entry;
        }
    }

    fn grow(&mut self) {
        let size = self.entries.len().saturating_mul(2).max(8);
        let old = core::mem::replace(&mut self.entries, alloc::vec![0; size]);
        for entry in old.into_iter().filter(|entry| *entry != 0) {
            self.put(entry);
        }
    }
}

#[cfg(feature = "alloc")]
impl Index for HeapIndex {
    const EMPTY: Self = Self { entries: alloc::vec::Vec::new(), len: 0 };

    #[inline]
    fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let with_hash = self.probe(hash).filter(|(_, entry)| entry >> 32 == hash & 0xFFFF_FFFF);
        with_hash.map(|(_, entry)| (entry as u32).wrapping_sub(1)).find(|slot| is_it(*slot))
    }

    fn insert(&mut self, hash: u64, slot: u32, _: impl Fn(u32) -> u64) -> Result<(), Full> {
        let slot = slot.checked_add(1).ok_or(Full)?;
        if self.len >= self.entries.len().saturating_sub(self.entries.len() / 8) {
            self.grow();
        }
        self.put(hash << 32 | u64::from(slot));
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    fn remove(&mut self, hash: u64, slot: u32, _: impl Fn(u32) -> u64) -> bool {
        let wanted = hash << 32 | u64::from(slot.wrapping_add(1));
        let found = self.probe(hash).find(|(_, entry)| *entry == wanted);
        let Some((mut hole, _)) = found else { return false };
        // Entries behind the hole that aren't at home move up.
        loop {
            let place = self.next(hole);
            let entry = self.entries.get(place).copied().unwrap_or(0);
            if entry == 0 || self.distance(entry, place) == 0 {
                break;
            }
            self.set(hole, entry);
            hole = place;
        }
        self.set(hole, 0);
        self.len = self.len.saturating_sub(1);
        true
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
