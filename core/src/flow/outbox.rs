//! The bytes that wait to leave or to be acknowledged, each packet encoded once.
//!
//! One run of memory, in the order in which packets go:
//!
//! ```text
//! | kept | dead | sent, some of it still owed | ready | gap | waiting |
//! 0      start  head                          sent    ready waiting   len
//! ```
//!
//! - *kept* outlives connections: CONNECT, and what its owner puts behind it.
//! - *sent* has left. A PUBLISH above QoS 0 stays until it is settled; everything else is dead.
//! - *ready* leaves next, and is all that [`Outbox::output`] shows.
//! - *waiting* are packets for which there is no connection, no quota, or no place before a payload
//!   that is being streamed. One becomes ready by moving to the other side of the gap, which mostly
//!   is empty.
//!
//! A dead PUBLISH has its type overwritten with 0, which no packet has. A payload that is streamed
//! stands last among what is ready, from `raw` on, and is forgotten as it leaves.

mod settled;
mod streamed;

pub(crate) use settled::Place;

use super::kept_and_last;
use super::packets::{Walk, is_owed, is_publish, is_qos0, set_dup};
use crate::codec::{frame_len_of, publish_packet_id};
use crate::storage::{Full, Memory, move_within};
use crate::types::PacketId;

/// How much wider than needed a gap is opened, in bytes.
const SPARE_GAP: usize = 512;

/// See the module.
#[derive(Debug)]
pub(crate) struct Outbox<M> {
    /// Only grows: what was used once need not be cleared again.
    memory: M,
    len: usize,
    start: usize,
    head: usize,
    sent: usize,
    /// What lies before has left to the last byte; of what lies behind nobody has looked.
    whole: usize,
    ready: usize,
    waiting: usize,
    /// How many PUBLISH packets among what is sent and ready are not settled.
    owed: usize,
    /// How many were settled since the dead ones in front were stepped over.
    settled: u8,
    /// Where a streamed payload begins, plus one.
    raw: usize,
    /// What is to be added to a place in memory to make it one that outlives moves.
    base: u64,
}

impl<M: Memory> Outbox<M> {
    pub(crate) const EMPTY: Self = Self {
        memory: M::EMPTY,
        len: 0,
        start: 0,
        head: 0,
        sent: 0,
        whole: 0,
        ready: 0,
        waiting: 0,
        owed: 0,
        settled: 0,
        raw: 0,
        base: 0,
    };

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.memory.set_limit(limit);
    }

    /// Makes it `len` bytes long.
    #[inline]
    fn resize(&mut self, len: usize) -> Result<(), Full> {
        if len > self.memory.bytes().len() {
            self.memory.resize(len)?;
        }
        self.len = len;
        Ok(())
    }

    #[inline]
    fn slice(&self, from: usize, to: usize) -> &[u8] {
        self.memory.bytes().get(from..to).unwrap_or_default()
    }

    #[inline]
    fn slice_mut(&mut self, from: usize, to: usize) -> &mut [u8] {
        self.memory.bytes_mut().get_mut(from..to).unwrap_or_default()
    }

    /// Packets, from `from` on: they end at `to`, or where a streamed payload begins, in which
    /// anything may look like a packet.
    #[inline]
    fn packets(&self, from: usize, to: usize) -> Walk<'_> {
        let raw = self.raw.checked_sub(1).unwrap_or(usize::MAX);
        Walk(self.slice(from, to.min(raw)))
    }

    /// What is kept across connections.
    pub(crate) fn kept(&self) -> &[u8] {
        self.slice(0, self.start)
    }

    /// What is kept, to be changed in place.
    pub(crate) fn kept_mut(&mut self) -> &mut [u8] {
        self.slice_mut(0, self.start)
    }

    /// What may leave now.
    #[inline]
    pub(crate) fn output(&self) -> &[u8] {
        self.slice(self.sent, self.ready)
    }

    #[inline]
    pub(crate) const fn has_output(&self) -> bool {
        self.sent < self.ready
    }

    /// Whether a packet waits.
    #[inline]
    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting < self.len
    }

    /// How many bytes fit now.
    pub(crate) fn free_room(&mut self) -> usize {
        self.compact();
        self.close_gap();
        self.memory.limit().saturating_sub(self.len)
    }

    /// How many bytes fit beside what is kept, once everything else has left.
    pub(crate) fn most_room(&self) -> usize {
        self.memory.limit().saturating_sub(self.start)
    }

    /// Whether `len` more bytes fit; makes room if it must.
    #[inline]
    pub(crate) fn has_room(&mut self, len: usize) -> bool {
        self.len.saturating_add(len) <= self.memory.limit() || self.make_room(len)
    }

    #[cold]
    fn make_room(&mut self, len: usize) -> bool {
        self.compact();
        self.close_gap();
        self.len.saturating_add(len) <= self.memory.limit()
    }

    /// `len` bytes behind everything that is ready, to be written.
    ///
    /// Behind a streamed payload nothing can be ready: the packet waits then.
    #[inline]
    pub(crate) fn push_ready(&mut self, len: usize) -> Result<&mut [u8], Full> {
        let start = self.ready;
        let end = start.checked_add(len).ok_or(Full)?;
        if self.raw != 0 || self.has_waiting() || end > self.memory.bytes().len() {
            return self.push_ready_aside(len);
        }
        (self.ready, self.waiting, self.len) = (end, end, end);
        Ok(self.slice_mut(start, end))
    }

    /// As [`Outbox::push_ready`], beside what waits, or in memory that was not used yet.
    #[inline(never)]
    fn push_ready_aside(&mut self, len: usize) -> Result<&mut [u8], Full> {
        if self.raw != 0 {
            return self.push_waiting(len);
        }
        let start = self.ready;
        let end = start.saturating_add(len);
        if self.has_waiting() {
            self.open_gap(len)?;
        } else {
            self.resize(end)?;
            self.waiting = end;
        }
        self.ready = end;
        Ok(self.slice_mut(start, end))
    }

    /// As [`Outbox::push_ready`], written by `write` from what is kept.
    pub(crate) fn push_ready_from_kept<T>(
        &mut self,
        len: usize,
        write: impl FnOnce(&[u8], &mut [u8]) -> T,
    ) -> Result<T, Full> {
        self.push_ready(len)?;
        let end = if self.raw == 0 { self.ready } else { self.len };
        let (kept, out) = kept_and_last(self.memory.bytes_mut(), self.start, len, end);
        Ok(write(kept, out))
    }

    /// As [`Outbox::push_ready`], for a PUBLISH that will have to be settled; where it is, too.
    #[inline]
    pub(crate) fn push_ready_publish(&mut self, len: usize) -> Result<(Place, &mut [u8]), Full> {
        let place = self.place_of(self.ready);
        self.push_ready(len)?;
        self.owed = self.owed.saturating_add(1);
        Ok((place, self.slice_mut(self.ready.saturating_sub(len), self.ready)))
    }

    /// Memory that was used before, behind everything, with `reserve` bytes to spare: what is
    /// written there becomes ready by [`Outbox::commit`]. Only while nothing waits and no payload
    /// is streamed.
    #[inline]
    pub(crate) fn space(&mut self, reserve: usize) -> Option<&mut [u8]> {
        let end = self.memory.limit().saturating_sub(reserve).min(self.memory.bytes().len());
        self.memory.bytes_mut().get_mut(self.ready..end)
    }

    /// The first `len` bytes of the space are a packet that is ready; where it is.
    #[inline]
    pub(crate) fn commit(&mut self, len: usize, is_owed: bool) -> Place {
        let place = self.place_of(self.ready);
        self.owed = self.owed.saturating_add(usize::from(is_owed));
        let end = self.ready.saturating_add(len);
        (self.ready, self.waiting, self.len) = (end, end, end);
        place
    }

    /// `len` bytes behind everything that waits, to be written.
    pub(crate) fn push_waiting(&mut self, len: usize) -> Result<&mut [u8], Full> {
        let start = self.len;
        self.resize(start.saturating_add(len))?;
        Ok(self.slice_mut(start, self.len))
    }

    /// `len` bytes behind what is kept, to be written.
    pub(crate) fn push_kept(&mut self, len: usize) -> Result<&mut [u8], Full> {
        if !self.has_room(len) {
            return Err(Full); // even with the gap closed
        }
        let (start, old_len) = (self.start, self.len);
        self.resize(old_len.saturating_add(len))?;
        let end = start.saturating_add(len);
        move_within(self.memory.bytes_mut(), start..old_len, end);
        self.start = end;
        self.shift_rest(|cursor| cursor.saturating_add(len));
        self.base = self.base.wrapping_sub(len as u64);
        Ok(self.slice_mut(start, end))
    }

    /// Takes `range` out of what is kept.
    pub(crate) fn remove_kept(&mut self, range: core::ops::Range<usize>) {
        if range.end <= self.start && range.start < range.end {
            let gone = range.len();
            self.slide(range.end, range.start);
            self.start = self.start.saturating_sub(gone);
            self.shift_down(gone);
        }
    }

    /// What lies behind what is kept has moved to the front by `gone` bytes.
    fn shift_down(&mut self, gone: usize) {
        self.shift_rest(|cursor| cursor.saturating_sub(gone));
        self.base = self.base.wrapping_add(gone as u64);
    }

    /// All but where what is kept ends.
    const fn cursors(&mut self) -> [&mut usize; 5] {
        let Self { head, sent, whole, ready, waiting, .. } = self;
        [head, sent, whole, ready, waiting]
    }

    fn empty(&mut self) {
        let start = self.start;
        for cursor in self.cursors() {
            *cursor = start;
        }
    }

    fn shift_rest(&mut self, by: impl Fn(usize) -> usize) {
        for cursor in self.cursors() {
            *cursor = by(*cursor);
        }
        if self.raw != 0 {
            self.raw = by(self.raw);
        }
    }

    /// Moves everything from `from` on down to `to`.
    fn slide(&mut self, from: usize, to: usize) {
        let len = self.len;
        if to < from && from <= len {
            move_within(self.memory.bytes_mut(), from..len, to);
            self.len = len.saturating_sub(from).saturating_add(to);
        }
    }

    #[inline(never)]
    fn open_gap(&mut self, len: usize) -> Result<(), Full> {
        let gap = self.waiting.saturating_sub(self.ready);
        if gap >= len {
            return Ok(());
        }
        let old_len = self.len;
        // A little more than is needed, where there is room, so that the next needs no move.
        let spare = self.memory.limit().saturating_sub(old_len).min(SPARE_GAP);
        let more = len.saturating_sub(gap).max(spare);
        self.resize(old_len.saturating_add(more))?;
        let to = self.waiting.saturating_add(more);
        move_within(self.memory.bytes_mut(), self.waiting..old_len, to);
        self.waiting = to;
        Ok(())
    }

    fn close_gap(&mut self) {
        self.slide(self.waiting, self.ready);
        self.waiting = self.ready;
    }

    /// The next packet that waits.
    #[inline]
    pub(crate) fn first_waiting(&self) -> Option<&[u8]> {
        Walk(self.slice(self.waiting, self.len)).next()
    }

    /// The next packet that waits becomes ready; where it is then.
    pub(crate) fn promote(&mut self) -> Place {
        let place = self.place_of(self.ready);
        let Some(packet) = self.first_waiting() else { return place };
        let len = packet.len();
        if is_owed(packet) {
            self.owed = self.owed.saturating_add(1);
        }
        let from = self.waiting;
        let behind = from.saturating_add(len);
        move_within(self.memory.bytes_mut(), from..behind, self.ready);
        self.ready = self.ready.saturating_add(len);
        self.waiting = behind;
        self.collapse();
        place
    }

    /// Without anything that waits there is no gap.
    fn collapse(&mut self) {
        if !self.has_waiting() {
            self.len = self.ready;
            self.waiting = self.ready;
        }
    }

    /// Drops the first waiting packet that `is_it` picks; returns its identifier, if it has one.
    pub(crate) fn drop_waiting(
        &mut self,
        is_it: impl Fn(&[u8]) -> bool,
    ) -> Option<Option<PacketId>> {
        let mut at = self.waiting;
        let packet = self.each_waiting().find(|packet| {
            let picked = is_it(packet);
            if !picked {
                at = at.saturating_add(packet.len());
            }
            picked
        })?;
        let (len, id) = (packet.len(), publish_packet_id(packet));
        self.slide(at.saturating_add(len), at);
        self.collapse();
        Some(id)
    }

    /// The first `len` bytes of the output have left.
    #[inline]
    pub(crate) fn written(&mut self, len: usize) {
        self.sent = self.sent.saturating_add(len).min(self.ready);
        if self.sent == self.ready {
            self.all_written();
        }
    }

    #[inline]
    fn all_written(&mut self) {
        if self.raw != 0 {
            return self.forget_raw();
        }
        self.whole = self.sent;
        if self.owed == 0 {
            self.head = self.sent;
        }
        self.reclaim();
    }

    /// Walks the packets of a range and moves those that `keep` wants to its front; returns where
    /// they end.
    fn keep_packets(
        &mut self,
        from: usize,
        to: usize,
        mut keep: impl FnMut(&mut [u8]) -> bool,
    ) -> usize {
        let bytes = self.memory.bytes_mut();
        let (mut read, mut write) = (from, from);
        while let Some(rest) = bytes.get_mut(read..to) {
            let Some(packet) = frame_len_of(rest).and_then(|len| rest.get_mut(..len)) else {
                break;
            };
            let end = read.saturating_add(packet.len());
            if keep(packet) {
                move_within(bytes, read..end, write);
                write = write.saturating_add(end.saturating_sub(read));
            }
            read = end;
        }
        write
    }

    /// The connection is gone: every PUBLISH that is still owed waits again, with DUP set if any of
    /// it has left; everything else that was sent or ready is forgotten. Calls `dropped` for each
    /// QoS 0 message of which not all has left.
    pub(crate) fn lose(&mut self, mut dropped: impl FnMut()) {
        self.drop_raw();
        let (head, sent, ready) = (self.head, self.sent, self.ready);
        let mut at = head;
        let end = self.keep_packets(head, ready, |packet| {
            let (begins, ends) = (at, at.saturating_add(packet.len()));
            at = ends;
            if is_owed(packet) {
                if begins < sent {
                    set_dup(packet, true); // [MQTT5-3.3.1-1, MQTT3-3.3.1-1]
                }
                return true;
            }
            if is_qos0(packet) && ends > sent {
                dropped();
            }
            false
        });
        self.slide(self.waiting, end);
        self.slide(head, self.start);
        self.empty();
        self.owed = 0;
        self.forget_places();
        // What was held back behind a payload, and is no PUBLISH, belonged to the connection too.
        self.retain_waiting(|packet| is_publish(packet));
    }

    /// Shows every waiting packet to `keep`, which may change it, and drops those it does not want.
    pub(crate) fn retain_waiting(&mut self, keep: impl FnMut(&mut [u8]) -> bool) {
        let (from, to) = (self.waiting, self.len);
        let end = self.keep_packets(from, to, keep);
        self.len = end;
        self.collapse();
    }

    /// Every packet that waits.
    pub(crate) fn each_waiting(&self) -> impl Iterator<Item = &[u8]> {
        Walk(self.slice(self.waiting, self.len))
    }

    /// The PUBLISH with this identifier, wherever it is.
    pub(crate) fn publish(&self, id: PacketId) -> Option<&[u8]> {
        self.packets(self.head, self.ready)
            .chain(self.each_waiting())
            .find(|packet| publish_packet_id(packet) == Some(id))
    }

    /// Forgets everything but what is kept.
    pub(crate) fn clear(&mut self) {
        self.len = self.start;
        self.shift_rest(|_| 0);
        self.empty();
        (self.owed, self.raw) = (0, 0);
        self.forget_places();
    }

    /// `len` bytes that are kept, to be written, and nothing besides.
    pub(crate) fn keep(&mut self, len: usize) -> Result<&mut [u8], Full> {
        self.clear_all();
        self.push_kept(len)
    }

    /// Forgets even that.
    pub(crate) fn clear_all(&mut self) {
        self.start = 0;
        self.clear();
        let _ = self.memory.resize(0); // there may be a lower limit now
    }
}
