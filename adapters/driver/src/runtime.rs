//! What a runtime has to bring.

use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use futures_io::{AsyncRead, AsyncWrite};
use tamtam_core::Instant;

/// What only a runtime can supply: to be woken at a time.
pub trait Runtime {
    /// Ends at the time that it was made for.
    type Sleep: Future<Output = ()>;

    /// The time: milliseconds that never go back. Those of [`Clock`], unless it has its own.
    fn now(&self) -> Instant {
        Clock::now()
    }

    /// Sleeps until then; not at all if that is past.
    fn sleep_until(&self, when: Instant) -> Self::Sleep;
}

/// A stream of bytes, both ways, in order and without loss
/// [MQTT5-4.2-1, MQTT3-7.1.1-1, MQTT3-7.1.2-1].
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// The time since 1970 that never goes back: the wall clock when it was first asked, and what has
/// passed since.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// The time.
    #[must_use]
    pub fn now() -> Instant {
        let (started, wall) = start();
        let since = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Instant::from_millis(wall).plus_millis(since)
    }

    /// The same time as the standard library counts it, for timers. Far ones come at most a day
    /// from now: who sleeps looks again then.
    #[must_use]
    pub fn std_instant(when: Instant) -> std::time::Instant {
        const DAY: Duration = Duration::from_secs(86_400);
        let wait = when.wait_from(Self::now()).min(DAY);
        std::time::Instant::now() + wait
    }
}

fn start() -> (std::time::Instant, u64) {
    static START: OnceLock<(std::time::Instant, u64)> = OnceLock::new();
    *START.get_or_init(|| {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let millis = wall.map_or(1, |wall| u64::try_from(wall.as_millis()).unwrap_or(1));
        (std::time::Instant::now(), millis)
    })
}
