//! What may not be sent: it can't be built, or it is an error that names the field.

use tamtam_core::{
    Ack, Auth, ConnAck, Connect, Delivery, Disconnect, EncodeError, Field, Items, Packet, PacketId,
    PacketType, Place, Properties, Property, PropertyId, Publish, QoS, ReasonCode, RetainHandling,
    Sin, SubAck, Subscribe, Subscription, SubscriptionId, TopicName, UnsubAck, Unsubscribe, Will,
};

use crate::support::*;

#[track_caller]
fn is_sin(version: Version, packet: &Packet<'_>, sin: Sin, field: Field) {
    let expected = EncodeError::Sin { sin, field, packet: packet.packet_type(), version };
    assert_eq!(unsendable(version, packet), expected);
}

#[track_caller]
fn is_not_in(version: Version, packet: &Packet<'_>, field: Field) {
    let packet_type = packet.packet_type();
    let expected = EncodeError::NotInVersion { packet: packet_type, field, version };
    assert_eq!(unsendable(version, packet), expected);
}

fn subscribe(subscriptions: &[Subscription<'static>]) -> Packet<'static> {
    let subscriptions = Items::from(&*subscriptions.to_vec().leak());
    Packet::Subscribe(Subscribe { packet_id: id(1), properties: Properties::EMPTY, subscriptions })
}

fn sub_ack(codes: &[ReasonCode]) -> Packet<'static> {
    let codes = Items::from(&*codes.to_vec().leak());
    Packet::SubAck(SubAck { packet_id: id(1), properties: Properties::EMPTY, codes })
}

fn unsub_ack(codes: &[ReasonCode]) -> Packet<'static> {
    let codes = Items::from(&*codes.to_vec().leak());
    Packet::UnsubAck(UnsubAck { packet_id: id(1), properties: Properties::EMPTY, codes })
}

// [MQTT5-3.3.2-2, MQTT3-3.3.2-2, MQTT5-1.5.4-2, MQTT3-1.5.3-2, MQTT3-2.3.1-1]
#[test]
fn some_things_can_not_even_be_built() {
    assert!(TopicName::new("a/#").is_err() && TopicName::new("").is_err());
    assert!(TopicName::new("a\0").is_err());
    assert_eq!(PacketId::new(0), None);
    assert_eq!(SubscriptionId::new(0), None);
    assert_eq!(SubscriptionId::new(268_435_456), None);
    assert_eq!(SubscriptionId::new(268_435_455).map(SubscriptionId::get), Some(268_435_455));
    assert_eq!((QoS::from_level(3), QoS::from_level(2)), (None, Some(QoS::ExactlyOnce)));
}

/// A property with a value that can be sent.
fn property(id: PropertyId) -> Property<'static> {
    let (text, number) = (text("x"), 1);
    match id {
        PropertyId::PayloadFormatIndicator => Property::PayloadFormatIndicator(true),
        PropertyId::MessageExpiryInterval => Property::MessageExpiryInterval(number),
        PropertyId::ContentType => Property::ContentType(text),
        PropertyId::ResponseTopic => Property::ResponseTopic(topic("x")),
        PropertyId::CorrelationData => Property::CorrelationData(b"x"),
        PropertyId::SubscriptionIdentifier => {
            Property::SubscriptionIdentifier(SubscriptionId::new(number).expect("in range"))
        }
        PropertyId::SessionExpiryInterval => Property::SessionExpiryInterval(number),
        PropertyId::AssignedClientIdentifier => Property::AssignedClientIdentifier(text),
        PropertyId::ServerKeepAlive => Property::ServerKeepAlive(1),
        PropertyId::AuthenticationMethod => Property::AuthenticationMethod(text),
        PropertyId::AuthenticationData => Property::AuthenticationData(b"x"),
        PropertyId::RequestProblemInformation => Property::RequestProblemInformation(true),
        PropertyId::WillDelayInterval => Property::WillDelayInterval(number),
        PropertyId::RequestResponseInformation => Property::RequestResponseInformation(true),
        PropertyId::ResponseInformation => Property::ResponseInformation(text),
        PropertyId::ServerReference => Property::ServerReference(text),
        PropertyId::ReasonString => Property::ReasonString(text),
        PropertyId::ReceiveMaximum => Property::ReceiveMaximum(core::num::NonZero::<u16>::MIN),
        PropertyId::TopicAliasMaximum => Property::TopicAliasMaximum(1),
        PropertyId::TopicAlias => Property::TopicAlias(core::num::NonZero::<u16>::MIN),
        PropertyId::MaximumQoS => Property::MaximumQoS(QoS::AtLeastOnce),
        PropertyId::RetainAvailable => Property::RetainAvailable(true),
        PropertyId::UserProperty => Property::UserProperty((text, text)),
        PropertyId::MaximumPacketSize => {
            Property::MaximumPacketSize(core::num::NonZero::<u32>::MIN)
        }
        PropertyId::WildcardSubscriptionAvailable => Property::WildcardSubscriptionAvailable(true),
        PropertyId::SubscriptionIdentifierAvailable => {
            Property::SubscriptionIdentifierAvailable(true)
        }
        PropertyId::SharedSubscriptionAvailable => Property::SharedSubscriptionAvailable(true),
    }
}

/// Every packet with these properties, with the places that its properties have. Whoever writes
/// PUBLISH and DISCONNECT may be either side.
fn packets_with(properties: Properties<'static>) -> Vec<(Packet<'static>, Vec<Place>)> {
    let plain = Connect::new(V5, text("id"));
    let will = Will { properties, ..Will::new(topic("w"), b"") };
    let (packet_id, reason) = (id(1), ReasonCode::Success);
    let ack = Ack { packet_id, reason, properties };
    let subscriptions = (&*vec![Subscription::new(filter("a"))].leak()).into();
    let filters = (&*vec![filter("a")].leak()).into();
    let codes = (&*vec![ReasonCode::Success].leak()).into();
    let publish = Publish { properties, ..Publish::new(topic("a"), b"x") };
    let reason_of_auth = ReasonCode::ContinueAuthentication;
    vec![
        (Packet::Connect(Connect { properties, ..plain }), vec![Place::Connect]),
        (Packet::Connect(Connect { will: Some(will), ..plain }), vec![Place::Will]),
        (
            Packet::ConnAck(ConnAck { properties, ..ConnAck::new(reason, false) }),
            vec![Place::ConnAck],
        ),
        (Packet::Publish(publish), vec![Place::ClientPublish, Place::ServerPublish]),
        (Packet::PubAck(ack), vec![Place::PubAck]),
        (Packet::PubRec(ack), vec![Place::PubRec]),
        (Packet::PubRel(ack), vec![Place::PubRel]),
        (Packet::PubComp(ack), vec![Place::PubComp]),
        (
            Packet::Subscribe(Subscribe { packet_id, properties, subscriptions }),
            vec![Place::Subscribe],
        ),
        (Packet::SubAck(SubAck { packet_id, properties, codes }), vec![Place::SubAck]),
        (
            Packet::Unsubscribe(Unsubscribe { packet_id, properties, filters }),
            vec![Place::Unsubscribe],
        ),
        (Packet::UnsubAck(UnsubAck { packet_id, properties, codes }), vec![Place::UnsubAck]),
        (
            Packet::Disconnect(Disconnect { reason, properties }),
            vec![Place::ClientDisconnect, Place::ServerDisconnect],
        ),
        (Packet::Auth(Auth { reason: reason_of_auth, properties }), vec![Place::Auth]),
    ]
}

/// What has to stand beside a property in a packet.
fn with_method(list: &[Property<'static>], places: &[Place]) -> Vec<Property<'static>> {
    let has = |id| list.iter().any(|property| property.id() == id);
    let wanted = has(PropertyId::AuthenticationData) || places == [Place::Auth];
    let allowed = places.iter().any(|place| PropertyId::AuthenticationMethod.allowed_in(*place));
    let method = Property::AuthenticationMethod(text("m"));
    let add = wanted && allowed && !has(PropertyId::AuthenticationMethod);
    list.iter().copied().chain(add.then_some(method)).collect()
}

#[test]
fn a_property_is_sent_only_where_it_is_allowed() {
    for id in PropertyId::ALL.iter().copied() {
        for (at, (_, places)) in packets_with(Properties::EMPTY).into_iter().enumerate() {
            let list = with_method(&[property(id)], &places);
            let (packet, _) = packets_with(properties(&list))[at];
            if places.iter().any(|place| id.allowed_in(*place)) {
                let sender = sender_of(&packet, id);
                assert_eq!(decode(V5, sender, &encoded(V5, &packet)), Ok(Some(packet)));
            } else {
                is_sin(V5, &packet, Sin::PropertyNotAllowed, Field::Property(id));
            }
        }
    }
}

/// Who may send this packet with this property.
fn sender_of(packet: &Packet<'_>, id: PropertyId) -> Sender {
    match packet.packet_type() {
        PacketType::ConnAck | PacketType::SubAck | PacketType::UnsubAck => Server,
        PacketType::Publish if id == PropertyId::SubscriptionIdentifier => Server,
        _ => Client,
    }
}

#[test]
fn a_property_is_sent_twice_only_where_it_may_repeat() {
    for id in PropertyId::ALL.iter().copied() {
        for (at, (_, places)) in packets_with(Properties::EMPTY).into_iter().enumerate() {
            if !places.iter().any(|place| id.allowed_in(*place)) {
                continue;
            }
            let list = with_method(&[property(id), property(id)], &places);
            let (packet, _) = packets_with(properties(&list))[at];
            if places.iter().any(|place| id.repeats_in(*place)) {
                assert!(packet.encoded_len(V5).is_ok());
            } else {
                is_sin(V5, &packet, Sin::PropertyTwice, Field::Property(id));
            }
        }
    }
}

#[test]
fn before_mqtt_5_there_are_no_properties() {
    let user = PropertyId::UserProperty;
    for (packet, places) in packets_with(properties(&[property(user)])) {
        for version in BEFORE_5 {
            let packet = match packet {
                Packet::Connect(connect) => Packet::Connect(Connect { version, ..connect }),
                packet => packet,
            };
            let field =
                if places == [Place::Auth] { Field::PacketType } else { Field::Property(user) };
            is_not_in(version, &packet, field);
        }
    }
}

#[test]
fn properties_that_were_read_in_one_packet_are_checked_in_another() {
    let read = accepted(V5, Client, "10( @ 02 0000 ( 11 0000003C ) <id> )");
    let Packet::Connect(connect) = read else { panic!("no CONNECT") };
    let publish = Publish { properties: connect.properties, ..Publish::new(topic("a"), b"") };
    let field = Field::Property(PropertyId::SessionExpiryInterval);
    is_sin(V5, &Packet::Publish(publish), Sin::PropertyNotAllowed, field);
    is_not_in(V311, &Packet::Publish(publish), field);
    let disconnect =
        Disconnect { properties: connect.properties, ..Disconnect::new(ReasonCode::Success) };
    let written = encoded(V5, &Packet::Disconnect(disconnect));
    assert_eq!(written, bytes(V5, "E0( 00 ( 11 0000003C ) )"));
}

#[test]
fn maximum_qos_2_is_said_by_leaving_it_out() {
    for (qos, written) in [(QoS::AtMostOnce, "00"), (QoS::AtLeastOnce, "01")] {
        let properties = properties(&[Property::MaximumQoS(qos)]);
        let connack = ConnAck { properties, ..ConnAck::new(ReasonCode::Success, false) };
        let expected = bytes(V5, &format!("20( 00 00 ( 24 {written} ) )"));
        assert_eq!(encoded(V5, &Packet::ConnAck(connack)), expected);
    }
    let properties = properties(&[Property::MaximumQoS(QoS::ExactlyOnce)]);
    let connack = ConnAck { properties, ..ConnAck::new(ReasonCode::Success, false) };
    let field = Field::Property(PropertyId::MaximumQoS);
    is_sin(V5, &Packet::ConnAck(connack), Sin::PropertyValue, field);
}

#[test]
fn binary_fields_are_at_most_65_535_bytes_long() {
    for (length, fits) in [(65_535, true), (65_536, false)] {
        let data: &'static [u8] = vec![0; length].leak();
        let list = |property| properties(&[Property::AuthenticationMethod(text("m")), property]);
        let connect = Connect::new(V5, text("id"));
        let will = Will::new(topic("w"), data);
        let correlated = properties(&[Property::CorrelationData(data)]);
        let user_name = Some(text("ann"));
        for (packet, field) in [
            (
                Packet::Connect(Connect { password: Some(data), user_name, ..connect }),
                Field::Password,
            ),
            (Packet::Connect(Connect { will: Some(will), ..connect }), Field::WillPayload),
            (
                Packet::Publish(Publish {
                    properties: correlated,
                    ..Publish::new(topic("a"), b"")
                }),
                Field::Property(PropertyId::CorrelationData),
            ),
            (
                Packet::Connect(Connect {
                    properties: list(Property::AuthenticationData(data)),
                    ..connect
                }),
                Field::Property(PropertyId::AuthenticationData),
            ),
        ] {
            if fits {
                assert_eq!(decode(V5, Client, &encoded(V5, &packet)), Ok(Some(packet)));
            } else {
                assert_eq!(unsendable(V5, &packet), EncodeError::FieldTooLong { field });
            }
        }
    }
}

#[test]
fn a_packet_is_at_most_268_435_460_bytes_long() {
    let zeros = vec![0; 268_435_453]; // never touched: only their length is asked for
    for version in EVERY {
        let head = bytes(version, "<a> ~").len();
        let longest = Publish::new(topic("a"), &zeros[..268_435_455 - head]);
        assert_eq!(Packet::Publish(longest).encoded_len(version), Ok(268_435_460));
        let longer = Publish::new(topic("a"), &zeros[..268_435_456 - head]);
        let error = EncodeError::TooLong { length: 268_435_456 };
        assert_eq!(unsendable(version, &Packet::Publish(longer)), error);
    }
}

#[test]
fn a_connect_says_the_version_of_its_connection() {
    for (version, other) in EVERY.into_iter().flat_map(|v| EVERY.map(|other| (v, other))) {
        let packet = Packet::Connect(Connect::new(version, text("id")));
        if version == other {
            assert_eq!(encoded(version, &packet), bytes(version, "10( @ 02 0000 ~ <id> )"));
        } else {
            is_not_in(other, &packet, Field::ProtocolLevel);
        }
    }
}

// [MQTT3-3.1.2-22]
#[test]
fn before_mqtt_5_a_password_needs_a_user_name() {
    for version in BEFORE_5 {
        let connect = Connect { password: Some(b"pw"), ..Connect::new(version, text("id")) };
        let packet = Packet::Connect(connect);
        is_sin(version, &packet, Sin::PasswordWithoutUserName, Field::Password);
        let packet = Packet::Connect(Connect { user_name: Some(text("ann")), ..connect });
        assert_eq!(encoded(version, &packet), bytes(version, "10( @ C2 0000 <id> <ann> <pw> )"));
    }
}

#[test]
fn authentication_data_are_sent_with_a_method() {
    let data = properties(&[Property::AuthenticationData(b"x")]);
    let connect = Connect { properties: data, ..Connect::new(V5, text("id")) };
    is_sin(V5, &Packet::Connect(connect), Sin::AuthenticationData, Field::PropertyLength);
    let connack = ConnAck { properties: data, ..ConnAck::new(ReasonCode::Success, false) };
    is_sin(V5, &Packet::ConnAck(connack), Sin::AuthenticationData, Field::PropertyLength);
    for (reason, properties) in [
        (ReasonCode::ContinueAuthentication, data),
        (ReasonCode::ContinueAuthentication, Properties::EMPTY),
        (ReasonCode::ReAuthenticate, Properties::EMPTY),
        (ReasonCode::Success, data),
    ] {
        let packet = Packet::Auth(Auth { reason, properties });
        is_sin(V5, &packet, Sin::AuthenticationMethod, Field::PropertyLength);
    }
}

// [MQTT5-3.2.2-6, MQTT3-3.2.2-4]
#[test]
fn a_refusal_has_no_session() {
    for version in [V311, V5] {
        let packet = Packet::ConnAck(ConnAck::new(ReasonCode::NotAuthorized, true));
        is_sin(version, &packet, Sin::SessionPresentOnError, Field::AcknowledgeFlags);
    }
    let packet = Packet::ConnAck(ConnAck::new(ReasonCode::Success, true));
    is_not_in(V31, &packet, Field::AcknowledgeFlags);
}

// [MQTT5-3.2.2-8, MQTT5-3.4.2-1, MQTT5-3.5.2-1, MQTT5-3.6.2-1, MQTT5-3.7.2-1, MQTT5-3.14.2-1]
// [MQTT5-3.15.2-1, MQTT5-3.9.3-2, MQTT5-3.11.3-2]
#[test]
fn a_reason_code_is_sent_only_in_its_packets() {
    let (wrong, packet_id) = (ReasonCode::GrantedQoS1, id(1));
    let ack = Ack::with_reason(packet_id, wrong);
    let method = properties(&[Property::AuthenticationMethod(text("m"))]);
    for packet in [
        Packet::ConnAck(ConnAck::new(wrong, false)),
        Packet::PubAck(ack),
        Packet::PubRec(ack),
        Packet::PubRel(ack),
        Packet::PubComp(ack),
        Packet::Disconnect(Disconnect::new(wrong)),
        Packet::Auth(Auth { reason: wrong, properties: method }),
        unsub_ack(&[ReasonCode::Success, wrong]),
        sub_ack(&[wrong, ReasonCode::NoSubscriptionExisted]),
    ] {
        is_sin(V5, &packet, Sin::ReasonCode, Field::ReasonCode);
    }
}

#[test]
fn before_mqtt_5_acknowledgements_have_no_reason() {
    let ack = Ack::with_reason(id(1), ReasonCode::PacketIdentifierNotFound);
    let refusal = Ack::with_reason(id(1), ReasonCode::NotAuthorized);
    for version in BEFORE_5 {
        for packet in [
            Packet::PubAck(refusal),
            Packet::PubRec(refusal),
            Packet::PubRel(ack),
            Packet::PubComp(ack),
            Packet::Disconnect(Disconnect::new(ReasonCode::DisconnectWithWill)),
            Packet::ConnAck(ConnAck::new(ReasonCode::QuotaExceeded, false)),
            unsub_ack(&[ReasonCode::Success]),
        ] {
            is_not_in(version, &packet, Field::ReasonCode);
        }
    }
}

// [MQTT3-3.9.3-2]
#[test]
fn before_mqtt_5_a_suback_has_four_codes() {
    for version in BEFORE_5 {
        for reason in ReasonCode::ALL {
            let packet = sub_ack(&[*reason]);
            if [0x00, 0x01, 0x02, 0x80].contains(&reason.as_byte()) {
                assert_eq!(encoded(version, &packet), [0x90, 3, 0, 1, reason.as_byte()]);
            } else {
                is_sin(version, &packet, Sin::ReasonCode, Field::ReasonCode);
            }
        }
    }
}

// [MQTT5-3.8.3-2, MQTT3-3.8.3-3, MQTT5-3.10.3-2, MQTT3-3.10.3-2]
#[test]
fn empty_lists_are_not_sent() {
    let (packet_id, properties, filters) = (id(1), Properties::EMPTY, Items::EMPTY);
    for version in EVERY {
        is_sin(version, &subscribe(&[]), Sin::NoFilter, Field::TopicFilter);
        let packet = Packet::Unsubscribe(Unsubscribe { packet_id, properties, filters });
        is_sin(version, &packet, Sin::NoFilterToLeave, Field::TopicFilter);
        is_sin(version, &sub_ack(&[]), Sin::NoReasonCode, Field::ReasonCode);
    }
    is_sin(V5, &unsub_ack(&[]), Sin::NoReasonCode, Field::ReasonCode);
}

#[test]
fn subscription_options_of_mqtt_5_are_not_sent_before() {
    let plain = Subscription::new(filter("a"));
    for options in [
        Subscription { no_local: true, ..plain },
        Subscription { retain_as_published: true, ..plain },
        Subscription { retain_handling: RetainHandling::SendIfNew, ..plain },
        Subscription { retain_handling: RetainHandling::DoNotSend, ..plain },
    ] {
        for version in BEFORE_5 {
            is_not_in(version, &subscribe(&[plain, options]), Field::SubscriptionOptions);
        }
        assert!(subscribe(&[plain, options]).encoded_len(V5).is_ok());
    }
}

// [MQTT5-3.8.3-4]
#[test]
fn no_local_is_not_sent_on_a_shared_subscription() {
    let shared = Subscription::new(filter("$share/g/a"));
    let packet = subscribe(&[shared, Subscription { no_local: true, ..shared }]);
    is_sin(V5, &packet, Sin::NoLocalOnShared, Field::SubscriptionOptions);
}

#[test]
fn a_publish_is_sent_with_a_topic_or_an_alias() {
    let publish = Publish { topic: None, ..Publish::new(topic("a"), b"x") };
    for version in EVERY {
        is_sin(version, &Packet::Publish(publish), Sin::EmptyTopic, Field::TopicName);
    }
    let delivery = Delivery::AtLeastOnce { packet_id: id(1), dup: false };
    let properties = properties(&[property(PropertyId::TopicAlias)]);
    let packet = Packet::Publish(Publish { delivery, properties, ..publish });
    assert_eq!(encoded(V5, &packet), bytes(V5, "32( <> 0001 ( 23 0001 ) 'x' )"));
    is_not_in(V311, &packet, Field::Property(PropertyId::TopicAlias));
}

#[test]
fn there_is_no_auth_to_send_before_mqtt_5() {
    let reason = ReasonCode::Success;
    for version in BEFORE_5 {
        let packet = Packet::Auth(Auth { reason, properties: Properties::EMPTY });
        is_not_in(version, &packet, Field::PacketType);
    }
}
