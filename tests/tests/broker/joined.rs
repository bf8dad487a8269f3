//! Three brokers that are joined, in the place of one.

use tamtam_core::broker::PeerLost;
use tamtam_tests::broker::peers::Peers;
use tamtam_tests::broker::total;
use tamtam_tests::dice::Dice;

use crate::support::*;

/// What the broker of a [`Rig`] is joined with, and the ways between them.
pub(crate) struct Joined<S: Storage> {
    others: Vec<Box<Broker<S>>>,
    peers: Option<Peers>,
    lost: PeerLost,
    dice: Dice,
    /// Where the next client connects, if it is said.
    next: Option<usize>,
    /// Whether nothing that brokers say to each other arrives.
    held: bool,
}

impl<S: Storage> Joined<S> {
    /// Which broker the next client connects to.
    pub(crate) fn place(&mut self) -> usize {
        let place = self.dice.below(self.others.len() + 1);
        self.next.take().unwrap_or(place)
    }

    /// Begins anew, with these options; the first one was started.
    pub(crate) fn restart(&mut self, first: &mut Broker<S>, options: &Options, now: Instant) {
        for (other, seed) in self.others.iter_mut().zip(8..) {
            **other = Broker::new();
            other.start(options, seed);
        }
        let seed = self.dice.roll();
        let mut all = all(first, &mut self.others);
        self.peers = Some(Peers::join(&mut all, self.lost, seed, now));
    }
}

fn all<'b, S: Storage>(
    first: &'b mut Broker<S>,
    others: &'b mut [Box<Broker<S>>],
) -> Vec<&'b mut Broker<S>> {
    core::iter::once(first).chain(others.iter_mut().map(|other| &mut **other)).collect()
}

impl Rig<Heap> {
    /// Three brokers, to which clients connect as the seed says.
    pub(crate) fn joined(version: Version, seed: u64) -> Self {
        println!("seed {seed}"); // seen only if the test fails
        let mut rig = Self::new(version);
        let others = vec![Box::new(Broker::new()), Box::new(Broker::new())];
        let (dice, lost) = (Dice::new(seed), PeerLost::Keep);
        rig.joined = Some(Joined { others, peers: None, lost, dice, next: None, held: false });
        rig.restart(Options::DEFAULT);
        rig
    }

    fn joined_mut(&mut self) -> &mut Joined<Heap> {
        self.joined.as_mut().expect("several brokers")
    }

    /// The next client connects to this broker.
    pub(crate) fn at(&mut self, place: usize) -> &mut Self {
        self.joined_mut().next = Some(place);
        self
    }

    /// Begins anew, with this policy for peers that are lost.
    pub(crate) fn restart_with(&mut self, lost: PeerLost, options: Options) {
        self.joined_mut().lost = lost;
        self.restart(options);
    }

    /// Whether nothing that brokers say to each other arrives from now on.
    pub(crate) fn hold(&mut self, held: bool) {
        self.joined_mut().held = held;
        self.turn();
    }

    /// Two brokers can't reach each other; what is on its way is lost.
    pub(crate) fn part(&mut self, one: usize, other: usize) {
        let (joined, now) = (self.joined.as_mut().expect("several brokers"), self.now);
        let peers = joined.peers.as_mut().expect("they are joined");
        peers.cut(&mut all(&mut self.broker, &mut joined.others), one, other, now);
        self.turn();
    }

    /// They can again.
    pub(crate) fn meet(&mut self, one: usize, other: usize) {
        let (joined, now) = (self.joined.as_mut().expect("several brokers"), self.now);
        let peers = joined.peers.as_mut().expect("they are joined");
        peers.connect(&mut all(&mut self.broker, &mut joined.others), one, other, now);
        self.turn();
    }

    /// Though all are held, one arrives.
    pub(crate) fn carry_one(&mut self) {
        self.joined_mut().held = false;
        assert!(self.carry(), "nothing is on its way");
        self.joined_mut().held = true;
        self.turn();
    }

    /// What brokers have to keep is kept, until there is no more.
    pub(crate) fn persist(&mut self) {
        loop {
            let mut more = false;
            for at in 0..self.brokers() {
                let now = self.now;
                let broker = self.broker_at(at);
                if let Some(ticket) = broker.take_records(true).map(|(ticket, _)| ticket) {
                    broker.handle_persisted(ticket, now);
                    more = true;
                }
            }
            self.turn();
            if !more {
                return;
            }
        }
    }

    /// How many messages brokers have sent each other that arrived.
    pub(crate) fn carried(&self) -> u64 {
        self.joined.as_ref().and_then(|joined| joined.peers.as_ref()).map_or(0, |one| one.carried)
    }
}

/// One broker or three.
impl<S: Storage> Rig<S> {
    /// How many brokers there are.
    pub(crate) fn brokers(&self) -> usize {
        1 + self.joined.as_ref().map_or(0, |joined| joined.others.len())
    }

    pub(crate) fn broker_at(&mut self, at: usize) -> &mut Broker<S> {
        match (at.checked_sub(1), &mut self.joined) {
            (Some(other), Some(joined)) => &mut joined.others[other],
            _ => &mut self.broker,
        }
    }

    /// Lets a message between brokers arrive. Whether there was one.
    pub(crate) fn carry(&mut self) -> bool {
        let Some(Joined { others, peers: Some(peers), held: false, .. }) = &mut self.joined else {
            return false;
        };
        peers.carry(&mut all(&mut self.broker, others), self.now)
    }

    fn each(&self) -> impl Iterator<Item = &Broker<S>> {
        let others = self.joined.iter().flat_map(|joined| &joined.others);
        core::iter::once(&*self.broker).chain(others.map(|other| &**other))
    }

    pub(crate) fn session_count(&self) -> usize {
        self.each().map(Broker::session_count).sum()
    }

    pub(crate) fn subscription_count(&self) -> usize {
        self.each().map(Broker::subscription_count).sum()
    }

    /// How many retained messages there are: everywhere as many.
    #[track_caller]
    pub(crate) fn retained_count(&self) -> usize {
        let count = self.broker.retained_count();
        assert!(self.each().all(|broker| broker.retained_count() == count));
        count
    }

    /// When a broker has to be told the time.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.each().filter_map(Broker::poll_timeout).min()
    }

    /// What all brokers counted.
    pub(crate) fn counters(&self) -> Counters {
        total(self.each().map(Broker::counters))
    }

    /// Nothing is kept but what is retained and `wills` wills.
    #[track_caller]
    pub(crate) fn keeps_only_retained(&self, wills: usize) {
        let kept: usize = self.each().map(|broker| broker.kept().0).sum();
        let retained = self.retained_count() * self.brokers();
        assert_eq!(kept, retained + wills, "messages that nobody waits for");
        for (count, used) in self.each().map(Broker::kept) {
            assert!(count != 0 || used == 0, "{used} bytes of no message");
        }
    }
}
