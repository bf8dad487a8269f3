//! What an administrator of a broker sees and does; and the aliases that a broker uses by itself.

use tamtam_core::broker::{Broker, Input, LinkId, Options, Page};
use tamtam_core::{
    Connect, Heap, Instant, Items, Packet, PacketId, Property, PropertyId, QoS, ReasonCode, Sender,
    Subscribe, Subscription, Text, TopicFilter, TopicName, Version,
};

const NOW: Instant = Instant::from_millis(1_000);

fn start() -> Broker<Heap> {
    let mut broker = Broker::new();
    broker.start(&Options::DEFAULT, 7);
    broker
}

fn send(broker: &mut Broker<Heap>, link: LinkId, packet: &Packet<'_>) {
    let mut bytes = [0; 256];
    let len = packet.encode(Version::V5, &mut bytes).expect("a packet");
    assert_eq!(broker.handle_input(link, &mut &bytes[..len], NOW), Input::More);
}

/// Connects a client whose session outlives its connection by an hour.
fn connect(broker: &mut Broker<Heap>, name: &str) -> LinkId {
    let link = broker.open(NOW).expect("room");
    let list = [Property::SessionExpiryInterval(3_600), Property::TopicAliasMaximum(4)];
    let connect = Connect {
        properties: (&list).into(),
        user_name: Some(Text::new("ann").expect("a name")),
        ..Connect::new(Version::V5, Text::new(name).expect("a name"))
    };
    send(broker, link, &Packet::Connect(connect));
    link
}

fn subscribe(broker: &mut Broker<Heap>, link: LinkId, filter: &str) {
    let wanted = [Subscription::new(TopicFilter::new(filter).expect("a filter"))];
    let (packet_id, properties) = (PacketId::MIN, Default::default());
    let subscriptions = Items::from(&wanted);
    send(broker, link, &Packet::Subscribe(Subscribe { packet_id, properties, subscriptions }));
}

fn publish(broker: &mut Broker<Heap>, topic: &str, qos: QoS, retain: bool) -> bool {
    broker.publish(TopicName::new(topic).expect("a topic"), b"x", qos, retain, NOW)
}

/// Takes what waits for a connection; each packet is shown.
fn take(broker: &mut Broker<Heap>, link: LinkId, mut show: impl FnMut(&Packet<'_>)) {
    let output = broker.output(link).to_vec();
    broker.output_written(link, output.len(), NOW);
    let mut input = &output[..];
    while let Some(packet) =
        Packet::decode(&mut input, Version::V5, Sender::Server).expect("a packet")
    {
        show(&packet);
    }
}

#[test]
fn sessions_are_shown_page_by_page() {
    let mut broker = start();
    for number in 0..5 {
        let link = connect(&mut broker, &format!("client-{number}"));
        subscribe(&mut broker, link, "a/+");
        if number % 2 == 0 {
            broker.handle_close(link, NOW);
        }
    }
    assert!(publish(&mut broker, "a/b", QoS::AtLeastOnce, false));
    let mut page = Page::FIRST;
    let mut shown = Vec::new();
    while let Some(session) = broker.next_session(&mut page) {
        assert_eq!((session.user_name, session.subscriptions), (&b"ann"[..], 1));
        assert_eq!((session.queued, session.expiry_secs), (1, 3_600));
        assert_eq!(session.link.is_none(), session.ends.is_some());
        shown.push((String::from_utf8_lossy(session.client_id).into_owned(), session.link));
    }
    assert_eq!(shown.len(), 5);
    assert_eq!(shown.iter().filter(|(_, link)| link.is_some()).count(), 2);
    assert_eq!(broker.session_of("client-3").expect("a session").client_id, b"client-3");
    assert!(broker.session_of("nobody").is_none());
}

#[test]
fn subscriptions_are_shown_as_they_were_asked_for() {
    let mut broker = start();
    let link = connect(&mut broker, "c");
    for filter in ["a/+/#", "$share/crew/jobs//x", "plain"] {
        subscribe(&mut broker, link, filter);
    }
    let mut shown = Vec::new();
    let mut buffer = [0; 64];
    broker.subscriptions_of("c", &mut buffer, |wanted| shown.push(wanted.filter.to_string()));
    shown.sort_unstable();
    assert_eq!(shown, ["$share/crew/jobs//x", "a/+/#", "plain"]);
}

#[test]
fn queues_are_cleared_sessions_ended_and_clients_disconnected() {
    let mut broker = start();
    let link = connect(&mut broker, "c");
    subscribe(&mut broker, link, "a");
    broker.handle_close(link, NOW);
    for _ in 0..3 {
        publish(&mut broker, "a", QoS::AtLeastOnce, false);
    }
    assert_eq!(broker.clear_queue("c", NOW), 3);
    assert_eq!(broker.kept(), (0, 0));
    let link = connect(&mut broker, "d");
    take(&mut broker, link, |_| {});
    assert!(broker.disconnect("d", ReasonCode::AdministrativeAction, NOW));
    let mut reasons = Vec::new();
    take(&mut broker, link, |packet| {
        if let Packet::Disconnect(disconnect) = packet {
            reasons.push(disconnect.reason);
        }
    });
    assert_eq!(reasons, [ReasonCode::AdministrativeAction]);
    assert_eq!(broker.session_count(), 2);
    assert!(broker.end_session_of("c", NOW) && broker.end_session_of("d", NOW));
    assert!(!broker.end_session_of("c", NOW));
    assert_eq!((broker.session_count(), broker.subscription_count()), (0, 0));
}

#[test]
fn retained_messages_are_deleted_by_filter() {
    let mut broker = start();
    for topic in ["a/1", "a/2", "b/1", "$SYS/x"] {
        publish(&mut broker, topic, QoS::AtMostOnce, true);
    }
    assert_eq!(broker.delete_retained(TopicFilter::new("a/+").expect("a filter"), NOW), 2);
    assert_eq!(broker.delete_retained(TopicFilter::new("#").expect("a filter"), NOW), 1);
    assert_eq!(broker.retained_count(), 1);
    assert_eq!(broker.delete_retained(TopicFilter::new("$SYS/#").expect("a filter"), NOW), 1);
    assert_eq!((broker.retained_count(), broker.kept()), (0, (0, 0)));
}

// [MQTT5-3.1.2-26, MQTT5-3.1.2-27, MQTT5-3.3.2-11]
#[test]
fn topics_get_aliases_up_to_the_clients_maximum_on_each_connection_anew() {
    let mut broker = start();
    let mut link = connect(&mut broker, "c");
    subscribe(&mut broker, link, "#");
    for connection in 0..2 {
        let mut seen = Vec::new();
        take(&mut broker, link, |_| {});
        for topic in ["t/1", "t/2", "t/1", "t/3", "t/4", "t/5", "t/5", "t/2"] {
            publish(&mut broker, topic, QoS::AtMostOnce, false);
        }
        take(&mut broker, link, |packet| {
            let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
            let alias = publish.properties.topic_alias().map_or(0, |alias| alias.get());
            assert!(
                alias <= 4 && (alias != 0) == publish.properties.contains(PropertyId::TopicAlias)
            );
            seen.push((publish.topic.map(|topic| topic.to_string()), alias));
        });
        let named = |topic: &str, alias| (Some(topic.to_string()), alias);
        let expected = [
            named("t/1", 1),
            named("t/2", 2),
            (None, 1),
            named("t/3", 3),
            named("t/4", 4),
            named("t/5", 0),
            named("t/5", 0),
            (None, 2),
        ];
        assert_eq!(seen, expected, "connection {connection}");
        broker.handle_close(link, NOW);
        link = broker.open(NOW).expect("room");
        let list = [Property::SessionExpiryInterval(60), Property::TopicAliasMaximum(4)];
        let connect = Connect {
            properties: (&list).into(),
            clean_start: false,
            ..Connect::new(Version::V5, Text::new("c").expect("a name"))
        };
        send(&mut broker, link, &Packet::Connect(connect));
    }
}
