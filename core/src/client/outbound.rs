//! What leaves besides messages and requests: acknowledgements, PUBREL, DISCONNECT.

use super::error::SendError;
use super::event::AckToken;
use super::{Client, Ending, Phase};
use crate::Instant;
use crate::codec::{Ack, AckKind, Disconnect, measure};
#[cfg(feature = "v5")]
use crate::codec::{EncodeError, Field, PropertyId, Sin};
use crate::flow::receive;
use crate::flow::send::Seen;
use crate::flow::{QOS2, SESSION};
use crate::storage::{Storage, copy};
use crate::types::{PacketId, QoS, ReasonCode};

impl<S: Storage> Client<S> {
    /// Acknowledges a message, in manual mode. In any order: on the wire they leave in the order of
    /// arrival.
    ///
    /// # Errors
    /// The token was used, or its connection is gone (QoS 1).
    pub fn ack(&mut self, token: AckToken, now: Instant) -> Result<(), SendError> {
        self.set_now(now);
        self.answer(token, ReasonCode::Success)
    }

    /// Refuses a message, in manual mode: the server is told why, and does not send it again.
    ///
    /// Before MQTT 5 there is no refusal: the message is acknowledged.
    ///
    /// # Errors
    /// As [`Client::ack`]; or the reason is none that PUBACK and PUBREC may carry.
    #[cfg(feature = "v5")]
    pub fn refuse(
        &mut self,
        token: AckToken,
        reason: ReasonCode,
        now: Instant,
    ) -> Result<(), SendError> {
        self.set_now(now);
        if !reason.is_error() || !reason.allowed_in(crate::Carrier::PubAck) {
            return Err(SendError::Token);
        }
        self.answer(token, if self.version.is_v5() { reason } else { ReasonCode::Success })
    }

    fn answer(&mut self, token: AckToken, reason: ReasonCode) -> Result<(), SendError> {
        match (token.qos, token.id) {
            (QoS::AtLeastOnce, Some(id)) if !self.settings.manual_ack => {
                if token != self.handed {
                    return Err(SendError::Token);
                }
                if !self.may_answer() {
                    return Err(SendError::Full);
                }
                self.answer_at_once(id, reason);
            }
            (QoS::AtLeastOnce, Some(_)) => {
                self.pubacks.answer(token.ticket, reason).ok_or(SendError::Token)?;
                self.release_pubacks();
            }
            (QoS::ExactlyOnce, Some(id)) if QOS2 => {
                self.answer_exactly_once(id, token.ticket, reason)?;
            }
            _ => {} // QoS 0 owes nothing
        }
        Ok(())
    }

    /// Where acknowledging is automatic, a message is answered before the next one comes.
    #[inline]
    fn answer_at_once(&mut self, id: PacketId, reason: ReasonCode) {
        self.handed = AckToken::NOTHING;
        self.received = self.received.saturating_sub(1);
        self.send_ack(AckKind::Ack, id, reason);
    }

    #[inline(never)]
    fn settle_exactly_once(&mut self, id: PacketId) {
        let settled = self.answer_exactly_once(id, self.handed.ticket, ReasonCode::Success);
        if settled != Err(SendError::Full) {
            self.handed = AckToken::NOTHING;
        }
    }

    fn answer_exactly_once(
        &mut self,
        id: PacketId,
        ticket: u32,
        reason: ReasonCode,
    ) -> Result<(), SendError> {
        let receipt = self
            .receipts
            .get(id)
            .filter(|receipt| receipt.token == ticket && receipt.owed == receive::Owed::PubRec);
        if receipt.is_none() {
            return Err(SendError::Token);
        }
        if self.journal.is_on() && !reason.is_error() && !self.journal.has_room() {
            return Err(SendError::Full);
        }
        let seen = if reason.is_error() { receive::Seen::Refused } else { receive::Seen::Accepted };
        let _ = self.receipts.advance(id, seen, ticket);
        if reason.is_error() {
            self.pubrecs.recorded(id); // there is nothing to keep
        } else {
            self.record_received(id);
        }
        self.pubrecs.answer_id(id, reason);
        self.release_pubrecs();
        Ok(())
    }

    /// The message that was handed out last is taken over, unless acknowledging is manual.
    #[inline]
    pub(super) fn settle_handed(&mut self) {
        // Where there is no room for the answer or its record, it is settled later.
        match (self.handed.qos, self.handed.id) {
            (QoS::AtLeastOnce, Some(id)) if self.may_answer() => {
                self.answer_at_once(id, ReasonCode::Success);
            }
            (QoS::ExactlyOnce, Some(id)) if QOS2 => self.settle_exactly_once(id),
            _ => {}
        }
    }

    /// Sends the acknowledgements that are due, of each kind in order.
    pub(super) fn release_acks(&mut self) {
        self.release_pubacks();
        if QOS2 {
            self.release_pubrecs();
        }
    }

    /// In the order of arrival [MQTT5-4.6.0-2, MQTT3-4.6.0-2].
    fn release_pubacks(&mut self) {
        while self.may_answer()
            && let Some((id, reason)) = self.pubacks.release()
        {
            self.received = self.received.saturating_sub(1);
            self.send_ack(AckKind::Ack, id, reason);
        }
    }

    /// In the order of arrival [MQTT5-4.6.0-3, MQTT3-4.6.0-3].
    #[inline(never)]
    fn release_pubrecs(&mut self) {
        while self.may_answer()
            && let Some((id, reason)) = self.pubrecs.release()
        {
            if reason.is_error() {
                self.received = self.received.saturating_sub(1);
            }
            self.send_ack(AckKind::Rec, id, reason);
        }
    }

    /// Nothing goes behind DISCONNECT [MQTT5-3.14.4-1, MQTT3-3.14.4-2].
    #[inline]
    fn may_answer(&mut self) -> bool {
        self.phase == Phase::Open && self.has_answer_room()
    }

    /// An acknowledgement of this packet identifier [MQTT5-2.2.1-5, MQTT3-2.3.1-6].
    ///
    /// It has neither reason string nor user properties, so it is never too large for the server
    /// [MQTT5-3.4.2-2, MQTT5-3.4.2-3, MQTT5-3.5.2-2, MQTT5-3.5.2-3, MQTT5-3.6.2-2, MQTT5-3.6.2-3,
    /// MQTT5-3.7.2-2, MQTT5-3.7.2-3].
    #[inline]
    pub(super) fn send_ack(&mut self, kind: AckKind, id: PacketId, reason: ReasonCode) {
        if reason != ReasonCode::Success {
            self.send_reason(kind, id, reason);
        } else if let Ok(out) = self.outbox.push_ready(Ack::ORDINARY_LEN) {
            Ack::new(id).write_ordinary(kind, out);
        }
    }

    #[cold]
    fn send_reason(&mut self, kind: AckKind, id: PacketId, reason: ReasonCode) {
        self.send_bytes(&Ack::reason_bytes(kind, id, reason));
    }

    /// Sends a packet that borrows from what is kept, with `reserve` bytes to spare: `write` is
    /// given that, and the memory to write to; none if the packet is to be measured.
    #[cfg(any(feature = "session", feature = "auth"))]
    pub(super) fn send_from_kept(
        &mut self,
        reserve: usize,
        write: impl Fn(&[u8], Option<&mut [u8]>) -> Result<usize, SendError>,
    ) -> Result<(), SendError> {
        let len = write(self.outbox.kept(), None)?;
        self.limits.check_size(len)?;
        if !self.outbox.has_room(len.saturating_add(reserve)) {
            return Err(SendError::Full);
        }
        self.outbox.push_ready_from_kept(len, |kept, out| write(kept, Some(out)))??;
        Ok(())
    }

    /// A packet of a few bytes, if there is room.
    #[inline(never)]
    pub(super) fn send_bytes(&mut self, packet: &[u8]) {
        if self.outbox.has_room(packet.len())
            && let Ok(out) = self.outbox.push_ready(packet.len())
        {
            copy(out, packet);
        }
    }

    /// "Not found", where the version can say it.
    pub(super) fn not_found(&self) -> ReasonCode {
        if self.version.is_v5() {
            ReasonCode::from_byte(0x92).unwrap_or(ReasonCode::Success)
        } else {
            ReasonCode::Success
        }
    }

    /// Sends whatever waited for room, quota, a record or the end of a streamed payload.
    #[inline]
    pub(super) fn send_what_may_go(&mut self) {
        if self.phase == Phase::Open && !self.is_idle() {
            self.send_all_that_may_go();
        }
    }

    /// Whether nothing waits to be sent.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        // Asked for each packet: one comparison instead of five.
        let pubrecs = if QOS2 { self.pubrecs.len() } else { 0 };
        let session = match SESSION {
            true => usize::from(self.releases_due) | self.resubscribing | self.journal.behind(),
            false => 0,
        };
        (pubrecs | session | self.pubacks.len()) == 0 && !self.outbox.has_waiting()
    }

    #[inline(never)]
    fn send_all_that_may_go(&mut self) {
        self.act_on_kept();
        self.release_acks();
        if QOS2 && SESSION {
            self.send_releases();
        }
        if self.outbox.is_streaming() {
            return;
        }
        self.send_resubscriptions();
        self.promote();
    }

    /// Sends the PUBRELs that are due, in the order of their PUBRECs, without waiting for quota
    /// [MQTT5-3.3.4-8, MQTT5-4.6.0-4, MQTT3-4.6.0-4].
    fn send_releases(&mut self) {
        while self.releases_due != 0
            && let Some(id) = self.flights.first_due()
        {
            let unrecorded = self.flights.get(id).is_some_and(|flight| flight.unrecorded);
            if unrecorded || !self.has_answer_room() {
                return; // order: those behind it wait too
            }
            self.send_release(id);
            self.releases_due = self.releases_due.saturating_sub(1);
        }
    }

    /// Sends the PUBREL that is owed.
    pub(super) fn send_release(&mut self, id: PacketId) {
        self.send_ack(AckKind::Rel, id, ReasonCode::Success);
        let _ = self.flights.advance(id, Seen::Sent);
    }

    /// Asks the server for a sign of life, though it was not silent for long. That none came in
    /// time is told as ever, by [`Lost::KeepAlive`](super::Lost::KeepAlive).
    ///
    /// # Errors
    /// Not connected.
    pub fn ping(&mut self, now: Instant) -> Result<(), SendError> {
        self.set_now(now);
        if self.phase != Phase::Open {
            return Err(SendError::NotConnected);
        }
        if !self.pinged {
            self.ping_now();
        }
        Ok(())
    }

    /// Whether the server was asked for a sign of life, and has not given one since.
    #[must_use]
    pub const fn is_pinging(&self) -> bool {
        self.pinged
    }

    /// Ends the connection in order: what is in the output leaves, then DISCONNECT. The session
    /// stays, and there is no reconnect until [`Client::connect`] is called again.
    ///
    /// [`Lost::Done`](super::Lost::Done) tells when all has left.
    ///
    /// # Errors
    /// Not connected: then there is nothing to end, and no attempt is made any more.
    pub fn disconnect(&mut self, now: Instant) -> Result<(), SendError> {
        self.leave(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION), now)
    }

    /// As [`Client::disconnect`], with a reason and properties (MQTT 5):
    /// [`ReasonCode::DisconnectWithWill`] lets the server publish the will all the same.
    ///
    /// # Errors
    /// As [`Client::disconnect`]; or the version can't say it.
    #[cfg(feature = "v5")]
    pub fn disconnect_with(
        &mut self,
        disconnect: Disconnect<'_>,
        now: Instant,
    ) -> Result<(), SendError> {
        self.leave(disconnect, now)
    }

    /// What only a server may say, and a session that was not asked for at the start.
    #[cfg(feature = "v5")]
    fn check_disconnect(&self, disconnect: &Disconnect<'_>) -> Result<(), SendError> {
        let sin = |sin, field| {
            let (packet, version) = (crate::PacketType::Disconnect, self.version);
            Err(SendError::Packet(EncodeError::Sin { sin, field, packet, version }))
        };
        if !disconnect.reason.allowed_in(crate::Carrier::ClientDisconnect) {
            return sin(Sin::ReasonCode, Field::ReasonCode);
        }
        let longer = disconnect.properties.session_expiry_interval().is_some_and(|secs| secs != 0);
        if longer && self.settings.session_expiry == 0 {
            return sin(Sin::PropertyValue, Field::Property(PropertyId::SessionExpiryInterval));
        }
        Ok(())
    }

    fn leave(&mut self, disconnect: Disconnect<'_>, now: Instant) -> Result<(), SendError> {
        self.set_now(now);
        match self.phase {
            Phase::Open => {}
            Phase::Connecting | Phase::Wanted => {
                self.refused = true;
                self.end(Ending::Done);
                return Err(SendError::NotConnected);
            }
            Phase::Resting => {
                self.deadlines = crate::flow::deadlines::Deadlines::NONE;
                self.phase = Phase::Idle;
                return Err(SendError::NotConnected);
            }
            Phase::Idle | Phase::Closing | Phase::Leaving => return Err(SendError::NotConnected),
        }
        let measured = measure(&disconnect, self.version)?;
        #[cfg(feature = "v5")]
        self.check_disconnect(&disconnect)?;
        self.limits.check_size(measured.len())?; // [MQTT5-3.14.2-3, MQTT5-3.14.2-4]
        if self.outbox.is_streaming() {
            return Err(SendError::Stream);
        }
        if !self.outbox.has_room(measured.len()) {
            return Err(SendError::Full);
        }
        measured.write(self.outbox.push_ready(measured.len())?)?;
        #[cfg(feature = "v5")]
        if let Some(secs) = disconnect.properties.session_expiry_interval() {
            self.limits.session_expiry = secs;
        }
        self.phase = Phase::Leaving; // nothing is sent behind it [MQTT5-3.14.4-1, MQTT3-3.14.4-2]
        self.ending = Some(Ending::Done);
        self.start_patience();
        Ok(())
    }
}
