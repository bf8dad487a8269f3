//! What a broker keeps for a client, connected or not.

use super::delivery::Delivery;
use super::limits::LimitsAt;
use super::outgoing::Outgoing;
use super::publisher::Publisher;
use super::rights::RulesId;
use super::will::StoredWill;
use crate::Instant;
use crate::flow::receive::{Receipts, Received};
use crate::storage::Storage;

/// A session, by its place; the serial tells it from others that had the place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId {
    pub(crate) slot: u32,
    pub(crate) serial: u32,
}

/// What a broker keeps for a client.
#[derive(Debug)]
pub(crate) struct Session<S: Storage> {
    pub(crate) serial: u32,
    /// What records know it by; 0 if it is not recorded.
    pub(crate) number: u64,
    /// Whether it is among those that wait for the store.
    pub(crate) gated: bool,
    /// Whether a PUBREL was left over when it got its connection.
    pub(crate) resuming: bool,
    /// The client identifier and the user that owns it, in the names.
    pub(crate) name: u32,
    /// The same, as what its messages are known by.
    pub(crate) publisher: Publisher,
    /// The user that owns it, plus one; 0 for nobody.
    pub(crate) user: u32,
    /// What it may publish and read; everything, if there are no rules.
    pub(crate) rules: Option<RulesId>,
    /// Which limits hold for it.
    pub(crate) limits: LimitsAt,
    /// Whether it is to end, for a queue that is full.
    pub(crate) overrun: bool,
    /// Its connection, plus one.
    pub(crate) link: u32,
    /// How long it outlives a connection, in seconds.
    pub(crate) expiry_secs: u32,
    /// When it ends, if it has no connection before.
    pub(crate) ends: Instant,
    pub(crate) will: Option<StoredWill>,
    /// When the will is due, once the connection is gone.
    pub(crate) will_due: Instant,
    /// Its first subscription, plus one.
    pub(crate) subscriptions: u32,
    /// The last one of those that are shared, which come first, plus one.
    pub(crate) last_shared: u32,
    /// How many it has.
    pub(crate) subscription_count: u32,
    /// Its first cursor through what is retained, plus one.
    pub(crate) cursor: u32,
    /// Which publish it was last a target of, and where among the targets.
    pub(crate) stamp: u32,
    pub(crate) target: u32,
    pub(crate) outgoing: Outgoing<S::Deliveries<Delivery>>,
    pub(crate) receipts: Receipts<S::InFlight<Received>>,
}

impl<S: Storage> Session<S> {
    pub(crate) const fn new(serial: u32, name: u32, publisher: Publisher) -> Self {
        Self {
            serial,
            number: 0,
            gated: false,
            resuming: false,
            name,
            publisher,
            user: 0,
            rules: None,
            limits: 0,
            overrun: false,
            link: 0,
            expiry_secs: 0,
            ends: Instant::NEVER,
            will: None,
            will_due: Instant::NEVER,
            subscriptions: 0,
            last_shared: 0,
            subscription_count: 0,
            cursor: 0,
            stamp: 0,
            target: 0,
            outgoing: Outgoing::EMPTY,
            receipts: Receipts::EMPTY,
        }
    }

    /// When it needs attention though nothing happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.ends.min(self.will_due).unless_never()
    }
}
