//! A broker with a store: nothing is acknowledged before it is kept, and nothing kept is lost.

use tamtam_core::broker::{Broker, LinkId, Options, Record, Ticket};
use tamtam_core::{
    Ack, Connect, Delivery, Heap, Instant, Items, Packet, PacketId, Publish, QoS, Sender,
    Subscribe, Subscription, Text, TopicFilter, TopicName, Version,
};

const NOW: Instant = Instant::from_millis(1_000_000);

/// Records as a store keeps them: ticket by ticket.
#[derive(Default)]
struct Store {
    kept: Vec<Vec<u8>>,
    pending: Vec<(Ticket, Vec<Vec<u8>>)>,
}

struct Bench {
    broker: Broker<Heap>,
    store: Store,
}

impl Bench {
    fn new(kept: Vec<Vec<u8>>) -> Self {
        let mut broker = Broker::new();
        broker.start(&Options { store: true, ..Options::DEFAULT }, 7);
        for bytes in &kept {
            let record = Record::read(bytes).expect("a record");
            assert!(broker.restore(&record).expect("room"), "{record:?}");
        }
        broker.restored(NOW);
        Self { broker, store: Store { kept, pending: Vec::new() } }
    }

    fn take(&mut self) {
        while let Some((ticket, records)) = self.broker.take_records(false) {
            let records = records.bytes().map(<[u8]>::to_vec).collect();
            self.store.pending.push((ticket, records));
        }
    }

    fn persist(&mut self) {
        self.take();
        for (ticket, records) in std::mem::take(&mut self.store.pending) {
            self.store.kept.extend(records);
            self.broker.handle_persisted(ticket, NOW);
        }
    }

    fn send(&mut self, link: LinkId, packet: &Packet<'_>) {
        let mut bytes = [0; 512];
        let len = packet.encode(Version::V311, &mut bytes).expect("a packet");
        let mut input = &bytes[..len];
        let _ = self.broker.handle_input(link, &mut input, NOW);
        assert!(input.is_empty(), "{packet:?}");
    }

    fn received(&mut self, link: LinkId) -> Vec<String> {
        let output = self.broker.output(link).to_vec();
        self.broker.output_written(link, output.len(), NOW);
        let mut input = &output[..];
        let mut packets = Vec::new();
        while let Some(packet) =
            Packet::decode(&mut input, Version::V311, Sender::Server).expect("a packet")
        {
            packets.push(match packet {
                Packet::Publish(publish) => {
                    let id = publish.delivery.packet_id().map_or(0, PacketId::get);
                    let text = String::from_utf8_lossy(publish.payload);
                    format!("{text}@{}#{id}", publish.delivery.qos().level())
                }
                Packet::PubRel(ack) => format!("PUBREL#{}", ack.packet_id.get()),
                other => format!("{:?}", other.packet_type()),
            });
        }
        packets
    }

    fn connect(&mut self, name: &str, clean: bool) -> LinkId {
        let link = self.broker.open(NOW).expect("room");
        let client_id = Text::new(name).expect("a name");
        let connect = Connect { clean_start: clean, ..Connect::new(Version::V311, client_id) };
        self.send(link, &Packet::Connect(connect));
        link
    }
}

fn publish(id: u16, qos: QoS, text: &str) -> Packet<'_> {
    let packet_id = PacketId::new(id).expect("not 0");
    let delivery = match qos {
        QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup: false },
        _ => Delivery::AtLeastOnce { packet_id, dup: false },
    };
    let topic = TopicName::new("a/b").expect("a topic");
    Packet::Publish(Publish { delivery, ..Publish::new(topic, text.as_bytes()) })
}

#[test]
fn acknowledgements_wait_for_the_store_and_messages_survive_a_crash() {
    let mut bench = Bench::new(Vec::new());
    let sub = bench.connect("sub", false);
    assert!(bench.received(sub).is_empty(), "CONNACK waits");
    bench.persist();
    assert_eq!(bench.received(sub), ["ConnAck"]);
    let wanted = [Subscription::new(TopicFilter::new("a/+").expect("a filter"))];
    bench.send(
        sub,
        &Packet::Subscribe(Subscribe {
            packet_id: PacketId::MIN,
            properties: Default::default(),
            subscriptions: Items::from(&wanted),
        }),
    );
    assert!(bench.received(sub).is_empty(), "SUBACK waits");
    bench.persist();
    assert_eq!(bench.received(sub), ["SubAck"]);
    bench.broker.handle_close(sub, NOW);

    let publisher = bench.connect("pub", false);
    bench.persist();
    assert_eq!(bench.received(publisher), ["ConnAck"]);
    bench.send(publisher, &publish(1, QoS::AtLeastOnce, "one"));
    bench.send(publisher, &publish(2, QoS::ExactlyOnce, "two"));
    bench.send(publisher, &publish(3, QoS::AtLeastOnce, "three"));
    assert!(bench.received(publisher).is_empty());
    bench.take();
    bench.send(publisher, &publish(4, QoS::AtLeastOnce, "lost"));
    bench.take();
    let (first, records) = bench.store.pending.remove(0);
    bench.store.kept.extend(records);
    bench.broker.handle_persisted(first, NOW);
    assert_eq!(bench.received(publisher), ["PubAck", "PubRec", "PubAck"]);

    // The crash: the last ticket was never kept, and never acknowledged.
    let mut bench = Bench::new(bench.store.kept);
    let sub = bench.connect("sub", false);
    bench.persist();
    let mut got = bench.received(sub);
    bench.persist();
    got.extend(bench.received(sub));
    assert_eq!(got, ["ConnAck", "one@1#1", "two@2#2", "three@1#3"]);
    // The exactly-once message is repeated by its publisher, and answered, but not routed again.
    let publisher = bench.connect("pub", false);
    bench.persist();
    bench.received(publisher);
    bench.send(publisher, &publish(2, QoS::ExactlyOnce, "two"));
    assert_eq!(bench.received(publisher), ["PubRec"]);
    bench.send(publisher, &Packet::PubRel(Ack::new(PacketId::new(2).expect("not 0"))));
    assert!(bench.received(publisher).is_empty(), "PUBCOMP waits");
    bench.persist();
    assert_eq!(bench.received(publisher), ["PubComp"]);
    // The subscriber settles; PUBREL waits for the record of PUBREC.
    let id = |number| PacketId::new(number).expect("not 0");
    bench.send(sub, &Packet::PubAck(Ack::new(id(1))));
    bench.send(sub, &Packet::PubRec(Ack::new(id(2))));
    bench.send(sub, &Packet::PubAck(Ack::new(id(3))));
    assert!(bench.received(sub).is_empty());
    bench.persist();
    assert_eq!(bench.received(sub), ["PUBREL#2"]);

    let mut bench = Bench::new(bench.store.kept);
    let sub = bench.connect("sub", false);
    bench.persist();
    assert_eq!(bench.received(sub), ["ConnAck", "PUBREL#2"]);
    bench.send(sub, &Packet::PubComp(Ack::new(id(2))));
    assert_eq!(bench.broker.kept(), (0, 0));
}

/// A broker says it anew after a restart, and an idle one writes nothing.
#[test]
fn what_a_broker_says_of_itself_is_not_kept() {
    let mut bench = Bench::new(Vec::new());
    let mut says = |topic: &str, payload: &[u8]| {
        let topic = TopicName::new(topic).expect("a topic");
        bench.broker.publish(topic, payload, QoS::AtMostOnce, true, NOW);
        bench.take();
        bench.store.pending.len()
    };
    assert_eq!(says("$SYS/broker/uptime", b"7 seconds"), 0);
    assert_eq!(says("$SYS/broker/uptime", b""), 0);
    assert_eq!(says("house/door", b"open"), 1);
    bench.broker.records();
    bench.take();
    let (_, all) = bench.store.pending.last().expect("all of it once more");
    let is_own = |bytes: &&Vec<u8>| bytes.windows(5).any(|part| part == b"$SYS/");
    assert_eq!(all.iter().filter(is_own).count(), 0);
}
