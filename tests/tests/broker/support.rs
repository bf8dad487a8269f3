//! A broker under test, and the clients' ends of its connections, played by hand.

use std::collections::VecDeque;

pub(crate) use crate::packets::*;

pub(crate) use tamtam_core::broker::{
    Acceptance, AskId, Broker, Counters, Ended, Event, Input, LinkId, Options, QueueFull, Verdict,
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
        queue: 64,
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

/// A client's end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw(pub(crate) usize);

/// What a client's end knows of its connection.
pub(crate) struct Wire {
    link: LinkId,
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

/// A broker, the time, and every client's end.
pub(crate) struct Rig<S: Storage> {
    pub(crate) broker: Box<Broker<S>>,
    pub(crate) now: Instant,
    /// What clients speak if nothing else is said.
    pub(crate) version: Version,
    pub(crate) wires: Vec<Wire>,
    events: Vec<Event>,
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
        Self { broker, now, version, wires: Vec::new(), events: Vec::new() }
    }

    /// Begins anew, with these options.
    pub(crate) fn restart(&mut self, options: Options) {
        *self.broker = Broker::new();
        self.broker.start(&options, 7);
        self.wires.clear();
        self.events.clear();
    }

    /// A transport is open.
    #[track_caller]
    pub(crate) fn open_as(&mut self, version: Version) -> Raw {
        let link = self.broker.open(self.now).expect("room for a connection");
        self.wires.push(Wire {
            link,
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
        let wire = &mut self.wires[raw.0];
        wire.unread.extend_from_slice(arrived);
        let mut input = &wire.unread[..];
        let result = self.broker.handle_input(wire.link, &mut input, self.now);
        let taken = wire.unread.len() - input.len();
        wire.unread.drain(..taken);
        self.turn();
        result
    }

    /// These packets arrive, and all is well.
    #[track_caller]
    pub(crate) fn send(&mut self, raw: Raw, packets: &[Packet<'_>]) {
        let bytes = bytes(self.wires[raw.0].version, packets);
        let result = self.hand_in(raw, &bytes);
        assert_eq!(result, Input::More, "after {:?}", self.wires[raw.0].arrived);
        assert_eq!(self.wires[raw.0].unread, b"", "left over");
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

    /// Does what the broker says until it says no more.
    pub(crate) fn turn(&mut self) {
        loop {
            let mut quiet = !self.write_all();
            if self.broker.poll_timeout().is_some_and(|when| when <= self.now) {
                self.broker.handle_timeout(self.now);
                quiet = false;
            }
            while let Some(event) = self.broker.poll_event() {
                quiet = false;
                self.handle_event(event);
            }
            if quiet {
                return;
            }
        }
    }

    fn write_all(&mut self) -> bool {
        let mut written = false;
        while let Some(link) = self.broker.next_writable() {
            let wire = self.wires.iter_mut().find(|wire| wire.link == link);
            let wire = wire.expect("output of a connection that there is");
            if wire.stalled {
                continue;
            }
            written = true;
            let output = self.broker.output(link);
            wire.take(output);
            let len = output.len();
            self.broker.output_written(link, len, self.now);
        }
        written
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Close(link) => {
                let at = self.wires.iter().position(|wire| wire.link == link);
                let wire = &mut self.wires[at.expect("a connection that there is")];
                assert!(!wire.closed, "closed twice");
                wire.closed = true;
                self.broker.handle_close(link, self.now);
            }
            Event::Resume(link) => {
                let at = self.wires.iter().position(|wire| wire.link == link);
                let _ = self.hand_in(Raw(at.expect("a connection that there is")), b"");
            }
            event => self.events.push(event),
        }
    }

    /// What the broker told its host, as far as a host does not have to do anything.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events)
    }

    /// Whether the broker has ended the connection.
    pub(crate) fn is_closed(&self, raw: Raw) -> bool {
        self.wires[raw.0].closed
    }

    /// Whether the client's end reads nothing from now on.
    pub(crate) fn stall(&mut self, raw: Raw, stalled: bool) {
        let wire = &mut self.wires[raw.0];
        wire.stalled = stalled;
        if !stalled {
            // As a socket does that can be written to again.
            let output = self.broker.output(wire.link);
            wire.take(output);
            let (link, len) = (wire.link, output.len());
            self.broker.output_written(link, len, self.now);
            self.turn();
        }
    }

    /// The transport breaks.
    pub(crate) fn cut(&mut self, raw: Raw) {
        let wire = &mut self.wires[raw.0];
        wire.closed = true;
        wire.arrived.clear();
        self.broker.handle_close(wire.link, self.now);
        self.turn();
    }

    pub(crate) fn wait_ms(&mut self, millis: u64) {
        self.now = self.now.plus_millis(millis);
        self.broker.handle_timeout(self.now);
        self.turn();
    }

    /// Time passes, but the broker is not told.
    pub(crate) fn pass_ms(&mut self, millis: u64) {
        self.now = self.now.plus_millis(millis);
    }

    /// Nothing is kept but what is retained and `wills` wills.
    #[track_caller]
    pub(crate) fn keeps_only_retained(&self, wills: usize) {
        let (count, used) = self.broker.kept();
        assert_eq!(count, self.broker.retained_count() + wills, "messages that nobody waits for");
        assert!(count != 0 || used == 0, "{used} bytes of no message");
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
