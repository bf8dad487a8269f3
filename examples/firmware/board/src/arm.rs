//! What all Cortex-M have: a reset on request, and a last word.

use crate::register::Register;

/// Application Interrupt and Reset Control Register.
const AIRCR: Register = Register::at(0xE000_ED0C);
const AIRCR_VECTKEY: u32 = 0x05FA << 16;
const AIRCR_SYSRESETREQ: u32 = 1 << 2;

/// Begins anew, as after power-up but for the memory.
pub(crate) fn reset() -> ! {
    AIRCR.write(AIRCR_VECTKEY | AIRCR_SYSRESETREQ);
    loop {
        core::hint::spin_loop();
    }
}

/// What the processor can't do ends the run.
#[cortex_m_rt::exception]
unsafe fn HardFault(_: &cortex_m_rt::ExceptionFrame) -> ! {
    crate::say(b"HardFault\n");
    crate::exit(102)
}
