//! Runs of bytes of any length, each known by a handle.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use super::{Arena, FixedArena, Full, Pool};

/// Memory of a run that is kept for the next one, at most, in bytes.
#[cfg(feature = "alloc")]
const KEPT: usize = 1024;

/// How many such runs are kept: as many as messages are often under way at once.
#[cfg(feature = "alloc")]
const SPARE: usize = 4_096;

/// Runs on the heap. A small run that is freed leaves its memory to the next.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct HeapPool {
    runs: super::HeapArena<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    used: usize,
    limit: usize,
}

#[cfg(feature = "alloc")]
impl Pool for HeapPool {
    const EMPTY: Self =
        Self { runs: super::HeapArena::EMPTY, spare: Vec::new(), used: 0, limit: 0 };

    fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
        self.runs.set_limit(u32::MAX as usize);
    }

    fn used(&self) -> usize {
        self.used
    }

    fn insert(&mut self, parts: &[&[u8]]) -> Result<u32, Full> {
        let len = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        if self.used.saturating_add(len) > self.limit {
            return Err(Full);
        }
        let mut run = self.spare.pop().unwrap_or_default();
        run.reserve_exact(len);
        for part in parts {
            run.extend_from_slice(part);
        }
        let handle = self.runs.insert(run)?;
        self.used = self.used.saturating_add(len);
        Ok(handle)
    }

    #[inline]
    fn get(&self, handle: u32) -> &[u8] {
        self.runs.get(handle).map_or(&[], Vec::as_slice)
    }

    fn remove(&mut self, handle: u32) {
        let Some(mut run) = self.runs.remove(handle) else { return };
        self.used = self.used.saturating_sub(run.len());
        if run.capacity() <= KEPT && self.spare.len() < SPARE {
            run.clear();
            self.spare.push(run);
        }
    }
}

/// `RUNS` runs within `BYTES` bytes in place; what is freed is closed up when room is needed.
#[derive(Debug)]
pub struct FixedPool<const BYTES: usize, const RUNS: usize> {
    places: FixedArena<Place, RUNS>,
    bytes: [u8; BYTES],
    end: usize,
    used: usize,
}

/// Where a run lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    len: usize,
}

impl<const BYTES: usize, const RUNS: usize> FixedPool<BYTES, RUNS> {
    /// Moves all runs to the front, in the order in which they lie.
    fn close_up(&mut self) {
        let mut end = 0_usize;
        let mut from = 0;
        while let Some(slot) = self.next_run(from) {
            let Some(place) = self.places.get_mut(slot) else { return };
            let Place { start, len } = *place;
            place.start = end;
            super::move_within(&mut self.bytes, start..start.saturating_add(len), end);
            from = start.saturating_add(1);
            end = end.saturating_add(len);
        }
        self.end = end;
    }

    /// The run that lies first, from `from` on.
    fn next_run(&self, from: usize) -> Option<u32> {
        let slots = u32::try_from(self.places.slots()).ok()?;
        let starts = (0..slots).filter_map(|slot| Some((self.places.get(slot)?, slot)));
        let (_, slot) = starts
            .filter(|(place, _)| place.start >= from && place.len != 0)
            .min_by_key(|(place, _)| place.start)?;
        Some(slot)
    }
}

impl<const BYTES: usize, const RUNS: usize> Pool for FixedPool<BYTES, RUNS> {
    const EMPTY: Self = Self { places: FixedArena::EMPTY, bytes: [0; BYTES], end: 0, used: 0 };

    fn set_limit(&mut self, _: usize) {}

    fn used(&self) -> usize {
        self.used
    }

    fn insert(&mut self, parts: &[&[u8]]) -> Result<u32, Full> {
        let len = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        if self.used.saturating_add(len) > BYTES {
            return Err(Full);
        }
        if self.end.saturating_add(len) > BYTES {
            self.close_up();
        }
        let start = self.end;
        let handle = self.places.insert(Place { start, len })?;
        for part in parts {
            let end = self.end.saturating_add(part.len());
            if let Some(to) = self.bytes.get_mut(self.end..end) {
                to.copy_from_slice(part);
            }
            self.end = end;
        }
        self.used = self.used.saturating_add(len);
        Ok(handle)
    }

    fn get(&self, handle: u32) -> &[u8] {
        let Some(place) = self.places.get(handle) else { return &[] };
        self.bytes.get(place.start..place.start.saturating_add(place.len)).unwrap_or_default()
    }

    fn remove(&mut self, handle: u32) {
        if let Some(place) = self.places.remove(handle) {
            self.used = self.used.saturating_sub(place.len);
            if place.start.saturating_add(place.len) == self.end {
                self.end = place.start;
            }
        }
    }
}
