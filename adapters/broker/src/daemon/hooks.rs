//! What whoever embeds the daemon may decide and learn.

use std::fmt;

use tamtam_blocking::broker::Handle;
use tamtam_core::ReasonCode;
use tamtam_core::broker::{Acceptance, AskId, Event, RulesId, Verdict};

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

/// A question that waits for its answer: now or later, from any thread. One that is dropped refuses
/// the client.
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

    /// Lets the client in, with the rules of that number, or without any.
    pub fn accept(mut self, rules: Option<RulesId>) {
        self.say(Verdict::Accept(Acceptance { rules, ..Acceptance::default() }));
    }

    /// Turns it away.
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

    /// Something happened.
    fn event(&self, event: &Event) {
        let _ = event;
    }
}

/// Decides and learns nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHooks;

impl Hooks for NoHooks {}
