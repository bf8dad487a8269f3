//! What the codec costs: the first five rows of the project's table of bars, and what is near them.
//!
//! A decoded packet is handed to [`black_box`] where it lies, by reference: each field of it has to
//! be there, and the bench moves none of them. The streams are those of [`workload`].

mod harness;
mod workload;

use std::hint::black_box;
use std::process::ExitCode;

use harness::{Case, Work};
use tamtam_core::{
    Delivery, Packet, PacketId, Piece, Pieces, Properties, Property, Publish, Sender, Text,
    TopicFilter, TopicName, Version, frame_len,
};
use workload::{LONGEST, PACKETS, Random};

const CASES: [Case; 9] = [
    Case { name: "decode mixed 3.1.1", per: "packet", bar: Some(140), run: decode_whole },
    Case { name: "the same in chunks", per: "packet", bar: Some(170), run: decode_chunks },
    Case {
        name: "decode v5 PUBLISH, walk 3 user properties",
        per: "packet",
        bar: Some(550),
        run: decode_properties,
    },
    Case { name: "encode mixed 3.1.1", per: "packet", bar: Some(150), run: encode_mixed },
    Case { name: "PUBLISH from &str to bytes", per: "packet", bar: Some(250), run: publish },
    Case { name: "decode mixed v5", per: "packet", bar: None, run: decode_v5 },
    Case { name: "stream a PUBLISH of 1 MiB", per: "4 KiB chunk", bar: None, run: stream },
    Case { name: "match filter and topic", per: "pair", bar: None, run: match_topics },
    Case { name: "frame_len", per: "packet", bar: None, run: frame_lens },
];

fn main() -> ExitCode {
    harness::main("codec", &CASES)
}

/// Decodes the packet that begins `input`, if it is whole, and has every field of it in place.
#[inline]
fn decode_one(input: &mut &[u8], version: Version) -> bool {
    let result = Packet::decode(input, version, Sender::Client);
    match black_box(&result) {
        Ok(Some(_)) => true,
        Ok(None) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Decodes what is whole in `input`; returns how many packets that were.
#[inline]
fn decode_all(input: &mut &[u8], version: Version) -> u64 {
    let mut packets = 0;
    while decode_one(input, version) {
        packets += 1;
    }
    packets
}

fn decode_stream(iterations: u64, version: Version) -> Work {
    let stream = workload::mixed(version);
    let mut work = Work::default();
    for _ in 0..iterations {
        let mut input = black_box(stream.as_slice());
        work.items += decode_all(&mut input, version);
        work.bytes += stream.len() as u64;
        assert!(input.is_empty(), "packets are left");
    }
    assert_eq!(work.items, iterations * PACKETS as u64);
    work
}

fn decode_whole(iterations: u64) -> Work {
    decode_stream(iterations, Version::V311)
}

fn decode_v5(iterations: u64) -> Work {
    decode_stream(iterations, Version::V5)
}

/// What a connection keeps between two reads: the start of the packet that straddles them.
struct Straddle {
    kept: Vec<u8>,
}

impl Straddle {
    fn new() -> Self {
        Self { kept: Vec::with_capacity(LONGEST) }
    }

    /// Decodes what `read` completes and what it holds whole; keeps the rest.
    fn read(&mut self, mut read: &[u8]) -> u64 {
        let mut packets = 0;
        if !self.kept.is_empty() {
            if !self.complete(&mut read) {
                return 0;
            }
            packets += u64::from(decode_one(&mut self.kept.as_slice(), Version::V311));
            self.kept.clear();
        }
        packets += decode_all(&mut read, Version::V311);
        self.kept.extend_from_slice(read);
        packets
    }

    /// Takes from `read` what the kept packet lacks, and not a byte more.
    fn complete(&mut self, read: &mut &[u8]) -> bool {
        loop {
            let length = frame_len(&self.kept, Version::V311).expect("a length");
            // Without a length, one byte more may tell.
            let wanted = length.unwrap_or(self.kept.len() + 1) - self.kept.len();
            let (taken, rest) = read.split_at(wanted.min(read.len()));
            self.kept.extend_from_slice(taken);
            *read = rest;
            if taken.len() < wanted {
                return false;
            }
            if length.is_some() {
                return true;
            }
        }
    }
}

fn decode_chunks(iterations: u64) -> Work {
    let stream = workload::mixed(Version::V311);
    let reads = workload::reads(&stream);
    let mut straddle = Straddle::new();
    let mut work = Work::default();
    for _ in 0..iterations {
        for read in &reads {
            work.items += straddle.read(black_box(read));
        }
        work.bytes += stream.len() as u64;
    }
    assert_eq!(work.items, iterations * PACKETS as u64);
    work
}

/// A message with what gateways attach to each.
fn decode_properties(iterations: u64) -> Work {
    const PAIRS: [(&str, &str); 3] =
        [("trace-id", "4bf92f3577b34da6"), ("source", "gateway-17"), ("unit", "celsius")];
    let text = |text| Text::new(text).expect("a text");
    let list = PAIRS.map(|(name, value)| Property::UserProperty((text(name), text(value))));
    let packet = Packet::Publish(Publish {
        delivery: Delivery::AtLeastOnce { packet_id: PacketId::MIN, dup: false },
        properties: Properties::new(&list),
        ..Publish::new(TopicName::new("site/line-7/temperature").expect("a topic"), &[b'x'; 64])
    });
    let mut memory = [0; LONGEST];
    let length = packet.encode(Version::V5, &mut memory).expect("a packet that may be sent");
    let read = Packet::decode(&mut &memory[..length], Version::V5, Sender::Client);
    assert_eq!(read, Ok(Some(packet)));
    for _ in 0..iterations {
        let mut input = black_box(&memory[..length]);
        let result = Packet::decode(&mut input, Version::V5, Sender::Client);
        let Ok(Some(Packet::Publish(message))) = black_box(&result) else { panic!("{result:?}") };
        for (name, value) in message.properties.user_properties() {
            black_box((name.as_bytes(), value.as_bytes()));
        }
    }
    Work { items: iterations, bytes: iterations * length as u64 }
}

/// Encodes one packet after the other into one outgoing buffer.
fn encode_mixed(iterations: u64) -> Work {
    let stream = workload::mixed(Version::V311);
    let mut packets = Vec::with_capacity(PACKETS);
    let mut input = stream.as_slice();
    while let Ok(Some(packet)) = Packet::decode(&mut input, Version::V311, Sender::Client) {
        packets.push(packet);
    }
    let mut memory = vec![0; stream.len()];
    let mut work = Work::default();
    for _ in 0..iterations {
        let mut out = black_box(memory.as_mut_slice());
        for packet in &packets {
            let length = black_box(packet).encode(Version::V311, out).expect("room");
            out = &mut out[length..];
        }
        work.items += packets.len() as u64;
        work.bytes += stream.len() as u64;
    }
    assert_eq!(memory, stream);
    work
}

/// What an application hands over, checked and encoded.
fn publish(iterations: u64) -> Work {
    let mut random = Random::new(1);
    let messages: Vec<(String, Vec<u8>)> = (0..PACKETS)
        .map(|_| (workload::topic(&mut random), workload::payload(&mut random)))
        .collect();
    let mut memory = vec![0; LONGEST];
    let mut work = Work::default();
    for _ in 0..iterations {
        for (topic, payload) in &messages {
            let (topic, payload) = black_box((topic.as_str(), payload.as_slice()));
            let packet = Packet::Publish(Publish {
                delivery: Delivery::AtLeastOnce { packet_id: PacketId::MIN, dup: false },
                ..Publish::new(TopicName::new(topic).expect("a topic"), payload)
            });
            let length = packet.encode(Version::V311, black_box(&mut memory)).expect("room");
            work.items += 1;
            work.bytes += length as u64;
        }
    }
    work
}

/// A payload larger than any buffer: the head, then what each read of 4 KiB brings.
fn stream(iterations: u64) -> Work {
    const READ: usize = 4096;
    let payload = vec![b'x'; 1 << 20];
    let packet = Packet::Publish(Publish::new(TopicName::new("file").expect("a topic"), &payload));
    let mut memory = vec![0; payload.len() + 16];
    let length = packet.encode(Version::V311, &mut memory).expect("room");
    let reads: Vec<&[u8]> = memory[..length].chunks(READ).collect();
    let mut work = Work::default();
    for _ in 0..iterations {
        let mut pieces = Pieces::new(Version::V311, Sender::Client, READ);
        let mut ended = false;
        for read in &reads {
            let mut input = black_box(*read);
            loop {
                let result = pieces.next(&mut input);
                match &result {
                    Ok(Some(piece)) => ended = matches!(black_box(piece), Piece::End),
                    Ok(None) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert!(ended, "the payload is not complete");
        work.items += reads.len() as u64;
        work.bytes += length as u64;
    }
    work
}

/// One filter against one topic that it matches: seven of ten without a wildcard, two with `+`, one
/// with `#`, three to eight levels deep.
fn match_topics(iterations: u64) -> Work {
    const PAIRS: [(&str, &str); 10] = [
        ("site/line-7/state", "site/line-7/state"),
        ("site/line-7/motor/state", "site/line-7/motor/state"),
        ("site/line-7/motor/2/temperature", "site/line-7/motor/2/temperature"),
        ("city/3/house/21/room/7/light", "city/3/house/21/room/7/light"),
        ("a/b/c", "a/b/c"),
        ("fleet/eu/truck/118/gps/position", "fleet/eu/truck/118/gps/position"),
        ("org/acme/de/berlin/roof/inverter/4/power", "org/acme/de/berlin/roof/inverter/4/power"),
        ("site/+/motor/+/temperature", "site/line-7/motor/2/temperature"),
        ("city/3/house/+/room/+/light", "city/3/house/21/room/7/light"),
        ("org/acme/de/#", "org/acme/de/berlin/roof/inverter/4/power"),
    ];
    let pairs = PAIRS.map(|(filter, topic)| {
        (TopicFilter::new(filter).expect("a filter"), TopicName::new(topic).expect("a topic"))
    });
    let bytes: usize = PAIRS.iter().map(|(filter, topic)| filter.len() + topic.len()).sum();
    let mut matched = 0;
    for _ in 0..iterations {
        for pair in &pairs {
            let (filter, topic) = *black_box(pair);
            matched += u64::from(filter.matches(topic));
        }
    }
    assert_eq!(matched, iterations * PAIRS.len() as u64);
    Work { items: matched, bytes: iterations * bytes as u64 }
}

/// The length of each packet of the mixed stream, from its first bytes.
fn frame_lens(iterations: u64) -> Work {
    let stream = workload::mixed(Version::V311);
    let mut work = Work::default();
    for _ in 0..iterations {
        let mut rest = black_box(stream.as_slice());
        while let Ok(Some(length)) = frame_len(rest, Version::V311) {
            rest = &rest[length..];
            work.items += 1;
        }
        work.bytes += stream.len() as u64;
    }
    assert_eq!(work.items, iterations * PACKETS as u64);
    work
}
