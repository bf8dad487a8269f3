//! Who is to get a message: worked out from the subscriptions that the broker has taken.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Oracle;
use super::message::{Message, State};
use super::session::{Cause, Copy, Due, Name};
use super::waiting::{Shared, Waiting};

/// A filter, and whoever has it.
#[derive(Debug)]
pub(super) struct Filter {
    /// The group's name, if it is shared.
    pub(super) group: Option<Vec<u8>>,
    pub(super) inner: Vec<u8>,
    pub(super) members: BTreeSet<usize>,
    /// What waits for any member of the group.
    pub(super) waiting: Waiting,
}

impl Filter {
    /// A member is gone; with the last one, all that waits.
    pub(super) fn lose_member(&mut self, at: usize) {
        self.members.remove(&at);
        if self.members.is_empty() {
            self.waiting.doubt();
        }
    }
}

/// Topics and filters by their numbers.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) topics: Vec<Vec<u8>>,
    topic_numbers: HashMap<Vec<u8>, Name>,
    pub(super) filters: Vec<Filter>,
    filter_numbers: HashMap<Vec<u8>, Name>,
    /// Which filters match each topic, of those that there were when it was worked out.
    matching: Vec<(usize, Vec<Name>)>,
}

/// Whether a filter matches a topic [MQTT5-4.7.2-1].
pub(super) fn matches(filter: &[u8], topic: &[u8]) -> bool {
    let mut filter = filter.split(|byte| *byte == b'/');
    let mut topic = topic.split(|byte| *byte == b'/');
    let mut is_first = true;
    loop {
        let (wanted, level) = (filter.next(), topic.next());
        let is_wild = wanted == Some(b"#") || wanted == Some(b"+");
        if is_first && is_wild && level.is_some_and(|level| level.starts_with(b"$")) {
            return false;
        }
        is_first = false;
        match (wanted, level) {
            (Some(b"#"), _) | (None, None) => return true,
            (Some(wanted), Some(level)) if wanted == b"+" || wanted == level => {}
            _ => return false,
        }
    }
}

impl Names {
    pub(super) fn topic(&mut self, topic: &[u8]) -> Name {
        if let Some(number) = self.topic_numbers.get(topic) {
            return *number;
        }
        self.topics.push(topic.to_vec());
        self.matching.push((0, Vec::new()));
        self.topic_numbers.insert(topic.to_vec(), self.topics.len() - 1);
        self.topics.len() - 1
    }

    pub(super) fn filter(&mut self, filter: &[u8]) -> Name {
        if let Some(number) = self.filter_numbers.get(filter) {
            return *number;
        }
        let (group, inner) = match filter.strip_prefix(b"$share/") {
            Some(rest) => {
                let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
                (Some(rest[..end].to_vec()), rest.get(end + 1..).unwrap_or_default().to_vec())
            }
            None => (None, filter.to_vec()),
        };
        let (members, waiting) = (BTreeSet::new(), Waiting::default());
        self.filters.push(Filter { group, inner, members, waiting });
        self.filter_numbers.insert(filter.to_vec(), self.filters.len() - 1);
        self.filters.len() - 1
    }

    /// A copy may have come through one of these groups.
    pub(super) fn doubt(&mut self, groups: &BTreeSet<Name>, number: u64) {
        for name in groups {
            let shared = self.filters[*name].waiting.get_mut(number);
            if let Some(shared) = shared.filter(|shared| shared.sent.is_none()) {
                shared.doubt(true);
            }
        }
    }

    /// Nobody knows any more through which group a copy comes.
    pub(super) fn confuse(&mut self, group: Name, number: u64) {
        if let Some(shared) = self.filters[group].waiting.get_mut(number) {
            shared.loose = true;
            shared.doubt(true);
        }
    }

    /// The filters that match a topic.
    pub(super) fn matching(&mut self, topic: Name) -> Vec<Name> {
        let (known, found) = &mut self.matching[topic];
        for number in *known..self.filters.len() {
            if matches(&self.filters[number].inner, &self.topics[topic]) {
                found.push(number);
            }
        }
        *known = self.filters.len();
        found.clone()
    }
}

impl Oracle {
    /// A message was taken: everybody who wants it is to get it. How many they are, and whether
    /// something of it is kept.
    pub(super) fn route(&mut self, number: u64, message: &Message) -> (usize, bool) {
        if message.retain {
            self.retain(Some(number), message.topic);
        }
        let mut copies: BTreeMap<usize, Copy> = BTreeMap::new();
        let (mut targets, mut kept) = (0, message.retain && self.options.store);
        let matching = self.names.matching(message.topic);
        for name in matching.iter().copied() {
            if self.names.filters[name].group.is_some() {
                kept |= self.route_to_group(name, number, message, &matching);
                targets += usize::from(!self.names.filters[name].members.is_empty());
                continue;
            }
            for at in self.names.filters[name].members.clone() {
                let sub = &self.sessions[at].subs[&name];
                if sub.no_local && message.publisher == at {
                    continue;
                }
                let copy = copies.entry(at).or_insert(Copy {
                    number,
                    pos: self.pos,
                    qos: 0,
                    retain: false,
                    ids: Vec::new(),
                    certain: true,
                    optional: Some(Cause::Loss),
                    again: false,
                    expires: message.expires,
                });
                copy.qos = copy.qos.max(sub.qos);
                copy.retain |= sub.as_published && message.retain;
                copy.ids.extend((sub.id != 0).then_some(sub.id));
                copy.certain &= !sub.vague;
                if !sub.vague {
                    copy.optional = None;
                }
            }
        }
        targets += copies.len();
        for (at, mut copy) in copies {
            copy.qos = copy.qos.min(message.qos);
            copy.ids.sort_unstable();
            let may_be_kept = copy.qos != 0 && copy.certain && self.is_kept(at);
            kept |= self.owe(at, copy, message) && may_be_kept;
        }
        (targets, kept)
    }

    /// Whether what a session has is kept by a store.
    pub(super) fn is_kept(&self, at: usize) -> bool {
        let session = &self.sessions[at];
        self.options.store && session.expiry_secs != 0 && !session.vague
    }

    /// How many messages may wait in a session's queue.
    fn load(&self, at: usize) -> usize {
        let session = &self.sessions[at];
        let filters = session.subs.keys().map(|name| &self.names.filters[*name].waiting);
        // What was settled in between keeps its place.
        let span = match (session.flights.front(), session.flights.back()) {
            (Some(first), Some(last)) => usize::from(last.id.wrapping_sub(first.id)) + 1,
            _ => 0,
        };
        let waiting = session.waiting + session.nameless + session.ghosts.len();
        let shared = filters.map(Waiting::open).sum::<usize>();
        waiting + span.max(session.flights.len()) + session.dues + shared
    }

    /// A session's queue is full: whatever waits for it may be dropped.
    fn press(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        session.pressed = true;
        session.doubt(Cause::Queue);
    }

    /// Whether a message on this topic may come though nobody knows why: the session is odd, or one
    /// was in a group before that is.
    pub(super) fn may_be_left(&self, at: usize, topic: Name) -> bool {
        let topic = &self.names.topics[topic];
        let session = &self.sessions[at];
        let mut groups = session.groups.iter().map(|name| &self.names.filters[*name].inner);
        session.vague
            || groups.any(|inner| matches(inner, topic))
                && self.sessions.iter().any(|one| one.vague)
    }

    /// A message that can't be told from others is on its way to whoever wants it.
    pub(super) fn route_nameless(&mut self, topic: Name) {
        self.nameless = true;
        let matching = self.names.matching(topic).into_iter();
        let members = matching.flat_map(|name| self.names.filters[name].members.iter());
        for at in members.copied().collect::<BTreeSet<_>>() {
            self.sessions[at].nameless += 1;
        }
    }

    /// Whether it is sure to be queued.
    fn owe(&mut self, at: usize, mut copy: Copy, message: &Message) -> bool {
        let (limit, keeps) = (self.options.queue, self.options.queue_qos0);
        let load = self.load(at);
        let session = &mut self.sessions[at];
        let key = (message.publisher, message.topic);
        if message.qos == 2 && message.first != message.pos {
            // Taken anew, as nobody knows whether it was kept: still once.
            let waiting = session.pending.get_mut(&key).into_iter().flatten();
            let mut waiting = waiting.filter(|other| other.number == copy.number);
            if let Some(other) = waiting.next() {
                other.optional = None;
                session.doubted = false;
                return false;
            }
            if message.given.contains(&at) {
                if copy.qos == 2 {
                    return false;
                }
                copy.optional = Some(Cause::Loss);
            }
        }
        if copy.qos == 0 && session.link.is_none() && !keeps {
            if self.lag_ms == 0 {
                self.counts.absent_qos0 += 1;
                return false;
            }
            copy.optional = Some(Cause::Loss); // it may be back when the message arrives
        }
        if load >= limit {
            self.press(at);
        }
        let session = &mut self.sessions[at];
        if session.pressed || session.ends_at.is_some_and(|when| when <= self.now) {
            copy.optional.get_or_insert(Cause::Queue);
        }
        if self.parted {
            copy.optional.get_or_insert(Cause::Peer);
        }
        if message.state == State::Unsure {
            copy.optional.get_or_insert(Cause::Loss);
        }
        session.waiting += 1;
        let is_sure = copy.optional.is_none();
        session.doubted &= !is_sure;
        session.pending.entry(key).or_default().push_back(copy);
        is_sure
    }

    /// The smallest packet that is the largest for any member.
    pub(super) fn least_of(&self, name: Name) -> usize {
        let members = self.names.filters[name].members.iter();
        members.map(|at| self.sessions[*at].max_packet).min().unwrap_or(usize::MAX)
    }

    /// Whether it is kept for the group.
    fn route_to_group(
        &mut self,
        name: Name,
        number: u64,
        message: &Message,
        matching: &[Name],
    ) -> bool {
        let others = matching.iter().filter(|other| **other != name);
        let others: Vec<Name> = others.copied().collect();
        let confuses = |at: &usize, other: &Name| {
            let session = &self.sessions[*at];
            session.groups.contains(other) || session.subs.get(other).is_some_and(|sub| sub.vague)
        };
        let members = self.names.filters[name].members.iter();
        let loose = members.clone().any(|at| others.iter().any(|other| confuses(at, other)));
        let members = &self.names.filters[name].members;
        let subs = members.iter().map(|at| &self.sessions[*at]);
        let sure = subs.clone().filter(|session| !session.vague).map(|one| &one.subs[&name]);
        let sure = sure.filter(|sub| !sub.vague).map(|sub| sub.qos.min(message.qos));
        let qos = message.qos; // who comes later may be granted more
        if subs.count() == 0 {
            return false;
        }
        let lossy = self.parted || self.joined && sure.clone().any(|qos| qos == 0);
        let optional = lossy || sure.max().is_none_or(|most| most == 0);
        let waiting = &mut self.names.filters[name].waiting;
        let full = waiting.open() >= self.options.queue;
        if full {
            waiting.doubt();
        }
        let members = &self.names.filters[name].members;
        let optional = optional || full || loose;
        // Of members that are forgotten, the group remembers what they got at QoS 1.
        let sure = |at: &usize| match self.sessions[*at].subs[&name].qos.min(message.qos) {
            0 => false,
            1 => true,
            _ => self.is_kept(*at),
        };
        let any = members.iter().any(|at| self.is_kept(*at));
        let kept = !optional && any && members.iter().all(sure);
        let least = self.least_of(name);
        let waiting = &mut self.names.filters[name].waiting;
        let known = waiting.get(number).is_some_and(|shared| !shared.is_done());
        if !known {
            waiting.insert(number, Shared::new(qos, optional, loose, least));
        }
        let shared = waiting.get_mut(number).expect("it is here");
        shared.qos = shared.qos.max(qos);
        if message.qos == 2 && known {
            waiting.set_optional(number, optional);
        } else {
            shared.more += usize::from(known);
        }
        kept
    }

    /// What a topic retains from now on.
    pub(super) fn retain(&mut self, number: Option<u64>, topic: Name) {
        let pos = self.pos;
        let entry = self.retained.entry(topic).or_default();
        // Of two at the same moment, nobody knows which was the last: wills may be.
        let tie = entry.values.last().is_some_and(|(_, at)| *at == pos);
        for (old, _) in entry.values.iter().filter(|_| !tie) {
            if let Some(message) = old.and_then(|old| self.messages.get_mut(&old))
                && let Some((from, until)) = message.kept
            {
                message.kept = Some((from, until.min(pos)));
            }
        }
        entry.values.push((number, pos));
        let durable = self.durable;
        if !tie {
            let first = entry.values.iter().rposition(|(_, pos)| *pos <= durable);
            entry.values.drain(..first.unwrap_or(0));
        }
        entry.forked = tie || self.parted;
        for at in std::mem::take(&mut entry.wanted) {
            for due in self.sessions[at].due.get_mut(&topic).into_iter().flatten() {
                due.optional = true; // the live path overtakes it
            }
        }
        if let Some(number) = number
            && let Some(message) = self.messages.get_mut(&number)
        {
            message.kept = Some((pos, u64::MAX));
        }
    }

    /// A session subscribed: it is to get what is retained.
    pub(super) fn owe_retained(&mut self, at: usize, filter: Name) {
        let sub = self.sessions[at].subs[&filter].clone();
        let mut load = self.load(at);
        let inner = self.names.filters[filter].inner.clone();
        for (topic, retained) in &mut self.retained {
            let Some((value, _)) = retained.values.last() else { continue };
            if value.is_none() && !retained.forked || !matches(&inner, &self.names.topics[*topic]) {
                continue;
            }
            let message = value.and_then(|value| self.messages.get(&value));
            let own = message.filter(|message| message.publisher == at);
            if sub.no_local && own.is_some() {
                continue; // be it of an earlier session of the same client
            }
            retained.wanted.push(at);
            load += 1;
            let expired = |message: &Message| message.expires.is_some_and(|when| when <= self.now);
            let due = Due {
                filter,
                qos: sub.qos,
                id: sub.id,
                pos: self.pos,
                optional: retained.forked || message.is_none_or(expired),
                replaced: false,
                again: false,
            };
            let session = &mut self.sessions[at];
            session.due.entry(*topic).or_default().push(due);
            (session.dues, session.doubted) = (session.dues + 1, false);
        }
        if load >= self.options.queue {
            self.press(at);
        }
    }

    /// A session ends, or is over for all that anybody knows.
    pub(super) fn leave_all(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        let flights = std::mem::take(&mut session.flights);
        for name in std::mem::take(&mut session.subs).into_keys() {
            self.names.filters[name].lose_member(at);
        }
        for flight in flights {
            let Some(group) = flight.group else { continue };
            let waiting = &mut self.names.filters[group].waiting;
            if flight.qos == 2 {
                waiting.remove(flight.number); // [MQTT5-4.8.2-5]
            } else if let Some(shared) = waiting.get_mut(flight.number) {
                shared.sent = None;
                // It ends with a session that was elsewhere before, or has no other member here.
                shared.doubt(self.joined);
            }
        }
    }
}
