//! Messages that are kept for somebody: each once, however many wait for it.

use super::publisher::Publisher;
use super::router::SEVERAL_IDS;
use crate::Instant;
use crate::storage::{Arena, Full, Pool};

/// A message that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyId(pub(crate) u32);

/// What is known of a message besides its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    /// Topic, forwarded properties and payload, one behind the other.
    run: u32,
    topic_len: u16,
    properties_len: u32,
    /// Whether it is never recorded.
    fleeting: bool,
    /// How many hold it.
    holders: u32,
    /// What records know it by; 0 if it is not recorded.
    number: u64,
    /// When it is of no use any more.
    expires: Instant,
    publisher: Publisher,
}

/// A message as it is routed: borrowed from the packet, or from what is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    pub(crate) topic: &'a [u8],
    /// Those of its properties that are forwarded unaltered, as they are on the wire.
    pub(crate) properties: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) expires: Option<Instant>,
    pub(crate) publisher: Publisher,
    /// Whether it is not to be recorded, wherever it waits.
    pub(crate) fleeting: bool,
}

/// Every message that is kept.
#[derive(Debug)]
pub(crate) struct Bodies<A, P> {
    bodies: A,
    bytes: P,
}

impl<A: Arena<Body>, P: Pool> Bodies<A, P> {
    pub(crate) const EMPTY: Self = Self { bodies: A::EMPTY, bytes: P::EMPTY };

    pub(crate) fn set_limit(&mut self, bytes: usize) {
        self.bodies.set_limit(u32::MAX as usize);
        self.bytes.set_limit(bytes);
    }

    pub(crate) fn count(&self) -> usize {
        self.bodies.len()
    }

    pub(crate) fn used(&self) -> usize {
        self.bytes.used()
    }

    /// Keeps a message, for one holder.
    pub(crate) fn keep(&mut self, content: &Content<'_>) -> Result<BodyId, Full> {
        let run = self.bytes.insert(&[content.topic, content.properties, content.payload])?;
        let body = Body {
            run,
            topic_len: u16::try_from(content.topic.len()).map_err(|_| Full)?,
            properties_len: u32::try_from(content.properties.len()).map_err(|_| Full)?,
            fleeting: content.fleeting,
            holders: 1,
            number: 0,
            expires: Instant::or_never(content.expires),
            publisher: content.publisher,
        };
        match self.bodies.insert(body) {
            Ok(slot) => Ok(BodyId(slot)),
            Err(full) => {
                self.bytes.remove(run);
                Err(full)
            }
        }
    }

    /// One more holds it.
    pub(crate) fn hold(&mut self, id: BodyId) {
        if let Some(body) = self.bodies.get_mut(id.0) {
            body.holders = body.holders.saturating_add(1);
        }
    }

    /// One lets go of it; the last one ends it. What records knew it by, if it ended.
    pub(crate) fn release(&mut self, id: BodyId) -> u64 {
        let Some(body) = self.bodies.get_mut(id.0) else { return 0 };
        body.holders = body.holders.saturating_sub(1);
        if body.holders != 0 {
            return 0;
        }
        let (run, number) = (body.run, body.number);
        self.bodies.remove(id.0);
        self.bytes.remove(run);
        number
    }

    /// What records know it by; 0 if it is not recorded.
    pub(crate) fn number(&self, id: BodyId) -> u64 {
        self.bodies.get(id.0).map_or(0, |body| body.number)
    }

    /// Whether it is never recorded.
    pub(crate) fn is_fleeting(&self, id: BodyId) -> bool {
        self.bodies.get(id.0).is_some_and(|body| body.fleeting)
    }

    pub(crate) fn set_number(&mut self, id: BodyId, number: u64) {
        if let Some(body) = self.bodies.get_mut(id.0) {
            body.number = number;
        }
    }

    /// No message is recorded any more.
    pub(crate) fn forget_numbers(&mut self) {
        for slot in 0..u32::try_from(self.bodies.slots()).unwrap_or(u32::MAX) {
            self.set_number(BodyId(slot), 0);
        }
    }

    /// How many places for messages there are, empty ones included.
    pub(crate) fn slots(&self) -> u32 {
        u32::try_from(self.bodies.slots()).unwrap_or(u32::MAX)
    }

    /// Bytes that are kept beside the messages.
    pub(crate) fn run(&self, handle: u32) -> &[u8] {
        self.bytes.get(handle)
    }

    #[inline]
    pub(crate) fn get(&self, id: BodyId) -> Option<Content<'_>> {
        let body = self.bodies.get(id.0)?;
        let (topic, rest) = self.bytes.get(body.run).split_at_checked(body.topic_len as usize)?;
        let (properties, payload) = rest.split_at_checked(body.properties_len as usize)?;
        let (publisher, fleeting) = (body.publisher, body.fleeting);
        let expires = body.expires.unless_never();
        Some(Content { topic, properties, payload, expires, publisher, fleeting })
    }

    /// How many bytes a message has.
    pub(crate) fn len_of(&self, id: BodyId) -> u32 {
        let len = self.bodies.get(id.0).map_or(0, |body| self.bytes.get(body.run).len());
        u32::try_from(len).unwrap_or(u32::MAX)
    }

    /// Several subscription identifiers, kept in a run of their own.
    pub(crate) fn keep_ids(&mut self, ids: &[u8]) -> Result<u32, Full> {
        self.bytes.insert(&[ids])
    }

    /// The run of identifiers that a delivery has, if it has several.
    pub(crate) fn ids_of(&self, subscription: u32) -> &[u8] {
        if subscription & SEVERAL_IDS == 0 {
            return &[];
        }
        self.bytes.get(subscription & !SEVERAL_IDS)
    }

    pub(crate) fn release_ids(&mut self, run: u32) {
        self.bytes.remove(run);
    }
}

impl Content<'_> {
    /// How many bytes it has.
    pub(crate) const fn len(&self) -> usize {
        let head = self.topic.len().saturating_add(self.properties.len());
        head.saturating_add(self.payload.len())
    }

    /// Whether it is of no use any more at `now`.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|when| when <= now)
    }

    /// What is left of its message expiry interval, in seconds [MQTT5-3.3.2-6].
    pub(crate) fn remaining_secs(&self, now: Instant) -> Option<u32> {
        let left = self.expires?.millis_since(now).div_ceil(1_000);
        Some(u32::try_from(left).unwrap_or(u32::MAX))
    }
}
