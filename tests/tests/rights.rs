//! Rule sets: who may publish and read what, and when a change of that is felt.

use tamtam_core::broker::{
    Acceptance, Access, Broker, Event, Input, LinkId, Options, Rule, RulesId, Verdict,
};
use tamtam_core::{
    Connect, Delivery, Heap, Instant, Items, Packet, PacketId, Publish, QoS, ReasonCode, Sender,
    Subscribe, Subscription, Text, TopicFilter, TopicName, Version,
};

const NOW: Instant = Instant::from_millis(1_000);
const RULES: RulesId = RulesId(1);

struct Hall(Broker<Heap>);

impl Hall {
    fn new(rules: &[Rule<'_>]) -> Self {
        let mut broker = Broker::new();
        broker.start(&Options { ask_connect: true, ..Options::DEFAULT }, 7);
        broker.rules(RULES, rules).expect("room");
        Self(broker)
    }

    fn send(&mut self, link: LinkId, packet: &Packet<'_>) -> Input {
        let mut bytes = [0; 256];
        let len = packet.encode(Version::V5, &mut bytes).expect("a packet");
        self.0.handle_input(link, &mut &bytes[..len], NOW)
    }

    /// Connects a client of this name, and of a user of the same name, under the rules.
    fn connect(&mut self, name: &str, rules: Option<RulesId>) -> LinkId {
        let link = self.0.open(NOW).expect("room");
        let text = Text::new(name).expect("a name");
        let connect = Connect { user_name: Some(text), ..Connect::new(Version::V5, text) };
        assert_eq!(self.send(link, &Packet::Connect(connect)), Input::Blocked);
        let ask = std::iter::from_fn(|| self.0.poll_event()).find_map(|event| match event {
            Event::Ask(ask) => Some(ask),
            _ => None,
        });
        let ask = ask.expect("a question");
        let asked = self.0.connect_of(ask).expect("the CONNECT");
        assert_eq!(asked.client_id, name);
        self.0.answer(ask, Verdict::Accept(Acceptance { rules, ..Acceptance::default() }), NOW);
        assert_eq!(self.received(link), ["CONNACK"]);
        link
    }

    fn publish(&mut self, link: LinkId, topic: &str) -> Vec<String> {
        let delivery = Delivery::AtLeastOnce { packet_id: PacketId::MIN, dup: false };
        let topic = TopicName::new(topic).expect("a topic");
        let publish = Publish { delivery, ..Publish::new(topic, b"x") };
        let _ = self.send(link, &Packet::Publish(publish));
        self.received(link)
    }

    fn subscribe(&mut self, link: LinkId, filter: &str) -> Vec<String> {
        let filter = TopicFilter::new(filter).expect("a filter");
        let wanted = [Subscription::new(filter).qos(QoS::AtMostOnce)];
        let _ = self.send(
            link,
            &Packet::Subscribe(Subscribe {
                packet_id: PacketId::MIN,
                properties: Default::default(),
                subscriptions: Items::from(&wanted),
            }),
        );
        self.received(link)
    }

    fn received(&mut self, link: LinkId) -> Vec<String> {
        let output = self.0.output(link).to_vec();
        self.0.output_written(link, output.len(), NOW);
        let mut input = &output[..];
        let mut packets = Vec::new();
        while let Some(packet) =
            Packet::decode(&mut input, Version::V5, Sender::Server).expect("a packet")
        {
            packets.push(match packet {
                Packet::Publish(publish) => publish.topic.expect("a topic").to_string(),
                Packet::PubAck(ack) => ack.reason.name().to_string(),
                Packet::SubAck(suback) => suback.codes.iter().next().expect("a code").to_string(),
                other => other.packet_type().to_string(),
            });
        }
        packets
    }
}

const DENIED: &str = "not authorized";

#[test]
fn the_first_rule_that_speaks_of_a_topic_decides() {
    let mut hall = Hall::new(&[
        Rule::deny("site/secret/#", Access::ReadWrite),
        Rule::allow("site/#", Access::Write),
        Rule::allow("device/%c/+", Access::ReadWrite),
        Rule::allow("home/%u", Access::Write),
    ]);
    let link = hall.connect("lamp", Some(RULES));
    let no_one = ReasonCode::NoMatchingSubscribers.name();
    assert_eq!(hall.publish(link, "site/a/b"), [no_one]);
    assert_eq!(hall.publish(link, "site/secret/b"), [DENIED]);
    assert_eq!(hall.publish(link, "device/lamp/state"), [no_one]);
    assert_eq!(hall.publish(link, "device/other/state"), [DENIED]);
    assert_eq!(hall.publish(link, "home/lamp"), [no_one]);
    assert_eq!(hall.publish(link, "elsewhere"), [DENIED]);
}

#[test]
fn what_may_not_be_read_is_not_sent_however_wide_the_filter() {
    let mut hall = Hall::new(&[Rule::allow("device/%c/+", Access::Read)]);
    let link = hall.connect("lamp", Some(RULES));
    let free = hall.connect("free", None);
    assert_eq!(hall.subscribe(link, "other/#"), ["not authorized (0x87)"]);
    assert_eq!(hall.subscribe(link, "#"), ["success (0x00)"]);
    hall.publish(free, "device/lamp/on");
    hall.publish(free, "device/fan/on");
    assert_eq!(hall.received(link), ["device/lamp/on"]);
    assert_eq!(hall.0.counters().dropped_rights, 1);
}

#[test]
fn a_set_that_is_stored_again_holds_at_once() {
    let mut hall = Hall::new(&[Rule::allow("#", Access::ReadWrite)]);
    let link = hall.connect("lamp", Some(RULES));
    assert_eq!(hall.subscribe(link, "a/#"), ["success (0x00)"]);
    assert_eq!(hall.publish(link, "a/b"), ["a/b", "success"]);
    hall.0.rules(RULES, &[Rule::allow("a/b", Access::Write)]).expect("room");
    assert_eq!(hall.publish(link, "a/b"), ["success"]);
    hall.0.rules(RULES, &[]).expect("room");
    assert_eq!(hall.publish(link, "a/b"), [DENIED], "an empty set allows nothing");
}

#[test]
fn a_refused_client_is_told_and_closed() {
    let mut hall = Hall::new(&[]);
    let link = hall.0.open(NOW).expect("room");
    let connect = Connect::new(Version::V5, Text::new("x").expect("a name"));
    assert_eq!(hall.send(link, &Packet::Connect(connect)), Input::Blocked);
    let Some(Event::Ask(ask)) = hall.0.poll_event() else { panic!("no question") };
    hall.0.answer(ask, Verdict::refuse(ReasonCode::Banned), NOW);
    assert_eq!(hall.received(link), ["CONNACK"]);
    let events: Vec<_> = std::iter::from_fn(|| hall.0.poll_event()).collect();
    assert!(events.contains(&Event::Close(link)), "{events:?}");
}
