//! Sets of confirmations that an acknowledgement waits for.

use alloc::collections::VecDeque;

use crate::broker::link::LinkId;

/// A set of confirmations; none of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::broker) struct Batch(u64);

impl Batch {
    pub(in crate::broker) const NONE: Self = Self(0);

    pub(in crate::broker) fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// How many confirmations are missing, and which connection waits for them.
#[derive(Clone, Copy, Debug)]
struct Open {
    missing: u32,
    link: Option<LinkId>,
}

/// The sets that are not settled, in the order in which they began.
#[derive(Debug)]
pub(super) struct Batches {
    /// The number of the first one.
    first: u64,
    open: VecDeque<Open>,
}

impl Batches {
    pub(super) const NONE: Self = Self { first: 1, open: VecDeque::new() };

    fn get_mut(&mut self, batch: Batch) -> Option<&mut Open> {
        let at = usize::try_from(batch.0.checked_sub(self.first)?).ok()?;
        self.open.get_mut(at)
    }

    /// One more confirmation is missing, in this set, or in a new one.
    pub(super) fn add(&mut self, batch: Batch) -> Batch {
        if let Some(open) = self.get_mut(batch).filter(|open| open.missing != 0) {
            open.missing = open.missing.saturating_add(1);
            return batch;
        }
        let number = self.first.saturating_add(self.open.len() as u64);
        self.open.push_back(Open { missing: 1, link: None });
        Batch(number)
    }

    /// A connection waits for a set.
    pub(super) fn wait(&mut self, batch: Batch, link: LinkId) {
        if let Some(open) = self.get_mut(batch) {
            open.link = Some(link);
        }
    }

    /// One of a set is confirmed: who waited, if it was the last one.
    pub(super) fn confirm(&mut self, batch: Batch) -> Option<LinkId> {
        let open = self.get_mut(batch).filter(|open| open.missing != 0)?;
        open.missing = open.missing.saturating_sub(1);
        let link = if open.missing == 0 { open.link } else { None };
        while self.open.front().is_some_and(|open| open.missing == 0) {
            self.open.pop_front();
            self.first = self.first.saturating_add(1);
        }
        link
    }

    pub(super) fn is_settled(&self, batch: Batch) -> bool {
        let at = batch.0.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.open.get(at)).is_none_or(|open| open.missing == 0)
    }
}
