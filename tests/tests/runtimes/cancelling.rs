//! Futures that are dropped.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_io::AsyncWrite;
use tamtam_driver::core::client::{Filter, Publish};
use tamtam_driver::core::{QoS, Version};

use super::adapter::Adapter;
use super::house::{House, next, publish, setup, soon, subscribe};

/// Polls a future so many times, with a pause before each, and drops it; whether it was done.
pub(crate) async fn polled<A: Adapter>(future: impl Future, times: u32) -> bool {
    let mut future = std::pin::pin!(future);
    for _ in 0..times {
        let done = future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        if done {
            return true;
        }
        A::sleep(Duration::from_millis(1)).await;
    }
    false
}

pub(crate) async fn futures_may_be_dropped_at_every_await<A: Adapter>() {
    let house = House::<A>::open().await;
    let (client, mut messages) = house.client("client").await;
    subscribe(&client, "a").await;
    for times in 0..8 {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            polled::<A>(client.publish(Publish::new("a", b"maybe").qos(qos)), times).await;
        }
        polled::<A>(client.subscribe(&[Filter::new("b")]), times).await;
        polled::<A>(client.unsubscribe(&["b"]), times).await;
        let request = Publish::new("c", b"?").qos(QoS::AtLeastOnce);
        polled::<A>(client.request(request, Duration::from_millis(5)), times).await;
        polled::<A>(client.connected(), times).await;
        polled::<A>(client.events().next(), times).await;
        publish(&client, "a", b"sure", QoS::AtLeastOnce).await;
        let mut came = Vec::new();
        loop {
            polled::<A>(messages.next(), 0).await; // nothing is taken by what is not polled
            let message = next::<A>(&mut messages).await;
            came.push(message.text().unwrap().to_owned());
            if message.text() == Some("sure") {
                break;
            }
        }
        let expected = if times == 0 { 1 } else { 4 };
        assert_eq!(came.len(), expected, "what was begun goes its way: {came:?}");
    }
    polled::<A>(client.disconnect(Duration::from_secs(5)), 1).await;
    assert!(soon::<A, _>(messages.next()).await.is_none(), "leaving goes on");
}

pub(crate) async fn a_stream_that_is_dropped_does_not_hold_others_up<A: Adapter>() {
    let house = House::<A>::open().await;
    for (version, qos) in [
        (Version::V5, QoS::AtLeastOnce),
        (Version::V311, QoS::ExactlyOnce),
        (Version::V5, QoS::AtMostOnce),
    ] {
        let setup = setup(version, "streams");
        let (client, mut messages) = A::connect(house.url(), setup).await.unwrap();
        subscribe(&client, "a").await;
        let mut writer =
            client.publish_stream(Publish::new("a", b"").qos(qos), 1_000_000).await.unwrap();
        std::future::poll_fn(|context| Pin::new(&mut writer).poll_write(context, &[7; 500]))
            .await
            .unwrap();
        A::sleep(Duration::from_millis(5)).await;
        drop(writer);
        soon::<A, _>(publish(&client, "a", b"next", QoS::AtLeastOnce)).await;
        // The session went with the connection, so the subscription is new: it may come later.
        loop {
            let mut message = std::pin::pin!(messages.next());
            let mut late = std::pin::pin!(A::sleep(Duration::from_millis(300)));
            let came = std::future::poll_fn(|context| {
                if let Poll::Ready(message) = message.as_mut().poll(context) {
                    return Poll::Ready(message);
                }
                late.as_mut().poll(context).map(|()| None)
            });
            match came.await {
                Some(message) => {
                    assert_eq!(message.text(), Some("next"));
                    break;
                }
                None => publish(&client, "a", b"next", QoS::AtLeastOnce).await,
            }
        }
        soon::<A, _>(client.disconnect(Duration::from_secs(5))).await.unwrap();
    }
}
