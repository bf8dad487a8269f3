//! The CMSDK APB UART (Cortex-M System Design Kit, "APB UART").

use crate::register::Register;

const DATA: Register = Register::at(0x4000_4000);
const STATE: Register = Register::at(0x4000_4004);
const CTRL: Register = Register::at(0x4000_4008);
const BAUDDIV: Register = Register::at(0x4000_4010);

const STATE_TX_FULL: u32 = 1 << 0;
const STATE_RX_FULL: u32 = 1 << 1;
const CTRL_TX_ENABLE: u32 = 1 << 0;
const CTRL_RX_ENABLE: u32 = 1 << 1;

/// UART 0, polled.
#[derive(Debug)]
pub struct Uart(());

impl Uart {
    /// Switches it on.
    pub fn new(_: &mut crate::Board) -> Self {
        BAUDDIV.write(16); // the least that there is
        CTRL.write(CTRL_TX_ENABLE | CTRL_RX_ENABLE);
        Self(())
    }

    /// Takes what has arrived, as much as there is and `buffer` has room for; returns how much.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut count = 0;
        for byte in buffer {
            if STATE.read() & STATE_RX_FULL == 0 {
                break;
            }
            *byte = DATA.read() as u8;
            count += 1;
        }
        count
    }

    /// Sends as much as the transmitter takes without waiting; returns how much.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let mut count = 0;
        for &byte in bytes {
            if STATE.read() & STATE_TX_FULL != 0 {
                break;
            }
            DATA.write(u32::from(byte));
            count += 1;
        }
        count
    }
}
