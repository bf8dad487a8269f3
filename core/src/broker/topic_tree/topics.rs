//! Topics, each worth something, asked with the filter of a subscription.
//!
//! A node is a level behind another. Its hash is that of all levels up to it, so that a topic is
//! found by one hash, and wildcards go from node to node.

use super::level::{Level, level};
use super::text::Text;
use super::{END, Step, pop};
use crate::flow::hash::Hash;
use crate::storage::{Arena, Full, Index, List, Pool};

/// A topic in a tree: its last node, plus one; 0 is where every topic begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicId(u32);

/// A level behind another. Nodes are known by their slots, plus one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicNode {
    parent: u32,
    first_child: u32,
    next: u32,
    previous: u32,
    hash: u32,
    /// What the owner of the tree keeps here; 0 for nothing.
    value: u32,
    text: Text<15>,
}

/// A tree of topics.
#[derive(Debug)]
pub(crate) struct Topics<N, I, P> {
    pub(super) nodes: N,
    index: I,
    pub(super) texts: P,
    hash: Hash,
    /// The first level of some topic.
    pub(super) first: u32,
}

impl<N: Arena<TopicNode>, I: Index, P: Pool> Topics<N, I, P> {
    pub(crate) const EMPTY: Self =
        Self { nodes: N::EMPTY, index: I::EMPTY, texts: P::EMPTY, hash: Hash::new(0), first: 0 };

    pub(crate) fn begin(&mut self, seed: u64, nodes: usize, bytes: usize) {
        self.hash = Hash::new(seed);
        self.nodes.set_limit(nodes);
        self.texts.set_limit(bytes);
    }

    fn node(&self, id: u32) -> Option<&TopicNode> {
        self.nodes.get(id.checked_sub(1)?)
    }

    fn node_mut(&mut self, id: u32) -> Option<&mut TopicNode> {
        self.nodes.get_mut(id.checked_sub(1)?)
    }

    pub(crate) fn value(&self, id: TopicId) -> u32 {
        self.node(id.0).map_or(0, |node| node.value)
    }

    pub(crate) fn set_value(&mut self, id: TopicId, value: u32) {
        if let Some(node) = self.node_mut(id.0) {
            node.value = value;
        }
    }

    /// The hash of a node; those below begin with it.
    fn hash_of(&self, id: u32) -> u32 {
        match self.node(id) {
            Some(node) => node.hash,
            None => self.hash.begin(0) as u32,
        }
    }

    /// The hash of a level behind what has the hash `before`.
    fn hash_behind(&self, before: u32, level: Level) -> u32 {
        self.hash.add(u64::from(before), level.hash) as u32
    }

    fn first_child(&self, id: u32) -> u32 {
        match self.node(id) {
            Some(node) => node.first_child,
            None => self.first,
        }
    }

    fn set_first_child(&mut self, id: u32, child: u32) {
        match self.node_mut(id) {
            Some(node) => node.first_child = child,
            None => self.first = child,
        }
    }

    /// The child of `parent` with this hash and text.
    fn child(&self, parent: u32, hash: u32, text: &[u8]) -> Option<u32> {
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
        let next = self.first_child(parent);
        let text = Text::new(text, &mut self.texts)?;
        let node = TopicNode { parent, first_child: 0, next, previous: 0, hash, value: 0, text };
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
        if let Some(sibling) = self.node_mut(next) {
            sibling.previous = id;
        }
        self.set_first_child(parent, id);
        Ok(id)
    }

    /// Takes out the node of `id` and those above it, as far as they hold nothing.
    pub(crate) fn prune(&mut self, id: TopicId) {
        let TopicId(mut id) = id;
        while let Some(slot) = id.checked_sub(1) {
            let Some(node) = self.nodes.get(slot).copied() else { return };
            if node.value | node.first_child != 0 {
                return;
            }
            let nodes = &self.nodes;
            self.index.remove(u64::from(node.hash), slot, |slot| rehash(nodes, slot));
            if let Some(next) = self.node_mut(node.next) {
                next.previous = node.previous;
            }
            match self.node_mut(node.previous) {
                Some(previous) => previous.next = node.next,
                None => self.set_first_child(node.parent, node.next),
            }
            self.nodes.remove(slot);
            node.text.free(&mut self.texts);
            id = node.parent;
        }
    }

    /// Shows `found` what every topic that `filter` matches is worth.
    pub(crate) fn match_filter(
        &self,
        filter: &[u8],
        stack: &mut impl List<Step>,
        mut found: impl FnMut(u32),
    ) {
        stack.clear();
        let _ = stack.push(Step { node: 0, level: 0, at: 0 });
        while let Some(Step { node, at, .. }) = pop(stack) {
            if at == END {
                self.show(node, &mut found);
                continue;
            }
            let level = level(self.hash, filter, at);
            match filter.get(at..level.end).unwrap_or_default() {
                b"#" => self.show_below(node, at == 0, &mut found),
                b"+" => self.each_child(node, at == 0, |node| {
                    let _ = stack.push(Step { node, level: 0, at: level.next });
                }),
                text => {
                    let hash = self.hash_behind(self.hash_of(node), level);
                    if let Some(node) = self.child(node, hash, text) {
                        let _ = stack.push(Step { node, level: 0, at: level.next });
                    }
                }
            }
        }
    }

    /// Shows every value.
    pub(crate) fn each(&self, mut found: impl FnMut(u32)) {
        self.show_below(0, false, &mut found);
    }

    fn show(&self, id: u32, found: &mut impl FnMut(u32)) {
        let value = self.value(TopicId(id));
        if value != 0 {
            found(value);
        }
    }

    /// Every child, but for those that wildcards at the first level pass by.
    fn each_child(&self, node: u32, first: bool, mut each: impl FnMut(u32)) {
        let mut child = self.first_child(node);
        while let Some(here) = self.node(child) {
            if !(first && here.text.get(&self.texts).first() == Some(&b'$')) {
                each(child);
            }
            child = here.next;
        }
    }

    /// The node itself and everything below it.
    fn show_below(&self, top: u32, first: bool, found: &mut impl FnMut(u32)) {
        self.show(top, found);
        self.each_child(top, first, |child| {
            let mut at = child;
            loop {
                self.show(at, found);
                let below = self.first_child(at);
                if below != 0 {
                    at = below;
                    continue;
                }
                // Up to where there is a sibling, but not beside `child` itself.
                loop {
                    if at == child {
                        return;
                    }
                    let Some(here) = self.node(at) else { return };
                    if here.next != 0 {
                        at = here.next;
                        break;
                    }
                    at = here.parent;
                }
            }
        });
    }
}

fn rehash(nodes: &impl Arena<TopicNode>, slot: u32) -> u64 {
    nodes.get(slot).map_or(0, |node| u64::from(node.hash))
}
