//! Connections that break, and servers that go and come.

use std::collections::BTreeMap;
use std::time::Duration;

use tamtam_driver::Event;
use tamtam_driver::Setup;
use tamtam_driver::broker::Open;
use tamtam_driver::core::broker::Options as BrokerOptions;
use tamtam_driver::core::{QoS, Version};

use super::adapter::Adapter;
use super::house::{House, next, options, publish, setup, soon, subscribe};

pub(crate) async fn cut_connections_lose_and_double_nothing<A: Adapter>() {
    let house = House::<A>::open().await;
    for (version, to, from) in [(Version::V311, "to", "from"), (Version::V5, "to-5", "from-5")] {
        let keeps = |name| {
            let options = options(version, name).clean_start(false).adopt_session(true);
            let v5 = version == Version::V5;
            Setup::new(if v5 { options.session_expiry_secs(600) } else { options })
        };
        let (to, mut messages) = house.client_over_pipes(keeps(to), (1..20).map(|n| n * 97));
        subscribe(&to, "a").await;
        let (from, _none) = house.client_over_pipes(keeps(from), (1..30).map(|n| n * 131));
        let sender = from.clone();
        A::spawn(async move {
            for number in 0..1_000_u32 {
                let qos = if number % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
                publish(&sender, "a", &number.to_be_bytes(), qos).await;
            }
        });
        let mut seen = BTreeMap::<u32, u32>::new();
        while seen.len() < 1_000 {
            let message = next::<A>(&mut messages).await;
            let number = u32::from_be_bytes(message.payload()[..].try_into().unwrap());
            *seen.entry(number).or_default() += 1;
        }
        let doubled = seen.iter().filter(|(number, times)| *number % 2 == 1 && **times > 1);
        assert_eq!(doubled.count(), 0, "QoS 2 comes once");
        soon::<A, _>(from.disconnect(Duration::from_secs(5))).await.unwrap();
        soon::<A, _>(to.disconnect(Duration::from_secs(5))).await.unwrap();
    }
}

pub(crate) async fn a_restarted_server_is_found_again<A: Adapter>() {
    let house = House::<A>::open().await;
    let url = house.url().to_owned();
    let port = url.rsplit(':').next().unwrap().parse().unwrap();
    let (client, mut messages) = A::connect(&url, setup(Version::V5, "stays")).await.unwrap();
    subscribe(&client, "a").await;
    let mut events = client.events();
    soon::<A, _>(house.handle.stop(Duration::from_secs(5))).await;
    let publishing = client.clone();
    A::spawn(async move { publish(&publishing, "a", b"kept", QoS::AtLeastOnce).await });
    let options = BrokerOptions::DEFAULT;
    let house = House::<A>::open_at(port, &options, Open).await;
    loop {
        if let Event::Resubscribed = soon::<A, _>(events.next()).await.unwrap() {
            break;
        }
    }
    publish(&client, "a", b"new", QoS::AtLeastOnce).await;
    while next::<A>(&mut messages).await.text() != Some("new") {}
    assert_eq!(house.handle.with(|broker, _| broker.counters().messages_in()), Ok(2));
}
