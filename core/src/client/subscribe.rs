//! Subscribing, and subscribing anew when the server has lost the session.

use super::error::SendError;
use super::event::Token;
use super::handshake::RESERVE;
use super::limits::Limits;
use super::{Client, Phase};
use crate::Instant;
use crate::codec::{
    Body, Items, Properties, Refusal, RetainHandling, Sink, Subscribe, Subscription, Unsubscribe,
    measure,
};
#[cfg(feature = "v5")]
use crate::codec::{Property, SubscriptionId};
use crate::flow::send::Owed;
use crate::storage::{Storage, copy};
use crate::types::{FilterError, PacketId, QoS, ReasonCode, TopicFilter, Version};

/// What to subscribe to.
///
/// ```
/// use tamtam_core::QoS;
/// use tamtam_core::client::Filter;
///
/// let commands = Filter::new("room/7/+/set").qos(QoS::AtLeastOnce);
/// let work = Filter::new("$share/crew/jobs/#");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter<'a> {
    filter: &'a str,
    qos: QoS,
    no_local: bool,
    retain_as_published: bool,
    retain_handling: RetainHandling,
}

impl<'a> Filter<'a> {
    /// Messages to the topics that `filter` matches, at whatever QoS they were published.
    #[must_use]
    pub const fn new(filter: &'a str) -> Self {
        Self {
            filter,
            qos: QoS::ExactlyOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }

    /// The filter as it was given.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.filter
    }

    /// At this QoS at most.
    #[must_use]
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Without the client's own messages (MQTT 5).
    #[must_use]
    pub const fn no_local(mut self, no_local: bool) -> Self {
        self.no_local = no_local;
        self
    }

    /// With the RETAIN flag that messages were published with (MQTT 5).
    #[must_use]
    pub const fn retain_as_published(mut self, as_published: bool) -> Self {
        self.retain_as_published = as_published;
        self
    }

    /// Whether retained messages are sent now (MQTT 5).
    #[must_use]
    pub const fn retain_handling(mut self, handling: RetainHandling) -> Self {
        self.retain_handling = handling;
        self
    }

    /// As it stands in a SUBSCRIBE.
    ///
    /// # Errors
    /// It is no topic filter.
    pub fn subscription(&self) -> Result<Subscription<'a>, FilterError> {
        Ok(Subscription {
            filter: TopicFilter::new(self.filter)?,
            qos: self.qos,
            no_local: self.no_local,
            retain_as_published: self.retain_as_published,
            retain_handling: self.retain_handling,
        })
    }
}

/// A filter that is kept, before its text: the request that asked for it (0 once it was granted)
/// and its place in that, the subscription identifier, the options, and the length of the text.
const KEPT_HEAD: usize = 11;

impl<S: Storage> Client<S> {
    /// Subscribes; the answer comes as [`Event::Subscribed`](super::Event::Subscribed).
    ///
    /// # Errors
    /// Nothing has changed: not connected, no room, no filter, a bad one, or one that the server
    /// said it does not take.
    pub fn subscribe(&mut self, filters: &[Filter<'_>], now: Instant) -> Result<Token, SendError> {
        self.subscribe_as(filters, 0, now)
    }

    /// Subscribes with a Subscription Identifier, which comes back with each message (MQTT 5).
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    #[cfg(feature = "v5")]
    pub fn subscribe_with_id(
        &mut self,
        filters: &[Filter<'_>],
        id: SubscriptionId,
        now: Instant,
    ) -> Result<Token, SendError> {
        if !self.limits.subscription_ids {
            return Err(SendError::Unsupported(super::Unsupported::SubscriptionIds));
        }
        self.subscribe_as(filters, id.get(), now)
    }

    fn subscribe_as(
        &mut self,
        filters: &[Filter<'_>],
        id: u32,
        now: Instant,
    ) -> Result<Token, SendError> {
        self.now = self.now.max(now);
        self.check_running()?;
        for filter in filters {
            let filter = TopicFilter::new(filter.filter)?;
            self.limits.check_filter(filter).map_err(SendError::Unsupported)?;
        }
        if self.phase != Phase::Open {
            return Err(SendError::NotConnected);
        }
        let packet_id = self.free_request_id(filters.len())?;
        let kept = if self.settings.resubscribe { kept_len(filters) } else { 0 };
        let request = Request { packet_id, id, filters };
        self.push_request(&request, kept)?;
        let token = self.take_request(Owed::SubAck, packet_id, filters.len())?;
        if self.settings.resubscribe {
            for (subscription, place) in
                filters.iter().filter_map(|filter| filter.subscription().ok()).zip(0..=u16::MAX)
            {
                self.keep_filter(&subscription, id, packet_id, place)?;
            }
        }
        Ok(token)
    }

    /// An identifier for a request of so many filters.
    fn free_request_id(&self, filters: usize) -> Result<PacketId, SendError> {
        // More than can be counted are not asked for at once.
        u16::try_from(filters).ok().and(self.flights.peek_free()).ok_or(SendError::Full)
    }

    /// Writes a request, and makes sure of `more` bytes besides.
    fn push_request(&mut self, request: &impl Body, more: usize) -> Result<(), SendError> {
        let measured = measure(request, self.version)?;
        self.limits.check_size(measured.len())?;
        let reserve = self.reserve();
        if !self.outbox.has_room(measured.len().saturating_add(more).saturating_add(reserve)) {
            return Err(SendError::Full);
        }
        measured.write(self.outbox.push_ready(measured.len())?)?;
        Ok(())
    }

    fn take_request(
        &mut self,
        owed: Owed,
        packet_id: PacketId,
        filters: usize,
    ) -> Result<Token, SendError> {
        let token = self.next_token();
        self.flights.take(owed, token.0)?;
        self.count_filters(packet_id, filters);
        Ok(token)
    }

    fn count_filters(&mut self, id: PacketId, filters: usize) {
        if let Some(flight) = self.flights.get_mut(id) {
            flight.filters = u16::try_from(filters).unwrap_or(u16::MAX);
        }
    }

    /// Unsubscribes; the answer comes as [`Event::Unsubscribed`](super::Event::Unsubscribed).
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub fn unsubscribe(&mut self, filters: &[&str], now: Instant) -> Result<Token, SendError> {
        self.now = self.now.max(now);
        self.check_running()?;
        if self.phase != Phase::Open {
            return Err(SendError::NotConnected);
        }
        for filter in filters {
            TopicFilter::new(filter)?;
        }
        let packet_id = self.free_request_id(filters.len())?;
        self.push_request(&Leave { packet_id, filters }, 0)?;
        let token = self.take_request(Owed::UnsubAck, packet_id, filters.len())?;
        for filter in filters {
            self.forget_filter(filter.as_bytes());
        }
        Ok(token)
    }
}

/// How much keeping these filters takes, in bytes.
fn kept_len(filters: &[Filter<'_>]) -> usize {
    filters.iter().fold(0, |sum: usize, filter| {
        sum.saturating_add(KEPT_HEAD).saturating_add(filter.filter.len())
    })
}

/// A SUBSCRIBE for filters whose text was checked.
struct Request<'f, 'a> {
    packet_id: PacketId,
    id: u32,
    filters: &'f [Filter<'a>],
}

/// Hands the SUBSCRIBE for one subscription to `work`, with its identifier if it has one.
fn with_subscribe<T>(
    packet_id: PacketId,
    id: u32,
    list: &[Subscription<'_>],
    work: impl FnOnce(&Subscribe<'_>) -> T,
) -> T {
    #[cfg(feature = "v5")]
    let property = SubscriptionId::new(id).map(Property::SubscriptionIdentifier);
    #[cfg(feature = "v5")]
    let properties = Properties::new(property.as_slice());
    #[cfg(not(feature = "v5"))]
    let properties = Properties::EMPTY;
    let _ = id;
    work(&Subscribe { packet_id, properties, subscriptions: Items::from(list) })
}

impl Body for Request<'_, '_> {
    fn first_byte(&self) -> u8 {
        with_subscribe(self.packet_id, self.id, &[], |packet| packet.first_byte())
    }

    fn check(&self, version: Version) -> Result<(), Refusal> {
        if self.filters.is_empty() {
            return with_subscribe(self.packet_id, self.id, &[], |packet| packet.check(version));
        }
        for subscription in self.filters.iter().filter_map(|filter| filter.subscription().ok()) {
            let list = [subscription];
            with_subscribe(self.packet_id, self.id, &list, |packet| packet.check(version))?;
        }
        Ok(())
    }

    fn write(&self, version: Version, sink: &mut impl Sink) {
        with_subscribe(self.packet_id, self.id, &[], |packet| packet.write(version, sink));
        for subscription in self.filters.iter().filter_map(|filter| filter.subscription().ok()) {
            subscription.write(sink);
        }
    }
}

/// An UNSUBSCRIBE for filters whose text was checked.
struct Leave<'f, 'a> {
    packet_id: PacketId,
    filters: &'f [&'a str],
}

impl Leave<'_, '_> {
    fn packet<'l>(&self, list: &'l [TopicFilter<'l>]) -> Unsubscribe<'l> {
        let (packet_id, properties) = (self.packet_id, Properties::EMPTY);
        Unsubscribe { packet_id, properties, filters: Items::from(list) }
    }
}

impl Body for Leave<'_, '_> {
    fn first_byte(&self) -> u8 {
        self.packet(&[]).first_byte()
    }

    fn check(&self, version: Version) -> Result<(), Refusal> {
        if self.filters.is_empty() { self.packet(&[]).check(version) } else { Ok(()) }
    }

    fn write(&self, version: Version, sink: &mut impl Sink) {
        self.packet(&[]).write(version, sink);
        for filter in self.filters {
            sink.binary(filter.as_bytes());
        }
    }
}

/// A filter that is kept.
#[derive(Clone, Copy)]
struct Kept<'a> {
    request: u16,
    place: u16,
    id: u32,
    options: u8,
    text: &'a [u8],
}

impl<'a> Kept<'a> {
    /// The one that begins `bytes`, and how long it is.
    fn read(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let (head, rest) = bytes.split_first_chunk::<KEPT_HEAD>()?;
        let [r0, r1, p0, p1, i0, i1, i2, i3, options, l0, l1] = *head;
        let text = rest.get(..u16::from_be_bytes([l0, l1]) as usize)?;
        let kept = Self {
            request: u16::from_be_bytes([r0, r1]),
            place: u16::from_be_bytes([p0, p1]),
            id: u32::from_be_bytes([i0, i1, i2, i3]),
            options,
            text,
        };
        Some((kept, KEPT_HEAD.saturating_add(text.len())))
    }

    /// Whether the server of today can be asked for it.
    fn suits(&self, limits: &Limits) -> bool {
        let with_id = self.id != 0;
        (limits.subscription_ids || !with_id)
            && limits.check_filter(TopicFilter::trusted(self.text)).is_ok()
    }

    fn write(&self, out: &mut [u8]) {
        let [r0, r1] = self.request.to_be_bytes();
        let [p0, p1] = self.place.to_be_bytes();
        let [i0, i1, i2, i3] = self.id.to_be_bytes();
        let [l0, l1] = (self.text.len() as u16).to_be_bytes();
        if let Some((head, text)) = out.split_first_chunk_mut::<KEPT_HEAD>() {
            *head = [r0, r1, p0, p1, i0, i1, i2, i3, self.options, l0, l1];
            copy(text, self.text);
        }
    }
}

/// The filters that are kept, for a session that the server may lose.
impl<S: Storage> Client<S> {
    fn kept_filters(&self) -> &[u8] {
        self.outbox.kept().get(self.connect_len..).unwrap_or_default()
    }

    fn keep_filter(
        &mut self,
        subscription: &Subscription<'_>,
        id: u32,
        request: PacketId,
        place: u16,
    ) -> Result<(), SendError> {
        self.forget_filter(subscription.filter.as_bytes());
        let kept = Kept {
            request: request.get(),
            place,
            id,
            options: subscription.options(),
            text: subscription.filter.as_bytes(),
        };
        let len = KEPT_HEAD.saturating_add(kept.text.len());
        kept.write(self.outbox.push_kept(len)?);
        Ok(())
    }

    fn forget_filter(&mut self, filter: &[u8]) {
        self.retain_filters(|kept| kept.text != filter);
    }

    /// The server has answered a request: what it refused is not asked for again.
    pub(super) fn forget_refused_filters(
        &mut self,
        request: PacketId,
        codes: Items<'_, ReasonCode>,
    ) {
        self.retain_filters(|kept| {
            let code = || codes.iter().nth(usize::from(kept.place));
            kept.request != request.get() || code().is_some_and(|code| !code.is_error())
        });
        self.settle_filters(request.get());
    }

    /// The connection is gone: requests without an answer are the application's to repeat, unless
    /// the client made them itself.
    pub(super) fn forget_unanswered_filters(&mut self) {
        self.retain_filters(|kept| kept.request == 0);
    }

    fn retain_filters(&mut self, mut keep: impl FnMut(&Kept<'_>) -> bool) {
        let mut at = 0;
        loop {
            let rest = self.kept_filters().get(at..).unwrap_or_default();
            let Some((kept, len)) = Kept::read(rest) else { break };
            if keep(&kept) {
                at = at.saturating_add(len);
            } else {
                let start = self.connect_len.saturating_add(at);
                self.outbox.remove_kept(start..start.saturating_add(len));
                if self.resubscribing.saturating_sub(1) > at {
                    self.resubscribing = self.resubscribing.saturating_sub(len);
                }
            }
        }
    }

    /// What was asked for by `request` is granted.
    fn settle_filters(&mut self, request: u16) {
        let connect_len = self.connect_len;
        let mut rest = self.outbox.kept_mut().get_mut(connect_len..).unwrap_or_default();
        while let Some((kept, len)) = Kept::read(rest) {
            if kept.request == request
                && let Some(head) = rest.first_chunk_mut::<2>()
            {
                *head = [0; 2];
            }
            rest = rest.get_mut(len..).unwrap_or_default();
        }
    }

    /// Begins to subscribe anew to all that is kept.
    pub(super) fn resubscribe(&mut self) {
        self.resubscribe_due = !self.kept_filters().is_empty();
        self.resubscribing = usize::from(self.resubscribe_due);
    }

    /// Goes on subscribing anew, as far as there is room: one filter a request.
    pub(super) fn send_resubscriptions(&mut self) {
        while let Some(at) = self.resubscribing.checked_sub(1) {
            let rest = self.kept_filters().get(at..).unwrap_or_default();
            let Some((kept, len)) = Kept::read(rest) else {
                self.resubscribing = 0;
                return;
            };
            // What the application has just asked for, and what this server does not take, is left.
            let wanted = kept.request == 0 && kept.suits(&self.limits);
            if wanted && self.send_resubscription(at) == Err(SendError::Full) {
                return; // once there is room
            }
            self.resubscribing = at.saturating_add(len).saturating_add(1);
        }
    }

    /// Asks again for the filter that is kept at `at`.
    fn send_resubscription(&mut self, at: usize) -> Result<(), SendError> {
        let (version, place) = (self.version, self.connect_len.saturating_add(at));
        let packet_id = self.flights.peek_free().ok_or(SendError::Full)?;
        let with_packet = |kept: &[u8], out: Option<&mut [u8]>| -> Result<usize, SendError> {
            let (kept, _) =
                Kept::read(kept.get(place..).unwrap_or_default()).ok_or(SendError::Full)?;
            let filter = TopicFilter::trusted(kept.text);
            let list =
                [Subscription::from_options(filter, kept.options).map_err(|_| SendError::Full)?];
            with_subscribe(packet_id, kept.id, &list, |packet| {
                let measured = measure(packet, version)?;
                match out {
                    Some(out) => Ok(measured.write(out)?),
                    None => Ok(measured.len()),
                }
            })
        };
        let len = with_packet(self.outbox.kept(), None)?;
        self.limits.check_size(len)?;
        if !self.outbox.has_room(len.saturating_add(RESERVE)) {
            return Err(SendError::Full);
        }
        self.outbox.push_ready_from_kept(len, |kept, out| with_packet(kept, Some(out)))??;
        self.flights.take(Owed::SubAck, 0)?;
        self.count_filters(packet_id, 1);
        Ok(())
    }

    /// Whether all that was asked for anew is answered.
    pub(super) fn note_resubscribed(&mut self) {
        let waits =
            self.flights.each().any(|(_, flight)| flight.owed == Owed::SubAck && flight.token == 0);
        self.resubscribe_due = waits || self.resubscribing != 0;
    }
}
