//! Any packet that the types allow, there and back.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tamtam_tests::fuzz::roundtrip(data));
