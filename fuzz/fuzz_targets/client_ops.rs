//! A client in the hands of a fuzzer: calls, time, and a server that says anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tamtam_tests::fuzz::client_ops(data));
