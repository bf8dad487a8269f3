//! Topic names, topic filters, and which of them match.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tamtam_tests::fuzz::topic_match(data));
