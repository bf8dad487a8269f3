//! Which of many sources are ready: each has a waker of its own, which notes it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use tamtam_core::broker::Ticket;
use tamtam_transport::store::Teller;

/// What is ready, and whom to wake.
#[derive(Debug, Default)]
pub(super) struct Ready(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    sources: Vec<usize>,
    /// Whether a handle has something to do for the loop.
    stirred: bool,
    /// Tickets that the store has kept, or not.
    tickets: Vec<(Ticket, bool)>,
    waker: Option<Waker>,
}

impl Ready {
    fn change(&self, change: impl FnOnce(&mut List)) {
        let waker = {
            let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut list);
            list.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn stir(&self) {
        self.change(|list| list.stirred = true);
    }

    /// What the store's receipts tell the loop by: also within a turn, so not by the machine's
    /// lock.
    pub(super) fn teller(self: &Arc<Self>) -> Teller {
        let ready = Arc::clone(self);
        Arc::new(move |ticket, is_kept| {
            ready.change(|list| {
                list.tickets.push((ticket, is_kept));
                list.stirred = true;
            });
        })
    }

    /// What the receipts have told.
    pub(super) fn take_tickets(&self) -> Vec<(Ticket, bool)> {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut list.tickets)
    }

    /// Moves what is ready to `into`; false if there is nothing, and then `waker` is woken once
    /// there is.
    pub(super) fn take(&self, into: &mut Vec<usize>, waker: &Waker) -> bool {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let any = std::mem::take(&mut list.stirred) || !list.sources.is_empty();
        into.append(&mut list.sources);
        list.waker = if any { None } else { Some(waker.clone()) };
        any
    }
}

/// The waker of one source.
#[derive(Debug)]
pub(super) struct Flag {
    ready: Arc<Ready>,
    source: usize,
    noted: AtomicBool,
}

impl Flag {
    /// A source that is ready from the start.
    pub(super) fn new(ready: &Arc<Ready>, source: usize) -> Arc<Self> {
        let flag = Self { ready: Arc::clone(ready), source, noted: AtomicBool::new(false) };
        let flag = Arc::new(flag);
        flag.wake_by_ref();
        flag
    }

    /// It is looked at now: what happens from now on is to be noted again.
    pub(super) fn look(&self) {
        self.noted.store(false, Ordering::Release);
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.noted.swap(true, Ordering::AcqRel) {
            self.ready.change(|list| list.sources.push(self.source));
        }
    }
}
