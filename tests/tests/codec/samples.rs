//! One of every packet, as a value and as the bytes that it is written to.

use tamtam_core::{
    Ack, Auth, ConnAck, Connect, Delivery, Disconnect, Items, Packet, Properties, Property,
    Publish, QoS, ReasonCode, RetainHandling, SubAck, Subscribe, Subscription, SubscriptionId,
    UnsubAck, Unsubscribe, Will,
};

use crate::support::*;

/// A packet, who may send it, and the shortest bytes that say it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) version: Version,
    pub(crate) sender: Sender,
    pub(crate) packet: Packet<'static>,
    pub(crate) bytes: &'static [u8],
}

/// Every packet of every version.
pub(crate) fn samples() -> Vec<Sample> {
    let of_version = |version| {
        let mut list = [connections(version), messages(), subscriptions(version)].concat();
        if version == V5 {
            list.extend([answers_of_5(), messages_of_5(), connections_of_5()].concat());
        }
        list.into_iter().flat_map(move |(senders, packet, written): Entry| {
            let bytes = bytes(version, written);
            senders.iter().map(move |sender| Sample { version, sender: *sender, packet, bytes })
        })
    };
    EVERY.into_iter().flat_map(of_version).collect()
}

type Entry = (&'static [Sender], Packet<'static>, &'static str);

const CLIENT: &[Sender] = &[Client];
const SERVER: &[Sender] = &[Server];
const EITHER: &[Sender] = &[Client, Server];

fn listed<T: tamtam_core::Item<'static>>(list: Vec<T>) -> Items<'static, T> {
    Items::from(&*list.leak())
}

fn connections(version: Version) -> Vec<Entry> {
    let short = Connect::new(version, text("id"));
    let will = Will { qos: QoS::ExactlyOnce, retain: true, ..Will::new(topic("w/t"), b"bye") };
    let long = Connect {
        clean_start: false,
        keep_alive: 60,
        will: Some(will),
        user_name: Some(text("ann")),
        password: Some(&[0x00, 0xFF]),
        ..short
    };
    let refusal = ConnAck::new(ReasonCode::NotAuthorized, false);
    let refused = if version == V5 { "20( 00 87 00 )" } else { "20( 00 05 )" };
    let mut list: Vec<Entry> = vec![
        (CLIENT, Packet::Connect(short), "10( @ 02 0000 ~ <id> )"),
        (CLIENT, Packet::Connect(long), "10( @ F4 003C ~ <id> ~ <w/t> <bye> <ann> 0002 00FF )"),
        (SERVER, Packet::ConnAck(ConnAck::new(ReasonCode::Success, false)), "20( 00 00 ~ )"),
        (SERVER, Packet::ConnAck(refusal), refused),
        (CLIENT, Packet::PingReq, "C0 00"),
        (SERVER, Packet::PingResp, "D0 00"),
        (CLIENT, Packet::Disconnect(Disconnect::new(ReasonCode::Success)), "E0 00"),
    ];
    if version != V31 {
        let resumed = ConnAck::new(ReasonCode::Success, true);
        list.push((SERVER, Packet::ConnAck(resumed), "20( 01 00 ~ )"));
    }
    list
}

fn messages() -> Vec<Entry> {
    let first = Publish::new(topic("a/b"), b"hello");
    let delivery = Delivery::AtLeastOnce { packet_id: id(7), dup: true };
    let second = Publish { delivery, retain: true, ..first };
    let delivery = Delivery::ExactlyOnce { packet_id: id(65_535), dup: false };
    let third = Publish { delivery, payload: b"", ..first };
    let long = Publish { payload: &[b'x'; 200], ..first };
    let long_written = format!("30( <a/b> ~ '{}' )", "x".repeat(200)).leak();
    vec![
        (EITHER, Packet::Publish(first), "30( <a/b> ~ 'hello' )"),
        (EITHER, Packet::Publish(second), "3B( <a/b> 0007 ~ 'hello' )"),
        (EITHER, Packet::Publish(third), "34( <a/b> FFFF ~ )"),
        (EITHER, Packet::Publish(long), long_written),
        (EITHER, Packet::PubAck(Ack::new(id(7))), "40( 0007 )"),
        (EITHER, Packet::PubRec(Ack::new(id(7))), "50( 0007 )"),
        (EITHER, Packet::PubRel(Ack::new(id(7))), "62( 0007 )"),
        (EITHER, Packet::PubComp(Ack::new(id(7))), "70( 0007 )"),
    ]
}

fn subscriptions(version: Version) -> Vec<Entry> {
    let (packet_id, properties) = (id(10), Properties::EMPTY);
    let all = Subscription::new(filter("#"));
    let subscriptions = listed(vec![Subscription::new(filter("a/+")).qos(QoS::AtLeastOnce), all]);
    let codes = listed(vec![ReasonCode::GrantedQoS1, ReasonCode::UnspecifiedError]);
    let filters = listed(vec![filter("a/+"), filter("$share/g/#")]);
    let (ended, ended_written) = if version == V5 {
        let codes = listed(vec![ReasonCode::Success, ReasonCode::NoSubscriptionExisted]);
        (UnsubAck { packet_id, properties, codes }, "B0( 000A 00 00 11 )")
    } else {
        (UnsubAck { packet_id, properties, codes: Items::EMPTY }, "B0( 000A )")
    };
    vec![
        (
            CLIENT,
            Packet::Subscribe(Subscribe { packet_id, properties, subscriptions }),
            "82( 000A ~ <a/+> 01 <#> 02 )",
        ),
        (SERVER, Packet::SubAck(SubAck { packet_id, properties, codes }), "90( 000A ~ 01 80 )"),
        (
            CLIENT,
            Packet::Unsubscribe(Unsubscribe { packet_id, properties, filters }),
            "A2( 000A ~ <a/+> <$share/g/#> )",
        ),
        (SERVER, Packet::UnsubAck(ended), ended_written),
    ]
}

fn why() -> Properties<'static> {
    properties(&[Property::ReasonString(text("why"))])
}

/// Acknowledgements of MQTT 5 with a reason, then with properties too.
fn answers_of_5() -> Vec<Entry> {
    let short = |byte| Ack::with_reason(id(7), code(byte));
    let long = |byte| Ack { properties: why(), ..short(byte) };
    let (packet_id, properties) = (id(10), why());
    let codes = listed(vec![code(0x8F)]);
    vec![
        (EITHER, Packet::PubAck(short(0x10)), "40( 0007 10 )"),
        (EITHER, Packet::PubRec(short(0x97)), "50( 0007 97 )"),
        (EITHER, Packet::PubRel(short(0x92)), "62( 0007 92 )"),
        (EITHER, Packet::PubComp(short(0x92)), "70( 0007 92 )"),
        (EITHER, Packet::PubAck(long(0x00)), "40( 0007 00 ( 1F <why> ) )"),
        (EITHER, Packet::PubRec(long(0x80)), "50( 0007 80 ( 1F <why> ) )"),
        (EITHER, Packet::PubRel(long(0x92)), "62( 0007 92 ( 1F <why> ) )"),
        (EITHER, Packet::PubComp(long(0x00)), "70( 0007 00 ( 1F <why> ) )"),
        (
            SERVER,
            Packet::SubAck(SubAck { packet_id, properties, codes }),
            "90( 000A ( 1F <why> ) 8F )",
        ),
        (
            SERVER,
            Packet::UnsubAck(UnsubAck { packet_id, properties, codes }),
            "B0( 000A ( 1F <why> ) 8F )",
        ),
    ]
}

fn messages_of_5() -> Vec<Entry> {
    let alias = Property::TopicAlias(5.try_into().expect("not 0"));
    let user = Property::UserProperty((text("k"), text("v")));
    let id_of = |number| SubscriptionId::new(number).expect("in range");
    let plain = Publish::new(topic("a"), b"x");
    let aliased = Publish { topic: None, properties: properties(&[alias]), ..plain };
    let full = [Property::PayloadFormatIndicator(true), Property::MessageExpiryInterval(60), user];
    let full = Publish { properties: properties(&full), ..plain };
    let routed = [1, 268_435_455].map(|number| Property::SubscriptionIdentifier(id_of(number)));
    let routed = Publish { properties: properties(&routed), ..plain };
    let with_options = Subscription {
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
        ..Subscription::new(filter("a"))
    };
    let packet_id = id(10);
    let subscribe = Subscribe {
        packet_id,
        properties: properties(&[Property::SubscriptionIdentifier(id_of(128)), user]),
        subscriptions: listed(vec![with_options]),
    };
    let filters = listed(vec![filter("a")]);
    let unsubscribe = Unsubscribe { packet_id, properties: properties(&[user]), filters };
    vec![
        (EITHER, Packet::Publish(aliased), "30( <> ( 23 0005 ) 'x' )"),
        (EITHER, Packet::Publish(full), "30( <a> ( 01 01 02 0000003C 26 <k><v> ) 'x' )"),
        (SERVER, Packet::Publish(routed), "30( <a> ( 0B 01 0B FFFFFF7F ) 'x' )"),
        (CLIENT, Packet::Subscribe(subscribe), "82( 000A ( 0B 8001 26 <k><v> ) <a> 2E )"),
        (CLIENT, Packet::Unsubscribe(unsubscribe), "A2( 000A ( 26 <k><v> ) <a> )"),
    ]
}

fn connections_of_5() -> Vec<Entry> {
    let method = Property::AuthenticationMethod(text("m"));
    let data = Property::AuthenticationData(b"data");
    let will = properties(&[Property::WillDelayInterval(5)]);
    let connect = Connect {
        properties: properties(&[Property::SessionExpiryInterval(60), method, data]),
        will: Some(Will { properties: will, ..Will::new(topic("w"), b"") }),
        password: Some(b"pw"),
        ..Connect::new(V5, text(""))
    };
    let accepted = ConnAck {
        properties: properties(&[Property::MaximumQoS(QoS::AtLeastOnce)]),
        ..ConnAck::new(ReasonCode::Success, false)
    };
    let left = Disconnect { properties: why(), ..Disconnect::new(ReasonCode::Success) };
    let auth = |reason, list: &[_]| Packet::Auth(Auth { reason, properties: properties(list) });
    let (go_on, again) = (ReasonCode::ContinueAuthentication, ReasonCode::ReAuthenticate);
    let with_will = Disconnect::new(ReasonCode::DisconnectWithWill);
    let busy = Disconnect::new(ReasonCode::ServerBusy);
    vec![
        (
            CLIENT,
            Packet::Connect(connect),
            "10( @ 46 0000 ( 11 0000003C 15 <m> 16 <data> ) <> ( 18 00000005 ) <w> <> <pw> )",
        ),
        (SERVER, Packet::ConnAck(accepted), "20( 00 00 ( 24 01 ) )"),
        (SERVER, Packet::Disconnect(Disconnect::new(ReasonCode::Success)), "E0 00"),
        (CLIENT, Packet::Disconnect(with_will), "E0( 04 )"),
        (SERVER, Packet::Disconnect(busy), "E0( 89 )"),
        (EITHER, Packet::Disconnect(left), "E0( 00 ( 1F <why> ) )"),
        (EITHER, auth(go_on, &[method, data]), "F0( 18 ( 15 <m> 16 <data> ) )"),
        (CLIENT, auth(again, &[method]), "F0( 19 ( 15 <m> ) )"),
        (SERVER, auth(ReasonCode::Success, &[method]), "F0( 00 ( 15 <m> ) )"),
        (SERVER, auth(ReasonCode::Success, &[]), "F0 00"),
    ]
}
