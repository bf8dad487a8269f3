//! What is due though nothing comes: silence, delayed wills, sessions that end.

use super::Broker;
use super::link::Phase;
use super::session::SessionId;
use crate::Instant;
use crate::storage::{Arena, Storage};
use crate::types::ReasonCode;

impl<S: Storage> Broker<S> {
    /// When to call [`Broker::handle_timeout`], if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.link_timers.next(), self.session_timers.next()].into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some(slot) = self.link_timers.take_due(now) {
            self.check_link(slot);
        }
        while let Some(slot) = self.session_timers.take_due(now) {
            self.check_session(slot);
        }
        self.check_journal();
    }

    /// A connection may have been silent for too long [MQTT5-3.1.2-22, MQTT3-3.1.2-24]. Packets do
    /// not move the timer; it asks when it is due.
    fn check_link(&mut self, slot: u32) {
        let Some(id) = self.link_id(slot) else { return };
        let Some(link) = self.link(id) else { return };
        let due = match link.phase {
            #[cfg(feature = "auth")]
            Phase::Continuing => {
                let _ = self.drop_link(id, ReasonCode::KeepAliveTimeout);
                return;
            }
            #[cfg(feature = "alloc")]
            Phase::Claiming => {
                let _ = self.drop_link(id, ReasonCode::KeepAliveTimeout);
                return;
            }
            Phase::Silent | Phase::Asking => {
                let _ = self.drop_link(id, ReasonCode::KeepAliveTimeout);
                return;
            }
            Phase::Open if link.overrun => return self.close_link(id, ReasonCode::QuotaExceeded),
            Phase::Open => link.heard.plus_millis(link.patience_ms),
            Phase::Closing => {
                if let Some(link) = self.link_mut(id) {
                    link.clear_output();
                }
                return self.tell_to_close(id);
            }
        };
        if due > self.now {
            let _ = self.link_timers.set(slot, due);
        } else if link.blocked {
            // The silence is ours.
            let _ = self.link_timers.set(slot, self.now.plus_millis(link.patience_ms));
        } else {
            self.close_link(id, ReasonCode::KeepAliveTimeout);
        }
    }

    pub(super) fn check_session(&mut self, slot: u32) {
        let Some(session) = self.sessions.get(slot) else { return };
        let id = SessionId { slot, serial: session.serial };
        if session.ends.is_some_and(|when| when <= self.now) {
            return self.end_session(id);
        }
        if session.will_due.is_some_and(|when| when <= self.now) {
            self.publish_will(id);
        }
        self.set_session_timer(id);
    }
}
