//! Subscribing, and subscribing anew when the server has lost the session.

use super::error::SendError;
use super::event::Token;
use super::publish::Way;
use super::{Client, Phase};
use crate::Instant;
use crate::codec::{
    Body, Field, Items, PacketType, Place, Properties, Refusal, RetainHandling, Sin, Sink,
    Subscription, Unsubscribe, erase,
};
#[cfg(feature = "v5")]
use crate::codec::{Property, SubscriptionId};
use crate::flow::HIGHEST_QOS;
use crate::flow::send::Owed;
use crate::storage::Storage;
use crate::types::{FilterError, PacketId, QoS, TopicFilter, Version};

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

    /// At this QoS at most; without the feature `qos2`, at QoS 1 at most.
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

    /// What stands in a SUBSCRIBE.
    pub(super) fn of(subscription: &Subscription<'a>) -> Self {
        Self {
            filter: subscription.filter.as_str(),
            qos: subscription.qos,
            no_local: subscription.no_local,
            retain_as_published: subscription.retain_as_published,
            retain_handling: subscription.retain_handling,
        }
    }

    /// As it stands in a SUBSCRIBE.
    ///
    /// # Errors
    /// It is no topic filter.
    pub fn subscription(&self) -> Result<Subscription<'a>, FilterError> {
        TopicFilter::new(self.filter)?;
        Ok(self.checked())
    }

    /// The same of a filter that was checked.
    pub(super) fn checked(&self) -> Subscription<'a> {
        Subscription {
            filter: TopicFilter::trusted(self.filter.as_bytes()),
            qos: self.qos.min(HIGHEST_QOS),
            no_local: self.no_local,
            retain_as_published: self.retain_as_published,
            retain_handling: self.retain_handling,
        }
    }
}

impl<S: Storage> Client<S> {
    /// Subscribes; the answer comes as [`Event::Subscribed`](super::Event::Subscribed).
    ///
    /// # Errors
    /// Nothing has changed: not connected, no room, no filter, a bad one, or one that the server
    /// said it does not take.
    pub fn subscribe(&mut self, filters: &[Filter<'_>], now: Instant) -> Result<Token, SendError> {
        self.subscribe_as(filters, Properties::EMPTY, 0, now)
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
        let list = [Property::SubscriptionIdentifier(id)];
        self.subscribe_as(filters, Properties::new(&list), id.get(), now)
    }

    fn subscribe_as(
        &mut self,
        filters: &[Filter<'_>],
        properties: Properties<'_>,
        id: u32,
        now: Instant,
    ) -> Result<Token, SendError> {
        self.set_now(now);
        self.check_running()?;
        for filter in filters {
            let filter = TopicFilter::new(filter.filter)?;
            self.limits.check_filter(filter).map_err(SendError::Unsupported)?;
        }
        if self.phase != Phase::Open {
            return Err(SendError::NotConnected);
        }
        let packet_id = self.free_request_id(filters.len())?;
        let kept = self.kept_len(filters);
        let request = Request { packet_id, properties, filters };
        self.push_body(erase(&request), Way::Request, kept)?;
        let token = self.take_request(Owed::SubAck, packet_id, filters.len())?;
        self.keep_filters(filters, id, packet_id)?;
        Ok(token)
    }

    /// An identifier for a request of so many filters.
    fn free_request_id(&self, filters: usize) -> Result<PacketId, SendError> {
        // More than can be counted are not asked for at once.
        u16::try_from(filters).ok().and(self.flights.peek_free()).ok_or(SendError::Full)
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

    pub(super) fn count_filters(&mut self, id: PacketId, filters: usize) {
        if let Some(flight) = self.flights.get_mut(id) {
            flight.filters = u16::try_from(filters).unwrap_or(u16::MAX);
        }
    }

    /// Unsubscribes; the answer comes as [`Event::Unsubscribed`](super::Event::Unsubscribed).
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub fn unsubscribe(&mut self, filters: &[&str], now: Instant) -> Result<Token, SendError> {
        self.set_now(now);
        self.check_running()?;
        if self.phase != Phase::Open {
            return Err(SendError::NotConnected);
        }
        for filter in filters {
            TopicFilter::new(filter)?;
        }
        let packet_id = self.free_request_id(filters.len())?;
        self.push_body(erase(&Leave { packet_id, filters }), Way::Request, 0)?;
        let token = self.take_request(Owed::UnsubAck, packet_id, filters.len())?;
        for filter in filters {
            self.forget_filter(filter.as_bytes());
        }
        Ok(token)
    }
}

/// A SUBSCRIBE for filters whose text was checked.
pub(super) struct Request<'f, 'a> {
    pub(super) packet_id: PacketId,
    pub(super) properties: Properties<'f>,
    pub(super) filters: &'f [Filter<'a>],
}

impl Body for Request<'_, '_> {
    fn first_byte(&self) -> u8 {
        PacketType::Subscribe.first_byte()
    }

    fn check(&self, version: Version) -> Result<(), Refusal> {
        if self.filters.is_empty() {
            return Err(Refusal::Sin(Sin::NoFilter, Field::TopicFilter));
        }
        self.properties.check(version, Place::Subscribe)?;
        self.filters.iter().try_for_each(|filter| filter.checked().check(version))
    }

    fn write(&self, version: Version, sink: &mut impl Sink) {
        sink.u16(self.packet_id.get());
        self.properties.write(version, sink);
        for filter in self.filters {
            filter.checked().write(sink);
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
