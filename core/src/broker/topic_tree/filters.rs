//! The filters of subscriptions, asked with the topic of every message.
//!
//! A filter is cut behind each `+`, so that a node stands for any number of levels without a
//! wildcard; a filter without any is one node, found by one hash. A node keeps what its levels are
//! worth by themselves, with `+` behind them and with `#`; the nodes below it stand behind that
//! `+`. How many levels the nodes below one have is known, and no others are looked for.

use super::END;
use super::level::level;
use super::text::Text;
use crate::flow::hash::Hash;
use crate::storage::{Arena, Full, Index, Pool};

/// What follows the levels of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Nothing,
    /// `+`
    Any,
    /// `#`
    Rest,
}

/// A filter in a tree: its last node, plus one, times four, and what follows there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FilterId(u32);

impl FilterId {
    const fn new(node: u32, ending: Ending) -> Self {
        Self(node << 2 | ending as u32)
    }

    pub(super) const fn node(self) -> u32 {
        self.0 >> 2
    }

    const fn ending(self) -> Ending {
        match self.0 & 3 {
            0 => Ending::Nothing,
            1 => Ending::Any,
            _ => Ending::Rest,
        }
    }
}

/// As many nodes as a [`FilterId`] can tell apart.
const MOST: usize = (u32::MAX >> 2) as usize;

/// Which nodes there are below one: a bit for each number of levels, the last for all from
/// [`LONG`] on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Below {
    /// Those with a wildcard behind them.
    pub(super) wild: u16,
    /// Those that end a filter.
    pub(super) exact: u16,
}

impl Below {
    const NONE: Self = Self { wild: 0, exact: 0 };
}

/// So many levels, or more.
pub(super) const LONG: u8 = 15;

/// Levels behind a `+`, or at the beginning.
///
/// A node is one line of a cache, as walks nearly always wait for memory.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "alloc", repr(align(64)))]
pub(crate) struct FilterNode {
    /// The node before the `+`, plus one; 0 at the beginning.
    parent: u32,
    hash: u32,
    /// What the owner of the tree keeps for each [`Ending`]; 0 for nothing.
    pub(super) exact: u32,
    pub(super) any: u32,
    pub(super) rest: u32,
    /// How many levels, up to [`LONG`].
    levels: u8,
    /// Whether walks are told of it, as `wild` and as `exact`.
    is_wild: bool,
    is_exact: bool,
    text: Text<32>,
    pub(super) below: Below,
    /// How many nodes are below it.
    pub(super) children: u32,
}

/// Levels of a filter, up to a wildcard or to the end.
#[derive(Clone, Copy, Debug)]
struct Piece<'a> {
    parent: u32,
    hash: u32,
    levels: u8,
    text: &'a [u8],
    ending: Ending,
    /// Where the next piece begins, or [`END`].
    next: usize,
}

/// A tree of filters.
#[derive(Debug)]
pub(crate) struct Filters<N, I, P> {
    pub(super) nodes: N,
    index: I,
    pub(super) texts: P,
    pub(super) hash: Hash,
    /// What is below the beginning, and how many nodes each bit of it stands for.
    pub(super) below: Below,
    pub(super) wild: [u32; LONG as usize + 1],
    pub(super) exact: [u32; LONG as usize + 1],
}

impl<N: Arena<FilterNode>, I: Index, P: Pool> Filters<N, I, P> {
    pub(crate) const EMPTY: Self = Self {
        nodes: N::EMPTY,
        index: I::EMPTY,
        texts: P::EMPTY,
        hash: Hash::new(0),
        below: Below::NONE,
        wild: [0; LONG as usize + 1],
        exact: [0; LONG as usize + 1],
    };

    pub(crate) fn begin(&mut self, seed: u64, nodes: usize, bytes: usize) {
        self.hash = Hash::new(seed);
        self.set_limit(nodes);
        self.texts.set_limit(bytes);
    }

    /// Never has more levels than this from now on.
    pub(crate) fn set_limit(&mut self, nodes: usize) {
        self.nodes.set_limit(nodes.min(MOST));
    }

    #[inline]
    pub(super) fn node(&self, id: u32) -> Option<&FilterNode> {
        self.nodes.get(id.checked_sub(1)?)
    }

    fn node_mut(&mut self, id: u32) -> Option<&mut FilterNode> {
        self.nodes.get_mut(id.checked_sub(1)?)
    }

    pub(crate) fn value(&self, id: FilterId) -> u32 {
        self.node(id.node()).map_or(0, |node| match id.ending() {
            Ending::Nothing => node.exact,
            Ending::Any => node.any,
            Ending::Rest => node.rest,
        })
    }

    pub(crate) fn set_value(&mut self, id: FilterId, value: u32) {
        if let Some(node) = self.node_mut(id.node()) {
            match id.ending() {
                Ending::Nothing => node.exact = value,
                Ending::Any => node.any = value,
                Ending::Rest => node.rest = value,
            }
        }
    }

    /// The piece of a filter that begins at `at`, below `parent`.
    fn piece<'a>(&self, parent: u32, filter: &'a [u8], at: usize) -> Piece<'a> {
        let (mut levels, mut from, mut end) = (0_u8, at, at);
        let (ending, next) = loop {
            let level = level(self.hash, filter, from);
            match filter.get(from..level.end) {
                Some(b"+") => break (Ending::Any, level.next),
                Some(b"#") => break (Ending::Rest, END),
                _ => end = level.end,
            }
            levels = levels.saturating_add(1).min(LONG);
            if level.next == END {
                break (Ending::Nothing, END);
            }
            from = level.next;
        };
        let text = filter.get(at..end).unwrap_or_default();
        let hash = self.hash.of(parent, text) as u32;
        Piece { parent, hash, levels, text, ending, next }
    }

    /// The node of these levels below `parent`.
    #[inline]
    pub(super) fn child(
        &self,
        parent: u32,
        hash: u32,
        levels: u8,
        text: &[u8],
    ) -> Option<(u32, &FilterNode)> {
        let slot = self.index.find(u64::from(hash), |slot| {
            self.nodes.get(slot).is_some_and(|node| {
                node.hash == hash
                    && node.parent == parent
                    && node.levels == levels
                    && node.text.get(&self.texts) == text
            })
        })?;
        Some((slot.wrapping_add(1), self.nodes.get(slot)?))
    }

    /// The place of a filter, if there is one.
    pub(crate) fn find(&self, filter: &[u8]) -> Option<FilterId> {
        let (mut node, mut at) = (0, 0);
        loop {
            let piece = self.piece(node, filter, at);
            (node, _) = self.child(node, piece.hash, piece.levels, piece.text)?;
            if piece.next == END {
                return Some(FilterId::new(node, piece.ending));
            }
            at = piece.next;
        }
    }

    /// The place of a filter, made where there is none.
    ///
    /// # Errors
    /// [`Full`]; then nothing has changed.
    pub(crate) fn insert(&mut self, filter: &[u8]) -> Result<FilterId, Full> {
        let (mut node, mut at) = (0, 0);
        loop {
            let piece = self.piece(node, filter, at);
            let child = match self.child(node, piece.hash, piece.levels, piece.text) {
                Some((child, _)) => Ok(child),
                None => self.add(&piece),
            };
            let Ok(child) = child else {
                self.prune(FilterId::new(node, Ending::Any));
                return Err(Full);
            };
            self.note(child, &piece);
            if piece.next == END {
                return Ok(FilterId::new(child, piece.ending));
            }
            (node, at) = (child, piece.next);
        }
    }

    fn add(&mut self, piece: &Piece<'_>) -> Result<u32, Full> {
        let text = Text::new(piece.text, &mut self.texts)?;
        let node = FilterNode {
            parent: piece.parent,
            hash: piece.hash,
            exact: 0,
            any: 0,
            rest: 0,
            levels: piece.levels,
            is_wild: false,
            is_exact: false,
            text,
            below: Below::NONE,
            children: 0,
        };
        let Ok(slot) = self.nodes.insert(node) else {
            text.free(&mut self.texts);
            return Err(Full);
        };
        let nodes = &self.nodes;
        if self.index.insert(u64::from(piece.hash), slot, |slot| rehash(nodes, slot)).is_err() {
            self.nodes.remove(slot);
            text.free(&mut self.texts);
            return Err(Full);
        }
        if let Some(parent) = self.node_mut(piece.parent) {
            parent.children = parent.children.saturating_add(1);
        }
        Ok(slot.wrapping_add(1))
    }

    /// Tells walks that a filter ends with these levels, or has a wildcard behind them.
    fn note(&mut self, id: u32, piece: &Piece<'_>) {
        let is_wild = piece.ending != Ending::Nothing;
        let Some(node) = self.node_mut(id) else { return };
        let told = if is_wild { &mut node.is_wild } else { &mut node.is_exact };
        if core::mem::replace(told, true) {
            return;
        }
        if piece.parent == 0 {
            let counts = if is_wild { &mut self.wild } else { &mut self.exact };
            if let Some(count) = counts.get_mut(usize::from(piece.levels)) {
                *count = count.saturating_add(1);
            }
        }
        let below = match piece.parent.checked_sub(1) {
            Some(slot) => self.nodes.get_mut(slot).map(|parent| &mut parent.below),
            None => Some(&mut self.below),
        };
        if let Some(below) = below {
            let bits = if is_wild { &mut below.wild } else { &mut below.exact };
            *bits |= bit(piece.levels);
        }
    }

    /// Takes out the node of `id` and those above it, as far as they hold nothing.
    pub(crate) fn prune(&mut self, id: FilterId) {
        let mut id = id.node();
        while let Some(slot) = id.checked_sub(1) {
            let Some(node) = self.nodes.get(slot).copied() else { return };
            if node.exact | node.any | node.rest | node.children != 0 {
                return;
            }
            let nodes = &self.nodes;
            self.index.remove(u64::from(node.hash), slot, |slot| rehash(nodes, slot));
            self.nodes.remove(slot);
            node.text.free(&mut self.texts);
            self.forget(&node);
            id = node.parent;
        }
    }

    /// Walks need not look for this node any more; behind a `+`, once it was the last one there.
    fn forget(&mut self, node: &FilterNode) {
        if let Some(parent) = self.node_mut(node.parent) {
            parent.children = parent.children.saturating_sub(1);
            if parent.children == 0 {
                parent.below = Below::NONE;
            }
            return;
        }
        let Below { wild, exact } = &mut self.below;
        let sides = [(node.is_wild, &mut self.wild, wild), (node.is_exact, &mut self.exact, exact)];
        for (was_told, counts, bits) in sides {
            if was_told && let Some(count) = counts.get_mut(usize::from(node.levels)) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    *bits &= !bit(node.levels);
                }
            }
        }
    }

    /// How long a filter is, in bytes.
    pub(crate) fn path_len(&self, id: FilterId) -> usize {
        let (mut id, mut ending) = (id.node(), id.ending());
        let mut len = 0_usize;
        while let Some(node) = self.node(id) {
            let wildcard = match (ending, node.levels) {
                (Ending::Nothing, _) => 0,
                (_, 0) => 1,
                _ => 2,
            };
            let text = node.text.get(&self.texts).len();
            len = len.saturating_add(wildcard).saturating_add(text);
            len = len.saturating_add(usize::from(node.parent != 0));
            (id, ending) = (node.parent, Ending::Any);
        }
        len
    }

    /// Writes a filter to the end of `out`; returns where it begins there, or `None` if it does
    /// not fit.
    pub(crate) fn write_path(&self, id: FilterId, out: &mut [u8]) -> Option<usize> {
        let (mut id, mut ending) = (id.node(), id.ending());
        let mut start = out.len();
        let mut put = |text: &[u8]| {
            let end = start;
            start = start.checked_sub(text.len())?;
            out.get_mut(start..end)?.copy_from_slice(text);
            Some(start)
        };
        loop {
            let node = self.node(id)?;
            let wildcard: &[u8] = match (ending, node.levels) {
                (Ending::Nothing, _) => b"",
                (Ending::Any, 0) => b"+",
                (Ending::Any, _) => b"/+",
                (Ending::Rest, 0) => b"#",
                (Ending::Rest, _) => b"/#",
            };
            put(wildcard)?;
            let start = put(node.text.get(&self.texts))?;
            if node.parent == 0 {
                return Some(start);
            }
            put(b"/")?;
            (id, ending) = (node.parent, Ending::Any);
        }
    }
}

/// The bit of a number of levels.
const fn bit(levels: u8) -> u16 {
    1_u16.wrapping_shl(levels as u32)
}

fn rehash(nodes: &impl Arena<FilterNode>, slot: u32) -> u64 {
    nodes.get(slot).map_or(0, |node| u64::from(node.hash))
}
