//! Many moments, each for one slot of an arena, and the earliest of them: nothing is scanned.

use crate::Instant;
use crate::storage::{Full, List};

/// A moment for a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    when: Instant,
    slot: u32,
}

/// A binary heap of moments, with a place for each slot, so that one can be moved and taken out.
#[derive(Debug)]
pub(crate) struct Timers<L, P> {
    heap: L,
    /// Where the timer of each slot stands in the heap, plus one.
    places: P,
}

impl<L: List<Timer>, P: List<u32>> Timers<L, P> {
    pub(crate) const EMPTY: Self = Self { heap: L::EMPTY, places: P::EMPTY };

    pub(crate) fn set_limit(&mut self, slots: usize) {
        self.heap.set_limit(slots);
        self.places.set_limit(slots);
    }

    /// The earliest moment.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.as_slice().first().map(|timer| timer.when)
    }

    /// A slot whose moment has come; it has none any more.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<u32> {
        let first = *self.heap.as_slice().first()?;
        if first.when > now {
            return None;
        }
        self.clear(first.slot);
        Some(first.slot)
    }

    /// The moment of `slot` is `when`, whatever it was before.
    pub(crate) fn set(&mut self, slot: u32, when: Instant) -> Result<(), Full> {
        while self.places.as_slice().len() <= slot as usize {
            self.places.push(0)?;
        }
        match self.place(slot) {
            Some(at) => {
                if let Some(timer) = self.heap.as_mut_slice().get_mut(at) {
                    timer.when = when;
                }
                self.settle(at);
            }
            None => {
                let at = self.heap.as_slice().len();
                self.heap.push(Timer { when, slot })?;
                self.note(at);
                self.settle(at);
            }
        }
        Ok(())
    }

    /// `slot` has no moment any more.
    pub(crate) fn clear(&mut self, slot: u32) {
        let Some(at) = self.place(slot) else { return };
        let Some(last) = self.heap.as_slice().len().checked_sub(1) else { return };
        self.heap.as_mut_slice().swap(at, last);
        self.heap.remove(last);
        if let Some(place) = self.places.as_mut_slice().get_mut(slot as usize) {
            *place = 0;
        }
        if at < last {
            self.note(at);
            self.settle(at);
        }
    }

    fn place(&self, slot: u32) -> Option<usize> {
        let place = self.places.as_slice().get(slot as usize)?;
        place.checked_sub(1).map(|place| place as usize)
    }

    /// Writes down where the timer at `at` stands.
    fn note(&mut self, at: usize) {
        if let Some(timer) = self.heap.as_slice().get(at)
            && let Some(place) = self.places.as_mut_slice().get_mut(timer.slot as usize)
        {
            *place = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
        }
    }

    fn when(&self, at: usize) -> Option<Instant> {
        self.heap.as_slice().get(at).map(|timer| timer.when)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.as_mut_slice().swap(a, b);
        self.note(a);
        self.note(b);
    }

    /// Moves the timer at `at` to where it belongs.
    fn settle(&mut self, mut at: usize) {
        while let Some(parent) = at.checked_sub(1).map(|before| before / 2)
            && self.when(at) < self.when(parent)
        {
            self.swap(at, parent);
            at = parent;
        }
        loop {
            let left = at.saturating_mul(2).saturating_add(1);
            let right = left.saturating_add(1);
            let child = match (self.when(left), self.when(right)) {
                (Some(a), Some(b)) if b < a => right,
                (Some(_), _) => left,
                (None, _) => return,
            };
            if self.when(at) <= self.when(child) {
                return;
            }
            self.swap(at, child);
            at = child;
        }
    }
}
