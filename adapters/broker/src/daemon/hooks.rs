//! What whoever embeds the daemon may decide and learn.

use std::fmt;

use tamtam_blocking::broker::Handle;
use tamtam_core::broker::{Acceptance, Ask, AskId, Broker, Event, RulesId, Told, Verdict, Watch};
use tamtam_core::{Heap, QoS, ReasonCode, Subscription, TopicName};

/// Somebody who wants to connect.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Login {
    /// The client identifier; empty if it has none yet.
    pub client_id: String,
    /// Who it claims to be.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Vec<u8>>,
    /// The common name on the certificate that it has shown, if it has.
    pub certificate: Option<String>,
    /// From where it connects.
    pub address: String,
    /// By which listener, as a URL.
    pub listener: String,
}

impl Login {
    pub(super) fn new(client_id: &str, address: String, listener: String) -> Self {
        let client_id = client_id.to_owned();
        let (user, password, certificate) = (None, None, None);
        Self { client_id, user, password, certificate, address, listener }
    }
}

/// Without the password.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("client_id", &self.client_id)
            .field("user", &self.user)
            .field("certificate", &self.certificate)
            .field("address", &self.address)
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

/// Something that a client wants, and the rules say that it is asked: `ask` in an access file, or
/// rules of [`Pending::accept`] that are made with
/// [`Rule::ask`](tamtam_core::broker::Rule::ask).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wish {
    /// The client identifier.
    pub client_id: String,
    /// The user that it is.
    pub user: Option<String>,
    /// What it wants.
    pub what: Wanted,
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wanted {
    /// To publish this.
    Publish {
        /// Where.
        topic: String,
        /// What.
        payload: Vec<u8>,
        /// How.
        qos: QoS,
        /// Whether it is to be retained.
        retain: bool,
    },
    /// To receive what these filters match, as far as the rules say that this is asked.
    Subscribe {
        /// The filters, `$share/group/` included, and the QoS for each.
        filters: Vec<(String, QoS)>,
    },
}

impl Wish {
    /// What a question of the machine is about, unless it is about a CONNECT.
    pub(super) fn of(ask: AskId, broker: &Broker<Heap>) -> Option<Self> {
        let what = match broker.asked(ask)? {
            Ask::Publish(publish) => Wanted::Publish {
                topic: publish.topic.map_or("", TopicName::as_str).to_owned(),
                payload: publish.payload.to_vec(),
                qos: publish.delivery.qos(),
                retain: publish.retain,
            },
            Ask::Subscribe(subscribe) => {
                let one = |one: Subscription<'_>| (one.filter.as_str().to_owned(), one.qos);
                Wanted::Subscribe { filters: subscribe.subscriptions.iter().map(one).collect() }
            }
            _ => return None,
        };
        let client_id = String::from_utf8_lossy(broker.client_of(ask.link())?).into_owned();
        let user = broker.session_of(&client_id)?.user_name;
        let user = (!user.is_empty()).then(|| String::from_utf8_lossy(user).into_owned());
        Some(Self { client_id, user, what })
    }
}

/// A question that waits for its answer: now or later, from any thread. One that is dropped refuses
/// the client, or what it wants.
#[derive(Debug)]
pub struct Pending {
    ask: AskId,
    handle: Handle,
    answered: bool,
}

impl Pending {
    pub(super) const fn new(ask: AskId, handle: Handle) -> Self {
        Self { ask, handle, answered: false }
    }

    /// Lets the client in, with the rules of that number, or without any; or lets it have what it
    /// wants.
    pub fn accept(mut self, rules: Option<RulesId>) {
        self.say(Verdict::Accept(Acceptance { rules, ..Acceptance::default() }));
    }

    /// Turns it away, or what it wants; of a publish or a subscribe, the client is told why as far
    /// as its version of MQTT can say it.
    pub fn refuse(mut self, reason: ReasonCode) {
        self.say(Verdict::refuse(reason));
    }

    /// Somebody else answers.
    pub(super) fn pass(mut self) {
        self.answered = true;
    }

    fn say(&mut self, verdict: Verdict<'static>) {
        self.answered = true;
        let _ = self.handle.answer(self.ask, verdict); // a broker that stopped asks no more
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.answered {
            self.say(Verdict::refuse(ReasonCode::NotAuthorized));
        }
    }
}

/// What became of a question to a hook.
#[derive(Debug)]
pub enum Outcome {
    /// The hook answers it, or has.
    Taken,
    /// The accounts and rules of the configuration are to decide.
    Passed(Pending),
}

/// What whoever embeds the daemon may decide and learn. All of it is called on the thread of the
/// broker, so it must be quick; a [`Pending`] may be answered from another one.
pub trait Hooks: Send + Sync + fmt::Debug + 'static {
    /// May this client connect?
    fn authenticate(&self, login: &Login, pending: Pending) -> Outcome {
        let _ = login;
        Outcome::Passed(pending)
    }

    /// May this client have what it wants? It waits until this is answered, for no longer than
    /// `ask_timeout` of the configuration's `[limits]`, and nobody else does. If it is passed on,
    /// it may not.
    fn access(&self, wish: &Wish, pending: Pending) -> Outcome {
        let _ = wish;
        Outcome::Passed(pending)
    }

    /// Which events it wants to know of besides those of connections, from the start on. They cost
    /// something only if they are wanted; while somebody follows events, all are told.
    fn watches(&self) -> Watch {
        Watch::NOTHING
    }

    /// Something happened: of whom and what, as far as the machine tells
    /// ([`Broker::told`]).
    fn event(&self, event: &Event, told: &Told<'_>) {
        let _ = (event, told);
    }
}

/// Decides and learns nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHooks;

impl Hooks for NoHooks {}
