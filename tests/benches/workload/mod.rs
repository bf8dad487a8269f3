//! What the benches work on: streams like those of a real connection, the same in every run.
#![allow(dead_code, reason = "no bench works on all of it")]

use tamtam_core::{
    Ack, Delivery, Packet, PacketId, Properties, Property, Publish, QoS, Subscribe, Subscription,
    Text, TopicFilter, TopicName, Unsubscribe, Version,
};

/// How many packets a stream has: 32 groups of the mix.
pub(crate) const PACKETS: usize = 1024;
/// The longest packet of a stream, in bytes.
pub(crate) const LONGEST: usize = 512;

/// Numbers that look random and never differ between runs (splitmix64).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// From `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low + 1) as u64) as usize
    }

    fn packet_id(&mut self) -> PacketId {
        PacketId::new(self.within(1, 0xFFFF) as u16).unwrap_or(PacketId::MIN)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.within(0, at));
        }
    }
}

/// A packet of the mix.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Publish(QoS),
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    PingReq,
    /// SUBSCRIBE and UNSUBSCRIBE in turn.
    Filters,
}

/// Of every 32 packets, so many are of each kind: a busy client that publishes (with the PUBRELs of
/// its own QoS 2 messages), receives (so it acknowledges), and now and then changes what it wants.
const MIX: [(Kind, usize); 9] = [
    (Kind::Publish(QoS::AtMostOnce), 13),
    (Kind::Publish(QoS::AtLeastOnce), 6),
    (Kind::Publish(QoS::ExactlyOnce), 2),
    (Kind::PubRel, 2),
    (Kind::PubAck, 5),
    (Kind::PubRec, 1),
    (Kind::PubComp, 1),
    (Kind::PingReq, 1),
    (Kind::Filters, 1),
];

/// The mixed stream: [`PACKETS`] packets that a client may send, [`MIX`]ed and shuffled.
///
/// Topics have 10 to 40 bytes and payloads 8 to 200, all lengths equally often. In version 5 every
/// fourth PUBLISH has three properties: expiry, content type, and a user property.
pub(crate) fn mixed(version: Version) -> Vec<u8> {
    let mut random = Random::new(1883);
    let mut stream = Vec::new();
    for group in 0..PACKETS / 32 {
        let mut kinds: Vec<Kind> =
            MIX.iter().flat_map(|(kind, count)| [*kind].repeat(*count)).collect();
        random.shuffle(&mut kinds);
        for kind in kinds {
            append(&mut stream, kind, group, version, &mut random);
        }
    }
    stream
}

fn append(stream: &mut Vec<u8>, kind: Kind, group: usize, version: Version, random: &mut Random) {
    let id = random.packet_id();
    let (topic, payload) = (topic(random), payload(random));
    let filters = [topic.as_str(), "site/+/alarm/#"]
        .map(|filter| TopicFilter::new(filter).expect("a filter"));
    let subscriptions = filters.map(|filter| Subscription::new(filter).qos(QoS::AtLeastOnce));
    let count = random.within(1, filters.len());
    let text = |text| Text::new(text).expect("a text");
    let list = [
        Property::MessageExpiryInterval(3600),
        Property::ContentType(text("application/json")),
        Property::UserProperty((text("unit"), text("celsius"))),
    ];
    let some = version.is_v5() && random.within(1, 4) == 1;
    let packet = match kind {
        Kind::Publish(qos) => Packet::Publish(Publish {
            delivery: match qos {
                QoS::AtMostOnce => Delivery::AtMostOnce,
                QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id: id, dup: false },
                QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id: id, dup: false },
            },
            properties: if some { Properties::new(&list) } else { Properties::EMPTY },
            ..Publish::new(TopicName::new(&topic).expect("a topic"), &payload)
        }),
        Kind::PubAck => Packet::PubAck(Ack::new(id)),
        Kind::PubRec => Packet::PubRec(Ack::new(id)),
        Kind::PubRel => Packet::PubRel(Ack::new(id)),
        Kind::PubComp => Packet::PubComp(Ack::new(id)),
        Kind::PingReq => Packet::PingReq,
        Kind::Filters if group.is_multiple_of(2) => Packet::Subscribe(Subscribe {
            packet_id: id,
            properties: Properties::EMPTY,
            subscriptions: subscriptions[..count].into(),
        }),
        Kind::Filters => Packet::Unsubscribe(Unsubscribe {
            packet_id: id,
            properties: Properties::EMPTY,
            filters: filters[..count].into(),
        }),
    };
    encode(stream, &packet, version);
}

/// Puts `packet` behind what is in `stream`.
pub(crate) fn encode(stream: &mut Vec<u8>, packet: &Packet<'_>, version: Version) {
    let mut memory = [0; LONGEST];
    let length = packet.encode(version, &mut memory).expect("a packet that may be sent");
    stream.extend_from_slice(&memory[..length]);
}

/// A topic of 10 to 40 bytes, in levels as sensors have them.
pub(crate) fn topic(random: &mut Random) -> String {
    const LEVELS: [&str; 8] =
        ["line-7", "motor", "temperature", "room", "inverter", "state", "meter-12", "ch4"];
    let length = random.within(10, 40);
    let mut topic = String::from("site");
    while topic.len() < length {
        topic += "/";
        topic += LEVELS[random.within(0, LEVELS.len() - 1)];
    }
    topic.truncate(length);
    topic
}

/// A payload of 8 to 200 bytes of any value.
pub(crate) fn payload(random: &mut Random) -> Vec<u8> {
    (0..random.within(8, 200)).map(|_| random.next() as u8).collect()
}

/// A topic and a payload.
pub(crate) type Message = (String, Vec<u8>);

/// How many messages [`messages`] are.
const MESSAGES: usize = 1000;
/// How many of them a turn of a session brings.
pub(crate) const BATCH: usize = 40;

/// What a session is about.
pub(crate) fn messages() -> Vec<Message> {
    let mut random = Random::new(8080);
    (0..MESSAGES).map(|_| (topic(&mut random), payload(&mut random))).collect()
}

/// The [`messages`] as a peer sends them, batch by batch, with each QoS of `mix` in turn.
pub(crate) fn publishes(version: Version, mix: &[QoS]) -> Vec<Vec<u8>> {
    let messages = messages();
    let mut numbered = (1..).filter_map(PacketId::new).zip(&messages).zip(mix.iter().cycle());
    let batch = |_| {
        let mut stream = Vec::new();
        for ((packet_id, (topic, payload)), qos) in numbered.by_ref().take(BATCH) {
            let delivery = match qos {
                QoS::AtMostOnce => Delivery::AtMostOnce,
                QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup: false },
                QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup: false },
            };
            let topic = TopicName::new(topic).expect("a topic");
            let publish = Publish { delivery, ..Publish::new(topic, payload) };
            encode(&mut stream, &Packet::Publish(publish), version);
        }
        stream
    };
    (0..MESSAGES / BATCH).map(batch).collect()
}

/// Acknowledgements for so many packet identifiers, from 1 on, batch by batch; they look the same
/// in every version.
pub(crate) fn acks(ids: usize, ack: fn(Ack<'static>) -> Packet<'static>) -> Vec<Vec<u8>> {
    let mut all = (1..).filter_map(PacketId::new).map(Ack::new).map(ack);
    let batch = |_| {
        let mut stream = Vec::new();
        for packet in all.by_ref().take(BATCH) {
            encode(&mut stream, &packet, Version::V311);
        }
        stream
    };
    (0..ids / BATCH).map(batch).collect()
}

/// `stream` as reads bring it: half of them have 1 to 64 bytes, the others fill a buffer of 4 KiB
/// more or less, as they do when the peer is busy.
pub(crate) fn reads(stream: &[u8]) -> Vec<&[u8]> {
    let mut random = Random::new(8883);
    let mut reads = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (low, high) = if random.within(0, 1) == 0 { (1, 64) } else { (65, 4096) };
        let (read, behind) = rest.split_at(random.within(low, high).min(rest.len()));
        reads.push(read);
        rest = behind;
    }
    reads
}
