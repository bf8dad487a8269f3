//! How many QoS 1 and 2 messages may be under way: the Receive Maximum, as the sender counts it.

/// A window that opens by one with each acknowledgement.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quota {
    limit: u16,
    in_use: u16,
}

impl Quota {
    /// Nothing may be sent: what holds before a connection.
    pub(crate) const CLOSED: Self = Self { limit: 0, in_use: 0 };

    /// A window of `limit`, of which earlier exchanges hold `in_use` [MQTT5-4.9.0-1].
    ///
    /// They may hold more than there is: then the window opens once enough of them are over.
    pub(crate) const fn new(limit: u16, in_use: u16) -> Self {
        Self { limit, in_use }
    }

    /// Whether another message may leave [MQTT5-4.9.0-2, MQTT5-3.3.4-7, MQTT5-3.3.4-9].
    pub(crate) const fn is_open(self) -> bool {
        self.in_use < self.limit
    }

    /// How many may be under way at once.
    #[cfg_attr(not(feature = "alloc"), allow(dead_code))]
    pub(crate) const fn limit(self) -> u16 {
        self.limit
    }

    /// How many may leave now.
    pub(crate) const fn free(self) -> u16 {
        self.limit.saturating_sub(self.in_use)
    }

    /// A message leaves.
    pub(crate) const fn take(&mut self) {
        self.in_use = self.in_use.saturating_add(1);
    }

    /// An exchange is over; the window never opens wider than it began.
    pub(crate) const fn give(&mut self) {
        self.in_use = self.in_use.saturating_sub(1);
    }
}
