//! What was sent and is settled, and the memory that it gives back.

use super::Outbox;
use crate::codec::{frame_len_of, publish_packet_id};
use crate::flow::packets::{Walk, is_owed};
use crate::storage::Memory;
use crate::types::PacketId;

/// Where a PUBLISH is that has become ready: a hint that spares a walk to find it.
///
/// It stays right while what lies in front of the packet is given back, and is known to be wrong
/// once packets have moved in another way. 0 is no place.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place(u64);

/// How many are settled before the dead ones in front are stepped over.
const STEP: u8 = 32;

impl<M: Memory> Outbox<M> {
    /// What stands for a place in memory from now on.
    #[inline]
    pub(super) const fn place_of(&self, at: usize) -> Place {
        Place(self.base.wrapping_add(at as u64).wrapping_add(1))
    }

    /// Every place that was handed out lies before whatever is in memory now.
    pub(super) fn forget_places(&mut self) {
        self.base = self.base.wrapping_add(self.memory.bytes().len() as u64);
    }

    /// Where the PUBLISH with this identifier begins, among what was sent or is ready.
    #[inline]
    pub(crate) fn find(&self, id: PacketId, place: Place) -> Option<usize> {
        let at = place.0.wrapping_sub(self.base).wrapping_sub(1);
        let is_known = (self.head as u64..self.ready as u64).contains(&at);
        if is_known { Some(at as usize) } else { self.search(id) }
    }

    #[inline(never)]
    fn search(&self, id: PacketId) -> Option<usize> {
        let mut at = self.head;
        self.packets(at, self.ready)
            .find(|packet| {
                let is_it = publish_packet_id(packet) == Some(id);
                if !is_it {
                    at = at.saturating_add(packet.len());
                }
                is_it
            })
            .map(|_| at)
    }

    /// Whether not all of the packet that begins there has left.
    #[inline]
    pub(crate) fn is_unsent(&self, at: usize) -> bool {
        at >= self.whole && {
            let len = frame_len_of(self.slice(at, self.ready)).unwrap_or_default();
            at.saturating_add(len) > self.sent
        }
    }

    /// The PUBLISH that begins there is settled: its bytes are needed no more.
    #[cfg_attr(feature = "alloc", inline(always))]
    pub(crate) fn settle(&mut self, at: usize) {
        self.owed = self.owed.saturating_sub(1);
        if let Some(first) = self.memory.bytes_mut().get_mut(at) {
            *first &= 0x0F;
        }
        self.settled = self.settled.saturating_add(1);
        if self.owed == 0 && !self.has_output() && self.raw == 0 {
            self.head = self.sent;
            self.settled = 0;
            self.reclaim();
        } else if self.settled >= STEP {
            self.settled = 0;
            self.advance_head();
            self.reclaim();
        }
    }

    /// Steps over what is dead in front.
    #[inline(never)]
    fn advance_head(&mut self) {
        let Walk(mut rest) = self.packets(self.head, self.sent);
        let whole = rest.len();
        while !is_owed(rest)
            && let Some(len) = frame_len_of(rest)
            && let Some(behind) = rest.get(len..)
        {
            rest = behind;
        }
        self.head = self.head.saturating_add(whole).saturating_sub(rest.len());
    }

    /// Gives back the dead memory in front, once there is far more of it than of the rest: then
    /// each byte that lives is moved for a few that died.
    #[inline]
    pub(super) fn reclaim(&mut self) {
        let dead = self.head.saturating_sub(self.start);
        let rest = self.len.saturating_sub(self.head);
        if dead / 3 > rest {
            self.slide(self.head, self.start);
            self.shift_down(dead);
        }
    }

    /// Clears away all that is dead among what was sent.
    pub(super) fn compact(&mut self) {
        let whole = self
            .packets(self.head, self.sent)
            .fold(self.head, |end, packet| end.saturating_add(packet.len()));
        let end = self.keep_packets(self.head, whole, |packet| is_owed(packet));
        self.slide(whole, end);
        let (gone, head) = (whole.saturating_sub(end), self.head);
        self.shift_rest(
            |cursor| if cursor >= whole { cursor.saturating_sub(gone) } else { cursor },
        );
        self.head = head;
        self.whole = self.whole.min(head);
        if gone != 0 {
            self.forget_places();
        }
        let dead = self.head.saturating_sub(self.start);
        self.slide(self.head, self.start);
        self.shift_down(dead);
    }
}
