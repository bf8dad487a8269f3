//! How many may come in, and how fast: by a listener, and from an address.

use std::collections::HashMap;
use std::net::IpAddr;

use tamtam_core::Instant;
use tamtam_core::broker::LinkId;

/// How many may come in by a listener, and how fast. By default as many as the broker takes.
///
/// ```
/// use tamtam_blocking::broker::{Admission, Listener};
///
/// let admission = Admission { per_address: Some(20), rate: Some(100), ..Admission::default() };
/// let listener = Listener::tcp("127.0.0.1:0")?.admission(admission);
/// # drop(listener);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// How many connections there may be at once that came by this listener; one more is closed.
    pub connections: Option<usize>,
    /// How many there may be at once from the same address, by whatever listener; one more is
    /// closed. IPv6 addresses that share their first 64 bits count as the same, as one subscriber
    /// has all of these. Unix sockets have no address, and a proxy's own does not count.
    pub per_address: Option<usize>,
    /// How many connections a second. More than those of one second never come at once; others wait
    /// in the system until it is their turn.
    pub rate: Option<u32>,
}

/// What became of those who came to the listeners, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrivals {
    /// They came in.
    pub taken: u64,
    /// They were closed: there were as many as the broker takes.
    pub broker_full: u64,
    /// They were closed: there were as many as the listener takes.
    pub listener_full: u64,
    /// They were closed: there were as many as may be from one address.
    pub address_full: u64,
    /// How often a listener let clients wait, because of its rate.
    pub waits: u64,
}

/// How many come in by a listener in each second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// What is left of this second's, in thousandths of a connection.
    left: u64,
    at: Option<Instant>,
}

impl Pace {
    /// Takes one; else when there will be one.
    pub(super) fn take(&mut self, rate: Option<u32>, now: Instant) -> Result<(), Instant> {
        let Some(rate) = rate.map(u64::from) else { return Ok(()) };
        let full = rate.saturating_mul(1_000);
        self.left = match self.at {
            None => full,
            Some(at) => self.left.saturating_add(now.millis_since(at).saturating_mul(rate)),
        };
        self.left = self.left.min(full);
        self.at = Some(now);
        match self.left.checked_sub(1_000) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                let lacking = 1_000_u64.saturating_sub(self.left);
                let wait = lacking.div_ceil(rate.max(1));
                Err(now.plus_millis(if rate == 0 { NEVER_MS } else { wait }))
            }
        }
    }

    /// The last one that was taken was not used.
    pub(super) const fn give_back(&mut self) {
        self.left = self.left.saturating_add(1_000);
    }
}

/// When nobody may come in, it is looked again after this time.
const NEVER_MS: u64 = 3_600_000;

/// Who is inside.
#[derive(Debug, Default)]
pub(super) struct Census {
    by_listener: Vec<usize>,
    /// The addresses, as long as a listener counts them.
    addresses: Option<Addresses>,
}

#[derive(Debug, Default)]
struct Addresses {
    count: HashMap<IpAddr, usize>,
    of: HashMap<LinkId, IpAddr>,
}

impl Census {
    pub(super) fn at_listener(&self, listener: usize) -> usize {
        self.by_listener.get(listener).copied().unwrap_or_default()
    }

    /// How many come from an address; 0 if nobody counts.
    pub(super) fn at_address(&self, address: IpAddr) -> usize {
        let count = self.addresses.as_ref().and_then(|all| all.count.get(&network(address)));
        count.copied().unwrap_or_default()
    }

    /// Addresses count from now on, or no longer; whether those who are inside are to be told.
    pub(super) fn count_addresses(&mut self, wanted: bool) -> bool {
        let begins = wanted && self.addresses.is_none();
        if begins {
            self.addresses = Some(Addresses::default());
        } else if !wanted {
            self.addresses = None;
        }
        begins
    }

    pub(super) fn enter(&mut self, listener: usize) {
        if listener >= self.by_listener.len() {
            self.by_listener.resize(listener.saturating_add(1), 0);
        }
        if let Some(count) = self.by_listener.get_mut(listener) {
            *count = count.saturating_add(1);
        }
    }

    /// Where somebody inside is from.
    pub(super) fn is_from(&mut self, link: LinkId, address: IpAddr) {
        if let Some(all) = &mut self.addresses {
            let address = network(address);
            if all.of.insert(link, address).is_none() {
                let count = all.count.entry(address).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    pub(super) fn leave(&mut self, link: LinkId, listener: usize) {
        if let Some(count) = self.by_listener.get_mut(listener) {
            *count = count.saturating_sub(1);
        }
        if let Some(all) = &mut self.addresses
            && let Some(address) = all.of.remove(&link)
            && let Some(count) = all.count.get_mut(&address)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                all.count.remove(&address);
            }
        }
    }
}

/// What counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_kept_and_a_second_is_not_saved_up() {
        let mut pace = Pace::default();
        let mut taken = 0;
        let mut now = Instant::from_millis(1_000);
        while now < Instant::from_millis(11_000) {
            match pace.take(Some(7), now) {
                Ok(()) => taken += 1,
                Err(then) => now = then,
            }
        }
        assert_eq!(taken, 7 + 69, "a second's at once, and then one each seventh of a second");
        now = Instant::from_millis(90_000);
        assert_eq!((0..50).filter(|_| pace.take(Some(7), now).is_ok()).count(), 7);
        assert!(pace.take(Some(0), now).is_err());
        assert!(pace.take(None, now).is_ok());
    }

    #[test]
    fn those_of_one_network_are_counted_together() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(network(address("2001:db8::1")), network(address("2001:db8:0:0:9::7")));
        assert_ne!(network(address("2001:db8::1")), network(address("2001:db8:0:1::1")));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
        assert_ne!(network(address("192.0.2.1")), network(address("192.0.2.2")));
    }
}
