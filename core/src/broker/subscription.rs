//! What a session wants, one filter each, and the chains in which that is found.

use super::Broker;
use super::group::Wanting;
use super::session::SessionId;
use super::topic_tree::FilterId;
use crate::codec::Subscription as Wanted;
use crate::storage::{Arena, Storage};
use crate::types::{QoS, TopicFilter};

/// What a session wants: one filter, in the chain of its filter and in that of its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscription {
    pub(crate) session: SessionId,
    pub(crate) node: FilterId,
    /// The next one of the same filter, or of the same group, and of the same session, plus one;
    /// and the ones before.
    pub(crate) next_of_filter: u32,
    pub(super) previous_of_filter: u32,
    pub(crate) next_of_session: u32,
    previous_of_session: u32,
    /// The subscription identifier; 0 for none.
    pub(crate) id: u32,
    /// Its group, plus one; 0 if it is not shared.
    pub(crate) group: u32,
    /// Which publish it served last, in its group.
    pub(crate) served: u32,
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
}

impl<S: Storage> Broker<S> {
    /// Writes the filter of a subscription to the end of `out`, `$share/group/` included; returns
    /// where it begins there, or `None` if it does not fit.
    pub(super) fn write_filter(&self, slot: u32, out: &mut [u8]) -> Option<usize> {
        let subscription = self.subscriptions.get(slot)?;
        match subscription.group.checked_sub(1) {
            Some(group) => self.write_shared_filter(group, out),
            None => self.filters.write_path(subscription.node, out),
        }
    }

    /// The same for the filter of a group.
    pub(super) fn write_shared_filter(&self, group: u32, out: &mut [u8]) -> Option<usize> {
        let start = self.filters.write_path(self.shared.get(group)?.node, out)?;
        share_prefix(self.group_name(group), out, start)
    }

    /// The subscription of this session with exactly this filter.
    pub(super) fn find_subscription(
        &self,
        session: SessionId,
        filter: TopicFilter<'_>,
    ) -> Option<u32> {
        let node = self.filters.find(filter.inner().as_bytes())?;
        let mut next = match filter.share_name() {
            Some(name) => self.shared.get(self.group_at(node, name.as_bytes())?)?.members,
            None => self.filters.value(node),
        };
        loop {
            next = match Wanting::read(next)? {
                Wanting::One(slot) => {
                    let subscription = self.subscriptions.get(slot)?;
                    if subscription.session == session {
                        return Some(slot);
                    }
                    subscription.next_of_filter
                }
                Wanting::Group(slot) => self.shared.get(slot)?.next_of_filter,
            };
        }
    }

    pub(super) fn add_subscription(
        &mut self,
        session: SessionId,
        wanted: &Wanted<'_>,
        qos: QoS,
        id: u32,
    ) -> Result<(), crate::Full> {
        let most = self.session_limits(session).subscriptions_per_session;
        let most = if self.journal.is_paused() { u32::MAX } else { most };
        if self.session(session).is_none_or(|session| session.subscription_count >= most) {
            return Err(crate::Full);
        }
        let node = self.filters.insert(wanted.filter.inner().as_bytes())?;
        let group = match wanted.filter.share_name() {
            Some(name) => self.make_group(node, name.as_bytes()).map(|slot| slot.saturating_add(1)),
            None => Ok(0),
        };
        let added = group.and_then(|group| {
            self.subscriptions.insert(Subscription {
                session,
                node,
                next_of_filter: 0,
                previous_of_filter: 0,
                next_of_session: 0,
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
            self.end_if_empty(group.unwrap_or_default());
            self.filters.prune(node);
            return Err(crate::Full);
        };
        self.link_subscription(session, slot);
        Ok(())
    }

    /// A group ends with its last member.
    fn end_if_empty(&mut self, group: u32) {
        if let Some(slot) = group.checked_sub(1)
            && self.shared.get(slot).is_some_and(|group| group.members == 0)
        {
            self.end_group(slot);
        }
    }

    /// Puts a subscription in front of the chain of its filter, or of its group, and into that of
    /// its session, in which those that are shared come first.
    fn link_subscription(&mut self, id: SessionId, slot: u32) {
        let Some(subscription) = self.subscriptions.get(slot).copied() else { return };
        let here = slot.saturating_add(1);
        let group = subscription.group.checked_sub(1);
        let first = match group.and_then(|group| self.shared.get_mut(group)) {
            Some(group) => core::mem::replace(&mut group.members, here),
            None => {
                let first = self.filters.value(subscription.node);
                self.filters.set_value(subscription.node, here);
                first
            }
        };
        self.set_next(here, first);
        self.set_previous(first, here);
        let Some(session) = self.session_mut(id) else { return };
        session.subscription_count = session.subscription_count.saturating_add(1);
        let previous = if group.is_some() { 0 } else { session.last_shared };
        if group.is_some() && session.last_shared == 0 {
            session.last_shared = here;
        }
        let next = match previous.checked_sub(1) {
            None => core::mem::replace(&mut session.subscriptions, here),
            Some(previous) => match self.subscriptions.get_mut(previous) {
                Some(previous) => core::mem::replace(&mut previous.next_of_session, here),
                None => 0,
            },
        };
        if let Some(one) = self.subscriptions.get_mut(slot) {
            (one.next_of_session, one.previous_of_session) = (next, previous);
        }
        if let Some(next) = next.checked_sub(1).and_then(|next| self.subscriptions.get_mut(next)) {
            next.previous_of_session = here;
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
        if !self.set_next(old.previous_of_filter, old.next_of_filter) {
            match old.group.checked_sub(1).and_then(|group| self.shared.get_mut(group)) {
                Some(group) => group.members = old.next_of_filter,
                None => self.filters.set_value(old.node, old.next_of_filter),
            }
        }
        self.set_previous(old.next_of_filter, old.previous_of_filter);
        let previous = old.previous_of_session.checked_sub(1);
        let here = slot.saturating_add(1);
        if let Some(session) = self.session_mut(old.session) {
            session.subscription_count = session.subscription_count.saturating_sub(1);
            if session.last_shared == here {
                session.last_shared = old.previous_of_session;
            }
            if previous.is_none() {
                session.subscriptions = old.next_of_session;
            }
        }
        if let Some(previous) = previous.and_then(|at| self.subscriptions.get_mut(at)) {
            previous.next_of_session = old.next_of_session;
        }
        if let Some(next) = old.next_of_session.checked_sub(1)
            && let Some(next) = self.subscriptions.get_mut(next)
        {
            next.previous_of_session = old.previous_of_session;
        }
        match old.group {
            0 => self.filters.prune(old.node),
            group => self.end_if_empty(group),
        }
    }

    /// A session wants nothing any more.
    pub(super) fn unsubscribe_all(&mut self, session: SessionId) {
        while let Some(slot) =
            self.session(session).and_then(|session| session.subscriptions.checked_sub(1))
        {
            self.remove_subscription(slot);
        }
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
