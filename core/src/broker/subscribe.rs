//! SUBSCRIBE and UNSUBSCRIBE: which messages a session wants.

use super::Broker;
use super::durable::What;
use super::link::{LinkId, Push};
use super::peer::Batch;
use super::record::Record;
use super::rights::Permission;
use super::session::SessionId;
use crate::codec::{
    Body, Items, Properties, RetainHandling, SubAck, Subscribe, Subscription as Wanted, UnsubAck,
    Unsubscribe, measure,
};
use crate::storage::{Arena, List, Memory, Storage};
use crate::types::{QoS, ReasonCode, TopicFilter, Version};

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
        for (at, wanted) in packet.subscriptions.iter().enumerate() {
            // As if each had come by itself [MQTT5-3.8.4-5, MQTT3-3.8.4-4].
            let (code, is_new) = self.subscribe_mounted(link, session, &wanted, (id, at));
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
        if self.waiting_entries != 0 {
            self.pump(session); // its groups may have waited for it
        }
    }

    /// One filter, as the client says it.
    fn subscribe_mounted(
        &mut self,
        link: LinkId,
        session: SessionId,
        wanted: &Wanted<'_>,
        (id, at): (u32, usize),
    ) -> (ReasonCode, Fresh) {
        let limits = self.link(link).map_or(0, |link| link.limits);
        let mut memory = self.take_mounted();
        let result = match self.mount_filter(limits, wanted.filter, &mut memory) {
            Ok(filter) => match self.refusal_of(link, session, filter.inner().as_bytes(), at) {
                Some(code) => (code, Fresh::Refused),
                None => self.subscribe(session, &Wanted { filter, ..*wanted }, id),
            },
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
            self.counters.count_others(u64::from(push == Some(Push::Sent)));
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
        // What comes back was granted before.
        let returns = self.journal.is_paused();
        if !returns && let Err(reason) = self.check_filter(session, wanted.filter) {
            return (reason, Fresh::Refused);
        }
        // [MQTT5-3.8.4-7, MQTT5-3.2.2-10]
        let most =
            if returns { QoS::ExactlyOnce } else { self.session_limits(session).maximum_qos };
        let qos = wanted.qos.min(most);
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
            self.tell_subscribed(session, wanted.filter.as_bytes(), qos);
            self.record_wanted(session, wanted, qos, id);
            return (granted, Fresh::Replaced);
        }
        match self.add_subscription(session, wanted, qos, id) {
            Ok(()) => {
                self.tell_subscribed(session, wanted.filter.as_bytes(), qos);
                self.record_wanted(session, wanted, qos, id);
                (granted, Fresh::New)
            }
            Err(crate::Full) => (ReasonCode::QuotaExceeded, Fresh::Refused),
        }
    }

    fn record_wanted(&mut self, session: SessionId, wanted: &Wanted<'_>, qos: QoS, id: u32) {
        let options = Wanted { qos, ..*wanted }.options();
        self.record_subscription(session, wanted.filter.as_bytes(), options, id);
        if self.recorded(session).is_some()
            && let Some(group) = self.group_of(wanted.filter)
        {
            self.record_group(group);
        }
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
            if let Some(group) = subscription.group.checked_sub(1) {
                self.record_group(group);
            }
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
        if self.may_subscribe(session, filter.inner().as_bytes()) == Permission::Deny {
            return Err(ReasonCode::NotAuthorized);
        }
        Ok(())
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
        let group = self.subscriptions.get(slot).map_or(0, |one| one.group);
        self.record_unsubscribed(session, filter.as_bytes());
        self.tell_unsubscribed(session, filter.as_bytes());
        self.remove_subscription(slot);
        if group != 0 {
            // What it was not sent is not on its way: it is for those that are members still.
            self.take_back_unsent(session, group, QoS::AtMostOnce);
        }
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
