//! Filters and topics, kept so that what matches is found without looking at the rest.
//!
//! [`Filters`] are asked with a topic, for each message; [`Topics`] with a filter, for each
//! subscription. Both keep one node for what many have in common, find it by one hash, and walk
//! iteratively, bounded by what is there, in an order that depends on nothing but the calls so far.

mod filters;
mod level;
mod matching;
mod siblings;
mod text;
mod topics;
mod walk;

#[cfg(all(test, feature = "alloc"))]
mod tests;

pub(crate) use filters::{FilterId, FilterNode, Filters};
pub(crate) use level::level_count;
pub(crate) use topics::{TopicId, TopicNode, Topics};
pub(crate) use walk::Place;

use crate::storage::List;

/// A step of a walk: the node to go on from, plus one, and where the level that comes next begins,
/// or [`END`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    node: u32,
    at: usize,
}

/// The end of a path: there is no level at this place.
const END: usize = usize::MAX;

fn pop(stack: &mut impl List<Step>) -> Option<Step> {
    let last = stack.as_slice().len().checked_sub(1)?;
    stack.remove(last)
}
