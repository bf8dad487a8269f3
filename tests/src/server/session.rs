//! What the scripted server remembers of a client.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::wire::Props;

/// A message that the server publishes.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its number among all letters.
    pub number: usize,
    /// Its topic.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Its properties.
    pub props: Props,
}

impl Letter {
    /// At most so many bytes long is its PUBLISH.
    pub(super) fn longest_frame(&self) -> usize {
        self.topic.len() + self.payload.len() + 5 + 2 + 2 + 8 + 20 * self.props.0.len()
    }
}

/// A letter above QoS 0 that is not settled.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) id: u16,
    pub(super) letter: Letter,
    /// Whether PUBREC was seen.
    pub(super) released: bool,
    /// Whether it was sent on the current connection.
    pub(super) sent: bool,
}

/// A client's session.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Filters and the options of their subscriptions.
    pub filters: BTreeMap<String, u8>,
    pub(super) queue: VecDeque<Letter>,
    pub(super) flights: Vec<Flight>,
    /// QoS 2 identifiers of the client's that were not released.
    pub(super) received: BTreeSet<u16>,
    pub(super) last_id: u16,
    /// Whether the client surely knows that it is a new one. If it did not hear so it would take it
    /// for the one before: MQTT has no name for a session.
    pub(super) is_known: bool,
    /// Whether it outlives its connection.
    pub(super) lasts: bool,
}

impl Session {
    /// How many letters wait or are under way.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.queue.len() + self.flights.len()
    }

    /// Whether the client subscribed to the topic. Of wildcards only a `#` at the end is known.
    #[must_use]
    pub fn wants(&self, topic: &str) -> Option<u8> {
        let matches = |filter: &str| match filter.strip_suffix("#") {
            Some(prefix) => topic.starts_with(prefix),
            None => filter == topic,
        };
        let granted = self.filters.iter().filter(|(filter, _)| matches(filter));
        granted.map(|(_, options)| options & 3).max()
    }

    pub(super) fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.flights.iter().all(|flight| flight.id != self.last_id) {
                return self.last_id;
            }
        }
    }
}
