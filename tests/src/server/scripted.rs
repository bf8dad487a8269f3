//! A server that behaves, unless it is told to misbehave.

use std::collections::BTreeMap;
use std::fmt;

use tamtam_core::{Instant, Version};

use super::Server;
use super::link::Link;
use super::session::{Flight, Letter, Session};
use crate::dice::Dice;
use crate::oracle::Published;
use crate::wire::{
    Ack, AckKind, Answer, ConnAck, Connect, Notice, Packet, Props, Publish, Request, decode, id,
    take_frames,
};

/// How many letters above QoS 0 it has under way before MQTT 5.
const OLD_WINDOW: usize = 20;

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct Manners {
    /// What it says in CONNACK, to a client of MQTT 5.
    pub connack: Props,
    /// The return code of CONNACK, as the version of the client has it.
    pub code: u8,
    /// Whether it answers CONNECT, and PINGREQ.
    pub accepts: bool,
    /// Whether it answers PINGREQ.
    pub pongs: bool,
    /// Whether it reads.
    pub reads: bool,
    /// How long its answers take, in milliseconds.
    pub answer_ms: (u64, u64),
    /// In how many of a hundred cases it refuses a message (MQTT 5).
    pub refuse_percent: u64,
    /// In how many of a hundred cases it uses a topic alias, where it may.
    pub alias_percent: u64,
    /// How often it asks for more before it accepts an authentication.
    pub authentication_rounds: u32,
    /// Whether what comes to `echo/…` goes back to `back/…`.
    pub echoes: bool,
}

impl Manners {
    /// Good ones.
    pub const GOOD: Self = Self {
        connack: Props::NONE,
        code: 0,
        accepts: true,
        pongs: true,
        reads: true,
        answer_ms: (0, 0),
        refuse_percent: 0,
        alias_percent: 0,
        authentication_rounds: 1,
        echoes: false,
    };
}

/// What a trick does instead of the proper reaction to a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// The proper one.
    Proper,
    /// These bytes and nothing else.
    Instead(Vec<u8>),
    /// The proper one, and then these bytes.
    Besides(Vec<u8>),
    /// The line is closed.
    HangUp,
}

/// Misbehaves: is shown every packet that comes.
pub type Trick = Box<dyn FnMut(&Packet) -> Reaction>;

/// See the module.
pub struct Scripted {
    /// How it behaves from now on.
    pub manners: Manners,
    /// How it misbehaves.
    pub trick: Option<Trick>,
    /// The sessions, by client identifier.
    pub sessions: BTreeMap<Vec<u8>, Session>,
    /// What a client did wrong in its eyes.
    pub complaints: Vec<String>,
    /// Every CONNECT that came.
    pub connects: Vec<Connect>,
    /// How many SUBSCRIBE packets came.
    pub subscribes: u64,
    /// Whether sessions were lost on demand.
    pub has_lost: bool,
    /// The DISCONNECT codes that came, in order.
    pub goodbyes: Vec<u8>,
    links: BTreeMap<usize, Link>,
    letters: Vec<(Vec<u8>, Published)>,
    taken: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, u32>>,
    assigned: u32,
    dice: Dice,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted").field("manners", &self.manners).finish_non_exhaustive()
    }
}

impl Scripted {
    /// A server without sessions.
    #[must_use]
    pub fn new(manners: Manners, seed: u64) -> Self {
        Self {
            manners,
            trick: None,
            sessions: BTreeMap::new(),
            complaints: Vec::new(),
            connects: Vec::new(),
            subscribes: 0,
            has_lost: false,
            goodbyes: Vec::new(),
            links: BTreeMap::new(),
            letters: Vec::new(),
            taken: BTreeMap::new(),
            assigned: 0,
            dice: Dice::new(seed),
        }
    }

    /// How often it took over each payload of a client's.
    #[must_use]
    pub fn taken(&self, client_id: &str) -> BTreeMap<Vec<u8>, u32> {
        self.taken.get(client_id.as_bytes()).cloned().unwrap_or_default()
    }

    /// What it published to a client.
    #[must_use]
    pub fn published(&self, client_id: &str) -> Vec<Published> {
        let mine = self.letters.iter().filter(|(to, _)| to == client_id.as_bytes());
        mine.map(|(_, published)| published.clone()).collect()
    }

    /// The connection of a client that was accepted.
    pub fn link_of(&mut self, client_id: &[u8]) -> Option<&mut Link> {
        self.links.values_mut().rev().find(|link| link.client_id.as_deref() == Some(client_id))
    }

    /// Publishes to a client, whatever it subscribed to; false if the client has no session.
    pub fn publish(&mut self, client_id: &[u8], topic: &str, payload: &[u8], qos: u8) -> bool {
        self.publish_with(client_id, topic, payload, qos, Props::NONE)
    }

    /// As [`Scripted::publish`], with properties.
    pub fn publish_with(
        &mut self,
        client_id: &[u8],
        topic: &str,
        payload: &[u8],
        qos: u8,
        props: Props,
    ) -> bool {
        let online = self.link_of(client_id).is_some_and(|link| link.accepted);
        let Some(session) = self.sessions.get_mut(client_id) else { return false };
        if qos == 0 && !online {
            return false;
        }
        let number = self.letters.len();
        let published =
            Published { payload: payload.to_vec(), qos, acknowledged: false, lost: false };
        self.letters.push((client_id.to_vec(), published));
        let (topic, payload) = (topic.to_owned(), payload.to_vec());
        session.queue.push_back(Letter { number, topic, payload, qos, props });
        true
    }

    /// Publishes to whoever subscribed to the topic; returns to how many that was.
    pub fn publish_to_subscribers(&mut self, topic: &str, payload: &[u8], qos: u8) -> usize {
        let wanted = self.sessions.iter().filter_map(|(client_id, session)| {
            Some((client_id.clone(), session.wants(topic)?.min(qos)))
        });
        let wanted: Vec<_> = wanted.collect();
        let to = |(client_id, qos): &(Vec<u8>, u8)| self.publish(client_id, topic, payload, *qos);
        wanted.iter().map(to).filter(|sent| *sent).count()
    }

    /// Sends bytes to a client that is connected, whatever they are.
    pub fn send_bytes(&mut self, client_id: &[u8], bytes: &[u8], now: Instant) {
        if let Some(link) = self.link_of(client_id) {
            link.send_bytes(bytes.to_vec(), now);
            link.timeout(now);
        }
    }

    /// Ends the connection of a client.
    pub fn hang_up_on(&mut self, client_id: &[u8]) {
        if let Some(link) = self.link_of(client_id) {
            link.hang_up();
        }
    }

    /// Forgets every session: what was pending is lost.
    pub fn lose_sessions(&mut self) {
        self.has_lost = true;
        let all: Vec<Vec<u8>> = self.sessions.keys().cloned().collect();
        all.iter().for_each(|client_id| self.drop_session(client_id));
    }

    pub(super) fn drop_session(&mut self, client_id: &[u8]) {
        let Some(session) = self.sessions.remove(client_id) else { return };
        let flights = session.flights.into_iter().map(|flight| flight.letter);
        for letter in session.queue.into_iter().chain(flights) {
            self.letters[letter.number].1.lost = true;
        }
        for link in self.links.values_mut() {
            if link.client_id.as_deref() == Some(client_id) {
                link.abandon();
            }
        }
    }

    pub(super) fn complain(&mut self, words: String) {
        self.complaints.push(words);
    }

    pub(super) fn answer_at(&mut self, now: Instant) -> Instant {
        let (low, high) = self.manners.answer_ms;
        now.plus_millis(self.dice.between(low, high))
    }

    pub(super) fn reply(&mut self, line: usize, packet: &Packet, now: Instant) {
        let at = self.answer_at(now);
        if let Some(link) = self.links.get_mut(&line) {
            link.send(packet, at);
        }
    }

    pub(super) fn link(&mut self, line: usize) -> Option<&mut Link> {
        self.links.get_mut(&line)
    }

    pub(super) fn name_anybody(&mut self) -> Vec<u8> {
        self.assigned += 1;
        format!("assigned-{}", self.assigned).into_bytes()
    }

    fn handle(&mut self, line: usize, frame: &[u8], now: Instant) {
        let Some(link) = self.links.get(&line) else { return };
        if link.is_leaving() {
            return;
        }
        let packet = match decode(frame, link.version) {
            Ok(packet) => packet,
            Err(bad) => return self.complain(format!("{}: {frame:x?}", bad.0)),
        };
        if self.links.get(&line).is_some_and(|link| link.accepted)
            && let Some(session) = self.session(line)
        {
            session.is_known = true;
        }
        let reaction = self.trick.as_mut().map_or(Reaction::Proper, |trick| trick(&packet));
        match reaction {
            Reaction::Proper => self.react(line, packet, now),
            Reaction::Instead(bytes) => self.send_raw(line, bytes, now),
            Reaction::Besides(bytes) => {
                self.react(line, packet, now);
                self.send_raw(line, bytes, now);
            }
            Reaction::HangUp => {
                if let Some(link) = self.links.get_mut(&line) {
                    link.hang_up();
                }
            }
        }
    }

    fn send_raw(&mut self, line: usize, bytes: Vec<u8>, now: Instant) {
        if let Some(link) = self.links.get_mut(&line) {
            link.send_bytes(bytes, now);
        }
    }

    fn react(&mut self, line: usize, packet: Packet, now: Instant) {
        match packet {
            Packet::Connect(connect) => self.connect(line, connect, now),
            Packet::Publish(publish) => self.take(line, publish, now),
            Packet::Ack(ack) => self.acknowledged(line, &ack, now),
            Packet::Subscribe(request) => self.subscribe(line, &request, now),
            Packet::Unsubscribe(request) => self.unsubscribe(line, &request, now),
            Packet::PingReq if self.manners.pongs => self.reply(line, &Packet::PingResp, now),
            Packet::PingReq => {}
            Packet::Disconnect(notice) => self.goodbye(line, &notice),
            Packet::Auth(notice) => self.authenticate(line, &notice, now),
            other => self.complain(format!("a client sent {other:?}")),
        }
    }

    fn goodbye(&mut self, line: usize, notice: &Notice) {
        self.goodbyes.push(notice.code);
        let Some(link) = self.links.get_mut(&line) else { return };
        link.hang_up();
        let client_id = link.client_id.clone().unwrap_or_default();
        if let (Some(secs), Some(session)) =
            (notice.props.number(id::SESSION_EXPIRY), self.sessions.get_mut(&client_id))
        {
            session.lasts = secs > 0;
        }
    }

    fn subscribe(&mut self, line: usize, request: &Request, now: Instant) {
        self.subscribes += 1;
        let Some(session) = self.session(line) else { return };
        let mut codes = Vec::new();
        for (filter, options) in &request.filters {
            session.filters.insert(String::from_utf8_lossy(filter).into_owned(), *options);
            codes.push(options & 3);
        }
        let answer = Answer { id: request.id, props: Props::NONE, codes };
        self.reply(line, &Packet::SubAck(answer), now);
    }

    fn unsubscribe(&mut self, line: usize, request: &Request, now: Instant) {
        let Some(session) = self.session(line) else { return };
        let mut codes = Vec::new();
        for (filter, _) in &request.filters {
            let known = session.filters.remove(&*String::from_utf8_lossy(filter)).is_some();
            codes.push(if known { 0 } else { 0x11 });
        }
        let answer = Answer { id: request.id, props: Props::NONE, codes };
        self.reply(line, &Packet::UnsubAck(answer), now);
    }

    pub(super) fn session(&mut self, line: usize) -> Option<&mut Session> {
        let client_id = self.links.get(&line)?.client_id.as_ref()?;
        self.sessions.get_mut(client_id)
    }

    pub(super) fn roll(&mut self, percent: u64) -> bool {
        self.dice.chance(percent)
    }

    pub(super) const fn letter_count(&self) -> usize {
        self.letters.len()
    }

    pub(super) fn published_mut(&mut self, number: usize) -> &mut Published {
        &mut self.letters[number].1
    }

    /// The server has this message of a client's.
    pub fn count_taken(&mut self, client_id: &[u8], payload: &[u8]) {
        let taken = self.taken.entry(client_id.to_vec()).or_default();
        *taken.entry(payload.to_vec()).or_default() += 1;
    }
}

impl Server for Scripted {
    fn open(&mut self, line: usize, _: Instant) {
        self.links.insert(line, Link::new());
    }

    fn reads(&self, _: usize) -> bool {
        self.manners.reads
    }

    fn input(&mut self, line: usize, bytes: &mut Vec<u8>, now: Instant) {
        match take_frames(bytes) {
            Ok(frames) => {
                for frame in frames {
                    // CONNECT says itself which version the others are.
                    if frame[0] >> 4 == 1
                        && let Ok(Packet::Connect(connect)) = decode(&frame, Version::V5)
                        && let Some(link) = self.links.get_mut(&line)
                    {
                        link.version = connect.version;
                    }
                    self.handle(line, &frame, now);
                }
            }
            Err(bad) => self.complain(bad.0.into()),
        }
        self.fill(line, now);
        if let Some(link) = self.links.get_mut(&line) {
            link.timeout(now);
        }
    }

    fn output(&self, line: usize) -> &[u8] {
        self.links.get(&line).map_or(&[], |link| link.output())
    }

    fn written(&mut self, line: usize, len: usize, _: Instant) {
        if let Some(link) = self.links.get_mut(&line) {
            link.written(len);
        }
    }

    fn hangs_up(&self, line: usize) -> bool {
        self.links.get(&line).is_some_and(Link::is_closing)
    }

    fn closed(&mut self, line: usize, _: Instant) {
        let Some(link) = self.links.remove(&line) else { return };
        let Some(client_id) = link.client_id.filter(|_| link.accepted) else { return };
        let others = self.links.values().any(|link| link.client_id.as_ref() == Some(&client_id));
        if self.sessions.get(&client_id).is_some_and(|session| !session.lasts) && !others {
            self.drop_session(&client_id);
        }
    }

    fn timeout(&mut self, now: Instant) {
        let lines: Vec<usize> = self.links.keys().copied().collect();
        for line in lines {
            self.fill(line, now);
            if let Some(link) = self.links.get_mut(&line) {
                link.timeout(now);
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.links.values().filter_map(Link::next_at).min()
    }
}

impl Scripted {
    /// Sends what is queued for the client of a line, within its Receive Maximum.
    fn fill(&mut self, line: usize, now: Instant) {
        let Some(link) = self.links.get(&line) else { return };
        if !link.accepted || link.is_leaving() {
            return;
        }
        let client_id = link.client_id.clone().unwrap_or_default();
        let window = if link.version.is_v5() { link.receive_maximum as usize } else { OLD_WINDOW };
        let Some(session) = self.sessions.get_mut(&client_id) else { return };
        let mut packets = Vec::new();
        while let Some(letter) = session.queue.front() {
            if letter.qos > 0 && session.flights.len() >= window {
                break;
            }
            let Some(letter) = session.queue.pop_front() else { break };
            if letter.longest_frame() > link.max_packet_size {
                self.letters[letter.number].1.lost = true; // the client takes none so large
                continue;
            }
            let id = if letter.qos > 0 { session.next_id() } else { 0 };
            packets.push((letter.clone(), id));
            if letter.qos > 0 {
                session.flights.push(Flight { id, letter, released: false, sent: true });
            }
        }
        for (letter, id) in packets {
            self.send_letter(line, &letter, id, false, now);
        }
    }

    pub(super) fn send_letter(
        &mut self,
        line: usize,
        letter: &Letter,
        packet_id: u16,
        dup: bool,
        now: Instant,
    ) {
        let uses_alias = self.dice.chance(self.manners.alias_percent);
        let Some(link) = self.links.get_mut(&line) else { return };
        let mut publish = Publish {
            dup,
            qos: letter.qos,
            retain: false,
            topic: letter.topic.clone().into_bytes(),
            id: packet_id,
            props: if link.version.is_v5() { letter.props.clone() } else { Props::NONE },
            payload: letter.payload.clone(),
        };
        if uses_alias && link.alias_maximum > 0 {
            let next = link.aliases_out.len() as u32 % link.alias_maximum + 1;
            let known = link.aliases_out.get(&letter.topic).copied();
            if known.is_some() {
                publish.topic.clear();
            } else {
                link.aliases_out.retain(|_, alias| *alias != next);
                link.aliases_out.insert(letter.topic.clone(), next);
            }
            publish.props = publish.props.with(id::TOPIC_ALIAS, known.unwrap_or(next));
        }
        let at = self.answer_at(now);
        if let Some(link) = self.links.get_mut(&line) {
            link.send(&Packet::Publish(publish), at);
        }
    }

    pub(super) fn refusal(&self) -> ConnAck {
        ConnAck { session_present: false, code: self.manners.code, props: Props::NONE }
    }

    pub(super) fn ack(kind: AckKind, id: u16, code: u8) -> Packet {
        Packet::Ack(Ack { kind, id, code, props: Props::NONE })
    }
}
