//! A model of a broker's store: it keeps tickets whole, later than they come, and not all of them
//! when everything crashes.

use std::collections::{BTreeMap, VecDeque};

use tamtam_core::broker::{Record, Records, Ticket};

/// How a store behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// How many turns a ticket takes.
    pub lag: usize,
    /// Whether the last one that came is reported first.
    pub reorders: bool,
    /// Whether it hands back the last of each key instead of all that it was handed.
    pub by_key: bool,
    /// Whether the power fails with everything else: what is relaxed is lost, until something
    /// behind it was not, or it has grown old.
    pub power: bool,
}

/// After how many turns what is relaxed survives a power failure, too.
const OLD: usize = 12;

#[derive(Debug)]
struct Handed {
    ticket: Ticket,
    records: Vec<Vec<u8>>,
    age: usize,
    reported: bool,
    relaxed: bool,
}

/// What was kept, and what was handed over since.
#[derive(Debug, Default)]
pub struct Store {
    /// How it behaves.
    pub manner: Manner,
    /// What a broker is handed back.
    pub log: Vec<Vec<u8>>,
    pending: VecDeque<Handed>,
}

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(manner: Manner) -> Self {
        Self { manner, ..Self::default() }
    }

    /// Takes the records of a ticket, which it does not keep yet.
    ///
    /// # Panics
    /// If there are none, or one is none.
    pub fn hand(&mut self, ticket: Ticket, records: &Records<'_>) {
        let bytes: Vec<_> = records.bytes().map(<[u8]>::to_vec).collect();
        assert!(!bytes.is_empty(), "a ticket for nothing");
        self.hand_bytes(ticket, bytes);
        if let Some(last) = self.pending.back_mut() {
            last.relaxed = records.is_relaxed();
        }
    }

    /// Takes records as bytes.
    ///
    /// # Panics
    /// If one is none.
    pub fn hand_bytes(&mut self, ticket: Ticket, records: Vec<Vec<u8>>) {
        for bytes in &records {
            assert!(Record::read(bytes).is_some(), "a record that is none: {bytes:?}");
        }
        let (age, reported, relaxed) = (0, false, false);
        self.pending.push_back(Handed { ticket, records, age, reported, relaxed });
    }

    /// A turn has passed.
    pub fn age(&mut self) {
        for handed in &mut self.pending {
            handed.age += 1;
        }
        self.settle();
    }

    /// The next ticket that is reported.
    ///
    /// # Panics
    /// Never.
    pub fn report(&mut self) -> Option<Ticket> {
        let (lag, reorders) = (self.manner.lag, self.manner.reorders);
        let ready = |handed: &Handed| !handed.reported && handed.age > lag;
        let at = if reorders {
            self.pending.iter().rposition(ready)
        } else {
            self.pending.iter().position(ready)
        }?;
        self.pending[at].reported = true;
        let ticket = self.pending[at].ticket;
        self.settle();
        Some(ticket)
    }

    /// What nothing can take away any more.
    fn settle(&mut self) {
        let reported = self.pending.iter().take_while(|handed| handed.reported);
        let sure = reported.enumerate().filter(|(_, handed)| self.is_sure(handed));
        let count = sure.map(|(at, _)| at + 1).last().unwrap_or_default();
        for handed in self.pending.drain(..count) {
            self.log.extend(handed.records);
        }
    }

    /// Whether a ticket that was reported survives whatever comes.
    const fn is_sure(&self, handed: &Handed) -> bool {
        handed.reported && !(self.manner.power && handed.relaxed && handed.age < OLD)
    }

    /// Those that were kept, as later ones were, and not reported.
    pub fn overtaken(&mut self) -> Vec<Ticket> {
        let count = self.pending.len() - self.open();
        let overtaken = self.pending.iter().take(count).filter(|handed| !handed.reported);
        overtaken.map(|handed| handed.ticket).collect()
    }

    /// How many tickets may or may not survive a crash.
    #[must_use]
    pub fn open(&self) -> usize {
        let sure = self.pending.iter().rposition(|handed| self.is_sure(handed));
        self.pending.len() - sure.map_or(0, |at| at + 1)
    }

    /// The first ticket that is lost in such a crash.
    #[must_use]
    pub fn first_lost(&self, extra: usize) -> Option<Ticket> {
        let kept = self.pending.len() - self.open() + extra.min(self.open());
        Some(self.pending.get(kept)?.ticket)
    }

    /// The last ticket that survives a crash in which `extra` do that need not.
    #[must_use]
    pub fn last_survivor(&self, extra: usize) -> Option<Ticket> {
        let kept = self.pending.len() - self.open() + extra.min(self.open());
        Some(self.pending.get(kept.checked_sub(1)?)?.ticket)
    }

    /// Whether it was handed something that it has not kept.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.pending.iter().any(|handed| !handed.reported)
    }

    /// What was reported is kept, and `extra` tickets behind that; the others are lost.
    pub fn crash(&mut self, extra: usize) {
        let keep = self.pending.len() - self.open() + extra.min(self.open());
        for handed in self.pending.drain(..keep) {
            self.log.extend(handed.records);
        }
        self.pending.clear();
        if self.manner.by_key {
            self.log = compact(&self.log);
        }
    }

    /// It has this and nothing else.
    pub fn replace(&mut self, kept: Vec<Vec<u8>>) {
        self.log = kept;
        self.pending.clear();
    }
}

/// A record that a store keeps.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn read(bytes: &[u8]) -> Record<'_> {
    Record::read(bytes).expect("a record")
}

/// Kind, session, place or number, text.
type Key = (u8, u64, u64, u8, Vec<u8>);

/// Forgets all that is of a session or a group.
fn forget_session(kept: &mut BTreeMap<Key, Vec<u8>>, session: u64) {
    for kind in [1, 2, 3, 4, 5, 7] {
        let first = (kind, session, 0, 0, Vec::new());
        let behind = (kind, session + 1, 0, 0, Vec::new());
        kept.extract_if(first..behind, |_, _| true).for_each(drop);
    }
}

/// The last of each key, without what ended.
///
/// # Panics
/// If a kind of record is new to it.
#[must_use]
pub fn compact(log: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut kept: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
    let mut topics: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let none = Vec::new;
    for bytes in log {
        let key = match read(bytes) {
            Record::Reset => {
                kept.clear();
                continue;
            }
            Record::Body { body, topic, .. } => {
                topics.insert(body, topic.to_vec());
                (0, body, 0, 0, none())
            }
            Record::BodyGone { body } => {
                kept.remove(&(0, body, 0, 0, none()));
                continue;
            }
            Record::Session { session, .. } => (1, session, 0, 0, none()),
            Record::Group { group, .. } => (1, group, 0, 0, none()),
            Record::SessionGone { session } => {
                forget_session(&mut kept, session);
                continue;
            }
            Record::Subscription { session, filter, .. } => (2, session, 0, 0, filter.to_vec()),
            Record::SubscriptionGone { session, filter } => {
                kept.remove(&(2, session, 0, 0, filter.to_vec()));
                continue;
            }
            Record::Cursor { session, filter, .. } => (7, session, 0, 0, filter.to_vec()),
            Record::CursorGone { session, filter } => {
                kept.remove(&(7, session, 0, 0, filter.to_vec()));
                continue;
            }
            Record::Queued { session, place, .. } => (3, session, place, 0, none()),
            Record::Sent { session, place, .. } => (3, session, place, 1, none()),
            Record::Given { session, place, .. } => (3, session, place, 2, none()),
            Record::Released { session, place, .. } => {
                for what in [0, 2] {
                    kept.remove(&(3, session, place, what, none()));
                }
                (3, session, place, 1, none())
            }
            Record::Settled { session, place } => {
                (0..3).for_each(|what| drop(kept.remove(&(3, session, place, what, none()))));
                continue;
            }
            Record::Received { session, packet_id } => {
                (4, session, u64::from(packet_id), 0, none())
            }
            Record::Forgotten { session, packet_id } => {
                kept.remove(&(4, session, u64::from(packet_id), 0, none()));
                continue;
            }
            Record::Will { session, .. } => (5, session, 0, 0, none()),
            Record::WillGone { session } => {
                kept.remove(&(5, session, 0, 0, none()));
                continue;
            }
            Record::Retained { body, .. } => (6, 0, 0, 0, topics[&body].clone()),
            Record::RetainedGone { topic } => {
                kept.remove(&(6, 0, 0, 0, topic.to_vec()));
                continue;
            }
            other => panic!("{other:?} is new"),
        };
        kept.insert(key, bytes.clone());
    }
    kept.into_values().collect()
}
