//! The host itself as a client: it publishes, and it subscribes, without a socket.
//!
//! [`Broker::post`] publishes a message. [`Broker::attach`] opens a connection that has no
//! transport: the same sessions, windows, queues and wills as any other, but its messages come out
//! of [`Broker::next_message`], and each above QoS 0 is settled by [`Broker::acknowledge`]. Who
//! does not ask is not sent more than its window and its output hold; the rest waits, as for any
//! client that is slow.
//!
//! ```
//! use tamtam_core::broker::{Acceptance, Broker, Options, Post};
//! use tamtam_core::{Connect, Heap, Instant, QoS, ReasonCode, Subscription};
//! use tamtam_core::{Text, TopicFilter, TopicName, Version};
//!
//! let now = Instant::from_millis(1);
//! let mut broker = Broker::<Heap>::new();
//! broker.start(&Options::DEFAULT, 7);
//! let hall = Connect::new(Version::V5, Text::new("hall")?);
//! let hall = broker.attach(&hall, Acceptance::default(), now).expect("nothing is against it");
//! let lights = Subscription::new(TopicFilter::new("light/#")?).qos(QoS::ExactlyOnce);
//! broker.subscribe_attached(hall, &lights, 0, now);
//!
//! let on = Post { qos: QoS::AtLeastOnce, ..Post::new(TopicName::new("light/7")?, b"on") };
//! assert_eq!(broker.post(&on, now).reason, ReasonCode::Success);
//!
//! let message = broker.next_message(hall, now).expect("it was wanted");
//! assert_eq!(message.payload, b"on");
//! let packet_id = message.delivery.packet_id().expect("it is at QoS 1");
//! broker.acknowledge(hall, packet_id, ReasonCode::Success, now)?;
//! assert!(broker.next_message(hall, now).is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::body::Content;
use super::counters::DropReason;
use super::durability::Durability;
use super::event::Event;
use super::journal::Ticket;
use super::link::{LinkId, Phase};
use super::publisher::Publisher;
use super::router::Routed;
use super::will::forwarded;
use super::{Acceptance, Broker, Ended};
use crate::Instant;
use crate::codec::{Ack, Connect, Packet, Properties, Publish, Sender, Subscription};
use crate::flow::send::Seen;
use crate::storage::{Full, Storage};
use crate::types::{PacketId, QoS, ReasonCode, Text, TopicFilter, TopicName};

/// A message that the host publishes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Post<'a> {
    /// Its topic. Those of the broker's own, below `$SYS/`, are allowed.
    pub topic: TopicName<'a>,
    /// What it says.
    pub payload: &'a [u8],
    /// At which QoS: the highest at which anybody gets it.
    pub qos: QoS,
    /// Whether the topic retains it.
    pub retain: bool,
    /// Those of a PUBLISH. Topic alias and subscription identifiers mean nothing here.
    pub properties: Properties<'a>,
    /// The client identifier that counts as its publisher, where a subscription does not want what
    /// it published itself (No Local); empty for nobody.
    pub publisher: &'a str,
}

impl<'a> Post<'a> {
    /// A message at QoS 0 that is not retained, of nobody.
    #[must_use]
    pub const fn new(topic: TopicName<'a>, payload: &'a [u8]) -> Self {
        let (qos, retain, properties) = (QoS::AtMostOnce, false, Properties::EMPTY);
        Self { topic, payload, qos, retain, properties, publisher: "" }
    }
}

/// What became of something that the host asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// As the acknowledgement of a client would have it.
    pub reason: ReasonCode,
    /// What the store has to keep before it counts, if there is a store that has to: see
    /// [`Broker::take_records`]. After [`Broker::handle_persist_failed`] it never does.
    pub ticket: Option<Ticket>,
}

impl Outcome {
    const fn only(reason: ReasonCode) -> Self {
        Self { reason, ticket: None }
    }
}

/// The highest subscription identifier.
const MOST_ID: u32 = 268_435_455;

/// What comes next out of an attached connection, and how many bytes it has there.
enum Front {
    Message(usize),
    Release(PacketId, usize),
    /// An answer, which its call has told already.
    Answer(usize),
}

impl<S: Storage> Broker<S> {
    /// Publishes a message of the host's, who may do what rule sets and options forbid clients.
    ///
    /// The reason is [`ReasonCode::Success`] or [`ReasonCode::NoMatchingSubscribers`]; or nobody
    /// got it: there was no room, or the store has failed ([`ReasonCode::QuotaExceeded`]), or the
    /// topic has more levels than there may be ([`ReasonCode::TopicNameInvalid`]).
    pub fn post(&mut self, post: &Post<'_>, now: Instant) -> Outcome {
        self.now = self.now.max(now);
        if let Err(reason) = self.check_post(post) {
            return Outcome::only(reason);
        }
        let mark = self.journal.mark();
        let class = self.class_of(0, post.topic.as_bytes());
        self.revocable = post.qos == QoS::ExactlyOnce && class == Durability::Durable;
        self.journal.relax(class != Durability::Durable);
        let routed = self.route_post(post, class);
        self.journal.relax(false);
        self.revocable = false;
        let ticket = match class {
            Durability::Durable => self.outcome_since(mark),
            Durability::Relaxed | Durability::Memory => None,
        };
        self.check_journal();
        let reason = match routed {
            Routed::Wanted => ReasonCode::Success,
            Routed::Nobody => ReasonCode::NoMatchingSubscribers,
            Routed::NoRoom => ReasonCode::QuotaExceeded,
        };
        Outcome { reason, ticket }
    }

    fn check_post(&self, post: &Post<'_>) -> Result<(), ReasonCode> {
        let class = self.class_of(0, post.topic.as_bytes());
        let recorded = post.qos != QoS::AtMostOnce && class != Durability::Memory;
        if self.journal.failed && recorded {
            return Err(ReasonCode::QuotaExceeded);
        }
        if post.topic.levels() > self.options.levels {
            return Err(ReasonCode::TopicNameInvalid);
        }
        Ok(())
    }

    fn route_post(&mut self, post: &Post<'_>, class: Durability) -> Routed {
        #[cfg(feature = "v5")]
        let expiry = post.properties.message_expiry_interval();
        #[cfg(not(feature = "v5"))]
        let expiry: Option<u32> = None;
        let expires = expiry.map(|secs| self.now.plus_secs(secs));
        let publisher = Publisher::of(post.publisher.as_bytes());
        let mut scratch = self.take_scratch();
        let routed = match forwarded(&post.properties, &mut scratch) {
            Ok(properties) => {
                let (topic, payload) = (post.topic.as_bytes(), post.payload);
                let fleeting = class == Durability::Memory;
                let content = Content { topic, properties, payload, expires, publisher, fleeting };
                self.route(&content, post.qos, post.retain)
            }
            Err(Full) => {
                let topic = post.topic.as_bytes();
                self.drop_copy(DropReason::Memory, None, post.qos, topic);
                Routed::NoRoom
            }
        };
        self.put_scratch(scratch);
        routed
    }

    fn outcome_since(&mut self, mark: u32) -> Option<Ticket> {
        match self.ticket_since(mark) {
            0 => None,
            ticket => Some(Ticket(ticket)),
        }
    }

    /// A client without a transport connects: the host itself, or what it speaks for. All that a
    /// CONNECT can say holds, but the keep alive and topic aliases; nobody is asked about it.
    ///
    /// Whether it goes on with a session, [`Event::Connected`] tells, which with peers may come
    /// later (until then it can do nothing), and [`Event::Disconnected`]
    /// that it was taken over or ended by somebody else. After [`Event::Close`], and whenever the
    /// host is done with it, it is to be ended by [`Broker::leave`] or [`Broker::handle_close`].
    ///
    /// # Errors
    /// What the CONNACK would have said. Then there is no connection.
    pub fn attach(
        &mut self,
        connect: &Connect<'_>,
        how: Acceptance<'_>,
        now: Instant,
    ) -> Result<LinkId, ReasonCode> {
        let limits = how.limits.map_or(0, |limits| self.limits_at(limits));
        self.check_connect(limits, connect)?;
        let user = how.user.or(connect.user_name).map_or(&[][..], Text::as_bytes);
        let client_id = how.client_id.unwrap_or(connect.client_id);
        if !how.take_over && !self.owns(user, client_id.as_bytes()) {
            return Err(ReasonCode::NotAuthorized);
        }
        let id = self.open(now).map_err(|Full| ReasonCode::QuotaExceeded)?;
        if let Some(link) = self.link_mut(id) {
            link.attached = true;
        }
        self.note_connect(id, connect);
        if self.claim_attached(id, connect, &how) {
            return Ok(id);
        }
        let _ = self.accept(id, connect, &how, None);
        if self.link(id).is_some_and(|link| link.phase == Phase::Open) {
            return Ok(id);
        }
        self.handle_close(id, now);
        Err(ReasonCode::QuotaExceeded) // the only thing that can be against it by now
    }

    /// An attached client says goodbye: its will is not published. Its session stays, if it
    /// outlives connections.
    pub fn leave(&mut self, id: LinkId, now: Instant) {
        self.now = self.now.max(now);
        if let Some(session) = self.link_mut(id).and_then(|link| link.session.take()) {
            self.detach(session, false);
            self.tell(Event::Disconnected { link: id, why: Ended::Disconnected });
        }
        self.handle_close(id, now);
    }

    /// An attached client subscribes. The reason is the QoS that was granted, or why it was not;
    /// retained messages come as the subscription asks. The subscription identifier, of at most
    /// 268,435,455, comes with each of its messages in MQTT 5; 0 for none.
    pub fn subscribe_attached(
        &mut self,
        id: LinkId,
        wanted: &Subscription<'_>,
        identifier: u32,
        now: Instant,
    ) -> Outcome {
        self.now = self.now.max(now);
        let Some((_, session)) = self.open_session(id) else {
            return Outcome::only(ReasonCode::UnspecifiedError);
        };
        let mark = self.journal.mark();
        let (reason, fresh) = self.subscribe(session, wanted, identifier.min(MOST_ID));
        let ticket = self.outcome_since(mark);
        if fresh.wants_retained(wanted) {
            self.send_retained(session, wanted.filter);
        }
        self.check_journal();
        Outcome { reason, ticket }
    }

    /// An attached client unsubscribes: from exactly this filter, letter by letter.
    pub fn unsubscribe_attached(
        &mut self,
        id: LinkId,
        filter: TopicFilter<'_>,
        now: Instant,
    ) -> Outcome {
        self.now = self.now.max(now);
        let Some((_, session)) = self.open_session(id) else {
            return Outcome::only(ReasonCode::UnspecifiedError);
        };
        let mark = self.journal.mark();
        let reason = self.unsubscribe(session, filter);
        let ticket = self.outcome_since(mark);
        self.check_journal();
        Outcome { reason, ticket }
    }

    /// The next message of an attached client; `None` if there is none now. It is gone from here
    /// with the next call, but one above QoS 0 stays with the session until it is acknowledged, and
    /// comes again on a later connection, with DUP, if it never was.
    #[must_use]
    pub fn next_message(&mut self, id: LinkId, now: Instant) -> Option<Publish<'_>> {
        self.now = self.now.max(now);
        let taken = core::mem::take(&mut self.link_mut(id).filter(|link| link.attached)?.taken);
        if taken != 0 {
            self.output_written(id, taken as usize, now);
        }
        loop {
            match self.front(id)? {
                Front::Message(len) => {
                    self.link_mut(id)?.taken = u32::try_from(len).ok()?;
                    break;
                }
                Front::Release(packet_id, len) => {
                    self.output_written(id, len, now);
                    let (_, session) = self.open_session(id)?;
                    self.handle_pubcomp(id, session, &Ack::new(packet_id));
                }
                Front::Answer(len) => self.output_written(id, len, now),
            }
        }
        let link = self.link(id)?;
        match Packet::decode(&mut link.output(), link.version, Sender::Server) {
            Ok(Some(Packet::Publish(publish))) => Some(publish),
            _ => None,
        }
    }

    fn front(&self, id: LinkId) -> Option<Front> {
        let link = self.link(id)?;
        let mut rest = link.output();
        let all = rest.len();
        let packet = Packet::decode(&mut rest, link.version, Sender::Server).ok()??;
        let len = all.saturating_sub(rest.len());
        Some(match packet {
            Packet::Publish(_) => Front::Message(len),
            Packet::PubRel(ack) => Front::Release(ack.packet_id, len),
            _ => Front::Answer(len),
        })
    }

    /// An attached client has taken over the message with this identifier, or, with a reason of
    /// 0x80 or above, will not have it: then it is discarded. One that it does not have is ignored.
    ///
    /// At QoS 2 the rest of the exchange happens by itself while [`Broker::next_message`] is asked.
    ///
    /// # Errors
    /// [`Full`]: too much waits to be asked for, or for the store. Nothing has changed.
    pub fn acknowledge(
        &mut self,
        id: LinkId,
        packet_id: PacketId,
        reason: ReasonCode,
        now: Instant,
    ) -> Result<(), Full> {
        self.now = self.now.max(now);
        let Some((_, session)) = self.open_session(id) else { return Ok(()) };
        if !self.has_answer_room(id, 0) || !self.has_gate_room(id) {
            return Err(Full);
        }
        let delivery = self.session_mut(session).and_then(|state| {
            let place = state.outgoing.place_of(packet_id)?;
            state.outgoing.at_place(place).copied()
        });
        let ack = Ack::with_reason(packet_id, reason);
        match delivery.map(|delivery| delivery.qos) {
            Some(QoS::AtLeastOnce) => self.settle(id, session, Seen::PubAck, &ack),
            // One that was acknowledged before is past that.
            Some(QoS::ExactlyOnce) if delivery.is_some_and(|one| one.holds_body()) => {
                self.handle_pubrec(id, session, &ack);
            }
            _ => {}
        }
        self.check_journal();
        Ok(())
    }
}
