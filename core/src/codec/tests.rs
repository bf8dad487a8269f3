//! What can be seen only from within: numbers as they are written, and the bits of the tables.

use super::cursor::Cursor;
use super::error::{Field, Sin};
use super::sink::{Sink, Slice, count};

/// Writes `number`; returns how many bytes that took.
fn write(number: u32, memory: &mut [u8]) -> usize {
    let mut slice = Slice::new(memory);
    slice.var_int(number);
    count(|counter| counter.var_int(number))
}

// [MQTT5-1.5.5-1]
#[test]
fn a_variable_byte_integer_is_written_in_the_fewest_bytes_and_read_back() {
    for (from, to, length) in
        [(0, 127, 1), (128, 16_383, 2), (16_384, 2_097_151, 3), (2_097_152, 268_435_455, 4)]
    {
        for number in [from, from + 1, from + (to - from) / 3, to - 1, to] {
            let mut memory = [0xEE; 6];
            assert_eq!(write(number, &mut memory), length);
            assert_eq!(memory[length], 0xEE);
            let mut cursor = Cursor::new(&memory[..=length]);
            assert_eq!(cursor.var_int(Field::PropertyLength), Some(number));
            assert_eq!(cursor.rest(), [0xEE]);
            for end in 0..length {
                let mut cursor = Cursor::new(&memory[..end]);
                assert_eq!(cursor.var_int(Field::PropertyLength), None, "not all there");
                let found = cursor.error();
                assert_eq!((found.sin, found.left), (Sin::Truncated, end));
            }
        }
    }
}

#[test]
fn a_reader_takes_what_is_there_or_stays_where_it_was() {
    let bytes = [0x00, 0x02, b'h', b'i', 0x7F];
    let mut cursor = Cursor::new(&bytes);
    assert_eq!(cursor.binary(Field::Payload), Some(&b"hi"[..]));
    assert_eq!(cursor.u16(Field::KeepAlive), None, "one byte only");
    let short = cursor.error();
    assert_eq!((short.sin, short.field, short.left), (Sin::Truncated, Field::KeepAlive, 1));
    assert_eq!(cursor.end(), None, "one byte more");
    assert_eq!(cursor.error().left, 1);
    assert_eq!(cursor.u8(Field::Payload), Some(0x7F));
    assert!(cursor.is_empty() && cursor.end().is_some());
    assert_eq!(cursor.u8(Field::Payload), None);
    let mut cursor = Cursor::new(&bytes[..3]);
    assert_eq!(cursor.binary(Field::Payload), None);
    assert_eq!(cursor.left(), 3);
}

#[cfg(feature = "v5")]
#[test]
fn every_property_and_every_place_has_a_bit_of_its_own() {
    use super::{Place, PropertyId};

    let bits = PropertyId::ALL.iter().fold(0, |bits, id| bits | id.bit());
    assert_eq!(bits.count_ones() as usize, PropertyId::ALL.len());
    assert_eq!(Place::Connect.bit(), 1);
    assert_eq!(Place::Auth.bit(), 1 << 15);
    let both = Place::ClientPublish.bit() | Place::ServerPublish.bit();
    assert_eq!(Place::ClientPublish.packet_bits(), both);
    assert_eq!(Place::ServerPublish.packet_bits(), both);
    assert_eq!(Place::PubAck.packet_bits(), Place::PubAck.bit());
}
