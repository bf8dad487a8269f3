//! QEMU's RISC-V machine `virt`: an NS16550A UART and the timer of the CLINT.

use crate::Board;
use crate::register::{Byte, Register};

core::arch::global_asm!(
    ".section .init, \"ax\"",
    ".global _start",
    "_start:",
    "    la sp, _stack_start",
    "    la t0, __sbss",
    "    la t1, __ebss",
    "1:  bgeu t0, t1, 2f",
    "    sw zero, 0(t0)",
    "    addi t0, t0, 4",
    "    j 1b",
    "2:  j main",
);

/// Receiver buffer when read, transmitter holding when written.
const RBR_THR: Byte = Byte::at(0x1000_0000);
const FCR: Byte = Byte::at(0x1000_0002);
const LSR: Byte = Byte::at(0x1000_0005);
const FCR_FIFO_ENABLE: u8 = 1 << 0;
const LSR_DATA_READY: u8 = 1 << 0;
const LSR_THR_EMPTY: u8 = 1 << 5;

const MTIME_LOW: Register = Register::at(0x0200_BFF8);
const MTIME_HIGH: Register = Register::at(0x0200_BFFC);
const TICKS_PER_MILLI: u64 = 10_000;

/// Behind the RAM that `memory/virt.x` gives the program.
pub(crate) const FLASH: usize = 0x8005_0000;

/// SiFive's test device, which resets the machine.
const TEST: Register = Register::at(0x0010_0000);
const TEST_RESET: u32 = 0x7777;

/// Begins anew, as after power-up but for the memory.
pub fn reset() -> ! {
    TEST.write(TEST_RESET);
    loop {
        core::hint::spin_loop();
    }
}

/// UART 0, polled.
#[derive(Debug)]
pub struct Uart(());

impl Uart {
    /// Switches it on.
    pub fn new(_: &mut Board) -> Self {
        FCR.write(FCR_FIFO_ENABLE);
        Self(())
    }

    /// Takes what has arrived, as much as there is and `buffer` has room for; returns how much.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut count = 0;
        for byte in buffer {
            if LSR.read() & LSR_DATA_READY == 0 {
                break;
            }
            *byte = RBR_THR.read();
            count += 1;
        }
        count
    }

    /// Sends as much as the transmitter takes without waiting; returns how much.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let mut count = 0;
        for &byte in bytes {
            if LSR.read() & LSR_THR_EMPTY == 0 {
                break;
            }
            RBR_THR.write(byte);
            count += 1;
        }
        count
    }
}

/// Milliseconds since the start.
#[derive(Debug)]
pub struct Clock(());

impl Clock {
    /// It runs already.
    pub fn new(_: &mut Board) -> Self {
        Self(())
    }

    /// The time in milliseconds.
    pub fn millis(&mut self) -> u64 {
        loop {
            let high = MTIME_HIGH.read();
            let low = MTIME_LOW.read();
            if MTIME_HIGH.read() == high {
                return (u64::from(high) << 32 | u64::from(low)) / TICKS_PER_MILLI;
            }
        }
    }

    /// Nothing is to be done: the processor may rest a moment.
    pub fn idle(&self) {
        core::hint::spin_loop();
    }
}
