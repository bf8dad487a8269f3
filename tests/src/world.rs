//! The simulated world: clients, a server, the lines between them, and one clock, all from one
//! seed.
//!
//! Nothing here waits: [`World::step`] lets everything happen that is due, and then jumps to the
//! next moment at which something is.

use tamtam_core::{Instant, Storage};

use crate::dice::Dice;
use crate::node::{Habits, Node, Wish};
use crate::pipe::{Duplex, Weather};
use crate::profile::Profile;
use crate::server::Server;
use crate::transcript::Transcript;

/// How often something may happen at one moment before it counts as going round in circles.
const MOST_ROUNDS: usize = 20_000;

/// The time at which a world begins.
const BEGINNING: Instant = Instant::from_millis(1_000);

/// Where the next line breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// In the direction to the server.
    pub up: bool,
    /// Just before this byte.
    pub at: u64,
}

/// How much has been simulated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Lines that were opened.
    pub connections: u64,
    /// Lines that broke.
    pub cuts: u64,
    /// Clients that died and were restored.
    pub crashes: u64,
    /// Messages that were published by clients.
    pub messages_up: u64,
    /// Messages that clients got.
    pub messages_down: u64,
}

/// A connection between a node and the server.
#[derive(Debug)]
struct Line {
    node: usize,
    duplex: Duplex,
    /// What the server has not taken.
    rx: Vec<u8>,
    client_gone: bool,
    server_gone: bool,
}

/// See the module.
#[derive(Debug)]
pub struct World<S: Storage, V: Server> {
    /// The time.
    pub now: Instant,
    /// What makes the run what it is.
    pub seed: u64,
    /// For whoever lives in the world.
    pub dice: Dice,
    /// The clients.
    pub nodes: Vec<Node<S>>,
    /// The server.
    pub server: V,
    /// How lines are that open from now on.
    pub weather: Weather,
    /// Where the next line breaks.
    pub next_cut: Option<Cut>,
    /// In how many of a hundred cases a line breaks somewhere, and within how many bytes.
    pub cuts: (u64, u64),
    /// What happened.
    pub log: Transcript,
    /// How much.
    pub counts: Counts,
    lines: Vec<Option<Line>>,
}

impl<S: Storage, V: Server> World<S, V> {
    /// A world with a server and nobody else.
    #[must_use]
    pub fn new(seed: u64, server: V) -> Self {
        Self {
            now: BEGINNING,
            seed,
            dice: Dice::new(seed),
            nodes: Vec::new(),
            server,
            weather: Weather::FINE,
            next_cut: None,
            cuts: (0, 0),
            log: Transcript::new(crate::seeds::is_single()),
            counts: Counts::default(),
            lines: Vec::new(),
        }
    }

    /// A client comes into the world; returns its number.
    pub fn add(&mut self, profile: Profile, habits: Habits) -> usize {
        let dice = self.dice.split();
        self.nodes.push(Node::new(profile, habits, dice));
        self.nodes.len() - 1
    }

    /// Lets everything happen that is due, then jumps to the next moment. False if there is none.
    ///
    /// # Panics
    /// If nodes and server go round in circles.
    pub fn step(&mut self) -> bool {
        self.settle();
        let next = self.next_at().filter(|next| *next < Instant::NEVER);
        match next {
            Some(next) => {
                self.jump(next);
                true
            }
            None => false,
        }
    }

    /// When something happens next.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        let nodes = self.nodes.iter().filter_map(Node::next_at);
        let lines = self.lines.iter().enumerate().filter_map(|(number, line)| {
            let Line { node, duplex, client_gone, server_gone, .. } = line.as_ref()?;
            let server_reads = !server_gone && self.server.reads(number);
            let client_reads = !client_gone && self.nodes[*node].reads();
            let up = duplex.up.next_at().filter(|_| server_reads);
            let down = duplex.down.next_at().filter(|_| client_reads);
            [up, down].into_iter().flatten().min()
        });
        nodes.chain(lines).chain(self.server.poll_timeout()).min()
    }

    fn jump(&mut self, to: Instant) {
        self.now = self.now.max(to);
        for node in &mut self.nodes {
            node.client.oracle.tick(self.now);
        }
    }

    /// Lets everything happen that is due now.
    ///
    /// # Panics
    /// If nodes and server go round in circles.
    pub fn settle(&mut self) {
        for _ in 0..MOST_ROUNDS {
            let mut busy = false;
            for index in 0..self.nodes.len() {
                busy |= self.turn(index);
            }
            self.server.timeout(self.now);
            for index in 0..self.lines.len() {
                busy |= self.serve(index);
            }
            let due = self.next_at().is_some_and(|next| next <= self.now);
            if !busy && !due {
                return;
            }
        }
        self.expect_right(&["the world goes round in circles".into()]);
    }

    /// Lets this much time pass.
    pub fn pass(&mut self, millis: u64) {
        let end = self.now.plus_millis(millis);
        self.settle();
        while let Some(next) = self.next_at().filter(|next| *next <= end) {
            self.jump(next);
            self.settle();
        }
        self.jump(end);
        self.settle();
    }

    /// Steps until `done`, for this much time at most; whether it is.
    pub fn run_until(&mut self, millis: u64, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now.plus_millis(millis);
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            match self.next_at().filter(|next| *next <= end) {
                Some(next) => self.jump(next),
                None => return false,
            }
        }
    }

    /// The drive loop of a node, until it waits; whether it did more than wait.
    fn turn(&mut self, index: usize) -> bool {
        let now = self.now;
        let mut busy = false;
        loop {
            let node = &mut self.nodes[index];
            let line = node.line.and_then(|line| self.lines[line].as_mut());
            let duplex = line.map(|line| &mut line.duplex);
            match node.turn(duplex, now, &mut self.log) {
                Wish::Nothing => return busy,
                Wish::Open => self.open(index),
                Wish::HangUp => self.hang_up(index),
            }
            busy = true;
        }
    }

    fn open(&mut self, index: usize) {
        let (node, now) = (&mut self.nodes[index], self.now);
        if node.opens_at.is_none() {
            node.opens_at = node.roll_opening(now);
            match node.opens_at {
                None => {
                    self.log.remark(now, "the transport can't be opened");
                    node.closed(now);
                }
                Some(at) if at > now => {}
                Some(_) => self.connect(index),
            }
        } else {
            self.connect(index);
        }
    }

    fn connect(&mut self, index: usize) {
        let mut duplex = Duplex::new(self.weather, &mut self.dice);
        let (percent, bytes) = self.cuts;
        let random = self.dice.chance(percent);
        let random =
            random.then(|| Cut { up: self.dice.chance(50), at: self.dice.between(0, bytes) });
        if let Some(cut) = self.next_cut.take().or(random) {
            let pipe = if cut.up { &mut duplex.up } else { &mut duplex.down };
            pipe.cut_at(cut.at);
        }
        let line =
            Line { node: index, duplex, rx: Vec::new(), client_gone: false, server_gone: false };
        let number = self.lines.len();
        self.lines.push(Some(line));
        self.counts.connections += 1;
        self.log.opens(self.now, &format!("node {index} opens line {number}"));
        self.server.open(number, self.now);
        self.nodes[index].opened(number, self.now);
    }

    fn hang_up(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if let Some(number) = node.line {
            self.log.remark(self.now, &format!("node {index} leaves line {number}"));
        }
        if let Some(line) = node.line.and_then(|line| self.lines[line].as_mut()) {
            line.client_gone = true;
            line.duplex.up.close();
        }
        node.closed(self.now);
    }

    /// The line of a node breaks at once, whatever is under way.
    pub fn break_line(&mut self, index: usize) {
        if let Some(line) = self.nodes[index].line.and_then(|line| self.lines[line].as_mut()) {
            self.counts.cuts += 1;
            line.duplex.up.drop_all();
            line.duplex.down.drop_all();
        }
    }

    /// Nothing arrives on the line of a node before this much time has passed.
    pub fn stall_line(&mut self, index: usize, millis: u64) {
        let until = self.now.plus_millis(millis);
        if let Some(line) = self.nodes[index].line.and_then(|line| self.lines[line].as_mut()) {
            line.duplex.up.stall_until(until);
            line.duplex.down.stall_until(until);
        }
    }

    /// A node dies, and is there again with what its store kept; it has not connected yet.
    pub fn crash(&mut self, index: usize) {
        self.counts.crashes += 1;
        self.log.remark(self.now, &format!("node {index} dies"));
        if let Some(line) = self.nodes[index].line.and_then(|line| self.lines[line].as_mut()) {
            line.client_gone = true;
            line.duplex.up.close();
        }
        self.nodes[index].crash();
    }

    /// The line of a node, if it has one.
    #[must_use]
    pub fn line(&self, index: usize) -> Option<&Duplex> {
        let line = self.nodes[index].line?;
        self.lines[line].as_ref().map(|line| &line.duplex)
    }

    /// The server's part of a line; whether anything happened.
    fn serve(&mut self, number: usize) -> bool {
        let Some(line) = &mut self.lines[number] else { return false };
        let now = self.now;
        let mut busy = false;
        if line.duplex.spread_break() {
            self.counts.cuts += 1;
            self.log.remark(now, &format!("line {number} breaks"));
            busy = true;
        }
        if !line.server_gone {
            while self.server.reads(number) && line.duplex.up.read(&mut line.rx, 1 << 16, now) > 0 {
                busy = true;
            }
            let before = line.rx.len();
            self.server.input(number, &mut line.rx, now);
            busy |= line.rx.len() != before;
            let output = self.server.output(number);
            let len = line.duplex.down.write(output, now);
            self.log.bytes(now, "down", &output[..len]);
            busy |= len > 0;
            let rest = output.len() - len;
            self.server.written(number, len, now);
            let hangs_up = self.server.hangs_up(number) && rest == 0;
            if hangs_up || line.duplex.up.is_over() && line.rx.is_empty() {
                line.server_gone = true;
                line.duplex.down.close();
                self.log.remark(now, &format!("the server leaves line {number}"));
                self.server.closed(number, now);
                busy = true;
            }
        }
        if line.client_gone && line.server_gone {
            self.lines[number] = None;
        }
        busy
    }

    /// What the oracles found wrong.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let each = self.nodes.iter().zip(0..);
        each.flat_map(|(node, index)| {
            node.client.oracle.violations().iter().map(move |text| format!("node {index}, {text}"))
        })
        .collect()
    }

    /// Fails if something is wrong, with all that is needed to see it again.
    ///
    /// # Panics
    /// If it is.
    pub fn expect_right(&self, problems: &[String]) {
        let mut all = self.violations();
        all.extend_from_slice(problems);
        if !all.is_empty() {
            let log = self.log.lines().join("\n");
            panic!("{log}\nseed {} (TAMTAM_SEED={0} runs it alone): {all:#?}", self.seed);
        }
    }
}
