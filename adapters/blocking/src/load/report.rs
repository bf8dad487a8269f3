//! What a load came to, and what it cost.

use std::time::Duration;

/// What a load came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Messages that were published.
    pub published: u64,
    /// Copies that arrived.
    pub delivered: u64,
    /// Copies that did not arrive in time.
    pub lost: u64,
    /// From the first message to the last one.
    pub elapsed: Duration,
}

impl Report {
    /// Copies that arrived in a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.delivered as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// How long all threads of a process have been on a processor; `None` if nobody can say (it is
/// asked of `/proc`).
#[must_use]
pub fn cpu_of(process: u32) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    for task in std::fs::read_dir(format!("/proc/{process}/task")).ok()? {
        let spent = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        sum += Duration::from_nanos(spent.split_whitespace().next()?.parse().ok()?);
    }
    Some(sum)
}
