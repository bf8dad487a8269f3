//! Joined brokers in a storm: messages between them are late, they part and meet, and clients move
//! from one to another while messages are on their way. What was acknowledged arrives: at QoS 1 at
//! least once, at QoS 2 once, in order.

use std::collections::{BTreeMap, BTreeSet};

use tamtam_core::broker::PeerLost;
use tamtam_tests::broker::peers::Peers;
use tamtam_tests::dice::Dice;

use crate::support::*;

const CLIENTS: usize = 5;
const NAMES: [&str; CLIENTS] = ["one", "two", "three", "four", "five"];
const TOPICS: [&str; CLIENTS] = ["s/0", "s/1", "s/2", "s/3", "s/4"];

/// A message that was published: by whom, to whom, at which QoS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    publisher: usize,
    topic: usize,
    qos: QoS,
    number: u32,
}

/// A client: what it has begun, and what came.
#[derive(Default)]
struct Client {
    /// Its connection and its broker, and whether it was accepted.
    link: Option<(usize, LinkId)>,
    accepted: bool,
    part: Vec<u8>,
    unread: Vec<u8>,
    last_id: u16,
    /// What it published and is not done with, in order; and past PUBREC.
    begun: BTreeMap<u16, (Sent, bool)>,
    order: Vec<u16>,
    received: BTreeSet<u16>,
    got: Vec<Sent>,
    subscribed: bool,
}

struct Storm {
    brokers: Vec<Broker<Heap>>,
    peers: Peers,
    dice: Dice,
    now: Instant,
    clients: Vec<Client>,
    numbers: u32,
    acknowledged: Vec<Sent>,
    parted: BTreeSet<(usize, usize)>,
}

fn delivery_of(sent: Sent, number: u16, dup: bool) -> Vec<u8> {
    let payload = format!("{} {} {}", sent.publisher, sent.qos.level(), sent.number);
    let publish = Publish::new(topic(TOPICS[sent.topic]), payload.as_bytes());
    let delivery = delivery(sent.qos, number, dup);
    bytes(V5, &[Packet::Publish(Publish { delivery, ..publish })])
}

impl Storm {
    fn new(seed: u64, lost: PeerLost) -> Self {
        let now = Instant::from_millis(1_000);
        let mut brokers: Vec<Broker<Heap>> = core::iter::repeat_with(Broker::new).take(3).collect();
        for (broker, number) in brokers.iter_mut().zip(0..) {
            broker.start(&Options::DEFAULT, seed * 10 + number);
        }
        let mut all: Vec<_> = brokers.iter_mut().collect();
        let peers = Peers::join(&mut all, lost, seed, now);
        let clients = core::iter::repeat_with(Client::default).take(CLIENTS).collect();
        let dice = Dice::new(seed);
        let (acknowledged, parted) = (Vec::new(), BTreeSet::new());
        Self { brokers, peers, dice, now, clients, numbers: 0, acknowledged, parted }
    }

    fn carry(&mut self) -> bool {
        let mut all: Vec<_> = self.brokers.iter_mut().collect();
        self.peers.carry(&mut all, self.now)
    }

    fn part_or_meet(&mut self, meet: bool) {
        let pair = self.dice.pick(&[(1, 0), (2, 0), (2, 1)]);
        let mut all: Vec<_> = self.brokers.iter_mut().collect();
        if self.parted.remove(&pair) {
            self.peers.connect(&mut all, pair.0, pair.1, self.now);
        } else if !meet && self.parted.is_empty() {
            self.parted.insert(pair);
            self.peers.cut(&mut all, pair.0, pair.1, self.now);
        }
    }

    /// A client connects, wherever that is; what it was connected to before is lost, or taken over.
    fn connect(&mut self, at: usize, moves: bool) {
        if self.dice.chance(50)
            && let Some((place, link)) = self.clients[at].link.take()
        {
            self.brokers[place].handle_close(link, self.now);
        }
        let place = if moves { self.dice.below(self.brokers.len()) } else { at % 3 };
        let link = self.brokers[place].open(self.now).expect("room");
        let client = &mut self.clients[at];
        (client.link, client.accepted) = (Some((place, link)), false);
        client.part.clear();
        client.unread.clear();
        self.send(at, &bytes(V5, &[Packet::Connect(kept(V5, NAMES[at]))]));
    }

    fn send(&mut self, at: usize, packet: &[u8]) {
        let Some((place, link)) = self.clients[at].link else { return };
        self.clients[at].unread.extend_from_slice(packet);
        let unread = core::mem::take(&mut self.clients[at].unread);
        let mut input = &unread[..];
        let _ = self.brokers[place].handle_input(link, &mut input, self.now);
        self.clients[at].unread = input.to_vec();
    }

    fn publish(&mut self, at: usize) {
        let topic = self.dice.below(CLIENTS);
        let ready = self.clients[topic].subscribed && self.clients[at].accepted;
        if !ready || self.clients[at].order.len() > 10 {
            return;
        }
        self.numbers += 1;
        let qos = self.dice.pick(&[Q1, Q2]);
        let sent = Sent { publisher: at, topic, qos, number: self.numbers };
        let client = &mut self.clients[at];
        client.last_id = client.last_id % 60_000 + 1;
        let number = client.last_id;
        client.begun.insert(number, (sent, false));
        client.order.push(number);
        self.send(at, &delivery_of(sent, number, false));
    }

    /// Everything that brokers tell is heeded, and everything they send is read.
    fn serve(&mut self) {
        for place in 0..self.brokers.len() {
            while let Some(event) = self.brokers[place].poll_event() {
                match event {
                    Event::Close(link) => {
                        self.read(place, link);
                        self.brokers[place].handle_close(link, self.now);
                        let ended = self.clients.iter_mut();
                        for client in ended.filter(|one| one.link == Some((place, link))) {
                            (client.link, client.accepted) = (None, false);
                        }
                    }
                    Event::Resume(link) => {
                        let whose = |client: &Client| client.link == Some((place, link));
                        if let Some(at) = self.clients.iter().position(whose) {
                            self.send(at, b"");
                        }
                    }
                    _ => {}
                }
            }
            while let Some(link) = self.brokers[place].next_writable() {
                self.read(place, link);
            }
        }
    }

    fn read(&mut self, place: usize, link: LinkId) {
        let output = self.brokers[place].output(link).to_vec();
        self.brokers[place].output_written(link, output.len(), self.now);
        let whose = |client: &Client| client.link == Some((place, link));
        let Some(at) = self.clients.iter().position(whose) else { return };
        self.clients[at].part.extend_from_slice(&output);
        let part = core::mem::take(&mut self.clients[at].part);
        let mut input = &part[..];
        while let Some(packet) =
            Packet::decode(&mut input, V5, Sender::Server).expect("a server's packet")
        {
            self.handle(at, &packet);
        }
        self.clients[at].part = input.to_vec();
    }

    fn handle(&mut self, at: usize, packet: &Packet<'_>) {
        let client = &mut self.clients[at];
        match packet {
            Packet::ConnAck(connack) if connack.reason == ReasonCode::Success => {
                self.accepted(at, connack.session_present);
            }
            Packet::Publish(publish) => {
                let number = publish.delivery.packet_id().expect("not QoS 0").get();
                let name = publish.topic.expect("no alias").as_str();
                let topic = TOPICS.iter().position(|topic| *topic == name).expect("a topic");
                let text = core::str::from_utf8(publish.payload).expect("text");
                let parts: Vec<usize> =
                    text.split(' ').map(|one| one.parse().expect("one")).collect();
                let (publisher, qos) = (parts[0], QOS[parts[1]]);
                let sent = Sent { publisher, topic, qos, number: parts[2] as u32 };
                if publish.delivery.qos() == Q1 {
                    client.got.push(sent);
                    self.send(at, &bytes(V5, &[puback(number)]));
                } else {
                    if client.received.insert(number) {
                        client.got.push(sent);
                    }
                    self.send(at, &bytes(V5, &[pubrec(number)]));
                }
            }
            Packet::PubRel(ack) => {
                client.received.remove(&ack.packet_id.get());
                self.send(at, &bytes(V5, &[pubcomp(ack.packet_id.get())]));
            }
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubComp(ack) => {
                let (number, is_rec) = (ack.packet_id.get(), matches!(packet, Packet::PubRec(_)));
                let Some((sent, past)) = client.begun.get_mut(&number) else { return };
                if is_rec {
                    if !core::mem::replace(past, true) {
                        self.acknowledged.push(*sent);
                    }
                    return self.send(at, &bytes(V5, &[pubrel(number)]));
                }
                if sent.qos == Q1 {
                    self.acknowledged.push(*sent);
                }
                client.begun.remove(&number);
                client.order.retain(|one| *one != number);
            }
            Packet::SubAck(_) => client.subscribed = true,
            _ => {}
        }
    }

    /// A client goes on with what it began.
    fn accepted(&mut self, at: usize, present: bool) {
        let client = &mut self.clients[at];
        client.accepted = true;
        assert!(present || !client.subscribed, "the session of {at} is lost");
        let mut packets = Vec::new();
        for number in &client.order {
            let (sent, past) = client.begun[number];
            packets.extend(if past {
                bytes(V5, &[pubrel(*number)])
            } else {
                delivery_of(sent, *number, true)
            });
        }
        if !client.subscribed {
            let list = [sub(TOPICS[at]).qos(Q2), sub("s/+").qos(Q2)];
            let (packet_id, properties) = (id(65_000), Properties::EMPTY);
            let subscriptions = Items::from(&list[..1]);
            let packet = Subscribe { packet_id, properties, subscriptions };
            packets.extend(bytes(V5, &[Packet::Subscribe(packet)]));
        }
        self.send(at, &packets);
    }

    fn step(&mut self, parts: bool) {
        self.now = self.now.plus_millis(1);
        let at = self.dice.below(CLIENTS);
        match self.dice.below(100) {
            0..4 => self.connect(at, !parts),
            4..5 if parts => self.part_or_meet(false),
            5..10 => self.part_or_meet(true),
            10..50 => self.publish(at),
            _ => {
                self.carry();
            }
        }
        self.serve();
    }

    fn settle(&mut self, parts: bool) {
        while !self.parted.is_empty() {
            self.part_or_meet(true);
        }
        for _ in 0..3 {
            for at in 0..CLIENTS {
                if !self.clients[at].accepted {
                    self.connect(at, !parts);
                }
            }
            self.serve();
            while self.carry() {
                self.serve();
            }
        }
    }

    fn check(&self, seed: u64) {
        for (at, client) in self.clients.iter().enumerate() {
            assert!(client.order.is_empty(), "seed {seed}: {at} waits for {:?}", client.begun);
            let mut last = BTreeMap::new();
            let mut seen = BTreeSet::new();
            for sent in &client.got {
                let new = seen.insert(*sent);
                assert!(new || sent.qos == Q1, "seed {seed}: {at} got {sent:?} twice");
                if new {
                    let before = last.insert((sent.publisher, sent.qos), sent.number);
                    let in_order = before.is_none_or(|before| before < sent.number);
                    assert!(in_order, "seed {seed}: {at} got {sent:?} behind {before:?}");
                }
            }
            for sent in self.acknowledged.iter().filter(|sent| sent.topic == at) {
                assert!(seen.contains(sent), "seed {seed}: {at} never got {sent:?}");
            }
        }
        for broker in &self.brokers {
            assert_eq!(broker.kept().0, 0, "seed {seed}: messages that nobody waits for");
        }
    }
}

fn run(seed: u64, lost: PeerLost, parts: bool) {
    let mut storm = Storm::new(seed, lost);
    if parts {
        storm.settle(parts); // peers that are apart do not hear of subscriptions
    }
    for _ in 0..3 {
        for _ in 0..400 {
            storm.step(parts);
        }
        storm.settle(parts);
    }
    storm.check(seed);
    assert!(storm.acknowledged.len() > 50, "seed {seed}: too little happened");
}

#[test]
fn what_is_acknowledged_arrives_though_peers_are_late_and_clients_move() {
    for seed in 0..100 {
        run(seed, PeerLost::Keep, false);
    }
}

/// Who can't reach the broker of its session while it moves has another one: clients stay.
#[test]
fn what_is_acknowledged_arrives_though_peers_part() {
    for seed in 100..150 {
        run(seed, PeerLost::Keep, true);
        run(seed, PeerLost::Wait, true);
    }
}
