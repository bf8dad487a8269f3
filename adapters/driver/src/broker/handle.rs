//! How others reach a broker that runs.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use tamtam_core::broker::{Acceptance, AskId, Broker, LinkId, Post, Verdict};
use tamtam_core::client::Filter;
use tamtam_core::{Connect, FilterError, Heap, Instant, ReasonCode, Text, Version};
use tamtam_transport::ServerLayers;

use super::Accepted;
use super::ready::Ready;
use super::subscriber::Subscriber;

/// Why a broker could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// It has stopped.
    #[error("the broker has stopped")]
    Stopped,
    /// A policy has the machine in its hands, in its turn.
    #[error("called by a policy within a turn: the machine is in the turn")]
    InTurn,
    /// The broker refused it.
    #[error("the broker refused it: {0}")]
    Refused(ReasonCode),
    /// Not a topic filter.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Not a client identifier.
    #[error("a client identifier has at most 65,535 bytes, and no U+0000")]
    ClientId,
}

/// Reaches a broker that runs, from any task or thread; as many copies as are wanted.
///
/// Calls take the machine for a moment; a turn of the loop is the longest that they wait.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
}

/// What the loop and its handles share.
pub(super) struct Shared {
    pub(super) ready: Arc<Ready>,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) broker: Broker<Heap>,
    /// Connections without a transport, and who waits for their messages.
    pub(super) locals: HashMap<LinkId, Local>,
    /// Streams that handles have brought.
    pub(super) brought: Vec<(Accepted, ServerLayers)>,
    /// How long the end may take, if it is wanted.
    pub(super) stop: Option<Duration>,
    pub(super) is_over: bool,
    /// Who waits for the end.
    pub(super) waiting: Vec<Waker>,
}

#[derive(Debug, Default)]
pub(super) struct Local {
    pub(super) waker: Option<Waker>,
    pub(super) is_over: bool,
}

thread_local! {
    /// The broker whose turn this thread makes, by its address; 0 for none.
    static TURN_OF: Cell<usize> = const { Cell::new(0) };
}

/// Puts back what was there, also if a policy panics.
struct Mark(usize);

impl Drop for Mark {
    fn drop(&mut self) {
        TURN_OF.set(self.0);
    }
}

impl Shared {
    pub(super) fn new(
        broker: Broker<Heap>,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        let state = State {
            broker,
            locals: HashMap::new(),
            brought: Vec::new(),
            stop: None,
            is_over: false,
            waiting: Vec::new(),
        };
        Self { ready: Arc::default(), clock: Box::new(clock), state: Mutex::new(state) }
    }

    pub(super) fn now(&self) -> Instant {
        (self.clock)()
    }

    /// Makes a turn of the loop.
    pub(super) fn turn<T>(self: &Arc<Self>, work: impl FnOnce(&mut State) -> T) -> T {
        let _marked = Mark(TURN_OF.replace(Arc::as_ptr(self).addr()));
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does something between the turns.
    pub(super) fn with<T>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut State) -> T,
    ) -> Result<T, HandleError> {
        if TURN_OF.get() == Arc::as_ptr(self).addr() {
            return Err(HandleError::InTurn);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_over {
            return Err(HandleError::Stopped);
        }
        let result = work(&mut state);
        drop(state);
        self.ready.stir();
        Ok(result)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Handle {
    /// Does something with the machine, between two turns of the loop. This is how sessions are
    /// listed and ended, limits set, messages deleted. It must be quick.
    ///
    /// # Errors
    /// [`HandleError::Stopped`], and [`HandleError::InTurn`].
    pub fn with<T>(
        &self,
        work: impl FnOnce(&mut Broker<Heap>, Instant) -> T,
    ) -> Result<T, HandleError> {
        let now = self.shared.now();
        self.shared.with(|state| work(&mut state.broker, now))
    }

    /// Publishes a message of the host's own. The reason is success, or that nobody has subscribed.
    ///
    /// # Errors
    /// [`HandleError`]: nobody got it.
    pub fn publish(&self, post: &Post<'_>) -> Result<ReasonCode, HandleError> {
        let reason = self.with(|broker, now| broker.post(post, now).reason)?;
        if reason.is_error() { Err(HandleError::Refused(reason)) } else { Ok(reason) }
    }

    /// Subscribes as a client of this name without a transport, whose session is new and ends with
    /// the [`Subscriber`].
    ///
    /// # Errors
    /// [`HandleError`]; a filter may be wrong, or be refused.
    pub fn subscribe(
        &self,
        client_id: &str,
        filters: &[Filter<'_>],
    ) -> Result<Subscriber, HandleError> {
        let client_id = Text::new(client_id).map_err(|_| HandleError::ClientId)?;
        let connect = Connect::new(Version::V5, client_id);
        let now = self.shared.now();
        let link = self.shared.with(|state| {
            let link = state.broker.attach(&connect, Acceptance::default(), now);
            let link = link.map_err(HandleError::Refused)?;
            state.locals.insert(link, Local::default());
            Ok::<_, HandleError>(link)
        })??;
        let subscriber = Subscriber::new(Arc::clone(&self.shared), link);
        for filter in filters {
            let wanted = filter.subscription()?;
            let done =
                |state: &mut State| state.broker.subscribe_attached(link, &wanted, 0, now).reason;
            let reason = self.shared.with(done)?;
            if reason.is_error() {
                return Err(HandleError::Refused(reason));
            }
        }
        Ok(subscriber)
    }

    /// Answers a question that [`Policy::ask`](super::Policy::ask) left open.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn answer(&self, ask: AskId, verdict: Verdict<'static>) -> Result<(), HandleError> {
        self.with(|broker, now| broker.answer(ask, verdict, now))
    }

    /// Serves a stream that is open already.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn bring(&self, stream: Accepted, layers: ServerLayers) -> Result<(), HandleError> {
        self.shared.with(|state| state.brought.push((stream, layers)))
    }

    /// Ends the broker: clients are told (MQTT 5: DISCONNECT with 0x8B), what is in their outputs
    /// leaves; for no longer than `patience`. Resolves once it has ended.
    pub async fn stop(&self, patience: Duration) {
        let _ = self.shared.with(|state| state.stop = Some(patience));
        std::future::poll_fn(|context| {
            let waits = self.shared.with(|state| {
                if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                    state.waiting.push(context.waker().clone());
                }
            });
            if waits.is_err() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
