//! What stands for the outbox where the feature `session` is off: bytes that leave once.
//!
//! ```text
//! | CONNECT | sent | ready |
//! 0         start  sent    ready
//! ```
//!
//! Nothing waits, and what has left is forgotten: within a connection no packet goes twice.

#[cfg(feature = "auth")]
use super::kept_and_last;
use crate::storage::{Full, Memory, move_within};
use crate::types::PacketId;

/// See the module.
#[derive(Debug)]
pub(crate) struct Outbox<M> {
    /// Only grows: what was used once need not be cleared again.
    memory: M,
    start: usize,
    sent: usize,
    ready: usize,
}

/// Where a PUBLISH is that has become ready: nobody asks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place(());

impl<M: Memory> Outbox<M> {
    pub(crate) const EMPTY: Self = Self { memory: M::EMPTY, start: 0, sent: 0, ready: 0 };

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.memory.set_limit(limit);
    }

    /// What is kept across connections.
    pub(crate) fn kept(&self) -> &[u8] {
        self.memory.bytes().get(..self.start).unwrap_or_default()
    }

    /// What may leave now.
    #[inline]
    pub(crate) fn output(&self) -> &[u8] {
        self.memory.bytes().get(self.sent..self.ready).unwrap_or_default()
    }

    #[inline]
    pub(crate) const fn has_output(&self) -> bool {
        self.sent < self.ready
    }

    pub(crate) const fn has_waiting(&self) -> bool {
        false
    }

    pub(crate) const fn is_streaming(&self) -> bool {
        false
    }

    /// Whether `len` more bytes fit; makes room if it must.
    pub(crate) fn has_room(&mut self, len: usize) -> bool {
        self.ready.wrapping_add(len) <= self.memory.limit() || {
            move_within(self.memory.bytes_mut(), self.sent..self.ready, self.start);
            self.ready = self.ready.wrapping_sub(self.sent).wrapping_add(self.start);
            self.sent = self.start;
            self.ready.wrapping_add(len) <= self.memory.limit()
        }
    }

    /// `len` bytes behind everything that is ready, to be written.
    pub(crate) fn push_ready(&mut self, len: usize) -> Result<&mut [u8], Full> {
        let (start, end) = (self.ready, self.ready.wrapping_add(len));
        if end > self.memory.bytes().len() {
            self.memory.resize(end)?;
        }
        self.ready = end;
        Ok(self.memory.bytes_mut().get_mut(start..end).unwrap_or_default())
    }

    /// As [`Outbox::push_ready`], written by `write` from what is kept.
    #[cfg(feature = "auth")]
    pub(crate) fn push_ready_from_kept<T>(
        &mut self,
        len: usize,
        write: impl FnOnce(&[u8], &mut [u8]) -> T,
    ) -> Result<T, Full> {
        self.push_ready(len)?;
        let (kept, out) = kept_and_last(self.memory.bytes_mut(), self.start, len, self.ready);
        Ok(write(kept, out))
    }

    pub(crate) fn push_ready_publish(&mut self, len: usize) -> Result<(Place, &mut [u8]), Full> {
        Ok((Place::default(), self.push_ready(len)?))
    }

    /// Nothing waits.
    pub(crate) const fn push_waiting(&mut self, _: usize) -> Result<&mut [u8], Full> {
        Err(Full)
    }

    /// Memory that was used before, with `reserve` bytes to spare: what is written there becomes
    /// ready by [`Outbox::commit`].
    #[inline]
    pub(crate) fn space(&mut self, reserve: usize) -> Option<&mut [u8]> {
        let end = self.memory.limit().saturating_sub(reserve).min(self.memory.bytes().len());
        self.memory.bytes_mut().get_mut(self.ready..end)
    }

    /// The first `len` bytes of the space are a packet that is ready.
    #[inline]
    pub(crate) const fn commit(&mut self, len: usize, _: bool) -> Place {
        self.ready = self.ready.wrapping_add(len);
        Place(())
    }

    /// The first `len` bytes of the output have left.
    #[inline]
    pub(crate) fn written(&mut self, len: usize) {
        self.sent = self.sent.saturating_add(len).min(self.ready);
        if self.sent == self.ready {
            self.clear();
        }
    }

    /// `len` bytes that are kept, to be written, and nothing besides.
    pub(crate) fn keep(&mut self, len: usize) -> Result<&mut [u8], Full> {
        self.clear_all();
        self.push_ready(len)?;
        (self.start, self.sent) = (len, len);
        Ok(self.memory.bytes_mut())
    }

    pub(crate) const fn find(&self, _: PacketId, _: Place) -> Option<usize> {
        None
    }

    pub(crate) const fn is_unsent(&self, _: usize) -> bool {
        false
    }

    pub(crate) const fn settle(&mut self, _: usize) {}

    /// Forgets everything but what is kept.
    pub(crate) const fn clear(&mut self) {
        (self.sent, self.ready) = (self.start, self.start);
    }

    /// Forgets even that.
    pub(crate) fn clear_all(&mut self) {
        self.start = 0;
        self.clear();
        let _ = self.memory.resize(0); // there may be a lower limit now
    }
}
