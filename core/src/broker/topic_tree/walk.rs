//! A walk through the topics that a filter matches, in order; it can stop and go on at any time.

use super::level::{level, level_count};
use super::topics::{TopicId, TopicNode, Topics};
use crate::storage::{Arena, Index, Pool};

/// Where a walk is: at a node, so many levels deep; 0 is where every topic begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    node: u32,
    depth: usize,
}

impl Place {
    /// Before every topic.
    pub(crate) const START: Self = Self { node: 0, depth: 0 };

    pub(super) const fn new(topic: TopicId, depth: usize) -> Self {
        Self { node: topic.0, depth }
    }

    pub(crate) const fn topic(self) -> TopicId {
        TopicId(self.node)
    }
}

/// What a filter wants at a level.
enum Wanted<'f> {
    Any,
    Only(&'f [u8]),
    /// It ends before.
    Nothing,
}

fn wanted(filter: &[u8], number: usize) -> Wanted<'_> {
    let mut levels = filter.split(|byte| *byte == b'/');
    for _ in 0..number {
        match levels.next() {
            Some(b"#") => return Wanted::Any,
            Some(_) => {}
            None => return Wanted::Nothing,
        }
    }
    match levels.next() {
        Some(b"#" | b"+") => Wanted::Any,
        Some(text) => Wanted::Only(text),
        None => Wanted::Nothing,
    }
}

/// Whether a topic of so many levels, which are as the filter wants them, is one of its topics.
fn is_enough(filter: &[u8], depth: usize) -> bool {
    let levels = level_count(filter);
    match filter.ends_with(b"#") {
        true => depth.saturating_add(1) >= levels && depth != 0,
        false => depth == levels,
    }
}

impl<N: Arena<TopicNode>, I: Index, P: Pool> Topics<N, I, P> {
    /// The next topic behind `place` that `filter` matches and that is worth something.
    pub(crate) fn walk(&self, filter: &[u8], mut place: Place) -> Option<Place> {
        loop {
            place = self.step(filter, place)?;
            if is_enough(filter, place.depth) && self.value(place.topic()) != 0 {
                return Some(place);
            }
        }
    }

    /// The next node: below this one, beside it, or beside one above it.
    fn step(&self, filter: &[u8], mut place: Place) -> Option<Place> {
        let depth = place.depth.saturating_add(1);
        let node = match wanted(filter, place.depth) {
            Wanted::Any => self.passing_by(self.eldest(place.node), depth),
            Wanted::Only(text) => {
                let level = level(self.hash, text, 0);
                let hash = self.hash_behind(self.hash_of(place.node), level);
                self.child(place.node, hash, text).unwrap_or(0)
            }
            Wanted::Nothing => 0,
        };
        if node != 0 {
            return Some(Place { node, depth });
        }
        while place.node != 0 {
            let above = place.depth.saturating_sub(1);
            if let Wanted::Any = wanted(filter, above) {
                let node = self.passing_by(self.younger(place.node), place.depth);
                if node != 0 {
                    return Some(Place { node, ..place });
                }
            }
            place = Place { node: self.parent(place.node), depth: above };
        }
        None
    }

    /// A node, or the next one beside it that a wildcard may mean.
    fn passing_by(&self, mut node: u32, depth: usize) -> u32 {
        while depth == 1 && node != 0 && self.is_reserved(node) {
            node = self.younger(node);
        }
        node
    }
}
