//! A decoded packet looked at from every side: what it says of itself must agree.

use std::fmt::{Debug, Display};

use tamtam_core::{
    Ack, Carrier, Connect, Packet, PacketType, Place, Properties, Property, PropertyId, Publish,
    ReasonCode, Sender, Text, TopicFilter, TopicName, Version,
};

use super::lists::{Lists, properties_of};

/// Where in the protocol a packet was found.
#[derive(Clone, Copy)]
struct Origin {
    version: Version,
    sender: Sender,
}

/// Asks a decoded packet everything that can be asked.
pub(super) fn walk(packet: &Packet<'_>, version: Version, sender: Sender) {
    let origin = Origin { version, sender };
    let lists = Lists::of(packet);
    let place = place_of(packet.packet_type(), sender);
    walk_properties(properties_of(packet), &lists.properties, place, origin);
    match packet {
        Packet::Connect(connect) => walk_connect(connect, &lists, origin),
        Packet::ConnAck(ack) => {
            walk_reason(ack.reason, Carrier::ConnAck);
            assert!(!ack.session_present || ack.reason == ReasonCode::Success);
            assert!(version.is_v5() || ack.reason.to_v3_return_code().is_some());
        }
        Packet::Publish(publish) => walk_publish(publish),
        Packet::PubAck(ack) => walk_ack(ack, Carrier::PubAck),
        Packet::PubRec(ack) => walk_ack(ack, Carrier::PubRec),
        Packet::PubRel(ack) => walk_ack(ack, Carrier::PubRel),
        Packet::PubComp(ack) => walk_ack(ack, Carrier::PubComp),
        Packet::Subscribe(subscribe) => {
            walk_count(subscribe.subscriptions.count(), subscribe.subscriptions.is_empty());
            for one in subscribe.subscriptions {
                walk_filter(one.filter);
                assert!(!(one.no_local && one.filter.share_name().is_some()));
            }
        }
        Packet::Unsubscribe(unsubscribe) => {
            walk_count(unsubscribe.filters.count(), unsubscribe.filters.is_empty());
            unsubscribe.filters.iter().for_each(walk_filter);
        }
        Packet::SubAck(ack) => {
            walk_count(ack.codes.count(), ack.codes.is_empty());
            ack.codes.iter().for_each(|code| walk_reason(code, Carrier::SubAck));
        }
        Packet::UnsubAck(ack) => {
            assert_eq!(ack.codes.is_empty(), !version.is_v5());
            ack.codes.iter().for_each(|code| walk_reason(code, Carrier::UnsubAck));
        }
        Packet::Disconnect(disconnect) => {
            walk_reason(disconnect.reason, carrier_of_disconnect(sender));
        }
        Packet::Auth(auth) => walk_reason(auth.reason, carrier_of_auth(sender)),
        _ => {}
    }
}

/// Where the properties of such a packet stand.
pub(super) fn place_of(packet: PacketType, sender: Sender) -> Place {
    match (packet, sender) {
        (PacketType::ConnAck, _) => Place::ConnAck,
        (PacketType::Publish, Sender::Client) => Place::ClientPublish,
        (PacketType::Publish, Sender::Server) => Place::ServerPublish,
        (PacketType::PubAck, _) => Place::PubAck,
        (PacketType::PubRec, _) => Place::PubRec,
        (PacketType::PubRel, _) => Place::PubRel,
        (PacketType::PubComp, _) => Place::PubComp,
        (PacketType::Subscribe, _) => Place::Subscribe,
        (PacketType::SubAck, _) => Place::SubAck,
        (PacketType::Unsubscribe, _) => Place::Unsubscribe,
        (PacketType::UnsubAck, _) => Place::UnsubAck,
        (PacketType::Disconnect, Sender::Client) => Place::ClientDisconnect,
        (PacketType::Disconnect, Sender::Server) => Place::ServerDisconnect,
        (PacketType::Auth, _) => Place::Auth,
        _ => Place::Connect,
    }
}

/// Whose codes an AUTH carries.
pub(super) fn carrier_of_auth(sender: Sender) -> Carrier {
    match sender {
        Sender::Client => Carrier::ClientAuth,
        Sender::Server => Carrier::ServerAuth,
    }
}

/// Whose codes a DISCONNECT carries.
pub(super) fn carrier_of_disconnect(sender: Sender) -> Carrier {
    match sender {
        Sender::Client => Carrier::ClientDisconnect,
        Sender::Server => Carrier::ServerDisconnect,
    }
}

fn walk_connect(connect: &Connect<'_>, lists: &Lists<'_>, origin: Origin) {
    assert_eq!(connect.version, origin.version);
    walk_text(connect.client_id);
    connect.user_name.into_iter().for_each(walk_text);
    assert!(origin.version.is_v5() || connect.password.is_none() || connect.user_name.is_some());
    if let Some(will) = connect.will {
        walk_topic(will.topic);
        walk_properties(will.properties, &lists.will_properties, Place::Will, origin);
    }
}

fn walk_publish(publish: &Publish<'_>) {
    let delivery = publish.delivery;
    assert_eq!(delivery.packet_id().is_some(), delivery.qos().level() > 0);
    assert!(!delivery.dup() || delivery.qos().level() > 0);
    publish.topic.into_iter().for_each(walk_topic);
    assert!(publish.topic.is_some() || publish.properties.topic_alias().is_some());
}

fn walk_ack(ack: &Ack<'_>, carrier: Carrier) {
    walk_reason(ack.reason, carrier);
    show(&ack.packet_id);
}

fn walk_reason(reason: ReasonCode, carrier: Carrier) {
    assert!(reason.allowed_in(carrier), "{reason} in {carrier:?}");
    assert_eq!(ReasonCode::from_byte(reason.as_byte()), Some(reason));
    assert!(!reason.name().is_empty());
}

fn walk_count(count: usize, is_empty: bool) {
    assert!(count > 0 && !is_empty, "{count} things in a packet that must have one");
}

/// That `Display` and `Debug` have something to say.
fn show(value: &(impl Debug + Display)) {
    assert!(!value.to_string().is_empty());
    assert!(!format!("{value:?}").is_empty());
}

/// A checked string: what it shows is what it holds, and it passes its check again.
pub(super) fn walk_text(text: Text<'_>) {
    let characters = text.as_str();
    assert_eq!(characters.as_bytes(), text.as_bytes(), "as_str lost something");
    assert_eq!((text.len(), text.is_empty()), (characters.len(), characters.is_empty()));
    assert!(!characters.contains('\0') && text.len() <= Text::MAX_LEN);
    assert_eq!(Text::from_bytes(text.as_bytes()), Ok(text));
    assert_eq!(Text::new(characters), Ok(text));
    assert_eq!(text.to_string(), characters);
}

fn walk_topic(topic: TopicName<'_>) {
    walk_text(topic.text());
    assert_eq!(TopicName::new(topic.as_str()), Ok(topic));
    show(&topic);
}

fn walk_filter(filter: TopicFilter<'_>) {
    walk_text(filter.text());
    assert_eq!(TopicFilter::new(filter.as_str()), Ok(filter));
    show(&filter);
}

/// Checks every getter against a search in `list`, which holds the same properties.
macro_rules! check_getters {
    ($properties:ident, $list:ident,
     once: $($once:ident $One:ident)*, many: $($many:ident $Many:ident)*) => {
        $(
            let mut all = $list.iter().filter_map(|property| match property {
                Property::$One(value) => Some(*value),
                _ => None,
            });
            assert_eq!($properties.$once(), all.next());
            assert_eq!(all.next(), None, "{} twice", stringify!($once));
        )*
        $(
            let all = $list.iter().filter_map(|property| match property {
                Property::$Many(value) => Some(*value),
                _ => None,
            });
            assert!($properties.$many().eq(all), "{}", stringify!($many));
        )*
    };
}

fn walk_properties(
    properties: Properties<'_>,
    list: &[Property<'_>],
    place: Place,
    origin: Origin,
) {
    assert_eq!(properties.is_empty(), list.is_empty());
    assert!(origin.version.is_v5() || list.is_empty(), "properties in {}", origin.version);
    assert_eq!(properties, Properties::new(list));
    for id in PropertyId::ALL {
        let times = list.iter().filter(|property| property.id() == *id).count();
        assert_eq!(properties.contains(*id), times > 0, "{}", id.name());
        assert!(times == 0 || id.allowed_in(place), "{} in {place:?}", id.name());
        assert!(times <= 1 || id.repeats_in(place), "{} twice in {place:?}", id.name());
    }
    if !list.is_empty() {
        walk_values(list);
        walk_getters(properties, list, origin);
    }
}

fn walk_values(list: &[Property<'_>]) {
    for property in list {
        match *property {
            Property::ResponseTopic(topic) => walk_topic(topic),
            Property::UserProperty((name, value)) => {
                walk_text(name);
                walk_text(value);
            }
            Property::ContentType(text)
            | Property::AssignedClientIdentifier(text)
            | Property::AuthenticationMethod(text)
            | Property::ResponseInformation(text)
            | Property::ServerReference(text)
            | Property::ReasonString(text) => walk_text(text),
            _ => {}
        }
    }
}

fn walk_getters(properties: Properties<'_>, list: &[Property<'_>], origin: Origin) {
    check_getters! {
        properties, list,
        once:
            payload_format_indicator PayloadFormatIndicator
            message_expiry_interval MessageExpiryInterval
            content_type ContentType
            response_topic ResponseTopic
            correlation_data CorrelationData
            session_expiry_interval SessionExpiryInterval
            assigned_client_identifier AssignedClientIdentifier
            server_keep_alive ServerKeepAlive
            authentication_method AuthenticationMethod
            authentication_data AuthenticationData
            request_problem_information RequestProblemInformation
            will_delay_interval WillDelayInterval
            request_response_information RequestResponseInformation
            response_information ResponseInformation
            server_reference ServerReference
            reason_string ReasonString
            receive_maximum ReceiveMaximum
            topic_alias_maximum TopicAliasMaximum
            topic_alias TopicAlias
            maximum_qos MaximumQoS
            retain_available RetainAvailable
            maximum_packet_size MaximumPacketSize
            wildcard_subscription_available WildcardSubscriptionAvailable
            subscription_identifier_available SubscriptionIdentifierAvailable
            shared_subscription_available SharedSubscriptionAvailable,
        many:
            subscription_identifiers SubscriptionIdentifier
            user_properties UserProperty
    }
    let from_client = origin.sender == Sender::Client;
    assert!(!from_client || properties.subscription_identifiers().count() <= 1);
}
