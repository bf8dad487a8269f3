//! What is committed together: the last word on each key, out of the records of some tickets.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use tamtam_core::broker::{Record, Records};

use crate::{Failure, keys};

/// Changes that an engine keeps together or not at all.
#[derive(Debug, Default)]
pub struct Group {
    /// The tickets as they came.
    bytes: Vec<u8>,
    changes: BTreeMap<Vec<u8>, Change>,
    /// What all keys that are to go begin with.
    gone: Vec<Vec<u8>>,
    begins_again: bool,
    tickets: usize,
}

#[derive(Debug)]
enum Change {
    /// The record is at this place of the bytes.
    Put {
        at: Range<usize>,
        /// Whether nothing was ever kept under this key.
        is_new: bool,
    },
    Gone,
}

/// What has to be known of earlier groups to make keys of records.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The places of sessions whose packet identifier is kept.
    sent: HashSet<(u64, u64)>,
    /// Those of which it is kept that they came through a group.
    given: HashSet<(u64, u64)>,
}

impl Known {
    /// A record was found in the store.
    pub(crate) fn found(&mut self, record: &Record<'_>) {
        match *record {
            Record::Sent { session, place, .. } => drop(self.sent.insert((session, place))),
            Record::Given { session, place, .. } => drop(self.given.insert((session, place))),
            _ => {}
        }
    }
}

/// Looks up what was kept under a key.
pub(crate) type LookUp<'a> = &'a dyn Fn(&[u8]) -> Result<Option<Vec<u8>>, Failure>;

impl Group {
    /// Whether nothing of what was kept before is true any more: only what is in this group.
    #[must_use]
    pub const fn begins_again(&self) -> bool {
        self.begins_again
    }

    /// What all keys begin with that are to be removed, before the changes.
    pub fn gone(&self) -> impl Iterator<Item = &[u8]> {
        self.gone.iter().map(Vec::as_slice)
    }

    /// Each key in order, with its new value, or without one if it is to be removed.
    pub fn changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.changes.iter().map(|(key, change)| {
            let value = match change {
                Change::Put { at, .. } => Some(self.bytes.get(at.clone()).unwrap_or_default()),
                Change::Gone => None,
            };
            (key.as_slice(), value)
        })
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.gone.is_empty() && !self.begins_again
    }

    /// How many tickets are in it.
    #[must_use]
    pub const fn tickets(&self) -> usize {
        self.tickets
    }

    /// How many bytes of records are in it.
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds the records of a ticket.
    pub(crate) fn add(
        &mut self,
        ticket: &[u8],
        known: &mut Known,
        look_up: LookUp<'_>,
    ) -> Result<(), Failure> {
        self.tickets += 1;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(ticket);
        let mut end = start;
        for bytes in Records::from_bytes(ticket).bytes() {
            let at = end + 4..end + 4 + bytes.len();
            end = at.end;
            let record = Record::read(bytes).ok_or(Failure::Record)?;
            self.take(&record, at, known, look_up)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        record: &Record<'_>,
        at: Range<usize>,
        known: &mut Known,
        look_up: LookUp<'_>,
    ) -> Result<(), Failure> {
        match *record {
            Record::Reset => {
                self.changes.clear();
                self.gone.clear();
                known.sent.clear();
                known.given.clear();
                self.begins_again = true;
            }
            Record::Body { body, .. } => self.put_new(keys::body(body), at),
            Record::BodyGone { body } => self.remove(keys::body(body)),
            Record::Session { session, .. } => self.put(keys::session(session), at),
            Record::Group { group, .. } => self.put(keys::session(group), at),
            Record::SessionGone { session } => self.remove_session(session, known),
            Record::Subscription { session, filter, .. } => {
                self.put(keys::subscription(session, filter), at);
            }
            Record::SubscriptionGone { session, filter } => {
                self.remove(keys::subscription(session, filter));
            }
            Record::Cursor { session, filter, .. } => {
                self.put(keys::cursor(session, filter), at);
            }
            Record::CursorGone { session, filter } => self.remove(keys::cursor(session, filter)),
            Record::Queued { session, place, .. } => {
                self.put_new(keys::queued(session, place), at);
            }
            Record::Sent { session, place, .. } => {
                known.sent.insert((session, place));
                self.put_new(keys::sent(session, place), at);
            }
            Record::Given { session, place, .. } => {
                known.given.insert((session, place));
                self.put_new(keys::given(session, place), at);
            }
            Record::Released { session, place, .. } => {
                self.forget_sent(session, place, known);
                self.put(keys::queued(session, place), at);
            }
            Record::Settled { session, place } => {
                self.forget_sent(session, place, known);
                self.remove(keys::queued(session, place));
            }
            Record::Received { session, packet_id } => {
                self.put(keys::received(session, packet_id), at);
            }
            Record::Forgotten { session, packet_id } => {
                self.remove(keys::received(session, packet_id));
            }
            Record::Retained { body, .. } => {
                let key = self.key_of_retained(body, look_up)?;
                self.put(key, at);
            }
            Record::RetainedGone { topic } => self.remove(keys::retained(topic)),
            Record::Will { session, .. } => self.put(keys::will(session), at),
            Record::WillGone { session } => self.remove(keys::will(session)),
            _ => return Err(Failure::Record),
        }
        Ok(())
    }

    fn put(&mut self, key: Vec<u8>, at: Range<usize>) {
        // What is new stays so until it is committed.
        let is_new = matches!(self.changes.get(&key), Some(Change::Put { is_new: true, .. }));
        self.changes.insert(key, Change::Put { at, is_new });
    }

    /// Numbers are never used again, and places only after they are settled: nothing is kept under
    /// this key, unless it is removed in this group.
    fn put_new(&mut self, key: Vec<u8>, at: Range<usize>) {
        let is_new = !matches!(self.changes.get(&key), Some(Change::Gone));
        self.changes.insert(key, Change::Put { at, is_new });
    }

    /// What came and went within the group never gets to the store.
    fn remove(&mut self, key: Vec<u8>) {
        match self.changes.get(&key) {
            Some(Change::Put { is_new: true, .. }) => {
                self.changes.remove(&key);
            }
            _ => {
                self.changes.insert(key, Change::Gone);
            }
        }
    }

    fn forget_sent(&mut self, session: u64, place: u64, known: &mut Known) {
        if known.sent.remove(&(session, place)) {
            self.remove(keys::sent(session, place));
        }
        if known.given.remove(&(session, place)) {
            self.remove(keys::given(session, place));
        }
    }

    fn remove_session(&mut self, session: u64, known: &mut Known) {
        let prefix = keys::of_session(session);
        let of_it = |key: &&Vec<u8>| key.starts_with(&prefix);
        let keys: Vec<_> =
            self.changes.range(prefix.clone()..).map(|(key, _)| key).take_while(of_it).collect();
        for key in keys.into_iter().cloned().collect::<Vec<_>>() {
            self.changes.remove(&key);
        }
        known.sent.retain(|(of, _)| *of != session);
        known.given.retain(|(of, _)| *of != session);
        self.remove(keys::session(session));
        self.gone.push(prefix);
    }

    /// What is retained is known by its topic, which the message has.
    fn key_of_retained(&self, body: u64, look_up: LookUp<'_>) -> Result<Vec<u8>, Failure> {
        let key = keys::body(body);
        let kept;
        let bytes = match self.changes.get(&key) {
            Some(Change::Put { at, .. }) => self.bytes.get(at.clone()).unwrap_or_default(),
            _ => {
                kept = look_up(&key)?.unwrap_or_default();
                &kept
            }
        };
        match Record::read(bytes) {
            Some(Record::Body { topic, .. }) => Ok(keys::retained(topic)),
            _ => Err(Failure::Record),
        }
    }
}
