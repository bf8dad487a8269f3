//! Whether the connection lives: when to ask, and when no answer is an answer.

use crate::Instant;

/// The asking side's half of keep alive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeepAlive {
    /// The interval in seconds; 0 for none.
    secs: u16,
    /// When something last left.
    sent: Instant,
}

impl KeepAlive {
    pub(crate) const OFF: Self = Self { secs: 0, sent: Instant::ZERO };

    pub(crate) const fn new(secs: u16, now: Instant) -> Self {
        Self { secs, sent: now }
    }

    /// A packet left.
    #[inline]
    pub(crate) const fn sent(&mut self, now: Instant) {
        self.sent = now;
    }

    /// When to send a PINGREQ if nothing else leaves [MQTT5-3.1.2-20, MQTT3-3.1.2-23].
    ///
    /// An eighth before the interval ends, so that the packet is there in time.
    pub(crate) const fn ping_at(&self) -> Option<Instant> {
        match self.secs {
            0 => None,
            secs => Some(self.sent.plus_millis((secs as u64).wrapping_mul(875))),
        }
    }
}
