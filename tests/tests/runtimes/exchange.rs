//! Messages there and back.

use std::time::Duration;

use tamtam_driver::client::{ConnectError, Error, Lost};
use tamtam_driver::core::broker::Options as BrokerOptions;
use tamtam_driver::core::client::Publish;
use tamtam_driver::core::{QoS, Version};
use tamtam_driver::{Client, Setup};

use super::adapter::Adapter;
use super::house::{House, next, options, publish, setup, soon, subscribe};

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

pub(crate) async fn every_qos_over_every_transport_in_every_version<A: Adapter>() {
    // [MQTT5-4.2-1, MQTT3-7.1.1-1, MQTT3-7.1.2-1]
    let house = House::<A>::open().await;
    for url in house.urls.iter().map(String::as_str).chain(["pipe"]) {
        for version in VERSIONS {
            let (client, mut messages) = match url {
                "pipe" => house.client_over_pipes(setup(version, "hall"), []),
                url => A::connect(url, setup(version, "hall")).await.unwrap(),
            };
            subscribe(&client, "room/+").await;
            for qos in LEVELS {
                publish(&client, "room/7", b"21.5", qos).await;
                let message = next::<A>(&mut messages).await;
                assert_eq!((message.topic(), message.text()), ("room/7", Some("21.5")));
                assert_eq!(message.qos(), qos, "{url} {version:?}");
            }
            client.unsubscribe(&["room/+"]).await.unwrap();
            soon::<A, _>(client.disconnect(Duration::from_secs(5))).await.unwrap();
            assert!(messages.next().await.is_none());
        }
    }
}

pub(crate) async fn a_stream_that_is_open_already_carries_a_client_and_only_it<A: Adapter>() {
    let house = House::<A>::open().await;
    let port = house.url().rsplit(':').next().unwrap().parse().unwrap();
    for version in VERSIONS {
        let tcp = soon::<A, _>(A::connect_by_tcp(port, setup(version, "tcp"))).await.unwrap();
        let pipe = A::connect_by_pipe(&house.handle, setup(version, "pipe"));
        let pipe = soon::<A, _>(pipe).await.unwrap();
        for (name, (client, mut messages)) in [("tcp", tcp), ("pipe", pipe)] {
            subscribe(&client, "room/+").await;
            for qos in LEVELS {
                publish(&client, "room/7", b"21.5", qos).await;
                assert_eq!(next::<A>(&mut messages).await.text(), Some("21.5"));
            }
            // Another client takes over; the stream is gone, and there is no other.
            let _other = A::connect(house.url(), setup(version, name)).await.unwrap();
            assert!(soon::<A, _>(messages.next()).await.is_none(), "it has ended");
            let late = Publish::new("a", b"x").qos(QoS::AtLeastOnce);
            assert_eq!(client.publish(late).await, Err(Error::Ended));
        }
    }
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let hangs_up = std::thread::spawn(move || drop(silent.accept()));
    let refused = soon::<A, _>(A::connect_by_tcp(port, setup(Version::V5, "tcp"))).await;
    assert!(
        matches!(refused, Err(ConnectError::Lost(Lost::Closed | Lost::Transport(_)))),
        "{refused:?}"
    );
    hangs_up.join().unwrap();
}

pub(crate) async fn ten_thousand_messages_each_way<A: Adapter>() {
    const MESSAGES: u32 = 10_000;
    // Who reads more slowly than the other writes must not have its messages dropped.
    let broker = BrokerOptions { queue: 2 * MESSAGES as usize, ..BrokerOptions::DEFAULT };
    let house = House::<A>::open_with(&broker, tamtam_driver::broker::Open).await;
    let options = options(Version::V5, "one").in_flight(1_000);
    let (one, mut to_one) = A::connect(house.url(), Setup::new(options)).await.unwrap();
    let (other, mut to_other) = house.client("other").await;
    subscribe(&one, "to/one").await;
    subscribe(&other, "to/other").await;
    let (send_one, send_other) = (one.clone(), other.clone());
    A::spawn(send_all(send_one, "to/other", MESSAGES));
    A::spawn(send_all(send_other, "to/one", MESSAGES));
    for number in 0..MESSAGES {
        for messages in [&mut to_one, &mut to_other] {
            let message = next::<A>(messages).await;
            assert_eq!(message.payload()[..], number.to_be_bytes());
        }
    }
    assert_eq!((one.dropped(), other.dropped()), (0, 0));
}

/// A window of them at a time.
async fn send_all(client: Client, topic: &'static str, messages: u32) {
    let mut under_way = std::collections::VecDeque::new();
    for number in 0..messages {
        if under_way.len() == 500 {
            let oldest: tamtam_driver::client::Delivery = under_way.pop_front().unwrap();
            oldest.await.unwrap();
        }
        let payload = number.to_be_bytes();
        let publish = Publish::new(topic, &payload).qos(QoS::AtLeastOnce);
        under_way.push_back(client.try_publish(publish).unwrap());
    }
    for delivery in under_way {
        delivery.await.unwrap();
    }
}

pub(crate) async fn a_slow_reader_loses_nothing<A: Adapter>() {
    let broker = BrokerOptions { queue: 10_000, ..BrokerOptions::DEFAULT };
    let house = House::<A>::open_with(&broker, tamtam_driver::broker::Open).await;
    for version in [Version::V311, Version::V5] {
        let setup = setup(version, "slow").queue(10);
        let (slow, mut messages) = A::connect(house.url(), setup).await.unwrap();
        subscribe(&slow, "a").await;
        let (quick, _none) = house.client("quick").await;
        soon::<A, _>(send_all(quick, "a", 3_000)).await; // nobody has read any of them yet
        for number in 0..3_000_u32 {
            if number % 500 == 0 {
                A::sleep(Duration::from_millis(20)).await;
            }
            let message = next::<A>(&mut messages).await;
            assert_eq!(message.payload()[..], number.to_be_bytes());
        }
    }
}

pub(crate) async fn who_receives_may_publish_though_the_queue_is_full<A: Adapter>() {
    let house = House::<A>::open().await;
    for version in [Version::V311, Version::V5] {
        let (client, mut messages) =
            A::connect(house.url(), setup(version, "echo").queue(5)).await.unwrap();
        subscribe(&client, "in").await;
        let (other, mut echoes) = house.client("other").await;
        subscribe(&other, "out").await;
        soon::<A, _>(send_all(other.clone(), "in", 300)).await;
        for _ in 0..300 {
            let message = next::<A>(&mut messages).await;
            let echo = publish(&client, "out", message.payload(), QoS::ExactlyOnce);
            soon::<A, _>(echo).await;
        }
        for number in 0..300_u32 {
            assert_eq!(next::<A>(&mut echoes).await.payload()[..], number.to_be_bytes());
        }
    }
}

pub(crate) async fn messages_are_acknowledged_by_hand_in_any_order<A: Adapter>() {
    let house = House::<A>::open().await;
    let by_hand = || {
        let options = options(Version::V5, "hand").manual_ack(true);
        Setup::new(options.clean_start(false).session_expiry_secs(60).adopt_session(true))
    };
    let (client, mut messages) = A::connect(house.url(), by_hand()).await.unwrap();
    subscribe(&client, "a").await;
    let (other, _none) = house.client("other").await;
    for number in [b"0", b"1", b"2"] {
        publish(&other, "a", number, QoS::AtLeastOnce).await;
    }
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.push(next::<A>(&mut messages).await);
    }
    client.ack(&taken[1]).unwrap();
    client.ack(&taken[0]).unwrap();
    assert!(client.ack(&taken[0]).is_err(), "once is enough");
    soon::<A, _>(client.disconnect(Duration::from_secs(5))).await.unwrap();
    let (_client, mut messages) = A::connect(house.url(), by_hand()).await.unwrap();
    let message = next::<A>(&mut messages).await;
    assert_eq!(message.text(), Some("2"), "only this one was not acknowledged");
    assert!(message.is_duplicate());
}

pub(crate) async fn a_connection_lives_though_nobody_asks_for_messages<A: Adapter>() {
    let house = House::<A>::open().await;
    let setup = Setup::new(options(Version::V5, "idle").keep_alive_secs(1));
    let (client, mut messages) = A::connect(house.url(), setup).await.unwrap();
    let mut events = client.events();
    subscribe(&client, "a").await;
    A::sleep(Duration::from_millis(2_600)).await;
    assert!(client.is_connected());
    publish(&client, "a", b"x", QoS::AtLeastOnce).await;
    assert_eq!(next::<A>(&mut messages).await.text(), Some("x"));
    client.disconnect(Duration::from_secs(5)).await.unwrap();
    let first = events.next().await;
    assert!(matches!(first, Some(tamtam_driver::Event::Lost(_))), "{first:?}");
}

pub(crate) async fn messages_wait_for_a_server_that_is_not_there_yet<A: Adapter>() {
    let (port, accept) = A::listen(0).await;
    drop(accept); // nobody listens there any more
    let url = format!("mqtt://127.0.0.1:{port}");
    let failed = A::connect(&url, setup(Version::V5, "early")).await;
    assert!(failed.is_err(), "who wants to know whether it works, hears that it does not");
    let (client, mut messages) = A::start(&url, setup(Version::V5, "early")).unwrap();
    let publishing = client.clone();
    let publishing = async move { publish(&publishing, "a", b"x", QoS::AtLeastOnce).await };
    A::spawn(publishing);
    A::sleep(Duration::from_millis(50)).await;
    let options = BrokerOptions::DEFAULT;
    let house = House::<A>::open_at(port, &options, tamtam_driver::broker::Open).await;
    soon::<A, _>(client.connected()).await.unwrap();
    subscribe(&client, "b").await;
    publish(&client, "b", b"y", QoS::AtLeastOnce).await;
    assert_eq!(next::<A>(&mut messages).await.text(), Some("y"));
    assert_eq!(house.handle.with(|broker, _| broker.counters().messages_in()), Ok(2));
}
