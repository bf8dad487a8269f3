//! Topics and filters as a tree of levels: finds what matches without looking at the rest.
//!
//! A node is a level below another; its text is kept once. Children are found by hash, `+` and `#`
//! directly. Walks are iterative, bounded by the levels met, and in an order that depends on
//! nothing but the calls so far.

use crate::flow::hash::Hash;
use crate::storage::{Arena, Full, Index, List, Pool};

/// A place in a tree; the root is where every path begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(u32);

impl NodeId {
    pub(crate) const ROOT: Self = Self(0);

    const fn of_slot(slot: u32) -> Self {
        Self(slot.saturating_add(1))
    }

    const fn slot(self) -> Option<u32> {
        self.0.checked_sub(1)
    }

    const fn is_some(self) -> bool {
        self.0 != 0
    }
}

/// A level below another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Node {
    parent: NodeId,
    first_child: NodeId,
    next: NodeId,
    previous: NodeId,
    /// The children `+` and `#`, in a tree of filters.
    plus: NodeId,
    hash: NodeId,
    text: u32,
    /// What the owner of the tree keeps here; 0 for nothing.
    value: u32,
}

/// A step of a walk: a node, and where in the path it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    node: NodeId,
    at: usize,
}

/// The end of a path: there is no level at this place.
const END: usize = usize::MAX;

/// A tree of levels.
#[derive(Debug)]
pub(crate) struct Tree<N, I, P> {
    nodes: N,
    index: I,
    texts: P,
    root: Node,
    hash: Hash,
}

impl<N: Arena<Node>, I: Index, P: Pool> Tree<N, I, P> {
    pub(crate) const EMPTY: Self = Self {
        nodes: N::EMPTY,
        index: I::EMPTY,
        texts: P::EMPTY,
        root: Node {
            parent: NodeId::ROOT,
            first_child: NodeId::ROOT,
            next: NodeId::ROOT,
            previous: NodeId::ROOT,
            plus: NodeId::ROOT,
            hash: NodeId::ROOT,
            text: 0,
            value: 0,
        },
        hash: Hash::new(0),
    };

    pub(crate) fn begin(&mut self, seed: u64, nodes: usize, bytes: usize) {
        self.hash = Hash::new(seed);
        self.nodes.set_limit(nodes);
        self.texts.set_limit(bytes);
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        match id.slot() {
            None => Some(&self.root),
            Some(slot) => self.nodes.get(slot),
        }
    }

    fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        match id.slot() {
            None => Some(&mut self.root),
            Some(slot) => self.nodes.get_mut(slot),
        }
    }

    pub(crate) fn value(&self, id: NodeId) -> u32 {
        self.node(id).map_or(0, |node| node.value)
    }

    pub(crate) fn set_value(&mut self, id: NodeId, value: u32) {
        if let Some(node) = self.node_mut(id) {
            node.value = value;
        }
    }

    /// The child of `parent` with this text.
    #[inline]
    fn child(&self, parent: NodeId, text: &[u8]) -> Option<NodeId> {
        let hash = self.hash.of(parent.0, text);
        let slot = self.index.find(hash, |slot| {
            self.nodes
                .get(slot)
                .is_some_and(|node| node.parent == parent && self.texts.get(node.text) == text)
        })?;
        Some(NodeId::of_slot(slot))
    }

    /// The node of a path, if there is one.
    pub(crate) fn find(&self, path: &[u8]) -> Option<NodeId> {
        path.split(is_separator).try_fold(NodeId::ROOT, |node, text| self.child(node, text))
    }

    /// The node of a path, made where there is none.
    ///
    /// # Errors
    /// [`Full`]; then nothing has changed.
    pub(crate) fn insert(&mut self, path: &[u8]) -> Result<NodeId, Full> {
        let mut at = NodeId::ROOT;
        for text in path.split(is_separator) {
            at = match self.child(at, text) {
                Some(child) => child,
                None => match self.add(at, text) {
                    Ok(child) => child,
                    Err(full) => {
                        self.prune(at);
                        return Err(full);
                    }
                },
            };
        }
        Ok(at)
    }

    fn add(&mut self, parent: NodeId, text: &[u8]) -> Result<NodeId, Full> {
        let hash = self.hash.of(parent.0, text);
        let handle = self.texts.insert(&[text])?;
        let next = self.node(parent).map_or(NodeId::ROOT, |node| node.first_child);
        let node = Node { parent, next, text: handle, ..Node::default() };
        let Ok(slot) = self.nodes.insert(node) else {
            self.texts.remove(handle);
            return Err(Full);
        };
        let (nodes, texts, hasher) = (&self.nodes, &self.texts, self.hash);
        let rehash = |slot| rehash(nodes, texts, hasher, slot);
        if self.index.insert(hash, slot, rehash).is_err() {
            self.nodes.remove(slot);
            self.texts.remove(handle);
            return Err(Full);
        }
        let id = NodeId::of_slot(slot);
        if next.is_some()
            && let Some(sibling) = self.node_mut(next)
        {
            sibling.previous = id;
        }
        if let Some(parent) = self.node_mut(parent) {
            parent.first_child = id;
            match text {
                b"+" => parent.plus = id,
                b"#" => parent.hash = id,
                _ => {}
            }
        }
        Ok(id)
    }

    /// Takes out `id` and its ancestors, as far as they hold nothing.
    pub(crate) fn prune(&mut self, mut id: NodeId) {
        while let Some(slot) = id.slot() {
            let Some(node) = self.nodes.get(slot).copied() else { return };
            if node.value != 0 || node.first_child.is_some() {
                return;
            }
            let hash = self.hash.of(node.parent.0, self.texts.get(node.text));
            let (nodes, texts, hasher) = (&self.nodes, &self.texts, self.hash);
            self.index.remove(hash, slot, |slot| rehash(nodes, texts, hasher, slot));
            self.unlink(id, &node);
            self.nodes.remove(slot);
            self.texts.remove(node.text);
            id = node.parent;
        }
    }

    fn unlink(&mut self, id: NodeId, node: &Node) {
        if node.next.is_some()
            && let Some(next) = self.node_mut(node.next)
        {
            next.previous = node.previous;
        }
        if node.previous.is_some() {
            if let Some(previous) = self.node_mut(node.previous) {
                previous.next = node.next;
            }
        } else if let Some(parent) = self.node_mut(node.parent) {
            parent.first_child = node.next;
        }
        if let Some(parent) = self.node_mut(node.parent) {
            if parent.plus == id {
                parent.plus = NodeId::ROOT;
            }
            if parent.hash == id {
                parent.hash = NodeId::ROOT;
            }
        }
    }

    /// In a tree of filters: shows `found` every node with a value whose filter matches `topic`.
    ///
    /// Wildcards at the first level pass by a topic that begins with `$`
    /// [MQTT5-4.7.2-1, MQTT3-4.7.2-1].
    #[inline]
    pub(crate) fn match_topic(
        &self,
        topic: &[u8],
        stack: &mut impl List<Step>,
        mut found: impl FnMut(NodeId, u32),
    ) {
        let reserved = topic.first() == Some(&b'$');
        stack.clear();
        let _ = stack.push(Step { node: NodeId::ROOT, at: 0 });
        while let Some(Step { node, at }) = pop(stack) {
            let Some(here) = self.node(node) else { continue };
            let wild = !(reserved && at == 0);
            if wild && here.hash.is_some() {
                self.show(here.hash, &mut found); // `#` matches its parent level too
            }
            if at == END {
                self.show(node, &mut found);
                continue;
            }
            let (text, next) = level(topic, at);
            if wild && here.plus.is_some() {
                let _ = stack.push(Step { node: here.plus, at: next });
            }
            if here.first_child.is_some()
                && let Some(child) = self.child(node, text)
            {
                let _ = stack.push(Step { node: child, at: next });
            }
        }
    }

    fn show(&self, node: NodeId, found: &mut impl FnMut(NodeId, u32)) {
        let value = self.value(node);
        if value != 0 {
            found(node, value);
        }
    }

    /// In a tree of topics: shows `found` every node with a value that `filter` matches.
    pub(crate) fn match_filter(
        &self,
        filter: &[u8],
        stack: &mut impl List<Step>,
        mut found: impl FnMut(NodeId, u32),
    ) {
        stack.clear();
        let _ = stack.push(Step { node: NodeId::ROOT, at: 0 });
        while let Some(Step { node, at }) = pop(stack) {
            if at == END {
                self.show(node, &mut found);
                continue;
            }
            let (text, next) = level(filter, at);
            match text {
                b"#" => self.show_below(node, at == 0, &mut found),
                b"+" => self.each_child(node, at == 0, |child| {
                    let _ = stack.push(Step { node: child, at: next });
                }),
                _ => {
                    if let Some(child) = self.child(node, text) {
                        let _ = stack.push(Step { node: child, at: next });
                    }
                }
            }
        }
    }

    /// Shows every value.
    pub(crate) fn each(&self, mut found: impl FnMut(u32)) {
        self.show_below(NodeId::ROOT, false, &mut |_, value| found(value));
    }

    /// Writes the path of a node to the end of `out`; returns where it begins there, or `None` if
    /// it does not fit.
    pub(crate) fn write_path(&self, mut id: NodeId, out: &mut [u8]) -> Option<usize> {
        let mut start = out.len();
        let mut is_last = true;
        while id.is_some() {
            let node = self.node(id)?;
            if !is_last {
                start = start.checked_sub(1)?;
                *out.get_mut(start)? = b'/';
            }
            is_last = false;
            let text = self.texts.get(node.text);
            let end = start;
            start = start.checked_sub(text.len())?;
            out.get_mut(start..end)?.copy_from_slice(text);
            id = node.parent;
        }
        Some(start)
    }

    /// Every child, but for those that wildcards at the first level pass by.
    fn each_child(&self, node: NodeId, first: bool, mut each: impl FnMut(NodeId)) {
        let mut child = self.node(node).map_or(NodeId::ROOT, |node| node.first_child);
        while child.is_some() {
            let Some(here) = self.node(child) else { return };
            if !(first && self.texts.get(here.text).first() == Some(&b'$')) {
                each(child);
            }
            child = here.next;
        }
    }

    /// The node itself and everything below it.
    fn show_below(&self, top: NodeId, first: bool, found: &mut impl FnMut(NodeId, u32)) {
        if top.is_some() {
            self.show(top, found);
        }
        self.each_child(top, first, |child| {
            let mut at = child;
            loop {
                self.show(at, found);
                let Some(below) = self.node(at).map(|node| node.first_child) else { return };
                if below.is_some() {
                    at = below;
                    continue;
                }
                // Up to where there is a sibling, but not beside `child` itself.
                loop {
                    if at == child {
                        return;
                    }
                    let Some(here) = self.node(at) else { return };
                    if here.next.is_some() {
                        at = here.next;
                        break;
                    }
                    at = here.parent;
                }
            }
        });
    }
}

fn is_separator(byte: &u8) -> bool {
    *byte == b'/'
}

fn pop(stack: &mut impl List<Step>) -> Option<Step> {
    let last = stack.as_slice().len().checked_sub(1)?;
    stack.remove(last)
}

/// The level that begins at `at`, and where the next one begins.
#[inline]
fn level(path: &[u8], at: usize) -> (&[u8], usize) {
    let rest = path.get(at..).unwrap_or_default();
    match rest.iter().position(is_separator) {
        Some(len) => {
            let text = rest.get(..len).unwrap_or_default();
            (text, at.saturating_add(len).saturating_add(1))
        }
        None => (rest, END),
    }
}

fn rehash<N: Arena<Node>, P: Pool>(nodes: &N, texts: &P, hash: Hash, slot: u32) -> u64 {
    nodes.get(slot).map_or(0, |node| hash.of(node.parent.0, texts.get(node.text)))
}
