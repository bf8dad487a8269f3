//! Time for the machines: counted from 1970, and never backwards.

use std::time::{SystemTime, UNIX_EPOCH};

use tamtam_core::Instant;

/// A clock that reads what the wall showed at its start, plus what has passed since.
///
/// Recorded deadlines so hold across restarts, and nobody who sets the wall clock moves them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: std::time::Instant,
    start_ms: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start_ms = u64::try_from(wall.as_millis()).unwrap_or_default().max(1);
        Self { start: std::time::Instant::now(), start_ms }
    }

    pub(crate) fn now(&self) -> Instant {
        let passed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Instant::from_millis(self.start_ms.saturating_add(passed))
    }
}
