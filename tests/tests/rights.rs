//! Rule sets: who may publish and read what, and when a change of that is felt.

use tamtam_core::broker::{
    Acceptance, Access, Broker, Event, Input, LinkId, Options, Permission, Rule, RulesId, Verdict,
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

/// A die of so many sides, thrown again and again.
fn dice(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |sides| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as usize % sides
    }
}

/// Many rules are found in a tree; what they say is what few say, which are looked through.
#[test]
fn many_rules_say_what_few_say() {
    const LEVELS: [&str; 12] =
        ["a", "b", "", "+", "+", "%c", "%u", "x%c", "$a", "lamp", "lamp%", "#"];
    const TOPICS: [&str; 8] = ["a", "b", "", "$a", "lamp", "xlamp", "lamp%", "%c"];
    let often = if cfg!(debug_assertions) { 300 } else { 3_000 };
    let path = |roll: &mut dyn FnMut(usize) -> usize, levels: &[&str]| {
        let count = 1 + roll(4);
        (0..count).map(|_| levels[roll(levels.len())]).collect::<Vec<_>>().join("/")
    };
    let mut spoken = [0; 2];
    let mut hall = Hall::new(&[]);
    let few = hall.connect("lamp", Some(RulesId(2)));
    let many = hall.connect("lamp%", Some(RulesId(3)));
    for seed in 0..often {
        let mut roll = dice(seed);
        let filters: Vec<_> = (0..16).map(|_| path(&mut roll, &LEVELS)).collect();
        let rules: Vec<_> = filters
            .iter()
            .map(|filter| Rule {
                filter: filter.as_str(),
                access: [Access::Read, Access::Write, Access::ReadWrite][roll(3)],
                permission: [Permission::Allow, Permission::Deny][roll(2)],
            })
            .collect();
        hall.0.rules(RulesId(2), &rules).expect("room");
        // The same, and others in between that speak of nothing that there is.
        let mut more = rules.clone();
        for _ in 0..1 + roll(20) {
            more.insert(roll(more.len() + 1), Rule::allow("c/%u/+/#", Access::Write));
        }
        hall.0.rules(RulesId(3), &more).expect("room");
        for _ in 0..30 {
            let topic = path(&mut roll, &TOPICS);
            if topic.is_empty() || topic.starts_with('$') && topic.len() < 2 {
                continue;
            }
            for client in ["lamp", "lamp%"] {
                let link = if client == "lamp" { few } else { many };
                for set in [RulesId(2), RulesId(3)] {
                    assert!(hall.0.entitle(client, Some(set), None));
                    let said = hall.publish(link, &topic);
                    spoken[usize::from(said == [DENIED])] += 1;
                    hall.0.entitle(client, Some(RulesId(5 - set.0)), None);
                    assert_eq!(said, hall.publish(link, &topic), "{topic} {client} {rules:?}");
                }
            }
        }
    }
    assert!(spoken[0] > 1_000 && spoken[1] > 1_000, "{spoken:?}");
}

/// So many wildcards side by side that a walk through the tree has no room: then they are looked
/// through, and the last one still denies.
#[test]
fn no_number_of_wildcards_hides_a_rule() {
    let depth = 14;
    let filter = |wild: usize| {
        let level = |at: usize| if wild >> at & 1 == 1 { "+" } else { "a" };
        (0..depth).map(level).collect::<Vec<_>>().join("/")
    };
    let filters: Vec<_> = (1..1 << depth).step_by(7).map(filter).collect();
    let topic = filter(0);
    for access in [Access::Write, Access::Read] {
        let mut rules: Vec<_> = filters.iter().map(|one| Rule::allow(one, Access::Read)).collect();
        rules.push(Rule::allow("a/#", access));
        let mut hall = Hall::new(&rules);
        let link = hall.connect("lamp", Some(RULES));
        let denied = hall.publish(link, &topic) == [DENIED];
        assert_eq!(denied, access == Access::Read);
    }
}

/// Sets that are replaced again and again leave nothing behind, and others alone.
#[test]
fn sets_of_many_rules_are_replaced() {
    let filters: Vec<_> = (0..100).map(|number| format!("t/{number}/+")).collect();
    let set = |from: usize| -> Vec<_> {
        filters.iter().skip(from).map(|one| Rule::allow(one, Access::Write)).collect()
    };
    let mut hall = Hall::new(&set(0));
    hall.0.rules(RulesId(9), &set(50)).expect("room");
    let [one, other] = [("one", RULES), ("other", RulesId(9))]
        .map(|(name, rules)| hall.connect(name, Some(rules)));
    for from in (0..99).chain(0..99) {
        hall.0.rules(RULES, &set(from)).expect("room");
        for number in [0, 49, 50, 98] {
            let topic = format!("t/{number}/x");
            assert_eq!(hall.publish(one, &topic) == [DENIED], number < from, "{topic} {from}");
            assert_eq!(hall.publish(other, &topic) == [DENIED], number < 50, "{topic} {from}");
        }
    }
}
