//! What is due though nothing comes: silence, delayed wills, sessions that end.

use super::Broker;
use super::event::Event;
use super::event::SessionEnd;
use super::link::{LinkId, Phase};
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
        match link.phase {
            #[cfg(feature = "auth")]
            Phase::Continuing => {
                let _ = self.drop_link(id, ReasonCode::KeepAliveTimeout);
            }
            #[cfg(feature = "alloc")]
            Phase::Claiming => {
                let _ = self.drop_link(id, ReasonCode::KeepAliveTimeout);
            }
            #[cfg(feature = "alloc")]
            Phase::Moved => {} // it is the host's
            Phase::Silent | Phase::Asking => {
                let _ = self.drop_link(id, ReasonCode::KeepAliveTimeout);
            }
            Phase::Open if link.overrun => self.close_link(id, ReasonCode::QuotaExceeded),
            Phase::Open => self.check_open(id),
            Phase::Closing => {
                if let Some(link) = self.link_mut(id) {
                    link.clear_output();
                }
                self.tell_to_close(id);
            }
        };
    }

    /// A connection that is open: has it been silent, was the host, and may it be heard again?
    pub(super) fn check_open(&mut self, id: LinkId) {
        let now = self.now;
        let Some(link) = self.link_mut(id) else { return };
        if link.resume_at <= now {
            link.resume_at = Instant::NEVER;
            self.tell(Event::Resume(id));
        }
        let asked = self.link(id).and_then(|link| link.question.due());
        if asked.is_some_and(|due| due <= now) {
            self.expire_question(id);
        }
        let Some(link) = self.link_mut(id) else { return };
        let due = match u64::from(link.patience_ms) {
            0 => None,
            patience => Some((link.heard.plus_millis(patience), patience)),
        };
        let due = match due {
            Some((due, patience)) if due <= now => {
                if !link.blocked {
                    return self.close_link(id, ReasonCode::KeepAliveTimeout);
                }
                Some(now.plus_millis(patience)) // the silence is ours
            }
            other => other.map(|(due, _)| due),
        };
        let resume_at = link.resume_at.unless_never();
        let next = [due, resume_at, link.question.due()].into_iter().flatten().min();
        match next {
            Some(next) => {
                let _ = self.link_timers.set(id.slot, next);
            }
            None => self.link_timers.clear(id.slot),
        }
    }

    /// Whether a message may be taken now, as far as their rate has a say; if not, when.
    pub(super) fn may_take(&mut self, id: LinkId, input: &[u8]) -> bool {
        let Some(rate) = self.link_limits(id).message_rate else { return true };
        if input.first().is_none_or(|first| first >> 4 != 3) {
            return true;
        }
        let (now, burst) = (self.now, 1_000_000_u64);
        let now_us = now.as_millis().saturating_mul(1_000);
        let Some(link) = self.link_mut(id) else { return true };
        let ahead = link.paid_us.saturating_sub(now_us);
        let Some(cost) = burst.checked_div(u64::from(rate)) else { return false };
        let over = ahead.saturating_add(cost).saturating_sub(burst);
        if over != 0 {
            link.resume_at = now.plus_millis(over.div_ceil(1_000));
            self.check_open(id);
        }
        over == 0
    }

    /// A message was taken.
    pub(super) fn count_rate(&mut self, id: LinkId) {
        let Some(rate) = self.link_limits(id).message_rate else { return };
        let now_us = self.now.as_millis().saturating_mul(1_000);
        let cost = 1_000_000_u64.checked_div(u64::from(rate)).unwrap_or_default();
        if let Some(link) = self.link_mut(id) {
            link.paid_us = link.paid_us.max(now_us).saturating_add(cost);
        }
    }

    pub(super) fn check_session(&mut self, slot: u32) {
        let Some(session) = self.sessions.get(slot) else { return };
        let id = SessionId { slot, serial: session.serial };
        if session.overrun {
            if let Some(link) = self.online(id).and_then(|slot| self.link_id(slot)) {
                self.close_link(link, ReasonCode::QuotaExceeded);
            }
            return self.end_session(id, SessionEnd::QueueFull);
        }
        if session.ends <= self.now {
            return self.end_session(id, SessionEnd::Expired);
        }
        if session.will_due <= self.now {
            self.publish_will(id);
        }
        self.set_session_timer(id);
    }
}
