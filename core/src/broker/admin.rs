//! What an administrator sees and does: pages of sessions and subscriptions, and verbs on them.

use super::link::{LinkId, Phase};
use super::session::SessionId;
use super::{Broker, LimitsId, Options, Refusal, RulesId};
use crate::Instant;
use crate::codec::Subscription as Wanted;
use crate::storage::{Arena, List, Pool, Storage};
use crate::types::{ReasonCode, TopicFilter};

/// A session, as an administrator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo<'a> {
    /// Its client identifier.
    pub client_id: &'a [u8],
    /// The user that owns it; empty for nobody.
    pub user_name: &'a [u8],
    /// Its connection, if it has one.
    pub link: Option<LinkId>,
    /// How long it outlives a connection, in seconds.
    pub expiry_secs: u32,
    /// When it ends, if it has no connection and is to end.
    pub ends: Option<Instant>,
    /// How many subscriptions it has.
    pub subscriptions: u32,
    /// How many messages are on their way to it, waiting ones included.
    pub queued: usize,
    /// Whether a will waits for its connection to be lost, or for its delay.
    pub has_will: bool,
}

/// Where a page of sessions begins: the first one at [`Page::FIRST`], the next one where the last
/// one ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page(u32);

impl Page {
    /// The first page.
    pub const FIRST: Self = Self(0);
}

impl<S: Storage> Broker<S> {
    /// The next session from `page` on, which moves behind it; `None` when all were shown.
    ///
    /// A page may be kept while the broker goes on: sessions that come and go meanwhile are shown
    /// or not, the others once.
    #[must_use]
    pub fn next_session(&self, page: &mut Page) -> Option<SessionInfo<'_>> {
        let slots = u32::try_from(self.sessions.slots()).unwrap_or(u32::MAX);
        while page.0 < slots {
            let slot = page.0;
            page.0 = page.0.saturating_add(1);
            if let Some(session) = self.sessions.get(slot) {
                let id = SessionId { slot, serial: session.serial };
                return self.session_info(id);
            }
        }
        None
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

    pub(super) fn session_info(&self, id: SessionId) -> Option<SessionInfo<'_>> {
        let session = self.session(id)?;
        let link = session.link.checked_sub(1).and_then(|slot| self.link_id(slot));
        Some(SessionInfo {
            client_id: self.names.get(session.name),
            user_name: session.user.checked_sub(1).map_or(&[], |user| self.users.get(user)),
            link,
            expiry_secs: session.expiry_secs,
            ends: session.ends.unless_never(),
            subscriptions: session.subscription_count,
            queued: session.outgoing.owed(),
            has_will: session.will.is_some(),
        })
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
        self.disconnect(client_id, ReasonCode::AdministrativeAction, now);
        match self.find_session(client_id.as_bytes()) {
            Some(id) => {
                self.end_session(id);
                true
            }
            None => false,
        }
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
