//! Milliseconds, counted by SysTick (Armv7-M Architecture Reference Manual, B3.3).

use core::sync::atomic::{AtomicU32, Ordering};

use crate::Board;
use crate::register::Register;

const SYST_CSR: Register = Register::at(0xE000_E010);
const SYST_RVR: Register = Register::at(0xE000_E014);
const SYST_CVR: Register = Register::at(0xE000_E018);

const CSR_ENABLE: u32 = 1 << 0;
const CSR_TICKINT: u32 = 1 << 1;
const CSR_CLKSOURCE: u32 = 1 << 2;

const CPU_HZ: u32 = 25_000_000;

static LOW: AtomicU32 = AtomicU32::new(0);
static HIGH: AtomicU32 = AtomicU32::new(0);

#[cortex_m_rt::exception]
fn SysTick() {
    // One writer, so that a load and a store are enough.
    let low = LOW.load(Ordering::Relaxed).wrapping_add(1);
    if low == 0 {
        HIGH.store(HIGH.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
    LOW.store(low, Ordering::Relaxed);
    #[cfg(feature = "embassy")]
    super::time_driver::tick();
}

/// Milliseconds since the clock was started.
pub(super) fn millis() -> u64 {
    loop {
        let high = HIGH.load(Ordering::Relaxed);
        let low = LOW.load(Ordering::Relaxed);
        if HIGH.load(Ordering::Relaxed) == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// The time since the start.
#[derive(Debug)]
pub struct Clock(());

impl Clock {
    /// Starts it.
    pub fn new(_: &mut Board) -> Self {
        SYST_RVR.write(CPU_HZ / 1_000 - 1);
        SYST_CVR.write(0);
        SYST_CSR.write(CSR_ENABLE | CSR_TICKINT | CSR_CLKSOURCE);
        Self(())
    }

    /// The time in milliseconds.
    pub fn millis(&mut self) -> u64 {
        millis()
    }

    /// Nothing is to be done: rests until the next tick at most.
    pub fn idle(&self) {
        // SAFETY: the instruction only waits.
        unsafe { core::arch::asm!("wfi", options(nomem, nostack)) }
    }
}
