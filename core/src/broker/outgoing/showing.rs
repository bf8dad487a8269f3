//! What is on its way to a session, shown to an administrator.

use super::{MAX_SPAN, Outgoing};
use crate::broker::delivery::Delivery;
use crate::flow::send::Owed;
use crate::storage::Queue;

impl<Q: Queue<Delivery>> Outgoing<Q> {
    /// The first message at this place or behind it that is not settled, and its place. One that
    /// moved up since the message with this identifier was the last is not meant.
    pub(crate) fn next_from(&self, place: u64, shown: u16) -> Option<(Delivery, u64)> {
        let first = usize::try_from(place.saturating_sub(self.base)).ok()?;
        let is_behind = |id: u16| {
            let ahead = id.wrapping_sub(shown);
            id == 0 || shown == 0 || ahead != 0 && usize::from(ahead) < MAX_SPAN
        };
        (first..self.queue.len()).find_map(|at| {
            let one = self.at(at)?;
            let is_it = one.owed != Owed::Nothing && is_behind(one.id);
            is_it.then(|| (one, self.place(at)))
        })
    }
}
