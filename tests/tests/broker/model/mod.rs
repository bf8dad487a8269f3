//! Clients that do what they like, as long as it is legal, and an account of who must get what.
//!
//! QoS 1 arrives at least once and in order, QoS 2 exactly once, retained messages and wills as the
//! specification says; and at the end nothing is left that nobody waits for.

mod account;
mod client;

use tamtam_core::broker::PeerLost;
use tamtam_tests::broker::peers::Peers;
use tamtam_tests::dice::Dice;

use crate::support::*;
use account::{Account, Message, Sub};
use client::Client;

const TOPICS: [&str; 6] = ["a", "a/b", "a/c", "b/x", "$z/q", "a/b/x"];
const FILTERS: [&str; 9] = ["a/+", "#", "a/b", "a/#", "+/x", "+", "$z/#", "a/+/x", "a"];
const WILLS: [&str; 5] = ["w/0", "w/1", "w/2", "w/3", "w/4"];
/// No topic matches two of them: nobody could tell the copies of two groups apart.
const GROUPS: [(Option<&str>, &str); 3] =
    [(Some("g"), "a/+"), (Some("h"), "b/x"), (Some("g"), "$z/#")];

tamtam_core::fixed! {
    struct Depot {
        out: 8_192, in_flight: 32, links: 12, sessions: 24, subscriptions: 128, levels: 128,
        level_bytes: 1_024, bodies: 512, body_bytes: 16_384, names: 128, queue: 512,
    }
}

/// A broker or several that are joined, their clients, and the account.
struct Market<S: Storage> {
    brokers: Vec<Box<Broker<S>>>,
    peers: Option<Peers>,
    now: u64,
    dice: Dice,
    clients: Vec<Client>,
    account: Account,
    /// How many messages there were: each has a number.
    numbers: u32,
}

impl<S: Storage> Market<S> {
    fn new(seed: u64, count: usize) -> Self {
        let limits = Options { queue: 500, send_window: 8, retained: 64, ..Options::DEFAULT };
        let options = Options { receive_maximum: 32, ..limits };
        let mut brokers: Vec<Box<Broker<S>>> =
            core::iter::repeat_with(|| Box::new(Broker::new())).take(count).collect();
        for (broker, number) in brokers.iter_mut().zip(0..) {
            broker.start(&options, seed * 100 + number);
        }
        let peers = (count > 1).then(|| {
            let mut all: Vec<_> = brokers.iter_mut().map(|broker| &mut **broker).collect();
            Peers::join(&mut all, PeerLost::Keep, seed, Instant::from_millis(1_000))
        });
        let clients: Vec<_> = WILLS.iter().enumerate().map(|(at, _)| Client::new(at)).collect();
        let account = Account::new(clients.len());
        let dice = Dice::new(seed);
        Self { brokers, peers, now: 1_000, dice, clients, account, numbers: 0 }
    }

    /// The broker that a client is connected to.
    fn broker(&mut self, at: usize) -> &mut Broker<S> {
        &mut self.brokers[self.clients[at].place]
    }

    /// Everything that brokers say to each other arrives.
    fn carry(&mut self) {
        let now = self.now();
        let mut all: Vec<_> = self.brokers.iter_mut().map(|broker| &mut **broker).collect();
        if let Some(peers) = &mut self.peers {
            while peers.carry(&mut all, now) {}
        }
    }

    fn handle_timeout(&mut self) {
        let now = self.now();
        for at in 0..self.brokers.len() {
            self.brokers[at].handle_timeout(now);
            self.carry();
        }
    }

    fn sum(&self, count: impl Fn(&Broker<S>) -> usize) -> usize {
        self.brokers.iter().map(|broker| count(broker)).sum()
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    fn next_message(&mut self, publisher: usize, topic: &'static str) -> Message {
        self.numbers += 1;
        let (qos, retain) = (self.dice.below(3) as u8, self.dice.chance(20));
        Message { number: self.numbers, publisher, topic, qos, retain }
    }

    /// Somebody does something.
    fn step(&mut self) {
        self.now += 1;
        let at = self.dice.below(self.clients.len());
        let roll = self.dice.below(100);
        match (self.clients[at].is_online(), roll) {
            (false, 0..40) | (true, 0..3) => self.connect(at, false),
            (false, _) => self.pass_time(),
            (true, 3..6) => self.cut(at),
            (true, 6..9) => self.leave(at),
            (true, 9..19) => self.subscribe(at),
            (true, 19..23) => self.unsubscribe(at),
            (true, 23..55) => self.publish(at),
            (true, 55..65) => self.go_on(at),
            (true, 65..80) => self.read(at),
            (true, 80..98) => self.acknowledge(at, 50),
            (true, _) => self.pass_time(),
        }
        self.heed_events();
    }

    fn heed_events(&mut self) {
        self.carry();
        let now = self.now();
        for broker in &mut self.brokers {
            while broker.next_writable().is_some() {} // clients read when they like
            while let Some(event) = broker.poll_event() {
                match event {
                    Event::Close(link) => broker.handle_close(link, now),
                    Event::Disconnected { why: Ended::Refused(reason), link } => {
                        assert_eq!(reason, ReasonCode::SessionTakenOver);
                        broker.handle_close(link, now); // nobody reads it any more
                    }
                    Event::Resume(link) => {
                        let _ = broker.handle_input(link, &mut &[][..], now);
                    }
                    _ => {}
                }
            }
        }
        self.carry();
    }

    fn pass_time(&mut self) {
        self.now += self.dice.between(1, 3_000);
        self.handle_timeout();
        self.account.pass(self.now);
    }

    fn connect(&mut self, at: usize, last: bool) {
        let version = if last { V5 } else { self.dice.pick(&EVERY) };
        let clean = !last && self.dice.chance(25);
        let kept = last || if version == V5 { self.dice.chance(80) } else { !clean };
        let window = if version == V5 { self.dice.between(1, 8) as u16 } else { 8 };
        let will = (!last && self.dice.chance(40)).then(|| {
            let message = self.next_message(at, WILLS[at]);
            let delayed = version == V5 && self.dice.chance(60);
            let delay_ms = if delayed { self.dice.between(1, 4) * 1_000 } else { 0 };
            account::Will { message, delay_ms }
        });
        // Time that has passed has passed for the broker too.
        self.handle_timeout();
        self.account.pass(self.now);
        let present = self.account.connect(at, clean, kept, will, self.now);
        let (place, now) = (self.dice.below(self.brokers.len()), self.now());
        let link = self.brokers[place].open(now).expect("room for a connection");
        self.clients[at].place = place;
        let connect = client::connect(at, version, clean, kept, window, will.as_ref());
        self.clients[at].begin(link, version, usize::from(window));
        let mut input = &connect[..];
        let _ = self.broker(at).handle_input(link, &mut input, now);
        assert_eq!(input, b"");
        self.heed_events();
        let output = self.broker(at).output(link).to_vec();
        let told = self.clients[at].accept(&output);
        assert_eq!(told, present && version != V31, "client {at}: session present");
        self.clients[at].resume(present);
        if self.dice.chance(50) {
            self.go_on(at);
        }
    }

    fn cut(&mut self, at: usize) {
        let (link, now) = (self.clients[at].end(), self.now());
        self.broker(at).handle_close(link, now);
        self.carry();
        self.account.lose(at, false, self.now);
    }

    fn leave(&mut self, at: usize) {
        let version = self.clients[at].version;
        self.account.lose(at, true, self.now);
        let link = self.clients[at].link();
        let now = self.now();
        self.hand_in(at, &bytes(version, &[disconnect(ReasonCode::Success)]), Input::Close);
        self.clients[at].end();
        self.broker(at).handle_close(link, now);
        self.carry();
    }

    fn filter(&mut self) -> (Option<&'static str>, &'static str) {
        if self.dice.chance(30) {
            self.dice.pick(&GROUPS)
        } else {
            (None, self.dice.pick(&FILTERS))
        }
    }

    fn subscribe(&mut self, at: usize) {
        let v5 = self.clients[at].version == V5;
        let name = self.filter();
        let options = v5 && self.dice.chance(30);
        let one = Sub {
            name,
            qos: self.dice.below(3) as u8,
            no_local: options && name.0.is_none(),
            as_published: options,
        };
        let again = !one.no_local; // what it retained itself is another story
        self.account.subscribe(at, one, again);
        let packet = self.clients[at].subscribe(&one, again);
        self.send(at, &packet);
    }

    fn unsubscribe(&mut self, at: usize) {
        let name = self.filter();
        self.account.unsubscribe(at, name);
        let packet = self.clients[at].unsubscribe(name);
        self.send(at, &packet);
    }

    fn publish(&mut self, at: usize) {
        if !self.clients[at].may_publish() {
            return;
        }
        let topic = self.dice.pick(&TOPICS);
        let mut message = self.next_message(at, topic);
        if message.retain && self.dice.chance(20) {
            (message.number, message.qos) = (0, 0);
        }
        self.account.publish(message);
        let packet = self.clients[at].publish(message);
        self.send(at, &packet);
    }

    /// A publisher goes on with what it began at QoS 2, or repeats what it said.
    fn go_on(&mut self, at: usize) {
        let repeat = self.dice.chance(50);
        let packets = self.clients[at].go_on(repeat);
        self.send(at, &packets);
    }

    /// A client reads all that there is.
    fn read(&mut self, at: usize) {
        let link = self.clients[at].link();
        loop {
            let output = self.broker(at).output(link).to_vec();
            if output.is_empty() {
                break;
            }
            // Not all at once, as a socket may take it.
            let taken = &output[..self.dice.between(1, output.len() as u64) as usize];
            let now = self.now();
            self.broker(at).output_written(link, taken.len(), now);
            self.clients[at].take(taken, &mut self.account);
        }
        self.account.has_read(at);
    }

    /// A client takes some of the steps that it owes for messages.
    fn acknowledge(&mut self, at: usize, percent: u64) {
        let dice = &mut self.dice;
        let packets = self.clients[at].acknowledge(|| dice.chance(percent));
        self.send(at, &packets);
    }

    fn send(&mut self, at: usize, bytes: &[u8]) {
        self.hand_in(at, bytes, Input::More);
    }

    fn hand_in(&mut self, at: usize, bytes: &[u8], expected: Input) {
        let (mut input, link, now) = (bytes, self.clients[at].link(), self.now());
        let result = self.broker(at).handle_input(link, &mut input, now);
        assert_eq!(result, expected, "{bytes:02x?}");
        self.carry();
    }

    /// Everybody is there, reads and acknowledges until there is nothing more to do.
    fn settle(&mut self) {
        for at in 0..self.clients.len() {
            self.connect(at, true);
            self.heed_events();
        }
        let mut turns = 0;
        while self.clients.iter().any(Client::has_more) || self.has_output() {
            turns += 1;
            assert!(turns < 10_000, "somebody waits for ever");
            for at in 0..self.clients.len() {
                self.read(at);
                self.acknowledge(at, 100);
                self.clients[at].repeats_nothing();
                self.go_on(at);
            }
        }
        self.account.close();
        let retained = self.account.retained.len();
        for broker in &self.brokers {
            let (count, used) = broker.kept();
            assert_eq!((count, broker.retained_count()), (retained, retained), "{used} bytes");
            let dropped = broker.counters();
            let lost = [dropped.dropped_memory, dropped.dropped_queue, dropped.dropped_too_large];
            assert_eq!(lost, [0; 3], "there was room for all");
        }
        assert_eq!(self.sum(Broker::session_count), self.account.session_count());
        assert_eq!(self.sum(Broker::subscription_count), self.account.subscription_count());
        self.heed_events();
    }

    fn has_output(&self) -> bool {
        let waits = |client: &Client| !self.brokers[client.place].output(client.link()).is_empty();
        self.clients.iter().any(waits)
    }

    /// Nobody is there, and nothing is left but what is retained.
    fn finish(&mut self) {
        for at in 0..self.clients.len() {
            self.leave(at);
        }
        if let Some(peers) = &self.peers {
            assert!(peers.carried > 1_000, "they had nothing to say to each other");
        }
        self.now += 4_000_000;
        self.handle_timeout();
        let left = (self.sum(Broker::session_count), self.sum(Broker::subscription_count));
        assert_eq!(left, (0, 0));
        let retained = self.account.retained.len();
        for broker in &self.brokers {
            assert_eq!((broker.kept().0, broker.poll_timeout()), (retained, None));
        }
    }
}

/// One run: rounds of steps, each of which ends with everybody content.
fn run<S: Storage>(seed: u64, brokers: usize, (rounds, steps): (usize, usize)) {
    println!("seed {seed}"); // seen only if the run fails
    let mut market = Market::<S>::new(seed, brokers);
    for _ in 0..rounds {
        for _ in 0..steps {
            market.step();
        }
        market.settle();
    }
    market.finish();
}

#[test]
fn everybody_gets_what_is_due_from_a_broker_on_heap() {
    for seed in 0..24 {
        run::<Heap>(seed, 1, (8, 400));
    }
}

#[test]
fn everybody_gets_what_is_due_from_a_broker_on_fixed() {
    for seed in 100..124 {
        run::<Depot>(seed, 1, (20, 150));
    }
}

#[test]
fn everybody_gets_what_is_due_from_joined_brokers() {
    for seed in 200..224 {
        run::<Heap>(seed, 3, (8, 300));
    }
}
