//! A message leaves for a client: whether it is one that is due, and due now.

use std::collections::VecDeque;

use tamtam_core::Instant;

use super::message::{State, number_of};
use super::session::{Cause, Copy, Due, Flight, Session, Stage};
use super::waiting::Shared;
use super::{Oracle, Verdict};
use crate::wire::{Prop, Publish, id};

/// How a copy was due.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claim {
    pub(super) group: Option<usize>,
    pub(super) born: u64,
    /// Whether DUP says nothing.
    pub(super) again: bool,
    pub(super) expires: Option<Instant>,
}

fn ids_of(publish: &Publish) -> Vec<u32> {
    let ids = publish.props.0.iter().filter(|(id, _)| *id == id::SUBSCRIPTION_ID);
    let mut ids: Vec<u32> = ids
        .filter_map(|(_, prop)| match prop {
            Prop::Number(number) => Some(*number),
            _ => None,
        })
        .collect();
    ids.sort_unstable();
    ids
}

impl Oracle {
    pub(super) fn deliver(&mut self, line: usize, publish: &Publish) -> Verdict {
        let link = self.links.get_mut(&line).expect("it is here");
        let topic = link.resolve_out(publish)?;
        let (session, hostile) = (link.session, link.hostile);
        let v5 = link.version.is_v5();
        let topic = self.names.topic(&topic);
        let is_it = |number: &u64| {
            let message = self.messages.get(number);
            !self.nameless || message.is_some_and(|message| message.is_in(publish, topic, v5))
        };
        let number = number_of(&publish.payload).filter(is_it).unwrap_or(0);
        if number == 0 {
            let known = self.nameless;
            known.then_some(()).ok_or_else(|| format!("{publish:?} out of nowhere"))?;
        } else {
            self.check_content(line, topic, number, publish)?;
        }
        let Some(at) = session.filter(|_| !hostile) else { return Ok(()) };
        if self.sessions[at].link != Some(line) {
            // It may have been on its way when the connection ended, or that was not known here.
            let since = self.links[&line].lost.map(|when| self.now.millis_since(when));
            if !self.parted && since.is_none_or(|since| since > 3 * self.lag_ms) {
                return Err(format!("{publish:?} on a connection that is over"));
            }
            if publish.qos == 0 || !self.sessions[at].exists {
                self.names.doubt(&self.sessions[at].groups, number); // one of them gave it, perhaps
                return Ok(());
            }
        }
        let session = &mut self.sessions[at];
        if session.vague && session.flight(publish.id).is_some_and(|one| one.number != number) {
            session.take_flight(publish.id); // there may be another session of this name
        }
        if publish.qos > 0 && session.flight(publish.id).is_some() {
            self.counts.repeats += 1;
            return self.deliver_again(line, at, number, publish);
        }
        self.counts.deliveries += 1;
        let claim = if number == 0 {
            self.sessions[at].nameless = self.sessions[at].nameless.saturating_sub(1);
            Claim { again: true, ..Claim::default() }
        } else {
            // A broker that has not heard that the session is elsewhere goes by what it had.
            let elsewhere = self.lag_ms != 0 && self.sessions[at].link != Some(line);
            let claim = match self.claim(at, topic, number, publish) {
                Err(_) if elsewhere => return Ok(()),
                claim => claim?,
            };
            if self.log.is_verbose() {
                self.log.remark(self.now, &format!("line {line}, m{number}: {claim:?}"));
            }
            self.check_expiry(line, &claim, publish)?;
            claim
        };
        if publish.qos > 0 {
            self.check_window(line, at, publish, claim.again)?;
        }
        if publish.dup && !claim.again && !self.sessions[at].vague {
            return Err(format!("{publish:?}: DUP though it was never sent"));
        }
        if publish.qos == 2 && claim.born > self.durable && self.is_kept(at) {
            return Err(format!("{publish:?} before it is kept"));
        }
        self.note_flight(line, at, number, publish, &claim);
        Ok(())
    }

    /// It is on its way now, or was settled by leaving.
    fn note_flight(
        &mut self,
        line: usize,
        at: usize,
        number: u64,
        publish: &Publish,
        claim: &Claim,
    ) {
        if publish.qos == 0 && self.options.store && claim.group.is_some() {
            // What a group's queue gave is recorded no sooner than anything else that is settled.
            let (id, qos, stage, link) = (0, 0, Stage::Sent, line);
            let (pos, born, group) = (0, claim.born, claim.group);
            let flight = Flight { id, number, qos, stage, link, pos, born, group };
            self.unkept.push_back((self.pos, super::Unkept::Settled(at, flight)));
        }
        if publish.qos > 0 {
            let (id, qos, group, born) = (publish.id, publish.qos, claim.group, claim.born);
            let (stage, link, pos) = (Stage::Sent, line, 0);
            let flight = Flight { id, number, qos, stage, link, pos, born, group };
            // What a crash made the broker forget comes in between what it remembers.
            let flights = &mut self.sessions[at].flights;
            let late = |flight: &Flight| flight.stage == Stage::Sent && flight.link != line;
            let place = flights.iter().position(late).unwrap_or(flights.len());
            flights.insert(place, flight);
        }
    }

    fn check_content(&self, line: usize, topic: usize, number: u64, publish: &Publish) -> Verdict {
        let v5 = self.links[&line].version.is_v5();
        let message = self.messages.get(&number);
        let message = message.ok_or_else(|| format!("{publish:?} out of nowhere"))?;
        if !message.is_in(publish, topic, v5) {
            return Err(format!("{publish:?} is not what was published: {message:?}"));
        }
        if publish.qos > message.qos {
            return Err(format!("{publish:?} was published at QoS {}", message.qos));
        }
        match message.state {
            State::Armed => Err(format!("{publish:?}: a will that is not due")),
            State::Cancelled => Err(format!("{publish:?}: a will that was cancelled")),
            _ => Ok(()),
        }
    }

    /// A message that was sent before, and is not settled [MQTT5-4.4.0-1, MQTT5-4.6.0-1].
    fn deliver_again(&mut self, line: usize, at: usize, number: u64, publish: &Publish) -> Verdict {
        let session = &mut self.sessions[at];
        let place = session.flights.iter().position(|flight| flight.id == publish.id);
        let place = place.expect("it is here");
        let earlier = session.flights.iter().take(place);
        let owed = |flight: &&Flight| flight.stage == Stage::Sent && flight.link != line;
        let before = earlier.filter(|flight| flight.link != line).find(owed).map(|one| one.id);
        let flight = &mut session.flights[place];
        if flight.number != number || flight.qos != publish.qos {
            return Err(format!("{publish:?}: its identifier is in use for {flight:?}"));
        }
        if matches!(flight.stage, Stage::Received | Stage::Released) {
            return Err(format!("{publish:?} behind its PUBREC"));
        }
        if flight.link == line {
            return Err(format!("{publish:?} again on the same connection"));
        }
        (flight.link, flight.stage) = (line, Stage::Sent);
        if !publish.dup {
            return Err(format!("{publish:?} again without DUP"));
        }
        match before {
            Some(id) => Err(format!("{publish:?} again before {id}")),
            None => self.check_occupied(line, at, publish, 0),
        }
    }

    fn claim(
        &mut self,
        at: usize,
        topic: usize,
        number: u64,
        publish: &Publish,
    ) -> Result<Claim, String> {
        if let Some(claim) = self.claim_live(at, number, publish, true)? {
            return Ok(claim);
        }
        if publish.retain
            && let Some(claim) = self.claim_retained(at, topic, number, publish)?
        {
            return Ok(claim);
        }
        let shared = self.claim_shared(at, topic, number, publish);
        if let Ok(Some(claim)) = shared {
            return Ok(claim);
        }
        if let Some(claim) = self.claim_live(at, number, publish, false)? {
            return Ok(claim);
        }
        let session = &mut self.sessions[at];
        let is_it = |ghost: &Flight| ghost.number == number && ghost.qos == publish.qos;
        if let Some(ghost) = session.ghosts.iter().position(is_it) {
            let ghost = session.ghosts.remove(ghost);
            if ghost.qos < 2 {
                let expires = self.messages[&number].expires;
                return Ok(Claim { again: true, born: 0, group: ghost.group, expires });
            }
        }
        let odd = self.may_be_left(at, topic);
        let message = self.messages.get_mut(&number).expect("it is here");
        let anew = publish.qos < 2 || !message.given.contains(&at);
        if odd || message.state == State::Unsure && anew {
            message.given.push(at);
            return Ok(Claim { again: true, expires: message.expires, ..Claim::default() });
        }
        shared?;
        let (session, message) = (&self.sessions[at], &self.messages[&number]);
        let twice = message.given.contains(&at);
        let subs = session.subs.iter().map(|(name, sub)| {
            let filter = &self.names.filters[*name];
            let group = filter.group.as_ref().map(|group| String::from_utf8_lossy(group));
            let waiting = filter.waiting.get(number);
            let inner = String::from_utf8_lossy(&filter.inner);
            format!("{group:?} {inner} {sub:?} {waiting:?}")
        });
        let subs: Vec<_> = subs.collect();
        let what = if twice { "comes twice" } else { "is not for this client" };
        let waiting = session.pending.get(&(message.publisher, message.topic));
        Err(format!("{publish:?} {what}; {message:?}, subscribed to {subs:#?}, waits: {waiting:?}"))
    }

    /// A copy for a subscription of the session's own; `sure` is whether it is known for sure that
    /// there is one.
    fn claim_live(
        &mut self,
        at: usize,
        number: u64,
        publish: &Publish,
        sure: bool,
    ) -> Result<Option<Claim>, String> {
        let message = &self.messages[&number];
        let (key, retain, taken) =
            ((message.publisher, message.topic), message.retain, message.first);
        let session = &mut self.sessions[at];
        let Some(copies) = session.pending.get_mut(&key) else { return Ok(None) };
        let ids = ids_of(publish);
        let link = session.link.and_then(|line| self.links.get(&line));
        let v5 = link.is_some_and(|link| link.version.is_v5());
        let most = link.map_or(usize::MAX, |link| link.max_packet);
        let fits = |copy: &Copy| {
            let exact = copy.qos == publish.qos && copy.retain == publish.retain;
            copy.number == number
                && (!sure || copy.again || copy.certain && !publish.dup)
                && (!copy.certain || exact && (!v5 || copy.ids == ids))
        };
        // Of a message that was taken twice, one copy may be missing, and they expire differently.
        let (now, told) = (self.now, publish.props.number(id::MESSAGE_EXPIRY));
        let left = |when: Instant| when.millis_since(now).div_ceil(1_000);
        let on_time = |copy: &Copy| match v5 {
            true => copy.expires.map(left) == told.map(u64::from),
            false => copy.expires.is_none_or(|when| when > now),
        };
        let place = copies.iter().position(|copy| fits(copy) && on_time(copy));
        let place = place.or_else(|| copies.iter().position(fits));
        let Some(place) = place else { return Ok(None) };
        let copy = copies.remove(place).expect("it is here");
        if copy.optional.is_some() {
            pass_doubt_on(copies, &copy);
            self.names.doubt(&session.groups, number); // it may have come through one of them
        }
        let overtaken = overtake(copies, place, publish);
        let (skipped, mut missing) = (overtaken.len(), None);
        for copy in overtaken {
            let message = self.messages.get(&copy.number);
            if !session.vague && !self.counts.excuse(&copy, message, most, now) {
                missing.get_or_insert(copy.number);
            }
        }
        if copies.is_empty() {
            session.pending.remove(&key);
        }
        session.drop_waiting(1 + skipped);
        let message = self.messages.get_mut(&number).expect("it is here");
        if !message.given.contains(&at) {
            message.given.push(at);
        }
        let last = session.last.insert((key.0, key.1, publish.qos), copy.pos);
        if last.is_some_and(|last| last > copy.pos) && !copy.again {
            return Err(format!("{publish:?} behind a later one"));
        }
        if retain {
            session.last_live.insert(key.1, taken);
            let dues = session.due.get_mut(&key.1).into_iter().flatten();
            dues.for_each(|due| due.optional = true); // overtaken
        }
        match missing {
            Some(missing) => Err(format!("{publish:?} though m{missing} before it never came")),
            None => {
                let (born, again, expires) = (copy.pos, copy.again, copy.expires);
                Ok(Some(Claim { group: None, born, again, expires }))
            }
        }
    }

    /// What a topic retains, for a session that subscribed.
    fn claim_retained(
        &mut self,
        at: usize,
        topic: usize,
        number: u64,
        publish: &Publish,
    ) -> Result<Option<Claim>, String> {
        let session = &mut self.sessions[at];
        let Some(dues) = session.due.get_mut(&topic) else { return Ok(None) };
        let message = &self.messages[&number];
        let forked = self.retained.get(&topic).is_some_and(|retained| retained.forked);
        let v5 = session.link.is_some_and(|line| self.links[&line].version.is_v5());
        let ids = ids_of(publish);
        let kept = message.kept.unwrap_or_default(); // it may have been taken twice
        let fits = |due: &Due| {
            let told: &[u32] = if due.id == 0 { &[] } else { &[due.id] };
            (forked || kept.1 > due.pos)
                && (due.replaced || publish.qos == message.qos.min(due.qos))
                && (due.replaced || !v5 || ids == told)
        };
        let sure = dues.iter().position(|due| fits(due) && !due.optional);
        let Some(place) = sure.or_else(|| dues.iter().position(fits)) else { return Ok(None) };
        let due = dues.remove(place);
        session.dues -= 1;
        if dues.is_empty() {
            session.due.remove(&topic);
        }
        let last = session.last_live.get(&topic);
        let overtaken = last.is_some_and(|last| *last > kept.0.max(message.first));
        if overtaken && !forked && !due.again {
            return Err(format!("{publish:?} was retained before what came last"));
        }
        let (born, again, expires) = (due.pos.min(self.durable), due.again, message.expires);
        Ok(Some(Claim { group: None, born, again, expires }))
    }

    /// A copy through a group: for one of its members [MQTT5-4.8.2-4, MQTT5-4.8.2-5].
    fn claim_shared(
        &mut self,
        at: usize,
        topic: usize,
        number: u64,
        publish: &Publish,
    ) -> Result<Option<Claim>, String> {
        let mut elsewhere = None;
        let names = self.groups_for(at, topic, number, publish);
        for name in names.iter().copied() {
            let filter = &mut self.names.filters[name];
            let Some(shared) = filter.waiting.get_mut(number) else { continue };
            if publish.qos > shared.qos || !self.sessions[at].groups.contains(&name) {
                continue;
            }
            if shared.sent.is_some() && shared.more > 0 {
                (shared.more, shared.sent) = (shared.more - 1, None);
            }
            if shared.sent == Some(at) && shared.is_done() && !shared.loose {
                continue;
            }
            if let Some(other) = shared.sent
                && (other != at || publish.qos == 2)
                && !shared.loose
            {
                elsewhere = Some((other, name));
                continue;
            }
            filter.waiting.give(number, at, false);
            let again = self.sessions[at].changed != 0 && self.options.store;
            if publish.qos == 0 {
                filter.waiting.settle(number);
            }
            let message = self.messages.get_mut(&number).expect("it is here");
            let (born, expires) = (message.pos, message.expires);
            return Ok(Some(Claim { group: Some(name), born, again, expires }));
        }
        match elsewhere {
            Some((other, taken)) if self.give_way(other, taken, &names, number) => {
                self.names.filters[taken].waiting.give(number, at, publish.qos == 0);
                let message = &self.messages[&number];
                let (born, expires) = (message.pos, message.expires);
                let again = self.options.store;
                Ok(Some(Claim { group: Some(taken), born, again, expires }))
            }
            Some((other, _)) => {
                let other = String::from_utf8_lossy(&self.sessions[other].name);
                Err(format!("{publish:?} went to another member of its group: {other}"))
            }
            None => Ok(None),
        }
    }
}

impl Oracle {
    /// The filters that a copy may have come through: first those of the session that it fits, as
    /// it may have left the others meanwhile, or changed; among those, the ones that nobody got.
    fn groups_for(
        &mut self,
        at: usize,
        topic: usize,
        number: u64,
        publish: &Publish,
    ) -> Vec<usize> {
        let mut names = self.names.matching(topic);
        let session = &self.sessions[at];
        let v5 = session.link.is_some_and(|line| self.links[&line].version.is_v5());
        let (most, ids) = (self.messages[&number].qos, ids_of(publish));
        let fits = |name: &usize| {
            session.subs.get(name).is_some_and(|sub| {
                let told: &[u32] = if sub.id == 0 { &[] } else { &[sub.id] };
                publish.qos == sub.qos.min(most) && (!v5 || ids == told)
            })
        };
        let got = |name: &usize| {
            let waiting = &self.names.filters[*name].waiting;
            waiting.get(number).is_some_and(|shared| shared.sent.is_some())
        };
        names.sort_by_key(|name| (!fits(name), got(name)));
        names
    }

    /// What a session got through one group may have come through another, that nobody got it
    /// through yet.
    fn give_way(&mut self, other: usize, taken: usize, names: &[usize], number: u64) -> bool {
        let is_free = |name: &&usize| {
            let waiting = self.names.filters[**name].waiting.get(number);
            waiting.is_some_and(|shared| shared.sent.is_none())
                && self.sessions[other].groups.contains(*name)
        };
        let Some(free) = names.iter().find(is_free).copied() else { return false };
        let done = self.names.filters[taken].waiting.get(number).is_some_and(Shared::is_done);
        self.names.filters[free].waiting.give(number, other, done);
        for flight in &mut self.sessions[other].flights {
            if flight.number == number && flight.group == Some(taken) {
                flight.group = Some(free);
            }
        }
        true
    }
}

impl Session {
    /// The copies that are to come and have not.
    pub(super) fn owed(&self) -> impl Iterator<Item = &Copy> {
        self.pending.values().flatten()
    }
}

/// Takes out the copies in front of a place that had to come before this one.
fn overtake(copies: &mut VecDeque<Copy>, place: usize, publish: &Publish) -> Vec<Copy> {
    let behind = copies.split_off(place);
    let due = |copy: &Copy| copy.qos == publish.qos && copy.certain;
    let (overtaken, others) = copies.drain(..).partition::<Vec<_>, _>(due);
    copies.extend(others);
    copies.extend(behind);
    overtaken
}

/// It is not known which of several copies this was; one has come.
fn pass_doubt_on(copies: &mut VecDeque<Copy>, came: &Copy) {
    let lost = came.optional == Some(Cause::Loss);
    let same =
        |other: &&mut Copy| other.number == came.number && (lost || other.optional.is_none());
    if let Some(other) = copies.iter_mut().find(same) {
        other.optional = came.optional;
    }
}
