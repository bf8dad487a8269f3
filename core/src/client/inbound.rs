//! What the server sends, packet by packet.

use super::error::{Lost, PeerError};
use super::event::Event;
use super::messages::Fault;
use super::{Client, Ending, Phase, Timer};
use crate::Instant;
use crate::codec::{
    AckKind, BRIEF, DecodeError, Disconnect, Packet, PacketType, Ping, Sender, SubAck, UnsubAck,
    frame_len,
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
        self.set_now(now);
        self.settle_handed();
        if self.has_news()
            && let Some(event) = self.poll_news()
        {
            return Ok(Some(event));
        }
        while matches!(self.phase, Phase::Connecting | Phase::Open) {
            // What could not be answered stays with the caller until there is room.
            if !self.has_answer_room() || !self.journal.has_room() {
                self.hold_deadlines();
                return Ok(None);
            }
            let unread = *input;
            if !BRIEF && self.takes_ordinary() {
                if let Some((kind, id)) = AckKind::take_ordinary(input) {
                    match self.handle_ack(kind, id, ReasonCode::Success) {
                        Ok(Some(token)) => {
                            self.hear();
                            let reason = ReasonCode::Success;
                            return Ok(Some(Event::Delivered { token, reason }));
                        }
                        Ok(None) => {
                            self.hear();
                            continue;
                        }
                        Err(fault) => {
                            let stop = self.stop_for(fault);
                            return self.stop(stop, input, unread);
                        }
                    }
                }
                if let Some(message) = self.take_message(input) {
                    self.hear();
                    return Ok(Some(Event::Message(message)));
                }
            }
            let result = match self.handle_large(input) {
                Some(result) => result,
                None => {
                    let decoded = Packet::decode(input, self.version, Sender::Server);
                    self.handle_packet(&decoded)
                }
            };
            match result {
                Ok(event) => {
                    self.hear();
                    if event.is_some() {
                        return Ok(event);
                    }
                }
                Err(stop) => return self.stop(stop, input, unread),
            }
        }
        match self.take_ending() {
            Some(lost) => Err(lost),
            None => Ok(None),
        }
    }

    /// Whether packets as nearly all are go the short way, straight to the caller.
    #[inline]
    fn takes_ordinary(&self) -> bool {
        #[cfg(feature = "stream")]
        let is_receiving = self.streams.is_receiving();
        #[cfg(not(feature = "stream"))]
        let is_receiving = false;
        self.phase == Phase::Open && self.whole_up_to != 0 && !is_receiving
    }

    #[cold]
    pub(super) fn stop_for<'a>(&mut self, fault: Fault) -> Stop<'a> {
        match fault {
            Fault::Peer(error) => self.misbehaved(error).into(),
            Fault::Later => Stop::Later,
        }
    }

    /// No packet was taken in, or the last one that is.
    #[inline(never)]
    fn stop<'a>(
        &mut self,
        stop: Stop<'a>,
        input: &mut &'a [u8],
        unread: &'a [u8],
    ) -> Result<Option<Event<'a>>, Lost<'a>> {
        match stop {
            Stop::Starved => {
                self.note_partial(input.len());
                self.check_patience()
            }
            Stop::Later => {
                *input = unread;
                self.hold_deadlines();
                Ok(None)
            }
            Stop::Lost(lost) => Err(lost),
        }
    }

    /// Whether there is room for the longest answer. Answers wait for the end of a payload that is
    /// streamed, so they leave it the room that it needs to get there.
    #[inline]
    pub(super) fn has_answer_room(&mut self) -> bool {
        let beside = if self.outbox.is_streaming() { RESERVE + PAYLOAD_ROOM } else { 0 };
        self.outbox.has_room(ANSWER_ROOM.saturating_add(beside))
    }

    /// What is not taken whole: a packet that is too large, and a message that comes in pieces.
    #[inline(never)]
    fn handle_large<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Option<Result<Option<Event<'a>>, Stop<'a>>> {
        #[cfg(feature = "stream")]
        if self.streams.is_receiving() {
            return Some(self.handle_piece(input));
        }
        if let Err(lost) = self.check_incoming_size(input) {
            return Some(Err(lost.into()));
        }
        #[cfg(feature = "stream")]
        if self.begins_stream(input) {
            return Some(self.handle_piece(input));
        }
        None
    }

    /// Refuses a packet that is too large before a byte of it is kept.
    fn check_incoming_size<'a>(&mut self, input: &[u8]) -> Result<(), Lost<'a>> {
        match frame_len(input, self.version) {
            Ok(Some(len)) if len > self.settings.max_packet_size as usize => {
                Err(self.misbehaved(PeerError::PacketTooLarge)) // [MQTT5-3.1.2-24]
            }
            _ => Ok(()),
        }
    }

    /// Any packet.
    #[inline(never)]
    fn handle_packet<'a>(
        &mut self,
        decoded: &Result<Option<Packet<'a>>, DecodeError>,
    ) -> Result<Option<Event<'a>>, Stop<'a>> {
        match decoded {
            Ok(Some(packet)) if self.phase == Phase::Connecting => self.handle_first(packet),
            Ok(Some(Packet::Publish(publish))) => match self.handle_publish(publish) {
                Ok(event) => Ok(event),
                Err(fault) => Err(self.stop_for(fault)),
            },
            Ok(Some(Packet::PubAck(ack))) => self.handle_reason(AckKind::Ack, ack),
            Ok(Some(Packet::PubRec(ack))) => self.handle_reason(AckKind::Rec, ack),
            Ok(Some(Packet::PubRel(ack))) => self.handle_reason(AckKind::Rel, ack),
            Ok(Some(Packet::PubComp(ack))) => self.handle_reason(AckKind::Comp, ack),
            Ok(Some(rare)) => self.handle_rare(rare),
            Ok(None) => Err(Stop::Starved),
            Err(error) => Err(self.malformed(*error).into()),
        }
    }

    /// What may come before the server has accepted: its answer [MQTT5-3.2.0-1, MQTT3-3.2.0-1].
    fn handle_first<'a>(&mut self, packet: &Packet<'a>) -> Result<Option<Event<'a>>, Stop<'a>> {
        let result = match *packet {
            Packet::ConnAck(connack) => self.handle_connack(connack),
            #[cfg(feature = "auth")]
            Packet::Auth(auth) => self.handle_auth(auth),
            _ => Err(self.misbehaved(PeerError::UnexpectedPacket)),
        };
        Ok(result?)
    }

    fn handle_rare<'a>(&mut self, packet: &Packet<'a>) -> Result<Option<Event<'a>>, Stop<'a>> {
        let result = match *packet {
            Packet::PingResp => Ok(None), // everything that comes is a sign of life
            Packet::SubAck(suback) => self.handle_suback(suback),
            Packet::UnsubAck(unsuback) => self.handle_unsuback(unsuback),
            Packet::Disconnect(disconnect) => Err(self.handle_disconnect(disconnect)),
            Packet::ConnAck(connack) => self.handle_connack(connack),
            #[cfg(feature = "auth")]
            Packet::Auth(auth) => self.handle_auth(auth),
            _ => Err(self.misbehaved(PeerError::UnexpectedPacket)),
        };
        Ok(result?)
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
            self.send_bytes(&Disconnect::reason_bytes(reason));
        }
        self.phase = Phase::Closing;
    }

    /// Whether there may be something to tell that no packet caused.
    #[inline]
    fn has_news(&self) -> bool {
        #[cfg(feature = "stream")]
        let streams = self.streams.have_news();
        #[cfg(not(feature = "stream"))]
        let streams = false;
        self.evicted != 0 || streams || self.flights.has_news()
    }

    /// Why the connection ended, if nobody was told.
    #[inline(never)]
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

    /// While nothing is taken in, nothing is late.
    fn hold_deadlines(&mut self) {
        self.hold_ping_response();
        if self.phase == Phase::Connecting {
            let patience = u64::from(self.settings.connect_timeout_ms);
            self.deadlines.set(Timer::Connect as usize, self.now.plus_millis(patience));
        }
    }

    /// How long the server, or the transport, may take from now on.
    pub(super) fn start_patience(&mut self) {
        let patience = u64::from(self.settings.ping_timeout_ms);
        self.deadlines.set(Timer::PingResponse as usize, self.now.plus_millis(patience));
    }

    pub(super) fn ping_now(&mut self) {
        self.send_bytes(&Ping(PacketType::PingReq).bytes());
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

/// Why no packet was taken in, or why it was the last.
#[derive(Debug)]
pub(super) enum Stop<'a> {
    Lost(Lost<'a>),
    /// It is not all here.
    Starved,
    /// There is no room for it now: it is to be handed in again.
    Later,
}

impl<'a> From<Lost<'a>> for Stop<'a> {
    fn from(lost: Lost<'a>) -> Self {
        Self::Lost(lost)
    }
}
