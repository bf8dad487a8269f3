//! How long messages are kept: each has a class, by its topic, or by who published it.
//!
//! Unless something is said, what must survive is recorded, and nothing is acknowledged before it
//! is kept. Something else can be said of topics ([`Broker::classes`]), else of those who come in
//! by a listener or with a set of limits, else of everybody.

use super::limits::LimitsAt;
use super::session::SessionId;
use super::{Broker, filter_table};
use crate::storage::{Full, Memory, Pool, Storage};
use crate::types::{TopicFilter, TopicName};

/// What a message survives once it is acknowledged.
///
/// | | acknowledged | recorded | the broker's process ends | the power fails |
/// |---|---|---|---|---|
/// | durable | once it is kept | yes | nothing is lost | nothing is lost |
/// | relaxed | at once | yes | the last moments are lost | the last second is lost |
/// | memory | at once | no | all is lost | all is lost |
///
/// What is lost of all that was relaxed is what came last, never something before it; the order
/// stays, and at QoS 2 nothing comes twice. A class is of messages. Sessions and subscriptions are
/// recorded before they are answered for, whatever the class, but for those of clients whose
/// [`Limits::durability`](super::Limits::durability) is `Memory`: such a session is recorded once
/// its client comes back under limits that say otherwise, and from then on to its end.
///
/// Where classes meet:
///
/// - A message in memory for a session that is recorded waits among the others, in order; after a
///   crash it is missing among them. At QoS 2 its packet identifier is recorded before it is sent,
///   as identifiers belong to the session: after a crash the client is told to let go of it
///   (PUBREL), so that it takes no later message for this one.
/// - A durable message for a session that is not recorded is as durable as the session.
/// - A message in memory that a topic retains, or that deletes what it retains, takes away what is
///   recorded there, without waiting for that: after a crash the topic retains nothing, rather than
///   something from before. If the crash comes within the second, the older message may be there.
/// - A message in memory that a client publishes at QoS 2 may come again, if the broker crashes
///   before the exchange is over.
/// - What peers have to confirm is waited for all the same. A peer goes by its own topics, and by
///   its own options where they say nothing: limits stay where the client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Durability {
    /// Everything: it is acknowledged once the store has kept it.
    #[default]
    Durable = 0,
    /// What is not too soon: it is acknowledged at once, and kept a moment later. A crash may lose
    /// what came last.
    Relaxed = 1,
    /// Nothing: it is not recorded.
    Memory = 2,
}

impl Durability {
    const fn read(byte: u8) -> Self {
        match byte {
            0 => Self::Durable,
            1 => Self::Relaxed,
            _ => Self::Memory,
        }
    }
}

impl<S: Storage> Broker<S> {
    /// Says how long messages of some topics are kept, whoever publishes them; the first filter
    /// that matches counts. What was said before does not hold any more, but for messages that are
    /// there already. Filters are looked at one after the other for each message, so a few dozen
    /// are enough. They speak of whole topics, with what [`Limits::mount_point`] puts before them.
    ///
    /// ```
    /// use tamtam_core::broker::{Broker, Durability, Options};
    /// use tamtam_core::{Heap, TopicFilter};
    ///
    /// let mut broker = Broker::<Heap>::new();
    /// broker.start(&Options { store: true, ..Options::DEFAULT }, 7);
    /// let telemetry = TopicFilter::new("telemetry/#")?;
    /// broker.classes(&[(telemetry, Durability::Memory)])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`Limits::mount_point`]: super::Limits::mount_point
    ///
    /// # Errors
    /// [`Full`]: then what was said before still holds.
    pub fn classes(&mut self, classes: &[(TopicFilter<'_>, Durability)]) -> Result<(), Full> {
        let mut scratch = self.take_scratch();
        let entries = classes.iter().map(|(filter, class)| ([*class as u8], filter.as_bytes()));
        let written = filter_table::write(entries, &mut scratch);
        let stored = written.and_then(|()| match scratch.bytes() {
            [] => Ok(0),
            bytes => Ok(self.rule_runs.insert(&[bytes])?.saturating_add(1)),
        });
        self.put_scratch(scratch);
        let old = core::mem::replace(&mut self.topic_classes, stored?);
        if let Some(old) = old.checked_sub(1) {
            self.rule_runs.remove(old);
        }
        Ok(())
    }

    /// The class of a message that is published under these limits.
    #[inline]
    pub(super) fn class_of(&self, at: LimitsAt, topic: &[u8]) -> Durability {
        if !self.options.store {
            return Durability::Durable; // there is nothing to choose
        }
        match self.topic_classes.checked_sub(1).and_then(|run| self.class_in(run, topic)) {
            Some(class) => class,
            None => self.limits_of(at).durability,
        }
    }

    fn class_in(&self, run: u32, topic: &[u8]) -> Option<Durability> {
        let topic = TopicName::trusted(topic);
        let mut classes = filter_table::read(self.rule_runs.get(run));
        let found = classes.find(|(_, filter)| TopicFilter::trusted(filter).matches(topic));
        found.map(|([class], _)| Durability::read(class))
    }

    /// Whether a session that is not recorded is not to be: its client wants nothing kept.
    pub(super) fn is_in_memory(&self, id: SessionId) -> bool {
        self.session_limits(id).durability == Durability::Memory
    }
}
