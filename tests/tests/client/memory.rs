//! What a client costs before it does anything.

use std::process::Command;
use std::sync::Mutex;

use tamtam_core::client::{Client, Transport};

use crate::support::*;

/// As firmware keeps its clients.
static TAMTAM_STATIC_CLIENT: Mutex<Client<Fixed<32_768, 8>>> = Mutex::new(Client::new());

#[test]
fn a_static_client_compiles_and_works() {
    let mut client = TAMTAM_STATIC_CLIENT.lock().expect("nobody else");
    client.start(&options(V5), 7).expect("room for CONNECT");
    client.connect(Instant::ZERO).expect("a client that was started");
    assert_eq!(client.transport(), Transport::Wanted);
}

/// An initial value that is not all zeros would lie in flash, 32 KiB of it, and be copied at start.
#[test]
fn a_static_client_takes_no_flash() {
    assert!(TAMTAM_STATIC_CLIENT.lock().is_ok(), "it is linked");
    let program = std::env::current_exe().expect("this program");
    let output = match Command::new("nm").args(["-S", "--defined-only"]).arg(program).output() {
        Ok(output) if output.status.success() => output.stdout,
        problem => {
            eprintln!("SKIPPED: binutils' nm is missing, nobody checks .data: {problem:?}");
            return;
        }
    };
    let symbols = String::from_utf8_lossy(&output);
    let ours: Vec<&str> =
        symbols.lines().filter(|line| line.contains("TAMTAM_STATIC_CLIENT")).collect();
    let [line] = ours[..] else { panic!("the client is not among the symbols: {ours:?}") };
    // Address, size, section, name: `b` is .bss.
    let columns: Vec<&str> = line.split(' ').collect();
    let size = usize::from_str_radix(columns[1], 16).expect("a size");
    assert!(size > 32_768 && size < 32_768 + 1_024, "{line}");
    assert_eq!(columns[2].to_lowercase(), "b", "not all zeros: {line}");
}

#[test]
fn a_client_is_small() {
    let heap = size_of::<Client<Heap>>();
    let firmware = size_of::<Client<Fixed<1_024, 8>>>();
    println!("Client<Heap> takes {heap} bytes, Client<Fixed<1024, 8>> {firmware}");
    assert!(heap <= 1_024, "{heap}");
    assert!(firmware <= 1_024 + 1_024, "{firmware}");
}
