//! Registers of peripherals, by address.

/// A register of 32 bits.
#[derive(Clone, Copy)]
pub(crate) struct Register(usize);

impl Register {
    /// The register at this address, which must be that of a peripheral of the board.
    pub(crate) const fn at(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(self) -> u32 {
        // SAFETY: the address is a peripheral's, aligned, and always there; see `at`.
        unsafe { core::ptr::with_exposed_provenance::<u32>(self.0).read_volatile() }
    }

    pub(crate) fn write(self, value: u32) {
        // SAFETY: as for `read`; none of the peripherals that are used here writes to memory.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(self.0).write_volatile(value) }
    }
}

/// A register of 8 bits.
#[cfg(target_arch = "riscv32")]
#[derive(Clone, Copy)]
pub(crate) struct Byte(usize);

#[cfg(target_arch = "riscv32")]
impl Byte {
    /// As [`Register::at`].
    pub(crate) const fn at(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(self) -> u8 {
        // SAFETY: as for `Register`.
        unsafe { core::ptr::with_exposed_provenance::<u8>(self.0).read_volatile() }
    }

    pub(crate) fn write(self, value: u8) {
        // SAFETY: as for `Register`.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(self.0).write_volatile(value) }
    }
}
