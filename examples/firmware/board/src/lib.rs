//! The few lines that a board needs: start, UART, clock, network card, and words to the host.
//!
//! Everything else in this workspace is without `unsafe`; what needs it is fenced in here. To use
//! another board, write a module that offers what [`mps2`](self) does: `Uart`, `Clock`, and, for a
//! network, a device.
//!
//! The target chooses the board: thumbv7em is Arm's MPS2 (QEMU's `mps2-an386`), thumbv6m the
//! micro:bit, riscv32imc QEMU's `virt`.
#![no_std]
#![allow(unsafe_code, reason = "registers, and the stack, are reached by address")]

#[cfg(target_arch = "arm")]
mod arm;
mod flash;
#[cfg(target_arch = "arm")]
mod memory;
mod register;
mod semihosting;
mod stack;
mod statics;

#[cfg(all(target_arch = "arm", target_has_atomic = "32"))]
#[path = "mps2/mod.rs"]
mod chip;
#[cfg(all(target_arch = "arm", not(target_has_atomic = "32")))]
#[path = "microbit.rs"]
mod chip;
#[cfg(target_arch = "riscv32")]
#[path = "virt.rs"]
mod chip;

pub use chip::*;
pub use flash::Flash;
pub use semihosting::{argument, exit, say};
pub use stack::Stack;
pub use statics::{Board, Once};

/// Writes a number in decimal digits to the host, without `core::fmt`.
pub fn say_number(mut number: u32) {
    let mut digits = [0_u8; 10];
    let mut first = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.wrapping_add((number % 10) as u8);
        number /= 10;
        first = first.saturating_sub(1);
        if number == 0 {
            break;
        }
    }
    say(digits.get(first..).unwrap_or_default());
}

/// Makes `fn main(board: Board)` what the board starts, and says what a panic does.
///
/// `entry!(main)`: a panic says so, and ends the run with status 101. `entry!(main, no_panic)`:
/// there is none, and where one could happen, the program can't be linked.
#[macro_export]
macro_rules! entry {
    ($main:ident) => {
        $crate::entry!(@start $main);
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            $crate::say(b"panic\n");
            $crate::exit(101)
        }
    };
    ($main:ident, no_panic) => {
        $crate::entry!(@start $main);
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            $crate::no_panic()
        }
    };
    (@start $main:ident) => {
        const _: () = {
            /// What the runtime calls once memory is set up.
            #[allow(unsafe_code, reason = "the name that the runtime looks for")]
            #[unsafe(export_name = "main")]
            extern "C" fn start() -> ! {
                $main($crate::Board::new())
            }
        };
    };
}

unsafe extern "C" {
    /// Is nowhere: the linker fails if something that can happen calls it.
    #[link_name = "a panic can be reached: look for it with `nm` in a build without `no_panic`"]
    safe fn a_panic_can_be_reached() -> !;
}

/// For [`entry!`].
#[doc(hidden)]
pub fn no_panic() -> ! {
    a_panic_can_be_reached()
}
