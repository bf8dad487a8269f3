//! Numbers that stand for topics on one connection, in one direction.
//!
//! A table is a run of entries, each a number, a length and a topic. There are few of them, so they
//! are found by walking.

use crate::storage::{Full, Memory, copy, move_within};
use crate::types::TopicName;

/// Number and length before each topic.
const HEAD: usize = 4;

/// The aliases of one direction; it ends with the connection [MQTT5-3.3.2-7].
#[derive(Debug)]
pub(crate) struct Aliases<M> {
    memory: M,
    /// The highest number that may be used.
    maximum: u16,
    /// How many numbers are in use.
    count: u16,
}

/// Where an entry lies.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
}

impl<M: Memory> Aliases<M> {
    pub(crate) const EMPTY: Self = Self { memory: M::EMPTY, maximum: 0, count: 0 };

    pub(crate) fn set_limit(&mut self, bytes: usize) {
        self.memory.set_limit(bytes);
    }

    /// Forgets all; numbers go up to `maximum` from now on.
    pub(crate) fn begin(&mut self, maximum: u16) {
        self.maximum = maximum;
        self.count = 0;
        let _ = self.memory.resize(0);
    }

    pub(crate) const fn maximum(&self) -> u16 {
        self.maximum
    }

    /// The topic that `alias` stands for.
    pub(crate) fn topic(&self, alias: u16) -> Option<TopicName<'_>> {
        let place = self.find(|number, _| number == alias)?;
        self.topic_at(place).map(TopicName::trusted)
    }

    /// The alias that stands for `topic`.
    pub(crate) fn alias(&self, topic: TopicName<'_>) -> Option<u16> {
        let place = self.find(|_, name| name == topic.as_bytes())?;
        self.number_at(place)
    }

    /// The next number that stands for nothing yet, if there is one.
    pub(crate) const fn next_free(&self) -> Option<u16> {
        if self.count < self.maximum { Some(self.count.saturating_add(1)) } else { None }
    }

    /// Whether an entry for `topic` would fit.
    pub(crate) fn has_room(&self, topic: TopicName<'_>) -> bool {
        let needed = self.memory.bytes().len().saturating_add(HEAD);
        needed.saturating_add(topic.as_bytes().len()) <= self.memory.limit()
    }

    /// `alias` stands for `topic` from now on.
    pub(crate) fn set(&mut self, alias: u16, topic: TopicName<'_>) -> Result<(), Full> {
        let name = topic.as_bytes();
        match self.find(|number, _| number == alias) {
            Some(place) if self.topic_at(place) == Some(name) => return Ok(()),
            Some(place) => self.remove(place),
            None => {}
        }
        let start = self.memory.bytes().len();
        let end = start.saturating_add(HEAD).saturating_add(name.len());
        self.memory.resize(end)?;
        self.count = self.count.saturating_add(1);
        let entry = self.memory.bytes_mut().get_mut(start..).unwrap_or_default();
        if let Some((head, body)) = entry.split_first_chunk_mut::<HEAD>() {
            let [a, b] = alias.to_be_bytes();
            let [c, d] = (name.len() as u16).to_be_bytes();
            *head = [a, b, c, d];
            copy(body, name);
        }
        Ok(())
    }

    fn remove(&mut self, place: Place) {
        let bytes = self.memory.bytes_mut();
        let len = bytes.len();
        if place.end <= len && place.start <= place.end {
            move_within(bytes, place.end..len, place.start);
            let shorter = len.saturating_sub(place.end.saturating_sub(place.start));
            let _ = self.memory.resize(shorter);
            self.count = self.count.saturating_sub(1);
        }
    }

    fn find(&self, is_it: impl Fn(u16, &[u8]) -> bool) -> Option<Place> {
        let mut rest = self.memory.bytes();
        let mut start = 0_usize;
        while let Some(([a, b, c, d], behind)) = rest.split_first_chunk::<HEAD>() {
            let len = u16::from_be_bytes([*c, *d]) as usize;
            let (topic, next) = behind.split_at_checked(len)?;
            let end = start.saturating_add(HEAD).saturating_add(len);
            if is_it(u16::from_be_bytes([*a, *b]), topic) {
                return Some(Place { start, end });
            }
            start = end;
            rest = next;
        }
        None
    }

    fn topic_at(&self, place: Place) -> Option<&[u8]> {
        self.memory.bytes().get(place.start.saturating_add(HEAD)..place.end)
    }

    fn number_at(&self, place: Place) -> Option<u16> {
        let entry = self.memory.bytes().get(place.start..place.end)?;
        let [a, b, ..] = entry else { return None };
        Some(u16::from_be_bytes([*a, *b]))
    }
}
