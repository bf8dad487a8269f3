//! SUBSCRIBE and UNSUBSCRIBE: which messages a client wants.

use super::cursor::Cursor;
use super::error::{Field, Sin};
use super::header::PacketType;
use super::items::{Item, Items, read_front, sealed};
use super::place::Place;
use super::properties::Properties;
use super::sink::{Body, Refusal, Sink};
use crate::types::{PacketId, QoS, TopicFilter, Version};

/// A client asks for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// What the SUBACK will name.
    pub packet_id: PacketId,
    /// MQTT 5 properties.
    pub properties: Properties<'a>,
    /// What it asks for: one at least.
    pub subscriptions: Items<'a, Subscription<'a>>,
}

/// A client asks for no more messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// What the UNSUBACK will name.
    pub packet_id: PacketId,
    /// MQTT 5 properties.
    pub properties: Properties<'a>,
    /// Which subscriptions end: one at least.
    pub filters: Items<'a, TopicFilter<'a>>,
}

/// One topic filter with its options.
///
/// ```
/// use tamtam_core::{QoS, Subscription, TopicFilter};
///
/// let room = Subscription::new(TopicFilter::new("room/+/set")?).qos(QoS::AtLeastOnce);
/// assert!(!room.no_local);
/// # Ok::<(), tamtam_core::FilterError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// Which topics.
    pub filter: TopicFilter<'a>,
    /// The highest QoS at which messages are to come.
    pub qos: QoS,
    /// MQTT 5: whether the client's own messages are left out.
    pub no_local: bool,
    /// MQTT 5: whether live messages keep their RETAIN flag.
    pub retain_as_published: bool,
    /// MQTT 5: whether retained messages are sent now.
    pub retain_handling: RetainHandling,
}

/// Whether retained messages are sent when a subscription is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RetainHandling {
    /// Always.
    #[default]
    Send = 0,
    /// Only if there was no such subscription yet.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

/// The bits of the subscription options.
mod option {
    pub(super) const QOS: u8 = 0x03;
    pub(super) const NO_LOCAL: u8 = 0x04;
    pub(super) const RETAIN_AS_PUBLISHED: u8 = 0x08;
    pub(super) const RETAIN_HANDLING: u8 = 0x30;
    pub(super) const RESERVED: u8 = 0xC0;
}

impl<'a> Subscription<'a> {
    /// A subscription at QoS 2 (that is, at whatever QoS messages are published), with the options
    /// of MQTT 3.1.1.
    #[must_use]
    pub const fn new(filter: TopicFilter<'a>) -> Self {
        Self {
            filter,
            qos: QoS::ExactlyOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }

    /// The same with this maximum QoS.
    #[must_use]
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    pub(crate) fn options(&self) -> u8 {
        self.qos.level()
            | (self.retain_handling as u8) << 4
            | if self.no_local { option::NO_LOCAL } else { 0 }
            | if self.retain_as_published { option::RETAIN_AS_PUBLISHED } else { 0 }
    }

    /// A filter with the options of a SUBSCRIBE.
    pub(crate) fn from_options(filter: TopicFilter<'a>, options: u8) -> Result<Self, Sin> {
        let Some(qos) = QoS::from_level(options & option::QOS) else {
            return Err(Sin::SubscriptionQoS);
        };
        let retain_handling = match (options & option::RETAIN_HANDLING) >> 4 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(Sin::RetainHandling),
        };
        let no_local = options & option::NO_LOCAL != 0;
        let retain_as_published = options & option::RETAIN_AS_PUBLISHED != 0;
        Ok(Self { filter, qos, no_local, retain_as_published, retain_handling })
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        sink.text(self.filter.text());
        sink.u8(self.options());
    }

    /// What is wrong with the options byte alone.
    fn check_options(options: u8, version: Version) -> Result<(), Sin> {
        let reserved = if version.is_v5() { option::RESERVED } else { !option::QOS };
        let no_qos = !version.is_v5() && options & option::QOS == option::QOS;
        if options & reserved != 0 || no_qos {
            return Err(Sin::SubscriptionOptions); // [MQTT5-3.8.3-5, MQTT3-3.8.3-4]
        }
        Ok(())
    }

    fn check_pair(&self) -> Result<(), Sin> {
        if self.no_local && self.filter.is_shared() {
            return Err(Sin::NoLocalOnShared); // [MQTT5-3.8.3-4]
        }
        Ok(())
    }

    /// Whether a SUBSCRIBE of `version` may carry it.
    pub(crate) fn check(&self, version: Version) -> Result<(), Refusal> {
        if let Err(sin) = self.check_pair() {
            return Err(Refusal::Sin(sin, Field::SubscriptionOptions));
        }
        if !version.is_v5() && self.options() & !option::QOS != 0 {
            return Err(Refusal::NotInVersion(Field::SubscriptionOptions));
        }
        Ok(())
    }

    fn read(cursor: &mut Cursor<'a>, version: Version) -> Option<Self> {
        let filter = read_filter(cursor)?;
        let start = cursor.left();
        let options = cursor.u8(Field::SubscriptionOptions)?;
        let subscription = Self::check_options(options, version)
            .and_then(|()| Self::from_options(filter, options))
            .and_then(|subscription| subscription.check_pair().map(|()| subscription));
        match subscription {
            Ok(subscription) => Some(subscription),
            Err(sin) => cursor.found_at(start, sin, Field::SubscriptionOptions),
        }
    }
}

/// A topic filter [MQTT5-3.8.3-1, MQTT5-3.10.3-1, MQTT3-3.8.3-1, MQTT3-3.10.3-1].
fn read_filter<'a>(cursor: &mut Cursor<'a>) -> Option<TopicFilter<'a>> {
    let start = cursor.left();
    match TopicFilter::from_bytes(cursor.binary(Field::TopicFilter)?) {
        Ok(filter) => Some(filter),
        Err(error) => cursor.found_at(start, error.into(), Field::TopicFilter),
    }
}

impl<'a> Item<'a> for Subscription<'a> {}

impl<'a> sealed::Read<'a> for Subscription<'a> {
    fn read_checked(bytes: &mut &'a [u8]) -> Option<Self> {
        read_front(bytes, |cursor| {
            let filter = TopicFilter::trusted(cursor.binary(Field::TopicFilter)?);
            Self::from_options(filter, cursor.u8(Field::SubscriptionOptions)?).ok()
        })
    }
}

impl<'a> Item<'a> for TopicFilter<'a> {}

impl<'a> sealed::Read<'a> for TopicFilter<'a> {
    fn read_checked(bytes: &mut &'a [u8]) -> Option<Self> {
        read_front(bytes, |cursor| Some(Self::trusted(cursor.binary(Field::TopicFilter)?)))
    }
}

impl<'a> Subscribe<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>, version: Version) -> Option<Self> {
        let packet_id = cursor.packet_id()?;
        let properties = Properties::read(cursor, version, Place::Subscribe)?;
        if cursor.is_empty() {
            // [MQTT5-3.8.3-2, MQTT3-3.8.3-3]
            return cursor.found(Sin::NoFilter, Field::TopicFilter);
        }
        let bytes = cursor.rest();
        while !cursor.is_empty() {
            Subscription::read(cursor, version)?;
        }
        Some(Self { packet_id, properties, subscriptions: Items::checked(bytes) })
    }
}

impl<'a> Unsubscribe<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>, version: Version) -> Option<Self> {
        let packet_id = cursor.packet_id()?;
        let properties = Properties::read(cursor, version, Place::Unsubscribe)?;
        if cursor.is_empty() {
            // [MQTT5-3.10.3-2, MQTT3-3.10.3-2]
            return cursor.found(Sin::NoFilterToLeave, Field::TopicFilter);
        }
        let bytes = cursor.rest();
        while !cursor.is_empty() {
            read_filter(cursor)?;
        }
        Some(Self { packet_id, properties, filters: Items::checked(bytes) })
    }
}

impl Body for Subscribe<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Subscribe.first_byte()
    }

    fn check(&self, version: Version) -> Result<(), Refusal> {
        self.properties.check(version, Place::Subscribe)?;
        if self.subscriptions.is_empty() {
            return Err(Refusal::Sin(Sin::NoFilter, Field::TopicFilter));
        }
        self.subscriptions.iter().try_for_each(|subscription| subscription.check(version))
    }

    fn write(&self, version: Version, sink: &mut impl Sink) {
        sink.u16(self.packet_id.get());
        self.properties.write(version, sink);
        for subscription in self.subscriptions {
            subscription.write(sink);
        }
    }
}

impl Body for Unsubscribe<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Unsubscribe.first_byte()
    }

    fn check(&self, version: Version) -> Result<(), Refusal> {
        if self.filters.is_empty() {
            return Err(Refusal::Sin(Sin::NoFilterToLeave, Field::TopicFilter));
        }
        self.properties.check(version, Place::Unsubscribe)
    }

    fn write(&self, version: Version, sink: &mut impl Sink) {
        sink.u16(self.packet_id.get());
        self.properties.write(version, sink);
        for filter in self.filters {
            sink.text(filter.text());
        }
    }
}
