//! Records of the session for a store: as it changes, all of it, and back again.

use crate::client::event::Token;
use crate::client::{Client, Phase};
use crate::codec::{AckKind, Packet, Sender, publish_packet_id};
use crate::flow::packets::set_dup;
use crate::flow::receive;
use crate::flow::send::{Flight, Owed};
use crate::storage::{Queue, Storage, copy};
use crate::types::{PacketId, ReasonCode};

/// A change of the session that a store is to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Change {
    /// With the end of its token, for the identifier may mean another message meanwhile.
    Publish(PacketId, u16),
    Release(PacketId, u16),
    Settled(PacketId),
    Received(PacketId),
    /// The server has released it; whether the connection on which it did is still there, and waits
    /// for PUBCOMP.
    Forgotten(PacketId, bool),
}

/// A change of the session, or a part of it, small enough for flash memory.
///
/// A store keeps what it is handed and forgets what it is told to. After a restart it hands back
/// what it has, through [`Client::restore`]: `Publish`, `Release` and `Received`, each kind in the
/// order in which it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record<'a> {
    /// Everything kept before is to be forgotten; what is still true follows.
    Reset,
    /// A message to be sent, as a PUBLISH packet.
    Publish(&'a [u8]),
    /// The message of this identifier was received by the server: it is not sent again.
    Release(PacketId),
    /// The exchange of this identifier is over: forget its `Publish` and `Release`.
    Settled(PacketId),
    /// A QoS 2 message of the server's was taken over.
    Received(PacketId),
    /// The server has released it: forget its `Received`.
    Forgotten(PacketId),
}

/// Why bytes are not a record, or a record does not fit the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Not a record of this version.
    #[error("not a record of a session")]
    Malformed,
    /// No room for the message, or for its identifier.
    #[error("no room for the record: the storage is smaller than the one it came from")]
    Full,
    /// Records are taken between start and the first connection.
    #[error("records are restored after start and before connect")]
    TooLate,
}

impl<'a> Record<'a> {
    const fn kind(&self) -> u8 {
        match self {
            Self::Reset => 0,
            Self::Publish(_) => 1,
            Self::Release(_) => 2,
            Self::Settled(_) => 3,
            Self::Received(_) => 4,
            Self::Forgotten(_) => 5,
        }
    }

    /// How many bytes [`Record::write`] writes: one, and two for an identifier, or the packet.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Reset => 1,
            Self::Publish(packet) => packet.len().saturating_add(1),
            _ => 3,
        }
    }

    /// Never: every record has a byte at least.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Writes the record to the front of `out`; returns its length, or `None` if it does not fit.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let out = out.get_mut(..self.len())?;
        let (kind, rest) = out.split_first_mut()?;
        *kind = self.kind();
        match self {
            Self::Reset => {}
            Self::Publish(packet) => copy(rest, packet),
            Self::Release(id) | Self::Settled(id) | Self::Received(id) | Self::Forgotten(id) => {
                copy(rest, &id.get().to_be_bytes());
            }
        }
        Some(self.len())
    }

    /// Reads what [`Record::write`] wrote, all of `bytes`.
    ///
    /// # Errors
    /// It is something else.
    pub fn read(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (kind, rest) = bytes.split_first().ok_or(RecordError::Malformed)?;
        if *kind == 1 {
            return Ok(Self::Publish(rest));
        }
        let id = match rest {
            [] if *kind == 0 => return Ok(Self::Reset),
            [high, low] => PacketId::new(u16::from_be_bytes([*high, *low])),
            _ => None,
        };
        let id = id.ok_or(RecordError::Malformed)?;
        match kind {
            2 => Ok(Self::Release(id)),
            3 => Ok(Self::Settled(id)),
            4 => Ok(Self::Received(id)),
            5 => Ok(Self::Forgotten(id)),
            _ => Err(RecordError::Malformed),
        }
    }
}

/// Changes on their way to the store: those it was not handed yet, and those it has not confirmed.
#[derive(Debug)]
pub(in crate::client) struct Journal<Q> {
    queue: Q,
    /// How many at the front the store was handed.
    handed: usize,
    /// How many of those it has kept, but for which there was no room to answer.
    kept: usize,
    /// Whether there is a store.
    on: bool,
    copy: Copying,
    /// How many at the front came before the copy began, and are a part of it.
    copied: usize,
}

/// Where a copy of everything is.
#[derive(Clone, Copy, Debug)]
enum Copying {
    Nothing,
    Reset,
    /// At what we sent, in order of tokens, behind this one: it may change meanwhile.
    Sent(u32),
    /// At what we received, behind this identifier.
    Received(u16),
}

impl<Q: Queue<Change>> Journal<Q> {
    pub(in crate::client) const EMPTY: Self =
        Self { queue: Q::EMPTY, handed: 0, kept: 0, on: false, copy: Copying::Nothing, copied: 0 };

    pub(in crate::client) fn set_limit(&mut self, limit: u16) {
        // Of one message three changes may be under way: published, released, settled.
        self.queue.set_limit((limit as usize).saturating_mul(3));
    }

    pub(in crate::client) fn begin(&mut self, on: bool) {
        self.queue.clear();
        (self.handed, self.kept, self.copied) = (0, 0, 0);
        (self.on, self.copy) = (on, Copying::Nothing);
    }

    /// Whether there is a store.
    #[inline]
    pub(in crate::client) const fn is_on(&self) -> bool {
        self.on
    }

    /// How much the store has kept that was not acted on.
    #[inline]
    pub(in crate::client) const fn behind(&self) -> usize {
        self.kept
    }

    /// Whether the change that a packet may cause has room.
    #[inline]
    pub(in crate::client) fn has_room(&self) -> bool {
        !self.on || self.queue.len().saturating_add(2) <= self.queue.limit()
    }

    /// Adds a change, if there is a store. Where nobody made sure of the room, and there is none,
    /// the store is told everything once more.
    pub(in crate::client) fn push(&mut self, change: Change) {
        if self.on && self.queue.push_back(change).is_err() {
            self.copy = Copying::Reset;
        }
    }

    /// Adds a change that nothing waits for, as long as that leaves room for one that something
    /// does wait for; otherwise the store is told everything once more.
    fn push_spare(&mut self, change: Change) {
        if self.on && self.queue.len().saturating_add(3) > self.queue.limit() {
            self.copy = Copying::Reset;
        } else {
            self.push(change);
        }
    }

    /// A copy begins: what changed before is in it, and is not told again; an identifier may mean
    /// another message by now.
    fn begin_copy(&mut self) {
        (self.copy, self.copied) = (Copying::Sent(0), self.queue.len());
    }

    fn end_copy(&mut self) {
        self.copy = Copying::Nothing;
        self.handed = self.handed.max(core::mem::take(&mut self.copied));
    }

    /// The first change, which the store has kept.
    fn pop_kept(&mut self) -> Option<Change> {
        let change = self.queue.pop_front()?;
        self.kept = self.kept.saturating_sub(1);
        self.handed = self.handed.saturating_sub(1);
        self.copied = self.copied.saturating_sub(1);
        Some(change)
    }

    /// The connection is gone: nobody waits for PUBCOMP.
    pub(in crate::client) fn lose(&mut self) {
        for index in 0..self.queue.len() {
            if let Some(Change::Forgotten(_, answer)) = self.queue.get_mut(index) {
                *answer = false;
            }
        }
    }

    /// The server releases `id` once more. Whether it is about to be forgotten: then the answer
    /// waits for that.
    pub(in crate::client) fn answer_when_forgotten(&mut self, id: PacketId) -> bool {
        for index in 0..self.queue.len() {
            if let Some(Change::Forgotten(other, answer)) = self.queue.get_mut(index)
                && *other == id
            {
                *answer = true;
                return true;
            }
        }
        false
    }
}

/// What a client tells its store, and takes back from it.
impl<S: Storage> Client<S> {
    pub(in crate::client) fn record_settled(&mut self, id: PacketId) {
        self.journal.push(Change::Settled(id));
    }

    pub(in crate::client) fn record_dropped(&mut self, id: PacketId) {
        self.journal.push_spare(Change::Settled(id));
    }

    pub(in crate::client) fn record_release(&mut self, id: PacketId) {
        if self.journal.on
            && let Some(flight) = self.flights.get_mut(id)
        {
            flight.unrecorded = true; // PUBREL waits for it [MQTT5-4.3.3-6]
            self.journal.push(Change::Release(id, flight.token as u16));
        }
    }

    pub(in crate::client) fn record_received(&mut self, id: PacketId) {
        self.journal.push(Change::Received(id));
    }

    pub(in crate::client) fn record_forgotten(&mut self, id: PacketId) {
        self.journal.push(Change::Forgotten(id, true));
    }

    /// The next record for the store, with [`Options::store`](crate::client::Options::store).
    ///
    /// Keep all that there are, and then say so by [`Client::handle_persisted`]. What may not leave
    /// before waits for that: the first PUBLISH of a message, PUBREC, PUBREL and PUBCOMP.
    #[must_use]
    pub fn poll_record(&mut self) -> Option<Record<'_>> {
        if !matches!(self.journal.copy, Copying::Nothing) {
            return self.poll_copy();
        }
        let change = *self.journal.queue.get(self.journal.handed)?;
        self.journal.handed = self.journal.handed.saturating_add(1);
        Some(match change {
            Change::Publish(id, _) => match self.outbox.publish(id) {
                Some(packet) => Record::Publish(packet),
                None => Record::Settled(id), // dropped meanwhile
            },
            Change::Release(id, _) => Record::Release(id),
            Change::Settled(id) => Record::Settled(id),
            Change::Received(id) => Record::Received(id),
            Change::Forgotten(id, _) => Record::Forgotten(id),
        })
    }

    /// Begins a copy of everything: the next records are [`Record::Reset`] and all that is true
    /// now. For compaction, or a store that was replaced.
    pub fn records(&mut self) {
        if self.journal.on {
            self.journal.copy = Copying::Reset;
        }
    }

    /// The records of a copy: Reset, then what we sent, in order, then what we received.
    fn poll_copy(&mut self) -> Option<Record<'_>> {
        if let Copying::Reset = self.journal.copy {
            self.journal.begin_copy();
            return Some(Record::Reset);
        }
        if let Copying::Sent(after) = self.journal.copy {
            match self.next_sent(after) {
                Some((id, flight)) => {
                    self.journal.copy = Copying::Sent(flight.token);
                    return if flight.owed.is_release() {
                        Some(Record::Release(id))
                    } else {
                        self.outbox.publish(id).map(Record::Publish)
                    };
                }
                None => self.journal.copy = Copying::Received(0),
            }
        }
        if let Copying::Received(after) = self.journal.copy
            && let Some(id) = self.receipts.accepted_after(after)
        {
            self.journal.copy = Copying::Received(id.get());
            return Some(Record::Received(id));
        }
        self.journal.end_copy();
        self.poll_record()
    }

    /// The next message above a token that a store must know.
    fn next_sent(&self, after: u32) -> Option<(PacketId, Flight)> {
        let all = self.flights.each().filter(|(_, flight)| flight.token > after);
        let messages = all.filter(|(_, flight)| {
            flight.owed.is_release() || (flight.owed.has_publish() && !flight.streamed)
        });
        let next = messages.min_by_key(|(_, flight)| flight.token)?;
        Some((next.0, *next.1))
    }

    /// The store has kept every record that it was handed.
    ///
    /// What was held back for that goes on; hand in again what is left of the input, too.
    pub fn handle_persisted(&mut self, now: crate::Instant) {
        self.set_now(now);
        self.journal.kept = self.journal.handed;
        self.act_on_kept();
        self.release_acks();
        self.send_what_may_go();
    }

    /// What waited for the store goes on, as far as there is room to answer.
    pub(in crate::client) fn act_on_kept(&mut self) {
        while self.journal.behind() != 0
            && self.has_answer_room()
            && let Some(change) = self.journal.pop_kept()
        {
            self.persisted(change);
        }
    }

    fn persisted(&mut self, change: Change) {
        match change {
            Change::Publish(id, token) | Change::Release(id, token) => {
                if let Some(flight) = self.flights.get_mut(id)
                    && flight.token as u16 == token
                {
                    flight.unrecorded = false;
                }
            }
            Change::Received(id) => {
                if let Some(receipt) = self.receipts.get_mut(id) {
                    receipt.unrecorded = false;
                }
                self.pubrecs.recorded(id);
            }
            Change::Forgotten(id, answer) => {
                if answer && self.phase == Phase::Open {
                    self.send_ack(AckKind::Comp, id, ReasonCode::Success);
                }
            }
            Change::Settled(_) => {}
        }
    }

    /// Takes back a record that a store kept: between [`Client::start`] and [`Client::connect`].
    ///
    /// A message gets a new token, by which it will be completed.
    ///
    /// # Errors
    /// Not a record, no room for it, or too late.
    pub fn restore(&mut self, record: Record<'_>) -> Result<Option<Token>, RecordError> {
        if self.phase != Phase::Idle || self.connect_len == 0 {
            return Err(RecordError::TooLate);
        }
        self.has_session = true;
        match record {
            Record::Publish(packet) => return self.restore_publish(packet).map(Some),
            Record::Release(id) => return self.restore_release(id).map(Some),
            Record::Received(id) => {
                for seen in [receive::Seen::Publish, receive::Seen::Accepted] {
                    self.receipts.advance(id, seen, 0).map_err(|_| RecordError::Full)?;
                }
            }
            Record::Reset | Record::Settled(_) | Record::Forgotten(_) => {}
        }
        Ok(None)
    }

    /// A message of which the server had all; its own record may have come before.
    fn restore_release(&mut self, id: PacketId) -> Result<Token, RecordError> {
        let known = self.flights.get(id).filter(|flight| flight.owed != Owed::Nothing);
        let token = match known.map(|flight| Token(flight.token)) {
            Some(token) => token,
            None => self.next_token(),
        };
        if self.flights.owed(id).is_publish() {
            self.outbox.drop_waiting(|packet| publish_packet_id(packet) == Some(id));
            self.flights.forget(id);
        }
        self.flights.restore(id, Owed::PubRel, token.0).map_err(|_| RecordError::Full)?;
        self.releases_due = self.flights.released();
        Ok(token)
    }

    fn restore_publish(&mut self, packet: &[u8]) -> Result<Token, RecordError> {
        let mut input = packet;
        let decoded = Packet::decode(&mut input, self.version, Sender::Client);
        let Ok(Some(Packet::Publish(publish))) = decoded else {
            return Err(RecordError::Malformed);
        };
        let (Some(id), []) = (publish.delivery.packet_id(), input) else {
            return Err(RecordError::Malformed);
        };
        if let Some(known) = self.flights.get(id).filter(|flight| flight.owed != Owed::Nothing) {
            return Ok(Token(known.token)); // recorded twice: as it came, and in a copy
        }
        if !self.outbox.has_room(packet.len().saturating_add(crate::client::handshake::RESERVE)) {
            return Err(RecordError::Full);
        }
        let token = self.next_token();
        let owed = Owed::publish(publish.delivery.qos());
        self.flights.restore(id, owed, token.0).map_err(|_| RecordError::Full)?;
        let out = self.outbox.push_waiting(packet.len()).map_err(|_| RecordError::Full)?;
        copy(out, packet);
        set_dup(out, true); // whether it had left nobody knows
        Ok(token)
    }
}
