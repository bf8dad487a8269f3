//! How much stack is used: it is painted, and later looked at.

const PAINT: u32 = 0xC0DE_CAFE;
/// How much below the present depth is painted, in bytes.
const DEPTH: usize = 8 * 1024;
/// What the painting itself may need, in bytes.
const MARGIN: usize = 128;

unsafe extern "C" {
    /// Where statics end and the stack may begin, from the linker script.
    static __sheap: u8;
}

/// A painted stack.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    top: usize,
    bottom: usize,
}

impl Stack {
    /// Paints what lies below the caller's frame.
    #[inline(never)]
    #[must_use]
    pub fn paint() -> Self {
        let here = 0_u32;
        let top = (core::ptr::from_ref(&here) as usize).saturating_sub(MARGIN) & !3;
        let floor = (&raw const __sheap as usize).wrapping_add(3) & !3;
        let bottom = top.saturating_sub(DEPTH).max(floor);
        for address in (bottom..top).step_by(4) {
            // SAFETY: between the statics and the frame of this function, so nobody's.
            unsafe {
                core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT);
            }
        }
        Self { top: top.wrapping_add(MARGIN), bottom }
    }

    /// How many bytes deep the stack has been below the frame that painted it.
    #[inline(never)]
    #[must_use]
    pub fn used(&self) -> usize {
        let mut address = self.bottom;
        while address < self.top {
            // SAFETY: as when it was painted.
            let word =
                unsafe { core::ptr::with_exposed_provenance::<u32>(address).read_volatile() };
            if word != PAINT {
                break;
            }
            address = address.wrapping_add(4);
        }
        self.top.saturating_sub(address)
    }
}
