//! Packets made from bytes: every kind, legal or not.

use std::num::{NonZeroU16, NonZeroU32};

use tamtam_core::{
    Ack, Auth, Carrier, ConnAck, Connect, Delivery, Disconnect, Items, Packet, PacketId,
    PacketType, Place, Properties, Property, PropertyId, Publish, QoS, ReasonCode, RetainHandling,
    SubAck, Subscribe, Subscription, SubscriptionId, Text, TopicFilter, TopicName, UnsubAck,
    Unsubscribe, Version, Will,
};

use super::bytes::Bytes;
use super::lists::Lists;

/// The most things in one list.
const MANY: u8 = 5;

/// One byte more than a two-byte length can say.
static OVERLONG: [u8; Text::MAX_LEN + 1] = [b'x'; Text::MAX_LEN + 1];

const TEXTS: [&str; 6] = ["", "a", "température", "\u{FEFF}", "\u{10FFFF}+#/", "$share"];
const TOPICS: [&str; 6] = ["a", "a/b", "/", "$SYS/uptime", "ü/\u{FEFF}", "//"];
const FILTERS: [&str; 8] =
    ["#", "+", "a/+/b", "a/#", "/", "$share/g/a", "$share/g/#", "$share/g//+"];
const RETAIN_HANDLINGS: [RetainHandling; 3] =
    [RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend];
const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Draws the lists of a packet whose properties stand in `place`.
pub(super) fn draw_lists<'a>(
    bytes: &mut Bytes<'a>,
    kind: PacketType,
    place: Place,
    version: Version,
) -> Lists<'a> {
    let properties = properties(bytes, place, version);
    let mut lists = Lists { properties, ..Lists::default() };
    match kind {
        PacketType::Connect => {
            lists.will_properties = self::properties(bytes, Place::Will, version);
        }
        PacketType::Subscribe => {
            lists.subscriptions = list(bytes, |bytes| subscription(bytes, version));
        }
        PacketType::Unsubscribe => lists.filters = list(bytes, filter),
        PacketType::SubAck => lists.codes = list(bytes, |bytes| reason(bytes, kind, version)),
        // Before version 5 there are none in an UNSUBACK.
        PacketType::UnsubAck if version.is_v5() || bytes.flag() => {
            lists.codes = list(bytes, |bytes| reason(bytes, kind, version));
        }
        _ => {}
    }
    lists
}

/// Draws everything of a packet but its lists.
pub(super) fn draw_packet<'a>(
    bytes: &mut Bytes<'a>,
    kind: PacketType,
    version: Version,
) -> Packet<'a> {
    let properties = Properties::EMPTY;
    match kind {
        PacketType::Connect => Packet::Connect(connect(bytes, version)),
        PacketType::ConnAck => {
            Packet::ConnAck(ConnAck::new(reason(bytes, kind, version), bytes.flag()))
        }
        PacketType::Publish => Packet::Publish(publish(bytes)),
        PacketType::PubAck => Packet::PubAck(ack(bytes, kind, version)),
        PacketType::PubRec => Packet::PubRec(ack(bytes, kind, version)),
        PacketType::PubRel => Packet::PubRel(ack(bytes, kind, version)),
        PacketType::PubComp => Packet::PubComp(ack(bytes, kind, version)),
        PacketType::Subscribe => {
            let subscriptions = Items::EMPTY;
            Packet::Subscribe(Subscribe { packet_id: packet_id(bytes), properties, subscriptions })
        }
        PacketType::SubAck => {
            let codes = Items::EMPTY;
            Packet::SubAck(SubAck { packet_id: packet_id(bytes), properties, codes })
        }
        PacketType::Unsubscribe => {
            let filters = Items::EMPTY;
            Packet::Unsubscribe(Unsubscribe { packet_id: packet_id(bytes), properties, filters })
        }
        PacketType::UnsubAck => {
            let codes = Items::EMPTY;
            Packet::UnsubAck(UnsubAck { packet_id: packet_id(bytes), properties, codes })
        }
        PacketType::PingResp => Packet::PingResp,
        PacketType::Disconnect => Packet::Disconnect(Disconnect::new(reason(bytes, kind, version))),
        PacketType::Auth => Packet::Auth(Auth { reason: reason(bytes, kind, version), properties }),
        _ => Packet::PingReq,
    }
}

fn connect<'a>(bytes: &mut Bytes<'a>, version: Version) -> Connect<'a> {
    let flags = bytes.u8();
    let has = |bit: u8| flags & bit != 0;
    // Now and then a version that is not the connection's.
    let version = if has(0x01) { bytes.pick(Version::ALL) } else { version };
    let will = has(0x04).then(|| Will {
        qos: LEVELS[usize::from(flags >> 3 & 3) % LEVELS.len()],
        retain: has(0x20),
        ..Will::new(topic(bytes), binary(bytes))
    });
    Connect {
        clean_start: has(0x02),
        keep_alive: bytes.u16(),
        will,
        user_name: has(0x80).then(|| text(bytes)),
        password: has(0x40).then(|| binary(bytes)),
        ..Connect::new(version, text(bytes))
    }
}

fn publish<'a>(bytes: &mut Bytes<'a>) -> Publish<'a> {
    let flags = bytes.u8();
    let dup = flags & 8 != 0;
    let delivery = match flags >> 1 & 3 {
        1 => Delivery::AtLeastOnce { packet_id: packet_id(bytes), dup },
        2 => Delivery::ExactlyOnce { packet_id: packet_id(bytes), dup },
        _ => Delivery::AtMostOnce,
    };
    let topic = (flags & 0x80 == 0).then(|| topic(bytes));
    let payload = binary(bytes);
    Publish { delivery, retain: flags & 1 != 0, topic, properties: Properties::EMPTY, payload }
}

fn ack<'a>(bytes: &mut Bytes<'_>, kind: PacketType, version: Version) -> Ack<'a> {
    let packet_id = packet_id(bytes);
    Ack::with_reason(packet_id, reason(bytes, kind, version))
}

fn list<'a, T>(bytes: &mut Bytes<'a>, one: impl Fn(&mut Bytes<'a>) -> T) -> Vec<T> {
    (0..bytes.u8() % (MANY + 1)).map(|_| one(bytes)).collect()
}

fn packet_id(bytes: &mut Bytes<'_>) -> PacketId {
    PacketId::new(bytes.u16()).unwrap_or(PacketId::MIN)
}

/// A code: any with an odd byte, else one of those that such a packet of this version may carry.
fn reason(bytes: &mut Bytes<'_>, kind: PacketType, version: Version) -> ReasonCode {
    let choice = bytes.u8();
    let number = usize::from(choice >> 1);
    let is_fitting = |code: &&ReasonCode| {
        carriers(kind).iter().any(|carrier| code.allowed_in(*carrier))
            && (version.is_v5() || is_said_before_v5(**code, kind))
    };
    let fitting: Vec<_> = ReasonCode::ALL.iter().filter(is_fitting).collect();
    if choice & 1 == 0 && !fitting.is_empty() {
        return *fitting[number % fitting.len()];
    }
    ReasonCode::ALL[number % ReasonCode::ALL.len()]
}

fn is_said_before_v5(code: ReasonCode, kind: PacketType) -> bool {
    match kind {
        PacketType::ConnAck => code.to_v3_return_code().is_some(),
        PacketType::SubAck => !code.is_error() || code == ReasonCode::UnspecifiedError,
        _ => code == ReasonCode::Success,
    }
}

fn carriers(kind: PacketType) -> &'static [Carrier] {
    match kind {
        PacketType::ConnAck => &[Carrier::ConnAck],
        PacketType::PubAck => &[Carrier::PubAck],
        PacketType::PubRec => &[Carrier::PubRec],
        PacketType::PubRel => &[Carrier::PubRel],
        PacketType::PubComp => &[Carrier::PubComp],
        PacketType::SubAck => &[Carrier::SubAck],
        PacketType::UnsubAck => &[Carrier::UnsubAck],
        PacketType::Disconnect => &[Carrier::ClientDisconnect, Carrier::ServerDisconnect],
        PacketType::Auth => &[Carrier::ClientAuth, Carrier::ServerAuth],
        _ => &[],
    }
}

/// The options of version 5 before it only with the highest bit.
fn subscription<'a>(bytes: &mut Bytes<'a>, version: Version) -> Subscription<'a> {
    let choice = bytes.u8();
    let options = if version.is_v5() || choice & 0x80 != 0 { choice } else { choice & 3 };
    Subscription {
        filter: filter(bytes),
        qos: LEVELS[usize::from(options & 3) % LEVELS.len()],
        no_local: options & 0x04 != 0,
        retain_as_published: options & 0x08 != 0,
        retain_handling: RETAIN_HANDLINGS[usize::from(options >> 4 & 3) % 3],
    }
}

/// Bytes of their own length, or about as many as a field can have, or one more.
fn binary<'a>(bytes: &mut Bytes<'a>) -> &'a [u8] {
    match bytes.u8() {
        255 => &OVERLONG,
        254 => &OVERLONG[1..],
        length => bytes.take(usize::from(length)),
    }
}

fn text<'a>(bytes: &mut Bytes<'a>) -> Text<'a> {
    let length = bytes.u8();
    let raw = if length == 255 { &OVERLONG[1..] } else { bytes.take(usize::from(length)) };
    match Text::from_bytes(raw) {
        Ok(text) if length != 0 => text,
        _ => Text::new(bytes.pick(&TEXTS)).unwrap_or_default(),
    }
}

fn topic<'a>(bytes: &mut Bytes<'a>) -> TopicName<'a> {
    let length = usize::from(bytes.u8());
    TopicName::from_bytes(bytes.take(length)).unwrap_or_else(|_| {
        TopicName::new(bytes.pick(&TOPICS)).expect("every one of them is a topic name")
    })
}

fn filter<'a>(bytes: &mut Bytes<'a>) -> TopicFilter<'a> {
    let length = usize::from(bytes.u8());
    TopicFilter::from_bytes(bytes.take(length)).unwrap_or_else(|_| {
        TopicFilter::new(bytes.pick(&FILTERS)).expect("every one of them is a topic filter")
    })
}

/// Some properties: any with an odd first byte, else such as may stand in `place`.
fn properties<'a>(bytes: &mut Bytes<'a>, place: Place, version: Version) -> Vec<Property<'a>> {
    let choice = bytes.u8();
    let fitting: Vec<_> = if choice & 1 != 0 {
        PropertyId::ALL.to_vec()
    } else if version.is_v5() {
        PropertyId::ALL.iter().copied().filter(|id| id.allowed_in(place)).collect()
    } else {
        return Vec::new();
    };
    let mut properties: Vec<Property<'a>> = Vec::new();
    for _ in 0..(choice >> 1) % (MANY + 1) {
        let id = bytes.pick(&fitting);
        let again = properties.iter().any(|one| one.id() == id);
        if choice & 1 != 0 || !again || id.repeats_in(place) {
            properties.push(property(bytes, id));
        }
    }
    properties
}

fn property<'a>(bytes: &mut Bytes<'a>, id: PropertyId) -> Property<'a> {
    let short = |bytes: &mut Bytes<'_>| NonZeroU16::new(bytes.u16()).unwrap_or(NonZeroU16::MAX);
    match id {
        PropertyId::PayloadFormatIndicator => Property::PayloadFormatIndicator(bytes.flag()),
        PropertyId::MessageExpiryInterval => Property::MessageExpiryInterval(bytes.u32()),
        PropertyId::ContentType => Property::ContentType(text(bytes)),
        PropertyId::ResponseTopic => Property::ResponseTopic(topic(bytes)),
        PropertyId::CorrelationData => Property::CorrelationData(binary(bytes)),
        PropertyId::SubscriptionIdentifier => {
            let number = bytes.u32() >> bytes.pick(&[4, 11, 18, 25]);
            let id = SubscriptionId::new(number.max(1)).expect("28 bits and not 0");
            Property::SubscriptionIdentifier(id)
        }
        PropertyId::SessionExpiryInterval => Property::SessionExpiryInterval(bytes.u32()),
        PropertyId::AssignedClientIdentifier => Property::AssignedClientIdentifier(text(bytes)),
        PropertyId::ServerKeepAlive => Property::ServerKeepAlive(bytes.u16()),
        PropertyId::AuthenticationMethod => Property::AuthenticationMethod(text(bytes)),
        PropertyId::AuthenticationData => Property::AuthenticationData(binary(bytes)),
        PropertyId::RequestProblemInformation => Property::RequestProblemInformation(bytes.flag()),
        PropertyId::WillDelayInterval => Property::WillDelayInterval(bytes.u32()),
        PropertyId::RequestResponseInformation => {
            Property::RequestResponseInformation(bytes.flag())
        }
        PropertyId::ResponseInformation => Property::ResponseInformation(text(bytes)),
        PropertyId::ServerReference => Property::ServerReference(text(bytes)),
        PropertyId::ReasonString => Property::ReasonString(text(bytes)),
        PropertyId::ReceiveMaximum => Property::ReceiveMaximum(short(bytes)),
        PropertyId::TopicAliasMaximum => Property::TopicAliasMaximum(bytes.u16()),
        PropertyId::TopicAlias => Property::TopicAlias(short(bytes)),
        PropertyId::MaximumQoS => Property::MaximumQoS(bytes.pick(&LEVELS)),
        PropertyId::RetainAvailable => Property::RetainAvailable(bytes.flag()),
        PropertyId::UserProperty => Property::UserProperty((text(bytes), text(bytes))),
        PropertyId::MaximumPacketSize => {
            Property::MaximumPacketSize(NonZeroU32::new(bytes.u32()).unwrap_or(NonZeroU32::MAX))
        }
        PropertyId::WildcardSubscriptionAvailable => {
            Property::WildcardSubscriptionAvailable(bytes.flag())
        }
        PropertyId::SubscriptionIdentifierAvailable => {
            Property::SubscriptionIdentifierAvailable(bytes.flag())
        }
        PropertyId::SharedSubscriptionAvailable => {
            Property::SharedSubscriptionAvailable(bytes.flag())
        }
    }
}
