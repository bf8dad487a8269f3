//! Topics, each worth something, asked with the filter of a subscription.
//!
//! A node is a level behind another. Its hash is that of all levels up to it, so that a topic is
//! found by one hash, and wildcards go from node to node.

use super::level::{Level, level, level_count};
use super::text::Text;
use super::{END, Place};
use crate::flow::hash::Hash;
use crate::storage::{Arena, Full, Index, Pool};

/// A topic in a tree: its last node, plus one; 0 is where every topic begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicId(pub(super) u32);

impl TopicId {
    /// The one whose last node is at this place.
    pub(crate) const fn at(slot: u32) -> Self {
        Self(slot.wrapping_add(1))
    }
}

/// A level behind another. Nodes are known by their slots, plus one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicNode {
    parent: u32,
    /// The highest of its children, in the tree of those.
    first_child: u32,
    /// Those before it among its siblings, those behind it, and what it stands below.
    pub(super) left: u32,
    pub(super) right: u32,
    pub(super) up: u32,
    pub(super) hash: u32,
    /// What the owner of the tree keeps here; 0 for nothing; and since when.
    value: u32,
    /// How many walks stand here.
    pins: u32,
    since: u64,
    pub(super) text: Text<15>,
}

/// A tree of topics.
#[derive(Debug)]
pub(crate) struct Topics<N, I, P> {
    pub(super) nodes: N,
    index: I,
    pub(super) texts: P,
    pub(super) hash: Hash,
    /// The first level of some topic.
    pub(super) first: u32,
}

impl<N: Arena<TopicNode>, I: Index, P: Pool> Topics<N, I, P> {
    pub(crate) const EMPTY: Self =
        Self { nodes: N::EMPTY, index: I::EMPTY, texts: P::EMPTY, hash: Hash::new(0), first: 0 };

    pub(crate) fn begin(&mut self, seed: u64, nodes: usize, bytes: usize) {
        self.hash = Hash::new(seed);
        self.set_limit(nodes);
        self.texts.set_limit(bytes);
    }

    /// Never has more levels than this from now on.
    pub(crate) fn set_limit(&mut self, nodes: usize) {
        self.nodes.set_limit(nodes);
    }

    /// How many places for nodes there are, free ones included.
    pub(crate) fn slots(&self) -> usize {
        self.nodes.slots()
    }

    pub(super) fn node(&self, id: u32) -> Option<&TopicNode> {
        self.nodes.get(id.checked_sub(1)?)
    }

    pub(super) fn node_mut(&mut self, id: u32) -> Option<&mut TopicNode> {
        self.nodes.get_mut(id.checked_sub(1)?)
    }

    pub(crate) fn value(&self, id: TopicId) -> u32 {
        self.node(id.0).map_or(0, |node| node.value)
    }

    /// What a topic is worth from now on, which is `since`.
    pub(crate) fn set_value(&mut self, id: TopicId, value: u32, since: u64) {
        if let Some(node) = self.node_mut(id.0) {
            (node.value, node.since) = (value, since);
        }
    }

    pub(crate) fn since(&self, id: TopicId) -> u64 {
        self.node(id.0).map_or(0, |node| node.since)
    }

    pub(super) fn parent(&self, id: u32) -> u32 {
        self.node(id).map_or(0, |node| node.parent)
    }

    /// The hash of a node; those below begin with it.
    pub(super) fn hash_of(&self, id: u32) -> u32 {
        match self.node(id) {
            Some(node) => node.hash,
            None => self.hash.begin(0) as u32,
        }
    }

    /// The hash of a level behind what has the hash `before`.
    pub(super) fn hash_behind(&self, before: u32, level: Level) -> u32 {
        self.hash.add(u64::from(before), level.hash) as u32
    }

    pub(super) fn first_child(&self, id: u32) -> u32 {
        match self.node(id) {
            Some(node) => node.first_child,
            None => self.first,
        }
    }

    pub(super) fn set_first_child(&mut self, id: u32, child: u32) {
        match self.node_mut(id) {
            Some(node) => node.first_child = child,
            None => self.first = child,
        }
    }

    /// The child of `parent` with this hash and text.
    pub(super) fn child(&self, parent: u32, hash: u32, text: &[u8]) -> Option<u32> {
        let slot = self.index.find(u64::from(hash), |slot| {
            self.nodes.get(slot).is_some_and(|node| {
                node.hash == hash && node.parent == parent && node.text.get(&self.texts) == text
            })
        })?;
        Some(slot.wrapping_add(1))
    }

    /// The node of a topic, if there is one.
    pub(crate) fn find(&self, topic: &[u8]) -> Option<TopicId> {
        let (mut state, mut at) = (self.hash_of(0), 0);
        while at != END {
            let level = level(self.hash, topic, at);
            (state, at) = (self.hash_behind(state, level), level.next);
        }
        let slot = self.index.find(u64::from(state), |slot| self.is_path(slot, state, topic))?;
        Some(TopicId(slot.wrapping_add(1)))
    }

    /// Whether a node is that of a topic: compared from its end.
    fn is_path(&self, slot: u32, hash: u32, topic: &[u8]) -> bool {
        let mut rest = topic;
        let Some(mut node) = self.nodes.get(slot).filter(|node| node.hash == hash) else {
            return false;
        };
        loop {
            let Some(before) = rest.strip_suffix(node.text.get(&self.texts)) else { return false };
            let Some(parent) = self.node(node.parent) else { return before.is_empty() };
            let Some(before) = before.strip_suffix(b"/") else { return false };
            (node, rest) = (parent, before);
        }
    }

    /// The node of a topic, made where there is none.
    ///
    /// # Errors
    /// [`Full`]; then nothing has changed.
    pub(crate) fn insert(&mut self, topic: &[u8]) -> Result<TopicId, Full> {
        if let Some(id) = self.find(topic) {
            return Ok(id);
        }
        let (mut id, mut at) = (0, 0);
        while at != END {
            let level = level(self.hash, topic, at);
            let hash = self.hash_behind(self.hash_of(id), level);
            let text = topic.get(at..level.end).unwrap_or_default();
            let child = match self.child(id, hash, text) {
                Some(child) => Ok(child),
                None => self.add(id, hash, text),
            };
            let Ok(child) = child else {
                self.prune(TopicId(id));
                return Err(Full);
            };
            (id, at) = (child, level.next);
        }
        Ok(TopicId(id))
    }

    fn add(&mut self, parent: u32, hash: u32, text: &[u8]) -> Result<u32, Full> {
        let text = Text::new(text, &mut self.texts)?;
        let (left, right, up, value, pins, since) = (0, 0, 0, 0, 0, 0);
        let node =
            TopicNode { parent, first_child: 0, left, right, up, hash, value, pins, since, text };
        let Ok(slot) = self.nodes.insert(node) else {
            text.free(&mut self.texts);
            return Err(Full);
        };
        let nodes = &self.nodes;
        if self.index.insert(u64::from(hash), slot, |slot| rehash(nodes, slot)).is_err() {
            self.nodes.remove(slot);
            text.free(&mut self.texts);
            return Err(Full);
        }
        let id = slot.wrapping_add(1);
        self.join(parent, id);
        Ok(id)
    }

    /// Takes out the node of `id` and those above it, as far as they hold nothing.
    pub(crate) fn prune(&mut self, id: TopicId) {
        let TopicId(mut id) = id;
        while let Some(slot) = id.checked_sub(1) {
            let Some(node) = self.nodes.get(slot).copied() else { return };
            if node.value | node.first_child | node.pins != 0 {
                return;
            }
            let nodes = &self.nodes;
            self.index.remove(u64::from(node.hash), slot, |slot| rehash(nodes, slot));
            self.part(node.parent, id);
            self.nodes.remove(slot);
            node.text.free(&mut self.texts);
            id = node.parent;
        }
    }

    /// A walk stops here: the node stays, whatever becomes of its topic.
    pub(crate) fn pin(&mut self, place: Place) {
        if let Some(node) = self.node_mut(place.topic().0) {
            node.pins = node.pins.saturating_add(1);
        }
    }

    /// A walk that stopped here does not stand here any more.
    pub(crate) fn unpin(&mut self, place: Place) {
        if let Some(node) = self.node_mut(place.topic().0) {
            node.pins = node.pins.saturating_sub(1);
        }
        self.prune(place.topic());
    }

    /// Where a walk stands that came to this topic, which may be worth nothing.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub(crate) fn place_of(&mut self, topic: &[u8]) -> Result<Place, Full> {
        self.insert(topic).map(|id| Place::new(id, level_count(topic)))
    }

    /// How long a topic is, in bytes.
    pub(crate) fn path_len(&self, id: TopicId) -> usize {
        let (mut at, mut len) = (id.0, 0_usize);
        while let Some(node) = self.node(at) {
            let text = node.text.get(&self.texts).len();
            len = len.saturating_add(text).saturating_add(usize::from(node.parent != 0));
            at = node.parent;
        }
        len
    }

    /// Writes a topic to the end of `out`; returns where it begins there, or `None` if it does not
    /// fit.
    pub(crate) fn write_path(&self, id: TopicId, out: &mut [u8]) -> Option<usize> {
        let (mut at, mut start) = (id.0, out.len());
        while let Some(node) = self.node(at) {
            let slash: &[u8] = if node.parent == 0 { b"" } else { b"/" };
            for text in [node.text.get(&self.texts), slash] {
                let end = start;
                start = start.checked_sub(text.len())?;
                out.get_mut(start..end)?.copy_from_slice(text);
            }
            at = node.parent;
        }
        Some(start)
    }

    /// Shows `found` what every topic that `filter` matches is worth, in order.
    pub(crate) fn match_filter(&self, filter: &[u8], mut found: impl FnMut(u32)) {
        let mut place = Place::START;
        while let Some(next) = self.walk(filter, place) {
            place = next;
            found(self.value(place.topic()));
        }
    }

    /// Shows every value.
    pub(crate) fn each(&self, mut found: impl FnMut(u32)) {
        let mut at = 0;
        loop {
            let next = self.eldest(at);
            at = if next != 0 { next } else { self.beside(at) };
            if at == 0 {
                return;
            }
            let value = self.value(TopicId(at));
            if value != 0 {
                found(value);
            }
        }
    }

    /// The next node beside this one, or beside one above it; 0 for none.
    fn beside(&self, mut at: u32) -> u32 {
        while at != 0 {
            let next = self.younger(at);
            if next != 0 {
                return next;
            }
            at = self.parent(at);
        }
        0
    }
}

fn rehash(nodes: &impl Arena<TopicNode>, slot: u32) -> u64 {
    nodes.get(slot).map_or(0, |node| u64::from(node.hash))
}
