//! A topic meets the filters that match it.
//!
//! Below a node, the rest of the topic may be the text of another one, and so may each of its
//! beginnings, if a wildcard follows. Their hashes come of one pass over that rest, eight bytes at
//! a time, and only beginnings of as many levels as nodes have there are looked for.

use super::filters::{Below, FilterId, FilterNode, Filters, LONG};
use super::level::{level_count, separators, word_at};
use super::{END, Step, pop};
use crate::storage::{Arena, Index, List, Pool};

impl<N: Arena<FilterNode>, I: Index, P: Pool> Filters<N, I, P> {
    /// Shows `found` what every filter that matches `topic` is worth.
    ///
    /// Wildcards at the first level pass by a topic that begins with `$`
    /// [MQTT5-4.7.2-1, MQTT3-4.7.2-1].
    #[inline]
    pub(crate) fn match_topic(
        &self,
        topic: &[u8],
        stack: &mut impl List<Step>,
        mut found: impl FnMut(u32),
    ) {
        let mut below = self.below;
        if topic.first() == Some(&b'$') {
            below.wild &= !1;
        }
        self.walk_below(0, below, topic, stack, &mut found);
    }

    /// The same for filters that stand behind this one, which ends in `+`: as if a topic began
    /// there. A `$` is nothing special.
    #[inline]
    pub(crate) fn match_under(
        &self,
        under: FilterId,
        topic: &[u8],
        stack: &mut impl List<Step>,
        mut found: impl FnMut(u32),
    ) {
        if let Some(node) = self.node(under.node()) {
            self.walk_below(under.node(), node.below, topic, stack, &mut found);
        }
    }

    /// Goes through all that matches a topic below a node.
    #[inline]
    fn walk_below(
        &self,
        node: u32,
        mut below: Below,
        topic: &[u8],
        stack: &mut impl List<Step>,
        found: &mut impl FnMut(u32),
    ) {
        stack.clear();
        let mut step = Step { node, at: 0 };
        loop {
            self.match_below(step, below, topic, stack, found);
            let Some(next) = pop(stack) else { return };
            let Some(node) = self.node(next.node) else { return };
            if next.at == END {
                show(node.any, found);
            }
            (step, below) = (next, node.below);
        }
    }

    /// Looks below a node for what matches the topic from a level on.
    #[inline]
    fn match_below(
        &self,
        from: Step,
        below: Below,
        topic: &[u8],
        stack: &mut impl List<Step>,
        found: &mut impl FnMut(u32),
    ) {
        if below.wild != 0 {
            self.match_wild(from, below.wild, topic, stack, found);
        }
        if below.exact != 0
            && let Some(rest) = topic.get(from.at..)
        {
            let levels = u8::try_from(level_count(rest)).unwrap_or(LONG).min(LONG);
            if below.exact >> levels & 1 != 0 {
                let hash = self.hash.of(from.node, rest);
                if let Some((_, node)) = self.child(from.node, hash as u32, levels, rest) {
                    show(node.exact, found);
                }
            }
        }
    }

    /// The same for those with a wildcard behind as many levels as `wild` has bits for.
    #[inline]
    fn match_wild(
        &self,
        from: Step,
        mut wild: u16,
        topic: &[u8],
        stack: &mut impl List<Step>,
        found: &mut impl FnMut(u32),
    ) {
        let Step { node, at } = from;
        let mut state = self.hash.begin(node);
        // The node whose `+` stands for the level that comes next.
        let mut waiting = 0;
        if wild & 1 != 0 {
            waiting = self.visit(node, self.hash.end(state, 0, 0), 0, &[], found);
        }
        if at == END {
            return;
        }
        let (mut levels, mut base) = (0_u8, at);
        loop {
            let (word, left) = word_at(topic, base);
            let mut ends = separators(word);
            if left < 8 {
                ends |= 0x80_u64 << left.wrapping_mul(8);
            }
            while ends != 0 {
                let bits = ends.trailing_zeros() & !7; // below 64
                ends &= ends.wrapping_sub(1);
                let end = base.saturating_add(bits as usize / 8);
                let next = if end < topic.len() { end.saturating_add(1) } else { END };
                if waiting != 0 {
                    let _ = stack.push(Step { node: waiting, at: next });
                    waiting = 0;
                }
                if levels < LONG {
                    levels = levels.saturating_add(1);
                    wild >>= 1;
                }
                if wild & 1 != 0 {
                    let len = end.wrapping_sub(at);
                    let hash = self.hash.end(state, word & !(u64::MAX << bits), len);
                    let text = topic.get(at..end).unwrap_or_default();
                    waiting = self.visit(node, hash, levels, text, found);
                }
                if wild == 0 || next == END {
                    return;
                }
            }
            state = self.hash.add(state, word);
            base = base.saturating_add(8);
        }
    }

    /// Shows what a `#` behind these levels is worth; the node, if there may be a `+`.
    #[inline]
    fn visit(
        &self,
        parent: u32,
        hash: u64,
        levels: u8,
        text: &[u8],
        found: &mut impl FnMut(u32),
    ) -> u32 {
        let Some((id, node)) = self.child(parent, hash as u32, levels, text) else { return 0 };
        show(node.rest, found); // `#` matches its parent level too
        if node.any | node.children == 0 { 0 } else { id }
    }
}

#[inline]
fn show(value: u32, found: &mut impl FnMut(u32)) {
    if value != 0 {
        found(value);
    }
}
