//! What the host is told, in order: what it must act upon, and what it wants to know.
//!
//! What happens to sessions, subscriptions and messages is told only to a host that wants to know
//! ([`Broker::watch`]); else it costs a look at a flag. Names and topics lie in a memory of their
//! own until their event is taken. Where there is no room for an event that need not be acted upon,
//! it is not told, and counted ([`Counters::dropped_events`](super::Counters::dropped_events)).

use super::Broker;
use super::body::BodyId;
use super::counters::DropReason;
use super::delivery::Delivery;
use super::event::{Event, SessionEnd};
use super::session::SessionId;
use super::verdict::AskId;
use crate::storage::{Arena, Memory, Pool, Queue, Storage, copy, move_within};
use crate::types::QoS;

/// Which events a host wants to know of, besides those of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Watch {
    /// [`Event::SessionEnded`].
    pub sessions: bool,
    /// [`Event::Subscribed`] and [`Event::Unsubscribed`].
    pub subscriptions: bool,
    /// [`Event::Dropped`]: one for each copy that is dropped, and there may be many.
    pub drops: bool,
}

impl Watch {
    /// None of them.
    pub const NOTHING: Self = Self { sessions: false, subscriptions: false, drops: false };

    /// All of them.
    pub const EVERYTHING: Self = Self { sessions: true, subscriptions: true, drops: true };

    /// What either wants to know of.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            sessions: self.sessions || other.sessions,
            subscriptions: self.subscriptions || other.subscriptions,
            drops: self.drops || other.drops,
        }
    }
}

/// Of whom and what an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told<'a> {
    /// The client identifier of the session; empty if there is none, as for what waits for a group.
    pub client_id: &'a [u8],
    /// The filter that was subscribed to, or the topic of the message that was dropped; empty if
    /// the event is of neither.
    pub subject: &'a [u8],
}

/// Where that lies in the memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    start: usize,
    client: usize,
    subject: usize,
}

impl Place {
    pub(super) const NONE: Self = Self { start: 0, client: 0, subject: 0 };
}

/// How many bytes of names and topics wait for the host at most.
pub(super) const NEWS_BYTES: usize = 256 << 10;

/// The two lengths that are before each.
const HEAD: usize = 4;

/// What the topic or filter of an event is.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Text(&'a [u8]),
    Body(BodyId),
}

impl<S: Storage> Broker<S> {
    /// Which events the host wants to know of from now on, besides those of connections; nothing,
    /// until this is said.
    ///
    /// ```
    /// use tamtam_core::broker::{Broker, Event, Options, Watch};
    /// use tamtam_core::{Connect, Heap, Instant, QoS, Subscription, Text, TopicFilter, Version};
    ///
    /// let (mut broker, now) = (Broker::<Heap>::new(), Instant::from_millis(1));
    /// broker.start(&Options::DEFAULT, 7);
    /// broker.watch(Watch::EVERYTHING);
    /// let hall = Connect::new(Version::V5, Text::new("hall")?);
    /// let hall = broker.attach(&hall, Default::default(), now).expect("nothing is against it");
    /// broker.subscribe_attached(hall, &Subscription::new(TopicFilter::new("light/#")?), 0, now);
    ///
    /// assert!(matches!(broker.poll_event(), Some(Event::Connected { .. })));
    /// assert_eq!(broker.poll_event(), Some(Event::Subscribed { qos: QoS::ExactlyOnce }));
    /// assert_eq!(broker.told().client_id, b"hall");
    /// assert_eq!(broker.told().subject, b"light/#");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn watch(&mut self, watch: Watch) {
        self.watch = watch;
    }

    /// What the broker asks or tells next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.told = Place::NONE;
        if let Some(event) = self.events.pop_front() {
            if event.has_news() {
                self.take_news();
            }
            return Some(event);
        }
        let mut untold = None;
        self.find_link(|link| {
            untold = link.untold.take();
            untold.is_some()
        })?;
        untold
    }

    /// Of whom and what the event is that [`Broker::poll_event`] told last, if it is one that is
    /// told to those only who [`watch`](Broker::watch) for it. To be asked at once.
    #[must_use]
    pub fn told(&self) -> Told<'_> {
        let Place { start, client, subject } = self.told;
        let rest = self.news.bytes().get(start..).unwrap_or_default();
        let (client_id, rest) = rest.split_at_checked(client).unwrap_or_default();
        Told { client_id, subject: rest.get(..subject).unwrap_or_default() }
    }

    /// The names of the event that is being told.
    fn take_news(&mut self) {
        let rest = self.news.bytes().get(self.news_read..).unwrap_or_default();
        let Some(([a, b, c, d], _)) = rest.split_first_chunk::<HEAD>() else { return };
        let client = usize::from(u16::from_be_bytes([*a, *b]));
        let subject = usize::from(u16::from_be_bytes([*c, *d]));
        let start = self.news_read.saturating_add(HEAD);
        self.told = Place { start, client, subject };
        self.news_read = start.saturating_add(client).saturating_add(subject);
    }

    /// The host learns of it; where it must act, even if there is no room to note it here.
    pub(super) fn tell(&mut self, event: Event) {
        if self.events.push_back(event).is_ok() {
            return;
        }
        let id = match event {
            #[cfg(feature = "alloc")]
            Event::MoveTo { link: id, .. } => id,
            Event::Ask(AskId { link: id, .. }) | Event::Resume(id) | Event::Close(id) => id,
            _ => return self.tell_nobody(),
        };
        self.crowded = true;
        if let Some(link) = self.link_mut(id) {
            link.untold = Some(event);
        }
    }

    const fn tell_nobody(&mut self) {
        self.counters.dropped_events = self.counters.dropped_events.saturating_add(1);
    }

    /// A session is about to be forgotten.
    pub(super) fn tell_session_ended(&mut self, id: SessionId, why: SessionEnd) {
        // What a store or a peer gives back has not happened now.
        if self.watch.sessions && !self.journal.is_paused() {
            self.tell_news(Event::SessionEnded { why }, Some(id), Subject::Text(&[]));
        }
    }

    /// A session has a subscription to a filter.
    pub(super) fn tell_subscribed(&mut self, id: SessionId, filter: &[u8], qos: QoS) {
        if self.watch.subscriptions && !self.journal.is_paused() {
            self.tell_news(Event::Subscribed { qos }, Some(id), Subject::Text(filter));
        }
    }

    /// It has it no more.
    pub(super) fn tell_unsubscribed(&mut self, id: SessionId, filter: &[u8]) {
        if self.watch.subscriptions && !self.journal.is_paused() {
            self.tell_news(Event::Unsubscribed, Some(id), Subject::Text(filter));
        }
    }

    /// A copy is dropped for a session, or for a group, before it was kept.
    #[inline]
    pub(super) fn drop_copy(
        &mut self,
        why: DropReason,
        id: Option<SessionId>,
        qos: QoS,
        topic: &[u8],
    ) {
        self.counters.count_dropped(why, 1);
        if self.watch.drops {
            self.tell_news(Event::Dropped { why, qos }, id, Subject::Text(topic));
        }
    }

    /// A copy is dropped for a session that is on its way to it.
    #[inline]
    pub(super) fn drop_queued(&mut self, why: DropReason, id: SessionId, delivery: &Delivery) {
        self.drop_kept(why, Some(id), delivery.qos, delivery.body);
    }

    /// A copy is dropped of a message that is kept, as yet.
    #[inline]
    pub(super) fn drop_kept(
        &mut self,
        why: DropReason,
        id: Option<SessionId>,
        qos: QoS,
        body: BodyId,
    ) {
        self.counters.count_dropped(why, 1);
        if self.watch.drops {
            self.tell_news(Event::Dropped { why, qos }, id, Subject::Body(body));
        }
    }

    /// What waits for a group is dropped.
    pub(super) fn drop_entry(&mut self, why: DropReason, at: u32) {
        if let Some((body, qos)) = self.entries.get(at).map(|entry| (entry.body, entry.qos)) {
            self.drop_kept(why, None, qos, body);
        }
    }

    /// Never takes up more than half of the room for events, which others need more.
    #[cold]
    fn tell_news(&mut self, event: Event, id: Option<SessionId>, subject: Subject<'_>) {
        if self.events.len() >= self.events.limit() / 2 || self.write_news(id, subject).is_none() {
            return self.tell_nobody();
        }
        self.tell(event);
    }

    fn write_news(&mut self, id: Option<SessionId>, subject: Subject<'_>) -> Option<()> {
        let name = id.and_then(|id| self.session(id)).map(|session| session.name);
        let client_id = name.map_or(&[][..], |name| self.names.get(name));
        let subject = match subject {
            Subject::Text(text) => text,
            Subject::Body(body) => self.bodies.get(body).map_or(&[][..], |content| content.topic),
        };
        let client_len = u16::try_from(client_id.len()).ok()?.to_be_bytes();
        let subject_len = u16::try_from(subject.len()).ok()?.to_be_bytes();
        let parts = [&client_len[..], &subject_len, client_id, subject];
        let len = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        let mut end = self.news.bytes().len();
        if self.news_read == end || end.saturating_add(len) > self.news.limit() {
            let left = end.saturating_sub(self.news_read);
            move_within(self.news.bytes_mut(), self.news_read..end, 0);
            self.news.resize(left).ok()?;
            (self.news_read, self.told, end) = (0, Place::NONE, left);
        }
        self.news.resize(end.saturating_add(len)).ok()?;
        let mut rest = self.news.bytes_mut().get_mut(end..)?;
        for part in parts {
            let (place, behind) = rest.split_at_mut_checked(part.len())?;
            copy(place, part);
            rest = behind;
        }
        Some(())
    }
}
