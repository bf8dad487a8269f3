//! With a store: what it has kept, and that nothing left before what it stands on was kept.

use std::collections::{BTreeMap, BTreeSet};

use tamtam_core::Version;
use tamtam_core::client::Record;

use super::Verdict;
use super::ledger::Ledger;
use crate::wire::{Packet, decode};

#[derive(Debug)]
enum Entry {
    Reset,
    Publish(u16, usize, Vec<u8>),
    Release(u16, Option<usize>),
    Settled(u16),
    Received(u16),
    Forgotten(u16),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Stored {
    on: bool,
    handed: Vec<Entry>,
    publishes: BTreeMap<u16, (usize, Vec<u8>)>,
    /// Identifiers past their PUBREC, in that order, and their messages.
    releases: Vec<(u16, Option<usize>)>,
    received: BTreeSet<u16>,
    /// Which message an identifier was recorded for last: a copy holds releases alone.
    names: BTreeMap<u16, usize>,
}

impl Stored {
    pub(super) const fn new(on: bool) -> Self {
        Self {
            on,
            handed: Vec::new(),
            publishes: BTreeMap::new(),
            releases: Vec::new(),
            received: BTreeSet::new(),
            names: BTreeMap::new(),
        }
    }

    pub(super) fn recorded(&mut self, record: Record<'_>, version: Version, ledger: &Ledger) {
        self.handed.push(match record {
            Record::Reset => Entry::Reset,
            Record::Publish(packet) => match find(packet, version, ledger) {
                Some((id, message)) => {
                    self.names.insert(id, message);
                    Entry::Publish(id, message, packet.to_vec())
                }
                None => panic!("a record of a message that nobody published: {packet:x?}"),
            },
            Record::Release(id) => Entry::Release(id.get(), self.names.get(&id.get()).copied()),
            Record::Settled(id) => Entry::Settled(id.get()),
            Record::Received(id) => Entry::Received(id.get()),
            Record::Forgotten(id) => Entry::Forgotten(id.get()),
            other => panic!("a new kind of record: {other:?}"),
        });
    }

    pub(super) fn persisted(&mut self) {
        for entry in std::mem::take(&mut self.handed) {
            match entry {
                Entry::Reset => {
                    self.publishes.clear();
                    self.releases.clear();
                    self.received.clear();
                }
                Entry::Publish(id, message, packet) => {
                    self.publishes.insert(id, (message, packet));
                }
                Entry::Release(id, message) => {
                    if !self.has_release(id) {
                        self.releases.push((id, message));
                    }
                }
                Entry::Settled(id) => {
                    self.publishes.remove(&id);
                    self.releases.retain(|(release, _)| *release != id);
                }
                Entry::Received(id) => {
                    self.received.insert(id);
                }
                Entry::Forgotten(id) => {
                    self.received.remove(&id);
                }
            }
        }
    }

    pub(super) fn crashed(&mut self) {
        self.handed.clear();
    }

    /// The message that a record is about.
    pub(super) fn message_of(
        &self,
        record: Record<'_>,
        version: Version,
        ledger: &Ledger,
    ) -> Option<usize> {
        match record {
            Record::Publish(packet) => find(packet, version, ledger).map(|(_, message)| message),
            Record::Release(id) => self.releases.iter().find(|(known, _)| *known == id.get())?.1,
            _ => None,
        }
    }

    pub(super) fn holds(&self, message: usize) -> bool {
        self.publishes.values().any(|(held, _)| *held == message)
            || self.releases.iter().any(|(_, held)| *held == Some(message))
    }

    pub(super) fn publishes(&self) -> impl Iterator<Item = (u16, usize, &[u8])> {
        self.publishes.iter().map(|(id, (message, packet))| (*id, *message, &packet[..]))
    }

    pub(super) fn has_release(&self, id: u16) -> bool {
        self.releases.iter().any(|(release, _)| *release == id)
    }

    pub(super) fn releases(&self) -> Vec<u16> {
        self.releases.iter().map(|(id, _)| *id).collect()
    }

    /// Identifiers of which only the release is kept, and their messages.
    pub(super) fn bare_releases(&self) -> impl Iterator<Item = (u16, usize)> {
        let bare = self.releases.iter().filter(|(id, _)| !self.publishes.contains_key(id));
        bare.filter_map(|(id, message)| Some((*id, (*message)?)))
    }

    pub(super) fn has_received(&self, id: u16) -> bool {
        self.received.contains(&id)
    }

    pub(super) fn received(&self) -> impl Iterator<Item = u16> {
        self.received.iter().copied()
    }

    fn check(&self, kept: bool, what: &str, id: u16) -> Verdict {
        if kept || !self.on {
            return Ok(());
        }
        Err(format!("{what} {id} left before its record was kept"))
    }

    pub(super) fn check_publish(&self, id: u16) -> Verdict {
        self.check(self.publishes.contains_key(&id), "PUBLISH", id)
    }

    pub(super) fn check_release(&self, id: u16, known: bool) -> Verdict {
        self.check(!known || self.has_release(id), "PUBREL", id)
    }

    pub(super) fn check_received(&self, id: u16) -> Verdict {
        self.check(self.received.contains(&id), "PUBREC", id)
    }

    pub(super) fn check_forgotten(&self, id: u16) -> Verdict {
        self.check(!self.received.contains(&id), "PUBCOMP", id)
    }
}

fn find(packet: &[u8], version: Version, ledger: &Ledger) -> Option<(u16, usize)> {
    match decode(packet, version) {
        Ok(Packet::Publish(publish)) => Some((publish.id, ledger.find(&publish.payload)?)),
        _ => None,
    }
}
