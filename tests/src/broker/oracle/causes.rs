//! Why a copy may be missing: each cause is counted here, and by the broker.

use tamtam_core::Instant;

use super::Counts;
use super::message::{Message, State};
use super::session::{Cause, Copy};

impl Counts {
    /// Whether there is a cause for which a copy may be missing; counted if there is.
    pub(super) fn excuse(
        &mut self,
        copy: &Copy,
        message: Option<&Message>,
        most: usize,
        now: Instant,
    ) -> bool {
        let expired = copy.expires.is_some_and(|when| when <= now);
        let state = message.map(|message| message.state);
        let too_large = message.is_some_and(|message| message.may_exceed(most));
        let full = copy.optional == Some(Cause::Queue);
        let lost = copy.optional == Some(Cause::Loss) || state != Some(State::Accepted);
        let counter = match (expired, too_large, full) {
            _ if copy.qos == 0 => &mut self.absent_qos0,
            _ if lost => &mut self.absent_lost,
            _ if copy.optional == Some(Cause::Peer) => &mut self.absent_peer,
            (true, false, false) => &mut self.absent_expired,
            (false, true, false) => &mut self.absent_too_large,
            (false, false, true) => &mut self.absent_queue,
            (false, false, false) => return false,
            _ => &mut self.absent_either,
        };
        *counter += 1;
        true
    }
}
