//! How other threads reach a broker that runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use mio::Waker;
use tamtam_core::broker::{AskId, Ticket, Verdict};
use tamtam_core::{FilterError, QoS, ReasonCode, TopicError, TopicName};

use tamtam_transport::store::Teller;

use super::policy::Turn;

/// Why a broker could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// It has stopped.
    #[error("the broker has stopped")]
    Stopped,
    /// The thread of the broker can't wait for itself: it has a [`Turn`] in its hands.
    #[error("asked from the broker's own thread, which would wait for itself")]
    OwnThread,
    /// Not a topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// Not a filter.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The broker does not do this.
    #[error("the broker refused it: {0}")]
    Refused(ReasonCode),
}

/// Reaches a broker that runs, from any thread; as many copies as are wanted.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(super) fn new(waker: Waker) -> Self {
        let shared = Shared {
            waker,
            sleeping: AtomicBool::new(false),
            pending: AtomicBool::new(false),
            thread: OnceLock::new(),
            inbox: Mutex::new(Inbox::default()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Does a job on the thread of the broker, where it has the machine in its hands, and returns
    /// what came of it. This is how sessions are listed and ended, limits set, messages deleted.
    ///
    /// # Errors
    /// [`HandleError::Stopped`], and [`HandleError::OwnThread`].
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Turn<'_>) -> T + Send + 'static,
    ) -> Result<T, HandleError> {
        if self.shared.thread.get() == Some(&std::thread::current().id()) {
            return Err(HandleError::OwnThread);
        }
        let (send, receive) = mpsc::sync_channel(1);
        self.post(move |turn| {
            let _ = send.send(job(turn));
        })?;
        receive.recv().map_err(|_| HandleError::Stopped)
    }

    /// The same, without waiting for it.
    ///
    /// # Errors
    /// [`HandleError::Stopped`].
    pub fn post(
        &self,
        job: impl FnOnce(&mut Turn<'_>) + Send + 'static,
    ) -> Result<(), HandleError> {
        self.shared.tell(|inbox| inbox.jobs.push(Box::new(job)))
    }

    /// Publishes a message of the host's own; whether anybody wanted it.
    ///
    /// # Errors
    /// [`HandleError`]; a topic may be wrong.
    pub fn publish(
        &self,
        topic: &str,
        payload: impl Into<Vec<u8>>,
        qos: QoS,
        retain: bool,
    ) -> Result<bool, HandleError> {
        TopicName::new(topic)?;
        let (topic, payload) = (topic.to_owned(), payload.into());
        self.run(move |turn| match TopicName::new(&topic) {
            Ok(topic) => turn.broker.publish(topic, &payload, qos, retain, turn.now),
            Err(_) => false,
        })
    }

    /// Answers a question that [`Policy::ask`](super::Policy::ask) left open.
    ///
    /// # Errors
    /// [`HandleError::Stopped`].
    pub fn answer(&self, ask: AskId, verdict: Verdict<'static>) -> Result<(), HandleError> {
        self.post(move |turn| turn.broker.answer(ask, verdict, turn.now))
    }

    /// Ends the broker: clients are told (MQTT 5: DISCONNECT with 0x8B), what is in their outputs
    /// leaves, the store keeps what it was handed; for no longer than `patience`.
    ///
    /// Returns at once. [`Running::stop`](super::Running::stop) waits for it.
    pub fn stop(&self, patience: Duration) {
        let _ = self.shared.tell(|inbox| inbox.stop = Some(patience));
    }

    /// What the store's receipts tell the loop by.
    pub(super) fn teller(&self) -> Teller {
        let shared = Arc::clone(&self.shared);
        Arc::new(move |ticket, is_kept| {
            let _ = shared.tell(|inbox| inbox.tickets.push((ticket, is_kept)));
        })
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}

type Job = Box<dyn FnOnce(&mut Turn<'_>) + Send>;

/// What the loop has yet to look at.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) jobs: Vec<Job>,
    /// Tickets that the store has kept, or not.
    pub(super) tickets: Vec<(Ticket, bool)>,
    pub(super) stop: Option<Duration>,
    closed: bool,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("jobs", &self.jobs.len()).finish_non_exhaustive()
    }
}

/// What the loop and its handles share.
#[derive(Debug)]
pub(super) struct Shared {
    waker: Waker,
    /// Whether the loop waits, or is about to: only then it has to be woken.
    sleeping: AtomicBool,
    pending: AtomicBool,
    thread: OnceLock<ThreadId>,
    inbox: Mutex<Inbox>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: impl FnOnce(&mut Inbox)) -> Result<(), HandleError> {
        let mut inbox = self.lock();
        if inbox.closed {
            return Err(HandleError::Stopped);
        }
        what(&mut inbox);
        drop(inbox);
        self.pending.store(true, Ordering::SeqCst);
        if self.sleeping.swap(false, Ordering::SeqCst) {
            let _ = self.waker.wake();
        }
        Ok(())
    }

    /// The loop runs on this thread.
    pub(super) fn begin(&self) {
        let _ = self.thread.set(std::thread::current().id());
    }

    /// The loop is about to wait. Whether it may: something may have come in the meantime.
    pub(super) fn sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::SeqCst);
        !self.pending.load(Ordering::SeqCst)
    }

    /// The loop is awake.
    pub(super) fn wake(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }

    pub(super) fn take(&self) -> Option<Inbox> {
        if !self.pending.load(Ordering::Relaxed) {
            return None;
        }
        self.pending.store(false, Ordering::SeqCst);
        Some(std::mem::take(&mut *self.lock()))
    }

    /// Nobody is heard any more. What waits is dropped, so that those who wait for it know.
    pub(super) fn close(&self) {
        *self.lock() = Inbox { closed: true, ..Inbox::default() };
    }
}
