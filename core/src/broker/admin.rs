//! What an administrator does: verbs on connections, sessions, queues and retained messages.

use super::counters::DropReason;
use super::event::SessionEnd;
use super::link::{LinkId, Phase};
use super::pages::SessionInfo;
use super::{Broker, LimitsId, Options, Refusal, RulesId};
use crate::Instant;
use crate::codec::Subscription as Wanted;
use crate::storage::{Arena, List, Pool, Storage};
use crate::types::{ReasonCode, TopicFilter, TopicName};

impl<S: Storage> Broker<S> {
    /// How many different filters of subscriptions here match a topic: what nobody wants need not
    /// be made. Shared ones count as one with others that are the same behind the group.
    ///
    /// ```
    /// use tamtam_core::TopicName;
    /// use tamtam_core::broker::Broker;
    ///
    /// let mut broker = Broker::<tamtam_core::Heap>::new();
    /// assert_eq!(broker.matching_filters(TopicName::new("house/door")?), 0);
    /// # Ok::<(), tamtam_core::TopicError>(())
    /// ```
    #[must_use]
    pub fn matching_filters(&mut self, topic: TopicName<'_>) -> usize {
        let mut stack = core::mem::replace(&mut self.stack, S::Scratch::EMPTY);
        let mut count = 0_usize;
        self.filters.match_topic(topic.as_bytes(), &mut stack, |_| {
            count = count.saturating_add(1);
        });
        self.stack = stack;
        count
    }

    /// The client identifier of a connection that was accepted.
    #[must_use]
    pub fn client_of(&self, link: LinkId) -> Option<&[u8]> {
        let session = self.session(self.link(link)?.session?)?;
        Some(self.names.get(session.name))
    }

    /// The session of a client.
    #[must_use]
    pub fn session_of(&self, client_id: &str) -> Option<SessionInfo<'_>> {
        self.session_info(self.find_session(client_id.as_bytes())?)
    }

    /// Shows every subscription of a client: its filter, written into `buffer`, and its options.
    /// One that is longer than the buffer is passed over.
    pub fn subscriptions_of(
        &self,
        client_id: &str,
        buffer: &mut [u8],
        mut show: impl FnMut(&Wanted<'_>),
    ) {
        let Some(id) = self.find_session(client_id.as_bytes()) else { return };
        let mut next = self.session(id).map_or(0, |session| session.subscriptions);
        while let Some(slot) = next.checked_sub(1) {
            let Some(subscription) = self.subscriptions.get(slot) else { return };
            next = subscription.next_of_session;
            if let Some(start) = self.write_filter(slot, buffer) {
                let filter = TopicFilter::trusted(buffer.get(start..).unwrap_or_default());
                if let Ok(wanted) = Wanted::from_options(filter, subscription.options()) {
                    show(&wanted);
                }
            }
        }
    }

    /// Closes a connection, with a reason where it can be told (MQTT 5); its session stays.
    pub fn close<'a>(&mut self, link: LinkId, why: impl Into<Refusal<'a>>, now: Instant) {
        self.now = self.now.max(now);
        if self.link(link).is_some_and(|link| link.phase != Phase::Closing) {
            self.close_link_with(link, &why.into());
        }
    }

    /// Closes the connection of a client, with a reason (MQTT 5); its session stays. Whether there
    /// was one.
    pub fn disconnect<'a>(
        &mut self,
        client_id: &str,
        why: impl Into<Refusal<'a>>,
        now: Instant,
    ) -> bool {
        self.now = self.now.max(now);
        let session = self.find_session(client_id.as_bytes());
        let link = session.and_then(|id| self.online(id)).and_then(|slot| self.link_id(slot));
        match link {
            Some(link) => {
                self.close_link_with(link, &why.into());
                true
            }
            None => false,
        }
    }

    /// What a client may do from now on, connected or not: rules, and limits instead of the
    /// broker's own, as an [`Acceptance`](super::Acceptance) says it. Whether there is a session.
    ///
    /// Sessions that a store gave back have no rules until this is said of them, or their clients
    /// connect: so say it before [`Broker::restored`], which may publish their wills.
    pub fn entitle(
        &mut self,
        client_id: &str,
        rules: Option<RulesId>,
        limits: Option<LimitsId>,
    ) -> bool {
        let limits = limits.map_or(0, |limits| self.limits_at(limits));
        let id = self.find_session(client_id.as_bytes());
        let Some(session) = id.and_then(|id| self.session_mut(id)) else { return false };
        (session.rules, session.limits) = (rules, limits);
        true
    }

    /// Ends the session of a client, and its connection. Whether there was one.
    pub fn end_session_of(&mut self, client_id: &str, now: Instant) -> bool {
        let Some(id) = self.find_session(client_id.as_bytes()) else { return false };
        if let Some(session) = self.session_mut(id) {
            session.expiry_secs = u32::MAX; // it does not end for the want of a connection
        }
        self.disconnect(client_id, ReasonCode::AdministrativeAction, now);
        self.end_session(id, SessionEnd::Administrator);
        true
    }

    /// Drops every message that waits for a client and was not sent; how many.
    pub fn clear_queue(&mut self, client_id: &str, now: Instant) -> usize {
        self.now = self.now.max(now);
        let Some(id) = self.find_session(client_id.as_bytes()) else { return 0 };
        let recorded = self.recorded(id).is_some();
        let mut cleared = 0_usize;
        while let Some((place, delivery)) =
            self.session_mut(id).and_then(|session| session.outgoing.drop_oldest(recorded))
        {
            self.drop_queued(DropReason::Cleared, id, &delivery);
            self.record_settled(id, place, &delivery);
            self.let_go(&delivery);
            cleared = cleared.saturating_add(1);
        }
        self.pump(id);
        cleared
    }

    /// Forgets the retained messages that a filter matches; how many.
    pub fn delete_retained(&mut self, filter: TopicFilter<'_>, now: Instant) -> usize {
        self.now = self.now.max(now);
        let mut found = core::mem::replace(&mut self.nodes, S::Scratch::EMPTY);
        found.clear();
        self.retained.match_filter(filter.inner().as_bytes(), |value| {
            let _ = found.push(value);
        });
        let count = found.as_slice().len();
        for value in found.as_slice() {
            self.tell_deleted(*value);
            self.forget_retained_value(*value);
        }
        self.nodes = found;
        count
    }

    /// What the broker allows now.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Other limits, from now on. What exceeds them already is left alone; what a client was told
    /// when it connected still holds for it. Whether there is a store can't be changed.
    pub fn set_options(&mut self, options: &Options) {
        let store = self.options.store;
        self.options = Options { store, ..*options };
        self.own_limits = super::OwnLimits::Said(options.limits());
        self.set_room(options);
    }
}
