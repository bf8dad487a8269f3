//! The children of a node in the order of their texts: a search tree that their hashes keep flat.
//!
//! So the whole tree has one order, which depends on nothing but what is in it: a walk that stopped
//! can go on in another tree of the same topics.

use super::topics::{TopicNode, Topics};
use crate::storage::{Arena, Index, Pool};

impl<N: Arena<TopicNode>, I: Index, P: Pool> Topics<N, I, P> {
    fn text(&self, id: u32) -> &[u8] {
        self.node(id).map_or(&[], |node| node.text.get(&self.texts))
    }

    /// Puts a node among the children of its parent.
    pub(super) fn join(&mut self, parent: u32, id: u32) {
        let (mut up, mut at) = (0, self.first_child(parent));
        let mut before = false;
        while let Some(node) = self.node(at) {
            up = at;
            before = self.text(id) < self.text(at);
            at = if before { node.left } else { node.right };
        }
        if let Some(node) = self.node_mut(id) {
            node.up = up;
        }
        match self.node_mut(up) {
            Some(node) if before => node.left = id,
            Some(node) => node.right = id,
            None => self.set_first_child(parent, id),
        }
        while let Some(up) = self.node(id).map(|node| node.up).filter(|up| *up != 0)
            && self.rank(id) > self.rank(up)
        {
            self.rotate(parent, id);
        }
    }

    /// Takes a node out of the children of its parent.
    pub(super) fn part(&mut self, parent: u32, id: u32) {
        while let Some(node) = self.node(id) {
            let (left, right, up) = (node.left, node.right, node.up);
            if left != 0 && right != 0 {
                let higher = if self.rank(left) > self.rank(right) { left } else { right };
                self.rotate(parent, higher);
                continue;
            }
            let only = left | right;
            if let Some(node) = self.node_mut(only) {
                node.up = up;
            }
            return self.put_in_place(parent, up, id, only);
        }
    }

    /// Which of two stands higher in the tree of siblings.
    fn rank(&self, id: u32) -> (u32, u32) {
        (self.node(id).map_or(0, |node| node.hash), id)
    }

    /// A node changes places with the one above it; the order stays.
    fn rotate(&mut self, parent: u32, id: u32) {
        let Some(node) = self.node(id).copied() else { return };
        let Some(above) = self.node(node.up).copied() else { return };
        let is_left = above.left == id;
        let inner = if is_left { node.right } else { node.left };
        if let Some(above) = self.node_mut(node.up) {
            above.up = id;
            if is_left {
                above.left = inner;
            } else {
                above.right = inner;
            }
        }
        if let Some(inner) = self.node_mut(inner) {
            inner.up = node.up;
        }
        if let Some(this) = self.node_mut(id) {
            this.up = above.up;
            if is_left {
                this.right = node.up;
            } else {
                this.left = node.up;
            }
        }
        self.put_in_place(parent, above.up, node.up, id);
    }

    /// Below `up`, or as the first of all siblings, `new` stands where `old` did.
    fn put_in_place(&mut self, parent: u32, up: u32, old: u32, new: u32) {
        match self.node_mut(up) {
            Some(up) if up.left == old => up.left = new,
            Some(up) => up.right = new,
            None => self.set_first_child(parent, new),
        }
    }

    fn leftmost(&self, mut id: u32) -> u32 {
        while let Some(node) = self.node(id).filter(|node| node.left != 0) {
            id = node.left;
        }
        id
    }

    /// The first child in order; 0 for none.
    pub(super) fn eldest(&self, parent: u32) -> u32 {
        self.leftmost(self.first_child(parent))
    }

    /// The next sibling in order; 0 for none.
    pub(super) fn younger(&self, id: u32) -> u32 {
        let Some(node) = self.node(id) else { return 0 };
        if node.right != 0 {
            return self.leftmost(node.right);
        }
        let (mut id, mut up) = (id, node.up);
        while let Some(above) = self.node(up).filter(|above| above.right == id) {
            (id, up) = (up, above.up);
        }
        up
    }

    /// Whether wildcards at the first level pass this node by [MQTT5-4.7.2-1].
    pub(super) fn is_reserved(&self, id: u32) -> bool {
        self.text(id).first() == Some(&b'$')
    }
}
