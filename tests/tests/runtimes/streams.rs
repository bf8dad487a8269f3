//! Payloads that never are in memory as a whole.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use tamtam_driver::broker::Open;
use tamtam_driver::client::Error;
use tamtam_driver::core::broker::Options as BrokerOptions;
use tamtam_driver::core::client::Publish;
use tamtam_driver::core::{QoS, ReasonCode, Version};
use tamtam_driver::{Event, Setup};

use super::adapter::Adapter;
use super::house::{self, House, next, options, soon, subscribe};

const MIB: u32 = 1 << 20;

/// Numbers, as many bytes of them as are wanted.
struct Numbers {
    at: u32,
    end: u32,
}

impl AsyncRead for Numbers {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let len = into.len().min((self.end - self.at) as usize);
        for byte in &mut into[..len] {
            *byte = (self.at % 251) as u8;
            self.at += 1;
        }
        Poll::Ready(Ok(len))
    }
}

fn large() -> BrokerOptions {
    BrokerOptions { max_packet_size: 65 * MIB, ..BrokerOptions::DEFAULT }
}

fn reading(name: &str) -> Setup<'_> {
    Setup::new(options(Version::V5, name).stream_above(64 << 10).outgoing_bytes(256 << 10))
}

/// Reads all of a message that must be these numbers.
async fn check<A: Adapter>(message: &mut tamtam_driver::Message, len: u32) -> io::Result<()> {
    let payload = message.stream().expect("it is large");
    assert_eq!(payload.len(), len);
    let mut at = 0;
    while let Some(chunk) = soon::<A, _>(payload.chunk()).await? {
        for byte in &chunk[..] {
            assert_eq!(u32::from(*byte), at % 251, "at {at}");
            at += 1;
        }
    }
    assert_eq!(at, len);
    Ok(())
}

pub(crate) async fn a_large_payload_passes_through_bounded_memory<A: Adapter>() {
    let house = House::<A>::open_with(&large(), Open).await;
    let (to, mut messages) = A::connect(house.url(), reading("to")).await.unwrap();
    subscribe(&to, "big").await;
    let (from, _none) = A::connect(house.url(), reading("from")).await.unwrap();
    let len = 64 * MIB;
    A::spawn(async move {
        let publish = Publish::new("big", b"").qos(QoS::ExactlyOnce);
        let open = || std::future::ready(Ok(Numbers { at: 0, end: len }));
        let reason = from.publish_from(publish, len, open).await.unwrap();
        assert_eq!(reason, ReasonCode::Success);
        from.publish(Publish::new("big", b"over").qos(QoS::AtLeastOnce)).await.unwrap();
    });
    let mut message = next::<A>(&mut messages).await;
    check::<A>(&mut message, len).await.unwrap();
    assert_eq!(message.topic(), "big");
    assert_eq!(next::<A>(&mut messages).await.text(), Some("over"));
}

pub(crate) async fn a_payload_is_sent_again_if_its_connection_is_cut<A: Adapter>() {
    let house = House::<A>::open_with(&large(), Open).await;
    let (to, mut messages) = A::connect(house.url(), reading("to")).await.unwrap();
    subscribe(&to, "big").await;
    let keeps = options(Version::V5, "from").session_expiry_secs(60).outgoing_bytes(64 << 10);
    let cuts = [50_000, 100, 150_000, 300_000];
    let (from, _none) = house.client_over_pipes(Setup::new(keeps), cuts);
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let publish = Publish::new("big", b"").qos(qos);
        let open = || std::future::ready(Ok(Numbers { at: 0, end: 200_000 }));
        let published = from.publish_from(publish, 200_000, open);
        soon::<A, _>(published).await.unwrap();
        let mut message = next::<A>(&mut messages).await;
        check::<A>(&mut message, 200_000).await.unwrap();
    }
}

pub(crate) async fn a_payload_that_nobody_sends_again_holds_nobody_up<A: Adapter>() {
    let house = House::<A>::open_with(&large(), Open).await;
    for (round, qos) in [QoS::AtLeastOnce, QoS::ExactlyOnce].into_iter().enumerate() {
        for asks in [false, true] {
            let name = format!("from-{round}-{asks}");
            let keeps = options(Version::V5, &name).session_expiry_secs(60);
            let (from, _none) = house.client_over_pipes(Setup::new(keeps), [2_000]);
            let mut events = from.events();
            let publish = Publish::new("big", b"").qos(qos);
            let mut writer = from.publish_stream(publish, 4_000).await.unwrap();
            let piece = &[7; 4_000][..if asks { 4_000 } else { 3_000 }];
            let written =
                std::future::poll_fn(|context| Pin::new(&mut writer).poll_write(context, piece));
            assert_eq!(written.await.unwrap(), piece.len());
            while !matches!(soon::<A, _>(events.next()).await, Some(Event::Lost(_))) {}
            // What is answered has come behind the question for the message.
            soon::<A, _>(subscribe(&from, "b")).await;
            if asks {
                let wanted = soon::<A, _>(writer.finish()).await;
                assert!(matches!(wanted, Err(Error::Again)), "{wanted:?}");
            }
            drop(writer);
            soon::<A, _>(house::publish(&from, "a", b"next", QoS::AtLeastOnce)).await;
        }
    }
}
