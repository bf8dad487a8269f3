//! A broker with a store, and its clients, that can crash before any call of the host's.

use tamtam_core::broker::{
    Broker, Durability, Event, Input, Limits, LimitsId, LinkId, Options, Record, Ticket,
};
use tamtam_core::{Instant, QoS, ReasonCode, Storage, TopicFilter, Version};

use crate::client::Client;
use tamtam_tests::broker::store::{Manner, Store};

/// When the broker crashes: before which call, and how many tickets survive that need not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crash {
    pub(crate) call: usize,
    pub(crate) extra: usize,
    /// Whether only the store fails, and comes back after a while.
    pub(crate) store_only: bool,
}

/// How long messages of some topics are kept.
pub(crate) type Classes = [(&'static str, Durability)];

/// The limits of those whose sessions are not to be recorded.
pub(crate) const IN_MEMORY: LimitsId = LimitsId(1);

pub(crate) struct World<S: Storage> {
    pub(crate) broker: Box<Broker<S>>,
    pub(crate) options: Options,
    /// How long messages of some topics are kept, from the next start on.
    pub(crate) classes: &'static Classes,
    /// What the broker is told instead, if it is to do wrong.
    pub(crate) said: Option<&'static Classes>,
    pub(crate) now: Instant,
    pub(crate) store: Store,
    pub(crate) clients: Vec<Client>,
    /// How many calls were made.
    pub(crate) calls: usize,
    pub(crate) crash: Option<Crash>,
    pub(crate) crashes: usize,
    /// Since when something may be lost, and when it was: for each crash.
    pub(crate) tails: Vec<(u64, u64)>,
    /// When each ticket was handed over.
    handed: Vec<(Option<Ticket>, u64)>,
    /// How many tickets were open when it crashed.
    pub(crate) open_at_crash: usize,
    pub(crate) tick: u64,
    pub(crate) failures: usize,
    /// Before which call the store that failed is there again; 0 if it did not.
    reopens: usize,
    /// Connections that were left behind: a second one of the same client took over.
    pub(crate) strays: Vec<LinkId>,
}

/// The options of all tests here.
pub(crate) const OPTIONS: Options =
    Options { store: true, send_window: 20, receive_maximum: 60, ..Options::DEFAULT };

const BEGIN: Instant = Instant::from_millis(1_000_000);

impl<S: Storage> World<S> {
    pub(crate) fn new(manner: Manner, crash: Option<Crash>) -> Self {
        let mut broker = Box::new(Broker::new());
        broker.start(&OPTIONS, 7);
        Self {
            broker,
            options: OPTIONS,
            classes: &[],
            said: None,
            now: BEGIN,
            store: Store::new(manner),
            clients: Vec::new(),
            calls: 0,
            crash,
            crashes: 0,
            tails: Vec::new(),
            handed: vec![(None, 0)],
            open_at_crash: 0,
            tick: 1,
            failures: 0,
            reopens: 0,
            strays: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, name: &str, version: Version, expiry_secs: u32) -> usize {
        self.clients.push(Client::new(name, version, expiry_secs));
        self.clients.len() - 1
    }

    /// A call is about to be made; whether the broker crashes instead.
    fn call(&mut self) -> bool {
        self.calls += 1;
        self.tick += 1;
        for client in &mut self.clients {
            client.tick = self.tick;
        }
        if self.reopens == self.calls {
            self.reopen();
        }
        match self.crash {
            Some(crash) if crash.call == self.calls && crash.store_only => {
                self.fail();
                false
            }
            Some(crash) if crash.call == self.calls => {
                self.crash_now(crash.extra);
                true
            }
            _ => false,
        }
    }

    pub(crate) fn crash_now(&mut self, extra: usize) {
        (self.crashes, self.reopens) = (self.crashes + 1, 0);
        self.open_at_crash = self.store.open();
        self.forget_handed(extra);
        self.tails.push((self.handed.last().map_or(0, |(_, tick)| *tick), self.tick));
        self.handed = vec![(None, self.tick)];
        self.store.crash(extra);
        for client in &mut self.clients {
            client.lost();
            client.may_expire |= client.has_session && !client.recorded;
        }
        self.strays.clear();
        let classes = self.said.unwrap_or(self.classes);
        self.broker = restored(&self.store.log, &self.options, classes, self.now);
    }

    /// The tickets that are about to be lost were not handed over.
    fn forget_handed(&mut self, extra: usize) {
        if let Some(lost) = self.store.first_lost(extra) {
            self.handed.retain(|(ticket, _)| ticket.is_none_or(|ticket| ticket < lost));
        }
    }

    /// The broker is told something else of topics than the judge knows.
    pub(crate) fn mislead(&mut self, said: &'static Classes) {
        self.said = Some(said);
        say_classes(&mut *self.broker, &self.options, said);
    }

    /// What is said of topics holds from now on.
    pub(crate) fn classify(&mut self, classes: &'static Classes) {
        self.classes = classes;
        say_classes(&mut *self.broker, &self.options, classes);
    }

    pub(crate) fn connect(&mut self, at: usize) {
        self.clients[at].wants = true;
    }

    fn open(&mut self, at: usize) {
        if self.call() {
            return;
        }
        let client = &mut self.clients[at];
        let link = match client.limits {
            Some(limits) => self.broker.open_with(limits, self.now),
            None => self.broker.open(self.now),
        };
        let link = link.expect("room");
        client.link = Some(link);
        client.put_connect();
    }

    /// The connection breaks, and is not made again.
    pub(crate) fn cut(&mut self, at: usize) {
        self.clients[at].wants = false;
        self.close(at);
    }

    pub(crate) fn close(&mut self, at: usize) {
        let Some(link) = self.clients[at].link else { return };
        if self.call() {
            return;
        }
        self.clients[at].lost();
        self.broker.handle_close(link, self.now);
    }

    /// A client connects once more, though it is connected.
    pub(crate) fn take_over(&mut self, at: usize) {
        if let Some(link) = self.clients[at].link {
            self.clients[at].lost();
            self.strays.push(link);
        }
        self.clients[at].wants = true;
    }

    pub(crate) fn disconnect(&mut self, at: usize, reason: ReasonCode, expiry: Option<u32>) {
        self.clients[at].wants = false;
        if self.clients[at].connected {
            self.clients[at].put_disconnect(reason, expiry);
            self.feed(at);
        }
        self.close(at);
    }

    pub(crate) fn publish(
        &mut self,
        at: usize,
        topic: &str,
        payload: &str,
        qos: QoS,
        retain: bool,
    ) {
        self.clients[at].publish(topic, payload, qos, retain);
    }

    /// Hands in what a client sent, packet by packet. Whether there was anything.
    fn feed(&mut self, at: usize) -> bool {
        let mut any = false;
        while let Some(link) = self.clients[at].link {
            if self.clients[at].up.is_empty() || self.call() {
                break;
            }
            let up = std::mem::take(&mut self.clients[at].up);
            let len = frame(&up);
            let mut input = &up[..len];
            let result = self.broker.handle_input(link, &mut input, self.now);
            let taken = len - input.len();
            any |= taken != 0;
            self.clients[at].up = up[taken..].to_vec();
            match result {
                Input::More => {}
                Input::Blocked | Input::Close => break,
            }
        }
        any
    }

    fn take_records(&mut self, all: bool) -> bool {
        let mut any = false;
        loop {
            if self.call() {
                return any;
            }
            let Some((ticket, records)) = self.broker.take_records(all) else { return any };
            self.handed.push((Some(ticket), self.tick));
            self.store.hand(ticket, &records);
            any = true;
        }
    }

    fn report(&mut self) -> bool {
        let mut any = false;
        while let Some(ticket) = self.store.report() {
            // A store does not fail between keeping a ticket and saying so.
            if let Some(crash) = self.crash.as_mut()
                && crash.store_only
                && crash.call == self.calls + 1
            {
                crash.call += 1;
            }
            if self.call() {
                break; // it crashed just before
            }
            self.broker.handle_persisted(ticket, self.now);
            any = true;
        }
        any
    }

    /// Writes what there is to write. Whether there was anything.
    fn flush(&mut self) -> bool {
        let mut any = false;
        while let Some(link) = self.broker.next_writable() {
            let output = self.broker.output(link).to_vec();
            assert!(!output.is_empty(), "nothing to write");
            any = true;
            let owner = self.clients.iter().position(|client| client.link == Some(link));
            if let Some(at) = owner {
                // It is seen whether or not the broker lives to know it.
                self.clients[at].down.extend(&output);
                self.clients[at].read();
            }
            if self.call() {
                return any;
            }
            self.broker.output_written(link, output.len(), self.now);
        }
        any
    }

    fn events(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.broker.poll_event() {
            let Event::Close(link) = event else { continue };
            any = true;
            self.strays.retain(|stray| *stray != link);
            match self.clients.iter().position(|client| client.link == Some(link)) {
                Some(at) => self.close(at),
                None => self.broker.handle_close(link, self.now),
            }
        }
        any
    }

    /// One turn of a host. Whether anything happened.
    pub(crate) fn turn(&mut self) -> bool {
        let mut any = false;
        let crashes = self.crashes;
        for at in 0..self.clients.len() {
            if self.clients[at].wants && self.clients[at].link.is_none() {
                self.open(at);
                any = true;
            }
            self.clients[at].put_all();
            any |= self.feed(at);
        }
        any |= self.flush(); // what is in the output leaves before a connection is closed
        any |= self.events();
        any |= self.take_records(false);
        self.store.age();
        any |= self.report();
        any |= self.flush();
        any |= self.events();
        any || self.store.is_behind() || self.reopens != 0 || crashes != self.crashes
    }

    pub(crate) fn turns(&mut self, count: usize) {
        for _ in 0..count {
            self.turn();
        }
    }

    /// Turns until nothing happens any more.
    pub(crate) fn settle(&mut self) {
        for _ in 0..5_000 {
            if !self.turn() {
                return;
            }
        }
        let restless = self.clients.iter().filter(|client| !client.is_settled());
        let names: Vec<_> = restless.map(|client| (&client.name, client.connected)).collect();
        panic!("it does not come to rest: {names:?}, store {}", self.store.is_behind());
    }

    /// Time passes.
    pub(crate) fn sleep(&mut self, secs: u32) {
        let until = self.now.plus_secs(secs);
        while let Some(due) = self.broker.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            if !self.call() {
                self.broker.handle_timeout(self.now);
            }
            self.turn();
        }
        self.now = until;
        self.turn();
    }

    /// The store says that it failed: what it has not reported is lost.
    pub(crate) fn fail(&mut self) {
        for ticket in self.store.overtaken() {
            self.broker.handle_persisted(ticket, self.now);
        }
        self.failures += 1;
        self.reopens = self.calls + 12;
        let power = std::mem::take(&mut self.store.manner.power); // which does not fail
        self.forget_handed(0);
        self.store.crash(0);
        self.store.manner.power = power;
        self.broker.handle_persist_failed(self.now);
    }

    /// It does not come back by itself.
    pub(crate) fn stays_away(&mut self) {
        self.reopens = 0;
    }

    /// The store is there again, and is told everything.
    pub(crate) fn reopen(&mut self) {
        self.reopens = 0;
        self.broker.records();
    }

    /// Whether the store is there, and has everything that it was handed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.reopens == 0
    }

    /// Everything is kept; all that ever was.
    pub(crate) fn everything(&mut self) -> Vec<Vec<u8>> {
        self.report_all();
        while let Some((ticket, records)) = self.broker.take_records(true) {
            self.store.hand(ticket, &records);
            self.report_all();
        }
        self.store.log.clone()
    }

    fn report_all(&mut self) {
        let lag = std::mem::take(&mut self.store.manner.lag);
        self.store.age();
        while let Some(ticket) = self.store.report() {
            self.broker.handle_persisted(ticket, self.now);
        }
        self.store.manner.lag = lag;
    }

    pub(crate) fn snapshot_into_store(&mut self) {
        self.everything();
        let snapshot = self.snapshot();
        self.store.log.extend(snapshot);
    }

    /// All that is true, from the beginning.
    pub(crate) fn snapshot(&mut self) -> Vec<Vec<u8>> {
        self.broker.records();
        let (ticket, records) = self.broker.take_records(true).expect("at least Reset");
        let records: Vec<_> = records.bytes().map(<[u8]>::to_vec).collect();
        assert_eq!(Record::read(&records[0]), Some(Record::Reset));
        self.broker.handle_persisted(ticket, self.now);
        records
    }
}

fn say_classes<S: Storage>(broker: &mut Broker<S>, options: &Options, classes: &Classes) {
    if classes.is_empty() {
        return; // then nobody is in memory either
    }
    let mut in_memory: Limits<'_> = options.limits();
    in_memory.durability = Durability::Memory;
    broker.limits(IN_MEMORY, &in_memory).expect("room");
    let filter = |text| TopicFilter::new(text).expect("a filter");
    let classes: Vec<_> = classes.iter().map(|(text, class)| (filter(text), *class)).collect();
    broker.classes(&classes).expect("room");
}

/// A broker that was given back what a store kept.
pub(crate) fn restored<S: Storage>(
    kept: &[Vec<u8>],
    options: &Options,
    classes: &Classes,
    now: Instant,
) -> Box<Broker<S>> {
    let mut broker = Box::new(Broker::new());
    broker.start(options, 8);
    say_classes(&mut *broker, options, classes);
    for bytes in kept {
        let record = Record::read(bytes).expect("a record");
        broker.restore(&record).expect("room");
    }
    broker.restored(now);
    broker
}

/// How long the first packet is.
fn frame(bytes: &[u8]) -> usize {
    let (mut len, mut at) = (0, 1);
    loop {
        len |= usize::from(bytes[at] & 0x7F) << (7 * (at - 1));
        at += 1;
        if bytes[at - 1] & 0x80 == 0 {
            return at + len;
        }
    }
}
