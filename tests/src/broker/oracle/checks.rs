//! What must hold of the whole, looked at now and then.

use super::message::{Message, State};
use super::session::Stage;
use super::{Counts, Oracle};
use tamtam_core::broker::Counters;

/// What the broker and its host say of themselves.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// How many sessions there are.
    pub sessions: usize,
    /// How many subscriptions.
    pub subscriptions: usize,
    /// How many retained messages.
    pub retained: usize,
    /// How many messages are kept, and their bytes.
    pub kept: (usize, usize),
    /// What was counted since the last restart.
    pub counters: Counters,
    /// Whether nothing is under way: the store has kept everything, all output was written.
    pub quiet: bool,
    /// Whether brokers have messages for each other that have not arrived.
    pub lagging: bool,
}

impl Oracle {
    /// Looks at everything. `before` is what was counted before the last restart.
    pub fn check(&mut self, facts: &Facts, before: &Counters) {
        let mut problems = Vec::new();
        self.check_numbers(facts, &mut problems);
        self.check_bounds(facts, &mut problems);
        if facts.quiet {
            self.purge();
            self.check_stuck(&mut problems);
        }
        self.check_silence(&mut problems);
        let named = !(self.has_parted && self.lag_ms != 0); // else which it was can't be told
        check_causes(&self.counts, facts, before, named, &mut problems);
        let at = self.now.as_millis();
        self.violations.extend(problems.into_iter().map(|words| format!("{at} ms: {words}")));
    }

    /// What would have come by now, and need not, never will.
    fn purge(&mut self) {
        let (messages, counts, now) = (&self.messages, &mut self.counts, self.now);
        for filter in &mut self.names.filters {
            let empty = filter.members.is_empty();
            filter.waiting.retain(|shared| !shared.is_done() && (!empty || shared.sent.is_some()));
        }
        for session in &mut self.sessions {
            let Some(link) = session.link.and_then(|line| self.links.get(&line)) else { continue };
            if session.flights.len() >= link.window || !link.accepted {
                continue;
            }
            let mut gone = 0;
            for copies in session.pending.values_mut() {
                copies.retain(|copy| {
                    let message = messages.get(&copy.number);
                    let vague = session.vague; // nobody knows what was to come
                    let absent = vague || counts.excuse(copy, message, link.max_packet, now);
                    gone += usize::from(absent);
                    !absent
                });
            }
            session.pending.retain(|_, copies| !copies.is_empty());
            session.drop_waiting(gone);
            session.due.values_mut().for_each(|dues| dues.retain(|due| !due.optional));
            session.due.retain(|_, dues| !dues.is_empty());
            session.dues = session.due.values().map(Vec::len).sum();
        }
    }

    fn check_numbers(&self, facts: &Facts, problems: &mut Vec<String>) {
        if facts.lagging
            || self.sessions.iter().any(|session| session.vague)
            || self.links.values().any(|link| link.hostile)
        {
            return;
        }
        let sessions = self.sessions.iter().filter(|session| session.exists).count();
        if sessions != facts.sessions {
            problems.push(format!("{} sessions, there should be {sessions}", facts.sessions));
        }
        let all = self.sessions.iter().flat_map(|session| session.subs.values());
        let (sure, vague): (Vec<_>, Vec<_>) = all.partition(|sub| !sub.vague);
        let range = sure.len()..=sure.len() + vague.len();
        if !range.contains(&facts.subscriptions) {
            problems.push(format!("{} subscriptions, not {range:?}", facts.subscriptions));
        }
        let sure = |retained: &&super::Retained| !retained.forked;
        let is_there = |retained: &&super::Retained| {
            retained.values.last().is_some_and(|(value, _)| value.is_some())
        };
        let forked = self.retained.values().filter(|retained| retained.forked).count();
        let expired = |retained: &&super::Retained| {
            let (value, _) = retained.values.last().expect("a value");
            let message = value.and_then(|value| self.messages.get(&value));
            message.and_then(|message| message.expires).is_some_and(|when| when <= self.now)
        };
        let there = self.retained.values().filter(sure).filter(is_there);
        let most = there.clone().count() + forked;
        let least = there.filter(|retained| !expired(retained)).count();
        if !(least..=most).contains(&facts.retained) {
            problems.push(format!("{} retained, not {least} to {most}", facts.retained));
        }
    }

    /// Memory stays within what is owed.
    fn check_bounds(&self, facts: &Facts, problems: &mut Vec<String>) {
        if facts.kept.1 > self.options.message_bytes {
            problems.push(format!("{} bytes of messages are kept", facts.kept.1));
        }
        if self.sessions.iter().any(|session| session.vague) {
            return;
        }
        let mut held = facts.retained;
        for session in &self.sessions {
            held += session.waiting + session.flights.len() + session.ghosts.len();
            held += session.dues;
            held += usize::from(session.will.is_some());
        }
        held += self.names.filters.iter().map(|filter| filter.waiting.len()).sum::<usize>();
        if facts.kept.0 > held && !self.nameless {
            problems.push(format!("{} messages are kept, {held} are owed", facts.kept.0));
        }
    }

    /// Nothing waits that could be sent.
    fn check_stuck(&self, problems: &mut Vec<String>) {
        for (line, link) in self.links.iter().filter(|(_, link)| link.accepted && !link.over) {
            let Some(at) = link.session.filter(|_| !link.hostile && !link.goodbye) else {
                continue;
            };
            let session = &self.sessions[at];
            if session.link != Some(*line) || session.vague {
                continue;
            }
            let name = String::from_utf8_lossy(&session.name);
            let open = session.flights.iter();
            let open = open.filter(|flight| flight.link == *line || flight.stage != Stage::Sent);
            if open.count() < link.window {
                let accepted = |number| {
                    let message = self.messages.get(&number);
                    message.is_some_and(|message| {
                        message.state == State::Accepted
                            && message.expires.is_none_or(|when| when > self.now)
                    })
                };
                let stuck = session.owed().find(|copy| {
                    copy.qos > 0 && copy.optional.is_none() && copy.certain && accepted(copy.number)
                });
                if let Some(copy) = stuck {
                    problems.push(format!("{name} never gets m{}", copy.number));
                }
                let late = |flight: &&super::Flight| flight.link != *line;
                if let Some(flight) = session.flights.iter().find(late) {
                    problems.push(format!("{name} never gets {} again", flight.id));
                }
                let waits = |(topic, dues): &(&usize, &Vec<super::session::Due>)| {
                    let retained = self.retained.get(topic).and_then(|one| one.values.last());
                    let message = retained.and_then(|(number, _)| self.messages.get(&(*number)?));
                    let fits = |message: &Message| {
                        let lasts = message.expires.is_none_or(|when| when > self.now);
                        lasts && !message.may_exceed(link.max_packet)
                    };
                    dues.iter().any(|due| !due.optional) && message.is_some_and(fits)
                };
                if let Some((topic, _)) = session.due.iter().find(waits) {
                    let topic = String::from_utf8_lossy(&self.names.topics[*topic]);
                    problems.push(format!("{name} never gets what {topic} retains"));
                }
            }
            let owed = [&link.pubacks, &link.pubrecs, &link.pubcomps, &link.subacks];
            let owed = owed.into_iter().chain([&link.unsubacks]).flatten();
            if let Some(owed) = owed.into_iter().next().filter(|owed| !owed.doomed) {
                problems.push(format!("{name} never gets an answer to {}", owed.id));
            }
            if link.pings != 0 {
                problems.push(format!("{name} never gets PINGRESP"));
            }
        }
        self.check_groups(problems);
    }

    /// A session in short.
    fn describe(&self, at: usize) -> String {
        let session = &self.sessions[at];
        let name = String::from_utf8_lossy(&session.name);
        let (flights, waiting, vague) = (session.flights.len(), session.waiting, session.vague);
        let link = session.link.and_then(|line| self.links.get(&line));
        let link = link.map(|link| (link.window, link.max_packet));
        format!("{name} waits {waiting} flies {flights} vague {vague} {link:?}")
    }

    fn check_groups(&self, problems: &mut Vec<String>) {
        for filter in self.names.filters.iter().filter(|filter| filter.group.is_some()) {
            let ready = |at: &&usize| {
                let session = &self.sessions[**at];
                let line = session.link.and_then(|line| self.links.get(&line));
                let free = line.is_some_and(|link| session.flights.len() < link.window);
                free && !session.vague // else it may be none any more
            };
            // Whoever has room takes what waits.
            if !filter.members.iter().any(|at| ready(&at)) {
                continue;
            }
            let lost = filter.waiting.iter().find(|(number, shared)| {
                let is_due = |message: &super::Message| {
                    message.state == State::Accepted
                        && message.expires.is_none_or(|when| when > self.now)
                        && !message.may_exceed(shared.least) // [MQTT5-3.1.2-25]
                };
                let is_due = self.messages.get(number).is_some_and(is_due);
                shared.sent.is_none() && !shared.is_optional() && is_due
            });
            if let Some((number, shared)) = lost {
                let members = filter.members.iter().map(|at| self.describe(*at));
                let members: Vec<_> = members.collect();
                let members = (members, shared, &self.messages[&number]);
                let filter = String::from_utf8_lossy(&filter.inner);
                problems.push(format!("no member of {filter} gets m{number}: {members:?}"));
            }
        }
    }

    /// [MQTT5-3.1.2-22, MQTT3-3.1.2-24]
    fn check_silence(&self, problems: &mut Vec<String>) {
        for (line, link) in &self.links {
            let silence = self.now.millis_since(link.heard_at);
            let is_open = link.accepted && !link.over && !link.goodbye;
            let here = link.session.is_some_and(|at| self.sessions[at].link == Some(*line));
            if is_open && here && link.keep_alive_ms != 0 && silence > link.keep_alive_ms {
                problems.push(format!("line {line} is open after {silence} ms of silence"));
            }
        }
    }
}

/// Every absence has a named cause, and the broker counted it; `named` is whether under that name.
fn check_causes(
    counts: &Counts,
    facts: &Facts,
    before: &Counters,
    named: bool,
    problems: &mut Vec<String>,
) {
    let (now, was) = (&facts.counters, before);
    let causes = [
        ("for a full queue", counts.absent_queue, now.dropped_queue + was.dropped_queue),
        ("as they expired", counts.absent_expired, now.dropped_expired + was.dropped_expired),
        ("as too large", counts.absent_too_large, now.dropped_too_large + was.dropped_too_large),
    ];
    let all = causes.iter().fold((counts.absent_either, 0), |sum, (_, absent, counted)| {
        (sum.0 + absent, sum.1 + counted)
    });
    let peers = now.dropped_peers + now.unsure_peers + now.dropped_session;
    let all = ("for any of these causes", all.0 + counts.absent_peer, all.1 + peers);
    for (why, absent, counted) in causes.into_iter().filter(|_| named).chain([all]) {
        if absent > counted {
            problems.push(format!("{absent} copies are missing {why}, {counted} were counted"));
        }
    }
}
