//! Arm's MPS2 with a Cortex-M: QEMU's `mps2-an386` (M4F); `mps2-an385` and `mps2-an500` as well.
//! Names are those of the Cortex-M System Design Kit's Technical Reference Manual.

mod clock;
mod ethernet;
#[cfg(feature = "embassy")]
mod time_driver;
mod uart;

pub use clock::Clock;
pub use ethernet::{Ethernet, FRAME};
#[cfg(feature = "embassy")]
pub use time_driver::wake_at_tick;
pub use uart::Uart;

/// Behind the RAM that `memory/mps2.x` gives the program.
pub(crate) const FLASH: usize = 0x203F_0000;

/// Begins anew, as after power-up but for the memory.
pub fn reset() -> ! {
    crate::arm::reset()
}
