//! Hands the linker the memory of the board that goes with the target.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let target = env::var("TARGET").unwrap_or_default();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let (script, name) = match target.split('-').next() {
        Some("thumbv6m") => ("memory/microbit.x", "memory.x"),
        Some("thumbv7em") => ("memory/mps2.x", "memory.x"),
        // The RISC-V machine has no runtime crate: its script is the whole one.
        Some("riscv32imc") => ("memory/virt.x", "link.x"),
        _ => panic!("no board for {target}; there are thumbv7em, thumbv6m and riscv32imc"),
    };
    fs::copy(script, out.join(name)).expect("the script can be copied");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=memory");
}
