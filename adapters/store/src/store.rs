//! The writer: a thread that commits what has gathered, again and again.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tamtam_core::broker::Records;

use crate::{Failure, Group, Kept};

/// The longest time that a commit waits for company, when there is much to do.
const LINGER_MOST: Duration = Duration::from_millis(2);

/// How many bytes of records are committed together at most.
const GROUP_BYTES: usize = 4 << 20;

/// How long what is relaxed waits for the disk, if nothing else does.
const RELAXED_MOST: Duration = Duration::from_secs(1);

/// How often a store that has failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What happens to a store, for the log.
#[derive(Debug)]
#[non_exhaustive]
pub enum News<'a> {
    /// It failed, and keeps nothing any more. Also told each time it is tried again in vain.
    Failed(&'a Failure),
    /// It works again. The broker has to say everything again
    /// ([`Broker::records`](tamtam_core::broker::Broker::records)), on its own thread.
    Back,
}

/// Told on the thread of the store whether a ticket is kept.
type Done = Box<dyn FnOnce(bool) + Send>;

struct Job {
    ticket: Vec<u8>,
    /// Whether it may be reported before it is on the disk.
    relaxed: bool,
    done: Done,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    more: Condvar,
    counters: Counts,
}

#[derive(Default)]
struct Counts {
    commits: AtomicU64,
    tickets: AtomicU64,
    bytes: AtomicU64,
    changes: AtomicU64,
    syncs: AtomicU64,
    failures: AtomicU64,
    commit_us: AtomicU64,
}

/// What a store has done since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// How many times it committed.
    pub commits: u64,
    /// How many tickets that were.
    pub tickets: u64,
    /// How many bytes of records it was handed.
    pub bytes: u64,
    /// How many keys were written or removed; what came and went together is not among them.
    pub changes: u64,
    /// How many times it waited for the disk.
    pub syncs: u64,
    /// How often it failed.
    pub failures: u64,
    /// How long all commits took together, in microseconds.
    pub commit_us: u64,
}

/// Keeps the records of a broker that runs, on a thread of its own.
///
/// The broker's thread only copies bytes ([`Store::keep`]). The store commits all that has gathered
/// meanwhile as one group: a broker with little to do is served at once, one with much to do shares
/// each wait for the disk among many messages.
pub struct Store {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Starts the thread. `news` is called on it.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(kept: Kept, news: impl FnMut(News<'_>) + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            shared: Arc::clone(&shared),
            kept,
            news: Box::new(news),
            last: Last::default(),
            relaxed_since: None,
        };
        let thread = std::thread::Builder::new().name("mqtt-store".into());
        let thread = thread.spawn(move || writer.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Takes the records of a ticket, and says later, on another thread, whether they are kept; in
    /// the order in which they came. Those that are relaxed are kept in the sense that they survive
    /// the end of the process, and a second later a power failure.
    pub fn keep(&self, records: &Records<'_>, done: impl FnOnce(bool) + Send + 'static) {
        let (ticket, relaxed) = (records.as_bytes().to_vec(), records.is_relaxed());
        self.shared.lock().jobs.push_back(Job { ticket, relaxed, done: Box::new(done) });
        self.shared.more.notify_one();
    }

    /// What it has done.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let counts = &self.shared.counters;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            commits: read(&counts.commits),
            tickets: read(&counts.tickets),
            bytes: read(&counts.bytes),
            changes: read(&counts.changes),
            syncs: read(&counts.syncs),
            failures: read(&counts.failures),
            commit_us: read(&counts.commit_us),
        }
    }

    /// Keeps what it was handed, and ends. Dropping it does the same.
    pub fn close(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.more.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something to do, or it is closed, for so long at most.
    fn wait<'q>(
        &self,
        queue: MutexGuard<'q, Queue>,
        most: Option<Duration>,
    ) -> MutexGuard<'q, Queue> {
        match most {
            None => self.more.wait(queue).unwrap_or_else(PoisonError::into_inner),
            Some(most) => {
                let waited = self.more.wait_timeout(queue, most);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}

/// The commit before.
#[derive(Default)]
struct Last {
    tickets: usize,
    took: Duration,
}

struct Writer {
    shared: Arc<Shared>,
    kept: Kept,
    news: Box<dyn FnMut(News<'_>) + Send>,
    last: Last,
    /// Since when something is committed that a power failure would take away.
    relaxed_since: Option<Instant>,
}

impl Writer {
    fn run(mut self) {
        while let Some(jobs) = self.gather() {
            if let Err(failure) = self.commit(jobs) {
                self.shared.counters.failures.fetch_add(1, Ordering::Relaxed);
                if !self.wait_until_it_works(failure) {
                    return;
                }
            }
        }
    }

    /// What is to be committed next: nothing, if what was relaxed is to be that no more; `None` at
    /// the end.
    fn gather(&self) -> Option<Vec<Job>> {
        let mut queue = self.shared.lock();
        while queue.jobs.is_empty() {
            let left = self.relaxed_since.map(|since| RELAXED_MOST.saturating_sub(since.elapsed()));
            match left {
                Some(left) if queue.is_closed || left.is_zero() => return Some(Vec::new()),
                None if queue.is_closed => return None,
                _ => queue = self.shared.wait(queue, left),
            }
        }
        if self.last.tickets > 1 && !queue.is_closed {
            let linger = (self.last.took / 2).min(LINGER_MOST);
            drop(queue);
            std::thread::sleep(linger);
            queue = self.shared.lock();
        }
        let mut jobs = Vec::with_capacity(queue.jobs.len());
        let mut bytes = 0;
        while bytes < GROUP_BYTES
            && let Some(job) = queue.jobs.pop_front()
        {
            bytes += job.ticket.len();
            jobs.push(job);
        }
        Some(jobs)
    }

    fn commit(&mut self, jobs: Vec<Job>) -> Result<(), Failure> {
        let begin = Instant::now();
        let result = self.commit_group(&jobs);
        self.last = Last { tickets: jobs.len(), took: begin.elapsed() };
        for job in jobs {
            (job.done)(result.is_ok());
        }
        let took = u64::try_from(self.last.took.as_micros()).unwrap_or(u64::MAX);
        self.shared.counters.commit_us.fetch_add(took, Ordering::Relaxed);
        result
    }

    fn commit_group(&mut self, jobs: &[Job]) -> Result<(), Failure> {
        let mut group = Group::default();
        let engine = &mut self.kept.engine;
        for job in jobs {
            group.add(&job.ticket, &mut self.kept.known, &|key| engine.get(key))?;
        }
        let is_late = |since: Instant| since.elapsed() >= RELAXED_MOST;
        let strict = jobs.is_empty() || jobs.iter().any(|job| !job.relaxed);
        let sync = strict || self.relaxed_since.is_some_and(is_late);
        let counts = &self.shared.counters;
        if !group.is_empty() || sync && self.relaxed_since.is_some() {
            engine.commit(&group, sync)?;
            counts.syncs.fetch_add(u64::from(sync), Ordering::Relaxed);
            let since = self.relaxed_since.unwrap_or_else(Instant::now);
            self.relaxed_since = (!sync).then_some(since);
        }
        counts.commits.fetch_add(1, Ordering::Relaxed);
        counts.tickets.fetch_add(group.tickets() as u64, Ordering::Relaxed);
        counts.bytes.fetch_add(group.len() as u64, Ordering::Relaxed);
        counts.changes.fetch_add(group.changes().count() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Refuses everything until the engine works again and the broker begins again. Whether to go
    /// on.
    fn wait_until_it_works(&mut self, failure: Failure) -> bool {
        let mut failure = failure;
        self.relaxed_since = None; // the broker says it again
        loop {
            (self.news)(News::Failed(&failure));
            if !self.refuse_until(Some(Instant::now() + RETRY)) {
                return false;
            }
            match self.kept.engine.reopen() {
                Ok(()) => break,
                Err(again) => failure = again,
            }
        }
        (self.news)(News::Back);
        self.refuse_until(None)
    }

    /// Refuses what comes until that time; without one, until the broker begins again. Whether to
    /// go on.
    fn refuse_until(&self, until: Option<Instant>) -> bool {
        loop {
            let mut queue = self.shared.lock();
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return !queue.is_closed;
            }
            match queue.jobs.pop_front() {
                Some(job) if until.is_none() && begins_again(&job.ticket) => {
                    queue.jobs.push_front(job);
                    return true;
                }
                Some(job) => {
                    drop(queue);
                    (job.done)(false);
                }
                None if queue.is_closed => return false,
                None => drop(self.shared.wait(queue, left)),
            }
        }
    }
}

/// Whether a ticket begins with everything that is true.
fn begins_again(ticket: &[u8]) -> bool {
    const RESET: &[u8] = &[0];
    Records::from_bytes(ticket).bytes().next() == Some(RESET)
}
