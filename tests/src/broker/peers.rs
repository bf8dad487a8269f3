//! What joined brokers say to each other, on its way: in order for each pair, late by a seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tamtam_core::broker::{Broker, PeerId, PeerLost, PeerMessage, PeerOptions};
use tamtam_core::{Instant, Storage};

use crate::dice::Dice;

/// Messages in one direction, and when each arrives.
type Way = VecDeque<(Instant, Vec<u8>)>;

/// The ways between brokers. Each broker is known by its place among them all.
#[derive(Debug)]
pub struct Peers {
    dice: Dice,
    /// What is on its way, and when it arrives.
    ways: BTreeMap<(usize, usize), Way>,
    cut: BTreeSet<(usize, usize)>,
    /// How long a message takes at most, in milliseconds. None overtakes another one.
    pub lag_ms: u64,
    /// How many messages arrived.
    pub carried: u64,
}

/// The number of the broker at a place.
fn id(at: usize) -> PeerId {
    PeerId(u32::try_from(at).expect("few brokers") + 1)
}

impl Peers {
    /// Joins brokers that were started: each is there for each other.
    pub fn join<S: Storage>(
        brokers: &mut [&mut Broker<S>],
        lost: PeerLost,
        seed: u64,
        now: Instant,
    ) -> Self {
        for (at, broker) in brokers.iter_mut().enumerate() {
            broker.start_peers(&PeerOptions { lost, ..PeerOptions::new(id(at)) });
        }
        let (ways, cut) = (BTreeMap::new(), BTreeSet::new());
        let mut peers = Self { dice: Dice::new(seed), ways, cut, lag_ms: 0, carried: 0 };
        for one in 0..brokers.len() {
            for other in 0..one {
                peers.connect(brokers, one, other, now);
            }
        }
        peers
    }

    /// Two brokers reach each other, perhaps again.
    pub fn connect<S: Storage>(
        &mut self,
        brokers: &mut [&mut Broker<S>],
        one: usize,
        other: usize,
        now: Instant,
    ) {
        for (from, to) in [(one, other), (other, one)] {
            self.cut.remove(&(from, to));
            self.ways.insert((from, to), VecDeque::new());
            brokers[from].handle_peer_joined(id(to), now);
        }
    }

    /// Two brokers do not reach each other any more; what is on its way is lost.
    pub fn cut<S: Storage>(
        &mut self,
        brokers: &mut [&mut Broker<S>],
        one: usize,
        other: usize,
        now: Instant,
    ) {
        for (from, to) in [(one, other), (other, one)] {
            self.cut.insert((from, to));
            self.ways.remove(&(from, to));
            brokers[from].handle_peer_lost(id(to), now);
        }
    }

    /// Takes up what brokers have to say, and lets one message arrive that is due. Whether there
    /// was one.
    ///
    /// # Panics
    /// If a message is another one after it was encoded and decoded.
    pub fn carry<S: Storage>(&mut self, brokers: &mut [&mut Broker<S>], now: Instant) -> bool {
        for (from, broker) in brokers.iter_mut().enumerate() {
            while let Some((PeerId(to), message)) = broker.poll_peer() {
                let mut bytes = Vec::new();
                message.encode(&mut bytes);
                assert_eq!(PeerMessage::decode(&bytes).as_ref(), Some(&message));
                let way = (from, to as usize - 1);
                assert!(!self.cut.contains(&way), "to a peer that is lost");
                let lag = match self.lag_ms {
                    0 => 0, // nothing is left to the dice
                    most => self.dice.between(0, most),
                };
                let arrives = now.plus_millis(lag);
                let way = self.ways.entry(way).or_default();
                let before = way.back().map_or(arrives, |(before, _)| *before);
                way.push_back((arrives.max(before), bytes));
            }
        }
        let is_due = |way: &Way| way.front().is_some_and(|(arrives, _)| *arrives <= now);
        let busy: Vec<_> =
            self.ways.iter().filter(|(_, way)| is_due(way)).map(|(pair, _)| *pair).collect();
        if busy.is_empty() {
            return false;
        }
        let (from, to) = self.dice.pick(&busy);
        let bytes = self.ways.get_mut(&(from, to)).and_then(VecDeque::pop_front);
        let message = bytes.and_then(|(_, bytes)| PeerMessage::decode(&bytes)).expect("a message");
        brokers[to].handle_peer(id(from), message, now);
        self.carried += 1;
        true
    }

    /// When the next one arrives.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.ways.values().filter_map(|way| way.front()).map(|(arrives, _)| *arrives).min()
    }

    /// How many messages are on their way.
    #[must_use]
    pub fn on_the_way(&self) -> usize {
        self.ways.values().map(VecDeque::len).sum()
    }
}
