//! Words to the host, and the verdict, through the debugger that QEMU plays.

const SYS_WRITE: usize = 0x05;
const SYS_OPEN: usize = 0x01;
const SYS_GET_CMDLINE: usize = 0x15;
const SYS_EXIT_EXTENDED: usize = 0x20;
const APPLICATION_EXIT: usize = 0x2_0026;

/// Writes to the host's standard output.
pub fn say(text: &[u8]) {
    // `:tt` opened for writing is the console; opening it again yields a handle of its own, so it
    // is asked for once, and 1 is what every host gives.
    let name = b":tt\0";
    static OPENED: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(0);
    let relaxed = core::sync::atomic::Ordering::Relaxed;
    if OPENED.load(relaxed) == 0 {
        let arguments = [name.as_ptr() as usize, 4, 3];
        OPENED.store(call(SYS_OPEN, arguments.as_ptr() as usize), relaxed);
    }
    let arguments = [OPENED.load(relaxed), text.as_ptr() as usize, text.len()];
    call(SYS_WRITE, arguments.as_ptr() as usize);
}

/// The last word of the command line that the host has for the program: QEMU's option
/// `-semihosting-config arg=…`.
pub fn argument(buffer: &mut [u8]) -> &[u8] {
    let mut arguments = [buffer.as_mut_ptr() as usize, buffer.len()];
    if call(SYS_GET_CMDLINE, arguments.as_mut_ptr() as usize) != 0 {
        return &[];
    }
    let line = buffer.split(|byte| *byte == 0).next().unwrap_or_default();
    line.rsplit(|byte| *byte == b' ').next().unwrap_or_default()
}

/// Ends the run; `status` becomes QEMU's exit status.
pub fn exit(status: u8) -> ! {
    let arguments = [APPLICATION_EXIT, usize::from(status)];
    call(SYS_EXIT_EXTENDED, arguments.as_ptr() as usize);
    loop {
        core::hint::spin_loop();
    }
}

#[cfg(target_arch = "arm")]
fn call(number: usize, argument: usize) -> usize {
    let result;
    // SAFETY: the debugger reads the arguments, which outlive the call, and returns in r0.
    unsafe {
        core::arch::asm!("bkpt #0xAB", inout("r0") number => result, in("r1") argument);
    }
    result
}

#[cfg(target_arch = "riscv32")]
fn call(number: usize, argument: usize) -> usize {
    let result;
    // SAFETY: the debugger reads the arguments, which outlive the call, and returns in a0. The
    // three instructions are its sign, and must be 4 bytes each.
    unsafe {
        core::arch::asm!(
            ".balign 16", ".option push", ".option norvc",
            "slli x0, x0, 0x1f", "ebreak", "srai x0, x0, 7",
            ".option pop",
            inout("a0") number => result, in("a1") argument,
        );
    }
    result
}
