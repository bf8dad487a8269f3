//! What brokers say to each other.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::PeerId;
use super::moving::Passed;
use crate::Instant;
use crate::broker::publisher::Publisher;
use crate::broker::record::{Fields, Put, put_bytes, put_moment};
use crate::types::QoS;

/// Something that a broker says to a peer: a value to be sent to another thread, or to be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerMessage(pub(super) Message);

/// When something was decided, and by whom; later ones win.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    pub(super) clock: u64,
    pub(super) peer: u32,
}

impl Stamp {
    /// Of a message that was published with RETAIN and now goes to groups alone: what its topic
    /// retains is known.
    pub(super) const KNOWN: Self = Self { clock: 0, peer: u32::MAX };
}

/// A message that a peer's clients want, or a change of what is retained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forward {
    /// What it is to be confirmed by; 0 if it is not.
    pub(super) ticket: u64,
    /// Its number among all that this broker forwarded in this life; 0 for a retained message that
    /// was published before.
    pub(super) seq: u64,
    pub(super) publisher: Publisher,
    /// The shared subscriptions of which a member there is to get it.
    pub(super) groups: Vec<Vec<u8>>,
    /// Whether all others that want it there get it.
    pub(super) live: bool,
    /// When it was retained, if it is.
    pub(super) retain: Option<Stamp>,
    pub(super) qos: QoS,
    pub(super) expires: Option<Instant>,
    pub(super) topic: Vec<u8>,
    pub(super) properties: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

/// A copy of a message for one session, that was sent to where it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Late {
    pub(super) client_id: Vec<u8>,
    /// Whose message it is; its number is that of the content.
    pub(super) origin: PeerId,
    /// By which claim it moved.
    pub(super) since: Stamp,
    /// Its subscription identifiers, four bytes each.
    pub(super) ids: Vec<u8>,
    pub(super) retain: bool,
    /// Whether it comes through a group.
    pub(super) shared: bool,
    pub(super) content: Forward,
}

/// A client that connects to the broker that says so: whoever has its session gives it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(super) client_id: Vec<u8>,
    /// As whom it connects, and whether it gets the session of anybody.
    pub(super) user: Vec<u8>,
    pub(super) of_anybody: bool,
    pub(super) epoch: Stamp,
    pub(super) clean: bool,
    /// Whether the client can come to where the session is.
    pub(super) comes: bool,
    pub(super) ticket: u64,
}

impl Wanted {
    /// Whether it takes over what the same client wants elsewhere, or gets.
    pub(super) fn overrules(&self, other: &Self) -> bool {
        self.epoch > other.epoch && self.is_owner(&other.user)
    }

    /// Whether it gets a session of this user.
    pub(super) fn is_owner(&self, user: &[u8]) -> bool {
        self.of_anybody || self.user == user
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// The first one: which life of the broker this is.
    Hello {
        life: u64,
        clock: u64,
    },
    /// How many sessions want what a filter matches; for one that is not shared, none or some.
    Interest {
        filter: Vec<u8>,
        online: u32,
        offline: u32,
        ticket: u64,
    },
    /// All filters and sessions were told: there are no others.
    Ready,
    Forward(Box<Forward>),
    /// A message is kept here, an interest is known, a session is here. The groups that have no
    /// member here any more.
    Accepted {
        ticket: u64,
        unserved: Vec<Vec<u8>>,
    },
    Claim(Box<Wanted>),
    /// The answer: all that belongs to the session, and since when it was there; or nothing, if
    /// there is none.
    Owned {
        client_id: Vec<u8>,
        epoch: Stamp,
        /// Up to which number messages of each broker had come there: they are among the records.
        seen: Vec<(PeerId, u64)>,
        /// What it has got of the retained messages that it is still to get.
        passed: Vec<Passed>,
        records: Vec<u8>,
        ticket: u64,
        confirm: u64,
    },
    /// The answer to a claim whose client can come: the session is here, and stays.
    Here {
        client_id: Vec<u8>,
        ticket: u64,
    },
    /// The answer to a claim that another one, later or of somebody higher, overrules; or of whom
    /// the session is not.
    Lost {
        client_id: Vec<u8>,
        ticket: u64,
        denied: bool,
    },
    /// A session came here from a peer, by this claim, and gets its messages here; the ghost of it
    /// confirms that it is gone by a number of its own.
    Moved {
        client_id: Vec<u8>,
        since: Stamp,
        from: PeerId,
        ticket: u64,
        done: u64,
        /// Who was told so.
        asked: Vec<PeerId>,
    },
    /// One who was told that a session moved is lost, and not to be waited for.
    Excused {
        client_id: Vec<u8>,
        since: Stamp,
        peer: PeerId,
    },
    /// Whoever says it sends a session that moved by this claim its messages itself from now on.
    Passed {
        client_id: Vec<u8>,
        since: Stamp,
    },
    /// What the ghost of a session got for it.
    Late(Box<Late>),
    /// A session that was given up for this claim is not needed: there is one that holds.
    Discard {
        client_id: Vec<u8>,
        since: Stamp,
    },
    /// A session is here since then.
    Owns {
        client_id: Vec<u8>,
        epoch: Stamp,
    },
}

impl Message {
    /// What it takes while it waits, in bytes.
    pub(super) fn cost(&self) -> usize {
        64_usize.saturating_add(match self {
            Self::Forward(forward) => forward.cost(),
            Self::Late(late) => late.content.cost(),
            Self::Owned { records, .. } => records.len(),
            Self::Claim(wanted) => wanted.client_id.len().saturating_add(wanted.user.len()),
            _ => 0,
        })
    }
}

impl Late {
    /// Which message it is, wherever it comes from; none, if it is not numbered.
    pub(super) fn key(&self) -> Option<(PeerId, u64)> {
        (self.content.seq != 0).then_some((self.origin, self.content.seq))
    }
}

impl Forward {
    pub(super) fn cost(&self) -> usize {
        let parts = [&self.topic, &self.properties, &self.payload];
        parts.iter().fold(64, |sum, part| sum.saturating_add(part.len()))
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

fn put_stamp(out: &mut Vec<u8>, stamp: Stamp) {
    out.put(&stamp.clock.to_be_bytes());
    out.put(&stamp.peer.to_be_bytes());
}

fn stamp(fields: &mut Fields<'_>) -> Option<Stamp> {
    Some(Stamp { clock: fields.u64()?, peer: fields.u32()? })
}

fn vec(fields: &mut Fields<'_>) -> Option<Vec<u8>> {
    fields.bytes().map(Into::into)
}

fn put_all(out: &mut Vec<u8>, list: &[Vec<u8>]) {
    out.put(&(list.len() as u32).to_be_bytes());
    for one in list {
        put_bytes(out, one);
    }
}

fn all(fields: &mut Fields<'_>) -> Option<Vec<Vec<u8>>> {
    let mut list = Vec::new();
    for _ in 0..fields.u32()? {
        list.push(vec(fields)?);
    }
    Some(list)
}

impl PeerMessage {
    /// Appends the message as bytes, for a network. They do not tell their own length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Message::Hello { life, clock } => {
                out.push(0);
                out.put(&life.to_be_bytes());
                out.put(&clock.to_be_bytes());
            }
            Message::Interest { filter, online, offline, ticket } => {
                out.push(1);
                out.put(&online.to_be_bytes());
                out.put(&offline.to_be_bytes());
                out.put(&ticket.to_be_bytes());
                put_bytes(out, filter);
            }
            Message::Ready => out.push(2),
            Message::Forward(forward) => {
                out.push(3);
                forward.encode(out);
            }
            Message::Accepted { ticket, unserved } => {
                out.push(4);
                out.put(&ticket.to_be_bytes());
                put_all(out, unserved);
            }
            Message::Claim(wanted) => {
                out.push(5);
                wanted.encode(out);
            }
            Message::Owned { client_id, epoch, seen, passed, records, ticket, confirm } => {
                out.push(6);
                put_stamp(out, *epoch);
                out.put(&(seen.len() as u32).to_be_bytes());
                for (origin, seq) in seen {
                    out.put(&origin.0.to_be_bytes());
                    out.put(&seq.to_be_bytes());
                }
                out.put(&(passed.len() as u32).to_be_bytes());
                for (filter, topic) in passed {
                    put_bytes(out, filter);
                    put_bytes(out, topic);
                }
                out.put(&ticket.to_be_bytes());
                out.put(&confirm.to_be_bytes());
                put_bytes(out, client_id);
                put_bytes(out, records);
            }
            Message::Here { client_id, ticket } => {
                out.push(14);
                out.put(&ticket.to_be_bytes());
                put_bytes(out, client_id);
            }
            Message::Lost { client_id, ticket, denied } => {
                out.push(7);
                out.put(&ticket.to_be_bytes());
                out.push(u8::from(*denied));
                put_bytes(out, client_id);
            }
            Message::Moved { .. }
            | Message::Excused { .. }
            | Message::Passed { .. }
            | Message::Discard { .. }
            | Message::Late(_) => self.0.encode_move(out),
            Message::Owns { client_id, epoch } => {
                out.push(8);
                put_stamp(out, *epoch);
                put_bytes(out, client_id);
            }
        }
    }

    /// Reads a message from its bytes, all of them; `None` if they are none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let message = Message::decode(&mut fields)?;
        fields.0.is_empty().then_some(Self(message))
    }
}

impl Message {
    /// What is said while a session moves.
    fn encode_move(&self, out: &mut Vec<u8>) {
        match self {
            Self::Moved { client_id, since, from, ticket, done, asked } => {
                out.push(9);
                put_stamp(out, *since);
                out.put(&from.0.to_be_bytes());
                out.put(&ticket.to_be_bytes());
                out.put(&done.to_be_bytes());
                out.put(&(asked.len() as u32).to_be_bytes());
                for peer in asked {
                    out.put(&peer.0.to_be_bytes());
                }
                put_bytes(out, client_id);
            }
            Self::Excused { client_id, since, peer } => {
                out.push(12);
                put_stamp(out, *since);
                out.put(&peer.0.to_be_bytes());
                put_bytes(out, client_id);
            }
            Self::Passed { client_id, since } => {
                out.push(10);
                put_stamp(out, *since);
                put_bytes(out, client_id);
            }
            Self::Discard { client_id, since } => {
                out.push(13);
                put_stamp(out, *since);
                put_bytes(out, client_id);
            }
            Self::Late(late) => {
                out.push(11);
                out.put(&late.origin.0.to_be_bytes());
                out.put(&[u8::from(late.retain), u8::from(late.shared)]);
                put_stamp(out, late.since);
                put_bytes(out, &late.client_id);
                put_bytes(out, &late.ids);
                late.content.encode(out);
            }
            _ => {}
        }
    }
}

impl Message {
    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        Some(match fields.u8()? {
            0 => Self::Hello { life: fields.u64()?, clock: fields.u64()? },
            1 => {
                let (online, offline, ticket) = (fields.u32()?, fields.u32()?, fields.u64()?);
                Self::Interest { filter: vec(fields)?, online, offline, ticket }
            }
            2 => Self::Ready,
            3 => Self::Forward(Box::new(Forward::decode(fields)?)),
            4 => Self::Accepted { ticket: fields.u64()?, unserved: all(fields)? },
            5 => Self::Claim(Box::new(Wanted::decode(fields)?)),
            6 => {
                let epoch = stamp(fields)?;
                let mut seen = Vec::new();
                for _ in 0..fields.u32()? {
                    seen.push((PeerId(fields.u32()?), fields.u64()?));
                }
                let mut passed = Vec::new();
                for _ in 0..fields.u32()? {
                    passed.push((vec(fields)?, vec(fields)?));
                }
                let (ticket, confirm) = (fields.u64()?, fields.u64()?);
                let (client_id, records) = (vec(fields)?, vec(fields)?);
                Self::Owned { client_id, epoch, seen, passed, records, ticket, confirm }
            }
            7 => {
                let (ticket, denied) = (fields.u64()?, fields.flag()?);
                Self::Lost { client_id: vec(fields)?, ticket, denied }
            }
            8 => {
                let epoch = stamp(fields)?;
                Self::Owns { client_id: vec(fields)?, epoch }
            }
            9 => {
                let (since, from) = (stamp(fields)?, PeerId(fields.u32()?));
                let (ticket, done) = (fields.u64()?, fields.u64()?);
                let mut asked = Vec::new();
                for _ in 0..fields.u32()? {
                    asked.push(PeerId(fields.u32()?));
                }
                Self::Moved { client_id: vec(fields)?, since, from, ticket, done, asked }
            }
            12 => {
                let (since, peer) = (stamp(fields)?, PeerId(fields.u32()?));
                Self::Excused { client_id: vec(fields)?, since, peer }
            }
            10 => {
                let since = stamp(fields)?;
                Self::Passed { client_id: vec(fields)?, since }
            }
            11 => {
                let origin = PeerId(fields.u32()?);
                let (retain, shared) = (fields.flag()?, fields.flag()?);
                let since = stamp(fields)?;
                let (client_id, ids) = (vec(fields)?, vec(fields)?);
                let content = Forward::decode(fields)?;
                let late = Late { client_id, origin, since, ids, retain, shared, content };
                Self::Late(Box::new(late))
            }
            14 => {
                let ticket = fields.u64()?;
                Self::Here { client_id: vec(fields)?, ticket }
            }
            13 => {
                let since = stamp(fields)?;
                Self::Discard { client_id: vec(fields)?, since }
            }
            _ => return None,
        })
    }
}

impl Wanted {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(&self.ticket.to_be_bytes());
        put_stamp(out, self.epoch);
        out.put(&[self.clean, self.of_anybody, self.comes].map(u8::from));
        put_bytes(out, &self.client_id);
        put_bytes(out, &self.user);
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let (ticket, epoch) = (fields.u64()?, stamp(fields)?);
        let (clean, of_anybody, comes) = (fields.flag()?, fields.flag()?, fields.flag()?);
        let (client_id, user) = (vec(fields)?, vec(fields)?);
        Some(Self { client_id, user, of_anybody, epoch, clean, comes, ticket })
    }
}

impl Forward {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(&self.ticket.to_be_bytes());
        out.put(&self.seq.to_be_bytes());
        out.push(u8::from(self.live));
        out.push(self.qos.level());
        out.push(u8::from(self.retain.is_some()));
        put_stamp(out, self.retain.unwrap_or_default());
        put_moment(out, self.expires);
        out.put(&self.publisher.0.to_be_bytes());
        for part in [&self.topic, &self.properties, &self.payload] {
            put_bytes(out, part);
        }
        put_all(out, &self.groups);
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let (ticket, seq, live) = (fields.u64()?, fields.u64()?, fields.flag()?);
        let (qos, retained, when) = (fields.qos()?, fields.flag()?, stamp(fields)?);
        let (retain, expires) = (retained.then_some(when), fields.moment()?);
        let (publisher, topic) = (Publisher(fields.u64()?), vec(fields)?);
        let (properties, payload) = (vec(fields)?, vec(fields)?);
        let groups = all(fields)?;
        Some(Self {
            ticket,
            seq,
            publisher,
            groups,
            live,
            retain,
            qos,
            expires,
            topic,
            properties,
            payload,
        })
    }
}
