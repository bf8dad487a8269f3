//! A naive account of who must get what. It shares nothing with the broker but the specification.

use std::collections::{BTreeMap, HashMap};

/// A message that somebody published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    /// All there is of its payload; each message has its own, 0 stands for none.
    pub(crate) number: u32,
    /// Which client.
    pub(crate) publisher: usize,
    pub(crate) topic: &'static str,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sub {
    /// The group and its filter, or none and a filter.
    pub(crate) name: (Option<&'static str>, &'static str),
    pub(crate) qos: u8,
    pub(crate) no_local: bool,
    pub(crate) as_published: bool,
}

/// A copy that a client is to get.
#[derive(Clone, Copy, Debug)]
struct Due {
    message: Message,
    qos: u8,
    retain: bool,
    /// Whether it was published while the client was subscribed.
    live: bool,
    /// Whether it is of what is retained and may come or not: something else took its place, or the
    /// subscription did not stay as it was, before the client came to it.
    loose: bool,
    /// The filter of the subscription that it is retained for.
    of: &'static str,
}

impl Due {
    /// A retained message that may come, at whatever QoS.
    fn loosen(&mut self) {
        self.loose |= !self.live;
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Will {
    pub(crate) message: Message,
    pub(crate) delay_ms: u64,
}

#[derive(Default)]
struct Session {
    kept: bool,
    online: bool,
    subs: Vec<Sub>,
    due: Vec<Due>,
    will: Option<Will>,
    will_at: Option<u64>,
    /// The last live message of each publisher, topic and QoS.
    last: HashMap<(usize, &'static str, u8), u32>,
}

impl Session {
    /// What is retained and did not come yet may not come any more.
    fn loosen(&mut self, which: impl Fn(&Due) -> bool) {
        self.due.iter_mut().filter(|due| which(due)).for_each(Due::loosen);
    }

    /// A message takes the place of what its topic retained, perhaps before the client came to it.
    fn replace(&mut self, message: Message) {
        self.loosen(|due| due.message.topic == message.topic);
        let some = self.due.iter().any(|due| !due.live);
        let subs = self.subs.iter().filter(|sub| some && matches(sub.name.1, message.topic));
        let due = |sub: &Sub| {
            let (qos, of) = (sub.qos.min(message.qos), sub.name.1);
            Due { message, qos, retain: true, live: false, loose: true, of }
        };
        self.due.extend(subs.map(due));
    }
}

/// A message to a group: one member is to get it, of those at the time or who came later.
#[derive(Debug)]
struct Shared {
    message: Message,
    name: (&'static str, &'static str),
    members: Vec<(usize, Sub)>,
    /// Who has got it, and at which QoS.
    given: Option<(usize, u8)>,
    /// Whether one has got it, or may have had it when its session or its connection ended.
    settled: bool,
}

pub(crate) struct Account {
    sessions: Vec<Option<Session>>,
    pub(crate) retained: BTreeMap<&'static str, Message>,
    shared: Vec<Shared>,
}

/// Whether a filter matches a topic, level by level.
fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && (filter.starts_with('#') || filter.starts_with('+')) {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(level), Some(name)) if level == name => {}
            _ => return false,
        }
    }
}

impl Account {
    pub(crate) fn new(clients: usize) -> Self {
        let sessions = (0..clients).map(|_| None).collect();
        Self { sessions, retained: BTreeMap::new(), shared: Vec::new() }
    }

    pub(crate) fn session_count(&self) -> usize {
        self.sessions.iter().flatten().count()
    }

    pub(crate) fn subscription_count(&self) -> usize {
        self.sessions.iter().flatten().map(|session| session.subs.len()).sum()
    }

    fn session(&mut self, client: usize) -> &mut Session {
        self.sessions[client].as_mut().expect("a session")
    }

    /// A client connects; whether its session is gone on with.
    pub(crate) fn connect(
        &mut self,
        client: usize,
        clean: bool,
        kept: bool,
        will: Option<Will>,
        now: u64,
    ) -> bool {
        if self.sessions[client].as_ref().is_some_and(|session| session.online) {
            self.lose(client, false, now);
        }
        if clean {
            self.end_session(client);
        }
        let present = self.sessions[client].is_some();
        let session = self.sessions[client].get_or_insert_default();
        (session.kept, session.online) = (kept, true);
        (session.will, session.will_at) = (will, None);
        present
    }

    /// A client's connection ends.
    pub(crate) fn lose(&mut self, client: usize, goodbye: bool, now: u64) {
        let session = self.session(client);
        session.online = false;
        session.due.retain(|due| due.qos != 0 || !due.live);
        session.due.iter_mut().filter(|due| due.qos == 0).for_each(Due::loosen);
        match session.will {
            Some(_) if goodbye => session.will = None,
            Some(will) if will.delay_ms > 0 => session.will_at = Some(now + will.delay_ms),
            _ => self.publish_will(client),
        }
        for shared in &mut self.shared {
            let at_qos_0 = |member: &(usize, Sub)| {
                member.0 == client && member.1.qos.min(shared.message.qos) == 0
            };
            shared.settled |= shared.members.iter().any(at_qos_0);
        }
        if !self.session(client).kept {
            self.end_session(client);
        }
    }

    fn publish_will(&mut self, client: usize) {
        let session = self.session(client);
        session.will_at = None;
        if let Some(will) = session.will.take() {
            self.publish(will.message);
        }
    }

    fn end_session(&mut self, client: usize) {
        if self.sessions[client].is_none() {
            return;
        }
        self.publish_will(client);
        for shared in &mut self.shared {
            shared.settled |= shared.members.iter().any(|member| member.0 == client);
            // Another member may get it, if it was not acknowledged.
            shared.given = shared.given.filter(|given| *given != (client, 1));
        }
        self.sessions[client] = None;
    }

    /// Time has passed: wills are due.
    pub(crate) fn pass(&mut self, now: u64) {
        let due = |(client, session): (usize, &Option<Session>)| {
            let when = session.as_ref()?.will_at.filter(|when| *when <= now)?;
            Some((when, client))
        };
        let mut due: Vec<_> = self.sessions.iter().enumerate().filter_map(due).collect();
        due.sort_unstable();
        for (_, client) in due {
            self.publish_will(client);
        }
    }

    pub(crate) fn subscribe(&mut self, client: usize, sub: Sub, again: bool) {
        let matching = |message: &&Message| matches(sub.name.1, message.topic);
        let retained: Vec<_> = self.retained.values().filter(matching).copied().collect();
        let session = self.session(client);
        session.subs.retain(|old| old.name != sub.name);
        session.subs.push(sub);
        session.loosen(|due| due.of == sub.name.1);
        for shared in &mut self.shared {
            if sub.name == (Some(shared.name.0), shared.name.1) {
                shared.members.push((client, sub)); // it may still wait
                shared.settled |= sub.qos.min(shared.message.qos) == 0;
            }
        }
        let session = self.session(client);
        if sub.name.0.is_none() && again {
            let due = |message: Message| {
                let qos = sub.qos.min(message.qos);
                Due { message, qos, retain: true, live: false, loose: false, of: sub.name.1 }
            };
            session.due.extend(retained.into_iter().map(due));
        }
    }

    pub(crate) fn unsubscribe(&mut self, client: usize, name: (Option<&str>, &str)) {
        let session = self.session(client);
        session.subs.retain(|sub| sub.name != name);
        session.loosen(|due| due.of == name.1);
        for shared in &mut self.shared {
            // It goes with the last of them.
            shared.settled |= name == (Some(shared.name.0), shared.name.1);
        }
    }

    pub(crate) fn publish(&mut self, message: Message) {
        if message.retain {
            for session in self.sessions.iter_mut().flatten() {
                session.replace(message);
            }
            if message.number == 0 {
                self.retained.remove(message.topic);
            } else {
                self.retained.insert(message.topic, message);
            }
        }
        let mut groups: BTreeMap<(&str, &str), Vec<(usize, Sub)>> = BTreeMap::new();
        for (client, session) in self.sessions.iter_mut().enumerate() {
            let Some(session) = session else { continue };
            let matching = session.subs.iter().filter(|sub| matches(sub.name.1, message.topic));
            let (shared, alone): (Vec<Sub>, Vec<Sub>) =
                matching.copied().partition(|sub| sub.name.0.is_some());
            for sub in shared {
                if let (Some(group), filter) = sub.name {
                    groups.entry((group, filter)).or_default().push((client, sub));
                }
            }
            let own = client == message.publisher;
            let wanted = || alone.iter().filter(|sub| !(sub.no_local && own));
            let Some(granted) = wanted().map(|sub| sub.qos).max() else { continue };
            let retain = message.retain && wanted().any(|sub| sub.as_published);
            let qos = granted.min(message.qos);
            if qos != 0 || session.online {
                session.due.push(Due { message, qos, retain, live: true, loose: false, of: "" });
            }
        }
        for (name, members) in groups {
            let there = |member: &(usize, Sub)| {
                let online = self.sessions[member.0].as_ref().is_some_and(|one| one.online);
                online || member.1.qos.min(message.qos) != 0
            };
            let settled = !members.iter().all(there);
            self.shared.push(Shared { message, name, members, given: None, settled });
        }
    }

    /// A client gets a copy for the first time: was it to get it, like this, now?
    pub(crate) fn receive(&mut self, client: usize, number: u32, qos: u8, retain: bool) {
        if number == 0 {
            return; // an empty one: it carries nothing to know it by
        }
        let session = self.session(client);
        let is_it =
            |due: &Due| due.message.number == number && due.qos == qos && due.retain == retain;
        let exact = session.due.iter().position(|due| is_it(due) && !due.loose);
        let exact = exact.map(|at| session.due.remove(at));
        if let Some(due) = exact.filter(|due| due.live) {
            let key = (due.message.publisher, due.message.topic, qos);
            let last = session.last.insert(key, number);
            assert!(last.is_none_or(|last| last <= number), "{number} behind {last:?}");
            return;
        }
        let shared = self.shared.iter_mut().find(|shared| {
            let fits = |member: &(usize, Sub)| {
                let (who, sub) = member;
                *who == client
                    && sub.qos.min(shared.message.qos) == qos
                    && (sub.as_published && shared.message.retain) == retain
            };
            let open = shared.message.number == number && shared.given.is_none();
            open && shared.members.iter().any(fits)
        });
        let any = shared.is_none();
        let loose = |due: &Due| {
            due.message.number == number && due.loose && retain && (any || due.qos == qos)
        };
        let due = self.sessions[client].as_mut().map(|session| &mut session.due);
        let due = due.filter(|_| exact.is_none());
        let loose = due.and_then(|due| Some(due.remove(due.iter().position(loose)?)));
        if exact.or(loose).is_some() {
            // It may have been the copy of a group, and this one be passed by later.
            return shared.into_iter().for_each(|shared| shared.settled = true);
        }
        let shared = shared.unwrap_or_else(|| {
            let due = &self.sessions[client].as_ref().expect("a session").due;
            panic!("client {client} is not to get {number} at {qos}, retain {retain}: {due:?}")
        });
        (shared.settled, shared.given) = (true, Some((client, qos)));
    }

    /// A client has read all there is: nothing at QoS 0 can be under way.
    pub(crate) fn has_read(&mut self, client: usize) {
        let session = self.session(client);
        session.due.retain(|due| due.message.number != 0 || due.qos != 0);
        let late: Vec<_> = session.due.iter().filter(|due| due.qos == 0 && due.live).collect();
        assert!(late.is_empty(), "client {client} was to get {late:?}");
    }

    /// Everybody has read and acknowledged all there is.
    pub(crate) fn close(&mut self) {
        for (client, session) in self.sessions.iter_mut().enumerate() {
            let Some(session) = session else { continue };
            session.due.retain(|due| !due.loose && due.message.number != 0);
            assert!(session.due.is_empty(), "client {client} never got {:?}", session.due);
        }
        let lost: Vec<_> = self.shared.iter().filter(|shared| !shared.settled).collect();
        assert!(lost.is_empty(), "no member got {lost:?}");
        self.shared.clear();
    }
}
