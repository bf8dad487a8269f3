//! Payloads larger than memory, in and out, piece by piece.

use super::error::{PeerError, SendError};
use super::event::{Event, Token, Topic};
use super::handshake::{PAYLOAD_ROOM, RESERVE};
use super::inbound::Stop;
use super::messages::{Fault, alias, message};
use super::publish::Publish;
use super::{Client, Phase};
use crate::Instant;
use crate::codec::{Delivery, Piece, Pieces, Publish as Head, Sender, measure, publish_packet_id};
use crate::flow::send::{Owed, Seen};
use crate::storage::{Storage, copy};
use crate::types::{PacketId, QoS};

/// What is being streamed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    /// How much of a payload is still to come.
    left: Option<u32>,
    /// The message that it belongs to.
    id: Option<PacketId>,
    qos: QoS,
    dup: bool,
    /// Whether it was received before, so that nobody is shown it.
    skip: bool,
    /// Whether the application is to be told that one was cut off.
    aborted: bool,
    /// Whether a payload is being sent, and how much of it has not been handed in.
    sending: bool,
    to_send: u32,
    /// Which message that is, whether for the first time, and whether any of it has left.
    sending_id: Option<PacketId>,
    first_time: bool,
    begun: bool,
    /// Room for the head of any of them, in bytes: nothing else may take it while one may have to
    /// be sent again.
    pub(super) room: usize,
    /// Whether there are messages that only the application can send again.
    pub(super) wanted: bool,
    /// The last of them that it was asked for, by token.
    asked: u32,
}

impl Streams {
    pub(super) const NONE: Self = Self {
        left: None,
        id: None,
        qos: QoS::AtMostOnce,
        dup: false,
        skip: false,
        aborted: false,
        sending: false,
        to_send: 0,
        sending_id: None,
        first_time: false,
        begun: false,
        room: 0,
        wanted: false,
        asked: 0,
    };

    pub(super) const fn is_receiving(&self) -> bool {
        self.left.is_some()
    }

    pub(super) fn forget(&mut self) {
        *self = Self::NONE;
    }

    #[inline]
    pub(super) const fn have_news(&self) -> bool {
        self.aborted || self.wanted
    }

    /// The connection is gone.
    pub(super) fn lose(&mut self) {
        let aborted = self.aborted || (self.left.is_some() && !self.skip);
        *self = Self { aborted, room: self.room, ..Self::NONE };
    }
}

/// Receiving.
impl<S: Storage> Client<S> {
    fn pieces(&self) -> Pieces {
        let above = self.settings.stream_above as usize;
        Pieces::new(self.version, Sender::Server, above).within(self.streams.left)
    }

    /// Whether a message comes next that is to be taken in pieces.
    pub(super) fn begins_stream(&self, input: &[u8]) -> bool {
        self.pieces().has_piece(input)
    }

    pub(super) fn handle_piece<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<Event<'a>>, Stop<'a>> {
        let mut pieces = self.pieces();
        let piece = match pieces.next(input) {
            Ok(Some(piece)) => piece,
            Ok(None) => return Err(self.starve(input)),
            Err(error) => return Err(self.malformed(error).into()),
        };
        let event = match piece {
            Piece::Start { head, payload_len } => self.start_message(head, payload_len),
            Piece::Chunk(chunk) => Ok(self.show(Event::MessageChunk(chunk))),
            Piece::End => self.end_message(),
            Piece::Packet(_) => Err(PeerError::UnexpectedPacket.into()),
        };
        let event = event.map_err(|fault| self.stop_for(fault))?;
        self.streams.left = pieces.left();
        Ok(event)
    }

    /// More bytes are needed; but the head of a message must fit the size that was agreed.
    fn starve<'a>(&mut self, input: &[u8]) -> Stop<'a> {
        let above = self.settings.stream_above as usize;
        if !self.streams.is_receiving() && input.len() >= above.max(5) {
            return self.misbehaved(PeerError::PacketTooLarge).into();
        }
        Stop::Starved
    }

    fn start_message<'a>(
        &mut self,
        head: Head<'a>,
        payload_len: u32,
    ) -> Result<Option<Event<'a>>, Fault> {
        if self.phase != Phase::Open {
            return Err(PeerError::UnexpectedPacket.into());
        }
        self.check_window(head.delivery)?;
        if head.topic.is_none() || head.properties.has_topic_alias() {
            self.learn_alias(&head)?;
        }
        let id = head.delivery.packet_id();
        let qos = head.delivery.qos();
        self.streams.id = id;
        self.streams.qos = qos;
        self.streams.dup = head.delivery.dup();
        self.streams.skip =
            qos == QoS::ExactlyOnce && id.is_some_and(|id| self.receipts.get(id).is_some());
        let topic = head.topic.map(Topic::Text).or_else(|| alias(&head));
        let topic = topic.ok_or(PeerError::UnknownAlias)?;
        let message = message(topic, &head, super::AckToken::NOTHING);
        Ok(self.show(Event::MessageStart { message, payload_len }))
    }

    /// The event, unless the message was received before.
    const fn show<'a>(&self, event: Event<'a>) -> Option<Event<'a>> {
        if self.streams.skip { None } else { Some(event) }
    }

    /// Only now the message is here, and owes an acknowledgement.
    fn end_message<'a>(&mut self) -> Result<Option<Event<'a>>, Fault> {
        let dup = self.streams.dup;
        let delivery = match (self.streams.qos, self.streams.id) {
            (QoS::AtLeastOnce, Some(packet_id)) => Delivery::AtLeastOnce { packet_id, dup },
            (QoS::ExactlyOnce, Some(packet_id)) => Delivery::ExactlyOnce { packet_id, dup },
            _ => Delivery::AtMostOnce,
        };
        Ok(self.take_in(delivery)?.map(|ack| Event::MessageEnd { ack }))
    }

    /// What the application must hear of streams.
    pub(super) fn poll_stream_news<'a>(&mut self) -> Option<Event<'a>> {
        if self.streams.aborted {
            self.streams.aborted = false;
            return Some(Event::MessageAborted);
        }
        if self.phase != Phase::Open || !self.streams.wanted {
            return None;
        }
        let token = self.next_resend(self.streams.asked)?;
        self.streams.asked = token;
        Some(Event::Resend { token: Token(token) })
    }

    /// There is a connection: the application is asked for what only it can send again.
    pub(super) fn ask_for_streams(&mut self) {
        self.streams.wanted = self.next_resend(0).is_some();
        self.streams.asked = 0;
    }

    /// The oldest message above a token that the application must send again.
    fn next_resend(&self, after: u32) -> Option<u32> {
        let streamed =
            self.flights.each().map(|(_, flight)| flight).filter(|flight| {
                flight.streamed && flight.owed.is_publish() && flight.token > after
            });
        streamed.map(|flight| flight.token).min()
    }

    /// Whether a message must wait for an older one that the application sends again: what is sent
    /// again goes in the order of before [MQTT5-4.6.0-1, MQTT3-4.6.0-1].
    pub(super) fn waits_for_stream(&self, id: PacketId) -> bool {
        self.streams.wanted && self.next_resend(0).is_some_and(|first| self.token_of(id).0 > first)
    }
}

/// Sending.
impl<S: Storage> Client<S> {
    /// Publishes a message whose payload is handed in piece by piece, `payload_len` bytes in all,
    /// by [`Client::publish_chunk`]. The payload of `publish` is not looked at.
    ///
    /// Until it is complete, nothing else leaves. At QoS 1 and 2 the session may demand it once
    /// more: [`Event::Resend`]; until it is sent again, what was published behind it waits.
    ///
    /// # Errors
    /// As [`Client::publish`]; and there must be a connection, a place in the window, and nothing
    /// that waits.
    pub fn publish_stream(
        &mut self,
        publish: Publish<'_>,
        payload_len: u32,
        now: Instant,
    ) -> Result<Token, SendError> {
        self.set_now(now);
        let id = match publish.qos {
            QoS::AtMostOnce => None,
            _ => Some(self.flights.peek_free().ok_or(SendError::Full)?),
        };
        if self.outbox.has_waiting() || self.streams.wanted {
            return Err(SendError::Full);
        }
        self.begin_stream(&publish, id, false, payload_len)?;
        let token = self.next_token();
        if let Some(id) = id {
            self.flights.take(Owed::publish(publish.qos), token.0)?;
            self.stream_left(id);
        }
        Ok(token)
    }

    /// Sends a streamed message again, which [`Event::Resend`] asked for: the same message, and the
    /// oldest first.
    ///
    /// # Errors
    /// As [`Client::publish_stream`], where [`SendError::Full`] means that it is not its turn yet;
    /// or the token is not one that was asked for.
    pub fn resend_stream(
        &mut self,
        token: Token,
        publish: Publish<'_>,
        payload_len: u32,
        now: Instant,
    ) -> Result<(), SendError> {
        self.set_now(now);
        let found = self.flights.each().find(|(_, flight)| {
            flight.token == token.0 && flight.streamed && flight.owed.is_publish()
        });
        let Some((id, flight)) = found else { return Err(SendError::Token) };
        if flight.owed != Owed::publish(publish.qos) {
            return Err(SendError::Token);
        }
        let older_waits = self.outbox.first_waiting().is_some_and(|packet| {
            publish_packet_id(packet).is_none_or(|first| self.token_of(first) < token)
        });
        if older_waits || self.next_resend(0) != Some(token.0) {
            return Err(SendError::Full);
        }
        let dup = !flight.unbegun;
        self.begin_stream(&publish, Some(id), dup, payload_len)?;
        self.stream_left(id);
        self.streams.wanted = self.next_resend(0).is_some();
        Ok(())
    }

    /// Gives up a streamed message that [`Event::Resend`] asked for: nobody has its payload any
    /// more. It fails with [`Failure::Dropped`](super::Failure::Dropped), and what waits behind it
    /// goes.
    ///
    /// # Errors
    /// The token is not one that was asked for.
    pub fn abandon_stream(&mut self, token: Token, now: Instant) -> Result<(), SendError> {
        self.set_now(now);
        let found = self.flights.each().find(|(_, flight)| {
            flight.token == token.0 && flight.streamed && flight.owed.is_publish()
        });
        let Some((id, flight)) = found else { return Err(SendError::Token) };
        let why = super::Failure::Dropped;
        if flight.owed == Owed::publish(QoS::ExactlyOnce) && !flight.unbegun {
            self.flights.retire(id, why.as_byte()); // the server may have it, and wait for PUBREL
            self.record_dropped(id);
        } else {
            self.fail(id, why);
        }
        self.streams.wanted = self.next_resend(0).is_some();
        self.send_what_may_go();
        Ok(())
    }

    fn begin_stream(
        &mut self,
        publish: &Publish<'_>,
        id: Option<PacketId>,
        dup: bool,
        payload_len: u32,
    ) -> Result<(), SendError> {
        self.check_running()?;
        if self.phase != Phase::Open {
            return Err(SendError::NotConnected);
        }
        if self.outbox.is_streaming() {
            return Err(SendError::Stream);
        }
        let topic = self.check_publish(publish)?;
        if id.is_some() && !self.quota.is_open() {
            return Err(SendError::Full);
        }
        let delivery = match (publish.qos, id) {
            (QoS::AtLeastOnce, Some(packet_id)) => Delivery::AtLeastOnce { packet_id, dup },
            (QoS::ExactlyOnce, Some(packet_id)) => Delivery::ExactlyOnce { packet_id, dup },
            _ => Delivery::AtMostOnce,
        };
        let packet = Head { payload: &[], ..publish.packet(topic, delivery) };
        let measured = measure(&packet, self.version)?.with_payload(payload_len)?;
        self.limits.check_size(measured.len())?;
        let head_len = measured.len().saturating_sub(payload_len as usize);
        if !self.outbox.has_room(head_len.saturating_add(RESERVE).saturating_add(PAYLOAD_ROOM)) {
            return Err(SendError::Full);
        }
        let others = if self.flights.streamed() == 0 { 0 } else { self.streams.room };
        self.streams.room = others.max(head_len.saturating_add(PAYLOAD_ROOM));
        self.outbox.begin_raw();
        measured.write_head(self.outbox.push_raw(head_len)?);
        self.streams.sending = true;
        self.streams.to_send = payload_len;
        (self.streams.sending_id, self.streams.first_time) = (id, !dup);
        self.streams.begun = false;
        Ok(())
    }

    fn stream_left(&mut self, id: PacketId) {
        self.quota.take();
        self.flights.mark_streamed(id);
        let _ = self.flights.advance(id, Seen::Sent);
    }

    /// Hands in the next bytes of the payload; returns how many of them were taken. The others are
    /// to be handed in again once output was written.
    ///
    /// # Errors
    /// No payload is being sent (the connection may have been lost), or it would be longer than was
    /// said.
    pub fn publish_chunk(&mut self, chunk: &[u8], now: Instant) -> Result<usize, SendError> {
        self.set_now(now);
        let left = self.streams.to_send as usize;
        if !self.streams.sending || chunk.len() > left {
            return Err(SendError::Stream);
        }
        let room = self.outbox.free_room().saturating_sub(RESERVE);
        let (taken, _) = chunk.split_at_checked(room.min(chunk.len())).unwrap_or_default();
        copy(self.outbox.push_raw(taken.len())?, taken);
        let left = left.saturating_sub(taken.len());
        self.streams.to_send = u32::try_from(left).unwrap_or_default();
        Ok(taken.len())
    }

    /// `len` bytes of the output are about to leave.
    #[inline]
    pub(super) const fn note_stream(&mut self, len: usize) {
        self.streams.begun |= self.streams.sending && self.outbox.begins_within(len);
    }

    /// The connection is gone: a message of which nothing has left was not sent, so it is no
    /// duplicate.
    pub(super) fn note_unbegun(&mut self) {
        if self.streams.sending
            && self.streams.first_time
            && !self.streams.begun
            && let Some(flight) = self.streams.sending_id.and_then(|id| self.flights.get_mut(id))
        {
            flight.unbegun = true;
        }
    }

    /// Whether this message is being streamed.
    pub(super) fn is_streaming(&self, id: PacketId) -> bool {
        self.streams.sending && self.streams.sending_id == Some(id)
    }

    /// Once all of a payload has left, the others may go.
    #[inline]
    pub(super) fn end_sent_stream(&mut self) {
        if self.streams.sending && self.streams.to_send == 0 && self.outbox.end_raw() {
            self.streams.sending = false;
        }
    }
}
