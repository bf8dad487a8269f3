//! The session: what outlives a connection.

use super::error::{Failure, Unsupported};
use super::event::{AckToken, Event, Token};
use super::options::WhenUnknown;
use super::{Client, Phase};
use crate::codec::publish_packet_id;
use crate::flow::packets::{is_dup, set_dup};
use crate::flow::quota::Quota;
use crate::flow::send::{Owed, Seen};
use crate::storage::Storage;
use crate::types::{QoS, ReasonCode};

/// What a client tells, and keeps, of its session.
impl<S: Storage> Client<S> {
    pub(super) fn forget_everything(&mut self) {
        self.flights.clear();
        self.receipts.clear();
        self.pubacks.close();
        self.pubrecs.close();
        self.journal.begin(self.settings.store);
        self.deadlines = crate::flow::deadlines::Deadlines::NONE;
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

    /// News of requests that no packet of the moment settled.
    #[inline(never)]
    pub(super) fn poll_news<'a>(&mut self) -> Option<Event<'a>> {
        #[cfg(feature = "stream")]
        if let Some(event) = self.poll_stream_news() {
            return Some(event);
        }
        if self.evicted != 0 {
            let token = Token(core::mem::take(&mut self.evicted));
            return Some(Event::Failed { token, why: Failure::Dropped });
        }
        let flight = self.flights.take_news()?;
        let token = Token(flight.token);
        Some(match Failure::from_byte(flight.why) {
            Some(why) => Event::Failed { token, why },
            None => Event::Delivered { token, reason: ReasonCode::Success },
        })
    }

    /// The transport is gone: what belonged to the connection goes, what belongs to the session
    /// waits; until now nothing of it has gone [MQTT5-4.1.0-1, MQTT3-4.1.0-1, MQTT3-4.1.0-2].
    pub(super) fn drop_connection(&mut self) {
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
        self.quota = Quota::CLOSED;
        self.received = 0;
        if self.handed.qos == QoS::AtLeastOnce {
            self.handed = AckToken::NOTHING;
        }
        self.pubacks.close();
        self.pubrecs.close();
        self.aliases_in.begin(0);
        self.aliases_out.begin(0);
        self.resubscribing = 0;
        self.journal.lose();
        (self.reauthenticating, self.challenged) = (false, false);
        (self.pinged, self.partial) = (false, 0);
        self.has_session &= self.limits.session_expiry != 0; // [MQTT5-3.1.2-23]
        #[cfg(feature = "stream")]
        self.streams.lose();
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

/// What stands in a flight for a message that was delivered after all.
const DELIVERED: u8 = 0;

impl Failure {
    pub(super) const fn as_byte(self) -> u8 {
        match self {
            Self::Disconnected => 1,
            Self::Unknown => 2,
            Self::TooLarge => 3,
            Self::Dropped => 4,
            Self::SessionEnded => 5,
            Self::Unsupported(Unsupported::QoS) => 6,
            Self::Unsupported(_) => 7,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            DELIVERED => return None,
            1 => Self::Disconnected,
            2 => Self::Unknown,
            3 => Self::TooLarge,
            4 => Self::Dropped,
            5 => Self::SessionEnded,
            6 => Self::Unsupported(Unsupported::QoS),
            _ => Self::Unsupported(Unsupported::Retain),
        })
    }
}
