//! Ends: of connections, of sessions, of the broker itself; and wills, which follow them.

use tamtam_core::Instant;

use super::message::{Message, State};
use super::session::{Cause, Copy, Flight, Name, Stage, Will};
use super::waiting::Shared;
use super::{Oracle, Unkept};

impl Oracle {
    /// A session loses its connection.
    pub(super) fn lose_link(&mut self, line: usize, at: usize, will_is_due: bool) {
        if self.sessions[at].link != Some(line) {
            return;
        }
        if let Some(link) = self.links.get_mut(&line) {
            link.lost = Some(self.now);
        }
        let unseen = self.links.get(&line).is_some_and(|link| !link.accepted);
        let session = &mut self.sessions[at];
        session.link = None;
        session.changed = self.pos;
        if unseen {
            session.doubt_dup();
        }
        if !self.options.queue_qos0 && self.lag_ms == 0 {
            session.lose_qos0();
        }
        session.doubt_qos0();
        match session.will.clone() {
            Some(will) if will_is_due && will.delay_secs != 0 => {
                let when = self.now.plus_secs(will.delay_secs);
                session.will_at = Some(when);
                self.due.insert((when, at));
            }
            Some(_) if will_is_due => self.publish_will(at),
            Some(will) => {
                session.will = None;
                self.cancel_will(&will);
            }
            None => {}
        }
        let session = &mut self.sessions[at];
        match session.expiry_secs {
            0 => self.end_session(at),
            u32::MAX => session.ends_at = None,
            secs => {
                let when = self.now.plus_secs(secs);
                session.ends_at = Some(when);
                self.due.insert((when, at));
            }
        }
    }

    /// The transport of a connection is gone, or the broker said that it ended it.
    pub fn closed(&mut self, line: usize, now: Instant) {
        self.now = now;
        self.pos += 1;
        let Some(link) = self.links.get(&line) else { return };
        if let Some(at) = link.session {
            self.lose_link(line, at, true);
        }
    }

    /// Nothing more comes from this line, or goes there.
    pub fn forget(&mut self, line: usize) {
        self.links.remove(&line);
    }

    pub(super) fn end_session(&mut self, at: usize) {
        self.publish_will(at);
        self.leave_all(at);
        self.sessions[at].clear(self.pos);
    }

    /// A subscription is gone; what is on its way may still come.
    pub(super) fn leave(&mut self, at: usize, name: Name) {
        self.names.filters[name].lose_member(at);
        for due in self.sessions[at].due.values_mut().flatten() {
            due.optional |= due.filter == name;
        }
        if self.is_kept(at) {
            self.unkept.push_back((self.pos, Unkept::Ended(at)));
        }
    }

    pub(super) fn cancel_will(&mut self, will: &Will) {
        if let Some(message) = self.messages.get_mut(&will.number) {
            message.state = State::Cancelled;
            self.unkept.push_back((self.pos, Unkept::Will(will.number)));
        }
    }

    fn publish_will(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        session.will_at = None;
        let Some(will) = session.will.take() else { return };
        session.changed = self.pos;
        let Some(mut message) = self.messages.get(&will.number).cloned() else { return };
        self.counts.wills += 1;
        let vague = self.sessions[at].vague;
        message.state = if vague { State::Unsure } else { State::Accepted };
        (message.first, message.pos) = (self.pos, self.pos);
        message.expires = will.expiry_secs.map(|secs| self.now.plus_secs(secs));
        self.messages.insert(will.number, message.clone());
        self.unkept.push_back((self.pos, Unkept::Will(will.number)));
        let topic = &self.names.topics[message.topic];
        if !topic.starts_with(b"$SYS") {
            self.route(will.number, &message);
            if vague && message.retain {
                self.retained.entry(message.topic).or_default().forked = true;
            }
        }
    }

    /// A session may have come to its end.
    pub(super) fn expire(&mut self, at: usize) {
        let is_due = |when: Option<Instant>| when.is_some_and(|when| when <= self.now);
        let session = &self.sessions[at];
        if is_due(session.ends_at) {
            let vague = session.vague;
            self.end_session(at);
            self.sessions[at].vague = vague; // nobody knows how long it lasts
        } else if is_due(session.will_at) {
            self.publish_will(at);
        }
    }

    /// Time has passed, and the broker was told.
    pub fn tick(&mut self, now: Instant) {
        self.now = now;
        self.pos += 1; // whose turn is first nobody knows
        while let Some((when, at)) = self.due.first().copied().filter(|(when, _)| *when <= now) {
            self.due.remove(&(when, at));
            self.expire(at);
        }
    }

    // The store.

    /// Records of all that happened until now are handed to the store: by this number it says that
    /// they are kept.
    #[must_use]
    pub const fn handed(&self) -> u64 {
        self.pos
    }

    /// The store has kept what it was handed by then.
    pub fn kept(&mut self, mark: u64) {
        self.durable = self.durable.max(mark);
        let durable = self.durable;
        while self.unkept.front().is_some_and(|(pos, _)| *pos <= durable) {
            self.unkept.pop_front();
        }
        while self.recent.front().is_some_and(|(pos, _)| *pos <= durable) {
            self.recent.pop_front();
        }
    }

    /// The store says that it has lost what it has not kept.
    pub fn failed(&mut self) {
        let durable = self.durable;
        self.failing = true;
        for link in self.links.values_mut() {
            for owed in link.pubacks.iter_mut().chain(&mut link.pubrecs) {
                owed.doomed |= owed.kept && owed.pos > durable;
            }
        }
        for (_, number) in &self.recent {
            if let Some(message) = self.messages.get_mut(number)
                && message.state == State::Open
            {
                message.state = State::Unsure;
            }
        }
        for session in &mut self.sessions {
            session.received.retain(|_, receipt| receipt.told || receipt.pos <= durable);
            for copy in session.pending.values_mut().flatten() {
                let message = self.messages.get(&copy.number);
                let anew = copy.pos > durable && message.is_some_and(Message::came_again);
                if anew || message.is_some_and(|message| message.state == State::Unsure) {
                    copy.optional = Some(Cause::Loss);
                }
            }
        }
        for (number, shared) in self.names.filters.iter_mut().flat_map(|one| one.waiting.iter_mut())
        {
            let message = self.messages.get(&number).filter(|message| message.pos > durable);
            shared.doubt(message.is_some_and(Message::came_again));
        }
    }

    /// The store is there again, and will be told everything.
    pub const fn reopened(&mut self) {
        self.failing = false;
    }

    /// The broker is gone, and is there again with what the store kept. Every connection that was
    /// open counts as closed now.
    pub fn crashed(&mut self, now: Instant) {
        (self.now, self.pos, self.failing) = (now, self.pos + 1, false);
        let lines: Vec<(usize, Option<usize>)> =
            self.links.iter().map(|(line, link)| (*line, link.session)).collect();
        self.links.clear();
        for (_, number) in std::mem::take(&mut self.recent) {
            if let Some(message) = self.messages.get_mut(&number)
                && (message.state == State::Open || message.qos == 0)
            {
                message.state = State::Unsure;
            }
        }
        for at in 0..self.sessions.len() {
            self.remember(at);
        }
        self.remember_retained();
        for (_, unkept) in std::mem::take(&mut self.unkept) {
            match unkept {
                Unkept::Settled(at, flight) => {
                    if flight.qos < 2 {
                        self.open_again(&flight);
                    }
                    self.sessions[at].ghosts.push(flight);
                }
                Unkept::Ended(at) => self.sessions[at].vague = true,
                Unkept::Will(number) => self.doubt_will(number),
            }
        }
        let vague: Vec<bool> = self.sessions.iter().map(|session| session.vague).collect();
        for filter in &mut self.names.filters {
            for (number, shared) in filter.waiting.iter_mut() {
                let state = self.messages.get(&number).map(|message| message.state);
                shared.doubt(state != Some(State::Accepted));
            }
        }
        for at in lines.iter().filter_map(|(_, session)| *session) {
            let session = &self.sessions[at];
            if session.expiry_secs == 0 && !session.vague {
                self.leave_all(at); // there is nothing left of it when wills are published
            }
        }
        for (line, session) in lines {
            if let Some(at) = session {
                self.lose_link(line, at, true);
            }
        }
        self.tick(now);
        for (session, vague) in self.sessions.iter_mut().zip(vague) {
            session.vague |= vague; // whatever ended may not have
        }
    }

    /// What a session has after a crash.
    fn remember(&mut self, at: usize) {
        let (durable, session) = (self.durable, &mut self.sessions[at]);
        session.vague |= session.changed > durable;
        for sub in session.subs.values_mut() {
            sub.vague |= sub.pos > durable;
        }
        session.received.retain(|_, receipt| receipt.pos <= durable);
        for copy in session.pending.values_mut().flatten() {
            copy.again = true; // it may have been recorded as sent
            if copy.pos > durable || copy.qos == 0 {
                copy.optional = Some(Cause::Loss);
            }
        }
        for due in session.due.values_mut().flatten() {
            due.optional |= due.pos > durable || due.qos == 0;
            due.again = true;
        }
        let flights = std::mem::take(&mut session.flights);
        let (once, again): (Vec<Flight>, Vec<Flight>) =
            flights.into_iter().partition(|flight| flight.qos == 2);
        for flight in &once {
            let mut flight = flight.clone();
            if flight.stage == Stage::Received && flight.pos > durable {
                flight.stage = Stage::Unsure;
            }
            flight.link = usize::MAX;
            session.flights.push_back(flight);
        }
        for flight in again.into_iter().rev() {
            self.take_back(at, &flight);
        }
    }

    /// A member settled a message of its group, and the store does not know.
    fn open_again(&mut self, flight: &Flight) {
        let Some(group) = flight.group else { return };
        let Some(message) = self.messages.get(&flight.number) else { return };
        let (qos, optional) = (message.qos, true);
        let again = Shared::new(qos, optional, false, self.least_of(group));
        self.names.filters[group].waiting.insert(flight.number, again);
    }

    /// A message at QoS 1 that was sent waits again: what identifier it had is not recorded.
    fn take_back(&mut self, at: usize, flight: &Flight) {
        if let Some(group) = flight.group {
            // It may have been a copy of its own that was taken for the group's.
            let session = &self.sessions[at];
            let others = session.subs.keys().chain(&session.groups).any(|name| *name != group);
            let optional = flight.born > self.durable || others || session.vague;
            let again = Shared::new(flight.qos, optional, false, self.least_of(group));
            let waiting = &mut self.names.filters[group].waiting;
            match waiting.get_mut(flight.number).filter(|known| !known.is_done()) {
                // Two copies of one message, which came twice.
                Some(known) if known.sent.is_none() => known.more += 1,
                Some(known) => known.sent = None,
                None => {
                    waiting.insert(flight.number, again);
                }
            }
            return;
        }
        let Some(message) = self.messages.get(&flight.number) else { return };
        let copy = Copy {
            number: flight.number,
            pos: flight.born,
            qos: 1,
            retain: false,
            ids: Vec::new(),
            certain: false,
            optional: (flight.born > self.durable).then_some(Cause::Loss),
            again: true,
            expires: message.expires,
        };
        let session = &mut self.sessions[at];
        session.waiting += 1;
        session.doubted &= copy.optional.is_some();
        let key = (message.publisher, message.topic);
        session.pending.entry(key).or_default().push_front(copy);
    }

    /// A will may be published, though it was cancelled, or for a second time.
    fn doubt_will(&mut self, number: u64) {
        let Some(message) = self.messages.get_mut(&number) else { return };
        message.state = State::Unsure;
        if message.retain {
            message.kept = Some((self.pos, u64::MAX));
            let entry = self.retained.entry(message.topic).or_default();
            entry.values.push((Some(number), self.pos));
            entry.forked = true;
        }
    }

    fn remember_retained(&mut self) {
        let durable = self.durable;
        for retained in self.retained.values_mut() {
            match retained.values.iter().rposition(|(_, pos)| *pos <= durable) {
                Some(first) => drop(retained.values.drain(..first)),
                None if self.options.store => retained.values.insert(0, (None, 0)),
                None => {}
            }
            retained.forked |= retained.values.len() > 1;
            for (number, pos) in &retained.values {
                if let Some(message) = number.and_then(|number| self.messages.get_mut(&number)) {
                    message.kept = Some((*pos, u64::MAX));
                }
            }
        }
    }
}
