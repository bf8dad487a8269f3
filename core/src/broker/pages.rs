//! What an administrator sees, page by page: connections, sessions, subscriptions, retained
//! messages, and what waits for a session.
//!
//! A [`Page`] remembers a place and nothing else, so the broker may go on between two calls for as
//! long as it likes: what comes and goes meanwhile is shown or not, and everything else once. A
//! call costs as much as what it shows, and a look at each free place in between.

use super::Broker;
use super::link::{LinkId, Phase};
use super::retained::unpack;
use super::session::{Session, SessionId};
use super::topic_tree::TopicId;
use crate::Instant;
use crate::codec::Subscription as Wanted;
use crate::storage::{Arena, Pool, Storage};
use crate::types::{PacketId, QoS, TopicFilter, Version};

/// A session, as an administrator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo<'a> {
    /// Its client identifier.
    pub client_id: &'a [u8],
    /// The user that owns it; empty for nobody.
    pub user_name: &'a [u8],
    /// Its connection, if it has one.
    pub link: Option<LinkId>,
    /// How long it outlives a connection, in seconds.
    pub expiry_secs: u32,
    /// When it ends, if it has no connection and is to end.
    pub ends: Option<Instant>,
    /// How many subscriptions it has.
    pub subscriptions: u32,
    /// How many messages are on their way to it, waiting ones included.
    pub queued: usize,
    /// Whether a will waits for its connection to be lost, or for its delay.
    pub has_will: bool,
}

/// A connection, as an administrator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkInfo<'a> {
    /// Which one.
    pub link: LinkId,
    /// The client identifier; empty until the client is accepted, and once it is to be closed.
    pub client_id: &'a [u8],
    /// The user that owns the session; empty for nobody.
    pub user_name: &'a [u8],
    /// Which version of MQTT it speaks, once that is known.
    pub version: Option<Version>,
    /// Whether it is of the host itself: [`Broker::attach`].
    pub attached: bool,
    /// When something last came.
    pub heard: Instant,
    /// How long it may be silent, in milliseconds: one and a half times the keep alive; 0 for any
    /// time.
    pub patience_ms: u64,
    /// How many bytes wait to be written.
    pub output: usize,
    /// How many messages above QoS 0 are on their way to it, and how many may be.
    pub in_flight: u16,
    /// See [`in_flight`](Self::in_flight).
    pub window: u16,
    /// Whether its input is not taken for now: it does not read, or the store or the host is to
    /// answer first.
    pub blocked: bool,
}

/// A subscription, as an administrator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionInfo<'a> {
    /// Whose it is: the client identifier.
    pub client_id: &'a [u8],
    /// Its filter, `$share/group/` included, and its options.
    pub wanted: Wanted<'a>,
    /// The subscription identifier; 0 for none.
    pub identifier: u32,
}

/// A retained message, as an administrator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetainedInfo<'a> {
    /// Its topic.
    pub topic: &'a [u8],
    /// Its payload.
    pub payload: &'a [u8],
    /// The QoS that it was published at.
    pub qos: QoS,
    /// When it is of no use any more.
    pub expires: Option<Instant>,
}

/// A message on its way to a session, as an administrator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueuedInfo<'a> {
    /// Its topic; empty if the client has the message already, and only the end of the exchange is
    /// awaited.
    pub topic: &'a [u8],
    /// How many bytes its payload has.
    pub bytes: usize,
    /// The QoS that it is sent at.
    pub qos: QoS,
    /// Whether it is sent as a retained message.
    pub retain: bool,
    /// Its packet identifier, once it has one.
    pub packet_id: Option<PacketId>,
    /// Whether it was sent, on this connection or an earlier one.
    pub sent: bool,
    /// When it is of no use any more.
    pub expires: Option<Instant>,
}

/// Where a page begins: the first one at [`Page::FIRST`], the next one where the last one ended.
///
/// A page is of one thing: of sessions, say, or of the queue of one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The first place that was not shown.
    at: u64,
    /// The identifier of the message that was shown last, if it had one.
    packet_id: u16,
}

impl Page {
    /// The first page.
    pub const FIRST: Self = Self { at: 0, packet_id: 0 };

    /// The next place below `end` for which there is something; the page moves behind it.
    fn next<T>(&mut self, end: usize, mut show: impl FnMut(u32) -> Option<T>) -> Option<T> {
        while self.at < end as u64 {
            let at = u32::try_from(self.at).ok()?;
            self.at = self.at.saturating_add(1);
            if let Some(shown) = show(at) {
                return Some(shown);
            }
        }
        None
    }
}

impl<S: Storage> Broker<S> {
    /// The next connection from `page` on, which moves behind it; `None` when all were shown. Those
    /// are among them whose clients have not been accepted yet.
    #[must_use]
    pub fn next_link(&self, page: &mut Page) -> Option<LinkInfo<'_>> {
        page.next(self.links.slots(), |slot| {
            let link = self.links.get(slot)?;
            let session = link.session.and_then(|id| self.session(id));
            let (client_id, user_name) =
                session.map_or((&[][..], &[][..]), |one| self.names_of(one));
            Some(LinkInfo {
                link: LinkId { slot, serial: link.serial },
                client_id,
                user_name,
                version: (link.phase != Phase::Silent).then_some(link.version),
                attached: link.attached,
                heard: link.heard,
                patience_ms: u64::from(link.patience_ms),
                output: link.pending(),
                in_flight: link.quota.limit().saturating_sub(link.quota.free()),
                window: link.quota.limit(),
                blocked: link.blocked,
            })
        })
    }

    /// The next session from `page` on, which moves behind it; `None` when all were shown.
    ///
    /// ```
    /// use tamtam_core::broker::{Broker, Options, Page};
    /// use tamtam_core::{Connect, Heap, Instant, Text, Version};
    ///
    /// let (mut broker, now) = (Broker::<Heap>::new(), Instant::from_millis(1));
    /// broker.start(&Options::DEFAULT, 7);
    /// for name in ["hall", "attic"] {
    ///     let connect = Connect::new(Version::V5, Text::new(name)?);
    ///     broker.attach(&connect, Default::default(), now).expect("nothing is against it");
    /// }
    /// let mut page = Page::FIRST;
    /// assert_eq!(broker.next_session(&mut page).expect("the first").client_id, b"hall");
    /// assert_eq!(broker.next_session(&mut page).expect("the second").client_id, b"attic");
    /// assert!(broker.next_session(&mut page).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn next_session(&self, page: &mut Page) -> Option<SessionInfo<'_>> {
        page.next(self.sessions.slots(), |slot| {
            let serial = self.sessions.get(slot)?.serial;
            self.session_info(SessionId { slot, serial })
        })
    }

    /// The next subscription of any session from `page` on, which moves behind it; `None` when all
    /// were shown. Its filter is written into `buffer`; one that is longer than that is passed
    /// over.
    #[must_use]
    pub fn next_subscription<'a>(
        &'a self,
        page: &mut Page,
        buffer: &'a mut [u8],
    ) -> Option<SubscriptionInfo<'a>> {
        let (slot, start) = page.next(self.subscriptions.slots(), |slot| {
            Some((slot, self.write_filter(slot, buffer)?))
        })?;
        let subscription = self.subscriptions.get(slot)?;
        let session = self.session(subscription.session);
        let filter = TopicFilter::trusted(buffer.get(start..).unwrap_or_default());
        Some(SubscriptionInfo {
            client_id: session.map_or(&[][..], |session| self.names.get(session.name)),
            wanted: Wanted::from_options(filter, subscription.options()).ok()?,
            identifier: subscription.id,
        })
    }

    /// The next retained message from `page` on, which moves behind it; `None` when all were shown.
    #[must_use]
    pub fn next_retained(&self, page: &mut Page) -> Option<RetainedInfo<'_>> {
        page.next(self.retained.slots(), |slot| {
            let (body, qos) = unpack(self.retained.value(TopicId::at(slot)))?;
            let content = self.bodies.get(body)?;
            if content.is_expired(self.now) {
                return None; // nobody gets it
            }
            let (topic, payload, expires) = (content.topic, content.payload, content.expires);
            Some(RetainedInfo { topic, payload, qos, expires })
        })
    }

    /// The next message on its way to a client from `page` on, which moves behind it, in the order
    /// in which they are sent; `None` when all were shown, or there is no such session.
    #[must_use]
    pub fn next_queued(&self, client_id: &str, page: &mut Page) -> Option<QueuedInfo<'_>> {
        let id = self.find_session(client_id.as_bytes())?;
        let (delivery, place) = self.session(id)?.outgoing.next_from(page.at, page.packet_id)?;
        page.at = place.saturating_add(1);
        if delivery.packet_id() != 0 {
            page.packet_id = delivery.packet_id();
        }
        let content = delivery.holds_body().then(|| self.bodies.get(delivery.body)).flatten();
        Some(QueuedInfo {
            topic: content.map_or(&[][..], |content| content.topic),
            bytes: content.map_or(0, |content| content.payload.len()),
            qos: delivery.qos,
            retain: delivery.retain,
            packet_id: PacketId::new(delivery.packet_id()),
            sent: delivery.was_sent(),
            expires: content.and_then(|content| content.expires),
        })
    }

    /// The client identifier of a session, and the user that owns it.
    fn names_of(&self, session: &Session<S>) -> (&[u8], &[u8]) {
        let user = session.user.checked_sub(1).map_or(&[][..], |user| self.users.get(user));
        (self.names.get(session.name), user)
    }

    pub(super) fn session_info(&self, id: SessionId) -> Option<SessionInfo<'_>> {
        let session = self.session(id)?;
        let link = session.link.checked_sub(1).and_then(|slot| self.link_id(slot));
        let (client_id, user_name) = self.names_of(session);
        Some(SessionInfo {
            client_id,
            user_name,
            link,
            expiry_secs: session.expiry_secs,
            ends: session.ends.unless_never(),
            subscriptions: session.subscription_count,
            queued: session.outgoing.owed(),
            has_will: session.will.is_some(),
        })
    }
}
