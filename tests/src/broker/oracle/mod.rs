//! The judge of a broker: it sees wire bytes and what its host calls, and nothing else.
//!
//! Every byte that the broker takes and every byte that leaves it passes here, in the order in
//! which that happens, so that what clients are to get is known for sure when it is taken in. What
//! it holds, and where:
//!
//! - `link`: one connection. Nothing before CONNACK or behind DISCONNECT, aliases, order.
//! - `inbound`: what clients say. Messages are routed, requests noted.
//! - `outbound`: what the broker says. Each answer was owed and stands on what is kept; each copy
//!   is due, in order, within the window, once.
//! - `delivery`: which copy a message is that leaves, and `timing` whether it may leave now.
//! - `routing`: who is to get what, as filters say; groups; what is retained.
//! - `ends`: connections and sessions that end, wills, crashes.
//! - `checks`: what must hold of the whole: nothing stuck, nothing leaked, nothing missing but for
//!   a named and counted cause.

mod causes;
mod checks;
mod delivery;
mod ends;
mod inbound;
mod link;
mod message;
mod outbound;
mod routing;
mod session;
mod timing;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use tamtam_core::Instant;
use tamtam_core::broker::Options;

use crate::transcript::Transcript;
use crate::wire::{decode, take_frames};
use link::Link;
use message::Message;
use routing::Names;
use session::{Flight, Name, Session};

pub use checks::Facts;

/// What is wrong, in words.
type Verdict = Result<(), String>;

/// What a topic retains.
#[derive(Debug, Default)]
struct Retained {
    /// What it may retain after a crash, and since when; the last is what it does.
    values: Vec<(Option<u64>, u64)>,
    /// Whether there was a crash, so that it may be any of them.
    forked: bool,
    /// Sessions that are to get it.
    wanted: Vec<usize>,
}

/// What a crash undoes if it comes before a store has kept it.
#[derive(Debug)]
enum Unkept {
    /// A message to a session is settled.
    Settled(usize, Flight),
    /// A will is cancelled, or published.
    Will(u64),
    /// A subscription of a session ended.
    Ended(usize),
}

/// How much was judged, and what was missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets in either direction.
    pub packets: u64,
    /// Messages that the broker took.
    pub messages: u64,
    /// Messages that the broker sent, the first time.
    pub deliveries: u64,
    /// Messages that it sent again.
    pub repeats: u64,
    /// Copies at QoS 0 that never came.
    pub absent_qos0: u64,
    /// Copies that never came, for a queue that was full.
    pub absent_queue: u64,
    /// Copies that never came, as they had expired.
    pub absent_expired: u64,
    /// Copies that never came, for a full queue or as they had expired.
    pub absent_either: u64,
    /// Copies that never came, as they were too large.
    pub absent_too_large: u64,
    /// Copies that never came, of what was published while a peer was lost.
    pub absent_peer: u64,
    /// Copies that never came after a crash, of messages that were never acknowledged.
    pub absent_lost: u64,
    /// Sessions that were taken over.
    pub takeovers: u64,
    /// Sessions that were gone on with.
    pub resumed: u64,
    /// Wills that were published.
    pub wills: u64,
}

/// The judge of one broker.
#[derive(Debug)]
pub struct Oracle {
    options: Options,
    violations: Vec<String>,
    /// What was seen.
    pub log: Transcript,
    /// How much was judged.
    pub counts: Counts,
    now: Instant,
    /// How much has happened, and up to where a store has kept it.
    pos: u64,
    durable: u64,
    links: BTreeMap<usize, Link>,
    sessions: Vec<Session>,
    session_numbers: HashMap<Vec<u8>, usize>,
    names: Names,
    messages: HashMap<u64, Message>,
    retained: BTreeMap<Name, Retained>,
    unkept: VecDeque<(u64, Unkept)>,
    /// The messages that the store may not have kept.
    recent: VecDeque<(u64, u64)>,
    /// Whether the store has failed and is not there again.
    failing: bool,
    /// What is due at which moment: sessions that may end, or whose will may be published.
    due: BTreeSet<(Instant, usize)>,
    /// Messages without a number were published.
    nameless: bool,
    /// Whether it is the judge of several brokers that are joined: none knows of another one's
    /// clients how much they take at once.
    joined: bool,
    /// Whether some of them can't reach each other.
    parted: bool,
    /// Whether some could not at any time.
    has_parted: bool,
    /// How long what they tell each other takes at most, in milliseconds.
    lag_ms: u64,
}

impl Oracle {
    /// A judge who has seen nothing yet, of a broker with these options.
    #[must_use]
    pub fn new(options: &Options, now: Instant) -> Self {
        Self {
            options: *options,
            violations: Vec::new(),
            log: Transcript::new(crate::seeds::is_single()),
            counts: Counts::default(),
            now,
            pos: 1,
            durable: if options.store { 0 } else { u64::MAX },
            links: BTreeMap::new(),
            sessions: Vec::new(),
            session_numbers: HashMap::new(),
            names: Names::default(),
            messages: HashMap::new(),
            retained: BTreeMap::new(),
            unkept: VecDeque::new(),
            recent: VecDeque::new(),
            failing: false,
            due: BTreeSet::new(),
            nameless: false,
            joined: false,
            parted: false,
            has_parted: false,
            lag_ms: 0,
        }
    }

    /// Brokers part, or have met again.
    pub fn part(&mut self, parted: bool) {
        self.parted = parted;
        self.has_parted |= parted;
        for link in self.links.values_mut().filter(|_| !parted) {
            link.lost = link.lost.map(|_| self.now); // only now it is known everywhere
        }
        for link in self.links.values_mut().filter(|link| parted && !link.accepted) {
            // Whether there is a session where it can't be asked for any more.
            link.present = None;
            link.session.into_iter().for_each(|at| self.sessions[at].vague = true);
        }
    }

    /// What brokers tell each other takes up to so many milliseconds.
    pub const fn lag(&mut self, lag_ms: u64) {
        self.lag_ms = lag_ms;
    }

    /// There are several brokers.
    pub const fn join(&mut self) {
        self.joined = true;
    }

    /// What was found wrong so far.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    fn judge(&mut self, line: usize, verdict: Verdict) {
        if let Err(words) = verdict {
            let session = self.links.get(&line).and_then(|link| link.session);
            let name = session.map(|at| String::from_utf8_lossy(&self.sessions[at].name));
            let name = name.unwrap_or_default();
            let at = self.now.as_millis();
            self.violations.push(format!("{at} ms, line {line} ({name}): {words}"));
        }
    }

    /// A connection opened.
    pub fn opened(&mut self, line: usize, now: Instant) {
        (self.now, self.pos) = (now, self.pos + 1);
        self.links.insert(line, Link::new(now, self.pos));
    }

    /// What comes on this line from now on may be anything.
    pub fn distrust(&mut self, line: usize) {
        let Some(link) = self.links.get_mut(&line) else { return };
        link.hostile = true;
        if let Some(at) = link.session {
            self.sessions[at].vague = true;
        }
    }

    /// The broker took these bytes.
    pub fn heard(&mut self, line: usize, bytes: &[u8], now: Instant) {
        self.now = now;
        let Some(link) = self.links.get_mut(&line).filter(|_| !bytes.is_empty()) else { return };
        link.up.extend_from_slice(bytes);
        link.heard_at = now;
        let frames = match take_frames(&mut link.up) {
            Ok(frames) => frames,
            Err(_) => {
                link.hostile = true;
                link.up.clear();
                return;
            }
        };
        for frame in frames {
            self.pos += 1;
            self.counts.packets += 1;
            self.log.packet(now, line, "up", &frame);
            let Some(link) = self.links.get_mut(&line) else { return };
            match decode(&frame, link.version) {
                Ok(packet) => self.hear(line, packet),
                Err(_) => self.distrust(line),
            }
        }
    }

    /// The broker shows these bytes to be written, behind those that it showed before.
    pub fn said(&mut self, line: usize, bytes: &[u8], now: Instant) {
        self.now = now;
        let Some(link) = self.links.get_mut(&line) else { return };
        link.down.extend_from_slice(bytes);
        let frames = match take_frames(&mut link.down) {
            Ok(frames) => frames,
            Err(bad) => return self.judge(line, Err(format!("sent {}", bad.0))),
        };
        for frame in frames {
            self.pos += 1;
            self.counts.packets += 1;
            self.log.packet(now, line, "down", &frame);
            let Some(link) = self.links.get(&line) else { return };
            if link.hostile && link.connect.is_none() {
                continue; // nobody knows which version it speaks
            }
            let verdict = match decode(&frame, link.version) {
                Ok(packet) => self.say(line, frame.len(), packet),
                Err(bad) => Err(format!("sent a packet with {}: {frame:x?}", bad.0)),
            };
            self.judge(line, verdict);
        }
    }
}
