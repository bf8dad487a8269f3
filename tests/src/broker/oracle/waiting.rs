//! What waits for a group of subscriptions: one of its members is to get each message.

use std::collections::BTreeMap;

/// A message that one member of a group is to get.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    /// Whom it was sent to.
    pub(super) sent: Option<usize>,
    pub(super) qos: u8,
    optional: bool,
    /// How often it was taken again.
    pub(super) more: usize,
    /// Whether some of those that may get it are in other groups that match, too: then it can't be
    /// told through which of them a copy came.
    pub(super) loose: bool,
    /// The smallest packet that is the largest for any of those that may have been chosen: one that
    /// it does not fit into settles it.
    pub(super) least: usize,
    /// Whether it is settled; kept for a while, as it may turn out to have been another.
    done: bool,
}

impl Shared {
    /// One that nobody was sent.
    pub(super) const fn new(qos: u8, optional: bool, loose: bool, least: usize) -> Self {
        Self { sent: None, qos, optional, more: 0, loose, least, done: false }
    }

    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Whether it may be missing.
    pub(super) const fn is_optional(&self) -> bool {
        self.optional
    }

    /// It may be missing if `doubtful`, whatever was known of it before.
    pub(super) const fn doubt(&mut self, doubtful: bool) {
        self.optional |= doubtful;
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    all: BTreeMap<u64, Shared>,
    open: usize,
    /// Whether none of them is sure to come.
    doubted: bool,
}

impl Waiting {
    /// How many there are, settled ones included.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// How many are not settled.
    pub(super) const fn open(&self) -> usize {
        self.open
    }

    pub(super) fn get(&self, number: u64) -> Option<&Shared> {
        self.all.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Shared> {
        self.all.get_mut(&number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Shared)> {
        self.all.iter().map(|(number, shared)| (*number, shared))
    }

    /// Each, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Shared)> {
        self.all.iter_mut().map(|(number, shared)| (*number, shared))
    }

    /// In place of what was there under this number.
    pub(super) fn insert(&mut self, number: u64, shared: Shared) -> &mut Shared {
        self.remove(number);
        self.open += usize::from(!shared.done);
        self.doubted &= shared.optional;
        self.all.entry(number).or_insert(shared)
    }

    pub(super) fn remove(&mut self, number: u64) {
        let old = self.all.remove(&number);
        self.open -= usize::from(old.is_some_and(|old| !old.done));
    }

    /// Whom a message was sent to, and whether it is settled with that.
    pub(super) fn give(&mut self, number: u64, to: usize, done: bool) {
        let Some(shared) = self.all.get_mut(&number) else { return };
        self.open += usize::from(shared.done);
        (shared.sent, shared.done) = (Some(to), done);
        self.open -= usize::from(done);
    }

    /// A copy through the group is settled.
    pub(super) fn settle(&mut self, number: u64) {
        match self.all.get_mut(&number) {
            Some(shared) if shared.more > 0 => {
                (shared.more, shared.sent, shared.optional) = (shared.more - 1, None, true);
            }
            Some(shared) => {
                self.open -= usize::from(!shared.done);
                shared.done = true;
            }
            None => {}
        }
    }

    /// Whether one of them may be missing, as is known now.
    pub(super) fn set_optional(&mut self, number: u64, optional: bool) {
        if let Some(shared) = self.all.get_mut(&number) {
            shared.optional = optional;
            self.doubted &= optional;
        }
    }

    /// A member takes packets of this size at most, from now on.
    pub(super) fn bound(&mut self, most: usize) {
        if most != usize::MAX {
            self.all.values_mut().for_each(|shared| shared.least = shared.least.min(most));
        }
    }

    /// None of them is sure to come.
    pub(super) fn doubt(&mut self) {
        if !std::mem::replace(&mut self.doubted, true) {
            self.all.values_mut().for_each(|shared| shared.optional = true);
        }
    }

    /// Those for which this holds.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Shared) -> bool) {
        self.all.retain(|_, shared| keep(shared));
        self.open = self.all.values().filter(|shared| !shared.done).count();
    }
}
