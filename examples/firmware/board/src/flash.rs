//! Flash that outlives a reset. The end of RAM plays the part, for QEMU has no flash that can be
//! written; and plays it by the rules: bits are erased to ones a page at a time, and programmed to
//! zeros.

use crate::Board;
use crate::chip::FLASH;
use crate::register::Register;

const PAGES: usize = 2;

/// The part of flash that a program may keep its records in.
#[derive(Debug)]
pub struct Flash(());

impl Flash {
    /// How many bytes are erased at once.
    pub const PAGE: usize = 2048;
    /// How many bytes there are, from 0 on.
    pub const LEN: usize = PAGES * Self::PAGE;

    /// The flash.
    pub fn new(_: &mut Board) -> Self {
        Self(())
    }

    fn word(offset: usize) -> Option<Register> {
        (offset < Self::LEN).then(|| Register::at(FLASH + (offset & !3)))
    }

    /// The byte at `offset`; ones beyond the end.
    #[must_use]
    pub fn read(&self, offset: usize) -> u8 {
        // RAM is zeros at first, where erased flash is ones: it is kept inverted.
        Self::word(offset).map_or(0xFF, |word| !(word.read() >> (8 * (offset & 3))) as u8)
    }

    /// Turns those bits to zeros that are zeros in `bytes`.
    pub fn program(&mut self, offset: usize, bytes: &[u8]) {
        for (byte, offset) in bytes.iter().zip(offset..) {
            if let Some(word) = Self::word(offset) {
                word.write(word.read() | u32::from(!byte) << (8 * (offset & 3)));
            }
        }
    }

    /// Turns a page to ones, the one that begins at `offset`.
    pub fn erase(&mut self, offset: usize) {
        for offset in (offset..offset.saturating_add(Self::PAGE)).step_by(4) {
            if let Some(word) = Self::word(offset) {
                word.write(0);
            }
        }
    }
}
