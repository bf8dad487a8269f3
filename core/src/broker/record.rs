//! What must survive a crash, as small records: a key, and what is true of it from now on.

use crate::Instant;
use crate::types::QoS;

/// A change of what a broker must not forget.
///
/// Sessions, groups and messages are known by numbers that are never used again. A store keeps
/// records in their order and hands them back in that order; or it keeps the last of each key and
/// forgets what was ended, and hands back [`Record::Body`] first, then [`Record::Session`] and
/// [`Record::Group`], then the rest, with each session's [`Record::Queued`], [`Record::Sent`],
/// [`Record::Given`] and [`Record::Released`] in the order of their places. Of one place, the first
/// three stand beside each other, the last in place of all. What waits for a group is recorded as
/// what waits for a session is, under the group's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record<'a> {
    /// Everything before is to be forgotten; what is still true follows.
    Reset,
    /// A message: topic, forwarded properties as they are on the wire, payload.
    Body {
        /// Its number.
        body: u64,
        /// Its topic.
        topic: &'a [u8],
        /// Its properties.
        properties: &'a [u8],
        /// Its payload.
        payload: &'a [u8],
        /// When it is of no use any more.
        expires: Option<Instant>,
        /// Whose it is, as a number that is made from the client identifier; 0 for nobody.
        publisher: u64,
    },
    /// Nobody needs the message any more.
    BodyGone {
        /// Its number.
        body: u64,
    },
    /// A session that outlives its connection.
    Session {
        /// Its number.
        session: u64,
        /// Its client identifier.
        client_id: &'a [u8],
        /// The user that owns it; empty for nobody.
        user: &'a [u8],
        /// How long it outlives its connection, in seconds.
        expiry_secs: u32,
        /// When it ends, if it has no connection.
        ends: Option<Instant>,
    },
    /// A shared subscription's group of which a session is a member that outlives its connection.
    Group {
        /// Its number.
        group: u64,
        /// Its filter, `$share/group/` included.
        filter: &'a [u8],
    },
    /// The session ended, or the group, and all that belonged to it.
    SessionGone {
        /// Its number.
        session: u64,
    },
    /// A subscription, new or replaced.
    Subscription {
        /// Whose.
        session: u64,
        /// The filter, `$share/group/` included.
        filter: &'a [u8],
        /// Its options, as SUBSCRIBE has them.
        options: u8,
        /// Its subscription identifier; 0 for none.
        id: u32,
    },
    /// The subscription ended.
    SubscriptionGone {
        /// Whose.
        session: u64,
        /// The filter.
        filter: &'a [u8],
    },
    /// A message waits for a session, or for a group, at the QoS and with the RETAIN that it was
    /// published with.
    Queued {
        /// Which one.
        session: u64,
        /// Its place among all that ever waited there.
        place: u64,
        /// Which message.
        body: u64,
        /// At which QoS it is to be sent.
        qos: QoS,
        /// Whether with RETAIN.
        retain: bool,
        /// Its subscription identifiers, four bytes each.
        ids: &'a [u8],
    },
    /// It is sent, at QoS 2, under this packet identifier.
    Sent {
        /// Which session.
        session: u64,
        /// Its place.
        place: u64,
        /// The packet identifier.
        packet_id: u16,
    },
    /// Its PUBREC came: only PUBREL is owed.
    Released {
        /// Which session.
        session: u64,
        /// Its place.
        place: u64,
        /// The packet identifier.
        packet_id: u16,
    },
    /// It came through a group, and goes back to it unless the session completes it; at QoS 2 only
    /// as long as it was not sent.
    Given {
        /// Which session.
        session: u64,
        /// Its place.
        place: u64,
        /// Which group.
        group: u64,
        /// Its place there.
        at: u64,
        /// At which QoS it was published.
        qos: QoS,
        /// Whether with RETAIN.
        retain: bool,
    },
    /// It is over.
    Settled {
        /// Which session, or which group.
        session: u64,
        /// Its place.
        place: u64,
    },
    /// A QoS 2 message of the client's was taken over.
    Received {
        /// Which session.
        session: u64,
        /// The packet identifier.
        packet_id: u16,
    },
    /// The client released it.
    Forgotten {
        /// Which session.
        session: u64,
        /// The packet identifier.
        packet_id: u16,
    },
    /// The message is what its topic retains.
    Retained {
        /// Which message.
        body: u64,
        /// At which QoS it was published.
        qos: QoS,
    },
    /// The topic retains nothing any more.
    RetainedGone {
        /// The topic.
        topic: &'a [u8],
    },
    /// What is retained was sent to a session up to a topic, for one of its subscriptions.
    Cursor {
        /// Which session.
        session: u64,
        /// The filter of the subscription.
        filter: &'a [u8],
        /// Messages that got a number above this were sent as they came; 0 for one that counts
        /// anew.
        since: u64,
        /// The last topic; empty at the beginning.
        last: &'a [u8],
    },
    /// All of it was sent.
    CursorGone {
        /// Which session.
        session: u64,
        /// The filter of the subscription.
        filter: &'a [u8],
    },
    /// The will of a session's connection.
    Will {
        /// Which session.
        session: u64,
        /// The message.
        body: u64,
        /// At which QoS.
        qos: QoS,
        /// Whether it is retained.
        retain: bool,
        /// How long it waits once the connection is lost, in seconds.
        delay_secs: u32,
        /// Its message expiry interval.
        expiry_secs: Option<u32>,
        /// When it is due, if the connection is lost already.
        due: Option<Instant>,
    },
    /// There is no will (any more).
    WillGone {
        /// Which session.
        session: u64,
    },
}

/// Takes the bytes of a record in order.
pub(super) trait Put {
    fn put(&mut self, bytes: &[u8]);
}

/// Fields of a record, read from the front.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A moment; the last of all stands for none.
    pub(super) fn moment(&mut self) -> Option<Option<Instant>> {
        let moment = Instant::from_millis(self.u64()?);
        Some((moment != Instant::NEVER).then_some(moment))
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()? as usize;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn qos(&mut self) -> Option<QoS> {
        QoS::from_level(self.u8()?)
    }
}

pub(super) fn put_moment(out: &mut impl Put, moment: Option<Instant>) {
    out.put(&moment.unwrap_or(Instant::NEVER).as_millis().to_be_bytes());
}

pub(super) fn put_bytes(out: &mut impl Put, bytes: &[u8]) {
    out.put(&(bytes.len() as u32).to_be_bytes());
    out.put(bytes);
}

impl<'a> Record<'a> {
    /// The record as bytes, for a store.
    pub(super) fn put(&self, out: &mut impl Put) {
        out.put(&[self.kind()]);
        match *self {
            Self::Reset => {}
            Self::Body { body, topic, properties, payload, expires, publisher } => {
                out.put(&body.to_be_bytes());
                put_moment(out, expires);
                out.put(&publisher.to_be_bytes());
                put_bytes(out, topic);
                put_bytes(out, properties);
                put_bytes(out, payload);
            }
            Self::Session { session, client_id, user, expiry_secs, ends } => {
                out.put(&session.to_be_bytes());
                out.put(&expiry_secs.to_be_bytes());
                put_moment(out, ends);
                put_bytes(out, client_id);
                put_bytes(out, user);
            }
            Self::Subscription { session, filter, options, id } => {
                out.put(&session.to_be_bytes());
                out.put(&[options]);
                out.put(&id.to_be_bytes());
                put_bytes(out, filter);
            }
            Self::Cursor { session, filter, since, last } => {
                out.put(&session.to_be_bytes());
                out.put(&since.to_be_bytes());
                put_bytes(out, filter);
                put_bytes(out, last);
            }
            Self::Group { group: session, filter }
            | Self::SubscriptionGone { session, filter }
            | Self::CursorGone { session, filter } => {
                out.put(&session.to_be_bytes());
                put_bytes(out, filter);
            }
            Self::RetainedGone { topic } => put_bytes(out, topic),
            Self::Retained { body, qos } => {
                out.put(&body.to_be_bytes());
                out.put(&[qos.level()]);
            }
            Self::Will { session, body, qos, retain, delay_secs, expiry_secs, due } => {
                out.put(&session.to_be_bytes());
                out.put(&body.to_be_bytes());
                out.put(&[qos.level(), u8::from(retain), u8::from(expiry_secs.is_some())]);
                out.put(&delay_secs.to_be_bytes());
                out.put(&expiry_secs.unwrap_or_default().to_be_bytes());
                put_moment(out, due);
            }
            _ => self.write_delivery(out),
        }
    }

    /// The records of messages on their way.
    fn write_delivery(&self, out: &mut impl Put) {
        match *self {
            Self::BodyGone { body } => out.put(&body.to_be_bytes()),
            Self::SessionGone { session } | Self::WillGone { session } => {
                out.put(&session.to_be_bytes());
            }
            Self::Queued { session, place, body, qos, retain, ids } => {
                for number in [session, place, body] {
                    out.put(&number.to_be_bytes());
                }
                out.put(&[qos.level(), u8::from(retain)]);
                put_bytes(out, ids);
            }
            Self::Sent { session, place, packet_id }
            | Self::Released { session, place, packet_id } => {
                out.put(&session.to_be_bytes());
                out.put(&place.to_be_bytes());
                out.put(&packet_id.to_be_bytes());
            }
            Self::Given { session, place, group, at, qos, retain } => {
                for number in [session, place, group, at] {
                    out.put(&number.to_be_bytes());
                }
                out.put(&[qos.level(), u8::from(retain)]);
            }
            Self::Settled { session, place } => {
                out.put(&session.to_be_bytes());
                out.put(&place.to_be_bytes());
            }
            Self::Received { session, packet_id } | Self::Forgotten { session, packet_id } => {
                out.put(&session.to_be_bytes());
                out.put(&packet_id.to_be_bytes());
            }
            _ => {}
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Reset => 0,
            Self::Body { .. } => 1,
            Self::BodyGone { .. } => 2,
            Self::Session { .. } => 3,
            Self::SessionGone { .. } => 4,
            Self::Subscription { .. } => 5,
            Self::SubscriptionGone { .. } => 6,
            Self::Queued { .. } => 7,
            Self::Sent { .. } => 8,
            Self::Released { .. } => 9,
            Self::Settled { .. } => 10,
            Self::Received { .. } => 11,
            Self::Forgotten { .. } => 12,
            Self::Retained { .. } => 13,
            Self::RetainedGone { .. } => 14,
            Self::Will { .. } => 15,
            Self::WillGone { .. } => 16,
            Self::Cursor { .. } => 17,
            Self::CursorGone { .. } => 18,
            Self::Group { .. } => 19,
            Self::Given { .. } => 20,
        }
    }

    /// Reads a record from its bytes, all of them; `None` if they are none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let kind = fields.u8()?;
        let record = if kind == 0 { Self::Reset } else { Self::read_fields(kind, &mut fields)? };
        fields.0.is_empty().then_some(record)
    }

    fn read_fields(kind: u8, fields: &mut Fields<'a>) -> Option<Self> {
        if kind == 14 {
            return Some(Self::RetainedGone { topic: fields.bytes()? });
        }
        // Every other begins with the number of a session or of a message.
        let number = fields.u64()?;
        let (session, body) = (number, number);
        Some(match kind {
            1 => Self::Body {
                body,
                expires: fields.moment()?,
                publisher: fields.u64()?,
                topic: fields.bytes()?,
                properties: fields.bytes()?,
                payload: fields.bytes()?,
            },
            2 => Self::BodyGone { body },
            3 => Self::Session {
                session,
                expiry_secs: fields.u32()?,
                ends: fields.moment()?,
                client_id: fields.bytes()?,
                user: fields.bytes()?,
            },
            4 => Self::SessionGone { session },
            5 => Self::Subscription {
                session,
                options: fields.u8()?,
                id: fields.u32()?,
                filter: fields.bytes()?,
            },
            6 => Self::SubscriptionGone { session, filter: fields.bytes()? },
            13 => Self::Retained { body, qos: fields.qos()? },
            15 => {
                let (body, qos, retain) = (fields.u64()?, fields.qos()?, fields.flag()?);
                let (expires, delay_secs, secs) = (fields.flag()?, fields.u32()?, fields.u32()?);
                let (expiry_secs, due) = (expires.then_some(secs), fields.moment()?);
                Self::Will { session, body, qos, retain, delay_secs, expiry_secs, due }
            }
            16 => Self::WillGone { session },
            17 => {
                let since = fields.u64()?;
                Self::Cursor { session, since, filter: fields.bytes()?, last: fields.bytes()? }
            }
            18 => Self::CursorGone { session, filter: fields.bytes()? },
            19 => Self::Group { group: number, filter: fields.bytes()? },
            _ => return Self::read_delivery(kind, session, fields),
        })
    }

    fn read_delivery(kind: u8, session: u64, fields: &mut Fields<'a>) -> Option<Self> {
        if kind == 11 || kind == 12 {
            let packet_id = fields.u16()?;
            return Some(if kind == 11 {
                Self::Received { session, packet_id }
            } else {
                Self::Forgotten { session, packet_id }
            });
        }
        let place = fields.u64()?;
        Some(match kind {
            7 => Self::Queued {
                session,
                place,
                body: fields.u64()?,
                qos: fields.qos()?,
                retain: fields.flag()?,
                ids: fields.bytes()?,
            },
            8 => Self::Sent { session, place, packet_id: fields.u16()? },
            9 => Self::Released { session, place, packet_id: fields.u16()? },
            10 => Self::Settled { session, place },
            20 => Self::Given {
                session,
                place,
                group: fields.u64()?,
                at: fields.u64()?,
                qos: fields.qos()?,
                retain: fields.flag()?,
            },
            _ => return None,
        })
    }
}
