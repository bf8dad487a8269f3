//! Retained messages: the last one of each topic, for those who subscribe later.

use super::Broker;
use super::body::{BodyId, Content};
use super::counters::DropReason;
use super::topic_tree::TopicId;
use crate::storage::{List, Memory, Storage};
use crate::types::QoS;

/// Whether a topic is one of those by which a broker speaks of itself: they are each broker's own.
pub(super) fn is_own(topic: &[u8]) -> bool {
    topic.starts_with(b"$SYS/")
}

impl<S: Storage> Broker<S> {
    /// Keeps a message for its topic in place of the one before
    /// [MQTT5-3.3.1-5, MQTT3-3.3.1-5, MQTT3-3.3.1-7]; one without a payload only takes that away
    /// [MQTT5-3.3.1-6, MQTT5-3.3.1-7, MQTT3-3.3.1-10, MQTT3-3.3.1-11].
    pub(super) fn retain(&mut self, content: &Content<'_>, qos: QoS, kept: &mut Option<BodyId>) {
        if content.payload.is_empty() {
            return self.forget_retained(content.topic);
        }
        let old = self.retained.find(content.topic);
        let old = old.and_then(|node| unpack(self.retained.value(node)));
        let freed = old.map_or(0, |(body, _)| self.bodies.len_of(body) as usize);
        let bytes = self.retained_bytes.saturating_sub(freed).saturating_add(content.len());
        if old.is_none() && self.retained_count >= self.options.retained
            || bytes > self.options.retained_bytes
        {
            return self.drop_copy(DropReason::Memory, None, qos, content.topic);
        }
        let Some(body) = self.keep_once(content, kept) else {
            return self.drop_copy(DropReason::Memory, None, qos, content.topic);
        };
        let Ok(node) = self.retained.insert(content.topic) else {
            self.release_body(body);
            return self.drop_copy(DropReason::Memory, None, qos, content.topic);
        };
        if content.fleeting {
            // What came before it does not come back.
            self.record_replaced(node, content.topic);
        } else {
            self.record_retained(body, qos);
        }
        let since = self.next_number();
        self.set_retained(node, body, qos, since);
    }

    /// A message is what a topic retains, in place of the one before.
    fn set_retained(&mut self, node: TopicId, body: BodyId, qos: QoS, since: u64) {
        let old = self.retained.value(node);
        self.retained.set_value(node, pack(body, qos), since);
        let len = self.bodies.len_of(body) as usize;
        self.retained_bytes = self.retained_bytes.saturating_add(len);
        self.retained_count = self.retained_count.saturating_add(1);
        self.let_go_of_retained(old);
    }

    /// What a topic retained is not retained any more.
    fn let_go_of_retained(&mut self, value: u32) {
        let Some((body, _)) = unpack(value) else { return };
        let len = self.bodies.len_of(body) as usize;
        self.retained_bytes = self.retained_bytes.saturating_sub(len);
        self.retained_count = self.retained_count.saturating_sub(1);
        self.release_body(body);
    }

    /// Whether a message is what its topic retains.
    pub(super) fn is_retained(&self, topic: &[u8], body: BodyId) -> bool {
        let node = self.retained.find(topic);
        let kept = node.and_then(|node| unpack(self.retained.value(node)));
        kept.is_some_and(|(kept, _)| kept == body)
    }

    /// Forgets a retained message, by what the tree keeps of it.
    pub(super) fn forget_retained_value(&mut self, value: u32) {
        if let Some((body, _)) = unpack(value) {
            self.forget_retained_body(body);
        }
    }

    fn forget_retained_body(&mut self, body: BodyId) {
        let mut scratch = self.take_scratch();
        let topic = self.bodies.get(body).map_or(&[][..], |content| content.topic);
        if scratch.resize(topic.len()).is_ok() {
            scratch.bytes_mut().copy_from_slice(topic);
            self.forget_retained(scratch.bytes());
        }
        self.put_scratch(scratch);
    }

    pub(super) fn forget_retained(&mut self, topic: &[u8]) {
        let Some(node) = self.retained.find(topic) else { return };
        let old = self.retained.value(node);
        if old != 0 {
            self.record_replaced(node, topic);
            self.retained.set_value(node, 0, 0);
            self.retained.prune(node);
            self.let_go_of_retained(old);
        }
    }

    /// A message that a store kept is what its topic retains.
    pub(super) fn restore_retained(&mut self, number: u64, qos: QoS) -> bool {
        let Some(body) = self.body_numbered(number) else { return false };
        let Some(content) = self.bodies.get(body) else { return false };
        let Ok(node) = self.retained.insert(content.topic) else { return false };
        self.bodies.hold(body);
        self.set_retained(node, body, qos, number);
        true
    }

    /// Forgets every retained message.
    pub(super) fn forget_all_retained(&mut self) {
        let mut found = core::mem::replace(&mut self.nodes, S::Scratch::EMPTY);
        found.clear();
        self.retained.each(|value| {
            let _ = found.push(value);
        });
        for value in found.as_slice() {
            self.forget_retained_value(*value);
        }
        self.nodes = found;
    }

    /// Records every retained message, for a store that was replaced: under a number that says
    /// since when, as cursors go by it.
    pub(super) fn record_all_retained(&mut self) {
        let mut found = core::mem::replace(&mut self.nodes, S::Scratch::EMPTY);
        found.clear();
        self.retained.each(|value| {
            let _ = found.push(value);
        });
        for value in found.as_slice() {
            if let Some((body, qos)) = unpack(*value) {
                let since = self.retained_since(body);
                if since != 0 && self.is_recorded_retained(body) {
                    self.record_body_as(body, since);
                    self.record_retained(body, qos);
                }
            }
        }
        self.nodes = found;
    }

    fn retained_since(&self, body: BodyId) -> u64 {
        let node = self.bodies.get(body).and_then(|content| self.retained.find(content.topic));
        node.map_or(0, |node| self.retained.since(node))
    }

    /// Forgets a retained message if it has expired; whether it had.
    pub(super) fn forget_if_expired(&mut self, body: BodyId) -> bool {
        let expired = self.bodies.get(body).is_some_and(|content| content.is_expired(self.now));
        if expired {
            self.forget_retained_body(body);
        }
        expired
    }
}

/// A retained message as the tree keeps it: its body and its QoS; 0 for none.
const fn pack(body: BodyId, qos: QoS) -> u32 {
    body.0.saturating_add(1) << 2 | qos.level() as u32
}

pub(super) const fn unpack(value: u32) -> Option<(BodyId, QoS)> {
    match ((value >> 2).checked_sub(1), QoS::from_level((value & 3) as u8)) {
        (Some(body), Some(qos)) => Some((BodyId(body), qos)),
        _ => None,
    }
}
