//! The same stream in any pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tamtam_tests::fuzz::chunking(data));
