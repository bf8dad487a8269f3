//! Sets of many rules, kept in a tree, so that those that may speak of a topic are found at once.
//!
//! The tree is the one that subscriptions are kept in. It is asked which rules to look at; what
//! they say is said by the rules themselves, in their order. A level with a name to be put in
//! stands for any level there. Each set has a place of its own in the tree, below its root.

use super::rights::Rule;
use super::topic_tree::{FilterId, Step};
use super::{Broker, filter_table};
use crate::storage::{Full, List, Memory, Storage, copy};

/// What is said of a rule beside its filter: its access, its permission, and where the next one of
/// the set is that stands at the same place of the tree, plus one.
pub(super) const SAID: usize = 6;

/// As few rules as are as soon looked through.
const FEW: usize = 16;

/// The letters of a root's name.
const ROOT: usize = 8;

impl<S: Storage> Broker<S> {
    /// Puts rules into the tree that lie in `table`, in this order, if there are many; where their
    /// root is. If there is no room they are looked through.
    pub(super) fn index_rules(
        &mut self,
        rules: &[Rule<'_>],
        table: &mut [u8],
    ) -> Option<(u32, FilterId)> {
        if rules.len() <= FEW {
            return None;
        }
        self.rule_roots = self.rule_roots.checked_add(1)?;
        let root = self.rule_roots;
        let mut memory = self.take_mounted();
        let mut at = table.len();
        // From the last to the first, so that each leads to the next.
        let indexed = rules.iter().rev().all(|rule| {
            let Some(before) = at.checked_sub(filter_table::len::<SAID>(rule.filter)) else {
                return false;
            };
            at = before;
            self.index_rule(root, rule.filter.as_bytes(), (table, at), &mut memory).is_ok()
        });
        let under = write_root(root, &mut memory).ok();
        let under = under.and_then(|()| self.rule_filters.find(memory.bytes()));
        self.mounted = memory;
        if !indexed || under.is_none() {
            self.unindex(root, table);
            return None;
        }
        Some((root, under?))
    }

    fn index_rule(
        &mut self,
        root: u32,
        filter: &[u8],
        (table, at): (&mut [u8], usize),
        memory: &mut S::Aliases,
    ) -> Result<(), Full> {
        write_path(root, filter, memory)?;
        let place = self.rule_filters.insert(memory.bytes())?;
        let here = u32::try_from(at.saturating_add(1)).map_err(|_| Full);
        let entry = table.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<SAID>());
        if let (Ok(here), Some([_, _, next @ ..])) = (&here, entry) {
            *next = self.rule_filters.value(place).to_be_bytes();
            self.rule_filters.set_value(place, *here);
        } else {
            self.rule_filters.prune(place);
        }
        here.map(|_| ())
    }

    /// Takes the rules of a set out of the tree again.
    pub(super) fn unindex_rules(&mut self, tree: Option<(u32, FilterId)>, table: &[u8]) {
        if let Some((root, _)) = tree {
            self.unindex(root, table);
        }
    }

    fn unindex(&mut self, root: u32, table: &[u8]) {
        let mut memory = self.take_mounted();
        for (_, filter) in filter_table::read::<SAID>(table) {
            if write_path(root, filter, &mut memory).is_ok()
                && let Some(place) = self.rule_filters.find(memory.bytes())
            {
                self.rule_filters.set_value(place, 0);
                self.rule_filters.prune(place);
            }
        }
        self.mounted = memory;
    }

    /// The first of the rules that may speak of a topic for which `speaks` says something, and what
    /// that is. `Err` if there is no telling: the rules are to be looked through.
    pub(super) fn first_rule<T>(
        &self,
        under: FilterId,
        table: &[u8],
        topic: &[u8],
        speaks: impl Fn(&[u8; SAID], &[u8]) -> Option<T>,
    ) -> Result<Option<T>, Full> {
        let mut stack = Shallow::EMPTY;
        let mut first: Option<(usize, T)> = None;
        self.rule_filters.match_under(under, topic, &mut stack, |found| {
            let mut next = found;
            while let Some(at) = next.checked_sub(1).map(|at| at as usize) {
                if first.as_ref().is_some_and(|(first, _)| *first <= at) {
                    return; // others decide before it
                }
                let rest = table.get(at..).unwrap_or_default();
                let Some((said, filter)) = filter_table::read::<SAID>(rest).next() else { return };
                if let Some(what) = speaks(&said, filter) {
                    first = Some((at, what));
                    return;
                }
                let [_, _, behind @ ..] = said;
                next = u32::from_be_bytes(behind);
            }
        });
        if stack.overflowed { Err(Full) } else { Ok(first.map(|(_, what)| what)) }
    }
}

/// The path of a rule in the tree: its root, a `+` below which the set is, and its filter, in which
/// levels with names to be put in are open.
fn write_path(root: u32, filter: &[u8], memory: &mut impl Memory) -> Result<(), Full> {
    write_root(root, memory)?;
    for level in filter.split(|byte| *byte == b'/') {
        let is_open = level.windows(2).any(|pair| matches!(pair, b"%c" | b"%u"));
        append(memory, b"/")?;
        append(memory, if is_open { b"+" } else { level })?;
    }
    Ok(())
}

fn write_root(root: u32, memory: &mut impl Memory) -> Result<(), Full> {
    memory.resize(ROOT)?;
    for (digit, letter) in (0_u32..).zip(memory.bytes_mut()) {
        let nibble = root.wrapping_shr(digit.wrapping_mul(4)) & 0xF;
        *letter = b'a'.wrapping_add(nibble as u8);
    }
    append(memory, b"/+")
}

fn append(memory: &mut impl Memory, text: &[u8]) -> Result<(), Full> {
    let end = memory.bytes().len();
    memory.resize(end.saturating_add(text.len()))?;
    copy(memory.bytes_mut().get_mut(end..).unwrap_or_default(), text);
    Ok(())
}

/// Where a walk goes on, for as many wildcards as rules have side by side; it knows whether there
/// were more.
struct Shallow {
    steps: heapless::Vec<Step, 32>,
    overflowed: bool,
}

impl List<Step> for Shallow {
    const EMPTY: Self = Self { steps: heapless::Vec::new(), overflowed: false };

    fn set_limit(&mut self, _: usize) {}

    fn limit(&self) -> usize {
        List::limit(&self.steps)
    }

    fn as_slice(&self) -> &[Step] {
        &self.steps
    }

    fn as_mut_slice(&mut self) -> &mut [Step] {
        &mut self.steps
    }

    fn insert(&mut self, index: usize, item: Step) -> Result<(), Full> {
        let inserted = List::insert(&mut self.steps, index, item);
        self.overflowed |= inserted.is_err();
        inserted
    }

    fn remove(&mut self, index: usize) -> Option<Step> {
        List::remove(&mut self.steps, index)
    }

    fn clear(&mut self) {
        self.steps.clear();
    }
}
