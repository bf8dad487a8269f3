//! Which runs a suite makes: `TAMTAM_SEED` names one, `TAMTAM_SEEDS` says how many.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Whether one run is looked at: then it keeps its words.
#[must_use]
pub fn is_single() -> bool {
    number("TAMTAM_SEED").is_some()
}

/// Runs `body` with each seed; the one that fails is named. `count` is how many there are, unless
/// the environment says otherwise.
pub fn for_each_seed(suite: &str, count: u64, mut body: impl FnMut(u64)) {
    let first = number("TAMTAM_SEED").unwrap_or(1);
    let factor = number("TAMTAM_SEEDS").unwrap_or(1);
    let count = if is_single() { 1 } else { count * factor.max(1) };
    for seed in first..first + count {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(seed))) {
            eprintln!("{suite} failed with seed {seed}; it alone: TAMTAM_SEED={seed}");
            resume_unwind(panic);
        }
    }
}
