//! A broker under test, and the clients' ends of its connections, played by hand.

use std::collections::VecDeque;

pub(crate) use crate::joined::Joined;
pub(crate) use crate::packets::*;

pub(crate) use tamtam_core::broker::{
    Acceptance, AskId, Broker, Counters, DropReason, Ended, Event, Input, LimitsId, LinkId,
    Options, Page, QueueFull, Refusal, SessionEnd, Tally, Verdict, Watch,
};
pub(crate) use tamtam_core::{
    Ack, ConnAck, Connect, Delivery, Disconnect, Heap, Instant, Items, Packet, PacketId,
    Properties, Property, Publish, QoS, ReasonCode, RetainHandling, Sender, Storage, Subscribe,
    Subscription, SubscriptionId, Text, TopicFilter, TopicName, Unsubscribe,
    Version::{self, V5, V31, V311},
    Will,
};

pub(crate) const EVERY: [Version; 3] = [V31, V311, V5];
pub(crate) const BEFORE_5: [Version; 2] = [V31, V311];
pub(crate) const QOS: [QoS; 3] = [Q0, Q1, Q2];
pub(crate) const Q0: QoS = QoS::AtMostOnce;
pub(crate) const Q1: QoS = QoS::AtLeastOnce;
pub(crate) const Q2: QoS = QoS::ExactlyOnce;

tamtam_core::fixed! {
    /// What a gateway without a heap may have.
    pub(crate) struct Hub {
        out: 2_048,
        in_flight: 16,
        aliases: 256,
        links: 12,
        sessions: 12,
        subscriptions: 64,
        levels: 128,
        level_bytes: 1_024,
        bodies: 64,
        body_bytes: 8_192,
        names: 512,
        rules: 4,
        rule_bytes: 512,
        queue: 64,
        news: 512,
    }
}

/// Runs each story with a broker on either storage, once for every version.
macro_rules! on_both_storages {
    ($($versions:expr => $($story:ident),+ $(,)?;)+) => {
        mod on_heap {
            $($(#[test] fn $story() {
                for version in $versions {
                    super::$story(crate::support::Rig::<tamtam_core::Heap>::new(version));
                }
            })+)+
            #[allow(unused_imports)]
            use crate::support::*;
        }
        mod on_fixed {
            $($(#[test] fn $story() {
                for version in $versions {
                    super::$story(crate::support::Rig::<crate::support::Hub>::new(version));
                }
            })+)+
            #[allow(unused_imports)]
            use crate::support::*;
        }
    };
}
pub(crate) use on_both_storages;

/// The same, and with three brokers that are joined: clients connect to any of them.
macro_rules! on_every_kind {
    ($($versions:expr => $($story:ident),+ $(,)?;)+) => {
        crate::support::on_both_storages! { $($versions => $($story),+;)+ }
        mod on_three_joined {
            $($(#[test] fn $story() {
                for version in $versions {
                    for seed in 0..4 {
                        super::$story(crate::support::Rig::joined(version, seed));
                    }
                }
            })+)+
            #[allow(unused_imports)]
            use crate::support::*;
        }
    };
}
pub(crate) use on_every_kind;

/// A client's end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw(pub(crate) usize);

/// What a client's end knows of its connection.
pub(crate) struct Wire {
    /// Which broker it is a connection of.
    at: usize,
    link: LinkId,
    /// What handing in input came to last.
    result: Input,
    version: Version,
    /// What was sent and the broker has not taken.
    unread: Vec<u8>,
    /// The beginning of a packet that has not arrived whole.
    part: Vec<u8>,
    pub(crate) arrived: VecDeque<Packet<'static>>,
    closed: bool,
    /// Whether its client does not read.
    stalled: bool,
    pub(crate) last_id: u16,
}

/// A broker, or several that are joined, the time, and every client's end.
pub(crate) struct Rig<S: Storage> {
    pub(crate) broker: Box<Broker<S>>,
    /// What it is joined with, and the ways between them.
    pub(crate) joined: Option<Joined<S>>,
    pub(crate) now: Instant,
    /// What clients speak if nothing else is said.
    pub(crate) version: Version,
    pub(crate) wires: Vec<Wire>,
    events: Vec<Event>,
    news: Vec<(Event, String, String)>,
}

/// Bytes that live as long as the tests: packets that borrow from them do too.
fn leak(bytes: Vec<u8>) -> &'static [u8] {
    bytes.leak()
}

/// The broker and its connections.
impl<S: Storage> Rig<S> {
    pub(crate) fn new(version: Version) -> Self {
        println!("MQTT {version}"); // seen only if the test fails
        let now = Instant::from_millis(1_000);
        let mut broker = Box::new(Broker::new());
        broker.start(&Options::DEFAULT, 7);
        Self {
            broker,
            joined: None,
            now,
            version,
            wires: Vec::new(),
            events: Vec::new(),
            news: Vec::new(),
        }
    }

    /// Begins anew, with these options.
    pub(crate) fn restart(&mut self, options: Options) {
        *self.broker = Broker::new();
        self.broker.start(&options, 7);
        if let Some(joined) = &mut self.joined {
            joined.restart(&mut self.broker, &options, self.now);
        }
        self.wires.clear();
        self.events.clear();
        self.turn();
    }

    /// A transport is open.
    #[track_caller]
    pub(crate) fn open_as(&mut self, version: Version) -> Raw {
        let at = self.joined.as_mut().map_or(0, Joined::place);
        let now = self.now;
        let link = self.broker_at(at).open(now).expect("room for a connection");
        self.wire(at, link, version)
    }

    /// The same, by a listener with limits of its own.
    #[track_caller]
    pub(crate) fn open_from(&mut self, limits: LimitsId, version: Version) -> Raw {
        let at = self.joined.as_mut().map_or(0, Joined::place);
        let now = self.now;
        let link = self.broker_at(at).open_with(limits, now).expect("room for a connection");
        self.wire(at, link, version)
    }

    fn wire(&mut self, at: usize, link: LinkId, version: Version) -> Raw {
        self.wires.push(Wire {
            at,
            link,
            result: Input::More,
            version,
            unread: Vec::new(),
            part: Vec::new(),
            arrived: VecDeque::new(),
            closed: false,
            stalled: false,
            last_id: 0,
        });
        Raw(self.wires.len() - 1)
    }

    #[track_caller]
    pub(crate) fn open(&mut self) -> Raw {
        self.open_as(self.version)
    }

    pub(crate) fn link(&self, raw: Raw) -> LinkId {
        self.wires[raw.0].link
    }

    pub(crate) fn version_of(&self, raw: Raw) -> Version {
        self.wires[raw.0].version
    }

    /// These bytes arrive, behind what the broker has not taken yet.
    pub(crate) fn hand_in(&mut self, raw: Raw, arrived: &[u8]) -> Input {
        self.wires[raw.0].unread.extend_from_slice(arrived);
        self.hand_on(raw);
        self.turn();
        self.wires[raw.0].result
    }

    /// Hands the broker what it has not taken yet.
    fn hand_on(&mut self, raw: Raw) {
        let wire = &mut self.wires[raw.0];
        let (at, link, unread) = (wire.at, wire.link, core::mem::take(&mut wire.unread));
        let (mut input, now) = (&unread[..], self.now);
        let result = self.broker_at(at).handle_input(link, &mut input, now);
        let wire = &mut self.wires[raw.0];
        (wire.unread, wire.result) = (input.to_vec(), result);
    }

    /// What arrived and the broker has not taken.
    pub(crate) fn unread(&self, raw: Raw) -> &[u8] {
        &self.wires[raw.0].unread
    }

    /// These packets arrive, and all is well.
    #[track_caller]
    pub(crate) fn send(&mut self, raw: Raw, packets: &[Packet<'_>]) {
        let bytes = bytes(self.wires[raw.0].version, packets);
        let result = self.hand_in(raw, &bytes);
        assert_eq!(result, Input::More, "after {:?}", self.wires[raw.0].arrived);
        assert_eq!(self.wires[raw.0].unread, b"", "left over");
    }

    /// These packets arrive, and what the broker does not take yet waits.
    pub(crate) fn hand_in_all(&mut self, raw: Raw, packets: &[Packet<'_>]) {
        let bytes = bytes(self.wires[raw.0].version, packets);
        let _ = self.hand_in(raw, &bytes);
    }

    /// These packets arrive, and they are the end of the connection.
    #[track_caller]
    pub(crate) fn send_last(&mut self, raw: Raw, packets: &[Packet<'_>]) {
        let bytes = bytes(self.wires[raw.0].version, packets);
        self.send_last_bytes(raw, &bytes);
    }

    #[track_caller]
    pub(crate) fn send_last_bytes(&mut self, raw: Raw, bytes: &[u8]) {
        assert_eq!(self.hand_in(raw, bytes), Input::Close, "after {bytes:02x?}");
        assert!(self.is_closed(raw), "the host was not told to close after {bytes:02x?}");
    }

    /// Does what the brokers say until they say no more.
    pub(crate) fn turn(&mut self) {
        loop {
            let mut quiet = !self.carry();
            for at in 0..self.brokers() {
                quiet &= self.turn_of(at);
            }
            if quiet {
                return;
            }
        }
    }

    /// Does what one broker says, once. Whether it said nothing.
    fn turn_of(&mut self, at: usize) -> bool {
        let mut quiet = !self.write_all(at);
        let now = self.now;
        let broker = self.broker_at(at);
        if broker.poll_timeout().is_some_and(|when| when <= now) {
            broker.handle_timeout(now);
            quiet = false;
        }
        while let Some(event) = self.broker_at(at).poll_event() {
            quiet = false;
            let told = self.broker_at(at).told();
            let [client, subject] = [told.client_id, told.subject].map(String::from_utf8_lossy);
            if !client.is_empty() {
                let news = (event, client.into_owned(), subject.into_owned());
                self.news.push(news);
                continue;
            }
            self.handle_event(at, event);
        }
        quiet
    }

    /// The client's end of a broker's connection.
    #[track_caller]
    fn wire_of(&self, at: usize, link: LinkId) -> usize {
        let found = self.wires.iter().position(|wire| (wire.at, wire.link) == (at, link));
        found.expect("a connection that there is")
    }

    fn write_all(&mut self, at: usize) -> bool {
        let mut written = false;
        while let Some(link) = self.broker_at(at).next_writable() {
            let raw = Raw(self.wire_of(at, link));
            if !self.wires[raw.0].stalled {
                written = true;
                self.write(raw);
            }
        }
        written
    }

    /// All that waits for a client leaves.
    fn write(&mut self, raw: Raw) {
        let (at, link, now) = (self.wires[raw.0].at, self.wires[raw.0].link, self.now);
        let output = self.broker_at(at).output(link).to_vec();
        self.wires[raw.0].take(&output);
        self.broker_at(at).output_written(link, output.len(), now);
    }

    fn handle_event(&mut self, at: usize, event: Event) {
        let now = self.now;
        match event {
            Event::Close(link) => {
                let raw = self.wire_of(at, link);
                let wire = &mut self.wires[raw];
                assert!(!wire.closed, "closed twice");
                wire.closed = true;
                self.broker_at(at).handle_close(link, now);
            }
            Event::Resume(link) => self.hand_on(Raw(self.wire_of(at, link))),
            event => self.events.push(event),
        }
    }

    /// What the broker told its host, as far as a host does not have to do anything.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events)
    }

    /// What was told of sessions, subscriptions and dropped messages, with whose and of which topic
    /// or filter it was.
    pub(crate) fn news(&mut self) -> Vec<(Event, String, String)> {
        core::mem::take(&mut self.news)
    }

    /// The host wants to know of these.
    pub(crate) fn watch(&mut self, watch: Watch) {
        for at in 0..self.brokers() {
            self.broker_at(at).watch(watch);
        }
    }

    /// Whether the broker has ended the connection.
    pub(crate) fn is_closed(&self, raw: Raw) -> bool {
        self.wires[raw.0].closed
    }

    /// Whether the client's end reads nothing from now on.
    pub(crate) fn stall(&mut self, raw: Raw, stalled: bool) {
        self.wires[raw.0].stalled = stalled;
        if !stalled {
            self.write(raw); // as a socket does that can be written to again
            self.turn();
        }
    }

    /// The transport breaks.
    pub(crate) fn cut(&mut self, raw: Raw) {
        let wire = &mut self.wires[raw.0];
        wire.closed = true;
        wire.arrived.clear();
        let (at, link, now) = (wire.at, wire.link, self.now);
        self.broker_at(at).handle_close(link, now);
        self.turn();
    }

    pub(crate) fn wait_ms(&mut self, millis: u64) {
        self.now = self.now.plus_millis(millis);
        let now = self.now;
        for at in 0..self.brokers() {
            self.broker_at(at).handle_timeout(now);
        }
        self.turn();
    }

    /// Time passes, but the broker is not told.
    pub(crate) fn pass_ms(&mut self, millis: u64) {
        self.now = self.now.plus_millis(millis);
    }
}

impl Wire {
    fn take(&mut self, output: &[u8]) {
        self.part.extend_from_slice(output);
        // A CONNECT that was tampered with may have asked for another version: CONNACK tells.
        self.version = match (&self.part[..], self.version) {
            ([0x20, 2, ..], V5) => V311,
            ([0x20, len, ..], _) if *len > 2 => V5,
            (_, version) => version,
        };
        let mut input = leak(core::mem::take(&mut self.part));
        while let Some(packet) = Packet::decode(&mut input, self.version, Sender::Server)
            .unwrap_or_else(|error| panic!("no packet of a server's: {error}: {input:02x?}"))
        {
            self.arrived.push_back(packet);
        }
        self.part = input.to_vec();
    }
}
