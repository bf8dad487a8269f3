//! Strings: well-formed UTF-8 without U+0000, in every field that holds one.

use tamtam_core::{Field, Packet, PropertyId, Sin, Text, TextError, TopicError, TopicName};

use crate::support::*;

/// A field that holds a string: who sends it, the packet with `{}` for the string, its name.
type Place = (Sender, &'static str, Field);

/// The strings that all versions have.
fn strings() -> [Place; 6] {
    [
        // [MQTT5-3.1.3-4, MQTT3-3.1.3-4]
        (Client, "10( @ 02 0000 ~ {} )", Field::ClientId),
        // [MQTT5-3.1.3-11, MQTT3-3.1.3-10]
        (Client, "10( @ 06 0000 ~ <> ~ {} <> )", Field::WillTopic),
        // [MQTT5-3.1.3-12, MQTT3-3.1.3-11]
        (Client, "10( @ 82 0000 ~ <> {} )", Field::UserName),
        // [MQTT5-3.3.2-1, MQTT3-3.3.2-1]
        (Server, "30( {} ~ )", Field::TopicName),
        // [MQTT5-3.8.3-1, MQTT3-3.8.3-1]
        (Client, "82( 0001 ~ {} 00 )", Field::TopicFilter),
        // [MQTT5-3.10.3-1, MQTT3-3.10.3-1]
        (Client, "A2( 0001 ~ {} )", Field::TopicFilter),
    ]
}

/// The strings among the properties of MQTT 5.
fn string_properties() -> [Place; 11] {
    let property = Field::Property;
    [
        // [MQTT5-3.3.2-19]
        (Client, "30( <t> ( 03 {} ) )", property(PropertyId::ContentType)),
        (Client, "10( @ 06 0000 () <> ( 03 {} ) <t> <> )", property(PropertyId::ContentType)),
        // [MQTT5-3.3.2-13]
        (Client, "30( <t> ( 08 {} ) )", property(PropertyId::ResponseTopic)),
        (Client, "10( @ 06 0000 () <> ( 08 {} ) <t> <> )", property(PropertyId::ResponseTopic)),
        (Server, "20( 00 00 ( 12 {} ) )", property(PropertyId::AssignedClientIdentifier)),
        (Client, "10( @ 02 0000 ( 15 {} ) <> )", property(PropertyId::AuthenticationMethod)),
        (Server, "20( 00 00 ( 1A {} ) )", property(PropertyId::ResponseInformation)),
        (Server, "E0( 9D ( 1C {} ) )", property(PropertyId::ServerReference)),
        (Client, "40( 0001 80 ( 1F {} ) )", property(PropertyId::ReasonString)),
        // [MQTT5-1.5.7-1]
        (Client, "30( <t> ( 26 {} <v> ) )", property(PropertyId::UserProperty)),
        (Client, "30( <t> ( 26 <k> {} ) )", property(PropertyId::UserProperty)),
    ]
}

/// Every field that holds a string, with a version that has it.
fn places() -> Vec<(Version, Place)> {
    let all = EVERY.into_iter().flat_map(|version| strings().map(|place| (version, place)));
    all.chain(string_properties().map(|place| (V5, place))).collect()
}

fn with(packet: &str, mark: &str, string: &str) -> String {
    let length = string.replace(' ', "").len() / 2;
    packet.replace("{}", &format!("{mark}{length:04X} {string}"))
}

const ILL_FORMED: [&str; 20] = [
    "80",          // goes on without a beginning
    "BF 61",       // the same before a letter
    "FE",          // no byte of UTF-8
    "FF",          // another
    "C0 80",       // two bytes for U+0000
    "C1 BF",       // two bytes for U+007F
    "E0 9F BF",    // three bytes for U+07FF
    "F0 8F BF BF", // four bytes for U+FFFF
    "ED A0 80",    // U+D800, the first surrogate
    "ED AD BF",    // U+DB7F, in their middle
    "ED BF BF",    // U+DFFF, the last surrogate
    "F4 90 80 80", // U+110000
    "F5 80 80 80", // beyond that
    "C3",          // cut off after one byte of two
    "E2 82",       // after two of three
    "F0 9F 98",    // after three of four
    "C3 61",       // a letter where a continuation was due
    "E2 82 61",
    "61 62 63 64 65 66 67 68 C3",
    "61 62 63 64 65 66 67 68 69 6A 6B 6C 6D 6E 6F 70 FF 71",
];

const WELL_FORMED: [&str; 13] = [
    "61",
    "01",          // a control character is discouraged, not forbidden
    "7F",          // another
    "C2 80",       // U+0080
    "DF BF",       // U+07FF
    "E0 A0 80",    // U+0800
    "ED 9F BF",    // U+D7FF, the last before the surrogates
    "EE 80 80",    // U+E000, the first behind them
    "EF BF BF",    // U+FFFF, no character, but discouraged only
    "F0 90 80 80", // U+10000
    "F4 8F BF BF", // U+10FFFF, the last of all
    "E2 82 AC 61 F0 9F 98 81",
    "61 62 63 64 65 66 67 C3 A9 68 69 6A 6B 6C 6D 6E 6F",
];

// [MQTT5-1.5.4-1, MQTT3-1.5.3-1, MQTT5-1.5.7-1]
// [MQTT5-3.1.3-4, MQTT3-3.1.3-4, MQTT5-3.1.3-11, MQTT3-3.1.3-10, MQTT5-3.1.3-12, MQTT3-3.1.3-11]
// [MQTT5-3.3.2-1, MQTT3-3.3.2-1, MQTT5-3.3.2-13, MQTT5-3.3.2-19, MQTT5-3.8.3-1, MQTT3-3.8.3-1]
// [MQTT5-3.10.3-1, MQTT3-3.10.3-1]
#[test]
fn ill_formed_utf_8_is_malformed_in_every_string() {
    for (version, (sender, packet, field)) in places() {
        for string in ILL_FORMED {
            let verdict = refused(version, sender, &with(packet, "^", string));
            assert_eq!(verdict, (Sin::IllFormedText, field, MALFORMED));
        }
        for string in WELL_FORMED {
            accepted(version, sender, &with(packet, "", string));
        }
    }
}

// [MQTT5-1.5.4-2, MQTT3-1.5.3-2, MQTT5-4.7.3-2, MQTT3-4.7.3-2, MQTT5-1.5.7-1]
#[test]
fn u_0000_is_malformed_in_every_string() {
    let strings = ["00", "61 00", "00 61", "C3 A9 00", "61 62 63 64 65 66 67 68 69 6A 00 6B"];
    for (version, (sender, packet, field)) in places() {
        for string in strings {
            let verdict = refused(version, sender, &with(packet, "^", string));
            assert_eq!(verdict, (Sin::NullInText, field, MALFORMED));
        }
    }
}

#[test]
fn the_clause_of_a_bad_string_is_that_of_the_version() {
    for (version, ill_formed, null) in [
        (V5, "MQTT5-1.5.4-1", "MQTT5-1.5.4-2"),
        (V311, "MQTT3-1.5.3-1", "MQTT3-1.5.3-2"),
        (V31, "MQTT3-1.5.3-1", "MQTT3-1.5.3-2"),
    ] {
        let citation = |packet| {
            decode(version, Client, bytes(version, packet)).expect_err("a refusal").citation()
        };
        assert_eq!(citation("30( 0001 FF ~ )"), ill_formed);
        assert_eq!(citation("30( 0001 00 ~ )"), null);
    }
}

// [MQTT5-1.5.4-3, MQTT3-1.5.3-3]
#[test]
fn u_feff_is_a_character_like_any_other() {
    for version in EVERY {
        let packet = accepted(version, Client, "30( 000A EFBBBF 61 EFBBBF EFBBBF ~ )");
        let Packet::Publish(publish) = packet else { panic!("no PUBLISH") };
        let topic = publish.topic.expect("a topic");
        assert_eq!(topic, "\u{FEFF}a\u{FEFF}\u{FEFF}");
        assert_eq!(topic.as_bytes().len(), 10);
        assert_ne!(topic, "a");
    }
}

#[test]
fn a_string_may_be_as_long_as_its_length_can_say() {
    let longest = "é".repeat(32_767) + "x";
    assert_eq!(longest.len(), 65_535);
    for (version, (sender, packet, _)) in places() {
        accepted_bytes(
            version,
            sender,
            bytes(version, &packet.replace("{}", &format!("<{longest}>"))),
        );
    }
}

// [MQTT5-4.7.3-3, MQTT3-4.7.3-3]
#[test]
fn a_longer_string_can_not_be_built() {
    let longest = "x".repeat(65_535);
    assert_eq!(Text::new(&longest).map(Text::len), Ok(65_535));
    assert!(TopicName::new(&longest).is_ok());
    let error = TextError::TooLong { length: 65_536 };
    for too_long in ["x".repeat(65_536), "é".repeat(32_768)] {
        assert_eq!(Text::new(&too_long), Err(error));
        assert_eq!(Text::from_bytes(too_long.as_bytes()), Err(error));
        assert_eq!(TopicName::new(&too_long), Err(TopicError::Text(error)));
        assert_eq!(tamtam_core::TopicFilter::new(&too_long), Err(error.into()));
    }
}

/// Where the first ill-formed sequence begins, by the table of RFC 3629, section 4.
fn first_ill_formed(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let is_tail = |byte: &u8| (0x80..=0xBF).contains(byte);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        at += match *rest {
            [0x00..=0x7F, ..] => 1,
            [0xC2..=0xDF, ref t, ..] if is_tail(t) => 2,
            [0xE0, 0xA0..=0xBF, ref t, ..] if is_tail(t) => 3,
            [0xE1..=0xEC | 0xEE..=0xEF, ref s, ref t, ..] if is_tail(s) && is_tail(t) => 3,
            [0xED, 0x80..=0x9F, ref t, ..] if is_tail(t) => 3,
            [0xF0, 0x90..=0xBF, ref s, ref t, ..] if is_tail(s) && is_tail(t) => 4,
            [0xF1..=0xF3, ref r, ref s, ref t, ..] if is_tail(r) && is_tail(s) && is_tail(t) => 4,
            [0xF4, 0x80..=0x8F, ref s, ref t, ..] if is_tail(s) && is_tail(t) => 4,
            _ => return Some(at),
        };
    }
    None
}

#[track_caller]
fn agrees(bytes: &[u8]) {
    let expected = match (first_ill_formed(bytes), bytes.iter().position(|byte| *byte == 0)) {
        (Some(at), _) => Err(TextError::IllFormed { at }),
        (None, Some(at)) => Err(TextError::Null { at }),
        (None, None) => Ok(bytes),
    };
    assert_eq!(Text::from_bytes(bytes).map(Text::as_bytes), expected, "{bytes:02X?}");
}

// [MQTT5-1.5.4-1, MQTT3-1.5.3-1, MQTT5-1.5.4-2, MQTT3-1.5.3-2]
#[test]
fn every_short_sequence_of_bytes_is_judged_as_rfc_3629_says() {
    const ENDS: [u8; 10] = [0x00, 0x61, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0];
    for (first, second) in (0..=255).flat_map(|first| (0..=255).map(move |s| (first, s))) {
        agrees(&[first]);
        agrees(&[first, second]);
        for third in ENDS {
            agrees(&[first, second, third]);
            if first < 0xF0 {
                continue;
            }
            for fourth in ENDS {
                agrees(&[first, second, third, fourth]);
            }
        }
    }
}

#[test]
fn a_bad_byte_is_found_wherever_it_stands() {
    for length in 1..=41 {
        for (at, bad) in (0..length).flat_map(|at| [0x00, 0x01, 0x7F, 0x80, 0xC3].map(|b| (at, b)))
        {
            for around in [0x01, b'a', 0x7F] {
                let mut bytes = vec![around; length];
                bytes[at] = bad;
                agrees(&bytes);
            }
        }
    }
}

#[test]
fn a_text_shows_the_bytes_it_was_made_from() {
    let text = text("température");
    assert_eq!((text.as_str(), text.len(), text.is_empty()), ("température", 12, false));
    assert_eq!(
        (text.to_string().as_str(), format!("{text:?}")),
        ("température", "\"température\"".into())
    );
    assert!(Text::EMPTY.is_empty());
    assert_eq!(Text::try_from("a\0"), Err(TextError::Null { at: 1 }));
}
