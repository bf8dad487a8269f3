//! What came of a load: how long messages took, and which came never, twice or too late.

use std::collections::HashSet;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The longest time that is told apart, in microseconds: a minute.
const LONGEST_US: u64 = 60_000_000;

/// What one subscriber has seen of one publisher. Numbers count from 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    next: u64,
    missing: HashSet<u64>,
}

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Due,
    Late,
    Again,
}

impl Seen {
    pub(super) fn note(&mut self, number: u64) -> Came {
        if number >= self.next {
            self.missing.extend(self.next..number);
            self.next = number.saturating_add(1);
            return Came::Due;
        }
        if self.missing.remove(&number) { Came::Late } else { Came::Again }
    }

    /// How many never came, of so many.
    pub(super) fn lost(&self, of: u64) -> u64 {
        self.missing.len() as u64 + of.saturating_sub(self.next)
    }
}

/// What came of a load.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) published: u64,
    pub(super) received: u64,
    pub(super) lost: u64,
    pub(super) duplicated: u64,
    pub(super) misordered: u64,
    pub(super) elapsed: Duration,
    /// From the moment at which a message was due to the moment at which it came.
    pub(super) latency_us: Histogram<u64>,
    /// What the broker's process spent, if its number was given.
    pub(super) broker_cpu: Option<Duration>,
    /// The calls that it made into the system.
    pub(super) broker_calls: Option<u64>,
}

impl Tally {
    pub(super) fn new() -> Result<Self, String> {
        let latency_us = Histogram::new_with_bounds(1, LONGEST_US, 3);
        Ok(Self {
            published: 0,
            received: 0,
            lost: 0,
            duplicated: 0,
            misordered: 0,
            elapsed: Duration::ZERO,
            latency_us: latency_us.map_err(|error| error.to_string())?,
            broker_cpu: None,
            broker_calls: None,
        })
    }

    pub(super) fn note(&mut self, came: Came, took: Duration) {
        self.received += 1;
        match came {
            Came::Due => {}
            Came::Late => self.misordered += 1,
            Came::Again => self.duplicated += 1,
        }
        self.latency_us.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    fn cpu_us(&self) -> Option<f64> {
        Some(self.broker_cpu?.as_secs_f64() * 1e6 / self.received.max(1) as f64)
    }

    fn calls(&self) -> Option<f64> {
        Some(self.broker_calls? as f64 / self.received.max(1) as f64)
    }

    pub(super) fn json(&self) -> Value {
        let at = |quantile| self.latency_us.value_at_quantile(quantile);
        json!({
            "published": self.published,
            "received": self.received,
            "seconds": self.elapsed.as_secs_f64(),
            "published_per_second": self.per_second(self.published).round(),
            "received_per_second": self.per_second(self.received).round(),
            "lost": self.lost,
            "duplicated": self.duplicated,
            "misordered": self.misordered,
            "latency_us": {
                "min": self.latency_us.min(),
                "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999),
                "max": self.latency_us.max(),
            },
            "broker_cpu_us_per_message": self.cpu_us(),
            "broker_calls_per_message": self.calls(),
        })
    }

    pub(super) fn text(&self) -> String {
        let at = |quantile| self.latency_us.value_at_quantile(quantile) as f64 / 1e3;
        let mut cpu = match self.cpu_us() {
            Some(us) => format!("broker      {us:.2} µs of CPU per message received\n"),
            None => String::new(),
        };
        if let Some(calls) = self.calls() {
            cpu.push_str(&format!("            {calls:.2} calls into the system\n"));
        }
        format!(
            "published   {:>10}   {:>10.0} /s\nreceived    {:>10}   {:>10.0} /s   in {:.2} s\n\
             lost        {:>10}   duplicated {}   misordered {}\n\
             latency     p50 {:.3} ms   p90 {:.3}   p99 {:.3}   p99.9 {:.3}   max {:.3}\n{cpu}",
            self.published,
            self.per_second(self.published),
            self.received,
            self.per_second(self.received),
            self.elapsed.as_secs_f64(),
            self.lost,
            self.duplicated,
            self.misordered,
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            self.latency_us.max() as f64 / 1e3,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_late_or_there_again_is_told_apart() {
        let mut seen = Seen::default();
        let came: Vec<Came> = [0, 1, 4, 3, 4, 1, 6].into_iter().map(|n| seen.note(n)).collect();
        use Came::{Again, Due, Late};
        assert_eq!(came, [Due, Due, Due, Late, Again, Again, Due]);
        assert_eq!(seen.lost(9), 4, "2, 5, 7 and 8");
    }
}
