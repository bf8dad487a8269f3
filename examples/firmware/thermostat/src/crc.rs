//! CRC-32 as in gzip, bit by bit: slow, and without a table.

/// The checksum of what was seen so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc(u32);

impl Crc {
    pub(crate) const fn new() -> Self {
        Self(u32::MAX)
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 ^= u32::from(byte);
            for _ in 0..8 {
                let low = self.0 & 1;
                self.0 >>= 1;
                if low != 0 {
                    self.0 ^= 0xEDB8_8320;
                }
            }
        }
    }

    /// As eight hexadecimal digits.
    pub(crate) fn hex(self) -> [u8; 8] {
        let mut rest = !self.0;
        let mut digits = [0; 8];
        for digit in digits.iter_mut().rev() {
            *digit = match (rest & 15) as u8 {
                small @ 0..=9 => b'0' + small,
                large => b'a' - 10 + large,
            };
            rest >>= 4;
        }
        digits
    }
}
