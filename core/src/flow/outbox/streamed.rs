//! Payloads that are streamed through the outbox, and never are in it as a whole.

use super::Outbox;
#[cfg(feature = "stream")]
use crate::flow::packets::is_publish;
use crate::storage::Memory;
#[cfg(feature = "stream")]
use crate::storage::{Full, bring_to_front};

impl<M: Memory> Outbox<M> {
    /// Whether a payload is on its way, and every other packet waits for its end.
    pub(crate) const fn is_streaming(&self) -> bool {
        self.raw != 0
    }

    /// From the next byte that is ready on, what comes is the head of a PUBLISH and its payload.
    #[cfg(feature = "stream")]
    pub(crate) fn begin_raw(&mut self) {
        self.raw = self.ready.saturating_add(1);
    }

    /// `len` bytes of head or payload, to be written.
    #[cfg(feature = "stream")]
    pub(crate) fn push_raw(&mut self, len: usize) -> Result<&mut [u8], Full> {
        let raw = core::mem::take(&mut self.raw);
        let start = self.ready;
        let pushed = self.push_ready(len).map(|_| ());
        self.raw = raw;
        pushed?;
        Ok(self.slice_mut(start, self.ready))
    }

    /// Whether the first byte of what is streamed is among the next `len` that leave.
    #[cfg(feature = "stream")]
    pub(crate) const fn begins_within(&self, len: usize) -> bool {
        self.raw != 0 && self.sent.saturating_add(len) >= self.raw
    }

    /// The payload is complete: once it has left, the others may go.
    #[cfg(feature = "stream")]
    pub(crate) fn end_raw(&mut self) -> bool {
        let over = !self.has_output();
        if over {
            self.drop_raw();
            self.promote_others();
        }
        over
    }

    /// What waits and is no PUBLISH was held back by a payload alone: it becomes ready.
    #[cfg(feature = "stream")]
    fn promote_others(&mut self) {
        loop {
            let mut at = 0_usize;
            let other = self.each_waiting().find(|packet| {
                at = at.saturating_add(packet.len());
                !is_publish(packet)
            });
            let Some(len) = other.map(<[u8]>::len) else { return };
            let end = self.waiting.saturating_add(at);
            if let Some(bytes) = self.memory.bytes_mut().get_mut(self.waiting..end) {
                bring_to_front(bytes, len);
            }
            self.promote();
        }
    }

    /// What has left of a payload is dead.
    pub(super) fn forget_raw(&mut self) {
        let raw = self.raw;
        self.drop_raw();
        self.raw = raw;
    }

    pub(super) fn drop_raw(&mut self) {
        let Some(at) = self.raw.checked_sub(1) else { return };
        self.raw = 0;
        self.slide(self.waiting, at);
        (self.sent, self.ready, self.waiting) = (self.sent.min(at), at, at);
        self.head = self.head.min(at);
        self.whole = self.whole.min(at);
    }
}
