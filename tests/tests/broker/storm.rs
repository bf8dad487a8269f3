//! Joined brokers in a storm: messages between them are late, they part and meet, and clients move
//! from one to another while messages are on their way. What was acknowledged arrives: at QoS 1 at
//! least once, at QoS 2 once, in order. What is lost, as brokers part while sessions are on their
//! way, is counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    /// Whether its session is a new one, though it was not told.
    is_new: bool,
    /// How much was published when it was accepted last; and between which numbers its session was
    /// lost, so that nobody knew what it wants.
    accepted_at: u32,
    gaps: Vec<std::ops::RangeInclusive<u32>>,
    /// Whether it had two sessions at once, as one went on where it had been.
    split: bool,
}

/// What happens besides messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    /// Clients move from broker to broker.
    Moves,
    /// Brokers part and meet.
    Parts,
    /// Both, but nobody connects while brokers are parted: sessions may be lost on their way.
    Cuts,
    /// Both at any time: a client may have several sessions.
    Wild,
}

impl Weather {
    fn moves(self) -> bool {
        self != Self::Parts
    }

    fn parts(self) -> bool {
        self != Self::Moves
    }

    /// Whether sessions may be lost.
    fn loses(self) -> bool {
        matches!(self, Self::Cuts | Self::Wild)
    }
}

struct Storm {
    brokers: Vec<Broker<Heap>>,
    peers: Peers,
    dice: Dice,
    now: Instant,
    clients: Vec<Client>,
    /// Whose each connection is, or was.
    owners: HashMap<(usize, LinkId), usize>,
    numbers: u32,
    acknowledged: Vec<Sent>,
    parted: BTreeSet<(usize, usize)>,
    weather: Weather,
    /// What was published before this does not have to arrive, or not once.
    since: u32,
}

fn delivery_of(sent: Sent, number: u16, dup: bool) -> Vec<u8> {
    let payload = format!("{} {} {}", sent.publisher, sent.qos.level(), sent.number);
    let publish = Publish::new(topic(TOPICS[sent.topic]), payload.as_bytes());
    let delivery = delivery(sent.qos, number, dup);
    bytes(V5, &[Packet::Publish(Publish { delivery, ..publish })])
}

impl Storm {
    fn new(seed: u64, lost: PeerLost, weather: Weather) -> Self {
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
        let (numbers, since, owners) = (0, 0, HashMap::new());
        Self {
            brokers,
            peers,
            dice,
            now,
            clients,
            owners,
            numbers,
            acknowledged,
            parted,
            weather,
            since,
        }
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
    fn connect(&mut self, at: usize) {
        if self.weather == Weather::Cuts && !self.parted.is_empty() {
            return;
        }
        if self.dice.chance(50)
            && let Some((place, link)) = self.clients[at].link.take()
        {
            self.brokers[place].handle_close(link, self.now);
        }
        let place = if self.weather.moves() { self.dice.below(3) } else { at % 3 };
        let link = self.brokers[place].open(self.now).expect("room");
        self.owners.insert((place, link), at);
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
        let Some(at) = self.clients.iter().position(whose) else {
            return self.overlook((place, link), &output);
        };
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

    /// A client does not see what comes on a connection that it gave up: that its session is a new
    /// one it has to know all the same.
    fn overlook(&mut self, connection: (usize, LinkId), mut output: &[u8]) {
        if let (Some(at), Ok(Some(Packet::ConnAck(connack)))) =
            (self.owners.get(&connection), Packet::decode(&mut output, V5, Sender::Server))
        {
            let accepted = connack.reason == ReasonCode::Success;
            let client = &mut self.clients[*at];
            client.is_new |= accepted && !connack.session_present && client.subscribed;
        }
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
        let present = !std::mem::take(&mut client.is_new) && present;
        let before = std::mem::replace(&mut client.accepted_at, self.numbers);
        if !present && self.weather.loses() {
            client.gaps.push(before..=self.numbers);
            client.subscribed = false;
            client.begun.clear();
            client.order.clear();
            client.received.clear();
        }
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

    fn step(&mut self) {
        let parts = self.weather.parts();
        self.now = self.now.plus_millis(1);
        let at = self.dice.below(CLIENTS);
        match self.dice.below(100) {
            0..4 => self.connect(at),
            4..5 if parts => self.part_or_meet(false),
            5..10 => self.part_or_meet(true),
            10..50 => self.publish(at),
            _ => {
                self.carry();
            }
        }
        self.serve();
        for (client, name) in self.clients.iter_mut().zip(NAMES) {
            let has_it = |broker: &&Broker<Heap>| broker.session_of(name).is_some();
            client.split |= self.brokers.iter().filter(has_it).count() > 1;
        }
    }

    fn settle(&mut self) {
        while !self.parted.is_empty() {
            self.part_or_meet(true);
        }
        for _ in 0..3 {
            for at in 0..CLIENTS {
                if !self.clients[at].accepted {
                    self.connect(at);
                }
            }
            self.serve();
            while self.carry() {
                self.serve();
            }
        }
    }

    /// How much brokers say is missing.
    fn counted(&self) -> u64 {
        let counters = self.brokers.iter().map(Broker::counters);
        counters.map(|one| one.dropped_session + one.dropped_peers + one.unsure_peers).sum()
    }

    fn check(&self, seed: u64) {
        let mut missing = 0;
        for (at, client) in self.clients.iter().enumerate() {
            assert!(client.accepted, "seed {seed}: {at} waits for its session");
            assert!(client.order.is_empty(), "seed {seed}: {at} waits for {:?}", client.begun);
            let mut last = BTreeMap::new();
            let mut seen = BTreeSet::new();
            for sent in client.got.iter().filter(|sent| sent.number > self.since) {
                let new = seen.insert(*sent);
                let twice = !new && sent.qos == Q2;
                let split = client.split || self.clients[sent.publisher].split;
                assert!(!twice || split, "seed {seed}: {at} got {sent:?} twice");
                // What waits for a lost peer is overtaken by what comes another way.
                if new && !self.weather.loses() {
                    let before = last.insert((sent.publisher, sent.qos), sent.number);
                    let in_order = before.is_none_or(|before| before < sent.number);
                    assert!(in_order, "seed {seed}: {at} got {sent:?} behind {before:?}");
                }
            }
            let knew = |number| !client.gaps.iter().any(|gap| gap.contains(&number));
            let due =
                |sent: &&Sent| sent.topic == at && sent.number > self.since && knew(sent.number);
            for sent in self.acknowledged.iter().filter(due) {
                let lost = self.weather.loses() && !seen.contains(sent);
                missing += u64::from(lost);
                assert!(lost || seen.contains(sent), "seed {seed}: {at} never got {sent:?}");
            }
        }
        let counted = self.counted();
        assert!(missing <= counted, "seed {seed}: {missing} are missing, {counted} were counted");
        let sessions: usize = self.brokers.iter().map(Broker::session_count).sum();
        assert_eq!(sessions, CLIENTS, "seed {seed}: each has one");
        for broker in &self.brokers {
            assert_eq!(broker.kept().0, 0, "seed {seed}: messages that nobody waits for");
        }
    }
}

fn run(seed: u64, lost: PeerLost, weather: Weather) -> Storm {
    let mut storm = Storm::new(seed, lost, weather);
    if weather.parts() {
        storm.settle(); // peers that are apart do not hear of subscriptions
    }
    for _ in 0..3 {
        for _ in 0..400 {
            storm.step();
        }
        storm.settle();
    }
    if weather != Weather::Wild {
        storm.check(seed);
    }
    assert!(storm.acknowledged.len() > 50, "seed {seed}: too little happened");
    storm
}

#[test]
fn what_is_acknowledged_arrives_though_peers_are_late_and_clients_move() {
    for seed in 0..100 {
        run(seed, PeerLost::Keep, Weather::Moves);
    }
}

/// Who can't reach the broker of its session while it moves has another one: clients stay.
#[test]
fn what_is_acknowledged_arrives_though_peers_part() {
    for seed in 100..150 {
        run(seed, PeerLost::Keep, Weather::Parts);
        run(seed, PeerLost::Wait, Weather::Parts);
    }
}

/// Brokers part while sessions are on their way: what is missing is counted, and nothing comes
/// twice.
#[test]
fn what_is_lost_with_a_session_that_moves_is_counted() {
    for seed in 200..260 {
        run(seed, POLICIES[seed as usize % 3], Weather::Cuts);
    }
}

/// Clients move while brokers are parted. Once they are together again each client has one session,
/// and all is as if they had never parted.
#[test]
fn brokers_that_meet_agree_whose_sessions_hold() {
    for seed in 300..360 {
        let mut storm = run(seed, POLICIES[seed as usize % 3], Weather::Wild);
        (storm.weather, storm.since) = (Weather::Moves, storm.numbers);
        for at in 0..CLIENTS {
            // One of its sessions may never have been, and it knows of identifiers of another.
            storm.clients[at].subscribed = false;
            storm.clients[at].received.clear();
            storm.clients[at].split = false;
            storm.connect(at);
        }
        storm.settle();
        for _ in 0..400 {
            storm.step();
        }
        storm.settle();
        storm.check(seed);
    }
}

const POLICIES: [PeerLost; 3] = [PeerLost::Keep, PeerLost::Wait, PeerLost::Forget];
