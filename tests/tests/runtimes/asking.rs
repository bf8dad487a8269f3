//! Questions and answers: of clients, of the server, of the host.

use std::time::Duration;

use tamtam_driver::broker::{Policy, Turn};
use tamtam_driver::client::{ConnectError, Error, Lost};
use tamtam_driver::core::broker::{AskId, Options as BrokerOptions, Post, Refusal, Verdict};
use tamtam_driver::core::client::{Filter, Publish};
use tamtam_driver::core::{QoS, ReasonCode, Text, TopicName, Version};
use tamtam_driver::{Event, Setup};

use super::adapter::Adapter;
use super::house::{House, next, options, publish, setup, soon, subscribe};

pub(crate) async fn requests_are_answered_or_given_up<A: Adapter>() {
    let house = House::<A>::open().await;
    let (asker, _none) = house.client("asker").await;
    let (answerer, mut messages) = house.client("answerer").await;
    subscribe(&answerer, "ask").await;
    A::spawn(async move {
        while let Some(message) = messages.next().await {
            if message.text() != Some("silence") {
                answerer.reply(&message, message.payload()).await.unwrap();
            }
        }
    });
    let patience = Duration::from_secs(20);
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let request = Publish::new("ask", b"echo").qos(qos);
        let answer = soon::<A, _>(asker.request(request, patience)).await.unwrap();
        assert_eq!(answer.text(), Some("echo"));
    }
    let request = Publish::new("ask", b"silence").qos(QoS::AtLeastOnce);
    let answer = soon::<A, _>(asker.request(request, Duration::from_millis(50))).await;
    assert_eq!(answer.err(), Some(Error::TimedOut));
}

/// Doubles each number that it asks for, twice.
struct Doubling;

impl Policy for Doubling {
    fn ask(&mut self, ask: AskId, turn: &mut Turn<'_>) {
        let answer =
            turn.broker.auth_of(ask).and_then(|auth| auth.properties.authentication_data());
        match answer {
            Some(b"2") => turn.broker.answer_with(ask, Verdict::Continue, Some(b"2"), turn.now),
            Some(b"4") => {
                turn.broker.answer(ask, Verdict::Accept(Default::default()), turn.now);
            }
            Some(_) => {
                let refusal = Verdict::Refuse(Refusal::new(ReasonCode::NotAuthorized));
                turn.broker.answer(ask, refusal, turn.now);
            }
            None => turn.broker.answer_with(ask, Verdict::Continue, Some(b"1"), turn.now),
        }
    }
}

pub(crate) async fn challenges_are_answered<A: Adapter>() {
    let broker = BrokerOptions { ask_connect: true, ..BrokerOptions::DEFAULT };
    let house = House::<A>::open_with(&broker, Doubling).await;
    let with = |factor: u8| {
        let method = Text::new("doubling").unwrap();
        Setup::new(options(Version::V5, "clever").authentication_method(method)).authenticate(
            move |data| data.iter().map(|digit| (digit - b'0') * factor + b'0').collect(),
        )
    };
    let (client, _messages) = soon::<A, _>(A::connect(house.url(), with(2))).await.unwrap();
    publish(&client, "a", b"x", QoS::AtLeastOnce).await;
    let refused = soon::<A, _>(A::connect(house.url(), with(3))).await;
    assert!(matches!(
        refused,
        Err(ConnectError::Lost(Lost::Refused { reason: ReasonCode::NotAuthorized, .. }))
    ));
}

/// Nobody may connect but by name.
struct Known;

impl Policy for Known {
    fn ask(&mut self, ask: AskId, turn: &mut Turn<'_>) {
        let connect = turn.broker.connect_of(ask);
        let known = connect.is_some_and(|connect| {
            connect.user_name.is_some_and(|name| name.as_str() == "ada")
                && connect.password == Some(b"s:cret")
        });
        let verdict = match known {
            true => Verdict::Accept(Default::default()),
            false => Verdict::Refuse(Refusal::new(ReasonCode::BadUserNameOrPassword)),
        };
        turn.broker.answer(ask, verdict, turn.now);
        assert!(turn.address(ask.link()).is_some() && turn.listener(ask.link()) == Some(0));
    }
}

pub(crate) async fn who_is_refused_hears_why<A: Adapter>() {
    let broker = BrokerOptions { ask_connect: true, ..BrokerOptions::DEFAULT };
    let house = House::<A>::open_with(&broker, Known).await;
    for version in [Version::V311, Version::V5] {
        let refused = soon::<A, _>(A::connect(house.url(), setup(version, "x"))).await;
        assert!(matches!(
            refused,
            Err(ConnectError::Lost(Lost::Refused {
                reason: ReasonCode::BadUserNameOrPassword,
                ..
            }))
        ));
        let url = house.url().replace("//", "//ada:s%3Acret@");
        let (client, _messages) = A::connect(&url, setup(version, "x")).await.unwrap();
        publish(&client, "a", b"x", QoS::AtLeastOnce).await;
    }
}

pub(crate) async fn the_host_publishes_and_subscribes<A: Adapter>() {
    let house = House::<A>::open().await;
    let (client, mut messages) = house.client("client").await;
    subscribe(&client, "from/host").await;
    let mut subscriber = house.handle.subscribe("host", &[Filter::new("to/host")]).unwrap();
    for number in 0..2_000_u32 {
        let payload = number.to_be_bytes();
        let topic = TopicName::new("from/host").unwrap();
        let post = Post { qos: QoS::ExactlyOnce, ..Post::new(topic, &payload) };
        if number < 500 {
            assert_eq!(house.handle.publish(&post), Ok(ReasonCode::Success));
            assert_eq!(next::<A>(&mut messages).await.payload()[..], payload);
        }
        publish(&client, "to/host", &payload, QoS::AtLeastOnce).await;
        if number % 100 == 99 {
            for expected in number - 99..=number {
                let received = soon::<A, _>(subscriber.next()).await.unwrap();
                assert_eq!(received.topic(), "to/host");
                assert_eq!(received.payload(), expected.to_be_bytes());
            }
        }
    }
    drop(subscriber);
    assert_eq!(house.handle.with(|broker, _| broker.session_count()), Ok(1));
}

pub(crate) async fn a_graceful_stop_says_so<A: Adapter>() {
    let house = House::<A>::open().await;
    let (client, _messages) = house.client("client").await;
    let mut events = client.events();
    let mut subscriber = house.handle.subscribe("host", &[Filter::new("#")]).unwrap();
    let (old, _none) = A::connect(house.url(), setup(Version::V311, "old")).await.unwrap();
    let mut old_events = old.events();
    soon::<A, _>(house.handle.stop(Duration::from_secs(5))).await;
    let event = soon::<A, _>(events.next()).await;
    let reason = match event {
        Some(Event::Lost(Lost::Disconnected { reason, .. })) => Some(reason),
        _ => None,
    };
    assert_eq!(reason, Some(ReasonCode::ServerShuttingDown));
    assert!(soon::<A, _>(subscriber.next()).await.is_none());
    assert!(house.handle.with(|_, _| ()).is_err(), "it has stopped");
    let event = soon::<A, _>(old_events.next()).await;
    assert!(matches!(event, Some(Event::Lost(Lost::Closed))), "it can't be told: {event:?}");
}
