//! The end: clients are told, what they are owed leaves, the store keeps what it was handed.

use std::time::Duration;

use tamtam_core::{Instant, ReasonCode};

use super::turn::Loop;

/// A broker on its way out.
#[derive(Debug)]
pub(super) struct Stopping {
    deadline: Instant,
    is_over: bool,
}

impl Stopping {
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl Loop {
    pub(super) fn begin_stopping(&mut self, patience: Duration) {
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let deadline = self.now.plus_millis(patience);
        match &mut self.stopping {
            Some(stopping) => stopping.deadline = stopping.deadline.min(deadline),
            None => {
                self.stopping = Some(Stopping { deadline, is_over: false });
                self.shut_doors();
                for link in self.locals.links() {
                    self.locals.remove(link);
                    self.broker.leave(link, self.now);
                }
                for link in self.connections.links() {
                    self.broker.close(link, ReasonCode::ServerShuttingDown, self.now);
                }
            }
        }
    }

    /// Ends once everybody is gone, or the time is over.
    pub(super) fn go_on_stopping(&mut self) {
        if self.stopping.is_none() {
            return;
        }
        self.keep_records(true);
        let all_gone = self.connections.is_empty() && self.unsigned == 0;
        let now = self.now;
        if let Some(stopping) = &mut self.stopping {
            stopping.is_over = all_gone || stopping.deadline <= now;
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopping.as_ref().is_some_and(|stopping| stopping.is_over)
    }
}
