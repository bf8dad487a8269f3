//! How many connections each user has, as long as somebody limits that.

use std::collections::HashMap;

use tamtam_core::broker::LinkId;

use crate::config::Config;

/// The connections of each user. Those that have ended are dropped when somebody looks.
#[derive(Debug, Default)]
pub(super) struct Users {
    links: HashMap<String, Vec<LinkId>>,
    count: usize,
    /// How many there were when all were looked at.
    swept: usize,
}

/// So many more connections than at the last look at all of them call for the next one.
const SWEEP_EACH: usize = 1_024;

impl Users {
    /// Whether a configuration has it count.
    pub(super) fn are_counted(config: &Config) -> bool {
        let mut listeners = config.listeners.iter();
        listeners.any(|listener| config.connections_per_user(listener) != usize::MAX)
    }

    /// Whether one more connection of a user is within a limit; then it counts. `is_here` knows
    /// which ones still are.
    pub(super) fn admit(
        &mut self,
        user: &str,
        link: LinkId,
        limit: usize,
        is_here: impl Fn(LinkId) -> bool,
    ) -> bool {
        let links = self.links.entry(user.to_owned()).or_default();
        if links.len() >= limit {
            let before = links.len();
            links.retain(|link| is_here(*link));
            self.count = self.count.saturating_sub(before.saturating_sub(links.len()));
        }
        let is_within = links.len() < limit;
        if is_within {
            links.push(link);
            self.count = self.count.saturating_add(1);
        } else if links.is_empty() {
            self.links.remove(user); // anybody may name anybody
        }
        if self.count >= self.swept.saturating_mul(2).saturating_add(SWEEP_EACH) {
            self.sweep(is_here);
        }
        is_within
    }

    fn sweep(&mut self, is_here: impl Fn(LinkId) -> bool) {
        self.links.retain(|_, links| {
            links.retain(|link| is_here(*link));
            !links.is_empty()
        });
        self.count = self.links.values().map(Vec::len).sum();
        self.swept = self.count;
    }
}

#[cfg(test)]
mod tests {
    use tamtam_core::broker::{Broker, Options};
    use tamtam_core::{Heap, Instant};

    use super::*;

    #[test]
    fn those_who_have_gone_do_not_count_and_are_forgotten() {
        let mut broker = Broker::<Heap>::new();
        broker.start(&Options::DEFAULT, 1);
        let mut link = || broker.open(Instant::from_millis(1)).expect("room");
        let mut users = Users::default();
        let (a, b, c) = (link(), link(), link());
        assert!(users.admit("ada", a, 2, |_| true));
        assert!(users.admit("ada", b, 2, |_| true));
        assert!(!users.admit("ada", c, 2, |_| true));
        assert!(users.admit("bob", c, 2, |_| true));
        assert!(users.admit("ada", c, 2, |link| link != a));
        assert!(!users.admit("eve", c, 0, |_| true));
        assert!(!users.links.contains_key("eve"), "nothing is kept of whom nobody lets in");
        for number in 0..10_000 {
            assert!(users.admit(&number.to_string(), c, 1, |link| link == b));
        }
        assert!(users.links.len() <= 2 * SWEEP_EACH, "{}", users.links.len());
    }
}
