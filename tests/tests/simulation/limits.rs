//! Who watches the oracle, where a real client can't be made to sin: its input by hand.

use tamtam_core::client::{Client, Publish as Message, Record, Token};
use tamtam_core::{Heap, Instant, PacketId, Version};
use tamtam_tests::happened::Happened;
use tamtam_tests::oracle::{Call, Oracle};
use tamtam_tests::profile::Profile;
use tamtam_tests::wire::{AckKind, ConnAck, Connect, Packet, Props, Publish, Request, encode, id};

const NOW: Instant = Instant::from_millis(1_000);
const VERSION: Version = Version::V5;

/// An oracle and where it gets tokens from.
struct Bench {
    oracle: Oracle,
    machine: Client<Heap>,
}

impl Bench {
    /// A connection that was accepted with these properties.
    fn open(props: Props, store: bool) -> Self {
        let mut machine = Client::new();
        machine.start(&Profile::new(VERSION, "a").options(), 1).expect("good options");
        let mut bench = Self { oracle: Oracle::new(VERSION, true, store), machine };
        bench.connect(false, props);
        bench
    }

    fn connect(&mut self, session_present: bool, props: Props) {
        self.oracle.opened(NOW);
        self.sends(&Packet::Connect(Connect {
            version: VERSION,
            clean: false,
            keep_alive: 60,
            client_id: b"a".into(),
            props: Props::NONE,
            will: None,
            user_name: None,
            password: None,
        }));
        let connack = Packet::ConnAck(ConnAck { session_present, code: 0, props });
        let connected = Ok(Some(Happened::Connected { session_present }));
        self.oracle.took(&encode(&connack, VERSION), &connected, NOW);
    }

    fn sends(&mut self, packet: &Packet) {
        self.oracle.written(&encode(packet, VERSION), NOW);
    }

    fn takes(&mut self, packet: &Packet) {
        self.oracle.took(&encode(packet, VERSION), &Ok(None), NOW);
    }

    /// The application publishes a message; returns its PUBLISH.
    fn publishes(&mut self, text: &str, qos: u8, id: u16) -> Publish {
        let (topic, payload) = (b"t".to_vec(), text.as_bytes().to_vec());
        let call = Call::Publish {
            topic: "t".into(),
            payload: payload.clone(),
            qos,
            retain: false,
            streamed: false,
        };
        let token = self.token();
        self.oracle.called(call, token);
        Publish { qos, topic, id, payload, ..Publish::default() }
    }

    fn token(&mut self) -> Token {
        self.machine.publish(Message::new("t", b""), NOW).expect("room")
    }

    fn expect_found(&self, words: &str) {
        let found = self.oracle.violations();
        assert!(found.iter().any(|text| text.contains(words)), "not {words:?}: {found:?}");
    }

    fn expect_nothing(&self) {
        assert_eq!(self.oracle.violations(), [""; 0]);
    }
}

/// What is sent on a connection with these limits is found to be against them.
fn against(words: &str, props: Props, packet: impl FnOnce(&mut Bench) -> Packet) {
    let mut bench = Bench::open(props, false);
    let packet = packet(&mut bench);
    bench.sends(&packet);
    bench.expect_found(words);
}

fn subscribe(filter: &[u8], props: Props) -> Packet {
    Packet::Subscribe(Request { id: 1, props, filters: vec![(filter.into(), 0)] })
}

#[test]
fn what_is_against_connack_is_found() {
    against("QoS 2 above", Props::NONE.with(id::MAXIMUM_QOS, 1), |bench| {
        Packet::Publish(bench.publishes("x", 2, 1))
    });
    against("RETAIN", Props::NONE.with(id::RETAIN_AVAILABLE, 0), |bench| {
        Packet::Publish(Publish { retain: true, ..bench.publishes("x", 0, 0) })
    });
    against("20 at most", Props::NONE.with(id::MAXIMUM_PACKET_SIZE, 20), |bench| {
        Packet::Publish(bench.publishes("a text that is too long", 1, 1))
    });
    let wild = Props::NONE.with(id::WILDCARDS_AVAILABLE, 0);
    against("a wildcard", wild, |_| subscribe(b"a/#", Props::NONE));
    let shared = Props::NONE.with(id::SHARED_AVAILABLE, 0);
    against("a shared filter", shared, |_| subscribe(b"$share/g/a", Props::NONE));
    let ids = Props::NONE.with(id::SUBSCRIPTION_IDS_AVAILABLE, 0);
    against("identifier", ids, |_| subscribe(b"a", Props::NONE.with(id::SUBSCRIPTION_ID, 1)));
}

#[test]
fn a_window_that_is_overrun_is_found() {
    let mut bench = Bench::open(Props::NONE.with(id::RECEIVE_MAXIMUM, 2), false);
    for number in 1..=3 {
        bench.expect_nothing();
        let publish = bench.publishes(&format!("m{number}"), 1 + (number % 2) as u8, number);
        bench.sends(&Packet::Publish(publish));
    }
    bench.expect_found("3 in flight");
}

/// An exchange that waits for PUBCOMP holds its place in the window, in the next connection too.
#[test]
fn a_window_is_held_until_pubcomp() {
    let mut bench = Bench::open(Props::NONE, false);
    let publish = bench.publishes("first", 2, 1);
    bench.sends(&Packet::Publish(publish));
    bench.takes(&Packet::ack(AckKind::PubRec, 1));
    bench.oracle.closed();
    bench.connect(true, Props::NONE.with(id::RECEIVE_MAXIMUM, 1));
    bench.sends(&Packet::ack(AckKind::PubRel, 1));
    let publish = bench.publishes("second", 1, 2);
    bench.expect_nothing();
    bench.sends(&Packet::Publish(publish));
    bench.expect_found("2 in flight");
}

#[test]
fn aliases_out_of_nothing_are_found() {
    let aliased = |bench: &mut Bench, alias: u32, topic: &[u8]| {
        let props = Props::NONE.with(id::TOPIC_ALIAS, alias);
        let text = format!("{alias} {topic:?}");
        let publish = bench.publishes(&text, 0, 0);
        bench.sends(&Packet::Publish(Publish { props, topic: topic.into(), ..publish }));
    };
    let limit = || Props::NONE.with(id::TOPIC_ALIAS_MAXIMUM, 2);
    let mut bench = Bench::open(limit(), false);
    aliased(&mut bench, 2, b"t");
    aliased(&mut bench, 2, b"");
    bench.expect_nothing();
    aliased(&mut bench, 3, b"t");
    bench.expect_found("2 is the maximum");
    let mut bench = Bench::open(limit(), false);
    aliased(&mut bench, 1, b"");
    bench.expect_found("before its topic");
    // An alias ends with the connection.
    let mut bench = Bench::open(limit(), false);
    aliased(&mut bench, 1, b"t");
    bench.oracle.closed();
    bench.connect(true, limit());
    bench.expect_nothing();
    aliased(&mut bench, 1, b"");
    bench.expect_found("before its topic");
}

#[test]
fn silence_is_found() {
    let mut bench = Bench::open(Props::NONE.with(id::SERVER_KEEP_ALIVE, 5), false);
    bench.oracle.tick(NOW.plus_secs(5));
    bench.expect_nothing();
    bench.oracle.tick(NOW.plus_secs(6));
    bench.expect_found("silent for 6000 ms");
}

#[test]
fn what_is_sent_again_to_a_new_session_is_found() {
    let mut bench = Bench::open(Props::NONE, false);
    let [first, second] = [("a", 1), ("b", 2)].map(|(text, id)| bench.publishes(text, 2, id));
    bench.sends(&Packet::Publish(first.clone()));
    bench.sends(&Packet::Publish(second.clone()));
    bench.takes(&Packet::ack(AckKind::PubRec, 2));
    bench.oracle.closed();
    bench.connect(false, Props::NONE);
    bench.expect_nothing();
    bench.sends(&Packet::Publish(first));
    bench.expect_found("to a new session though it had left");
    bench.sends(&Packet::Publish(second));
    bench.expect_found("though its PUBREC was seen");
}

#[test]
fn what_leaves_before_its_record_is_kept_is_found() {
    let mut bench = Bench::open(Props::NONE, true);
    let publish = bench.publishes("x", 2, 1);
    bench.sends(&Packet::Publish(publish.clone()));
    bench.expect_found("PUBLISH 1 left before its record");

    let mut bench = Bench::open(Props::NONE, true);
    let publish = bench.publishes("x", 2, 1);
    let packet = encode(&Packet::Publish(publish.clone()), VERSION);
    bench.oracle.recorded(Record::Publish(&packet));
    bench.oracle.persisted();
    bench.sends(&Packet::Publish(publish));
    bench.takes(&Packet::ack(AckKind::PubRec, 1));
    bench.oracle.recorded(Record::Release(PacketId::MIN));
    bench.expect_nothing();
    bench.sends(&Packet::ack(AckKind::PubRel, 1));
    bench.expect_found("PUBREL 1 left before its record");
}
