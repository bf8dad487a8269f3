//! What the server sends, packet by packet.

use super::error::{Lost, PeerError};
use super::event::Event;
use super::{Client, Ending, Phase, Timer};
use crate::Instant;
use crate::codec::{
    Ack, AckKind, DecodeError, Disconnect, Packet, PacketType, Ping, Sender, SubAck, UnsubAck,
    frame_len, measure,
};
use crate::flow::send::{Owed, Seen};
use crate::storage::Storage;
use crate::types::{PacketId, ReasonCode};

use super::event::Token;
use super::handshake::{PAYLOAD_ROOM, RESERVE};

/// Room for the longest answer to a packet of the server's, PINGREQ and DISCONNECT beside it.
const ANSWER_ROOM: usize = 5 + 2 + 4;

impl<S: Storage> Client<S> {
    /// Takes in what the server sent, as far as the first event; `input` is moved behind what was
    /// taken.
    ///
    /// Call it again until it says `None`; what is left of `input` then is the beginning of a
    /// packet, and is to be handed in again with more behind it. An empty input is fine: it yields
    /// the events that no packet caused. The message that was handed out last is acknowledged by
    /// this call, unless acknowledging is manual.
    ///
    /// # Errors
    /// The connection is over: write what is in the output, close the transport, and call
    /// [`Client::handle_close`].
    #[inline]
    pub fn handle_input<'a>(
        &mut self,
        input: &mut &'a [u8],
        now: Instant,
    ) -> Result<Option<Event<'a>>, Lost<'a>> {
        self.now = self.now.max(now);
        self.settle_handed();
        if let Some(event) = self.poll_news() {
            return Ok(Some(event));
        }
        if let Some(lost) = self.take_ending() {
            return Err(lost);
        }
        while matches!(self.phase, Phase::Connecting | Phase::Open) {
            // What could not be answered stays with the caller until there is room.
            if !self.has_answer_room() || !self.journal.has_room() {
                self.hold_ping_response();
                return Ok(None);
            }
            match self.handle_next(input)? {
                Step::Starved => {
                    self.note_partial(input.len());
                    return self.check_patience();
                }
                Step::Held => {
                    self.hold_ping_response();
                    return Ok(None);
                }
                Step::Quiet => self.hear(),
                Step::Event(event) => {
                    self.hear();
                    return Ok(Some(event));
                }
            }
        }
        Ok(None)
    }

    /// Whether there is room for the longest answer. Answers wait for the end of a payload that is
    /// streamed, so they leave it the room that it needs to get there.
    #[inline]
    pub(super) fn has_answer_room(&mut self) -> bool {
        let beside = if self.outbox.is_streaming() { RESERVE + PAYLOAD_ROOM } else { 0 };
        self.outbox.has_room(ANSWER_ROOM.saturating_add(beside))
    }

    /// The next packet, or the next piece of one.
    #[inline]
    fn handle_next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Step<'a>, Lost<'a>> {
        #[cfg(feature = "stream")]
        if self.streams.is_receiving() || self.settings.stream_above != u32::MAX {
            return self.handle_piece(input);
        }
        if self.settings.max_packet_size != u32::MAX {
            self.check_incoming_size(input)?;
        }
        let unread = *input;
        match Packet::decode(input, self.version, Sender::Server) {
            Ok(Some(packet)) => {
                let result = self.handle_packet(packet);
                Self::step(result, input, unread)
            }
            Ok(None) => Ok(Step::Starved),
            Err(error) => Err(self.malformed(error)),
        }
    }

    /// What a packet came to; one for which there was no room is given back.
    #[inline]
    pub(super) fn step<'a>(
        result: Result<Option<Event<'a>>, Stop<'a>>,
        input: &mut &'a [u8],
        unread: &'a [u8],
    ) -> Result<Step<'a>, Lost<'a>> {
        match result {
            Ok(Some(event)) => Ok(Step::Event(event)),
            Ok(None) => Ok(Step::Quiet),
            Err(Stop::Lost(lost)) => Err(lost),
            Err(Stop::Later) => {
                *input = unread;
                Ok(Step::Held)
            }
        }
    }

    /// Refuses a packet that is too large before a byte of it is kept.
    pub(super) fn check_incoming_size<'a>(&mut self, input: &[u8]) -> Result<(), Lost<'a>> {
        match frame_len(input, self.version) {
            Ok(Some(len)) if len > self.settings.max_packet_size as usize => {
                Err(self.misbehaved(PeerError::PacketTooLarge)) // [MQTT5-3.1.2-24]
            }
            _ => Ok(()),
        }
    }

    #[inline]
    pub(super) fn handle_packet<'a>(
        &mut self,
        packet: Packet<'a>,
    ) -> Result<Option<Event<'a>>, Stop<'a>> {
        if self.phase == Phase::Connecting {
            return Ok(self.handle_first(packet)?);
        }
        match packet {
            Packet::Publish(publish) => self.handle_publish(publish),
            Packet::PubAck(ack) => Ok(self.handle_puback(ack)?),
            Packet::PubRec(ack) => Ok(self.handle_pubrec(ack)?),
            Packet::PubRel(ack) => Ok(self.handle_pubrel(ack)?),
            Packet::PubComp(ack) => Ok(self.handle_pubcomp(ack)?),
            rare => Ok(self.handle_rare(rare)?),
        }
    }

    /// What may come before the server has accepted: its answer [MQTT5-3.2.0-1, MQTT3-3.2.0-1].
    fn handle_first<'a>(&mut self, packet: Packet<'a>) -> Result<Option<Event<'a>>, Lost<'a>> {
        match packet {
            Packet::ConnAck(connack) => self.handle_connack(connack),
            #[cfg(feature = "auth")]
            Packet::Auth(auth) => self.handle_auth(auth),
            _ => Err(self.misbehaved(PeerError::UnexpectedPacket)),
        }
    }

    fn handle_rare<'a>(&mut self, packet: Packet<'a>) -> Result<Option<Event<'a>>, Lost<'a>> {
        match packet {
            Packet::PingResp => Ok(None), // everything that comes is a sign of life
            Packet::SubAck(suback) => self.handle_suback(suback),
            Packet::UnsubAck(unsuback) => self.handle_unsuback(unsuback),
            Packet::Disconnect(disconnect) => Err(self.handle_disconnect(disconnect)),
            Packet::ConnAck(connack) => self.handle_connack(connack),
            #[cfg(feature = "auth")]
            Packet::Auth(auth) => self.handle_auth(auth),
            _ => Err(self.misbehaved(PeerError::UnexpectedPacket)),
        }
    }

    fn handle_puback<'a>(&mut self, ack: Ack<'a>) -> Result<Option<Event<'a>>, Lost<'a>> {
        let token = self.token_of(ack.packet_id);
        self.flights
            .advance(ack.packet_id, Seen::PubAck)
            .map_err(|_| self.misbehaved(PeerError::PacketId))?;
        self.outbox.settle(ack.packet_id);
        self.settled(ack.packet_id);
        Ok(Some(Event::Delivered { token, reason: ack.reason }))
    }

    fn handle_pubrec<'a>(&mut self, ack: Ack<'a>) -> Result<Option<Event<'a>>, Lost<'a>> {
        let id = ack.packet_id;
        let token = self.token_of(id);
        if ack.reason.is_error() {
            // The exchange is over, without PUBREL [MQTT5-4.3.3-4, MQTT5-4.4.0-2].
            self.flights
                .advance(id, Seen::Refusal)
                .map_err(|_| self.misbehaved(PeerError::PacketId))?;
            self.outbox.settle(id);
            self.settled(id);
            return Ok(Some(Event::Delivered { token, reason: ack.reason }));
        }
        let before = self.flights.owed(id);
        if before == Owed::Nothing {
            // Unknown here: released all the same, or the server would keep it for ever.
            let reason = self.not_found();
            self.send_ack(AckKind::Rel, Ack::with_reason(id, reason));
            return Ok(None);
        }
        self.flights.advance(id, Seen::PubRec).map_err(|_| self.misbehaved(PeerError::PacketId))?;
        if before == Owed::PubRec {
            self.outbox.settle(id);
            self.record_release(id);
        }
        if before != Owed::PubRel {
            self.releases_due = self.releases_due.saturating_add(1);
        }
        self.send_what_may_go();
        Ok(None)
    }

    fn handle_pubcomp<'a>(&mut self, ack: Ack<'a>) -> Result<Option<Event<'a>>, Lost<'a>> {
        let id = ack.packet_id;
        match self.flights.owed(id) {
            Owed::PubComp => {}
            Owed::Nothing => return Ok(None), // the answer to a PUBREL for an unknown one
            _ => return Err(self.misbehaved(PeerError::PacketId)),
        }
        let token = self.token_of(id);
        let _ = self.flights.advance(id, Seen::PubComp);
        self.settled(id);
        // "Not found" after a PUBREC was seen: the server has let go of it, so it is complete.
        Ok(Some(Event::Delivered { token, reason: ReasonCode::Success }))
    }

    /// An exchange of ours is over: its place in the window and its record are free.
    fn settled(&mut self, id: PacketId) {
        self.quota.give();
        self.record_settled(id);
        self.send_what_may_go();
    }

    pub(super) fn token_of(&self, id: PacketId) -> Token {
        Token(self.flights.get(id).map_or(0, |flight| flight.token))
    }

    fn handle_suback<'a>(&mut self, suback: SubAck<'a>) -> Result<Option<Event<'a>>, Lost<'a>> {
        let codes = suback.codes;
        let token = self.answered(suback.packet_id, Seen::SubAck, Some(codes.count()))?;
        let token = if token.0 == 0 { None } else { Some(token) };
        self.forget_refused_filters(suback.packet_id, codes);
        if token.is_none() {
            self.note_resubscribed();
        }
        self.send_what_may_go();
        Ok(Some(Event::Subscribed { token, codes }))
    }

    fn handle_unsuback<'a>(
        &mut self,
        unsuback: UnsubAck<'a>,
    ) -> Result<Option<Event<'a>>, Lost<'a>> {
        let codes = unsuback.codes;
        let count = if self.version.is_v5() { Some(codes.count()) } else { None };
        let token = self.answered(unsuback.packet_id, Seen::UnsubAck, count)?;
        self.send_what_may_go();
        Ok(Some(Event::Unsubscribed { token, codes }))
    }

    /// A request was answered, with a code for each of its filters [MQTT5-3.8.4-6].
    fn answered<'a>(
        &mut self,
        id: PacketId,
        seen: Seen,
        count: Option<usize>,
    ) -> Result<Token, Lost<'a>> {
        let (token, filters, owed) = self
            .flights
            .get(id)
            .map_or((0, 0, Owed::Nothing), |flight| (flight.token, flight.filters, flight.owed));
        // With a wrong count nothing is answered: the request fails with the connection.
        let is_wrong = count.is_some_and(|count| count != usize::from(filters));
        if is_wrong && owed.next(seen).is_ok() {
            return Err(self.misbehaved(PeerError::CodeCount));
        }
        self.flights.advance(id, seen).map_err(|_| self.misbehaved(PeerError::PacketId))?;
        Ok(Token(token))
    }

    fn handle_disconnect<'a>(&mut self, disconnect: Disconnect<'a>) -> Lost<'a> {
        self.phase = Phase::Closing; // [MQTT5-4.13.2-1]
        self.refused = ends_for_good(disconnect.reason);
        Lost::Disconnected(disconnect)
    }

    /// The server broke the protocol: DISCONNECT goes out, with the reason.
    #[cold]
    pub(super) fn misbehaved<'a>(&mut self, error: PeerError) -> Lost<'a> {
        self.close_with(error.reason_code());
        Lost::Peer(error)
    }

    /// The server sent what is not a packet.
    #[cold]
    pub(super) fn malformed<'a>(&mut self, error: DecodeError) -> Lost<'a> {
        self.close_with(error.reason_code());
        Lost::Packet(error)
    }

    /// DISCONNECT with a reason, where the version has one and a CONNACK has come.
    fn close_with(&mut self, reason: ReasonCode) {
        if self.version.is_v5() && self.phase == Phase::Open {
            let version = self.version;
            if let Ok(packet) = measure(&Disconnect::new(reason), version)
                && self.outbox.has_room(packet.len())
                && let Ok(out) = self.outbox.push_ready(packet.len())
            {
                let _ = packet.write(out);
            }
        }
        self.phase = Phase::Closing;
    }

    /// Why the connection ended, if nobody was told.
    fn take_ending<'a>(&mut self) -> Option<Lost<'a>> {
        let ending = self.ending?;
        if self.phase == Phase::Leaving {
            if self.outbox.has_output() {
                return None;
            }
            self.phase = Phase::Closing;
        }
        self.ending = None;
        Some(match ending {
            Ending::Closed => Lost::Closed,
            Ending::ConnectTimeout => Lost::ConnectTimeout,
            Ending::Done => {
                self.refused = true; // there is no next attempt
                Lost::Done
            }
        })
    }

    /// Something came: the server lives.
    #[inline]
    fn hear(&mut self) {
        self.partial = 0;
        if self.pinged {
            self.pinged = false;
            self.deadlines.clear(Timer::PingResponse as usize);
        }
    }

    /// What has come of an unfinished packet is a sign of life too, if it grows.
    fn note_partial(&mut self, len: usize) {
        if len >= self.partial.saturating_add(LIVELY) {
            self.partial = len;
            self.hold_ping_response();
        }
        if len < self.partial {
            self.partial = len;
        }
    }

    /// Whether an answer is late, though all that has come was taken in: then the connection is
    /// closed, be the reason a passing one [MQTT3-4.8.0-2].
    fn check_patience<'a>(&mut self) -> Result<Option<Event<'a>>, Lost<'a>> {
        let lost = if self.deadlines.take_due(Timer::Connect as usize, self.now) {
            Lost::ConnectTimeout
        } else if self.deadlines.take_due(Timer::PingResponse as usize, self.now) {
            Lost::KeepAlive
        } else {
            return Ok(None);
        };
        self.phase = Phase::Closing;
        Err(lost)
    }

    /// The deadline for PINGRESP stands still.
    fn hold_ping_response(&mut self) {
        if self.pinged {
            self.start_patience();
        }
    }

    /// How long the server, or the transport, may take from now on.
    pub(super) fn start_patience(&mut self) {
        let patience = u64::from(self.settings.ping_timeout_ms);
        self.deadlines.set(Timer::PingResponse as usize, self.now.plus_millis(patience));
    }

    pub(super) fn ping_now(&mut self) {
        let ping = Ping(PacketType::PingReq);
        if let Ok(packet) = measure(&ping, self.version)
            && self.outbox.has_room(packet.len())
            && let Ok(out) = self.outbox.push_ready(packet.len())
        {
            let _ = packet.write(out);
        }
        if !self.pinged {
            self.pinged = true;
            self.start_patience();
        }
    }
}

/// Whether coming back would end alike: who was taken over takes over in turn, for ever.
const fn ends_for_good(reason: ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::SessionTakenOver
            | ReasonCode::ServerMoved
            | ReasonCode::NotAuthorized
            | ReasonCode::BadAuthenticationMethod
    )
}

/// How many more bytes of an unfinished packet, within the patience for PINGRESP, are life.
const LIVELY: usize = 256;

/// What the next packet, or piece of one, came to.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// It is not all here.
    Starved,
    /// There is no room for it now.
    Held,
    /// It was taken, and there is nothing to tell.
    Quiet,
    Event(Event<'a>),
}

/// Why a packet yields no event and no success.
#[derive(Debug)]
pub(super) enum Stop<'a> {
    Lost(Lost<'a>),
    /// There is no room for it now: it is to be handed in again.
    Later,
}

impl<'a> From<Lost<'a>> for Stop<'a> {
    fn from(lost: Lost<'a>) -> Self {
        Self::Lost(lost)
    }
}
