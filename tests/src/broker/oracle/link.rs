//! One connection, as it looks on the wire from the broker.

use std::collections::{BTreeMap, VecDeque};

use tamtam_core::{Instant, Version};

use super::session::Name;
use crate::wire::{Connect, Publish, id};

/// An answer that the broker owes, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Owed {
    pub(super) id: u16,
    /// Which message, if it is one.
    pub(super) number: u64,
    /// When its packet was taken.
    pub(super) pos: u64,
    /// The filters for which codes are to come.
    pub(super) filters: Vec<Name>,
    /// Whether it stands on something that a store has to keep.
    pub(super) kept: bool,
    /// Whether the store has failed to.
    pub(super) doomed: bool,
    /// How many are to get it.
    pub(super) targets: usize,
}

/// The answer to a request. One that changed nothing overtakes those that wait for a store.
pub(super) fn take_answer(owed: &mut VecDeque<Owed>, id: u16) -> Option<Owed> {
    owed.remove(owed.iter().position(|owed| owed.id == id)?)
}

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) version: Version,
    pub(super) session: Option<usize>,
    pub(super) connect: Option<Connect>,
    pub(super) pos: u64,
    /// Whether CONNACK is to say that there is a session, if that is known.
    pub(super) present: Option<bool>,
    /// Whether CONNACK was sent.
    pub(super) accepted: bool,
    /// Whether the client has ended it.
    pub(super) goodbye: bool,
    /// Whether nothing may follow.
    pub(super) over: bool,
    /// When its session lost it.
    pub(super) lost: Option<Instant>,
    /// When CONNACK was shown.
    pub(super) accepted_at: Instant,
    /// Whether the client may say anything: then nothing it says is sure to have an effect.
    pub(super) hostile: bool,
    pub(super) up: Vec<u8>,
    pub(super) down: Vec<u8>,
    pub(super) pubacks: VecDeque<Owed>,
    pub(super) pubrecs: VecDeque<Owed>,
    pub(super) pubcomps: VecDeque<Owed>,
    pub(super) subacks: VecDeque<Owed>,
    pub(super) unsubacks: VecDeque<Owed>,
    pub(super) pings: usize,
    /// PUBRECs for nothing, which are answered all the same.
    pub(super) stray: Vec<u16>,
    pub(super) aliases_in: BTreeMap<u32, Vec<u8>>,
    aliases_out: BTreeMap<u32, Vec<u8>>,
    pub(super) window: usize,
    pub(super) max_packet: usize,
    pub(super) heard_at: Instant,
    pub(super) keep_alive_ms: u64,
}

impl Link {
    pub(super) const fn new(now: Instant, pos: u64) -> Self {
        Self {
            version: Version::V311,
            session: None,
            connect: None,
            pos,
            present: None,
            accepted: false,
            goodbye: false,
            over: false,
            lost: None,
            accepted_at: Instant::ZERO,
            hostile: false,
            up: Vec::new(),
            down: Vec::new(),
            pubacks: VecDeque::new(),
            pubrecs: VecDeque::new(),
            pubcomps: VecDeque::new(),
            subacks: VecDeque::new(),
            unsubacks: VecDeque::new(),
            pings: 0,
            stray: Vec::new(),
            aliases_in: BTreeMap::new(),
            aliases_out: BTreeMap::new(),
            window: 65_535,
            max_packet: usize::MAX,
            heard_at: now,
            keep_alive_ms: 0,
        }
    }

    /// A client says who it is.
    pub(super) fn connects(&mut self, connect: &Connect, window: u16, pos: u64) {
        let number = |id| connect.props.number(id);
        self.version = connect.version;
        self.pos = pos;
        self.window = number(id::RECEIVE_MAXIMUM).unwrap_or(65_535) as usize;
        self.window = self.window.min(usize::from(window));
        self.max_packet = number(id::MAXIMUM_PACKET_SIZE).map_or(usize::MAX, |size| size as usize);
        self.keep_alive_ms = u64::from(connect.keep_alive) * 1_500;
        self.connect = Some(connect.clone());
    }

    fn alias_maximum(&self) -> u32 {
        let connect = self.connect.as_ref();
        connect.and_then(|connect| connect.props.number(id::TOPIC_ALIAS_MAXIMUM)).unwrap_or(0)
    }

    /// The topic of a message to the client [MQTT5-3.1.2-26, MQTT5-3.1.2-27].
    pub(super) fn resolve_out(&mut self, publish: &Publish) -> Result<Vec<u8>, String> {
        let Some(alias) = publish.props.number(id::TOPIC_ALIAS) else {
            return Ok(publish.topic.clone());
        };
        if alias == 0 || alias > self.alias_maximum() {
            return Err(format!("alias {alias}, {} is the maximum", self.alias_maximum()));
        }
        if !publish.topic.is_empty() {
            self.aliases_out.insert(alias, publish.topic.clone());
        }
        let known = self.aliases_out.get(&alias).cloned();
        known.ok_or_else(|| format!("alias {alias} before its topic was sent"))
    }

    /// The topic of a message from the client, if it makes sense.
    pub(super) fn resolve_in(&mut self, publish: &Publish) -> Option<Vec<u8>> {
        let Some(alias) = publish.props.number(id::TOPIC_ALIAS) else {
            return Some(publish.topic.clone());
        };
        if !publish.topic.is_empty() {
            self.aliases_in.insert(alias, publish.topic.clone());
        }
        self.aliases_in.get(&alias).cloned()
    }
}
