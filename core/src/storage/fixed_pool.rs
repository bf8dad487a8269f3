//! Runs of bytes of any length in a fixed array, each known by a handle.

use super::{Arena, FixedArena, Full, Pool};

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
