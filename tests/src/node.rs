//! A client in the world: the documented drive loop, with the whims of a real driver.

use std::collections::VecDeque;

use tamtam_core::client::{SendError, Token, Transport};
use tamtam_core::{Instant, ReasonCode, Storage};

use crate::dice::Dice;
use crate::happened::{Happened, Loss};
use crate::pipe::Duplex;
use crate::profile::Profile;
use crate::store::Store;
use crate::transcript::Transcript;
use crate::watched::Watched;

/// How many unread bytes a driver holds before it stops reading.
const RX_MOST: usize = 1 << 16;

/// How a driver and its application behave. Ranges include both ends.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How many bytes it writes at once.
    pub write: (usize, usize),
    /// How many bytes it reads at once.
    pub read: (usize, usize),
    /// How many bytes of a streamed payload the application hands in at once.
    pub chunk: (usize, usize),
    /// In how many of a hundred cases it writes between one event and the next.
    pub eager_percent: u64,
    /// In how many of a hundred cases it leaves the rest of the events for later.
    pub pause_percent: u64,
    /// How long opening a transport takes, in milliseconds.
    pub open_ms: (u64, u64),
    /// In how many of a hundred cases that fails.
    pub refuse_percent: u64,
    /// How long the store takes, in milliseconds.
    pub store_ms: (u64, u64),
}

impl Habits {
    /// Everything at once.
    pub const PLAIN: Self = Self {
        write: (1 << 20, 1 << 20),
        read: (1 << 20, 1 << 20),
        chunk: (1 << 20, 1 << 20),
        eager_percent: 0,
        pause_percent: 0,
        open_ms: (0, 0),
        refuse_percent: 0,
        store_ms: (0, 0),
    };

    /// Habits for a run that is to see much.
    pub fn any(dice: &mut Dice) -> Self {
        Self {
            write: (1, dice.pick(&[1, 7, 100, 5_000])),
            read: (1, dice.pick(&[1, 7, 100, 5_000])),
            chunk: (1, dice.pick(&[1, 50, 1_000])),
            eager_percent: dice.pick(&[0, 20, 100]),
            pause_percent: dice.pick(&[0, 10, 50]),
            open_ms: (0, dice.pick(&[0, 5, 200])),
            refuse_percent: dice.pick(&[0, 0, 10]),
            store_ms: (0, dice.pick(&[0, 3, 50])),
        }
    }
}

/// What a node wants of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Nothing,
    Open,
    HangUp,
}

/// See the module.
#[derive(Debug)]
pub struct Node<S: Storage> {
    /// Who it is.
    pub profile: Profile,
    /// Its client.
    pub client: Watched<S>,
    /// What its application was told and nobody has looked at.
    pub inbox: VecDeque<Happened>,
    /// How it behaves.
    pub habits: Habits,
    /// Which line it is on.
    pub(crate) line: Option<usize>,
    /// When the transport that it waits for is open.
    pub(crate) opens_at: Option<Instant>,
    store: Store,
    store_due: Option<Instant>,
    resends: Vec<Token>,
    rx: Vec<u8>,
    dice: Dice,
    births: u64,
}

impl<S: Storage> Node<S> {
    pub(crate) fn new(profile: Profile, habits: Habits, mut dice: Dice) -> Self {
        Self {
            client: Watched::new(&profile, dice.roll()),
            profile,
            inbox: VecDeque::new(),
            habits,
            line: None,
            opens_at: None,
            store: Store::default(),
            store_due: None,
            resends: Vec::new(),
            rx: Vec::new(),
            dice,
            births: 0,
        }
    }

    /// When it has something to do though nothing comes.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let machine = self.client.machine.poll_timeout();
        [machine, self.opens_at, self.store_due].into_iter().flatten().min()
    }

    /// Whether it reads more.
    pub(crate) const fn reads(&self) -> bool {
        self.rx.len() < RX_MOST
    }

    /// How long the opening of a transport takes, or `None` if it fails.
    pub(crate) fn roll_opening(&mut self, now: Instant) -> Option<Instant> {
        let (low, high) = self.habits.open_ms;
        let wait = self.dice.between(low, high);
        (!self.dice.chance(self.habits.refuse_percent)).then(|| now.plus_millis(wait))
    }

    pub(crate) fn opened(&mut self, line: usize, now: Instant) {
        (self.line, self.opens_at) = (Some(line), None);
        self.rx.clear();
        self.client.open(now);
    }

    pub(crate) fn closed(&mut self, now: Instant) {
        (self.line, self.opens_at) = (None, None);
        self.resends.clear();
        self.rx.clear();
        self.client.close(now);
    }

    /// The power fails: what its store has not kept is gone.
    pub(crate) fn crash(&mut self) {
        self.store.crash();
        self.births += 1;
        self.client.crash(&self.profile, &self.store, self.births);
        self.inbox.clear();
        self.resends.clear();
        self.rx.clear();
        (self.line, self.opens_at, self.store_due) = (None, None, None);
    }

    /// Turns of the drive loop until there is nothing to do.
    pub(crate) fn turn(
        &mut self,
        mut line: Option<&mut Duplex>,
        now: Instant,
        log: &mut Transcript,
    ) -> Wish {
        loop {
            self.client.timeout(now);
            match self.client.transport() {
                Transport::Wanted => {
                    if self.opens_at.is_none_or(|at| at <= now) {
                        return Wish::Open;
                    }
                }
                Transport::Unwanted => return Wish::HangUp,
                Transport::Open | Transport::Resting => {}
            }
            self.serve_store(now);
            self.resend(now);
            let mut paused = false;
            let lost = self.take_events(&mut line, &mut paused, now, log);
            let pumped = self.pump(now);
            if self.write(&mut line, lost.is_some(), now, log) && lost.is_none() {
                continue;
            }
            if lost.is_some() {
                return Wish::HangUp;
            }
            self.serve_store(now);
            if paused || pumped {
                continue;
            }
            let Some(line) = &mut line else { return Wish::Nothing };
            let most = self.dice.within(self.habits.read);
            if self.reads() && line.down.read(&mut self.rx, most, now) > 0 {
                continue;
            }
            return if line.down.is_over() { Wish::HangUp } else { Wish::Nothing };
        }
    }

    fn take_events(
        &mut self,
        line: &mut Option<&mut Duplex>,
        paused: &mut bool,
        now: Instant,
        log: &mut Transcript,
    ) -> Option<Loss> {
        loop {
            match self.client.input(&mut self.rx, now) {
                Ok(None) => return None,
                Ok(Some(happened)) => {
                    log.happened(now, &happened);
                    self.react(&happened, now);
                    self.inbox.push_back(happened);
                }
                Err(loss) => {
                    log.happened(now, &Happened::Lost(loss));
                    self.inbox.push_back(Happened::Lost(loss));
                    return Some(loss);
                }
            }
            if self.dice.chance(self.habits.eager_percent) {
                self.write(line, false, now, log);
            }
            if self.dice.chance(self.habits.pause_percent) {
                *paused = true;
                return None;
            }
        }
    }

    fn react(&mut self, happened: &Happened, now: Instant) {
        match happened {
            Happened::Resend(token) => self.resends.push(*token),
            Happened::Auth(ReasonCode::ContinueAuthentication) => {
                let _ = self.client.machine.authenticate(Some(b"answer"), now);
            }
            _ => {}
        }
    }

    /// Writes once, or all that there is; whether anything was written.
    fn write(
        &mut self,
        line: &mut Option<&mut Duplex>,
        all: bool,
        now: Instant,
        log: &mut Transcript,
    ) -> bool {
        let Some(line) = line else { return false };
        let mut any = false;
        loop {
            let output = self.client.output(now);
            if output.is_empty() {
                return any;
            }
            let most = self.dice.within(self.habits.write).min(output.len());
            let len = line.up.write(&output[..most], now);
            log.bytes(now, "up", &output[..len]);
            if len == 0 {
                log.remark(now, &format!("{} bytes are blocked", output.len()));
            }
            self.client.written(&output, len, now);
            any |= len > 0;
            if len == 0 || !all {
                return any;
            }
        }
    }

    /// Hands in a piece of a streamed payload, if one is asked for.
    fn pump(&mut self, now: Instant) -> bool {
        let most = self.dice.within(self.habits.chunk);
        self.client.is_sending() && self.client.pump(most, now) > 0
    }

    fn resend(&mut self, now: Instant) {
        if let Some(token) = self.resends.first().copied() {
            match self.client.resend(token, now) {
                Err(SendError::Full | SendError::Stream) => {} // later
                _ => {
                    self.resends.remove(0);
                }
            }
        }
    }

    fn serve_store(&mut self, now: Instant) {
        if !self.profile.store {
            return;
        }
        if self.store_due.is_some_and(|due| due <= now) {
            self.store_due = None;
            self.store.keep();
            self.client.persisted(now);
        }
        if self.store_due.is_none() {
            self.client.hand_records(&mut self.store);
            if self.store.is_behind() {
                let wait = self.dice.between(self.habits.store_ms.0, self.habits.store_ms.1);
                self.store_due = Some(now.plus_millis(wait));
            }
        }
    }
}
