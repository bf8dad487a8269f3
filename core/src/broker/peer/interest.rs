//! Who wants what: our own clients, so that peers are told, and theirs.

use alloc::vec;
use alloc::vec::Vec;

use super::message::Message;
use super::{Batch, Cluster, PeerId};
use crate::broker::Broker;
use crate::broker::session::SessionId;
use crate::broker::topic_tree::{FilterId, FilterNode, Filters, Step};
use crate::storage::{Arena, HeapArena, HeapIndex, HeapList, HeapPool, List, Storage};
use crate::types::TopicFilter;

/// How many of our sessions have a subscription to one filter.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// Of a filter that is not shared all count as online.
    online: u32,
    offline: u32,
    told: (u32, u32),
    /// What confirms that peers know.
    batch: Batch,
}

impl Own {
    /// What peers have to know of it: of a filter that is not shared, whether anybody wants it.
    fn news(&self, is_shared: bool) -> (u32, u32) {
        if is_shared { (self.online, self.offline) } else { (self.online.min(1), 0) }
    }
}

/// What a peer's sessions want: one filter.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) peer: PeerId,
    node: FilterId,
    /// The filter, with its group if it is shared.
    pub(super) filter: Vec<u8>,
    pub(super) is_shared: bool,
    online: u32,
    offline: u32,
    /// Which publish each of its members got last.
    served: Vec<u32>,
    /// Whether it was told before the peer was lost, and not yet again.
    stale: bool,
    /// The next one of the same filter, plus one.
    next: u32,
}

impl Entry {
    /// How a message for the group is best given to a member there: as the rank of one of ours, and
    /// since when it has got none.
    pub(super) fn rank(&self) -> (u8, u32) {
        let rank = if self.online != 0 { 0 } else { 2 };
        (rank, self.served.iter().copied().min().unwrap_or_default())
    }

    /// One of its members gets the message of this stamp.
    pub(super) fn serve(&mut self, stamp: u32) {
        if let Some(oldest) = self.served.iter_mut().min() {
            *oldest = stamp;
        }
    }

    fn set(&mut self, online: u32, offline: u32) {
        (self.online, self.offline, self.stale) = (online, offline, false);
        let members = if online != 0 { online } else { offline };
        self.served.resize(members.min(MOST_MEMBERS) as usize, 0);
    }
}

/// How many members of a group at one peer are told apart.
const MOST_MEMBERS: u32 = 1_024;

/// What all peers' sessions want.
#[derive(Debug)]
pub(super) struct Theirs {
    tree: Filters<HeapArena<FilterNode>, HeapIndex, HeapPool>,
    entries: HeapArena<Entry>,
    stack: HeapList<Step>,
}

impl Theirs {
    pub(super) const EMPTY: Self =
        Self { tree: Filters::EMPTY, entries: HeapArena::EMPTY, stack: HeapList::EMPTY };

    pub(super) fn begin(&mut self, seed: u64) {
        self.tree.begin(seed, usize::MAX, usize::MAX);
        self.entries.set_limit(usize::MAX);
        self.stack.set_limit(usize::MAX);
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Entry> {
        self.entries.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        self.entries.get_mut(slot)
    }

    /// Shows which entries match a topic.
    pub(super) fn match_topic(&mut self, topic: &[u8], mut found: impl FnMut(u32)) {
        let entries = &self.entries;
        self.tree.match_topic(topic, &mut self.stack, |first| {
            let mut next = first;
            while let Some(slot) = next.checked_sub(1) {
                let Some(entry) = entries.get(slot) else { break };
                next = entry.next;
                found(slot);
            }
        });
    }

    /// Shows the entries of exactly this filter.
    pub(super) fn each_named(&self, filter: &[u8], mut show: impl FnMut(u32, &Entry)) {
        let Ok(parsed) = TopicFilter::from_bytes(filter) else { return };
        let Some(node) = self.tree.find(parsed.inner().as_bytes()) else { return };
        let mut next = self.tree.value(node);
        while let Some(slot) = next.checked_sub(1) {
            let Some(entry) = self.entries.get(slot) else { return };
            next = entry.next;
            if entry.filter == filter {
                show(slot, entry);
            }
        }
    }

    /// A peer says what its sessions want of a filter.
    pub(super) fn set(&mut self, peer: PeerId, filter: &[u8], online: u32, offline: u32) {
        let Ok(parsed) = TopicFilter::from_bytes(filter) else { return };
        let Ok(node) = self.tree.insert(parsed.inner().as_bytes()) else { return };
        let mut next = self.tree.value(node);
        while let Some(slot) = next.checked_sub(1) {
            let Some(entry) = self.entries.get_mut(slot) else { break };
            if entry.peer == peer && entry.filter == filter {
                entry.set(online, offline);
                if online == 0 && offline == 0 {
                    self.remove(slot);
                }
                return;
            }
            next = entry.next;
        }
        if online == 0 && offline == 0 {
            return self.tree.prune(node);
        }
        let mut entry = Entry {
            peer,
            node,
            filter: filter.into(),
            is_shared: parsed.share_name().is_some(),
            online,
            offline,
            served: Vec::new(),
            stale: false,
            next: self.tree.value(node),
        };
        entry.set(online, offline);
        if let Ok(slot) = self.entries.insert(entry) {
            self.tree.set_value(node, slot.saturating_add(1));
        }
    }

    /// A peer wants this as well, until it says what it wants.
    pub(super) fn want(&mut self, peer: PeerId, filter: &[u8]) {
        let known = |slot: &u32| self.entries.get(*slot).is_some_and(|one| one.filter == filter);
        if !self.each_of(peer).iter().any(known) {
            self.set(peer, filter, 1, 0);
        }
    }

    fn remove(&mut self, slot: u32) {
        let Some(old) = self.entries.remove(slot) else { return };
        let here = slot.saturating_add(1);
        let first = self.tree.value(old.node);
        if first == here {
            self.tree.set_value(old.node, old.next);
            return self.tree.prune(old.node);
        }
        let mut at = first;
        while let Some(entry) = at.checked_sub(1).and_then(|slot| self.entries.get_mut(slot)) {
            if entry.next == here {
                entry.next = old.next;
                return;
            }
            at = entry.next;
        }
    }

    fn each_of(&self, peer: PeerId) -> Vec<u32> {
        let slots = 0..u32::try_from(self.entries.slots()).unwrap_or(u32::MAX);
        let is_its = |slot: &u32| self.entries.get(*slot).is_some_and(|entry| entry.peer == peer);
        slots.filter(is_its).collect()
    }

    /// What a peer wanted may not hold any more; it will say.
    pub(super) fn make_stale(&mut self, peer: PeerId) {
        for slot in self.each_of(peer) {
            if let Some(entry) = self.entries.get_mut(slot) {
                entry.stale = true;
            }
        }
    }

    /// What a peer did not say again does not hold.
    pub(super) fn drop_stale(&mut self, peer: PeerId) {
        for slot in self.each_of(peer) {
            if self.entries.get(slot).is_some_and(|entry| entry.stale) {
                self.remove(slot);
            }
        }
    }

    /// A peer wants nothing any more.
    pub(super) fn drop_all(&mut self, peer: PeerId) {
        for slot in self.each_of(peer) {
            self.remove(slot);
        }
    }
}

impl Cluster {
    /// Tells a peer that joined what our sessions want.
    pub(super) fn tell_interests(&mut self, at: usize) {
        let all: Vec<_> = self.own.iter().map(|(filter, own)| (filter.clone(), own.told)).collect();
        for (filter, (online, offline)) in all {
            self.send(at, 0, Message::Interest { filter, online, offline, ticket: 0 });
        }
    }

    /// A peer has told everything: what it did not say again does not hold.
    pub(super) fn handle_ready(&mut self, at: usize) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        peer.told = true;
        let id = peer.id;
        self.theirs.drop_stale(id);
    }

    /// How many sessions want a filter has changed. With `confirm`, the packet that is handled
    /// waits until peers know.
    fn count(&mut self, filter: Vec<u8>, online: i8, offline: i8, confirm: bool) {
        let is_shared = filter.starts_with(b"$share/");
        let own = self.own.entry(filter.clone()).or_default();
        own.online = own.online.saturating_add_signed(online.into());
        own.offline = own.offline.saturating_add_signed(offline.into());
        let news = own.news(is_shared);
        let known = self.batches.is_settled(own.batch);
        if news == own.told && (known || !confirm) {
            return;
        }
        own.told = news;
        if news == (0, 0) {
            self.own.remove(&filter);
        }
        for at in self.present() {
            let ticket = if confirm { self.ticket(at) } else { 0 };
            let (online, offline) = news;
            let filter = filter.clone();
            self.send(at, 0, Message::Interest { filter, online, offline, ticket });
        }
        let batch = self.current;
        if let Some(own) = self.own.get_mut(&filter).filter(|_| confirm) {
            own.batch = batch;
        }
    }
}

impl<S: Storage> Broker<S> {
    /// The filter of a subscription, with its group.
    pub(in crate::broker) fn filter_of(&self, slot: u32) -> Option<Vec<u8>> {
        let mut small = [0; 256];
        if let Some(start) = self.write_filter(slot, &mut small) {
            return small.get(start..).map(Into::into);
        }
        let mut buffer = vec![0; 65_535];
        let start = self.write_filter(slot, &mut buffer)?;
        buffer.get(start..).map(Into::into)
    }

    /// A subscription began, or is about to end; or, with 0, its client asked for it again, and is
    /// answered once peers know it.
    pub(in crate::broker) fn count_interest(&mut self, slot: u32, by: i8) {
        if self.cluster.is_none() {
            return;
        }
        let Some(subscription) = self.subscriptions.get(slot).copied() else { return };
        let Some(filter) = self.filter_of(slot) else { return };
        let here = self.session(subscription.session).is_some_and(|session| session.link != 0);
        let (online, offline) = if here || subscription.group == 0 { (by, 0) } else { (0, by) };
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.count(filter, online, offline, by >= 0);
        }
    }

    /// A session got a connection, or lost it: so did the groups that it is a member of.
    pub(in crate::broker) fn count_presence(&mut self, id: SessionId, here: bool) {
        if self.cluster.is_none() {
            return;
        }
        let mut next = self.session(id).map_or(0, |session| session.subscriptions);
        while let Some(slot) = next.checked_sub(1) {
            let Some(subscription) = self.subscriptions.get(slot).copied() else { return };
            next = subscription.next_of_session;
            if subscription.group == 0 {
                continue;
            }
            let (online, offline) = if here { (1, -1) } else { (-1, 1) };
            if let (Some(filter), Some(cluster)) =
                (self.filter_of(slot), self.cluster.as_deref_mut())
            {
                cluster.count(filter, online, offline, false);
            }
        }
    }

    /// Counts the subscriptions that were there before the peers.
    pub(super) fn count_interests(&mut self) {
        for slot in 0..u32::try_from(self.subscriptions.slots()).unwrap_or(u32::MAX) {
            self.count_interest(slot, 1);
        }
        self.begin_batch();
    }

    /// What is handled from now on waits for nothing yet.
    pub(in crate::broker) fn begin_batch(&mut self) {
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.current = Batch::NONE;
        }
    }

    /// What was handled has to wait for this.
    pub(in crate::broker) fn take_batch(&mut self) -> Batch {
        self.cluster
            .as_deref_mut()
            .map_or(Batch::NONE, |cluster| core::mem::take(&mut cluster.current))
    }

    /// Whether peers have confirmed a set.
    pub(in crate::broker) fn is_confirmed(&self, batch: Batch) -> bool {
        batch.is_none()
            || self.cluster.as_deref().is_none_or(|cluster| cluster.batches.is_settled(batch))
    }

    /// A connection waits for a set.
    pub(in crate::broker) fn await_batch(&mut self, batch: Batch, link: crate::broker::LinkId) {
        if let Some(cluster) = self.cluster.as_deref_mut() {
            cluster.batches.wait(batch, link);
        }
    }
}
