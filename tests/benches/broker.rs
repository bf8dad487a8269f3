//! What the broker machine costs, without a socket: instructions and allocations for each message
//! that is delivered, and bytes for what it remembers.

mod harness;
mod workload;

use std::env;
use std::hint::black_box;
use std::process::ExitCode;

use harness::{Case, Work};
use tamtam_core::broker::{Broker, Input, LinkId, Options};
use tamtam_core::{
    Ack, Connect, Delivery, Heap, Instant, Items, Packet, PacketId, Publish, QoS, Sender,
    Subscribe, Subscription, Text, TopicFilter, TopicName, Version,
};

const CASES: [Case; 13] = [
    Case { name: "10 pairs QoS 0", per: "delivery", bar: None, run: pairs_qos0 },
    Case { name: "10 pairs QoS 1", per: "delivery", bar: None, run: pairs_qos1 },
    Case { name: "10 pairs QoS 2", per: "delivery", bar: None, run: pairs_qos2 },
    Case { name: "fan-out to 1000 at QoS 0", per: "delivery", bar: None, run: fan_out_qos0 },
    Case { name: "fan-out to 1000 at QoS 1", per: "delivery", bar: None, run: fan_out_qos1 },
    Case { name: "1,000 filters, one hit", per: "message", bar: None, run: filters_1k },
    Case { name: "100,000 filters, one hit", per: "message", bar: None, run: filters_100k },
    Case { name: "10,000 rules of its user", per: "message", bar: None, run: rules_10k },
    Case { name: "retained: store one", per: "message", bar: None, run: retained_store },
    Case { name: "retained: replay 10,000", per: "delivery", bar: None, run: retained_replay },
    Case { name: "group of 10 at QoS 1", per: "delivery", bar: None, run: group_qos1 },
    Case { name: "group's queue: enqueue, drain", per: "message", bar: None, run: group_queue },
    Case { name: "offline queue: enqueue, drain", per: "message", bar: None, run: offline_queue },
];

fn main() -> ExitCode {
    let code = harness::main("broker", &CASES);
    let arguments: Vec<String> = env::args().collect();
    let is = |name: &str| arguments.iter().any(|argument| argument == name);
    if is("--bench") && !is("--child") {
        print_memory(); // first, while no memory is used again
        print_matching();
    }
    code
}

const NOW: Instant = Instant::from_millis(1_000);

/// A broker and what its clients would do.
struct Hall {
    broker: Broker<Heap>,
    scratch: Vec<u8>,
}

impl Hall {
    fn new() -> Self {
        let mut broker = Broker::new();
        let options = Options { queue: 100_000, output_bytes: 16 << 20, ..Options::DEFAULT };
        broker.start(&options, 7);
        Self { broker, scratch: vec![0; 4096] }
    }

    fn send(&mut self, link: LinkId, packet: &Packet<'_>) {
        let len = packet.encode(Version::V311, &mut self.scratch).expect("a packet");
        let mut input = &self.scratch[..len];
        assert_eq!(self.broker.handle_input(link, &mut input, NOW), Input::More);
    }

    fn connect(&mut self, name: &str, clean_start: bool) -> LinkId {
        let link = self.broker.open(NOW).expect("room");
        let client_id = Text::new(name).expect("a name");
        let connect = Connect { clean_start, ..Connect::new(Version::V311, client_id) };
        self.send(link, &Packet::Connect(connect));
        self.drain();
        link
    }

    fn subscribe(&mut self, link: LinkId, filter: &str, qos: QoS) {
        let wanted = [Subscription::new(TopicFilter::new(filter).expect("a filter")).qos(qos)];
        let subscribe = Subscribe {
            packet_id: PacketId::MIN,
            properties: Default::default(),
            subscriptions: Items::from(&wanted),
        };
        self.send(link, &Packet::Subscribe(subscribe));
    }

    /// Writes all output; nobody answers.
    fn drain(&mut self) {
        while let Some(link) = self.broker.next_writable() {
            let len = black_box(self.broker.output(link)).len();
            self.broker.output_written(link, len, NOW);
        }
        while self.broker.poll_event().is_some() {}
    }

    /// Takes a batch in, so often, and sends what comes of it: so many deliveries each time.
    fn pass_on(&mut self, publisher: LinkId, batch: &[u8], deliveries: u64, times: u64) -> Work {
        let mut work = Work::default();
        for _ in 0..times {
            let mut input = black_box(batch);
            assert_eq!(self.broker.handle_input(publisher, &mut input, NOW), Input::More);
            work.items += self.drain_acknowledged();
            work.bytes += batch.len() as u64;
        }
        assert_eq!(work.items, times * deliveries);
        work
    }

    /// Writes all output, and lets each client acknowledge what it got, until all is quiet; how
    /// many messages were delivered.
    fn drain_acknowledged(&mut self) -> u64 {
        let mut delivered = 0;
        let mut answers = Vec::new();
        while let Some(link) = self.broker.next_writable() {
            answers.clear();
            let mut output = self.broker.output(link);
            let len = output.len();
            while let Ok(Some(packet)) = Packet::decode(&mut output, Version::V311, Sender::Server)
            {
                let answer = match packet {
                    Packet::Publish(publish) => {
                        delivered += 1;
                        match publish.delivery {
                            Delivery::AtMostOnce => continue,
                            Delivery::AtLeastOnce { packet_id, .. } => {
                                Packet::PubAck(Ack::new(packet_id))
                            }
                            Delivery::ExactlyOnce { packet_id, .. } => {
                                Packet::PubRec(Ack::new(packet_id))
                            }
                        }
                    }
                    Packet::PubRec(ack) => Packet::PubRel(ack),
                    Packet::PubRel(ack) => Packet::PubComp(ack),
                    _ => continue,
                };
                let mut bytes = [0; 4];
                answer.encode(Version::V311, &mut bytes).expect("four bytes");
                answers.extend_from_slice(&bytes);
            }
            self.broker.output_written(link, len, NOW);
            let mut input = answers.as_slice();
            assert_eq!(self.broker.handle_input(link, &mut input, NOW), Input::More);
        }
        while self.broker.poll_event().is_some() {}
        delivered
    }
}

const PAYLOAD: [u8; 64] = [b'.'; 64];

/// A batch of messages from one publisher, as they come in one read.
fn batch(topic: &str, qos: QoS, count: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 1..=count {
        let packet_id = PacketId::new(number).expect("not 0");
        let delivery = match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup: false },
            QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup: false },
        };
        let topic = TopicName::new(topic).expect("a topic");
        let publish = Publish { delivery, ..Publish::new(topic, &PAYLOAD) };
        Packet::Publish(publish).encode_to(Version::V311, &mut bytes).expect("a packet");
    }
    bytes
}

/// Publishers with a subscriber each, 32 messages a turn.
fn pairs(iterations: u64, qos: QoS) -> Work {
    let mut hall = Hall::new();
    let links: Vec<(LinkId, Vec<u8>)> = (0..10)
        .map(|pair| {
            let topic = format!("building/7/room/{pair}/celsius");
            let subscriber = hall.connect(&format!("sub-{pair}"), true);
            hall.subscribe(subscriber, &topic, qos);
            (hall.connect(&format!("pub-{pair}"), true), batch(&topic, qos, 32))
        })
        .collect();
    hall.drain();
    let mut work = Work::default();
    for _ in 0..iterations {
        for (publisher, messages) in &links {
            let mut input = black_box(messages.as_slice());
            let taken = hall.broker.handle_input(*publisher, &mut input, NOW);
            assert_eq!(taken, Input::More);
            work.bytes += messages.len() as u64;
        }
        work.items += hall.drain_acknowledged();
    }
    assert_eq!(work.items, iterations * 320);
    work
}

fn pairs_qos0(iterations: u64) -> Work {
    pairs(iterations, QoS::AtMostOnce)
}

fn pairs_qos1(iterations: u64) -> Work {
    pairs(iterations, QoS::AtLeastOnce)
}

fn pairs_qos2(iterations: u64) -> Work {
    pairs(iterations, QoS::ExactlyOnce)
}

fn fan_out(iterations: u64, qos: QoS) -> Work {
    let mut hall = Hall::new();
    for number in 0..1_000 {
        let subscriber = hall.connect(&format!("sub-{number}"), true);
        hall.subscribe(subscriber, "news/today", qos);
    }
    let publisher = hall.connect("pub", true);
    hall.drain();
    let messages = batch("news/today", qos, 4);
    hall.pass_on(publisher, &messages, 4_000, iterations)
}

fn fan_out_qos0(iterations: u64) -> Work {
    fan_out(iterations, QoS::AtMostOnce)
}

fn fan_out_qos1(iterations: u64) -> Work {
    fan_out(iterations, QoS::AtLeastOnce)
}

/// The filter of this number, 3 to 8 levels deep, and a topic that it matches: of ten, seven are
/// without wildcards, two have a `+`, at any level but the site's, and one ends in `#`.
fn filter(number: u64) -> (String, String) {
    let site = (number / 400).to_string();
    let (floor, room) = ((number / 20 % 20).to_string(), (number % 20).to_string());
    let (site, floor, room) = (site.as_str(), floor.as_str(), room.as_str());
    let (levels, wild): (&[&str], usize) = match number / 10 % 6 {
        0 => (&[site, floor, room], 1),
        1 => (&["site", site, floor, room], 0),
        2 => (&["site", site, "floor", floor, room], 2),
        3 => (&["site", site, "floor", floor, "room", room], 4),
        4 => (&["site", site, "floor", floor, "room", room, "set"], 4),
        _ => (&["site", site, "floor", floor, "room", room, "set", "now"], 6),
    };
    let topic = levels.join("/");
    let mut levels = levels.to_vec();
    match number % 10 {
        0..=6 => {}
        7 | 8 => levels[wild] = "+",
        _ => *levels.last_mut().expect("a level") = "#",
    }
    (levels.join("/"), topic)
}

fn filters(iterations: u64, count: u64) -> Work {
    let mut hall = Hall::new();
    let subscriber = hall.connect("sub", true);
    for number in 0..count {
        hall.subscribe(subscriber, &filter(number).0, QoS::AtMostOnce);
    }
    hall.drain();
    let topics: Vec<String> = (0..64).map(|pick| filter(pick * 7_919 % count).1).collect();
    let mut work = Work::default();
    for _ in 0..iterations {
        for topic in &topics {
            let topic = TopicName::new(topic).expect("a topic");
            let wanted = hall.broker.publish(topic, &PAYLOAD, QoS::AtMostOnce, false, NOW);
            assert!(black_box(wanted));
            work.items += 1;
        }
        hall.drain();
    }
    work
}

fn filters_1k(iterations: u64) -> Work {
    filters(iterations, 1_000)
}

fn filters_100k(iterations: u64) -> Work {
    filters(iterations, 100_000)
}

/// Who publishes and who subscribes have the same 10,000 rules, one of which speaks of the topic.
fn rules_10k(iterations: u64) -> Work {
    use tamtam_core::broker::{Access, Rule, RulesId};
    let mut hall = Hall::new();
    let filters: Vec<String> = (0..10_000).map(|number| filter(number).0).collect();
    let rules: Vec<_> =
        filters.iter().map(|filter| Rule::allow(filter, Access::ReadWrite)).collect();
    hall.broker.rules(RulesId(7), &rules).expect("room");
    let [subscriber, publisher] = ["sub", "pub"].map(|name| {
        let link = hall.connect(name, true);
        assert!(hall.broker.entitle(name, Some(RulesId(7)), None));
        link
    });
    let batches: Vec<_> = (0..64).map(|pick| filter(pick * 7_919 % 10_000)).collect();
    batches.iter().for_each(|(filter, _)| hall.subscribe(subscriber, filter, QoS::AtMostOnce));
    hall.drain();
    let messages: Vec<u8> =
        batches.iter().flat_map(|(_, topic)| batch(topic, QoS::AtMostOnce, 1)).collect();
    hall.pass_on(publisher, &messages, 64, iterations)
}

fn retain_all(hall: &mut Hall, count: u64, payload: &[u8]) {
    for number in 0..count {
        let topic = format!("site/{}/room/{}/state", number / 100, number % 100);
        let topic = TopicName::new(&topic).expect("a topic");
        hall.broker.publish(topic, payload, QoS::AtMostOnce, true, NOW);
    }
}

fn retained_store(iterations: u64) -> Work {
    let mut hall = Hall::new();
    retain_all(&mut hall, 10_000, &PAYLOAD);
    let topic = TopicName::new("site/17/room/42/state").expect("a topic");
    for _ in 0..iterations {
        black_box(hall.broker.publish(topic, &PAYLOAD, QoS::AtMostOnce, true, NOW));
    }
    Work { items: iterations, bytes: iterations * PAYLOAD.len() as u64 }
}

fn retained_replay(iterations: u64) -> Work {
    let mut hall = Hall::new();
    retain_all(&mut hall, 10_000, &PAYLOAD);
    let subscriber = hall.connect("sub", true);
    let mut work = Work::default();
    for _ in 0..iterations {
        hall.subscribe(subscriber, "site/+/room/+/state", QoS::AtMostOnce);
        work.items += hall.drain_acknowledged();
    }
    assert_eq!(work.items, iterations * 10_000);
    work
}

/// Ten members of a shared subscription, who have room.
fn group_qos1(iterations: u64) -> Work {
    let mut hall = Hall::new();
    for number in 0..10 {
        let member = hall.connect(&format!("sub-{number}"), true);
        hall.subscribe(member, "$share/readers/news/today", QoS::AtLeastOnce);
    }
    let publisher = hall.connect("pub", true);
    hall.drain();
    let messages = batch("news/today", QoS::AtLeastOnce, 32);
    hall.pass_on(publisher, &messages, 32, iterations)
}

fn group_queue(iterations: u64) -> Work {
    queue(iterations, "$share/readers/news/today")
}

fn offline_queue(iterations: u64) -> Work {
    queue(iterations, "news/today")
}

/// Messages wait for a subscriber, or for the only member of a group.
fn queue(iterations: u64, filter: &str) -> Work {
    let mut hall = Hall::new();
    let subscriber = hall.connect("sub", false);
    hall.subscribe(subscriber, filter, QoS::AtLeastOnce);
    hall.drain();
    hall.broker.handle_close(subscriber, NOW);
    let topic = TopicName::new("news/today").expect("a topic");
    let mut work = Work::default();
    for _ in 0..iterations {
        for _ in 0..1_000 {
            hall.broker.publish(topic, &PAYLOAD, QoS::AtLeastOnce, false, NOW);
        }
        let link = hall.broker.open(NOW).expect("room");
        let client_id = Text::new("sub").expect("a name");
        let connect = Connect { clean_start: false, ..Connect::new(Version::V311, client_id) };
        hall.send(link, &Packet::Connect(connect));
        let delivered = hall.drain_acknowledged();
        assert_eq!(delivered, 1_000);
        work.items += delivered;
        hall.broker.handle_close(link, NOW);
    }
    work
}

/// What finding the filters that match takes as they grow: for a few topics and for many, and up to
/// how many nanoseconds it may for few. Not instructions, because what grows here is waiting for
/// memory.
fn print_matching() {
    println!(
        "\n| filters | ns per topic of 4,096 | bar | met | of 65,536 |\n|--:|--:|--:|--:|--:|"
    );
    for (count, bar) in [(1_000, 130.0), (100_000, 200.0), (1_000_000, 300.0)] {
        let mut hall = Hall::new();
        let subscriber = hall.connect("sub", false);
        for number in 0..count {
            hall.subscribe(subscriber, &filter(number).0, QoS::AtMostOnce);
            hall.drain();
        }
        let topics: Vec<String> = (0..1 << 16).map(|pick| filter(pick * 7_919 % count).1).collect();
        let topics = topics.join("\n");
        let topics: Vec<_> =
            topics.lines().map(|topic| TopicName::new(topic).expect("a topic")).collect();
        let mut round = |topics: &[TopicName<'_>]| {
            let start = std::time::Instant::now();
            for topic in topics {
                assert_ne!(black_box(hall.broker.matching_filters(*topic)), 0);
            }
            start.elapsed().as_nanos() as f64 / topics.len() as f64
        };
        let mut best = |topics, rounds: u32| (0..rounds).map(|_| round(topics)).reduce(f64::min);
        let near = best(&topics[..4_096], 60).unwrap_or(f64::NAN);
        let far = best(&topics, 10).unwrap_or(f64::NAN);
        let met = if near <= bar { "yes" } else { "**no**" };
        println!("| {count} | {near:.0} | ≤ {bar} | {met} | {far:.0} |");
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * 4096
}

/// What things cost to remember, by what the process has more of afterwards.
fn print_memory() {
    const COUNT: u64 = 100_000;
    let mut hall = Hall::new();
    let mut last = resident();
    let mut row = |what: &str, count: u64| {
        let now = resident();
        println!("| {what} | {} |", now.saturating_sub(last) / count);
        last = now;
    };
    println!("\n| remembered | bytes each |\n|---|--:|");
    let links: Vec<LinkId> =
        (0..COUNT).map(|number| hall.connect(&format!("client-{number}"), true)).collect();
    row("idle link with its session", COUNT);
    for (number, link) in links.iter().enumerate() {
        hall.subscribe(*link, &format!("client/{number}/inbox"), QoS::AtLeastOnce);
    }
    hall.drain();
    row("subscription of an own filter", COUNT);
    let before = hall.broker.subscription_count();
    for number in 0..COUNT {
        hall.subscribe(links[0], &filter(number).0, QoS::AtLeastOnce);
        hall.drain();
    }
    row(
        "filter of many, a third with wildcards",
        (hall.broker.subscription_count() - before) as u64,
    );
    retain_all(&mut hall, COUNT, &PAYLOAD);
    row("retained message of 64 bytes", COUNT);
    let absent = hall.connect("absent", false);
    hall.subscribe(absent, "news/today", QoS::AtLeastOnce);
    hall.drain();
    hall.broker.handle_close(absent, NOW);
    let topic = TopicName::new("news/today").expect("a topic");
    for _ in 0..COUNT {
        hall.broker.publish(topic, &PAYLOAD, QoS::AtLeastOnce, false, NOW);
    }
    row("queued message of 64 bytes", COUNT);
}
