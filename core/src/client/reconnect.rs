//! When a transport is wanted, and what is done when one is gone.

use super::event::AckToken;
use super::options::Reconnect;
use super::{Client, Ending, Phase, Timer};
use crate::Instant;
use crate::flow::deadlines::Deadlines;
use crate::flow::quota::Quota;
use crate::storage::Storage;

/// What a client wants of its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Open one; then call [`Client::handle_open`], or [`Client::handle_close`] if that fails.
    Wanted,
    /// It is open: read, and write what is in the output.
    Open,
    /// Close it, and call [`Client::handle_close`].
    Unwanted,
    /// None is wanted for now.
    Resting,
}

/// A connection that lasted this long does not count as a failed attempt, in milliseconds.
///
/// A shorter one does: who accepts and hangs up at once must not be asked a thousand times.
const STABLE_MS: u64 = 5_000;

impl<S: Storage> Client<S> {
    /// What the client wants of its transport.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.phase {
            Phase::Wanted => Transport::Wanted,
            Phase::Connecting | Phase::Open => Transport::Open,
            // [MQTT5-3.14.4-2, MQTT3-3.14.4-1]
            Phase::Closing | Phase::Leaving if !self.outbox.has_output() => Transport::Unwanted,
            Phase::Closing | Phase::Leaving => Transport::Open,
            Phase::Idle | Phase::Resting => Transport::Resting,
        }
    }

    pub(super) fn want_transport(&mut self) {
        self.phase = Phase::Wanted;
        let patience = u64::from(self.settings.connect_timeout_ms);
        self.deadlines.set(Timer::Connect as usize, self.now.plus_millis(patience));
    }

    /// A transport is open: CONNECT is in the output. What an earlier one brought is not to be
    /// handed in any more.
    pub fn handle_open(&mut self, now: Instant) {
        self.set_now(now);
        if self.phase != Phase::Wanted {
            return;
        }
        self.phase = Phase::Connecting;
        self.connect_sent = 0;
        self.ending = None;
        self.keep_alive.sent(self.now);
    }

    /// The transport is gone, or could not be opened. Calling it twice does no harm.
    pub fn handle_close(&mut self, now: Instant) {
        self.set_now(now);
        match self.phase {
            Phase::Idle | Phase::Resting => return,
            Phase::Wanted => {}
            Phase::Connecting | Phase::Open => {
                self.ending = Some(self.ending.unwrap_or(Ending::Closed));
                self.drop_connection();
            }
            Phase::Leaving => {
                self.ending = Some(Ending::Done);
                self.drop_connection();
            }
            Phase::Closing => self.drop_connection(),
        }
        self.rest();
    }

    /// As a client that was never started.
    pub(super) fn forget_everything(&mut self) {
        self.flights.clear();
        self.receipts.clear();
        self.pubacks.close();
        self.pubrecs.close();
        self.journal.begin(self.settings.store);
        self.deadlines = Deadlines::NONE;
        self.quota = Quota::CLOSED;
        self.phase = Phase::Idle;
        (self.handed, self.ending) = (AckToken::NOTHING, None);
        (self.has_session, self.refused) = (false, false);
        (self.reauthenticating, self.challenged) = (false, false);
        (self.received, self.releases_due, self.resubscribing) = (0, 0, 0);
        (self.pinged, self.resubscribe_due, self.attempts) = (false, false, 0);
        self.evicted = 0;
        #[cfg(feature = "stream")]
        self.streams.forget();
    }

    /// The transport is gone, and with it what belonged to the connection.
    fn drop_connection(&mut self) {
        self.leave_session();
        self.quota = Quota::CLOSED;
        self.received = 0;
        self.pubacks.close();
        self.pubrecs.close();
        self.aliases_in.begin(0);
        self.aliases_out.begin(0);
        (self.reauthenticating, self.challenged) = (false, false);
        (self.pinged, self.partial) = (false, 0);
        #[cfg(feature = "stream")]
        self.streams.lose();
    }

    /// The connection ends for a reason that lies here; the application is told by the next
    /// `handle_input`.
    pub(super) fn end(&mut self, ending: Ending) {
        self.ending = Some(ending);
        self.phase = Phase::Closing;
    }

    /// Waits for the next attempt, if there is to be one.
    fn rest(&mut self) {
        self.deadlines.clear(Timer::Connect as usize);
        self.deadlines.clear(Timer::PingResponse as usize);
        let Reconnect::Backoff { first_ms, most_ms } = self.settings.reconnect else {
            self.phase = Phase::Idle;
            return;
        };
        if self.refused || self.ending == Some(Ending::Done) {
            self.phase = Phase::Idle;
            return;
        }
        if self.now.millis_since(self.opened) >= STABLE_MS && self.opened != Instant::ZERO {
            self.attempts = 0;
        }
        self.opened = Instant::ZERO;
        let doublings = u32::from(self.attempts.min(31));
        let bound = first_ms.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX));
        let wait = self.random.up_to(bound.min(most_ms));
        self.attempts = self.attempts.saturating_add(1);
        self.phase = Phase::Resting;
        self.deadlines.set(Timer::Reconnect as usize, self.now.plus_millis(u64::from(wait)));
    }

    /// Whether the connection is ending, and there is to be no other.
    const fn is_on_its_way_out(&self) -> bool {
        let last = self.refused || matches!(self.settings.reconnect, Reconnect::Never);
        matches!(self.phase, Phase::Leaving) || matches!(self.phase, Phase::Closing) && last
    }

    /// Connects: a transport is wanted from now on, and again whenever one is lost, as the options
    /// say.
    ///
    /// # Errors
    /// The client was not started, or is on its way out: connect again once the transport is
    /// closed. Where it is connecting already, nothing changes.
    pub fn connect(&mut self, now: Instant) -> Result<(), super::SendError> {
        self.set_now(now);
        if self.connect_len == 0 || self.is_on_its_way_out() {
            return Err(super::SendError::NotRunning);
        }
        if matches!(self.phase, Phase::Idle | Phase::Resting) {
            self.deadlines.clear(Timer::Reconnect as usize);
            self.attempts = 0;
            self.refused = false;
            self.want_transport();
        }
        Ok(())
    }
}
