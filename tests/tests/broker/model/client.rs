//! A client's end: what it has begun and what it owes, as its session keeps it.

use core::num::NonZeroU16;
use std::collections::{BTreeMap, BTreeSet};

use super::WILLS;
use super::account::{Account, Message, Sub, Will};
use crate::support::{self, *};

/// What a client owes for a message that it received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owes {
    PubAck,
    PubRec,
    /// Nothing, until PUBREL comes.
    Waits,
    PubComp,
}

/// A message at QoS 2 that was begun.
#[derive(Clone, Copy, Debug)]
struct Begun {
    number: u16,
    message: Message,
    /// Whether PUBREC came, and whether PUBREL was sent on this connection.
    received: bool,
    released: bool,
}

pub(crate) struct Client {
    at: usize,
    /// Which broker it is, or was last, connected to.
    pub(crate) place: usize,
    link: Option<LinkId>,
    pub(crate) version: Version,
    window: usize,
    part: Vec<u8>,
    last_id: u16,
    owes: BTreeMap<u16, (u32, Owes)>,
    /// The messages that came on this connection and are not settled.
    here: BTreeSet<u16>,
    begun: Vec<Begun>,
}

const NAMES: [&str; 5] = ["one", "two", "three", "four", "five"];

pub(crate) fn connect(
    at: usize,
    version: Version,
    clean: bool,
    kept: bool,
    window: u16,
    will: Option<&Will>,
) -> Vec<u8> {
    let mut list = Vec::new();
    let mut delay = Vec::new();
    if version == V5 {
        list.push(Property::SessionExpiryInterval(if kept { 3_600 } else { 0 }));
        list.push(Property::ReceiveMaximum(NonZeroU16::new(window).expect("not 0")));
        delay.extend(will.map(|will| Property::WillDelayInterval((will.delay_ms / 1_000) as u32)));
    }
    let payload = will.map_or_else(String::new, |will| will.message.number.to_string());
    let will = will.map(|will| support::Will {
        qos: QOS[usize::from(will.message.qos)],
        retain: will.message.retain,
        properties: Properties::new(&delay),
        topic: topic(WILLS[at]),
        payload: payload.as_bytes(),
    });
    let properties = Properties::new(&list);
    let connect = Connect { clean_start: clean, properties, will, ..hello(version, NAMES[at]) };
    bytes(version, &[Packet::Connect(connect)])
}

/// Its connection.
impl Client {
    pub(crate) const fn new(at: usize) -> Self {
        Self {
            at,
            place: 0,
            link: None,
            version: V5,
            window: 0,
            part: Vec::new(),
            last_id: 0,
            owes: BTreeMap::new(),
            here: BTreeSet::new(),
            begun: Vec::new(),
        }
    }

    pub(crate) const fn is_online(&self) -> bool {
        self.link.is_some()
    }

    pub(crate) fn link(&self) -> LinkId {
        self.link.expect("a connection")
    }

    pub(crate) fn begin(&mut self, link: LinkId, version: Version, window: usize) {
        (self.link, self.version, self.window) = (Some(link), version, window);
        self.part.clear();
        self.here.clear();
    }

    pub(crate) fn end(&mut self) -> LinkId {
        self.link.take().expect("a connection")
    }

    /// Looks at the CONNACK that begins the output; whether it tells of a session.
    pub(crate) fn accept(&self, output: &[u8]) -> bool {
        let mut input = output;
        match Packet::decode(&mut input, self.version, Sender::Server) {
            Ok(Some(Packet::ConnAck(connack))) => {
                assert_eq!(connack.reason, ReasonCode::Success);
                connack.session_present
            }
            other => panic!("{other:?}"),
        }
    }

    /// The session goes on, or there is none.
    pub(crate) fn resume(&mut self, present: bool) {
        if !present {
            self.owes.clear();
            self.begun.clear();
        }
        for begun in &mut self.begun {
            begun.released = false;
        }
    }
}

/// What it sends.
impl Client {
    fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id % 50_000 + 1;
        self.last_id
    }

    pub(crate) fn subscribe(&mut self, sub: &Sub, retained: bool) -> Vec<u8> {
        let (packet_id, name) = (id(self.next_id()), name(sub.name));
        let handling = if retained { RetainHandling::Send } else { RetainHandling::DoNotSend };
        let list = [Subscription {
            no_local: sub.no_local,
            retain_as_published: sub.as_published,
            retain_handling: handling,
            ..support::sub(&name).qos(QOS[usize::from(sub.qos)])
        }];
        let (properties, subscriptions) = (Properties::EMPTY, Items::from(&list));
        let packet = Subscribe { packet_id, properties, subscriptions };
        bytes(self.version, &[Packet::Subscribe(packet)])
    }

    pub(crate) fn unsubscribe(&mut self, one: (Option<&str>, &str)) -> Vec<u8> {
        let (packet_id, name) = (id(self.next_id()), name(one));
        let list = [filter(&name)];
        let (properties, filters) = (Properties::EMPTY, Items::from(&list));
        let packet = Unsubscribe { packet_id, properties, filters };
        bytes(self.version, &[Packet::Unsubscribe(packet)])
    }

    /// Whether the broker takes another message.
    pub(crate) fn may_publish(&self) -> bool {
        self.begun.len() < 20
    }

    pub(crate) fn publish(&mut self, message: Message) -> Vec<u8> {
        let number = self.next_id();
        if message.qos == 2 {
            self.begun.push(Begun { number, message, received: false, released: false });
        }
        self.message(&message, number, false)
    }

    fn message(&self, message: &Message, number: u16, dup: bool) -> Vec<u8> {
        let payload = match message.number {
            0 => String::new(),
            number => number.to_string(),
        };
        let delivery = delivery(QOS[usize::from(message.qos)], number, dup);
        let publish = Publish::new(topic(message.topic), payload.as_bytes());
        let publish = Publish { delivery, retain: message.retain, ..publish };
        bytes(self.version, &[Packet::Publish(publish)])
    }

    /// The next step of what was begun at QoS 2; or the last one once more.
    pub(crate) fn go_on(&mut self, repeat: bool) -> Vec<u8> {
        let mut packets = Vec::new();
        for at in 0..self.begun.len() {
            let begun = self.begun[at];
            if begun.received && !begun.released {
                self.begun[at].released = true;
                packets.extend(bytes(self.version, &[pubrel(begun.number)]));
            } else if repeat && !begun.received {
                packets.extend(self.message(&begun.message, begun.number, true));
            }
        }
        packets
    }

    /// What is repeated is answered again: nothing is to be waited for.
    pub(crate) fn repeats_nothing(&mut self) {
        for begun in &mut self.begun {
            begun.received = true;
        }
    }

    /// Some of the steps that are owed for what came on this connection.
    pub(crate) fn acknowledge(&mut self, mut takes: impl FnMut() -> bool) -> Vec<u8> {
        let mut packets = Vec::new();
        for number in self.here.clone() {
            if !takes() {
                continue;
            }
            let Some((message, owes)) = self.owes.get(&number).copied() else { continue };
            let packet = match owes {
                Owes::PubAck => puback(number),
                Owes::PubRec => pubrec(number),
                Owes::PubComp => pubcomp(number),
                Owes::Waits => continue,
            };
            packets.extend(bytes(self.version, &[packet]));
            if owes == Owes::PubRec {
                self.owes.insert(number, (message, Owes::Waits));
            } else {
                self.owes.remove(&number);
                self.here.remove(&number);
            }
        }
        packets
    }

    pub(crate) fn has_more(&self) -> bool {
        !self.owes.is_empty() || !self.begun.is_empty()
    }
}

/// What it receives.
impl Client {
    pub(crate) fn take(&mut self, output: &[u8], account: &mut Account) {
        self.part.extend_from_slice(output);
        let part = core::mem::take(&mut self.part);
        let mut input = &part[..];
        while let Some(packet) =
            Packet::decode(&mut input, self.version, Sender::Server).expect("a server's packet")
        {
            self.handle(&packet, account);
        }
        self.part = input.to_vec();
    }

    fn handle(&mut self, packet: &Packet<'_>, account: &mut Account) {
        match packet {
            Packet::Publish(publish) => self.handle_publish(publish, account),
            Packet::PubRel(ack) => {
                let number = ack.packet_id.get();
                let entry = self.owes.get_mut(&number).expect("a message to release");
                assert!(matches!(entry.1, Owes::Waits | Owes::PubComp), "{number}: {entry:?}");
                entry.1 = Owes::PubComp;
                self.here.insert(number);
            }
            Packet::PubRec(ack) => {
                let begun = self.begun.iter_mut().find(|one| one.number == ack.packet_id.get());
                begun.expect("a message that was begun").received = true;
            }
            Packet::PubComp(ack) => self.begun.retain(|one| one.number != ack.packet_id.get()),
            Packet::SubAck(suback) => {
                assert!(!suback.codes.iter().any(ReasonCode::is_error), "{suback:?}");
            }
            Packet::Disconnect(disconnect) => panic!("{disconnect:?}"),
            _ => {}
        }
    }

    fn handle_publish(&mut self, publish: &Publish<'_>, account: &mut Account) {
        let payload = core::str::from_utf8(publish.payload).expect("digits");
        let number: u32 = if payload.is_empty() { 0 } else { payload.parse().expect("a number") };
        let (qos, dup) = (publish.delivery.qos(), publish.delivery.dup());
        let Some(packet_id) = publish.delivery.packet_id().map(PacketId::get) else {
            return account.receive(self.at, number, 0, publish.retain);
        };
        match self.owes.get(&packet_id) {
            Some((known, owes)) => {
                let still = if qos == Q1 { Owes::PubAck } else { Owes::PubRec };
                assert!(dup, "{number} under {packet_id}, which is in use for {known}");
                assert_eq!((*known, *owes), (number, still), "under {packet_id}");
                assert!(!self.here.contains(&packet_id), "twice on one connection");
            }
            None => {
                account.receive(self.at, number, qos.level(), publish.retain);
                let owes = if qos == Q1 { Owes::PubAck } else { Owes::PubRec };
                self.owes.insert(packet_id, (number, owes));
            }
        }
        self.here.insert(packet_id);
        assert!(self.here.len() <= self.window, "more than {} under way", self.window);
    }
}

fn name(name: (Option<&str>, &str)) -> String {
    match name {
        (Some(group), filter) => format!("$share/{group}/{filter}"),
        (None, filter) => filter.to_owned(),
    }
}
