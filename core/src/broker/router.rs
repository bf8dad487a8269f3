//! A message finds its sessions: one copy for each, at the highest QoS that was granted, with all
//! identifiers of the subscriptions that match.

use super::body::{BodyId, Content};
use super::counters::DropReason;
use super::delivery::Delivery;
use super::group::Wanting;
use super::limits::{LimitsAt, mount_point};
use super::link::{Phase, Push};
use super::outbound::Frame;
use super::retained::is_own;
use super::session::SessionId;
use super::subscription::Subscription;
use super::topic_tree::level_count;
use super::{Broker, QueueFull};
use crate::storage::{Arena, List, Memory, Storage};
use crate::types::QoS;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routed {
    /// Nobody wanted it.
    Nobody,
    Wanted,
    /// There is no memory to keep it, and nobody got it.
    NoRoom,
}

/// A session that gets a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    session: SessionId,
    qos: QoS,
    /// Whether one of its subscriptions wants RETAIN as it was published.
    as_published: bool,
    /// The first subscription identifier; 0 for none.
    id: u32,
    /// Whether there are more, beside it.
    more: bool,
}

/// A further subscription identifier of a target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExtraId {
    target: u32,
    id: u32,
}

impl<S: Storage> Broker<S> {
    /// Whether a client may publish to a topic at all: not to the broker's own. Where something
    /// stands before its topics, `$` is nothing special any more to filters that begin with that,
    /// so there it may not be [MQTT5-4.7.2-1].
    pub(super) fn may_publish(&self, at: LimitsAt, topic: &[u8]) -> bool {
        let levels = self.limits_of(at).levels;
        // A topic has a level more than separators.
        (topic.len() < levels || level_count(topic) <= levels)
            && !is_own(topic)
            && topic != b"$SYS"
            && !(topic.first() == Some(&b'$') && self.is_mounted(at))
    }

    /// Sends a message to all that want it, or, if it is to be acknowledged and can't be kept for
    /// them, to nobody.
    ///
    /// Messages of one publisher to one topic keep their order: each session gets them as they come
    /// [MQTT5-4.6.0-5, MQTT5-4.6.0-6, MQTT3-4.6.0-5, MQTT3-4.6.0-6].
    pub(super) fn route(&mut self, content: &Content<'_>, qos: QoS, retain: bool) -> Routed {
        self.find_targets(content, qos);
        let mut kept = None;
        let mut targets = self.targets.as_slice().iter();
        let wanted = !self.groups.as_slice().is_empty()
            || targets.any(|target| target.qos != QoS::AtMostOnce);
        if qos != QoS::AtMostOnce && (retain || wanted) {
            let Ok(body) = self.bodies.keep(content) else {
                self.drop_copy(DropReason::Memory, None, qos, content.topic);
                return Routed::NoRoom;
            };
            kept = Some(body);
        }
        // [MQTT5-3.3.1-8, MQTT3-3.3.1-12]
        if retain && self.may_retain(content.topic) {
            self.retain(content, qos, &mut kept);
        }
        let before = self.route_ticket;
        let waits = qos == QoS::ExactlyOnce && before == 0 && self.journal.is_on();
        let waits = waits && !content.fleeting;
        if waits && (retain || self.has_recorded_target()) {
            self.route_ticket = self.journal.open_ticket();
        }
        let forwarded = self.forward(content, qos, retain);
        let count = self.targets.as_slice().len();
        for at in 0..count {
            let Some(target) = self.targets.as_slice().get(at).copied() else { break };
            // The lower of what was published and what was granted
            // [MQTT5-3.8.4-8, MQTT3-3.8.4-6].
            let qos = qos.min(target.qos);
            // [MQTT5-3.3.1-12, MQTT5-3.3.1-13, MQTT3-3.3.1-9]
            let retain = retain && target.as_published;
            let subscription = self.target_ids(at, &target);
            let how = (qos, retain, false);
            if self.is_due(target.session, content, how, subscription) {
                self.deliver(target.session, content, qos, retain, subscription, &mut kept);
            } else {
                self.let_go_ids(subscription);
            }
        }
        self.share(content, qos, retain, &mut kept);
        if let Some(body) = kept {
            self.release_body(body);
        }
        if self.route_ticket != before {
            self.route_ticket = before;
            if !self.journal.wait_if_needed() {
                self.free_copies();
            }
        }
        let nobody = count == 0 && self.groups.as_slice().is_empty();
        if nobody && !forwarded { Routed::Nobody } else { Routed::Wanted }
    }

    /// Nothing was recorded: the copies have no ticket to wait for.
    fn free_copies(&mut self) {
        let ticket = self.journal.open_ticket();
        for at in 0..self.targets.as_slice().len() {
            let Some(target) = self.targets.as_slice().get(at).copied() else { return };
            if let Some(session) = self.session_mut(target.session) {
                session.outgoing.free_last(ticket);
            }
            self.pump(target.session);
        }
        for at in 0..self.groups.as_slice().len() {
            let Some(chosen) = self.groups.as_slice().get(at).copied() else { return };
            self.free_last_entry(chosen.group, ticket);
            let member = chosen.member.checked_sub(1).and_then(|at| self.subscriptions.get(at));
            let Some(id) = member.map(|member| member.session) else { continue };
            if let Some(session) = self.session_mut(id) {
                session.outgoing.free_last(ticket);
            }
            self.pump(id);
        }
    }

    /// Whether a copy is recorded, so that there will be a ticket for copies at QoS 2 to wait for.
    fn has_recorded_target(&self) -> bool {
        let mut targets = self.targets.as_slice().iter();
        targets.any(|target| self.recorded(target.session).is_some())
            || self.groups.as_slice().iter().any(|chosen| self.is_recorded(chosen))
    }

    /// Collects the sessions whose subscriptions match, each once, and no others
    /// [MQTT5-3.3.2-3, MQTT3-3.3.2-3].
    fn find_targets(&mut self, content: &Content<'_>, qos: QoS) {
        self.stamp = self.stamp.wrapping_add(1).max(1);
        self.targets.clear();
        self.extra_ids.clear();
        self.groups.clear();
        let mut stack = core::mem::replace(&mut self.stack, S::Scratch::EMPTY);
        let mut nodes = core::mem::replace(&mut self.nodes, S::Scratch::EMPTY);
        nodes.clear();
        self.filters.match_topic(content.topic, &mut stack, |first| {
            let _ = nodes.push(first);
        });
        self.stack = stack;
        let everybody = self.is_for_all();
        for first in nodes.as_slice() {
            let mut next = *first;
            while let Some(wanting) = Wanting::read(next) {
                let found = match wanting {
                    Wanting::One(slot) => {
                        if everybody {
                            self.add_target(slot, content);
                        }
                        self.subscriptions.get(slot).map(|one| one.next_of_filter)
                    }
                    Wanting::Group(slot) => {
                        if self.is_for_group(slot) {
                            self.add_group(slot, content, qos);
                        }
                        self.shared.get(slot).map(|group| group.next_of_filter)
                    }
                };
                next = found.unwrap_or_default();
            }
        }
        self.nodes = nodes;
        self.plan_forwards(content.topic);
    }

    fn add_target(&mut self, slot: u32, content: &Content<'_>) {
        let Some(subscription) = self.subscriptions.get(slot).copied() else { return };
        let id = subscription.session;
        let stamp = self.stamp;
        let at = u32::try_from(self.targets.as_slice().len()).unwrap_or(u32::MAX);
        let Some(session) = self.session_mut(id) else { return };
        if subscription.no_local && session.publisher.is(content.publisher) {
            return; // [MQTT5-3.8.3-3]
        }
        if session.stamp != stamp {
            session.stamp = stamp;
            session.target = at;
            return self.push_target(&subscription, content.topic);
        }
        // Overlapping subscriptions: one copy, with the highest QoS and all identifiers
        // [MQTT5-3.3.4-2, MQTT5-3.3.4-3, MQTT5-3.3.4-4, MQTT3-3.3.5-1].
        let at = session.target;
        let target = self.targets.as_mut_slice().get_mut(at as usize);
        let Some(target) = target.filter(|target| target.session == id) else { return };
        target.qos = target.qos.max(subscription.qos);
        target.as_published |= subscription.retain_as_published;
        if subscription.id != 0 {
            if target.id == 0 {
                target.id = subscription.id;
            } else {
                target.more = true;
                let _ = self.extra_ids.push(ExtraId { target: at, id: subscription.id });
            }
        }
    }

    fn push_target(&mut self, subscription: &Subscription, topic: &[u8]) {
        let target = Target {
            session: subscription.session,
            qos: subscription.qos,
            as_published: subscription.retain_as_published,
            id: subscription.id,
            more: false,
        };
        if self.targets.push(target).is_err() {
            let (session, qos) = (target.session, target.qos);
            self.drop_copy(DropReason::Memory, Some(session), qos, topic);
        }
    }

    /// The identifiers of a target as a delivery has them: one inline, several in a run.
    fn target_ids(&mut self, at: usize, target: &Target) -> u32 {
        if !target.more {
            return target.id;
        }
        let first = ExtraId { target: u32::try_from(at).unwrap_or(u32::MAX), id: target.id };
        let mut scratch = self.take_scratch();
        let others = self.extra_ids.as_slice().iter().filter(|extra| extra.target == first.target);
        let all = || core::iter::once(&first).chain(others.clone());
        let kept = scratch.resize(all().count().saturating_mul(4));
        for (to, extra) in scratch.bytes_mut().as_chunks_mut::<4>().0.iter_mut().zip(all()) {
            *to = extra.id.to_be_bytes();
        }
        let run = kept.and_then(|()| self.bodies.keep_ids(scratch.bytes()));
        self.put_scratch(scratch);
        run.map_or(target.id, |run| run | SEVERAL_IDS)
    }

    /// One copy for one session, now or later [MQTT5-4.5.0-1, MQTT3-4.5.0-1, MQTT3-3.1.2-5].
    pub(super) fn deliver(
        &mut self,
        id: SessionId,
        content: &Content<'_>,
        qos: QoS,
        retain: bool,
        subscription: u32,
        kept: &mut Option<BodyId>,
    ) {
        if !self.may_read(id, content.topic) {
            self.drop_copy(DropReason::Rights, Some(id), qos, content.topic);
            return self.let_go_ids(subscription);
        }
        let online = self.online(id);
        if qos == QoS::AtMostOnce {
            if let Some(link) = online.filter(|_| !self.waits_at_most_once(id)) {
                let frame = Frame::new(content, retain, subscription, self.now);
                self.send_at_most_once(id, link, &frame);
                return self.let_go_ids(subscription);
            }
            if online.is_none() && !self.session_limits(id).queue_qos0 {
                self.drop_copy(DropReason::OutputFull, Some(id), qos, content.topic);
                return self.let_go_ids(subscription);
            }
        }
        let Some(body) = self.keep_once(content, kept) else {
            self.drop_copy(DropReason::Memory, Some(id), qos, content.topic);
            return self.let_go_ids(subscription);
        };
        self.enqueue(id, Delivery::new(body, qos, retain, subscription));
        if qos == QoS::AtMostOnce
            && let Some(session) = self.session_mut(id)
        {
            session.outgoing.hold_at_most_once();
        }
        if online.is_some() {
            self.pump(id);
        }
    }

    /// Whether a message at QoS 0 waits: behind others, if it may, or for CONNACK.
    pub(super) fn waits_at_most_once(&self, id: SessionId) -> bool {
        let Some(session) = self.session(id) else { return false };
        let outgoing = &session.outgoing;
        let behind = outgoing.waiting() != 0 && self.session_limits(id).queue_qos0;
        behind || outgoing.holds_at_most_once() || self.is_fenced(id)
    }

    /// The connection of a session, if it is open.
    pub(super) fn online(&self, id: SessionId) -> Option<u32> {
        let slot = self.session(id)?.link.checked_sub(1)?;
        self.links.get(slot).filter(|link| link.phase == Phase::Open).map(|_| slot)
    }

    fn send_at_most_once(&mut self, id: SessionId, slot: u32, frame: &Frame<'_>) {
        let ids = self.bodies.ids_of(frame.subscription);
        let Some(link) = self.links.get_mut(slot) else { return };
        let mount = mount_point(&self.limit_sets, &self.rule_runs, link.limits);
        let Some(mounted) = frame.with_ids(ids).without(mount) else {
            return self.drop_copy(DropReason::Rights, Some(id), QoS::AtMostOnce, frame.topic());
        };
        let why = match link.push_publish(&mounted, self.options.output_bytes) {
            Push::Sent => {
                self.counters.count_delivered(QoS::AtMostOnce, frame.payload_len());
                None
            }
            Push::TooLarge => Some(DropReason::TooLarge),
            Push::NoRoom | Push::Wrong(_) => Some(DropReason::OutputFull),
        };
        if let Some(why) = why {
            self.drop_copy(why, Some(id), QoS::AtMostOnce, frame.topic());
        }
        if let Some(link) = self.link_id(slot) {
            self.touch(link);
        }
    }

    /// Keeps the message for one more, once however many there are.
    pub(super) fn keep_once(
        &mut self,
        content: &Content<'_>,
        kept: &mut Option<BodyId>,
    ) -> Option<BodyId> {
        let body = match *kept {
            Some(body) => body,
            None => *kept.insert(self.bodies.keep(content).ok()?),
        };
        self.bodies.hold(body);
        Some(body)
    }

    /// Adds a delivery to a session's queue, or does what the policy says if it is full.
    pub(super) fn enqueue(&mut self, id: SessionId, delivery: Delivery) {
        let limits = self.session_limits(id);
        let (limit, bytes, policy) = (limits.queue, limits.queue_bytes, limits.queue_full);
        let delivery = delivery.with_len(self.bodies.len_of(delivery.body));
        let link = self.online(id).and_then(|slot| self.links.get(slot));
        let window = link.is_some_and(|link| link.quota.is_open());
        let recorded = self.recorded(id).is_some();
        let Some(session) = self.session_mut(id) else { return self.let_go(&delivery) };
        let waiting = session.outgoing.in_line();
        // What can be sent at once does not wait.
        let more = session.outgoing.waiting_bytes().saturating_add(delivery.len as usize);
        let waits = !(window && session.outgoing.waiting() == 0);
        if waits && (waiting >= limit || more > bytes) || session.outgoing.is_full() {
            let oldest = match policy {
                QueueFull::DropOldest if session.outgoing.gives_room(recorded) => {
                    session.outgoing.drop_oldest(recorded)
                }
                _ => None,
            };
            match &oldest {
                Some((_, oldest)) => self.drop_queued(DropReason::QueueFull, id, oldest),
                None => self.drop_queued(DropReason::QueueFull, id, &delivery),
            }
            match policy {
                QueueFull::Disconnect => self.overrun(id),
                QueueFull::EndSession => self.overrun_session(id),
                _ => {}
            }
            let Some((place, oldest)) = oldest else { return self.let_go(&delivery) };
            self.record_settled(id, place, &oldest);
            if oldest.entry().is_none() {
                self.let_go(&oldest);
            } else {
                self.give_back(&oldest);
            }
        }
        self.push_delivery(id, delivery);
    }

    /// Adds a delivery to a session's queue, whatever its limit, but for its memory.
    pub(super) fn push_delivery(&mut self, id: SessionId, delivery: Delivery) {
        let added = self.session_mut(id).map(|session| session.outgoing.push(delivery));
        if !matches!(added, Some(Ok(()))) {
            self.drop_queued(DropReason::QueueFull, id, &delivery);
            return self.let_go(&delivery);
        }
        self.record_queued(id, delivery.qos);
    }

    /// The connection of a session is to end, but not while a message is routed: its will would be
    /// routed meanwhile.
    fn overrun(&mut self, id: SessionId) {
        let Some(slot) = self.online(id) else { return };
        if let Some(link) = self.links.get_mut(slot) {
            link.overrun = true;
            let _ = self.link_timers.set(slot, self.now);
        }
    }

    /// A session is to end, but not while a message is routed.
    fn overrun_session(&mut self, id: SessionId) {
        if let Some(session) = self.session_mut(id) {
            session.overrun = true;
            let _ = self.session_timers.set(id.slot, self.now);
        }
    }

    /// A delivery is over: its message has one holder less.
    pub(super) fn let_go(&mut self, delivery: &Delivery) {
        if let Some(entry) = delivery.entry() {
            self.end_entry(entry);
        }
        self.release_body(delivery.body);
        self.let_go_ids(delivery.subscription);
    }

    pub(super) fn let_go_ids(&mut self, subscription: u32) {
        if subscription & SEVERAL_IDS != 0 {
            self.bodies.release_ids(subscription & !SEVERAL_IDS);
        }
    }
}

/// Marks a run of several identifiers in the place of one.
pub(super) const SEVERAL_IDS: u32 = 1 << 31;
