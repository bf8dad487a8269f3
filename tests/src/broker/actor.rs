//! A client that speaks on the wire as it likes: by the rules of MQTT, but slow, forgetful of
//! nothing, and with a will of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tamtam_core::{Instant, Version};

use crate::dice::Dice;
use crate::wire::{
    Ack, AckKind, Connect, Notice, Packet, Props, Publish, Request, Will, decode, encode, id,
    take_frames,
};

/// How a client behaves.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How many messages it takes ahead (MQTT 5).
    pub window: u16,
    /// How many aliases it takes (MQTT 5).
    pub aliases: u16,
    /// The largest packet that it takes; 0 for any (MQTT 5).
    pub max_packet: u32,
    /// Seconds; 0 for none.
    pub keep_alive: u16,
    /// In how many of a hundred cases it holds an acknowledgement back.
    pub holds_percent: u64,
    /// In how many of a hundred cases it refuses a message (MQTT 5).
    pub refuses_percent: u64,
}

impl Manner {
    /// Takes everything, at once.
    pub const PLAIN: Self = Self {
        window: 65_535,
        aliases: 0,
        max_packet: 0,
        keep_alive: 0,
        holds_percent: 0,
        refuses_percent: 0,
    };
}

/// A message that is not settled.
#[derive(Clone, Debug)]
struct Out {
    publish: Publish,
    sent: bool,
    released: bool,
    /// Whether it, or its PUBREL, has left on this connection.
    here: bool,
}

/// A session that lasts no longer than this may be gone any time, in seconds.
const SHORT_SECS: u32 = 60;

/// See the module.
#[derive(Debug)]
pub struct Actor {
    /// Its client identifier.
    pub name: String,
    /// What it speaks.
    pub version: Version,
    /// How it behaves.
    pub manner: Manner,
    /// Whether it was accepted on its line.
    pub connected: bool,
    /// Whether it has ended its connection.
    pub left: bool,
    /// What it has not looked at.
    pub rx: Vec<u8>,
    /// What is to leave.
    pub tx: Vec<u8>,
    /// It reads nothing before this moment.
    pub sleeps_until: Instant,
    /// How many messages it got.
    pub got: u64,
    /// Whether it says anything, so that the broker may speak another version than it does.
    pub is_odd: bool,
    clean: bool,
    /// Whether its session may have ended by the time that it comes again.
    is_short: bool,
    out: VecDeque<Out>,
    incoming: BTreeSet<u16>,
    held: VecDeque<Packet>,
    last_id: u16,
    /// How many messages the broker takes ahead, and how many aliases.
    broker_window: usize,
    broker_aliases: u32,
    aliases: BTreeMap<Vec<u8>, u32>,
    dice: Dice,
}

impl Actor {
    /// Somebody who has no connection.
    #[must_use]
    pub const fn new(name: String, version: Version, manner: Manner, dice: Dice) -> Self {
        Self {
            name,
            version,
            manner,
            connected: false,
            left: false,
            rx: Vec::new(),
            tx: Vec::new(),
            sleeps_until: Instant::ZERO,
            got: 0,
            is_odd: false,
            clean: true,
            is_short: false,
            out: VecDeque::new(),
            incoming: BTreeSet::new(),
            held: VecDeque::new(),
            last_id: 0,
            broker_window: 65_535,
            broker_aliases: 0,
            aliases: BTreeMap::new(),
            dice,
        }
    }

    fn put(&mut self, packet: &Packet) {
        self.tx.extend(encode(packet, self.version));
    }

    /// Says CONNECT, as the first on a new line.
    pub fn connect(&mut self, clean: bool, expiry_secs: u32, will: Option<Will>) {
        self.lose();
        (self.clean, self.left) = (clean, false);
        if clean || self.is_short {
            self.forget_sent(); // whether or not it hears that there is no session
        }
        self.is_short = expiry_secs < SHORT_SECS || clean && !self.version.is_v5();
        let mut props = Props::NONE;
        if self.version.is_v5() {
            props = props.with(id::SESSION_EXPIRY, expiry_secs);
            let manner = self.manner;
            props = props.with(id::RECEIVE_MAXIMUM, manner.window.into());
            props = props.with(id::TOPIC_ALIAS_MAXIMUM, manner.aliases.into());
            if manner.max_packet != 0 {
                props = props.with(id::MAXIMUM_PACKET_SIZE, manner.max_packet);
            }
        }
        let connect = Connect {
            version: self.version,
            clean,
            keep_alive: self.manner.keep_alive,
            client_id: self.name.clone().into_bytes(),
            props,
            will,
            user_name: None,
            password: None,
        };
        self.put(&Packet::Connect(connect));
    }

    /// The line is gone.
    pub fn lose(&mut self) {
        self.connected = false;
        self.rx.clear();
        self.tx.clear();
        self.held.clear();
        self.aliases.clear();
        for out in &mut self.out {
            out.here = false;
        }
    }

    /// The session is gone: what had left may have arrived, or not.
    fn forget_sent(&mut self) {
        self.out.retain(|out| !out.sent);
        self.incoming.clear();
    }

    /// How many messages are not settled.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.out.len() + self.held.len()
    }

    fn fresh_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.out.iter().all(|out| out.publish.id != self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Publishes; above QoS 0 until it is acknowledged.
    pub fn publish(&mut self, mut publish: Publish) {
        if publish.qos == 0 {
            if self.connected {
                self.put_publish(&publish);
            }
            return;
        }
        publish.id = self.fresh_id();
        self.out.push_back(Out { publish, sent: false, released: false, here: false });
        self.send_out();
    }

    /// Sends what the broker's window has room for.
    fn send_out(&mut self) {
        if !self.connected {
            return;
        }
        let mut open = self.out.iter().filter(|out| out.here).count();
        for at in 0..self.out.len() {
            if self.out[at].here || open >= self.broker_window {
                continue;
            }
            open += 1;
            let out = &mut self.out[at];
            out.here = true;
            if out.released {
                let id = out.publish.id;
                self.put(&Packet::ack(AckKind::PubRel, id));
                continue;
            }
            out.publish.dup = out.sent;
            out.sent = true;
            let publish = out.publish.clone();
            self.put_publish(&publish);
        }
    }

    /// Half of the topics get an alias, if the broker takes aliases.
    fn put_publish(&mut self, publish: &Publish) {
        let mut publish = publish.clone();
        let known = self.aliases.get(&publish.topic).copied();
        let next = u32::try_from(self.aliases.len()).unwrap_or(u32::MAX) + 1;
        if let Some(alias) = known {
            publish.props = publish.props.with(id::TOPIC_ALIAS, alias);
            publish.topic.clear();
        } else if next <= self.broker_aliases && self.dice.chance(50) {
            self.aliases.insert(publish.topic.clone(), next);
            publish.props = publish.props.with(id::TOPIC_ALIAS, next);
        }
        self.put(&Packet::Publish(publish));
    }

    /// Subscribes, with options as the version has them.
    pub fn subscribe(&mut self, filters: &[(&str, u8)], identifier: u32) {
        let mut props = Props::NONE;
        if self.version.is_v5() && identifier != 0 {
            props = props.with(id::SUBSCRIPTION_ID, identifier);
        }
        let mask = if self.version.is_v5() { 0xFF } else { 3 };
        let filters =
            filters.iter().map(|(text, options)| (text.as_bytes().to_vec(), options & mask));
        let filters = filters.collect();
        let id = self.fresh_id();
        self.put(&Packet::Subscribe(Request { id, props, filters }));
    }

    /// Unsubscribes.
    pub fn unsubscribe(&mut self, filter: &str) {
        let (id, props) = (self.fresh_id(), Props::NONE);
        let filters = vec![(filter.as_bytes().to_vec(), 0)];
        self.put(&Packet::Unsubscribe(Request { id, props, filters }));
    }

    /// Says goodbye.
    pub fn disconnect(&mut self, code: u8, expiry_secs: Option<u32>) {
        let mut props = Props::NONE;
        if let Some(secs) = expiry_secs.filter(|_| self.version.is_v5()) {
            props = props.with(id::SESSION_EXPIRY, secs);
        }
        self.is_short |= expiry_secs.is_some_and(|secs| secs < SHORT_SECS);
        self.put(&Packet::Disconnect(Notice { code, props }));
        self.left = true;
    }

    /// Asks for a sign of life.
    pub fn ping(&mut self) {
        self.put(&Packet::PingReq);
    }

    /// Gives up to `most` of the acknowledgements that it held back.
    pub fn acknowledge(&mut self, most: usize) {
        for _ in 0..most.min(self.held.len()) {
            if let Some(packet) = self.held.pop_front() {
                self.put(&packet);
            }
        }
    }

    /// Looks at what has come.
    ///
    /// # Panics
    /// If it is no packet.
    pub fn read(&mut self) {
        let frames = take_frames(&mut self.rx).expect("packets");
        for frame in frames {
            match decode(&frame, self.version) {
                Ok(packet) => self.take(packet),
                Err(bad) => assert!(self.is_odd, "sent a packet with {}: {frame:x?}", bad.0),
            }
            if self.left {
                return;
            }
        }
    }

    fn take(&mut self, packet: Packet) {
        match packet {
            Packet::ConnAck(connack) if connack.code == 0 => {
                self.connected = true;
                let number = |id| connack.props.number(id);
                self.broker_window = number(id::RECEIVE_MAXIMUM).unwrap_or(65_535) as usize;
                self.broker_aliases = number(id::TOPIC_ALIAS_MAXIMUM).unwrap_or(0).min(4);
                let blind = self.version == Version::V31 && !self.clean;
                if !connack.session_present && !blind {
                    self.forget_sent();
                }
                self.send_out();
            }
            Packet::ConnAck(_) | Packet::Disconnect(_) => self.left = true,
            Packet::Publish(publish) => {
                self.got += 1;
                let refuses = self.dice.chance(self.manner.refuses_percent);
                let code = if refuses && self.version.is_v5() { 0x97 } else { 0 };
                let kind = match publish.qos {
                    0 => return,
                    1 => AckKind::PubAck,
                    _ => AckKind::PubRec,
                };
                if kind == AckKind::PubRec && code == 0 {
                    self.incoming.insert(publish.id);
                }
                let (id, props) = (publish.id, Props::NONE);
                self.answer(Packet::Ack(Ack { kind, id, code, props }));
            }
            Packet::Ack(ack) => self.take_ack(&ack),
            _ => {}
        }
    }

    /// Acknowledgements stay in order, however long they are held back.
    fn answer(&mut self, packet: Packet) {
        if !self.held.is_empty() || self.dice.chance(self.manner.holds_percent) {
            self.held.push_back(packet);
        } else {
            self.put(&packet);
        }
    }

    fn take_ack(&mut self, ack: &Ack) {
        let at = self.out.iter().position(|out| out.publish.id == ack.id && out.here);
        match (ack.kind, at) {
            (AckKind::PubRel, _) => {
                self.incoming.remove(&ack.id);
                self.answer(Packet::ack(AckKind::PubComp, ack.id));
            }
            (AckKind::PubRec, Some(at)) if ack.code < 0x80 => {
                self.out[at].released = true;
                self.put(&Packet::ack(AckKind::PubRel, ack.id));
            }
            (_, Some(at)) => {
                self.out.remove(at);
                self.send_out();
            }
            _ => {}
        }
    }
}
