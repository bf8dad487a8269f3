//! Several brokers that are joined, in the place of one: lines lead to any of them, by the seed.

use tamtam_core::broker::{Broker, Counters, PeerLost, Tally};
use tamtam_core::{Instant, Storage};

use super::peers::Peers;
use super::world::World;

/// One broker of several.
pub(super) fn pick<'b, S: Storage>(
    first: &'b mut Broker<S>,
    others: &'b mut [Box<Broker<S>>],
    at: usize,
) -> &'b mut Broker<S> {
    match at.checked_sub(1) {
        Some(other) => &mut others[other],
        None => first,
    }
}

fn all<'b, S: Storage>(
    first: &'b mut Broker<S>,
    others: &'b mut [Box<Broker<S>>],
) -> Vec<&'b mut Broker<S>> {
    core::iter::once(first).chain(others.iter_mut().map(|other| &mut **other)).collect()
}

impl<S: Storage> World<S> {
    /// From now on there are this many brokers, which are joined. To be called before anybody
    /// comes.
    ///
    /// # Panics
    /// With a store: there is one, for a broker that is alone.
    pub fn join(&mut self, count: usize, lost: PeerLost) {
        assert!(!self.options.store, "a store for one broker");
        for number in 1..count {
            let mut broker = Box::new(Broker::new());
            broker.start(&self.options, self.seed ^ (number as u64 * 0x9E37));
            self.others.push(broker);
        }
        self.oracle.join();
        let seed = self.dice.roll();
        let mut all = all(&mut self.broker, &mut self.others);
        self.peers = Some(Peers::join(&mut all, lost, seed, self.now));
        self.observe();
    }

    pub(super) fn broker_at(&mut self, at: usize) -> &mut Broker<S> {
        pick(&mut self.broker, &mut self.others, at)
    }

    pub(super) fn brokers(&self) -> impl Iterator<Item = &Broker<S>> {
        core::iter::once(&*self.broker).chain(self.others.iter().map(|other| &**other))
    }

    /// Which broker the next line leads to.
    pub(super) fn place(&mut self) -> usize {
        match self.others.len() {
            0 => 0, // nothing is left to the dice
            more => self.dice.below(more + 1),
        }
    }

    /// From now on messages between brokers take up to so many milliseconds.
    pub fn lag(&mut self, lag_ms: u64) {
        let Some(peers) = &mut self.peers else { return };
        peers.lag_ms = lag_ms;
        self.oracle.lag(lag_ms);
    }

    /// Whether brokers have messages for each other that have not arrived.
    #[must_use]
    pub fn is_lagging(&self) -> bool {
        self.peers.as_ref().is_some_and(|peers| peers.on_the_way() != 0)
    }

    /// When the next message between brokers arrives.
    pub(super) fn arrives_at(&self) -> Option<Instant> {
        self.peers.as_ref().and_then(Peers::next_at)
    }

    /// Lets messages between brokers arrive that are due.
    pub(super) fn serve_peers(&mut self) {
        if self.arrives_at().is_some_and(|when| when <= self.now) {
            self.observe();
        }
    }

    /// Lets a message between brokers arrive. Whether there was one.
    pub(super) fn carry(&mut self) -> bool {
        let Some(peers) = &mut self.peers else { return false };
        peers.carry(&mut all(&mut self.broker, &mut self.others), self.now)
    }

    /// Two brokers can't reach each other, until they [meet](World::meet) again.
    pub fn part(&mut self, one: usize, other: usize) {
        let Some(peers) = &mut self.peers else { return };
        self.oracle.log.remark(self.now, &format!("brokers {one} and {other} part"));
        let mut all = all(&mut self.broker, &mut self.others);
        peers.cut(&mut all, one, other, self.now);
        self.oracle.part(true);
        self.observe();
    }

    /// Two brokers can reach each other again.
    pub fn meet(&mut self, one: usize, other: usize) {
        let Some(peers) = &mut self.peers else { return };
        self.oracle.log.remark(self.now, &format!("brokers {one} and {other} meet"));
        let mut all = all(&mut self.broker, &mut self.others);
        peers.connect(&mut all, one, other, self.now);
        self.observe();
        self.oracle.part(false);
    }

    /// Tells brokers the time that have something to do.
    pub(super) fn serve_timeouts(&mut self) {
        let now = self.now;
        let mut due = false;
        for at in 0..=self.others.len() {
            let broker = self.broker_at(at);
            if broker.poll_timeout().is_some_and(|when| when <= now) {
                broker.handle_timeout(now);
                due = true;
            }
        }
        if due {
            self.oracle.tick(now);
            self.observe();
        }
    }

    /// How many messages are kept, and their bytes: what each broker retains counts once.
    pub(super) fn kept(&self) -> (usize, usize) {
        let retained = self.broker.retained_count();
        let kept = self.brokers().map(Broker::kept);
        let (count, bytes) = kept.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (count - retained * self.others.len(), bytes)
    }

    /// What all brokers counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        total(self.brokers().map(Broker::counters))
    }
}

/// What several brokers counted.
#[must_use]
pub fn total(all: impl Iterator<Item = Counters>) -> Counters {
    macro_rules! add {
        ($total:ident, $one:ident: $($field:ident)*; $($tallies:ident)*) => {{
            let Counters { $($field,)* $($tallies),* } = $one; // none is forgotten
            $($total.$field += $field;)*
            $(add_tallies(&mut $total.$tallies, &$tallies);)*
        }};
    }
    let mut sum = Counters::default();
    for one in all {
        add!(sum, one: others_in others_out bytes_in bytes_out connects refused
            dropped_queue dropped_expired dropped_too_large dropped_qos0 dropped_memory
            dropped_rights dropped_refused dropped_session dropped_cleared dropped_events
            dropped_peers unsure_peers returned_sessions ask_timeouts; published delivered);
    }
    sum
}

/// Adds what was counted by QoS.
pub(super) fn add_tallies(sum: &mut [Tally; 3], more: &[Tally; 3]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        sum.messages += more.messages;
        sum.bytes += more.bytes;
    }
}
