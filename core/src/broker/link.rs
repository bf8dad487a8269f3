//! One connection: what was agreed on it, and the bytes that wait to leave.

use super::asking::Question;
use super::durable::Pending;
use super::event::Event;
use super::limits::LimitsAt;
use super::outbound::Frame;
use super::session::SessionId;
use crate::Instant;
use crate::codec::{Body, EncodeError, Measured, measure};
use crate::flow::alias::Aliases;
use crate::flow::quota::Quota;
use crate::storage::{Memory, Queue, Storage};
use crate::types::{TopicName, Version};

/// A connection of a broker, as its host knows it.
///
/// It means nothing any more once the connection is gone, though others may follow in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId {
    pub(crate) slot: u32,
    pub(crate) serial: u32,
}

impl LinkId {
    /// Its place among the connections: a small number, to keep something about it by. Another
    /// connection may have it once this one is gone.
    #[must_use]
    pub const fn place(self) -> usize {
        self.slot as usize
    }
}

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// CONNECT has not come.
    Silent,
    /// The host is asked.
    Asking,
    /// The host wants to know more: AUTH is awaited.
    #[cfg(feature = "auth")]
    Continuing,
    /// Peers are asked for its session.
    #[cfg(feature = "alloc")]
    Claiming,
    /// Accepted.
    Open,
    /// It goes to a peer.
    #[cfg(feature = "alloc")]
    Moved,
    /// What is in the output leaves, then the transport is to be closed.
    Closing,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Link<S: Storage> {
    pub(crate) serial: u32,
    pub(crate) phase: Phase,
    pub(crate) version: Version,
    pub(crate) session: Option<SessionId>,
    out: S::Outgoing,
    written: usize,
    /// Whether it is among those that have something to write.
    pub(crate) touched: bool,
    /// Whether there was no room among those.
    pub(crate) unlisted: bool,
    /// Whether the host was told to close it.
    pub(crate) told: bool,
    /// What the host could not be told yet, the newest of it.
    pub(crate) untold: Option<Event>,
    /// Whether it is to end, for a queue that is full.
    pub(crate) overrun: bool,
    /// Whether its input waits for something.
    pub(crate) blocked: bool,
    /// Whether it is of the host itself, without a transport; and how many bytes of its output the
    /// host was shown.
    pub(crate) attached: bool,
    pub(crate) taken: u32,
    /// Which limits hold for it.
    pub(crate) limits: LimitsAt,
    /// How many questions were asked about it.
    pub(crate) asks: u32,
    /// Up to when its messages used up what they may, in microseconds; and when input that waits
    /// for that can go on.
    pub(crate) paid_us: u64,
    pub(crate) resume_at: Instant,
    /// The longest that its session may outlive it, in seconds.
    pub(crate) expiry_max_secs: u32,
    /// The longest silence, in milliseconds; 0 for no limit.
    pub(crate) patience_ms: u32,
    /// When something last came.
    pub(crate) heard: Instant,
    /// How many bytes of an unfinished packet are here, and how many of them came since then.
    unfinished: u32,
    fresh: u32,
    /// How many messages may be on their way to it.
    pub(crate) quota: Quota,
    pub(crate) max_packet_size: u32,
    /// Whether it wants reason strings and user properties with more than CONNACK and DISCONNECT.
    pub(crate) wants_problems: bool,
    pub(crate) aliases_in: Aliases<S::Aliases>,
    /// Topics that have numbers on the way to the client.
    pub(crate) aliases_out: Aliases<S::Aliases>,
    /// CONNECT and AUTH while the host is asked about them, and the method that was agreed: runs in
    /// the bodies, plus one.
    pub(crate) connect: u32,
    pub(crate) auth: u32,
    pub(crate) method: u32,
    /// What the host is asked about one of its packets.
    pub(crate) question: Question,
    /// Whether the client is authenticating again.
    pub(crate) authenticates_again: bool,
    /// What waits for the store, in order.
    pub(crate) gate: S::Owed<Pending>,
    /// Whether the connection is among those that wait for the store.
    pub(crate) gated: bool,
    /// The ticket before which nothing is shown; 0 for none.
    pub(crate) fence: u32,
}

impl<S: Storage> Link<S> {
    pub(crate) fn new(serial: u32, now: Instant, output_bytes: usize) -> Self {
        let mut out = S::Outgoing::EMPTY;
        out.set_limit(output_bytes);
        Self {
            serial,
            phase: Phase::Silent,
            version: Version::V311,
            session: None,
            out,
            written: 0,
            touched: false,
            unlisted: false,
            untold: None,
            told: false,
            overrun: false,
            blocked: false,
            attached: false,
            taken: 0,
            limits: 0,
            asks: 0,
            paid_us: 0,
            resume_at: Instant::NEVER,
            expiry_max_secs: 0,
            patience_ms: 0,
            heard: now,
            unfinished: 0,
            fresh: 0,
            quota: Quota::CLOSED,
            max_packet_size: u32::MAX,
            wants_problems: true,
            aliases_in: Aliases::EMPTY,
            aliases_out: Aliases::EMPTY,
            connect: 0,
            auth: 0,
            method: 0,
            question: Question::NONE,
            authenticates_again: false,
            gate: S::Owed::EMPTY,
            gated: false,
            fence: 0,
        }
    }

    /// So many bytes were handed in, and so many are left: a packet is a sign of life, and so is a
    /// part of a long one.
    pub(crate) fn hear(&mut self, given: usize, left: usize, now: Instant) {
        let short = |len| u32::try_from(len).unwrap_or(u32::MAX);
        let news = short(given).saturating_sub(self.unfinished);
        self.unfinished = short(left);
        self.fresh = self.fresh.saturating_add(news);
        if left < given || self.fresh >= LIFE_BYTES {
            self.heard = now;
            self.fresh = 0;
        }
    }

    /// What is to be written.
    #[inline]
    pub(crate) fn output(&self) -> &[u8] {
        if self.fence != 0 {
            return &[];
        }
        self.out.bytes().get(self.written..).unwrap_or_default()
    }

    /// How many bytes wait to be written.
    #[inline]
    pub(crate) fn pending(&self) -> usize {
        self.output().len()
    }

    /// The first `len` bytes of the output have left; of others, `limit` may wait from now on.
    pub(crate) fn output_written(&mut self, len: usize, limit: usize) {
        self.written = self.written.saturating_add(len);
        if self.written >= self.out.bytes().len() {
            self.clear_output();
            self.out.set_limit(limit);
        }
    }

    /// Nothing of the output will be read.
    pub(crate) fn clear_output(&mut self) {
        self.written = 0;
        let _ = self.out.resize(0);
        self.out.release();
    }

    /// Whether nothing waits to be written, shown or not.
    pub(crate) fn is_idle(&self) -> bool {
        self.written >= self.out.bytes().len()
    }

    /// Whether `len` more bytes fit; makes room if it must.
    #[inline]
    pub(crate) fn has_room(&mut self, len: usize) -> bool {
        let used = self.out.bytes().len();
        if used.saturating_add(len) <= self.out.limit() {
            return true;
        }
        let left = used.saturating_sub(self.written);
        if left.saturating_add(len) > self.out.limit() {
            return false;
        }
        self.out.bytes_mut().copy_within(self.written.., 0);
        self.written = 0;
        self.out.resize(left).is_ok()
    }

    /// Whether a message of so many bytes may be sent now, with a head as long as it gets; `little`
    /// as of messages that are sent.
    pub(crate) fn has_message_room(&self, len: usize, little: usize) -> bool {
        let left = self.out.bytes().len().saturating_sub(self.written);
        let needed = left.saturating_add(len).saturating_add(HEAD_ROOM + ANSWER_ROOM);
        left <= little.min(self.out.limit()) && needed <= self.out.limit().max(little)
            || self.is_idle()
    }

    /// The same; memory that can grow makes room for a packet of any length while no more than
    /// `little` waits.
    fn make_room(&mut self, len: usize, little: usize) -> bool {
        if self.has_room(len) {
            return true;
        }
        let left = self.out.bytes().len().saturating_sub(self.written);
        if left > little {
            return false;
        }
        self.out.set_limit(left.saturating_add(len));
        self.has_room(len)
    }

    /// Appends a packet. Whether it was sent: it may be too large for the client
    /// [MQTT5-3.1.2-24], or for the room that there is.
    #[inline]
    pub(crate) fn push(&mut self, packet: &impl Body) -> Push {
        match measure(packet, self.version) {
            Ok(measured) => self.push_measured(&measured, 0, 0),
            Err(error) => Push::Wrong(error),
        }
    }

    /// Appends a message, but not into the room that answers need; behind no more than `little`
    /// one of any length.
    #[inline]
    fn push_message(&mut self, frame: &Frame<'_>, little: usize) -> Push {
        match measure(frame, self.version) {
            Ok(measured) => match self.push_measured(&measured, ANSWER_ROOM, little) {
                Push::NoRoom if self.is_idle() => Push::TooLarge, // there never will be
                push => push,
            },
            Err(error) => Push::Wrong(error),
        }
    }

    /// Appends a message; its topic gets a number where the client takes numbers, or is one.
    #[inline]
    pub(crate) fn push_publish(&mut self, frame: &Frame<'_>, little: usize) -> Push {
        if self.aliases_out.maximum() == 0 {
            return self.push_message(frame, little);
        }
        let topic = TopicName::trusted(frame.topic());
        if let Some(alias) = self.aliases_out.alias(topic) {
            return self.push_message(&frame.aliased(alias, false), little);
        }
        let fresh = self.aliases_out.next_free().filter(|_| self.aliases_out.has_room(topic));
        let Some(alias) = fresh else { return self.push_message(frame, little) };
        match self.push_message(&frame.aliased(alias, true), little) {
            Push::Sent => {
                // Known only once it is on its way, and nothing overtakes it.
                let _ = self.aliases_out.set(alias, topic);
                Push::Sent
            }
            Push::TooLarge => self.push_message(frame, little), // but for the alias
            other => other,
        }
    }

    #[inline]
    fn push_measured(
        &mut self,
        measured: &Measured<'_, impl Body>,
        reserve: usize,
        little: usize,
    ) -> Push {
        let len = measured.len();
        if len > self.max_packet_size as usize {
            return Push::TooLarge;
        }
        if !self.make_room(len.saturating_add(reserve), little) {
            return Push::NoRoom;
        }
        let start = self.out.bytes().len();
        if self.out.resize(start.saturating_add(len)).is_err() {
            return Push::NoRoom;
        }
        match measured.write(self.out.bytes_mut().get_mut(start..).unwrap_or_default()) {
            Ok(_) => Push::Sent,
            Err(error) => Push::Wrong(error),
        }
    }

    /// Appends a packet that was encoded before; one that is larger than the client takes is left
    /// out [MQTT5-3.1.2-24].
    pub(crate) fn push_bytes(&mut self, packet: &[u8]) -> bool {
        if packet.len() > self.max_packet_size as usize {
            return true;
        }
        if !self.make_room(packet.len(), 0) {
            return false;
        }
        let start = self.out.bytes().len();
        if self.out.resize(start.saturating_add(packet.len())).is_err() {
            return false;
        }
        if let Some(to) = self.out.bytes_mut().get_mut(start..) {
            to.copy_from_slice(packet);
        }
        true
    }
}

/// How many bytes of an unfinished packet are a sign of life.
const LIFE_BYTES: u32 = 1_024;

/// Room for what is in a message besides its topic, payload and forwarded properties, in bytes.
const HEAD_ROOM: usize = 32;

/// Room for an acknowledgement and a DISCONNECT, in bytes.
pub(crate) const ANSWER_ROOM: usize = 16;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    Sent,
    /// Larger than the client takes.
    TooLarge,
    /// There is no room in the output now.
    NoRoom,
    /// The version can't say it.
    Wrong(EncodeError),
}
