//! A run of bytes, read as decisions.

use tamtam_core::{Sender, Version};

/// What is left of an input; where it has run dry every number is 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// Everything that is left.
    pub(super) const fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn u8(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    pub(super) fn flag(&mut self) -> bool {
        self.u8() & 1 != 0
    }

    /// One of `choices`, of which there are at most 256.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.u8()) % choices.len()]
    }

    /// `len` bytes, or as many as there are.
    pub(super) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(super) fn dialect(&mut self) -> (Version, Sender) {
        dialect(self.u8())
    }
}

/// Who speaks which version, as the first byte of an input says it: 0, 1, 2 are a client's 3.1,
/// 3.1.1, 5.0; 3, 4, 5 a server's; and so on.
#[must_use]
pub fn dialect(byte: u8) -> (Version, Sender) {
    let number = usize::from(byte);
    let version = Version::ALL[number % Version::ALL.len()];
    let sender = [Sender::Client, Sender::Server][number / Version::ALL.len() % 2];
    (version, sender)
}
