//! What a host does with a broker: hands in, writes, asks the store. The oracle sees all of it.

use tamtam_core::broker::{Broker, Event, Input, LinkId, Record};
use tamtam_core::{Instant, Storage};

use super::joined::{pick, total};
use super::world::{Line, Wake, World};
use crate::wire::{decode, encode, take_frames};

impl<S: Storage> World<S> {
    /// The broker was called: what it tells is done, and what it shows is noted.
    pub(super) fn observe(&mut self) {
        loop {
            let mut quiet = true;
            for at in 0..=self.others.len() {
                while let Some(event) = self.broker_at(at).poll_event() {
                    quiet = false;
                    self.handle_event(at, event);
                }
                while let Some(link) = self.broker_at(at).next_writable() {
                    quiet = false;
                    let Some(number) = self.numbers.get(&(at, link)).copied() else { continue };
                    self.note_output(number, link);
                    self.dirty_lines.insert(number);
                }
            }
            quiet &= !self.carry();
            if quiet {
                return;
            }
        }
    }

    fn handle_event(&mut self, at: usize, event: Event) {
        match event {
            Event::Disconnected { link, .. } => {
                let Some(number) = self.numbers.get(&(at, link)).copied() else { return };
                self.oracle.closed(number, self.now);
                if let Some(line) = self.lines.get_mut(&number) {
                    line.ending = true;
                    self.dirty_lines.insert(number);
                }
            }
            Event::Close(link) | Event::Resume(link) => {
                let Some(number) = self.numbers.get(&(at, link)).copied() else { return };
                let Some(line) = self.lines.get_mut(&number) else { return };
                line.blocked = false;
                line.closes |= matches!(event, Event::Close(_));
                self.dirty_lines.insert(number);
            }
            Event::Connected { link, .. } => self.entitle(link),
            Event::Ask(ask) => self.ask(ask),
            _ => {}
        }
    }

    fn note_output(&mut self, number: usize, link: LinkId) {
        let Some(line) = self.lines.get_mut(&number) else { return };
        let output = pick(&mut self.broker, &mut self.others, line.at).output(link);
        let fresh = output.get(line.seen..).unwrap_or_default();
        if self.meddler.is_none() {
            self.oracle.said(number, fresh, self.now);
            line.seen = output.len();
            return;
        }
        line.meddled_down.extend_from_slice(fresh);
        let len = output.len();
        let frames = take_frames(&mut line.meddled_down).unwrap_or_default();
        let version = line.version;
        let broker = pick(&mut self.broker, &mut self.others, line.at);
        broker.output_written(link, len, self.now);
        for frame in frames {
            let packet = decode(&frame, version).expect("a packet of the broker's");
            let meddler = self.meddler.as_mut().expect("it is here");
            for (number, packet) in meddler.down(number, packet) {
                let Some(line) = self.lines.get_mut(&number) else { continue };
                let bytes = encode(&packet, line.version);
                self.oracle.said(number, &bytes, self.now);
                line.tx.extend(bytes);
                self.dirty_lines.insert(number);
            }
        }
    }

    /// The broker's part of a line.
    pub(super) fn serve(&mut self, number: usize) {
        let Some(line) = self.lines.get_mut(&number) else { return };
        line.duplex.spread_break();
        if !line.broker_gone {
            self.take_input(number);
            self.write_output(number);
            self.close_if_over(number);
        }
        let Some(line) = self.lines.get(&number) else { return };
        if line.broker_gone && line.client_gone {
            self.lines.remove(&number);
        } else {
            self.schedule_line(number);
        }
    }

    fn take_input(&mut self, number: usize) {
        loop {
            let now = self.now;
            let Some(line) = self.lines.get_mut(&number) else { return };
            if line.blocked {
                return;
            }
            let read = line.duplex.up.read(&mut line.rx, 1 << 16, now);
            if read == 0 && !line.again {
                return;
            }
            self.dirty_people.insert(line.person); // there is room again
            line.again = false;
            if line.ending {
                line.rx.clear();
                continue;
            }
            if self.meddler.is_some() {
                self.feed_meddled(number);
            } else {
                self.feed(number);
            }
        }
    }

    fn feed(&mut self, number: usize) {
        let now = self.now;
        let Some(line) = self.lines.get_mut(&number) else { return };
        let mut input = &line.rx[..];
        let broker = pick(&mut self.broker, &mut self.others, line.at);
        let result = broker.handle_input(line.link, &mut input, now);
        let taken = line.rx.len() - input.len();
        let taken: Vec<u8> = line.rx.drain(..taken).collect();
        self.oracle.heard(number, &taken, now);
        self.mind(number, result);
        self.observe();
    }

    fn mind(&mut self, number: usize, result: Input) {
        let Some(line) = self.lines.get_mut(&number) else { return };
        match result {
            Input::More => {}
            Input::Blocked => (line.blocked, line.again) = (true, true),
            Input::Close => line.ending = true,
        }
    }

    fn feed_meddled(&mut self, number: usize) {
        let Some(line) = self.lines.get_mut(&number) else { return };
        let frames = take_frames(&mut line.rx).unwrap_or_default();
        line.frames.extend(frames);
        loop {
            let Some(line) = self.lines.get_mut(&number).filter(|line| !line.ending) else {
                return;
            };
            if line.meddled_up.is_empty() {
                let Some(frame) = line.frames.pop_front() else { return };
                let packet = decode(&frame, line.version).expect("a packet of a client's");
                let meddler = self.meddler.as_mut().expect("it is here");
                for packet in meddler.up(number, packet) {
                    line.meddled_up.extend(encode(&packet, line.version));
                }
                line.original = frame;
            }
            let mut input = &line.meddled_up[..];
            let broker = pick(&mut self.broker, &mut self.others, line.at);
            let result = broker.handle_input(line.link, &mut input, self.now);
            let taken = line.meddled_up.len() - input.len();
            line.meddled_up.drain(..taken);
            if line.meddled_up.is_empty() {
                let original = std::mem::take(&mut line.original);
                self.oracle.heard(number, &original, self.now);
            }
            self.mind(number, result);
            self.observe();
            if result != Input::More {
                return;
            }
        }
    }

    fn write_output(&mut self, number: usize) {
        loop {
            let Some(line) = self.lines.get_mut(&number) else { return };
            if self.meddler.is_some() {
                let len = line.duplex.down.write(&line.tx, self.now);
                line.tx.drain(..len);
                return;
            }
            let link = line.link;
            self.note_output(number, link);
            let Some(line) = self.lines.get_mut(&number) else { return };
            let broker = pick(&mut self.broker, &mut self.others, line.at);
            let output = broker.output(link);
            let len = line.duplex.down.write(output, self.now);
            if len == 0 {
                return;
            }
            line.seen -= len;
            broker.output_written(line.link, len, self.now);
            self.observe();
        }
    }

    fn close_if_over(&mut self, number: usize) {
        let Some(line) = self.lines.get_mut(&number) else { return };
        let broker = pick(&mut self.broker, &mut self.others, line.at);
        let written = line.tx.is_empty() && broker.output(line.link).is_empty();
        let hangs_up = line.closes && written;
        let peer_gone = line.duplex.up.is_over() && (line.blocked || !line.again);
        let peer_gone = peer_gone || line.client_gone && line.duplex.up.is_over();
        if hangs_up || peer_gone {
            line.broker_gone = true;
            line.duplex.down.close();
            let (at, link) = (line.at, line.link);
            self.oracle.log.remark(self.now, &format!("the broker leaves line {number}"));
            self.numbers.remove(&(at, link));
            let now = self.now;
            self.broker_at(at).handle_close(link, now);
            self.oracle.closed(number, self.now);
            self.oracle.forget(number);
            if let Some(meddler) = &mut self.meddler {
                meddler.line(number, "", false);
            }
            self.observe();
        }
    }

    /// A client opens a line.
    pub(super) fn open_line(&mut self, person: usize) -> Option<usize> {
        let (at, now) = (self.place(), self.now);
        let link = self.broker_at(at).open(now).ok()?;
        let number = self.next_line;
        self.next_line += 1;
        self.counts.connections += 1;
        let mut duplex = crate::pipe::Duplex::new(self.weather, &mut self.dice);
        if self.dice.chance(self.cut_percent) {
            let at = self.dice.between(0, 5_000);
            if self.dice.chance(50) { duplex.up.cut_at(at) } else { duplex.down.cut_at(at) }
        }
        let version = self.people[person].version();
        let line = Line::new(person, duplex, (at, link), version);
        self.lines.insert(number, line);
        self.numbers.insert((at, link), number);
        let name = self.people[person].name();
        self.oracle.log.remark(self.now, &format!("{name} opens line {number}"));
        self.oracle.opened(number, self.now);
        if let Some(meddler) = &mut self.meddler {
            meddler.line(number, name, true);
        }
        Some(number)
    }

    /// How many bytes the broker has for a client that have not left.
    pub fn output_of(&mut self, person: usize) -> usize {
        let line = self.lines.values().rfind(|line| line.person == person);
        let Some((at, link)) = line.map(|line| (line.at, line.link)) else { return 0 };
        self.broker_at(at).output(link).len()
    }

    // The store.

    /// What is to be kept goes to the store.
    pub(super) fn serve_store(&mut self, all: bool) {
        while let Some((ticket, records)) = self.broker.take_records(all) {
            let mark = self.oracle.handed();
            self.marks.insert(ticket, mark);
            match &mut self.meddler {
                Some(meddler) => {
                    let records = records.bytes().flat_map(|bytes| meddler.record(bytes));
                    self.store.hand_bytes(ticket, records.collect());
                }
                None => self.store.hand(ticket, &records),
            }
            if self.meddler.as_mut().is_some_and(|meddler| meddler.hurries()) {
                self.broker.handle_persisted(ticket, self.now);
                self.observe();
            }
        }
        if self.store.is_behind() && self.store_due.is_none() {
            let (low, high) = self.store_ms;
            let due = self.now.plus_millis(self.dice.between(low, high));
            self.store_due = Some(due);
            self.wake(due, Wake::Store);
        }
    }

    /// The store has kept something.
    pub(super) fn run_store(&mut self) {
        self.store_due = None;
        self.store.age();
        while let Some(ticket) = self.store.report() {
            if let Some(mark) = self.marks.get(&ticket) {
                self.oracle.kept(*mark);
            }
            self.broker.handle_persisted(ticket, self.now);
            self.observe();
        }
        let done = self.store.is_behind();
        if !done {
            self.marks.clear();
        }
        self.serve_store(false);
    }

    /// The store loses what it has not kept, and says so; it is there again after a while.
    pub fn fail_store(&mut self, away_ms: u64) {
        if !self.options.store || self.reopens_at.is_some() {
            return;
        }
        self.counts.failures += 1;
        for ticket in self.store.overtaken() {
            self.broker.handle_persisted(ticket, self.now);
            self.observe();
        }
        self.store.crash(0);
        self.marks.clear();
        self.oracle.log.remark(self.now, "the store fails");
        self.oracle.failed();
        self.broker.handle_persist_failed(self.now);
        self.observe();
        let when = self.now.plus_millis(away_ms);
        self.reopens_at = Some(when);
        self.wake(when, Wake::Reopen);
    }

    pub(super) fn reopen_store(&mut self) {
        self.reopens_at = None;
        self.oracle.log.remark(self.now, "the store is there again");
        self.oracle.reopened();
        self.broker.records();
        self.serve_store(true);
    }

    /// The power fails: of what the store has not kept, `extra` tickets survive all the same.
    ///
    /// # Panics
    /// If a record is not taken back.
    pub fn crash(&mut self, extra: usize) {
        if !self.options.store {
            return;
        }
        self.counts.crashes += 1;
        self.oracle.log.remark(self.now, "the broker crashes");
        let survivor = self.store.last_survivor(extra);
        if let Some(mark) = survivor.and_then(|ticket| self.marks.get(&ticket)) {
            self.oracle.kept(*mark);
        }
        self.marks.clear();
        self.store.crash(extra);
        for number in self.lines.keys().copied().collect::<Vec<_>>() {
            let Some(line) = self.lines.get_mut(&number) else { continue };
            line.duplex.up.drop_all();
            line.duplex.down.drop_all();
            line.broker_gone = true;
            self.dirty_people.insert(line.person);
            self.dirty_lines.insert(number);
            if let Some(meddler) = &mut self.meddler {
                meddler.line(number, "", false);
            }
        }
        self.numbers.clear();
        self.asks.clear();
        self.before = total([self.before, self.broker.counters()].into_iter());
        self.reopens_at = None;
        self.oracle.crashed(self.now);
        self.births += 1;
        self.broker = restored(&self.store.log, &self.options, self.now, self.births);
        self.observe();
        self.serve_store(false);
    }
}

/// A broker that was given back what a store kept.
fn restored<S: Storage>(
    kept: &[Vec<u8>],
    options: &tamtam_core::broker::Options,
    now: Instant,
    seed: u64,
) -> Box<Broker<S>> {
    let mut broker = Box::new(Broker::new());
    broker.start(options, seed);
    for bytes in kept {
        let record = Record::read(bytes).expect("a record");
        broker.restore(&record).expect("room");
    }
    broker.restored(now);
    broker
}
