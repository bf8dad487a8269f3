//! Retained messages: every broker has all, and of two for the same topic the later one holds.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::message::{Forward, Message, Stamp};
use crate::broker::Broker;
use crate::broker::body::Content;
use crate::broker::publisher::Publisher;
use crate::broker::retained::{is_own, unpack};
use crate::storage::Storage;
use crate::types::QoS;

impl<S: Storage> Broker<S> {
    /// Whether the message that is routed takes the place of what its topic retains; from here on
    /// it is known when that was.
    pub(in crate::broker) fn may_retain(&mut self, topic: &[u8]) -> bool {
        let known = self.retained_stamp(topic);
        let now = self.now;
        let most = self.options.retained.saturating_mul(2).max(1_024);
        let Some(cluster) = self.cluster.as_deref_mut() else { return true };
        if is_own(topic) {
            return true;
        }
        let stamp = match &cluster.arriving {
            Some(arriving) => arriving.retain,
            None => Some(cluster.stamp(now)),
        };
        let is_later = |stamp: &Stamp| known.is_none_or(|known| *stamp > known);
        let stamp = stamp.filter(|stamp| *stamp != Stamp::KNOWN && is_later(stamp));
        let Some(stamp) = stamp else {
            return false;
        };
        if cluster.stamps.len() < most || cluster.stamps.contains_key(topic) {
            cluster.stamps.insert(topic.into(), stamp);
        }
        true
    }

    /// When what a topic retains, or that it retains nothing, was decided. One that was retained
    /// before there were peers is older than all others.
    fn retained_stamp(&self, topic: &[u8]) -> Option<Stamp> {
        let cluster = self.cluster.as_deref()?;
        if let Some(stamp) = cluster.stamps.get(topic) {
            return Some(*stamp);
        }
        let node = self.retained.find(topic)?;
        let is_there = self.retained.value(node) != 0;
        is_there.then_some(Stamp { clock: 0, peer: cluster.options.id.0 })
    }

    /// Tells a peer what is retained, and what is not any more.
    pub(super) fn tell_retained(&mut self, at: usize) {
        let mut values = Vec::new();
        self.retained.each(|value| values.push(value));
        let mut all = Vec::new();
        for (body, qos) in values.into_iter().filter_map(unpack) {
            let Some(content) = self.bodies.get(body).filter(|one| !one.is_expired(self.now))
            else {
                continue;
            };
            let retain = self.retained_stamp(content.topic);
            all.push(Forward { retain, ..Forward::of(&content, qos) });
        }
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        for (topic, stamp) in &cluster.stamps {
            if self.retained.find(topic).is_none_or(|node| self.retained.value(node) == 0) {
                let (topic, retain) = (topic.clone(), Some(*stamp));
                all.push(Forward { retain, topic, ..Forward::empty() });
            }
        }
        for forward in all {
            if !is_own(&forward.topic) {
                cluster.send(at, 0, Message::Forward(Box::new(forward)));
            }
        }
    }

    /// What a topic retained was deleted by hand: so it is at peers.
    pub(in crate::broker) fn tell_deleted(&mut self, value: u32) {
        let Some((body, _)) = unpack(value) else { return };
        let Some(content) = self.bodies.get(body) else { return };
        let now = self.now;
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let stamp = cluster.stamp(now);
        let topic: Vec<u8> = content.topic.into();
        cluster.stamps.insert(topic.clone(), stamp);
        for at in cluster.present() {
            let (topic, retain) = (topic.clone(), Some(stamp));
            let forward = Forward { retain, topic, ..Forward::empty() };
            cluster.send(at, 0, Message::Forward(Box::new(forward)));
        }
    }
}

impl Forward {
    /// This message, for nobody yet.
    pub(super) fn of(content: &Content<'_>, qos: QoS) -> Self {
        Self {
            qos,
            publisher: content.publisher,
            expires: content.expires,
            topic: content.topic.into(),
            properties: content.properties.into(),
            payload: content.payload.into(),
            ..Self::empty()
        }
    }

    /// The message as it is routed.
    pub(super) fn content(&self) -> Content<'_> {
        let (topic, properties, payload) = (&self.topic, &self.properties, &self.payload);
        let (expires, publisher) = (self.expires, self.publisher);
        Content { topic, properties, payload, expires, publisher, fleeting: false }
    }

    /// Nothing, for nobody.
    pub(super) const fn empty() -> Self {
        Self {
            ticket: 0,
            seq: 0,
            publisher: Publisher::NOBODY,
            groups: Vec::new(),
            live: false,
            retain: None,
            qos: QoS::AtMostOnce,
            expires: None,
            topic: Vec::new(),
            properties: Vec::new(),
            payload: Vec::new(),
        }
    }
}
