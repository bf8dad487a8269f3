//! Sessions and wills when a connection goes: what is due at once, what later, and what never.

use super::Broker;
use super::body::{BodyId, Content};
use super::counters::DropReason;
use super::durability::Durability;
use super::event::SessionEnd;
use super::session::SessionId;
use crate::Instant;
use crate::codec::{Connect, Properties};
use crate::storage::{Arena, Full, Index, Memory, Pool, Storage};
use crate::types::QoS;

/// A will that waits for its connection to be lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredWill {
    pub(crate) body: BodyId,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) delay_secs: u32,
    pub(crate) expiry_secs: Option<u32>,
}

impl<S: Storage> Broker<S> {
    pub(super) fn keep_will(&mut self, session: SessionId, connect: &Connect<'_>) {
        let will = connect.will.as_ref().and_then(|will| self.store_will(session, will));
        if let Some(session) = self.session_mut(session) {
            session.will = will;
        }
    }

    /// A will is kept with the session [MQTT5-3.1.2-7, MQTT3-3.1.2-8].
    fn store_will(
        &mut self,
        session: SessionId,
        will: &crate::codec::Will<'_>,
    ) -> Option<StoredWill> {
        let publisher = self.session(session).map(|session| session.publisher).unwrap_or_default();
        #[cfg(feature = "v5")]
        let (delay_secs, expiry_secs) = (
            will.properties.will_delay_interval().unwrap_or_default(),
            will.properties.message_expiry_interval(),
        );
        #[cfg(not(feature = "v5"))]
        let (delay_secs, expiry_secs) = (0, None);
        let limits = self.session(session).map_or(0, |session| session.limits);
        let mut memory = self.take_mounted();
        let topic = self.mount_topic(limits, will.topic.as_bytes(), &mut memory);
        let topic = topic.unwrap_or_default();
        let fleeting = self.class_of(limits, topic) == Durability::Memory;
        let payload = will.payload;
        let content =
            Content { topic, properties: &[], payload, expires: None, publisher, fleeting };
        let body = self.keep_message(&content, &will.properties);
        self.mounted = memory;
        match body {
            Ok(body) => Some(StoredWill {
                body,
                qos: will.qos,
                retain: will.retain,
                delay_secs,
                expiry_secs,
            }),
            Err(_) => {
                let topic = will.topic.as_bytes();
                self.drop_copy(DropReason::Memory, None, will.qos, topic);
                None
            }
        }
    }

    /// A session loses its connection. Its will is due, unless the client said goodbye.
    pub(super) fn detach(&mut self, id: SessionId, will_is_due: bool) {
        let now = self.now;
        let Some(session) = self.session_mut(id) else { return };
        let was_here = core::mem::take(&mut session.link) != 0;
        session.outgoing.lose();
        let (will, waits) = (session.will, session.outgoing.holds_at_most_once());
        self.take_back_unsent(id, 0, QoS::AtMostOnce);
        if waits && !self.session_limits(id).queue_qos0 {
            self.drop_at_most_once(id);
        }
        match will {
            Some(will) if will_is_due && will.delay_secs != 0 => {
                let due = now.plus_secs(will.delay_secs);
                if let Some(session) = self.session_mut(id) {
                    session.will_due = due;
                }
                self.record_will(id);
            }
            Some(_) if will_is_due => self.publish_will(id),
            // Deleted, never to be published [MQTT5-3.1.2-10, MQTT5-3.14.4-3, MQTT3-3.14.4-3].
            Some(_) => self.cancel_will(id),
            None => {}
        }
        if was_here {
            self.count_presence(id, false);
        }
        let Some(session) = self.session_mut(id) else { return };
        match session.expiry_secs {
            0 => return self.end_session(id, SessionEnd::Disconnected), // [MQTT5-4.1.0-2]
            u32::MAX => session.ends = Instant::NEVER,
            secs => session.ends = now.plus_secs(secs),
        }
        if session.number != 0 {
            self.record_session(id);
        }
        self.set_session_timer(id);
    }

    /// Nothing at QoS 0 waits for a client that is not there.
    fn drop_at_most_once(&mut self, id: SessionId) {
        let mut from = 0;
        while let Some((at, one)) =
            self.session_mut(id).and_then(|session| session.outgoing.drop_at_most_once(from))
        {
            from = at.saturating_add(1);
            self.drop_queued(DropReason::OutputFull, id, &one);
            if let Some(place) = self.session(id).map(|session| session.outgoing.place(at)) {
                self.record_settled(id, place, &one);
            }
            self.let_go(&one);
        }
    }

    pub(super) fn set_session_timer(&mut self, id: SessionId) {
        match self.session(id).and_then(super::session::Session::due) {
            Some(when) => {
                let _ = self.session_timers.set(id.slot, when);
            }
            None => self.session_timers.clear(id.slot),
        }
    }

    /// The will is not to be published any more.
    pub(super) fn cancel_will(&mut self, id: SessionId) {
        let Some(session) = self.session_mut(id) else { return };
        session.will_due = Instant::NEVER;
        if let Some(will) = session.will.take() {
            self.record_will_gone(id, &will);
            self.release_body(will.body);
        }
    }

    /// The will is published, once [MQTT5-3.1.2-8, MQTT5-3.1.2-14, MQTT5-3.1.2-15]
    /// [MQTT3-3.1.2-16, MQTT3-3.1.2-17, MQTT3-3.1.2-10]. If there is one [MQTT3-3.1.2-12].
    pub(super) fn publish_will(&mut self, id: SessionId) {
        let Some(session) = self.session_mut(id) else { return };
        session.will_due = Instant::NEVER;
        let Some(will) = session.will.take() else { return }; // [MQTT5-3.1.2-10]
        let expires = will.expiry_secs.map(|secs| self.now.plus_secs(secs));
        let mut scratch = self.take_scratch();
        match self.copy_content(will.body, &mut scratch) {
            Some(content) if self.may_write_will(id, content.topic) => {
                let content = Content { expires, ..content };
                self.route(&content, will.qos, will.retain);
            }
            Some(_) => {}
            None => self.drop_kept(DropReason::Memory, Some(id), will.qos, will.body),
        }
        self.put_scratch(scratch);
        self.record_will_gone(id, &will);
        self.release_body(will.body);
    }

    /// A session ends, and all that belongs to it, but for what it made retained [MQTT3-3.1.2-7];
    /// its will is due now, if it still was to come. Of what was on its way to it, other members of
    /// groups get what they may: what it was not sent, or did not acknowledge at QoS 1; nobody gets
    /// anything else [MQTT5-4.8.2-5].
    pub(super) fn end_session(&mut self, id: SessionId, why: SessionEnd) {
        self.publish_will(id);
        // Its groups may end with it, but what it has of them goes to members elsewhere.
        if self.session(id).is_some_and(|session| session.link != 0) {
            self.unsubscribe_all(id); // else it were still one of them
        }
        while let Some(delivery) =
            self.session_mut(id).and_then(|session| session.outgoing.pop_any())
        {
            if !delivery.holds_body() {
                continue;
            }
            if delivery.entry().is_none() {
                self.drop_queued(DropReason::SessionEnded, id, &delivery);
                self.let_go(&delivery);
            } else if !self.give_back(&delivery) {
                self.drop_copy(DropReason::SessionEnded, Some(id), delivery.qos, &[]);
            }
        }
        self.unsubscribe_all(id);
        self.session_timers.clear(id.slot);
        self.tell_session_ended(id, why);
        self.forget_epoch(id);
        let Some(session) = self.session(id) else { return };
        let (name, user, number) = (session.name, session.user, session.number);
        if let Some(user) = user.checked_sub(1) {
            self.users.remove(user);
        }
        self.record_session_gone(number);
        let hash = self.hash.of(0, self.names.get(name));
        let (sessions, names, hasher) = (&self.sessions, &self.names, self.hash);
        self.session_index.remove(hash, id.slot, |slot| {
            sessions.get(slot).map_or(0, |session| hasher.of(0, names.get(session.name)))
        });
        self.names.remove(name);
        self.sessions.remove(id.slot);
    }

    /// Keeps a message, with those of its properties that are forwarded.
    fn keep_message(
        &mut self,
        content: &Content<'_>,
        properties: &Properties<'_>,
    ) -> Result<BodyId, Full> {
        let mut scratch = self.take_scratch();
        let kept = forwarded(properties, &mut scratch)
            .and_then(|properties| self.bodies.keep(&Content { properties, ..*content }));
        self.put_scratch(scratch);
        kept
    }

    /// Takes the scratch memory out, so that a message can lie in it while it is routed.
    pub(super) fn take_scratch(&mut self) -> S::Outgoing {
        let mut scratch = core::mem::replace(&mut self.scratch, S::Outgoing::EMPTY);
        scratch.set_limit(usize::MAX);
        scratch
    }

    pub(super) fn put_scratch(&mut self, mut scratch: S::Outgoing) {
        let _ = scratch.resize(0);
        self.scratch = scratch;
    }

    /// Copies a kept message into `scratch`.
    pub(super) fn copy_content<'s>(
        &self,
        id: BodyId,
        scratch: &'s mut S::Outgoing,
    ) -> Option<Content<'s>> {
        let content = self.bodies.get(id)?;
        let (topic, properties) = (content.topic.len(), content.properties.len());
        let parts = [content.topic, content.properties, content.payload];
        let len = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        let (expires, publisher) = (content.expires, content.publisher);
        let fleeting = content.fleeting;
        scratch.resize(len).ok()?;
        let mut rest = scratch.bytes_mut();
        for part in parts {
            let (to, behind) = rest.split_at_mut_checked(part.len())?;
            to.copy_from_slice(part);
            rest = behind;
        }
        let (topic, rest) = scratch.bytes().split_at_checked(topic)?;
        let (properties, payload) = rest.split_at_checked(properties)?;
        Some(Content { topic, properties, payload, expires, publisher, fleeting })
    }
}

/// The properties that are forwarded unaltered, as they are on the wire: all but those that belong
/// to the connection or are counted down [MQTT5-3.3.2-4, MQTT5-3.3.2-15, MQTT5-3.3.2-16,
/// MQTT5-3.3.2-17, MQTT5-3.3.2-18, MQTT5-3.3.2-20, MQTT5-3.1.3-10].
#[cfg(feature = "v5")]
pub(super) fn forwarded<'p, M: Memory>(
    properties: &Properties<'p>,
    scratch: &'p mut M,
) -> Result<&'p [u8], Full> {
    match properties.forwarded_wire() {
        Some(wire) => Ok(wire),
        None => {
            scratch.resize(properties.forwarded_len())?;
            properties.write_forwarded(scratch.bytes_mut());
            Ok(scratch.bytes())
        }
    }
}

#[cfg(not(feature = "v5"))]
pub(super) fn forwarded<'p, M: Memory>(_: &Properties<'p>, _: &'p mut M) -> Result<&'p [u8], Full> {
    Ok(&[])
}
