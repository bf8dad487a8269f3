//! Time as the machines see it: a count of milliseconds, handed in by the caller.
//!
//! The core never reads a clock. Whoever drives a machine chooses the moment from which time
//! counts: power-on for firmware, the start of 1970 for a host with a store, so that recorded
//! deadlines hold across restarts. A machine only compares and adds.

use core::time::Duration;

/// A moment, in milliseconds since one that the caller chose.
///
/// Additions saturate: a deadline too far away to express never comes.
///
/// ```
/// use tamtam_core::Instant;
///
/// let start = Instant::from_millis(1_000);
/// assert_eq!(start.plus_secs(60).millis_since(start), 60_000);
/// assert_eq!(start.millis_since(start.plus_secs(60)), 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The moment from which the caller counts.
    pub const ZERO: Self = Self(0);
    /// A moment that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment that is `millis` milliseconds after [`Instant::ZERO`].
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since [`Instant::ZERO`].
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This moment, `millis` milliseconds later.
    #[must_use]
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This moment, `secs` seconds later.
    #[must_use]
    pub const fn plus_secs(self, secs: u32) -> Self {
        self.plus_millis((secs as u64).saturating_mul(1_000))
    }

    /// Milliseconds from `earlier` to this moment; 0 if `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// A moment that may not be known, in the room of one.
    pub(crate) const fn or_never(moment: Option<Self>) -> Self {
        match moment {
            Some(moment) => moment,
            None => Self::NEVER,
        }
    }

    /// This moment, if it ever comes.
    pub(crate) const fn unless_never(self) -> Option<Self> {
        match self {
            Self::NEVER => None,
            moment => Some(moment),
        }
    }

    /// How long to wait at `now` for this moment; zero if it has passed.
    #[must_use]
    pub const fn wait_from(self, now: Self) -> Duration {
        Duration::from_millis(self.millis_since(now))
    }
}
