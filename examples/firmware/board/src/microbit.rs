//! The BBC micro:bit: nRF51822, Cortex-M0, 16 KiB of RAM. Names are those of the nRF51 Series
//! Reference Manual.

use crate::Board;

mod uart0 {
    use crate::register::Register;

    const BASE: usize = 0x4000_2000;
    pub(super) const STARTRX: Register = Register::at(BASE);
    pub(super) const STARTTX: Register = Register::at(BASE + 0x008);
    pub(super) const RXDRDY: Register = Register::at(BASE + 0x108);
    pub(super) const TXDRDY: Register = Register::at(BASE + 0x11C);
    pub(super) const ENABLE: Register = Register::at(BASE + 0x500);
    pub(super) const RXD: Register = Register::at(BASE + 0x518);
    pub(super) const TXD: Register = Register::at(BASE + 0x51C);
    pub(super) const BAUDRATE: Register = Register::at(BASE + 0x524);
    pub(super) const ENABLED: u32 = 4;
    pub(super) const BAUD_1M: u32 = 0x1000_0000;
}

mod timer0 {
    use crate::register::Register;

    const BASE: usize = 0x4000_8000;
    pub(super) const START: Register = Register::at(BASE);
    pub(super) const CAPTURE0: Register = Register::at(BASE + 0x040);
    pub(super) const BITMODE: Register = Register::at(BASE + 0x508);
    pub(super) const PRESCALER: Register = Register::at(BASE + 0x510);
    pub(super) const CC0: Register = Register::at(BASE + 0x540);
    pub(super) const BITMODE_32: u32 = 3;
    /// 16 MHz divided by 2 to this power: 31,250 ticks a second.
    pub(super) const DIVIDER: u32 = 9;
    pub(super) const TICKS_PER_SECOND: u64 = 31_250;
}

const TRIGGER: u32 = 1;

/// UART 0, polled.
#[derive(Debug)]
pub struct Uart {
    sending: bool,
}

impl Uart {
    /// Switches it on.
    pub fn new(_: &mut Board) -> Self {
        use uart0::*;
        BAUDRATE.write(BAUD_1M);
        ENABLE.write(ENABLED);
        STARTRX.write(TRIGGER);
        STARTTX.write(TRIGGER);
        Self { sending: false }
    }

    /// Takes what has arrived, as much as there is and `buffer` has room for; returns how much.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut count = 0;
        for byte in buffer {
            if uart0::RXDRDY.read() == 0 {
                break;
            }
            uart0::RXDRDY.write(0);
            *byte = uart0::RXD.read() as u8;
            count += 1;
        }
        count
    }

    /// Sends as much as the transmitter takes without waiting; returns how much.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let mut count = 0;
        for &byte in bytes {
            if self.sending && uart0::TXDRDY.read() == 0 {
                break;
            }
            uart0::TXDRDY.write(0);
            uart0::TXD.write(u32::from(byte));
            self.sending = true;
            count += 1;
        }
        count
    }
}

/// Milliseconds since the start, from TIMER0.
#[derive(Debug)]
pub struct Clock {
    last: u32,
    ticks: u64,
}

impl Clock {
    /// Starts it.
    pub fn new(_: &mut Board) -> Self {
        use timer0::*;
        BITMODE.write(BITMODE_32);
        PRESCALER.write(DIVIDER);
        START.write(TRIGGER);
        Self { last: 0, ticks: 0 }
    }

    /// The time in milliseconds. To be asked once in 38 hours at least.
    pub fn millis(&mut self) -> u64 {
        timer0::CAPTURE0.write(TRIGGER);
        let now = timer0::CC0.read();
        self.ticks = self.ticks.wrapping_add(u64::from(now.wrapping_sub(self.last)));
        self.last = now;
        self.ticks.wrapping_mul(1_000) / timer0::TICKS_PER_SECOND
    }

    /// Nothing is to be done: the processor may rest a moment.
    pub fn idle(&self) {
        core::hint::spin_loop();
    }
}

/// Behind the RAM that `memory/microbit.x` gives the program.
pub(crate) const FLASH: usize = 0x2000_3000;

/// Begins anew, as after power-up but for the memory.
pub fn reset() -> ! {
    crate::arm::reset()
}
