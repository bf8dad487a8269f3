//! Who may connect: hooks first, then accounts; and what the broker tells of itself.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tamtam_blocking::broker::{Handle, Policy, Turn};
use tamtam_core::broker::{
    Acceptance, AskId, Broker, Event, LimitsId, LinkId, Page, Rule, RulesId, Verdict,
};
use tamtam_core::{Heap, Instant, QoS, ReasonCode, Text, TopicName};

use super::users::Users;
use super::{Error, Hooks, Loaded, Login, Outcome, Pending, Wish, door};
use crate::accounts::{Checker, Question};
use crate::config::{Config, Identity, Place, Span};
use crate::metrics::{Snapshot, SysTopics, resident_bytes};
use crate::rules::RuleSets;

/// What can be replaced while the broker runs.
#[derive(Debug)]
struct State {
    config: Config,
    loaded: Loaded,
    sets: RuleSets,
    topics: SysTopics,
    next_sys: Option<Instant>,
    started: Option<Instant>,
}

/// Decides who comes in.
#[derive(Debug)]
pub(super) struct Guard {
    state: Mutex<State>,
    /// Where the listeners are whose sockets somebody else opened.
    pub(super) places: Vec<Place>,
    pub(super) hooks: Arc<dyn Hooks>,
    checker: Checker,
    handle: Handle,
    pub(super) connected: AtomicUsize,
    pub(super) connected_max: AtomicUsize,
    /// The connections of each user, as long as somebody limits them.
    users: Mutex<Option<Users>>,
    /// Clients that were refused because their user had as many connections as it may.
    user_full: AtomicU64,
    pub(super) followers: Mutex<Vec<SyncSender<String>>>,
    /// The client identifiers of connections, as long as somebody follows what happens: the
    /// machine does not know them any more when it tells of an end.
    pub(super) names: Mutex<HashMap<LinkId, String>>,
}

/// The policy that the loop has.
#[derive(Debug)]
pub(super) struct Shared(pub(super) Arc<Guard>);

impl Guard {
    pub(super) fn new(
        config: Config,
        places: Vec<Place>,
        loaded: Loaded,
        hooks: Arc<dyn Hooks>,
        handle: Handle,
    ) -> Result<Self, Error> {
        let checker = Checker::start(config.general.password_threads)?;
        let sets = RuleSets::new(loaded.rules.clone());
        let users = Users::are_counted(&config).then(Users::default);
        let state = State {
            config,
            loaded,
            sets,
            topics: SysTopics::default(),
            next_sys: None,
            started: None,
        };
        Ok(Self {
            state: Mutex::new(state),
            places,
            hooks,
            checker,
            handle,
            connected: AtomicUsize::new(0),
            connected_max: AtomicUsize::new(0),
            users: Mutex::new(users),
            user_full: AtomicU64::new(0),
            followers: Mutex::new(Vec::new()),
            names: Mutex::new(HashMap::new()),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configuration, as it is now.
    pub(super) fn config(&self) -> Config {
        self.state().config.clone()
    }

    /// Accounts and rules, as they are now.
    pub(super) fn loaded(&self) -> Loaded {
        self.state().loaded.clone()
    }

    /// Others, from now on; [`Guard::store_rules`] is to follow on the thread of the broker.
    pub(super) fn replace(&self, config: Config, loaded: Loaded) {
        let mut state = self.state();
        state.sets.replace(loaded.rules.clone());
        (state.config, state.loaded) = (config, loaded);
        state.next_sys = None;
    }

    /// Stores every set of rules and of limits in the machine.
    pub(super) fn store_rules(&self, broker: &mut Broker<Heap>) {
        let state = self.state();
        for (number, listener) in state.config.listeners.iter().enumerate() {
            let id = door::limits_id(number);
            if broker.limits(id, &state.config.limits_of(listener)).is_err() {
                tracing::error!(listener = %listener.listen, "there is no room for its limits");
            }
        }
        let classes: Vec<_> = state.config.classes().collect();
        if broker.classes(&classes).is_err() {
            tracing::error!("there is no room for what is said of topics");
        }
        state.sets.each(|id: RulesId, rules: &[Rule<'_>]| {
            if broker.rules(id, rules).is_err() {
                tracing::error!(set = id.0, "there is no room for a set of rules");
            }
        });
    }

    /// Says of every session what its user may do, now that rules are others, or the store has
    /// given it back. `listener` knows by which listener a connection came.
    pub(super) fn entitle(
        &self,
        broker: &mut Broker<Heap>,
        listener: impl Fn(LinkId) -> Option<LimitsId>,
    ) {
        let mut page = Page::FIRST;
        let mut all = Vec::new();
        {
            let state = self.state();
            while let Some(session) = broker.next_session(&mut page) {
                let user = String::from_utf8_lossy(session.user_name);
                let rules = state.sets.of((!user.is_empty()).then_some(&user));
                let limits = session.link.and_then(&listener);
                // Who is away has the limits of the first listener until it comes back.
                let limits = limits.or(Some(LimitsId(0)));
                let client = String::from_utf8_lossy(session.client_id).into_owned();
                all.push((client, rules, limits));
            }
        }
        for (client, rules, limits) in all {
            broker.entitle(&client, rules, limits);
        }
    }

    /// Whether the certificate of a client says who it is.
    fn is_named_by_certificate(&self, listener: usize) -> bool {
        let state = self.state();
        let listener = state.config.listeners.get(listener);
        listener.is_some_and(|listener| listener.identity == Identity::CommonName)
    }

    /// Counts the connections of users from now on, if anybody limits them.
    pub(super) fn count_users(&self, turn: &Turn<'_>) {
        let mut counted = Users::are_counted(&self.state().config).then(Users::default);
        if let Some(users) = &mut counted {
            let mut page = Page::FIRST;
            while let Some(session) = turn.broker.next_session(&mut page) {
                let user = String::from_utf8_lossy(session.user_name);
                if let Some(link) = session.link.filter(|_| !user.is_empty()) {
                    users.admit(&user, link, usize::MAX, |_| true);
                }
            }
        }
        *self.users.lock().unwrap_or_else(PoisonError::into_inner) = counted;
    }

    /// Whether one more connection of a user may be. One that it takes over does not count.
    fn has_room_for(&self, user: &str, login: &Login, ask: AskId, turn: &Turn<'_>) -> bool {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(users) = &mut *users else { return true };
        let peer = turn.peer(ask.link());
        let limit = {
            let state = self.state();
            let listener = peer.and_then(|peer| state.config.listeners.get(peer.listener));
            listener.map_or(usize::MAX, |listener| state.config.connections_per_user(listener))
        };
        let taken_over = turn.broker.session_of(&login.client_id).and_then(|session| session.link);
        let is_here = |link| turn.peer(link).is_some() && Some(link) != taken_over;
        users.admit(user, ask.link(), limit, is_here)
    }

    /// Answers a question about a user who is known, or who has no name.
    fn let_in(&self, ask: AskId, user: Option<&str>, login: &Login, turn: &mut Turn<'_>) {
        if let Some(user) = user
            && !self.has_room_for(user, login, ask, turn)
        {
            self.user_full.fetch_add(1, Ordering::Relaxed);
            return Self::turn_away(ask, ReasonCode::QuotaExceeded, login, turn);
        }
        let rules = self.state().sets.of(user);
        let user = user.and_then(|user| Text::new(user).ok());
        let owner = turn.broker.session_asked_for(ask).map(|session| session.user_name.is_empty());
        // A session that nobody owns is for everybody.
        let how = Acceptance {
            rules,
            user,
            take_over: owner.unwrap_or_default(),
            ..Acceptance::default()
        };
        turn.broker.answer(ask, Verdict::Accept(how), turn.now);
    }

    fn turn_away(ask: AskId, reason: ReasonCode, login: &Login, turn: &mut Turn<'_>) {
        let Login { client_id, user, address, .. } = login;
        tracing::info!(client_id, user, address, %reason, "refused");
        turn.broker.answer(ask, Verdict::refuse(reason), turn.now);
    }

    /// Who asks, and by which listener.
    fn login(ask: AskId, turn: &Turn<'_>) -> Option<(Login, usize)> {
        let connect = turn.broker.connect_of(ask)?;
        let peer = turn.peer(ask.link())?;
        let listener = turn.listener_name(&peer).to_owned();
        let client_id = connect.client_id.as_str();
        let mut login = Login::new(client_id, peer.address.to_string(), listener);
        login.user = connect.user_name.map(|name| name.as_str().to_owned());
        login.password = connect.password.map(<[u8]>::to_vec);
        let certificate = turn.certificate(ask.link());
        login.certificate = certificate.and_then(|certificate| certificate.common_name());
        Some((login, peer.listener))
    }

    /// The session of another user is not for this one. One that nobody owns is for everybody.
    fn owns(login: &Login, turn: &Turn<'_>) -> bool {
        let session = turn.broker.session_of(&login.client_id);
        let owner = session.map_or(&[][..], |session| session.user_name);
        owner.is_empty() || login.user.as_deref().unwrap_or_default().as_bytes() == owner
    }

    fn ask(self: &Arc<Self>, ask: AskId, turn: &mut Turn<'_>) {
        if let Some(wish) = Wish::of(ask, turn.broker) {
            // What is passed on nobody allows: dropped, it is refused.
            drop(self.hooks.access(&wish, Pending::new(ask, self.handle.clone())));
            return;
        }
        let Some((login, listener)) = Self::login(ask, turn) else { return };
        match self.hooks.authenticate(&login, Pending::new(ask, self.handle.clone())) {
            Outcome::Taken => {}
            Outcome::Passed(pending) => {
                pending.pass();
                self.decide(ask, login, listener, turn);
            }
        }
    }

    fn decide(
        self: &Arc<Self>,
        ask: AskId,
        mut login: Login,
        listener: usize,
        turn: &mut Turn<'_>,
    ) {
        let named = self.is_named_by_certificate(listener) && login.certificate.is_some();
        if named {
            login.user = login.certificate.clone();
        }
        if !Self::owns(&login, turn) {
            return Self::turn_away(ask, ReasonCode::NotAuthorized, &login, turn);
        }
        if named {
            return self.let_in(ask, login.user.as_deref(), &login, turn);
        }
        let (anonymous, accounts) = {
            let state = self.state();
            let listener = state.config.listeners.get(listener);
            let anonymous = listener.is_some_and(|one| state.config.allows_anonymous(one));
            (anonymous, state.loaded.accounts.clone())
        };
        match (login.user.clone(), accounts) {
            (None, _) if anonymous => self.let_in(ask, None, &login, turn),
            (None, _) => Self::turn_away(ask, ReasonCode::NotAuthorized, &login, turn),
            (Some(name), Some(accounts)) => {
                let password = login.password.take().unwrap_or_default();
                let (guard, user) = (Arc::clone(self), name.clone());
                let then = Box::new(move |right| {
                    let handle = guard.handle.clone();
                    // A broker that has stopped asks no more.
                    let _ = handle.post(move |turn| guard.checked(ask, &user, right, turn));
                });
                let question = Question { accounts, name, password, then };
                if !self.checker.ask(question) {
                    Self::turn_away(ask, ReasonCode::ServerBusy, &login, turn);
                }
            }
            (Some(name), None) if anonymous => self.let_in(ask, Some(&name), &login, turn),
            (Some(_), None) => Self::turn_away(ask, ReasonCode::NotAuthorized, &login, turn),
        }
    }

    /// Passes on whether a password was right.
    fn checked(&self, ask: AskId, user: &str, right: bool, turn: &mut Turn<'_>) {
        let Some((login, _)) = Self::login(ask, turn) else { return };
        match right {
            true if Self::owns(&login, turn) => self.let_in(ask, Some(user), &login, turn),
            true => Self::turn_away(ask, ReasonCode::NotAuthorized, &login, turn),
            false => Self::turn_away(ask, ReasonCode::BadUserNameOrPassword, &login, turn),
        }
    }

    /// What there is to count.
    pub(super) fn snapshot(&self, turn: &Turn<'_>) -> Snapshot {
        let now = turn.now;
        let started = self.state().started.unwrap_or(now);
        Snapshot {
            uptime_secs: now.as_millis().saturating_sub(started.as_millis()) / 1_000,
            connected: self.connected.load(Ordering::Relaxed),
            connected_max: self.connected_max.load(Ordering::Relaxed),
            arrivals: turn.arrivals(),
            user_full: self.user_full.load(Ordering::Relaxed),
            resident_bytes: resident_bytes(),
            ..Snapshot::of(turn.broker)
        }
    }

    /// Publishes what changed below `$SYS`, when it is time. When it will be again. It is asked in
    /// each turn, so until then it takes one look.
    fn publish_sys(&self, turn: &mut Turn<'_>) -> Option<Instant> {
        let next = {
            let mut state = self.state();
            state.started.get_or_insert(turn.now);
            let interval = state.config.general.sys_interval;
            if interval.millis == 0 || interval == Span::UNLIMITED {
                return None;
            }
            if let Some(due) = state.next_sys
                && due > turn.now
            {
                return Some(due);
            }
            *state.next_sys.insert(turn.now.plus_millis(interval.millis))
        };
        let snapshot = self.snapshot(turn);
        let changed = self.state().topics.changed(&snapshot);
        for (topic, value) in changed {
            if let Ok(topic) = TopicName::new(&topic) {
                turn.broker.publish(topic, value.as_bytes(), QoS::AtMostOnce, true, turn.now);
            }
        }
        Some(next)
    }
}

impl Policy for Shared {
    fn ask(&self, ask: AskId, turn: &mut Turn<'_>) {
        self.0.ask(ask, turn);
    }

    fn event(&self, event: &Event, turn: &mut Turn<'_>) {
        self.0.happened(event, turn);
    }

    fn turn(&self, turn: &mut Turn<'_>) -> Option<Instant> {
        self.0.publish_sys(turn)
    }
}
