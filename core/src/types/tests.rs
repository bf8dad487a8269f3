//! What can be seen only from within: which way a string takes through the check.

use std::vec;

use super::text::scan_topic;

#[test]
fn a_plain_topic_takes_the_short_way_and_no_other_does() {
    for length in 0..=40 {
        for at in 0..length {
            for byte in 0..=255 {
                let mut bytes = vec![b'a'; length];
                bytes[at] = byte;
                let plain = (b','..0x80).contains(&byte);
                assert_eq!(scan_topic(&bytes), plain, "{byte:02X} at {at} of {length}");
            }
        }
        assert!(scan_topic(&vec![b'a'; length]));
    }
}
