//! A broker in the hands of a fuzzer: several connections, operations, time, a store, and noise.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tamtam_tests::fuzz::broker_ops(data));
