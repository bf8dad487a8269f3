//! Machines in statics, handed out once.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// The right to what is there once: the program's `main` has it, and nothing else.
#[derive(Debug)]
pub struct Board {
    /// Not `Send`: no interrupt and no other core gets hold of it.
    _here: core::marker::PhantomData<*mut ()>,
}

impl Board {
    /// For [`entry!`](crate::entry) alone, which calls it once.
    #[doc(hidden)]
    #[must_use]
    pub const fn new() -> Self {
        Self { _here: core::marker::PhantomData }
    }
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

/// A thing that lives as long as the program, in `.bss` if it is all zero bits.
#[derive(Debug)]
pub struct Once<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through `take` alone, which hands it out once, to the one holder of
// `Board`, of which there is one and which does not leave its thread.
unsafe impl<T> Sync for Once<T> {}

impl<T> Once<T> {
    /// With this value to begin with.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// The value, the first time; `None` ever after.
    #[expect(clippy::mut_from_ref, reason = "it is handed out once")]
    pub fn take(&'static self, _: &mut Board) -> Option<&'static mut T> {
        if self.taken.load(Ordering::Relaxed) {
            return None;
        }
        self.taken.store(true, Ordering::Relaxed);
        // SAFETY: nobody else has it, and nobody will: `taken` is set, and who holds the `Board`
        // exclusively can't be interrupted by another holder.
        Some(unsafe { &mut *self.value.get() })
    }
}
