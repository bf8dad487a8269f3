//! A client whose waiting a thread does.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use mio::Waker;
use tamtam_core::ReasonCode;
use tamtam_core::client::{Filter, Publish};

use super::engine::Poller;
use super::{Client, Error, Lost, Message};

type Job = Box<dyn FnOnce(&Client) + Send>;

/// A client on a thread of its own: pings leave, messages reach their callbacks, and connections
/// are made again, whatever the application does meanwhile.
///
/// Calls come from any thread, and are carried out one after the other. Dropping it ends the
/// thread, and the connection without a goodbye.
#[derive(Debug)]
pub struct Background {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), Lost>>>,
}

#[derive(Debug)]
struct Shared {
    waker: Waker,
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    waiting: Vec<Job>,
    ends: bool,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Shared {
    fn tell<T>(&self, what: impl FnOnce(&mut Jobs) -> T) -> T {
        let told = what(&mut self.jobs.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = self.waker.wake();
        told
    }

    fn take(&self) -> (Vec<Job>, bool) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut jobs.waiting), jobs.ends)
    }
}

impl Client {
    /// Gives the client to a thread of its own, which hands every message that no callback takes to
    /// `take`.
    ///
    /// Over a stream of the application's ([`Setup::connect_over`](super::Setup::connect_over)) a
    /// call waits for the read timeout of the stream.
    ///
    /// # Errors
    /// The system gives no thread, or nothing to wait on.
    pub fn into_background(
        self,
        mut take: impl FnMut(Message) + Send + 'static,
    ) -> std::io::Result<Background> {
        let (poller, waker) = Poller::new()?;
        self.engine.borrow_mut().poll_by(poller);
        let shared = Arc::new(Shared { waker, jobs: Mutex::default() });
        let jobs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("mqtt-client".into());
        let thread = thread.spawn(move || {
            let result = self.work(&jobs, &mut take);
            // Whoever still waits for an answer learns that none will come.
            jobs.tell(|jobs| *jobs = Jobs { ends: true, ..Jobs::default() });
            result
        })?;
        Ok(Background { shared, thread: Some(thread) })
    }

    fn work(&self, shared: &Shared, take: &mut dyn FnMut(Message)) -> Result<(), Lost> {
        loop {
            let (jobs, ends) = shared.take();
            for job in jobs {
                job(self);
            }
            while let Ok(message) = self.next_message(std::time::Duration::ZERO) {
                take(message);
            }
            let engine = self.engine.borrow();
            if ends || engine.is_over() {
                return match engine.inbox.lost.clone() {
                    Some(lost) if !ends && !matches!(lost, Lost::Done) => Err(lost),
                    _ => Ok(()),
                };
            }
            drop(engine);
            self.turn_until(None);
        }
    }
}

impl Background {
    /// Does a job with the client, on its thread, and returns what came of it.
    ///
    /// # Errors
    /// [`Error::Ended`] if the client has.
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Client) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (send, receive) = mpsc::sync_channel(1);
        let job = move |client: &Client| {
            let _ = send.send(job(client));
        };
        self.shared.tell(|jobs| {
            if !jobs.ends {
                jobs.waiting.push(Box::new(job));
            }
        });
        receive.recv().map_err(|_| Error::Ended)
    }

    /// Publishes a message: see [`Client::publish`].
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub fn publish(
        &self,
        topic: &str,
        payload: impl Into<Vec<u8>>,
        qos: tamtam_core::QoS,
    ) -> Result<ReasonCode, Error> {
        let (topic, payload) = (topic.to_owned(), payload.into());
        self.run(move |client| client.publish(Publish::new(&topic, &payload).qos(qos)))?
    }

    /// Subscribes: see [`Client::subscribe`].
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub fn subscribe(&self, filter: &str, qos: tamtam_core::QoS) -> Result<ReasonCode, Error> {
        let filter = filter.to_owned();
        self.run(move |client| client.subscribe(Filter::new(&filter).qos(qos)))?
    }

    /// Disconnects in order, see [`Client::disconnect`], and waits for the thread to end.
    ///
    /// # Errors
    /// As [`Client::disconnect`].
    pub fn disconnect(mut self) -> Result<(), Error> {
        let left = self.run(Client::disconnect)?;
        self.end();
        left
    }

    fn end(&mut self) {
        self.shared.tell(|jobs| jobs.ends = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.end();
    }
}
