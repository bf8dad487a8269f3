//! The session: what outlives a connection.

mod connect;
mod filters;
mod queue;
mod records;

pub(super) use records::{Change, Journal};
pub use records::{Record, RecordError};

use super::Client;
use super::error::Failure;
use super::event::AckToken;
use super::news::DELIVERED;
use super::options::WhenUnknown;
use crate::codec::publish_packet_id;
use crate::flow::packets::{is_dup, set_dup};
use crate::flow::quota::Quota;
use crate::flow::send::{Owed, Seen};
use crate::storage::Storage;
use crate::types::QoS;

/// What a client tells, and keeps, of its session.
impl<S: Storage> Client<S> {
    /// The connection is gone: what belongs to the session waits; until now nothing of it has gone
    /// [MQTT5-4.1.0-1, MQTT3-4.1.0-1, MQTT3-4.1.0-2].
    pub(super) fn leave_session(&mut self) {
        #[cfg(feature = "stream")]
        self.note_unbegun();
        let dropped = &mut self.dropped;
        self.outbox.lose(|| *dropped = dropped.saturating_add(1));
        self.forget_unanswered_filters();
        let mut after = 0;
        while let Some(id) = self.flights.next_in_use(after) {
            after = id.get();
            let Some(flight) = self.flights.get_mut(id) else { break };
            if matches!(flight.owed, Owed::SubAck | Owed::UnsubAck) && flight.token == 0 {
                self.resubscribe_due = true;
                self.flights.forget(id);
                continue;
            }
            if matches!(flight.owed, Owed::SubAck | Owed::UnsubAck) {
                flight.why = Failure::Disconnected.as_byte();
            }
            let _ = self.flights.advance(id, Seen::Loss);
        }
        self.releases_due = self.flights.released();
        if self.handed.qos == QoS::AtLeastOnce {
            self.handed = AckToken::NOTHING;
        }
        self.resubscribing = 0;
        self.journal.lose();
        self.has_session &= self.limits.session_expiry != 0; // [MQTT5-3.1.2-23]
    }

    /// The server goes on with the session: what was not settled goes again, within what the
    /// server allows now [MQTT5-4.4.0-1, MQTT3-4.4.0-1].
    pub(super) fn resume_session(&mut self) {
        let window = self.limits.receive_maximum.min(self.flights.limit());
        self.quota = Quota::new(window, self.flights.released());
        self.drop_what_is_refused();
        #[cfg(feature = "stream")]
        self.ask_for_streams();
    }

    /// The server has no session any more: what it acknowledged in part is settled, the rest is
    /// sent as new.
    pub(super) fn renew_session(&mut self) {
        self.receipts.clear();
        let fails_unknown = self.fails_unknown();
        let mut after = 0;
        while let Some(id) = self.flights.next_in_use(after) {
            after = id.get();
            self.flights.end_retirement(id);
            let Some(flight) = self.flights.get_mut(id) else { break };
            match flight.owed {
                // Its PUBREC was seen: the server had it. It is never published again.
                Owed::PubRel | Owed::PubComp => self.flights.fail(id, DELIVERED),
                Owed::Publish2 if flight.streamed && !flight.unbegun && fails_unknown => {
                    self.flights.fail(id, Failure::Unknown.as_byte());
                }
                Owed::Publish1 | Owed::Publish2 => flight.unbegun = true, // in this session
                _ => {}
            }
        }
        self.releases_due = 0;
        self.renew_waiting();
        let window = self.limits.receive_maximum.min(self.flights.limit());
        self.quota = Quota::new(window, 0);
        self.drop_what_is_refused();
        #[cfg(feature = "stream")]
        self.ask_for_streams();
        self.records();
    }

    /// Whether a QoS 2 message that may have arrived and may have not is given up.
    fn fails_unknown(&self) -> bool {
        self.settings.when_unknown == WhenUnknown::Fail
    }

    /// Every message that waits is a new one now; but QoS 2 ones that had left may be given up.
    fn renew_waiting(&mut self) {
        let fails_unknown = self.fails_unknown();
        let flights = &mut self.flights;
        self.outbox.retain_waiting(|packet| {
            let had_left = is_exactly_once(packet) && is_dup(packet);
            let id = publish_packet_id(packet).filter(|_| had_left);
            if let (Some(id), true) = (id, fails_unknown) {
                flights.fail(id, Failure::Unknown.as_byte());
                return false;
            }
            set_dup(packet, false);
            true
        });
    }

    /// Messages that the server of today does not take are dropped, and their owners told.
    fn drop_what_is_refused(&mut self) {
        let (limits, mut failed) = (self.limits, false);
        let (flights, dropped) = (&mut self.flights, &mut self.dropped);
        self.outbox.retain_waiting(|packet| {
            let Some(why) = refusal(packet, &limits) else { return true };
            match publish_packet_id(packet) {
                Some(id) => {
                    // The server may have a QoS 2 message that had left, and wait for its PUBREL.
                    if is_dup(packet) && is_exactly_once(packet) {
                        flights.retire(id, why.as_byte());
                    } else {
                        flights.fail(id, why.as_byte());
                    }
                    failed = true;
                }
                None => *dropped = dropped.saturating_add(1),
            }
            false
        });
        if failed {
            self.records(); // of any number at once
        }
    }
}

const fn is_exactly_once(publish: &[u8]) -> bool {
    matches!(publish, [first, ..] if *first & 0b0100 != 0)
}

/// Why a waiting message can't be sent to the server of today.
fn refusal(packet: &[u8], limits: &super::limits::Limits) -> Option<Failure> {
    if limits.check_size(packet.len()).is_err() {
        return Some(Failure::TooLarge);
    }
    let (qos, retain) = match packet.first() {
        Some(first) => (QoS::from_level(first >> 1 & 0b11).unwrap_or_default(), first & 1 != 0),
        None => return None,
    };
    limits.check_message(qos, retain).err().map(Failure::Unsupported)
}
