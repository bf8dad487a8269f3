//! The blocking adapter in both roles: its client with its own broker and with tokio's, and tokio's
//! client with its broker.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use tamtam_blocking::broker::{Listener, Running, Server};
use tamtam_blocking::client::{Client, Event, Filter, Lost, Publish, Setup};
use tamtam_driver::core::broker::Options as BrokerOptions;
use tamtam_driver::core::{QoS, ReasonCode, Version};
use tamtam_driver::transport::{ClientLayers, ServerLayers, TlsClient, TlsServer};

use super::adapter::{Adapter, OnTokio};
use super::house::{self, House, options};

const CA: &[u8] = include_bytes!("../../certificates/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("../../certificates/server.pem");
const KEY: &[u8] = include_bytes!("../../certificates/server.key");

const SOON: Duration = Duration::from_secs(30);
const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
const LARGE: u32 = 64 << 20;

fn limits() -> BrokerOptions {
    BrokerOptions { max_packet_size: LARGE + (1 << 20), queue: 20_000, ..BrokerOptions::DEFAULT }
}

/// The blocking broker, with all its doors.
fn serve(port: u16) -> (Running, Vec<String>) {
    let tls = TlsServer::pem(CERTIFICATE, KEY).unwrap();
    let (mut server, mut urls) = (Server::new(&limits()).unwrap(), Vec::new());
    for (scheme, layers) in [
        ("mqtt", ServerLayers::new()),
        ("mqtts", ServerLayers::new().tls(tls.clone())),
        ("ws", ServerLayers::new().websocket()),
        ("wss", ServerLayers::new().websocket().tls(tls.clone())),
    ] {
        let port = if scheme == "mqtt" { port } else { 0 };
        let listener = Listener::tcp(("127.0.0.1", port)).unwrap().layers(layers);
        urls.push(format!("{scheme}://{}", listener.local_addr().unwrap()));
        server = server.listen(listener);
    }
    (server.start().unwrap(), urls)
}

/// Runs a story of the blocking client with either broker.
fn with_each_broker(story: impl Fn(&[String]) + Send + Clone + 'static) {
    let (_running, urls) = serve(0);
    story(&urls);
    OnTokio::run(async move {
        let house = House::<OnTokio>::open_with(&limits(), tamtam_driver::broker::Open).await;
        let urls = house.urls.clone();
        tokio::task::spawn_blocking(move || story(&urls)).await.unwrap();
    });
}

fn setup(version: Version, name: &str) -> Setup<'_> {
    let layers = ClientLayers::new().tls(TlsClient::roots_pem(CA).unwrap());
    Setup::new(options(version, name)).layers(layers).patience(SOON)
}

fn connect(url: &str, name: &str) -> Client {
    setup(Version::V5, name).connect(url).unwrap()
}

#[test]
fn every_qos_over_every_transport_in_every_version() {
    with_each_broker(|urls| {
        for (url, version) in
            urls.iter().flat_map(|url| [Version::V31, Version::V311, Version::V5].map(|v| (url, v)))
        {
            let client = setup(version, "hall").connect(url).unwrap();
            client.subscribe(Filter::new("room/+")).unwrap();
            for qos in LEVELS {
                client.publish(Publish::new("room/7", b"21.5").qos(qos)).unwrap();
                let message = client.next_message(SOON).unwrap();
                assert_eq!((message.topic(), message.text()), ("room/7", Some("21.5")));
                assert_eq!(message.qos(), qos, "{url} {version:?}");
            }
            client.unsubscribe("room/+").unwrap();
            client.disconnect().unwrap();
            assert!(client.messages().next().is_none());
        }
    });
}

#[test]
fn ten_thousand_messages_each_way() {
    with_each_broker(|urls| {
        let qos = QoS::AtLeastOnce;
        let sides = [("one", "other"), ("other", "one")].map(|(name, to)| {
            let client = connect(&urls[0], name);
            client.subscribe(Filter::new(&format!("to/{name}")).qos(qos)).unwrap();
            (client, format!("to/{to}"))
        });
        let sides = sides.map(|(client, topic)| {
            std::thread::spawn(move || {
                let (mut sent, mut received) = (0_u32, 0_u32);
                while received < 10_000 {
                    while sent < 10_000 && sent < received + 400 {
                        let payload = sent.to_be_bytes();
                        client.publish_later(Publish::new(&topic, &payload).qos(qos)).unwrap();
                        sent += 1;
                    }
                    let message = client.next_message(SOON).unwrap();
                    assert_eq!(message.payload(), received.to_be_bytes());
                    received += 1;
                }
                client.disconnect().unwrap();
                assert_eq!(client.dropped(), 0);
            })
        });
        for side in sides {
            side.join().unwrap();
        }
    });
}

#[test]
fn a_slow_reader_loses_nothing() {
    with_each_broker(|urls| {
        for version in [Version::V311, Version::V5] {
            let slow = setup(version, "slow").queue(10).connect(&urls[0]).unwrap();
            slow.subscribe(Filter::new("a")).unwrap();
            let quick = connect(&urls[0], "quick");
            for number in 0..3_000_u32 {
                let payload = number.to_be_bytes();
                let publish = Publish::new("a", &payload).qos(QoS::AtLeastOnce);
                quick.publish_later(publish).unwrap();
            }
            quick.flush().unwrap(); // nobody has read any of them yet
            for number in 0..3_000_u32 {
                if number % 500 == 0 {
                    std::thread::sleep(Duration::from_millis(20));
                }
                assert_eq!(slow.next_message(SOON).unwrap().payload(), number.to_be_bytes());
            }
            slow.disconnect().unwrap();
        }
    });
}

/// Stands between a client and its broker, and cuts the first connections after so many bytes.
fn scissors(broker: &str, cuts: impl IntoIterator<Item = usize>) -> String {
    let broker = broker.strip_prefix("mqtt://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("mqtt://{}", listener.local_addr().unwrap());
    let mut cuts = cuts.into_iter().collect::<Vec<_>>().into_iter();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(broker) = TcpStream::connect(&broker) else { continue };
            let (up, down) = (client.try_clone().unwrap(), broker.try_clone().unwrap());
            let left = cuts.next().unwrap_or(usize::MAX);
            std::thread::spawn(move || carry(up, broker, left));
            std::thread::spawn(move || carry(down, client, usize::MAX));
        }
    });
    address
}

fn carry(mut from: TcpStream, mut to: TcpStream, mut left: usize) {
    let mut bytes = [0; 4096];
    while left > 0
        && let Ok(len) = from.read(&mut bytes)
        && len > 0
        && to.write_all(&bytes[..len.min(left)]).is_ok()
    {
        left = left.saturating_sub(len);
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[test]
fn cut_connections_lose_and_double_nothing() {
    with_each_broker(|urls| {
        for (version, to, name) in [(Version::V311, "to", "from"), (Version::V5, "to-5", "from-5")]
        {
            let keeps = move |name| {
                let options = options(version, name).clean_start(false).adopt_session(true);
                let v5 = version == Version::V5;
                Setup::new(if v5 { options.session_expiry_secs(600) } else { options })
            };
            let to = keeps(to).open(&scissors(&urls[0], (1..15).map(|n| n * 97))).unwrap();
            to.subscribe(Filter::new("a")).unwrap();
            let from = scissors(&urls[0], (1..20).map(|n| n * 131));
            let sender = std::thread::spawn(move || {
                let from = keeps(name).open(&from).unwrap();
                for number in 0..500_u32 {
                    let qos = if number % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
                    from.publish(Publish::new("a", &number.to_be_bytes()).qos(qos)).unwrap();
                }
                from.disconnect().unwrap();
            });
            let mut seen = BTreeMap::<u32, u32>::new();
            while seen.len() < 500 {
                let message = to.next_message(SOON).unwrap();
                let number = u32::from_be_bytes(message.payload().try_into().unwrap());
                *seen.entry(number).or_default() += 1;
            }
            sender.join().unwrap();
            let doubled = seen.iter().filter(|(number, times)| *number % 2 == 1 && **times > 1);
            assert_eq!(doubled.count(), 0, "QoS 2 comes once");
            to.disconnect().unwrap();
        }
    });
}

#[test]
fn a_graceful_stop_says_so_and_a_restarted_server_is_found_again() {
    let (running, urls) = serve(0);
    let port = running.local_addr().unwrap().port();
    let client = connect(&urls[0], "stays");
    client.subscribe(Filter::new("a").qos(QoS::AtLeastOnce)).unwrap();
    running.stop(Duration::from_secs(5)).unwrap();
    let token = client.publish_later(Publish::new("a", b"kept").qos(QoS::AtLeastOnce)).unwrap();
    let (_running, _) = serve(port);
    client.wait_published(token).unwrap();
    let events: Vec<Event> = std::iter::from_fn(|| client.next_event()).collect();
    let reason = events.iter().find_map(|event| match event {
        Event::Lost(Lost::Disconnected { reason, .. }) => Some(*reason),
        _ => None,
    });
    assert_eq!(reason, Some(ReasonCode::ServerShuttingDown), "{events:?}");
    client.publish(Publish::new("a", b"new").qos(QoS::AtLeastOnce)).unwrap();
    while client.next_message(SOON).unwrap().text() != Some("new") {}
}

#[test]
fn a_large_payload_passes_through_bounded_memory() {
    with_each_broker(|urls| {
        let reading = |name| {
            let options = options(Version::V5, name).outgoing_bytes(256 << 10);
            Setup::new(options.stream_above(64 << 10)).patience(SOON).connect(&urls[0]).unwrap()
        };
        let (to, from) = (reading("to"), reading("from"));
        to.subscribe(Filter::new("big")).unwrap();
        let sender = std::thread::spawn(move || {
            let zeros = std::io::repeat(7).take(u64::from(LARGE));
            let publish = Publish::new("big", b"").qos(QoS::ExactlyOnce);
            from.publish_reader(publish, LARGE, zeros).unwrap();
        });
        let message = to.next_message(SOON).unwrap();
        let (mut payload, mut piece, mut len) = (to.payload(&message), [0; 16 << 10], 0);
        loop {
            let read = payload.read(&mut piece).unwrap();
            if read == 0 {
                break;
            }
            assert!(piece[..read].iter().all(|byte| *byte == 7));
            len += read;
        }
        assert_eq!(len, LARGE as usize);
        sender.join().unwrap();
    });
}

#[test]
fn clients_of_tokio_are_served() {
    let (running, urls) = serve(0);
    OnTokio::run(async move {
        for url in &urls {
            for version in [Version::V31, Version::V311, Version::V5] {
                let setup = house::setup(version, "hall");
                let (client, mut messages) = OnTokio::connect(url, setup).await.unwrap();
                house::subscribe(&client, "room/+").await;
                for qos in LEVELS {
                    for number in 0..500_u32 {
                        house::publish(&client, "room/7", &number.to_be_bytes(), qos).await;
                        let message = house::next::<OnTokio>(&mut messages).await;
                        assert_eq!(message.payload()[..], number.to_be_bytes());
                    }
                }
                client.disconnect(SOON).await.unwrap();
            }
        }
    });
    assert!(running.handle().run(|turn| turn.broker.counters().messages_in()).unwrap() >= 18_000);
    running.stop(SOON).unwrap();
}
