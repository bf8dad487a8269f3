//! What holds for every packet, every stream and every topic, tried on random ones.
//!
//! The properties themselves are the bodies of the fuzz targets; here they get inputs that a
//! generator makes up, in a number that an ordinary test run can afford.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use tamtam_core::{
    EncodeError, MAX_REMAINING_LENGTH, Packet, Publish, Sender, TopicFilter, TopicName, Version,
};
use tamtam_tests::fuzz;

/// The number of packet kinds that `roundtrip` builds.
const KINDS: u8 = 15;

fn config(cases: u32) -> ProptestConfig {
    let failure_persistence =
        Some(Box::new(FileFailurePersistence::WithSource("regressions")) as _);
    ProptestConfig { cases, failure_persistence, ..ProptestConfig::default() }
}

/// Who speaks which version: the first byte of the targets that read packets.
fn dialect() -> impl Strategy<Value = u8> {
    0..6_u8
}

/// What `roundtrip` builds a packet from: a dialect, a kind, and decisions, of which small and even
/// ones make it short and legal.
fn recipe(dialect: u8) -> impl Strategy<Value = Vec<u8>> {
    let even = (0..8_u8).prop_map(|half| half * 2);
    let decision = prop_oneof![8 => even, 2 => 0..12_u8, 2 => Just(b'a'), 1 => any::<u8>()];
    (0..KINDS, vec(decision, 0..96)).prop_map(move |(kind, decisions)| {
        let mut recipe = vec![dialect, kind];
        recipe.extend(decisions);
        recipe
    })
}

/// A dialect and a stream of packets in it.
fn stream() -> impl Strategy<Value = (u8, Vec<u8>)> {
    dialect().prop_flat_map(|dialect| {
        vec(recipe(dialect), 1..16).prop_map(move |recipes| {
            let packets = recipes.iter().filter_map(|recipe| fuzz::encoded(recipe));
            let (version, sender) = fuzz::dialect(dialect);
            let legal = packets.filter(|packet| is_legal(packet, version, sender));
            (dialect, legal.flatten().collect())
        })
    })
}

fn is_legal(packet: &[u8], version: Version, sender: Sender) -> bool {
    matches!(Packet::decode(&mut &packet[..], version, sender), Ok(Some(_)))
}

/// A stream with a few bytes changed or inserted, or cut.
fn damaged_stream() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let damage = vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..4);
    (stream(), damage).prop_map(|((dialect, mut stream), damage)| {
        for (index, byte, how) in damage {
            if stream.is_empty() {
                break;
            }
            let at = index.index(stream.len());
            match how {
                0 => stream[at] = byte,
                1 => stream.insert(at, byte),
                _ => stream.truncate(at),
            }
        }
        (dialect, stream)
    })
}

/// Levels of a topic: short, empty and odd ones.
fn levels() -> impl Strategy<Value = Vec<String>> {
    vec("[a-c]{1,2}|[ü☃$ ]?", 1..8)
}

proptest! {
    #![proptest_config(config(1024))]

    /// No bytes make any target panic.
    #[test]
    fn no_input_panics(data in vec(any::<u8>(), 0..512)) {
        for (_, target) in fuzz::TARGETS {
            target(&data);
        }
    }

    /// A frame of the right length, whatever is in it, for every first byte.
    #[test]
    fn no_frame_panics(
        dialect in dialect(),
        first in any::<u8>(),
        body in vec(any::<u8>(), 0..120),
    ) {
        let mut data = vec![dialect, first, body.len() as u8];
        data.extend(body);
        fuzz::decode(&data);
    }

    /// What can be sent in a stream is read back, and goes out the same way.
    #[test]
    fn streams_decode((dialect, stream) in stream()) {
        let mut data = vec![dialect];
        data.extend(stream);
        fuzz::decode(&data);
    }

    /// A damaged stream is explained up to its first error.
    #[test]
    fn damaged_streams_decode((dialect, stream) in damaged_stream()) {
        let mut data = vec![dialect];
        data.extend(stream);
        fuzz::decode(&data);
    }

    /// Any split of a stream gives the same packets, whole or in pieces, and the same error.
    #[test]
    fn splits_are_invisible(
        (dialect, stream) in prop_oneof![stream(), damaged_stream()],
        above in 0..48_u8,
        lengths in vec(0..24_u8, 0..16),
    ) {
        let mut data = vec![dialect, above, lengths.len() as u8];
        data.extend(lengths);
        data.extend(stream);
        fuzz::chunking(&data);
    }

    /// Names and filters of the characters that mean something.
    #[test]
    fn topics_are_judged_rightly(
        filter in "([$]share/)?[ab+#/$\0é]{0,12}",
        topic in "([$]share/)?[ab+#/$\0é]{0,12}",
    ) {
        fuzz::topic_match(format!("{filter}\n{topic}").as_bytes());
    }

    /// A filter made from a topic matches it.
    #[test]
    fn filters_made_from_a_topic_match_it(
        levels in levels(),
        plus in vec(any::<bool>(), 8),
        hash in 0..9_usize,
        shared in any::<bool>(),
    ) {
        let name = levels.join("/");
        let Ok(topic) = TopicName::new(&name) else { return Ok(()) };
        let mut wanted: Vec<&str> = levels.iter().map(String::as_str).collect();
        for (level, _) in wanted.iter_mut().zip(plus).filter(|(_, plus)| *plus) {
            *level = "+";
        }
        if hash <= wanted.len() {
            wanted.truncate(hash);
            wanted.push("#");
        }
        let group = if shared { "$share/g/" } else { "" };
        let filter = format!("{group}{}", wanted.join("/"));
        let filter = TopicFilter::new(&filter).expect("made by the rules");
        let passed_by = topic.is_reserved() && matches!(wanted[0], "+" | "#");
        prop_assert_eq!(filter.matches(topic), !passed_by, "{} and {}", filter, topic);
        fuzz::topic_match(format!("{filter}\n{topic}").as_bytes());
    }
}

proptest! {
    #![proptest_config(config(128))]

    /// decode(encode(p)) = p, for every kind of packet in every version, from either side.
    #[test]
    fn packets_survive_the_wire(decisions in vec(prop_oneof![0..12_u8, any::<u8>()], 0..160)) {
        for dialect in 0..6 {
            for kind in 0..KINDS {
                let mut data = vec![dialect, kind];
                data.extend(&decisions);
                fuzz::roundtrip(&data);
            }
        }
    }
}

/// Where the length takes one more byte, and where it can't; nothing is written to learn that.
#[test]
fn every_length_of_the_length_is_right() {
    let zeros = vec![0; MAX_REMAINING_LENGTH as usize + 1];
    let topic = TopicName::new("a").expect("a letter");
    // The topic takes three bytes of the body.
    let packet = |body: usize| Packet::Publish(Publish::new(topic, &zeros[..body - 3]));
    for (body, header) in
        [(0x7F, 2), (0x80, 3), (0x3FFF, 3), (0x4000, 4), (0x1F_FFFF, 4), (0x20_0000, 5)]
    {
        let mut data = vec![1];
        let length = packet(body).encode_to(Version::V311, &mut data);
        assert_eq!(length, Ok(body + header));
        fuzz::decode(&data);
    }
    let longest = MAX_REMAINING_LENGTH as usize;
    assert_eq!(packet(longest).encoded_len(Version::V311), Ok(longest + 5));
    let too_long = EncodeError::TooLong { length: longest + 1 };
    assert_eq!(packet(longest + 1).encoded_len(Version::V311), Err(too_long));
}

/// 65,000 levels cost a pass over them, not a stack.
#[test]
fn very_deep_topics_match() {
    let name = "/".repeat(65_000);
    let topic = TopicName::new(&name).expect("slashes only");
    assert_eq!(topic.levels(), 65_001);
    let plus = vec!["+"; 32_768].join("/");
    for (filter, expected) in
        [(&*name, true), ("#", true), ("/#", true), ("+", false), (&*plus, false)]
    {
        assert_eq!(TopicFilter::new(filter).expect("legal").matches(topic), expected);
    }
    let deep = vec!["+"; 32_767].join("/") + "/#";
    assert!(TopicFilter::new(&deep).expect("legal").matches(topic));
}
