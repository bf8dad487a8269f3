//! The adapter against a broker of the core, over a pipe in memory, in virtual time.

#[path = "pipe/world.rs"]
mod world;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tamtam_core::client::{Client, Event, Filter, Lost, Options, Publish, Reconnect};
use tamtam_core::{Fixed, QoS, Version};
use tamtam_embedded::{Clock, Connection, Happened};
use world::{Shared, World};

type Mqtt = Client<Fixed<1024, 8>>;
type Link<'m> = Connection<'m, Fixed<1024, 8>, Shared, Shared>;

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn options(version: Version) -> Options<'static> {
    let options = Options::new(version)
        .client_id("thermostat-7")
        .clean_start(false)
        .adopt_session(true)
        .keep_alive_secs(10)
        .reconnect(Reconnect::Backoff { first_ms: 100, most_ms: 1_000 });
    if version.is_v5() { options.session_expiry_secs(600) } else { options }
}

fn started(options: &Options<'_>) -> Mqtt {
    let mut client = Mqtt::new();
    client.start(options, 7).expect("options that fit");
    client.connect(tamtam_core::Instant::from_millis(1)).expect("a client that was started");
    client
}

/// Drops the future of each wait after a single look at it.
async fn wait_impatiently(connection: &mut Link<'_>, world: &Shared) {
    {
        let mut wait = pin!(connection.wait());
        poll_fn(|context| Poll::Ready(wait.as_mut().poll(context).is_ready())).await;
    }
    world.wait_until(world.now().plus_millis(1)).await;
}

/// Publishes so many messages to itself, and returns what came back.
async fn echo(connection: &mut Link<'_>, messages: usize, qos: QoS) -> Vec<Vec<u8>> {
    let (mut sent, mut got, mut subscribed) = (0, Vec::new(), false);
    while got.len() < messages {
        connection.wait().await;
        while let Some(turn) = connection.take() {
            match turn.happened {
                Happened::Event(Event::Connected { .. }) if !subscribed => {
                    turn.client.subscribe(&[Filter::new("echo/#")], turn.now).expect("room");
                }
                Happened::Event(Event::Subscribed { .. }) => subscribed = true,
                Happened::Event(Event::Message(m)) => got.push(m.payload.to_vec()),
                Happened::TooLarge => panic!("a packet too large"),
                _ => {}
            }
        }
        let now = connection.now();
        while subscribed && sent < messages {
            let text = format!("message {sent}");
            let publish = Publish::new("echo/1", text.as_bytes()).qos(qos);
            if connection.client().publish(publish, now).is_err() {
                break;
            }
            sent += 1;
        }
    }
    got
}

#[test]
fn messages_come_and_go_at_every_qos() {
    for version in VERSIONS {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let (world, mut received) = (World::shared(), [0; 256]);
            let mut client = started(&options(version));
            let mut connection =
                Connection::new(&mut client, world.clone(), world.clone(), &mut received);
            let got = world.run(echo(&mut connection, 50, qos));
            let expected: Vec<_> = (0..50).map(|n| format!("message {n}").into_bytes()).collect();
            assert_eq!(got, expected, "{version} {qos:?}");
        }
    }
}

#[test]
fn a_cut_connection_is_opened_again_and_loses_nothing_owed() {
    for version in VERSIONS {
        for cut_after in (40..2_000).step_by(97) {
            let (world, mut received) = (World::shared(), [0; 256]);
            world.0.borrow_mut().cut_after = cut_after;
            world.0.borrow_mut().refusals = 2;
            let mut client = started(&options(version));
            let mut connection =
                Connection::new(&mut client, world.clone(), world.clone(), &mut received);
            let got = world.run(echo(&mut connection, 30, QoS::ExactlyOnce));
            let expected: Vec<_> = (0..30).map(|n| format!("message {n}").into_bytes()).collect();
            assert_eq!(got, expected, "{version}, cut after {cut_after}");
            assert_eq!(world.0.borrow().opened, 2, "{version}, cut after {cut_after}");
        }
    }
}

#[test]
fn a_future_that_is_dropped_loses_nothing() {
    let (world, mut received) = (World::shared(), [0; 256]);
    let mut client = started(&options(Version::V5));
    let mut connection = Connection::new(&mut client, world.clone(), world.clone(), &mut received);
    let got = world.run(async {
        let (mut sent, mut got) = (0_u8, Vec::new());
        connection.wait().await; // opening takes more than a look
        while got.len() < 40 {
            wait_impatiently(&mut connection, &world).await;
            while let Some(turn) = connection.take() {
                match turn.happened {
                    Happened::Event(Event::Connected { .. }) => {
                        turn.client.subscribe(&[Filter::new("echo/#")], turn.now).expect("room");
                    }
                    Happened::Event(Event::Message(m)) => got.push(m.payload[0]),
                    _ => {}
                }
            }
            let now = connection.now();
            let publish = Publish::new("echo/1", core::slice::from_ref(&sent));
            if connection.client().is_connected()
                && sent < 40
                && connection.client().publish(publish.qos(QoS::AtLeastOnce), now).is_ok()
            {
                sent += 1;
            }
        }
        got
    });
    assert_eq!(got, (0..40).collect::<Vec<u8>>());
}

#[test]
fn a_payload_larger_than_memory_streams_in() {
    const LEN: usize = 20_000;
    let (world, mut received) = (World::shared(), [0; 64]);
    let mut client = started(&options(Version::V5).stream_above(64));
    let mut connection = Connection::new(&mut client, world.clone(), world.clone(), &mut received);
    let (mut sum, mut count, mut to_send) = (0_u64, 0, LEN);
    world.run(async {
        let mut ended = false;
        while !ended {
            connection.wait().await;
            while let Some(turn) = connection.take() {
                match turn.happened {
                    Happened::Event(Event::Connected { .. }) => {
                        turn.client.subscribe(&[Filter::new("image")], turn.now).expect("room");
                    }
                    Happened::Event(Event::Subscribed { .. }) => {
                        let publish = Publish::new("image", b"").qos(QoS::AtLeastOnce);
                        turn.client
                            .publish_stream(publish, LEN as u32, turn.now)
                            .expect("nothing else is under way");
                    }
                    Happened::Event(Event::MessageChunk(chunk)) => {
                        sum += chunk.iter().map(|byte| u64::from(*byte)).sum::<u64>();
                        count += chunk.len();
                    }
                    Happened::Event(Event::MessageEnd { .. }) => ended = true,
                    Happened::Lost(lost) => panic!("{lost}"),
                    _ => {}
                }
            }
            let now = connection.now();
            if connection.client().is_connected() && to_send != 0 {
                let chunk = [3; 100];
                let chunk = &chunk[..to_send.min(100)];
                // Before the payload was announced nothing is taken.
                to_send -= connection.client().publish_chunk(chunk, now).unwrap_or_default();
            }
        }
    });
    assert_eq!((count, sum), (LEN, 3 * LEN as u64));
}

#[test]
fn a_packet_larger_than_memory_ends_the_connection_and_is_told() {
    let (world, mut received) = (World::shared(), [0; 64]);
    let mut client = started(&options(Version::V311));
    let mut connection = Connection::new(&mut client, world.clone(), world.clone(), &mut received);
    let lost = world.run(async {
        loop {
            connection.wait().await;
            while let Some(turn) = connection.take() {
                match turn.happened {
                    Happened::Event(Event::Connected { .. }) => {
                        turn.client.subscribe(&[Filter::new("large")], turn.now).expect("room");
                    }
                    Happened::Event(Event::Subscribed { .. }) => {
                        let publish = Publish::new("large", &[1; 200]);
                        turn.client.publish(publish, turn.now).expect("room");
                    }
                    Happened::Event(Event::Message(_)) => panic!("there is no room for it"),
                    Happened::TooLarge => return turn.client.is_connected(),
                    _ => {}
                }
            }
        }
    });
    assert!(lost, "until the last words have left");
    world.run(async {
        loop {
            connection.wait().await;
            if let Some(turn) = connection.take()
                && matches!(turn.happened, Happened::Event(Event::Connected { .. }))
            {
                return;
            }
        }
    });
}

#[test]
fn pings_keep_a_silent_connection_alive() {
    let (world, mut received) = (World::shared(), [0; 64]);
    let mut client = started(&options(Version::V5));
    let mut connection = Connection::new(&mut client, world.clone(), world.clone(), &mut received);
    let before = connection.now();
    let pings = world.run(async {
        let mut turns = 0;
        while connection.now().millis_since(before) < 120_000 {
            connection.wait().await;
            turns += 1;
            while let Some(turn) = connection.take() {
                assert!(!matches!(turn.happened, Happened::Lost(_)), "{:?}", turn.happened);
            }
        }
        turns
    });
    assert!(pings > 20, "two minutes of silence, and {pings} turns");
}

#[test]
fn a_disconnect_leaves_before_the_end() {
    let (world, mut received) = (World::shared(), [0; 64]);
    let mut client = started(&options(Version::V5));
    let mut connection = Connection::new(&mut client, world.clone(), world.clone(), &mut received);
    world.run(async {
        loop {
            connection.wait().await;
            while let Some(turn) = connection.take() {
                match turn.happened {
                    Happened::Event(Event::Connected { .. }) => {
                        let last = Publish::new("last", b"words").retain(true);
                        turn.client.publish(last, turn.now).expect("room");
                        turn.client.disconnect(turn.now).expect("connected");
                    }
                    Happened::Lost(Lost::Done) => return,
                    Happened::Lost(other) => panic!("{other}"),
                    _ => {}
                }
            }
        }
    });
    assert_eq!(world.0.borrow().opened, 1);
}
