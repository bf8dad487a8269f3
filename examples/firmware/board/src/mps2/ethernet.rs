//! The LAN9118 Ethernet controller (SMSC data sheet, chapter 5), polled.

use crate::Board;
use crate::register::Register;

const BASE: usize = 0x4020_0000;
const RX_DATA_FIFO: Register = Register::at(BASE);
const TX_DATA_FIFO: Register = Register::at(BASE + 0x20);
const RX_STATUS_FIFO: Register = Register::at(BASE + 0x40);
const RX_CFG: Register = Register::at(BASE + 0x6C);
const TX_CFG: Register = Register::at(BASE + 0x70);
const HW_CFG: Register = Register::at(BASE + 0x74);
const RX_DP_CTRL: Register = Register::at(BASE + 0x78);
const RX_FIFO_INF: Register = Register::at(BASE + 0x7C);
const TX_FIFO_INF: Register = Register::at(BASE + 0x80);
const MAC_CSR_CMD: Register = Register::at(BASE + 0xA4);
const MAC_CSR_DATA: Register = Register::at(BASE + 0xA8);

const HW_CFG_SRST: u32 = 1 << 0;
/// Must be one; and 5 KiB of the chip's memory for what is sent.
const HW_CFG_MBO_TX_5K: u32 = 1 << 20 | 5 << 16;
const TX_CFG_TX_ON: u32 = 1 << 1;
const RX_DP_CTRL_FFWD: u32 = 1 << 31;
const CSR_BUSY: u32 = 1 << 31;
const CSR_READ: u32 = 1 << 30;

/// Registers of the MAC, reached through `MAC_CSR_CMD`.
const MAC_CR: u32 = 1;
const ADDRH: u32 = 2;
const ADDRL: u32 = 3;
const MAC_CR_TXEN_RXEN: u32 = 1 << 3 | 1 << 2;

const TX_CMD_A_FIRST_LAST: u32 = 1 << 13 | 1 << 12;
const RX_STATUS_ERROR: u32 = 1 << 15;
/// The checksum behind a frame.
const FCS: usize = 4;

/// The longest frame, in bytes.
pub const FRAME: usize = 1_514;

/// The network card.
#[derive(Debug)]
pub struct Ethernet {
    address: [u8; 6],
}

impl Ethernet {
    /// Switches it on.
    pub fn new(_: &mut Board) -> Self {
        HW_CFG.write(HW_CFG_SRST);
        while HW_CFG.read() & HW_CFG_SRST != 0 {}
        HW_CFG.write(HW_CFG_MBO_TX_5K);
        RX_CFG.write(0);
        TX_CFG.write(TX_CFG_TX_ON);
        mac_write(MAC_CR, mac_read(MAC_CR) | MAC_CR_TXEN_RXEN);
        let [a, b, c, d] = mac_read(ADDRL).to_le_bytes();
        let [e, f, ..] = mac_read(ADDRH).to_le_bytes();
        Self { address: [a, b, c, d, e, f] }
    }

    /// Its hardware address.
    #[must_use]
    pub const fn address(&self) -> [u8; 6] {
        self.address
    }

    /// Whether a frame has come.
    #[must_use]
    pub fn has_frame(&self) -> bool {
        RX_FIFO_INF.read() >> 16 & 0xFF != 0
    }

    /// Takes the next frame; its length, or `None` if there is none, or none that is sound.
    pub fn receive(&mut self, frame: &mut [u8]) -> Option<usize> {
        if !self.has_frame() {
            return None;
        }
        let status = RX_STATUS_FIFO.read();
        let len = (status >> 16 & 0x3FFF) as usize;
        if status & RX_STATUS_ERROR != 0 || len < FCS || len - FCS > frame.len() {
            RX_DP_CTRL.write(RX_DP_CTRL_FFWD);
            while RX_DP_CTRL.read() & RX_DP_CTRL_FFWD != 0 {}
            return None;
        }
        let mut left = len.div_ceil(4);
        for word in frame.get_mut(..len - FCS)?.chunks_mut(4) {
            let bytes = RX_DATA_FIFO.read().to_le_bytes();
            word.copy_from_slice(bytes.get(..word.len())?);
            left -= 1;
        }
        for _ in 0..left {
            RX_DATA_FIFO.read(); // the checksum
        }
        Some(len - FCS)
    }

    /// Whether a frame can be sent.
    #[must_use]
    pub fn has_room(&self) -> bool {
        (TX_FIFO_INF.read() & 0xFFFF) as usize >= FRAME + 16
    }

    /// Sends a frame, for which there is room.
    pub fn transmit(&mut self, frame: &[u8]) {
        let len = frame.len() as u32;
        TX_DATA_FIFO.write(TX_CMD_A_FIRST_LAST | len);
        TX_DATA_FIFO.write(len);
        for word in frame.chunks(4) {
            let mut bytes = [0; 4];
            for (to, from) in bytes.iter_mut().zip(word) {
                *to = *from;
            }
            TX_DATA_FIFO.write(u32::from_le_bytes(bytes));
        }
    }
}

fn mac_wait() {
    while MAC_CSR_CMD.read() & CSR_BUSY != 0 {}
}

fn mac_read(register: u32) -> u32 {
    mac_wait();
    MAC_CSR_CMD.write(CSR_BUSY | CSR_READ | register);
    mac_wait();
    MAC_CSR_DATA.read()
}

fn mac_write(register: u32, value: u32) {
    mac_wait();
    MAC_CSR_DATA.write(value);
    MAC_CSR_CMD.write(CSR_BUSY | register);
    mac_wait();
}
