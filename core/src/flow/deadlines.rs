//! When something must happen though no bytes arrive: a name, a moment, and the earliest of them.

use crate::Instant;

/// A moment for each of `N` names; the caller's enum numbers them.
///
/// Zero stands for "not set", so that an empty machine is all zero bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines<const N: usize>([u64; N]);

impl<const N: usize> Deadlines<N> {
    pub(crate) const NONE: Self = Self([0; N]);

    /// `name` is due at `when`.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn set(&mut self, name: usize, when: Instant) {
        if let Some(deadline) = self.0.get_mut(name) {
            *deadline = when.as_millis().max(1);
        }
    }

    pub(crate) fn clear(&mut self, name: usize) {
        if let Some(deadline) = self.0.get_mut(name) {
            *deadline = 0;
        }
    }

    /// When `name` is due, if it is.
    pub(crate) fn get(&self, name: usize) -> Option<Instant> {
        self.0.get(name).filter(|when| **when != 0).map(|when| Instant::from_millis(*when))
    }

    /// Whether `name` is due at `now`; it is cleared then.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn take_due(&mut self, name: usize, now: Instant) -> bool {
        let due = self.get(name).is_some_and(|when| when <= now);
        if due {
            self.clear(name);
        }
        due
    }

    /// The earliest.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().filter(|when| **when != 0).min().map(|when| Instant::from_millis(*when))
    }
}
