//! What a session costs: a client receives and acknowledges, publishes and is answered.
//!
//! The other side is bytes that lie ready. Each turn of a driver is played as one: a batch of
//! packets goes in, whatever is in the output is written at once, and the clock is read once. A
//! message is looked at, its topic as [`Client::topic`] reads it; other events are counted.

mod harness;
mod workload;

use std::env;
use std::hint::black_box;
use std::num::NonZeroU16;
use std::process::ExitCode;

use harness::{Case, Work};
use tamtam_core::client::{Client, Event, Options, Publish};
use tamtam_core::{
    ConnAck, Fixed, Heap, Instant, Packet, Properties, Property, QoS, ReasonCode, Storage, Version,
};
use workload::{BATCH, Message};

use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use Version::{V5, V311};

/// How many messages are on their way where the pipe is kept full.
const WINDOW: usize = 1000;

/// What a client without a heap is measured on.
type Inline = Fixed<8192, BATCH>;

const HALF: [QoS; 2] = [AtMostOnce, AtLeastOnce];

const CASES: [Case; 20] = [
    row("receive QoS 0/1, 3.1.1", Some(300), |n| receive::<Heap>(n, V311, &HALF)),
    row("receive QoS 0/1, v5", Some(300), |n| receive::<Heap>(n, V5, &HALF)),
    row("receive QoS 0/1, 3.1.1, Fixed", Some(300), |n| receive::<Inline>(n, V311, &HALF)),
    row("receive QoS 1, 3.1.1", None, |n| receive::<Heap>(n, V311, &[AtLeastOnce])),
    row("receive QoS 1, v5", None, |n| receive::<Heap>(n, V5, &[AtLeastOnce])),
    row("receive QoS 2, 3.1.1", None, |n| receive::<Heap>(n, V311, &[ExactlyOnce])),
    row("receive QoS 2, v5", None, |n| receive::<Heap>(n, V5, &[ExactlyOnce])),
    row("send QoS 0, 3.1.1", None, |n| send::<Heap>(n, V311, AtMostOnce)),
    row("send QoS 0, v5", None, |n| send::<Heap>(n, V5, AtMostOnce)),
    row("send QoS 1, 3.1.1", Some(600), |n| send::<Heap>(n, V311, AtLeastOnce)),
    row("send QoS 1, v5", Some(600), |n| send::<Heap>(n, V5, AtLeastOnce)),
    row("send QoS 1, 3.1.1, Fixed", Some(600), |n| send::<Inline>(n, V311, AtLeastOnce)),
    row("send QoS 2, 3.1.1", Some(800), |n| send::<Heap>(n, V311, ExactlyOnce)),
    row("send QoS 2, v5", Some(800), |n| send::<Heap>(n, V5, ExactlyOnce)),
    row("send QoS 1, 1000 under way, 3.1.1", Some(600), |n| send_full(n, V311, AtLeastOnce, 0)),
    row("send QoS 1, 1000 under way, v5", Some(600), |n| send_full(n, V5, AtLeastOnce, 0)),
    row("send QoS 2, 1000 under way, 3.1.1", Some(800), |n| send_full(n, V311, ExactlyOnce, 0)),
    row("send QoS 2, 1000 under way, v5", Some(800), |n| send_full(n, V5, ExactlyOnce, 0)),
    row("send QoS 1, 200 more wait, v5", None, |n| send_full(n, V5, AtLeastOnce, 200)),
    row("send QoS 2, 200 more wait, v5", None, |n| send_full(n, V5, ExactlyOnce, 200)),
];

/// What a message costs, with all that it owes.
const fn row(name: &'static str, bar: Option<u32>, run: fn(u64) -> Work) -> Case {
    Case { name, per: "message", bar, run }
}

fn main() -> ExitCode {
    let ended = harness::main("session", &CASES);
    if env::args().any(|argument| argument == "--bench") {
        print_sizes();
    }
    ended
}

/// What a client takes before it holds a byte of anybody's.
fn print_sizes() {
    const MANY: usize = 1024;
    let each = (size_of::<Client<Fixed<0, MANY>>>() - size_of::<Client<Fixed<0, 0>>>()) / MANY;
    let (heap, fixed) = (size_of::<Client<Heap>>(), size_of::<Client<Fixed<1024, 8>>>());
    println!("bytes: Client<Heap> {heap}, Client<Fixed<1024, 8>> {fixed}, per packet id {each}");
}

/// Messages arrive, a batch in each turn, and all that they owe is said.
fn receive<S: Storage>(iterations: u64, version: Version, mix: &[QoS]) -> Work {
    let batches = workload::publishes(version, mix);
    let releases = workload::acks(batches.len() * BATCH, Packet::PubRel);
    let mut session = Session::<S>::open(version, BATCH, 0);
    for turn in (0..batches.len()).cycle().take(iterations as usize) {
        session.hear(&batches[turn], BATCH);
        session.write();
        if mix.contains(&ExactlyOnce) {
            session.hear(&releases[turn], 0);
            session.write();
        }
    }
    session.done(iterations)
}

/// Messages leave, a batch in each turn, and are answered in the next.
fn send<S: Storage>(iterations: u64, version: Version, qos: QoS) -> Work {
    let messages = workload::messages();
    let answers = answers(BATCH, qos);
    let mut session = Session::<S>::open(version, BATCH, 0);
    for batch in messages.chunks(BATCH).cycle().take(iterations as usize) {
        session.publish(batch, qos);
        session.settle(&answers[0]);
    }
    session.done(iterations)
}

/// As [`send`], with [`WINDOW`] messages on their way all the time, and some more that `wait`.
fn send_full(iterations: u64, version: Version, qos: QoS, wait: usize) -> Work {
    let messages = workload::messages();
    let mut batches = messages.chunks(BATCH).cycle();
    let answers = answers(WINDOW + wait, qos);
    let mut session = Session::<Heap>::open(version, WINDOW, wait);
    for batch in batches.by_ref().take((WINDOW + wait) / BATCH) {
        session.publish(batch, qos);
    }
    session.work = Work::default();
    for (batch, answers) in batches.zip(answers.iter().cycle()).take(iterations as usize) {
        session.settle(answers);
        session.publish(batch, qos);
    }
    session.done(iterations)
}

/// What the server says to a batch of messages: PUBREC first where it is due, then what settles
/// them.
#[derive(Default)]
struct Answers {
    received: Vec<u8>,
    settled: Vec<u8>,
}

/// The answers, batch by batch, to a client that uses so many packet identifiers in turn.
fn answers(ids: usize, qos: QoS) -> Vec<Answers> {
    let each = |ack| workload::acks(ids, ack).into_iter();
    match qos {
        AtMostOnce => vec![Answers::default()],
        AtLeastOnce => {
            each(Packet::PubAck).map(|settled| Answers { settled, ..Answers::default() }).collect()
        }
        ExactlyOnce => each(Packet::PubRec)
            .zip(each(Packet::PubComp))
            .map(|(received, settled)| Answers { received, settled })
            .collect(),
    }
}

/// A client on an open connection, the clock of its driver, and what got done.
struct Session<S: Storage> {
    client: Client<S>,
    now: Instant,
    work: Work,
}

impl<S: Storage> Session<S> {
    /// A server that takes `window` messages at once, and a client that lets more of them `wait`.
    fn open(version: Version, window: usize, wait: usize) -> Self {
        let (mut client, now) = (Client::new(), Instant::from_millis(1));
        let options = Options::new(version).client_id("bench").in_flight((window + wait) as u16);
        client.start(&options, 7).expect("options that make a CONNECT");
        client.connect(now).expect("a client that was started");
        client.handle_open(now);
        let mut session = Self { client, now, work: Work::default() };
        session.write();
        let window = [Property::ReceiveMaximum(NonZeroU16::new(window as u16).expect("a window"))];
        let mut accepted = ConnAck::new(ReasonCode::Success, false);
        if version.is_v5() {
            accepted.properties = Properties::new(&window);
        }
        let mut stream = Vec::new();
        workload::encode(&mut stream, &Packet::ConnAck(accepted), version);
        session.hear(&stream, 1);
        session
    }

    /// Packets come in; so many events are to come of them.
    fn hear(&mut self, packets: &[u8], expected: usize) {
        let mut input = black_box(packets);
        let mut events = 0;
        loop {
            let result = self.client.handle_input(&mut input, self.now);
            match black_box(&result) {
                Ok(Some(Event::Message(message))) => {
                    let topic = self.client.topic(message.topic).expect("a topic");
                    black_box((topic.as_bytes(), message.payload));
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(lost) => panic!("{lost}"),
            }
            events += 1;
        }
        assert!(events == expected && input.is_empty(), "{events} events, {} left", input.len());
        self.work.bytes += packets.len() as u64;
    }

    /// All of the output leaves, a moment later.
    fn write(&mut self) {
        self.now = self.now.plus_millis(1);
        let length = black_box(self.client.output()).len();
        self.client.output_written(length, self.now);
        self.work.bytes += length as u64;
    }

    /// A batch of messages leaves, as far as it may.
    fn publish(&mut self, messages: &[Message], qos: QoS) {
        for (topic, payload) in messages {
            let (topic, payload) = black_box((topic.as_str(), payload.as_slice()));
            let message = Publish::new(topic, payload).qos(qos);
            black_box(self.client.publish(message, self.now).expect("room"));
        }
        self.write();
    }

    /// The server answers a batch of messages.
    fn settle(&mut self, answers: &Answers) {
        self.hear(&answers.received, 0);
        self.write();
        self.hear(&answers.settled, if answers.settled.is_empty() { 0 } else { BATCH });
        self.write();
    }

    fn done(self, iterations: u64) -> Work {
        assert!(self.client.output().is_empty(), "something has not left");
        Work { items: iterations * BATCH as u64, ..self.work }
    }
}
