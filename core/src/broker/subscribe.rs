//! SUBSCRIBE and UNSUBSCRIBE: which messages a session wants.

use super::Broker;
use super::durable::What;
use super::link::{LinkId, Push};
use super::peer::Batch;
use super::record::Record;
use super::session::SessionId;
use super::topic_tree::FilterId;
use crate::codec::{
    Body, Items, Properties, RetainHandling, SubAck, Subscribe, Subscription as Wanted, UnsubAck,
    Unsubscribe, measure,
};
use crate::storage::{Arena, List, Memory, Pool, Storage};
use crate::types::{QoS, ReasonCode, TopicFilter, Version};

/// What a session wants: one filter, in the chain of its filter and in that of its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscription {
    pub(crate) session: SessionId,
    pub(crate) node: FilterId,
    /// The next one of the same filter, and of the same session, plus one; and the ones before.
    pub(crate) next_of_filter: u32,
    previous_of_filter: u32,
    pub(crate) next_of_session: u32,
    previous_of_session: u32,
    /// The subscription identifier; 0 for none.
    pub(crate) id: u32,
    /// The name of its group, plus one; 0 if it is not shared.
    pub(crate) group: u32,
    /// Which publish it served last, in its group.
    pub(crate) served: u32,
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
}

impl<S: Storage> Broker<S> {
    pub(super) fn handle_subscribe(
        &mut self,
        link: LinkId,
        session: SessionId,
        packet: &Subscribe<'_>,
    ) {
        #[cfg(feature = "v5")]
        let id = packet.properties.subscription_identifiers().next().map_or(0, |id| id.get());
        #[cfg(not(feature = "v5"))]
        let id = 0;
        let mark = self.journal.mark();
        self.begin_batch();
        self.codes.clear();
        if packet.subscriptions.count() > self.codes.limit() {
            return self.close_link(link, ReasonCode::QuotaExceeded);
        }
        let mut fresh = core::mem::replace(&mut self.fresh, S::Scratch::EMPTY);
        fresh.clear();
        for wanted in packet.subscriptions {
            // As if each had come by itself [MQTT5-3.8.4-5, MQTT3-3.8.4-4].
            let (code, is_new) = self.subscribe_mounted(link, session, &wanted, id);
            let _ = self.codes.push(code);
            let _ = fresh.push(is_new);
        }
        let due = (self.ticket_since(mark), self.take_batch());
        let limits = self.link(link).map_or(0, |link| link.limits);
        self.send_suback(link, packet, due);
        // Retained messages come behind the answer.
        for (wanted, is_new) in packet.subscriptions.iter().zip(fresh.as_slice()) {
            if is_new.wants_retained(&wanted) {
                let mut memory = self.take_mounted();
                if let Ok(filter) = self.mount_filter(limits, wanted.filter, &mut memory) {
                    self.send_retained(session, filter);
                }
                self.mounted = memory;
            }
        }
        self.fresh = fresh;
    }

    /// One filter, as the client says it.
    fn subscribe_mounted(
        &mut self,
        link: LinkId,
        session: SessionId,
        wanted: &Wanted<'_>,
        id: u32,
    ) -> (ReasonCode, Fresh) {
        let limits = self.link(link).map_or(0, |link| link.limits);
        let mut memory = self.take_mounted();
        let result = match self.mount_filter(limits, wanted.filter, &mut memory) {
            Ok(filter) => self.subscribe(session, &Wanted { filter, ..*wanted }, id),
            Err(crate::Full) => (ReasonCode::QuotaExceeded, Fresh::Refused),
        };
        self.mounted = memory;
        result
    }

    /// A code for each filter, in order [MQTT5-3.8.4-1, MQTT5-3.8.4-2, MQTT5-3.8.4-6]
    /// [MQTT5-3.9.3-1, MQTT5-2.2.1-6, MQTT3-3.8.4-1, MQTT3-3.8.4-2, MQTT3-3.8.4-5, MQTT3-3.9.3-1]
    /// [MQTT3-2.3.1-7], and nothing else [MQTT5-3.9.2-1, MQTT5-3.9.2-2, MQTT5-3.1.2-29].
    fn send_suback(&mut self, id: LinkId, packet: &Subscribe<'_>, due: (u32, Batch)) {
        let Some(version) = self.link(id).map(|link| link.version) else { return };
        if !version.is_v5() {
            for code in self.codes.as_mut_slice() {
                // MQTT 3.1.1 has one code for all failures; 3.1 has none, and is granted nothing.
                *code = match (*code, version) {
                    (code, _) if !code.is_error() => code,
                    (_, Version::V31) => ReasonCode::GRANTED_QOS_0,
                    _ => ReasonCode::UnspecifiedError,
                };
            }
        }
        let codes = core::mem::replace(&mut self.codes, S::Scratch::EMPTY);
        let (packet_id, properties) = (packet.packet_id, Properties::EMPTY);
        let answer = SubAck { packet_id, properties, codes: Items::from(codes.as_slice()) };
        self.send_answer(id, &answer, version, due);
        self.codes = codes;
    }

    /// The answer to a request, once its change is durable, and peers know it.
    fn send_answer(
        &mut self,
        id: LinkId,
        answer: &impl Body,
        version: Version,
        (ticket, batch): (u32, Batch),
    ) {
        if ticket == 0 && batch.is_none() {
            let push = self.link_mut(id).map(|link| link.push(answer));
            return match push {
                Some(Push::NoRoom) => self.close_link(id, ReasonCode::QuotaExceeded),
                _ => self.touch(id),
            };
        }
        let mut scratch = self.take_scratch();
        let run = measure(answer, version).ok().and_then(|measured| {
            scratch.resize(measured.len()).ok()?;
            measured.write(scratch.bytes_mut()).ok()?;
            self.bodies.keep_ids(scratch.bytes()).ok()
        });
        self.put_scratch(scratch);
        match run {
            Some(run) => self.answer_after_all(id, ticket, batch, What::Packet(run)),
            None => self.close_link(id, ReasonCode::QuotaExceeded),
        }
    }

    /// One filter: its code, and whether it is new.
    pub(super) fn subscribe(
        &mut self,
        session: SessionId,
        wanted: &Wanted<'_>,
        id: u32,
    ) -> (ReasonCode, Fresh) {
        if let Err(reason) = self.check_filter(session, wanted.filter) {
            return (reason, Fresh::Refused);
        }
        // [MQTT5-3.8.4-7, MQTT5-3.2.2-10]
        let qos = wanted.qos.min(self.session_limits(session).maximum_qos);
        let granted = match qos {
            QoS::AtMostOnce => ReasonCode::GRANTED_QOS_0,
            QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
            QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
        };
        if let Some(slot) = self.find_subscription(session, wanted.filter) {
            // Replaced in place: nothing is lost meanwhile
            // [MQTT5-3.8.4-3, MQTT5-3.8.4-4, MQTT3-3.8.4-3].
            if let Some(subscription) = self.subscriptions.get_mut(slot) {
                subscription.qos = qos;
                subscription.id = id;
                subscription.no_local = wanted.no_local;
                subscription.retain_as_published = wanted.retain_as_published;
            }
            self.count_interest(slot, 0);
            self.record_wanted(session, wanted, qos, id);
            return (granted, Fresh::Replaced);
        }
        match self.add_subscription(session, wanted, qos, id) {
            Ok(()) => {
                self.record_wanted(session, wanted, qos, id);
                (granted, Fresh::New)
            }
            Err(crate::Full) => (ReasonCode::QuotaExceeded, Fresh::Refused),
        }
    }

    fn record_wanted(&mut self, session: SessionId, wanted: &Wanted<'_>, qos: QoS, id: u32) {
        let options = Wanted { qos, ..*wanted }.options();
        self.record_subscription(session, wanted.filter.as_bytes(), options, id);
    }

    /// Writes the filter of a subscription to the end of `out`, `$share/group/` included; returns
    /// where it begins there, or `None` if it does not fit.
    pub(super) fn write_filter(&self, slot: u32, out: &mut [u8]) -> Option<usize> {
        let subscription = self.subscriptions.get(slot)?;
        let start = self.filters.write_path(subscription.node, out)?;
        let group = subscription.group.checked_sub(1);
        let group = group.map_or(&[][..], |handle| self.group_names.get(handle));
        share_prefix(group, out, start)
    }

    /// Records every subscription of a session, for a store that was replaced.
    pub(super) fn record_subscriptions(&mut self, id: SessionId, number: u64) {
        let mut next = self.session(id).map_or(0, |session| session.subscriptions);
        let mut scratch = self.take_scratch();
        let most = scratch.limit().min(MAX_PATH);
        let _ = scratch.resize(most);
        while let Some(slot) = next.checked_sub(1) {
            let Some(subscription) = self.subscriptions.get(slot).copied() else { break };
            next = subscription.next_of_session;
            let path = scratch.bytes_mut();
            let Some(start) = self.write_filter(slot, path) else {
                continue; // longer than the memory of a fixed broker
            };
            let (session, id) = (number, subscription.id);
            let options = subscription.options();
            let filter = path.get(start..).unwrap_or_default();
            self.journal.add(&Record::Subscription { session, filter, options, id });
        }
        self.put_scratch(scratch);
    }

    fn check_filter(&self, session: SessionId, filter: TopicFilter<'_>) -> Result<(), ReasonCode> {
        let limits = self.session_limits(session);
        if filter.inner().levels() > limits.levels.saturating_add(self.levels_before(session)) {
            return Err(ReasonCode::TopicFilterInvalid);
        }
        if !limits.wildcards && filter.has_wildcards() {
            return Err(ReasonCode::WildcardSubscriptionsNotSupported); // [MQTT3-3.8.3-2]
        }
        if !limits.shared && filter.share_name().is_some() {
            return Err(ReasonCode::SharedSubscriptionsNotSupported);
        }
        if !self.may_subscribe(session, filter.inner().as_bytes()) {
            return Err(ReasonCode::NotAuthorized);
        }
        Ok(())
    }

    /// The subscription of this session with exactly this filter.
    pub(super) fn find_subscription(
        &self,
        session: SessionId,
        filter: TopicFilter<'_>,
    ) -> Option<u32> {
        let node = self.filters.find(filter.inner().as_bytes())?;
        let group = filter.share_name().map(|name| name.as_bytes());
        let mut next = self.filters.value(node);
        while let Some(slot) = next.checked_sub(1) {
            let subscription = self.subscriptions.get(slot)?;
            let its_group =
                subscription.group.checked_sub(1).map(|handle| self.group_names.get(handle));
            if subscription.session == session && its_group == group {
                return Some(slot);
            }
            next = subscription.next_of_filter;
        }
        None
    }

    fn add_subscription(
        &mut self,
        session: SessionId,
        wanted: &Wanted<'_>,
        qos: QoS,
        id: u32,
    ) -> Result<(), crate::Full> {
        let most = self.session_limits(session).subscriptions_per_session;
        if self.session(session).is_none_or(|session| session.subscription_count >= most) {
            return Err(crate::Full);
        }
        let group = match wanted.filter.share_name() {
            Some(name) => self.group_names.insert(&[name.as_bytes()])?.saturating_add(1),
            None => 0,
        };
        let node = self.filters.insert(wanted.filter.inner().as_bytes());
        let first_of_session = self.session(session).map_or(0, |session| session.subscriptions);
        let added = node.and_then(|node| {
            self.subscriptions.insert(Subscription {
                session,
                node,
                next_of_filter: self.filters.value(node),
                previous_of_filter: 0,
                next_of_session: first_of_session,
                previous_of_session: 0,
                id,
                group,
                served: 0,
                qos,
                no_local: wanted.no_local,
                retain_as_published: wanted.retain_as_published,
            })
        });
        let Ok(slot) = added else {
            if let Some(handle) = group.checked_sub(1) {
                self.group_names.remove(handle);
            }
            if let Ok(node) = node {
                self.filters.prune(node);
            }
            return Err(crate::Full);
        };
        self.link_subscription(session, slot);
        Ok(())
    }

    /// Puts a subscription in front of its two chains.
    fn link_subscription(&mut self, session: SessionId, slot: u32) {
        let Some(subscription) = self.subscriptions.get(slot).copied() else { return };
        let here = slot.saturating_add(1);
        if let Some(next) = subscription.next_of_filter.checked_sub(1)
            && let Some(next) = self.subscriptions.get_mut(next)
        {
            next.previous_of_filter = here;
        }
        if let Some(next) = subscription.next_of_session.checked_sub(1)
            && let Some(next) = self.subscriptions.get_mut(next)
        {
            next.previous_of_session = here;
        }
        self.filters.set_value(subscription.node, here);
        if let Some(session) = self.session_mut(session) {
            session.subscriptions = here;
            session.subscription_count = session.subscription_count.saturating_add(1);
        }
        self.count_interest(slot, 1);
    }

    /// Takes a subscription out of its chains, and ends it.
    pub(super) fn remove_subscription(&mut self, slot: u32) {
        if let Some(session) = self.subscriptions.get(slot).map(|one| one.session) {
            self.end_cursor(session, slot);
        }
        self.count_interest(slot, -1);
        let Some(old) = self.subscriptions.remove(slot) else { return };
        match old.previous_of_filter.checked_sub(1).and_then(|at| self.subscriptions.get_mut(at)) {
            Some(previous) => previous.next_of_filter = old.next_of_filter,
            None => self.filters.set_value(old.node, old.next_of_filter),
        }
        if let Some(next) = old.next_of_filter.checked_sub(1)
            && let Some(next) = self.subscriptions.get_mut(next)
        {
            next.previous_of_filter = old.previous_of_filter;
        }
        let previous = old.previous_of_session.checked_sub(1);
        match previous.and_then(|at| self.subscriptions.get_mut(at)) {
            Some(previous) => previous.next_of_session = old.next_of_session,
            None => {
                if let Some(session) = self.session_mut(old.session) {
                    session.subscriptions = old.next_of_session;
                }
            }
        }
        if let Some(next) = old.next_of_session.checked_sub(1)
            && let Some(next) = self.subscriptions.get_mut(next)
        {
            next.previous_of_session = old.previous_of_session;
        }
        if let Some(session) = self.session_mut(old.session) {
            session.subscription_count = session.subscription_count.saturating_sub(1);
        }
        if let Some(handle) = old.group.checked_sub(1) {
            self.group_names.remove(handle);
        }
        self.filters.prune(old.node);
    }

    /// A session wants nothing any more.
    pub(super) fn unsubscribe_all(&mut self, session: SessionId) {
        while let Some(slot) =
            self.session(session).and_then(|session| session.subscriptions.checked_sub(1))
        {
            self.remove_subscription(slot);
        }
    }

    /// Ends the subscription to exactly this filter, if there is one.
    pub(super) fn unsubscribe(
        &mut self,
        session: SessionId,
        filter: TopicFilter<'_>,
    ) -> ReasonCode {
        let Some(slot) = self.find_subscription(session, filter) else {
            return ReasonCode::NoSubscriptionExisted;
        };
        self.remove_subscription(slot);
        self.record_unsubscribed(session, filter.as_bytes());
        ReasonCode::Success
    }

    /// Filters are compared letter by letter [MQTT5-3.10.4-1, MQTT3-3.10.4-1]; each gets a code,
    /// and the packet one answer [MQTT5-3.10.4-4, MQTT5-3.10.4-5, MQTT5-3.10.4-6, MQTT5-3.11.3-1]
    /// [MQTT3-3.10.4-4, MQTT3-3.10.4-5, MQTT3-3.10.4-6], with nothing else
    /// [MQTT5-3.11.2-1, MQTT5-3.11.2-2]. What is on its way stays so
    /// [MQTT5-3.10.4-2, MQTT5-3.10.4-3, MQTT3-3.10.4-2, MQTT3-3.10.4-3].
    pub(super) fn handle_unsubscribe(
        &mut self,
        id: LinkId,
        session: SessionId,
        packet: &Unsubscribe<'_>,
    ) {
        let mark = self.journal.mark();
        self.codes.clear();
        if packet.filters.count() > self.codes.limit() {
            return self.close_link(id, ReasonCode::QuotaExceeded);
        }
        for filter in packet.filters {
            let limits = self.link(id).map_or(0, |link| link.limits);
            let mut memory = self.take_mounted();
            let code = match self.mount_filter(limits, filter, &mut memory) {
                Ok(filter) => self.unsubscribe(session, filter),
                Err(crate::Full) => ReasonCode::NoSubscriptionExisted,
            };
            self.mounted = memory;
            let _ = self.codes.push(code);
        }
        let due = (self.ticket_since(mark), Batch::NONE);
        let Some(version) = self.link(id).map(|link| link.version) else { return };
        let list = core::mem::replace(&mut self.codes, S::Scratch::EMPTY);
        let codes = if version.is_v5() { Items::from(list.as_slice()) } else { Items::EMPTY };
        let (packet_id, properties) = (packet.packet_id, Properties::EMPTY);
        self.send_answer(id, &UnsubAck { packet_id, properties, codes }, version, due);
        self.codes = list;
    }
}

impl Subscription {
    /// Its options, as a SUBSCRIBE has them. Retain handling is of the moment, and not kept.
    pub(crate) const fn options(&self) -> u8 {
        self.qos.level()
            | if self.no_local { 0x04 } else { 0 }
            | if self.retain_as_published { 0x08 } else { 0 }
    }
}

/// Puts `$share/group/` before a path; returns where that begins.
fn share_prefix(group: &[u8], path: &mut [u8], start: usize) -> Option<usize> {
    if group.is_empty() {
        return Some(start);
    }
    let mut at = start;
    for part in [&b"/"[..], group, &b"$share/"[..]] {
        let end = at;
        at = at.checked_sub(part.len())?;
        path.get_mut(at..end)?.copy_from_slice(part);
    }
    Some(at)
}

/// The longest filter, in bytes.
const MAX_PATH: usize = 65_535;

/// What became of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fresh {
    New,
    Replaced,
    Refused,
}

impl Fresh {
    /// Whether what is retained is to be sent. Groups get none.
    pub(super) fn wants_retained(self, wanted: &Wanted<'_>) -> bool {
        let send = match (wanted.retain_handling, self) {
            (_, Self::Refused) | (RetainHandling::DoNotSend, _) => false, // [MQTT5-3.3.1-11]
            (RetainHandling::SendIfNew, new) => new == Self::New,         // [MQTT5-3.3.1-10]
            (RetainHandling::Send, _) => true,                            // [MQTT5-3.3.1-9]
        };
        send && wanted.filter.share_name().is_none()
    }
}
