//! What can be seen only from within: which way a string takes through the check.

use std::vec;

use super::text::scan_topic;
use super::{Text, TextError};

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

// [MQTT5-1.5.4-1, MQTT3-1.5.3-1]
#[test]
fn without_a_heap_the_same_texts_are_well_formed() {
    let edges = [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xF4];
    for first in 0..=0xFF_u8 {
        for second in 0..=0xFF_u8 {
            for third in edges {
                for fourth in edges {
                    let bytes = [b'a', first, second, third, fourth];
                    for end in 1..=bytes.len() {
                        let bytes = &bytes[..end];
                        let expected = match core::str::from_utf8(bytes) {
                            Ok(text) => Text::new(text),
                            Err(error) => Err(TextError::IllFormed { at: error.valid_up_to() }),
                        };
                        assert_eq!(Text::from_any_bytes(bytes), expected, "{bytes:X?}");
                    }
                }
            }
        }
    }
    let long = [b'a'; Text::MAX_LEN + 1];
    assert_eq!(Text::from_any_bytes(&long), Err(TextError::TooLong { length: long.len() }));
}
