//! Shared subscriptions' groups: who is a member, and what waits for any of them.
//!
//! A group is a name with a filter; with another filter it is another group. In the chain of its
//! filter it stands in the place of its members, which have a chain of their own. A message that
//! goes to a member above QoS 0 stays an entry of the group for as long as it may still go to
//! another one; what becomes of entries, `sharing` decides.

use super::Broker;
use super::body::BodyId;
use super::counters::DropReason;
use super::record::Record;
use super::topic_tree::FilterId;
use crate::storage::{Arena, Full, Pool, Storage};
use crate::types::{QoS, TopicFilter};

/// One link of a filter's chain, from the place that says it, plus one: a subscription, or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanting {
    One(u32),
    Group(u32),
}

/// Marks a group in the place of a subscription.
const IS_GROUP: u32 = 1 << 31;

impl Wanting {
    pub(super) const fn read(link: u32) -> Option<Self> {
        match (link & IS_GROUP, (link & !IS_GROUP).checked_sub(1)) {
            (_, None) => None,
            (0, Some(slot)) => Some(Self::One(slot)),
            (_, Some(slot)) => Some(Self::Group(slot)),
        }
    }
}

const fn group_link(slot: u32) -> u32 {
    slot.saturating_add(1) | IS_GROUP
}

/// A shared subscription's group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// Its name, among the names of groups.
    name: u32,
    pub(super) node: FilterId,
    pub(super) next_of_filter: u32,
    pub(super) previous_of_filter: u32,
    /// Its first member: a subscription, plus one.
    pub(super) members: u32,
    /// What waits for a member, in order: the first and the last entry, plus one.
    first: u32,
    last: u32,
    /// What members have that may go to another one yet: the first of these entries, plus one.
    given: u32,
    /// How many entries wait, and how many bytes their messages have.
    pub(super) waiting: u32,
    pub(super) bytes: usize,
    /// The place of the entry that came last.
    places: u64,
    /// What records know it by; 0 as long as no session that is recorded was a member.
    pub(super) number: u64,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryState {
    /// It waits for a member, and holds its message.
    Waiting,
    /// A member has it; that delivery holds the message.
    Given,
    /// A peer is to have it, but has not confirmed it: it holds its message.
    #[cfg(feature = "alloc")]
    Handed,
}

/// A message of a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Whose, plus one; 0 if the group has ended.
    pub(super) group: u32,
    pub(super) next: u32,
    pub(super) previous: u32,
    pub(super) body: BodyId,
    /// Its place among all that ever came for the group.
    pub(super) place: u64,
    /// The ticket of the message; at QoS 2 it waits for that.
    pub(super) ticket: u32,
    /// How many bytes its message has.
    pub(super) len: u32,
    /// As it was published.
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) state: EntryState,
    /// Whether it is in the records of the group.
    pub(super) recorded: bool,
    /// Whether it belongs there though a member has it, as that member can be forgotten with it.
    pub(super) stays: bool,
    /// Whether it is taken back if its ticket is not kept.
    pub(super) revocable: bool,
}

impl Entry {
    pub(super) const fn new(body: BodyId, qos: QoS, retain: bool) -> Self {
        Self {
            group: 0,
            next: 0,
            previous: 0,
            body,
            place: 0,
            ticket: 0,
            len: 0,
            qos,
            retain,
            state: EntryState::Waiting,
            recorded: false,
            stays: false,
            revocable: false,
        }
    }
}

/// Groups and their members.
impl<S: Storage> Broker<S> {
    /// How many messages wait for a member of a shared subscription to have room, and how many
    /// bytes they have, topics and properties included.
    #[must_use]
    pub fn waiting_in_groups(&self) -> (usize, usize) {
        let slots = u32::try_from(self.shared.slots()).unwrap_or(u32::MAX);
        let groups = (0..slots).filter_map(|slot| self.shared.get(slot));
        let bytes = groups.fold(0_usize, |sum, group| sum.saturating_add(group.bytes));
        (self.waiting_entries, bytes)
    }

    pub(super) fn group_name(&self, slot: u32) -> &[u8] {
        self.shared.get(slot).map_or(&[], |group| self.group_names.get(group.name))
    }

    /// The group of this name with this filter.
    pub(super) fn group_at(&self, node: FilterId, name: &[u8]) -> Option<u32> {
        let mut next = self.filters.value(node);
        loop {
            next = match Wanting::read(next)? {
                Wanting::One(slot) => self.subscriptions.get(slot)?.next_of_filter,
                Wanting::Group(slot) if self.group_name(slot) == name => return Some(slot),
                Wanting::Group(slot) => self.shared.get(slot)?.next_of_filter,
            };
        }
    }

    /// The group of this whole filter, `$share/` included.
    pub(super) fn group_of(&self, filter: TopicFilter<'_>) -> Option<u32> {
        let name = filter.share_name()?;
        let node = self.filters.find(filter.inner().as_bytes())?;
        self.group_at(node, name.as_bytes())
    }

    /// The same, made if there is none, as yet without members.
    ///
    /// # Errors
    /// [`Full`]; then the filter may be without any subscription.
    pub(super) fn make_group(&mut self, node: FilterId, name: &[u8]) -> Result<u32, Full> {
        if let Some(slot) = self.group_at(node, name) {
            return Ok(slot);
        }
        let name = self.group_names.insert(&[name])?;
        let next_of_filter = self.filters.value(node);
        let group = Group {
            name,
            node,
            next_of_filter,
            previous_of_filter: 0,
            members: 0,
            first: 0,
            last: 0,
            given: 0,
            waiting: 0,
            bytes: 0,
            places: 0,
            number: 0,
        };
        let Ok(slot) = self.shared.insert(group) else {
            self.group_names.remove(name);
            return Err(Full);
        };
        self.set_previous(next_of_filter, group_link(slot));
        self.filters.set_value(node, group_link(slot));
        Ok(slot)
    }

    /// What comes before a link of a filter's chain, or of a group's.
    pub(super) fn set_previous(&mut self, link: u32, previous: u32) {
        if let Some((place, _)) = self.neighbours(link) {
            *place = previous;
        }
    }

    /// What comes behind a link of a filter's chain, or of a group's. Whether there is such a link.
    pub(super) fn set_next(&mut self, link: u32, next: u32) -> bool {
        let found = self.neighbours(link);
        found.map(|(_, place)| *place = next).is_some()
    }

    /// What comes before and behind a link of a chain.
    fn neighbours(&mut self, link: u32) -> Option<(&mut u32, &mut u32)> {
        match Wanting::read(link)? {
            Wanting::One(slot) => {
                let one = self.subscriptions.get_mut(slot)?;
                Some((&mut one.previous_of_filter, &mut one.next_of_filter))
            }
            Wanting::Group(slot) => {
                let group = self.shared.get_mut(slot)?;
                Some((&mut group.previous_of_filter, &mut group.next_of_filter))
            }
        }
    }

    /// A group without members ends, with all that waits for one: that goes to members at peers,
    /// if there are any.
    pub(super) fn end_group(&mut self, slot: u32) {
        self.hand_over(slot, true);
        while let Some(entry) = self.first_waiting(slot) {
            self.drop_entry(DropReason::SessionEnded, entry);
            self.end_entry(entry);
        }
        while let Some(at) = self.shared.get(slot).and_then(|group| group.given.checked_sub(1)) {
            self.unlink_entry(at);
            if let Some(entry) = self.entries.get_mut(at) {
                (entry.group, entry.recorded) = (0, false);
            }
        }
        let Some(old) = self.shared.remove(slot) else { return };
        self.record_session_gone(old.number);
        if !self.set_next(old.previous_of_filter, old.next_of_filter) {
            self.filters.set_value(old.node, old.next_of_filter);
        }
        self.set_previous(old.next_of_filter, old.previous_of_filter);
        self.group_names.remove(old.name);
        self.filters.prune(old.node);
    }

    /// Groups that records brought back, but none of their members.
    pub(super) fn end_empty_groups(&mut self) {
        for slot in 0..u32::try_from(self.shared.slots()).unwrap_or(u32::MAX) {
            if self.shared.get(slot).is_some_and(|group| group.members == 0) {
                self.end_group(slot);
            }
        }
    }

    /// A session that is recorded is a member: so is the group, from now on.
    pub(super) fn record_group(&mut self, slot: u32) {
        let Some(group) = self.shared.get(slot).filter(|_| self.journal.is_on()) else { return };
        if group.number == 0 {
            let number = self.next_number();
            if let Some(group) = self.shared.get_mut(slot) {
                group.number = number;
            }
            self.record_whole_group(slot);
        }
    }

    /// Records every group, for a store that was replaced.
    pub(super) fn record_groups(&mut self) {
        for slot in 0..u32::try_from(self.shared.slots()).unwrap_or(u32::MAX) {
            if self.shared.get(slot).is_some_and(|group| group.number != 0) {
                self.record_whole_group(slot);
            }
        }
    }

    fn record_whole_group(&mut self, slot: u32) {
        use crate::storage::Memory;
        let Some(group) = self.shared.get(slot).copied() else { return };
        let mut scratch = self.take_scratch();
        let len = self.whole_filter_len(&group);
        if scratch.resize(len).is_ok()
            && let Some(start) = self.write_shared_filter(slot, scratch.bytes_mut())
        {
            let filter = scratch.bytes().get(start..).unwrap_or_default();
            self.journal.add(&Record::Group { group: group.number, filter });
        }
        self.put_scratch(scratch);
        for chain in [group.first, group.given] {
            let mut next = chain;
            while let Some(at) = next.checked_sub(1) {
                let Some(entry) = self.entries.get(at).copied() else { break };
                next = entry.next;
                if entry.recorded || entry.stays || entry.state == EntryState::Waiting {
                    self.record_entry(at);
                }
            }
        }
    }

    pub(super) fn whole_filter_len(&self, group: &Group) -> usize {
        let name = self.group_names.get(group.name).len();
        let path = self.filters.path_len(group.node);
        path.saturating_add(name).saturating_add(b"$share//".len())
    }

    /// Records an entry as one of the group's.
    pub(super) fn record_entry(&mut self, at: u32) {
        let Some(entry) = self.entries.get(at).copied() else { return };
        let Some(number) = self.number_of_group(entry.group) else { return };
        if self.bodies.is_fleeting(entry.body) {
            return;
        }
        let body = self.record_body(entry.body);
        let (place, qos, retain) = (entry.place, entry.qos, entry.retain);
        self.journal.add(&Record::Queued { session: number, place, body, qos, retain, ids: &[] });
        if let Some(entry) = self.entries.get_mut(at) {
            entry.recorded = true;
        }
    }

    /// An entry is not the group's any more, as far as its records go. Whether it was.
    pub(super) fn unrecord_entry(&mut self, at: u32) -> bool {
        let Some(entry) = self.entries.get_mut(at) else { return false };
        let (group, place) = (entry.group, entry.place);
        if !core::mem::take(&mut entry.recorded) {
            return false;
        }
        let Some(session) = self.number_of_group(group) else { return false };
        self.journal.add(&Record::Settled { session, place });
        true
    }

    /// An entry is recorded with the session of the member that has it: the group's records need it
    /// no more.
    pub(super) fn leave_group_records(&mut self, at: u32) {
        if let Some(entry) = self.entries.get_mut(at) {
            entry.stays = false;
        }
        self.unrecord_entry(at);
    }

    /// What records know a group by, which is given by its place, plus one; if it is recorded.
    pub(super) fn number_of_group(&self, group: u32) -> Option<u64> {
        let group = self.shared.get(group.checked_sub(1)?)?;
        (group.number != 0 && self.journal.is_on()).then_some(group.number)
    }
}

/// Entries and their chains.
impl<S: Storage> Broker<S> {
    /// Keeps an entry of a group, which is given at once or else waits. Its place is the last, if
    /// it has none.
    ///
    /// # Errors
    /// [`Full`]
    pub(super) fn add_entry(&mut self, group: u32, entry: Entry) -> Result<u32, Full> {
        let owner = self.shared.get_mut(group).ok_or(Full)?;
        let place = match entry.place {
            0 => owner.places.saturating_add(1),
            place => place,
        };
        owner.places = owner.places.max(place);
        let entry = Entry { group: group.saturating_add(1), place, ..entry };
        let at = self.entries.insert(entry)?;
        match entry.state {
            EntryState::Waiting => self.link_waiting(at),
            _ => self.link_given(at),
        }
        Ok(at)
    }

    /// The first entry that waits.
    pub(super) fn first_waiting(&self, group: u32) -> Option<u32> {
        self.shared.get(group)?.first.checked_sub(1)
    }

    /// The entry that waits behind another.
    pub(super) fn next_waiting(&self, at: u32) -> Option<u32> {
        self.entries.get(at)?.next.checked_sub(1)
    }

    /// The entry that waits, and came last.
    pub(super) fn last_waiting(&self, group: u32) -> Option<u32> {
        self.shared.get(group)?.last.checked_sub(1)
    }

    /// The entry of a group at a place, wherever it is.
    pub(super) fn entry_at(&self, group: u32, place: u64) -> Option<u32> {
        let group = self.shared.get(group)?;
        [group.first, group.given].into_iter().find_map(|mut next| {
            loop {
                let at = next.checked_sub(1)?;
                let entry = self.entries.get(at)?;
                if entry.place == place {
                    return Some(at);
                }
                next = entry.next;
            }
        })
    }

    /// Among those that wait, at its place.
    fn link_waiting(&mut self, at: u32) {
        let Some(entry) = self.entries.get(at).copied() else { return };
        let Some(slot) = entry.group.checked_sub(1) else { return };
        let Some(group) = self.shared.get(slot).copied() else { return };
        let here = at.saturating_add(1);
        // Nearly always it is the last, or else among the first.
        let is_last = |last: &u32| {
            let last = last.checked_sub(1).and_then(|last| self.entries.get(last));
            last.is_none_or(|last| last.place < entry.place)
        };
        let (mut previous, mut next) = (group.last, 0);
        if !is_last(&previous) {
            (previous, next) = (0, group.first);
            while let Some(behind) = next.checked_sub(1).and_then(|at| self.entries.get(at))
                && behind.place < entry.place
            {
                (previous, next) = (next, behind.next);
            }
        }
        if let Some(entry) = self.entries.get_mut(at) {
            (entry.next, entry.previous) = (next, previous);
        }
        let Some(group) = self.shared.get_mut(slot) else { return };
        group.waiting = group.waiting.saturating_add(1);
        group.bytes = group.bytes.saturating_add(entry.len as usize);
        self.waiting_entries = self.waiting_entries.saturating_add(1);
        match previous.checked_sub(1).and_then(|at| self.entries.get_mut(at)) {
            Some(previous) => previous.next = here,
            None => group.first = here,
        }
        match next.checked_sub(1).and_then(|at| self.entries.get_mut(at)) {
            Some(next) => next.previous = here,
            None => group.last = here,
        }
    }

    fn link_given(&mut self, at: u32) {
        let Some(slot) = self.entries.get(at).and_then(|entry| entry.group.checked_sub(1)) else {
            return;
        };
        let Some(group) = self.shared.get_mut(slot) else { return };
        let next = core::mem::replace(&mut group.given, at.saturating_add(1));
        if let Some(entry) = self.entries.get_mut(at) {
            (entry.next, entry.previous) = (next, 0);
        }
        if let Some(next) = next.checked_sub(1).and_then(|next| self.entries.get_mut(next)) {
            next.previous = at.saturating_add(1);
        }
    }

    /// Takes an entry out of the chain that it is in.
    fn unlink_entry(&mut self, at: u32) {
        let Some(entry) = self.entries.get(at).copied() else { return };
        let Some(slot) = entry.group.checked_sub(1) else { return };
        let Some(group) = self.shared.get_mut(slot) else { return };
        let waits = entry.state == EntryState::Waiting;
        if waits {
            group.waiting = group.waiting.saturating_sub(1);
            group.bytes = group.bytes.saturating_sub(entry.len as usize);
            self.waiting_entries = self.waiting_entries.saturating_sub(1);
        }
        match entry.previous.checked_sub(1).and_then(|at| self.entries.get_mut(at)) {
            Some(previous) => previous.next = entry.next,
            None if waits => group.first = entry.next,
            None => group.given = entry.next,
        }
        match entry.next.checked_sub(1).and_then(|at| self.entries.get_mut(at)) {
            Some(next) => next.previous = entry.previous,
            None if waits => group.last = entry.previous,
            None => {}
        }
    }

    /// An entry is somewhere else from now on.
    pub(super) fn move_entry(&mut self, at: u32, state: EntryState) {
        self.unlink_entry(at);
        if let Some(entry) = self.entries.get_mut(at) {
            entry.state = state;
        }
        match state {
            EntryState::Waiting => self.link_waiting(at),
            _ => self.link_given(at),
        }
    }

    /// An entry is over: it goes to nobody any more.
    pub(super) fn end_entry(&mut self, at: u32) {
        self.unrecord_entry(at);
        self.unlink_entry(at);
        if let Some(old) = self.entries.remove(at)
            && old.state != EntryState::Given
        {
            self.release_body(old.body);
        }
    }
}
