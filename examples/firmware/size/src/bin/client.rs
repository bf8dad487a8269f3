//! The reference job: connect, subscribe, publish at QoS 1, receive a message at QoS 1.
#![no_std]
#![no_main]

use board::{Board, Once, Stack, entry, exit, say, say_number};
use size::Peer;
use tamtam_core::client::{Client, Event, Filter, Options, Publish, SendError};
use tamtam_core::{Fixed, Instant, QoS, Version};

type Mqtt = Client<Fixed<1024, 8>>;

static CLIENT: Once<Mqtt> = Once::new(Mqtt::new());
static RECEIVED: Once<[u8; 256]> = Once::new([0; 256]);

#[cfg(not(feature = "panics"))]
entry!(main, no_panic);
#[cfg(feature = "panics")]
entry!(main);

fn main(mut board: Board) -> ! {
    let Some(client) = CLIENT.take(&mut board) else { exit(1) };
    let Some(received) = RECEIVED.take(&mut board) else { exit(1) };
    let stack = Stack::paint();
    let status = talk(client, received);
    say(b"stack ");
    say_number(stack.used() as u32);
    say(b"\n");
    exit(status)
}

/// The job in each version; not a part of `main`, for stack that `main` takes is not seen.
#[inline(never)]
fn talk(client: &mut Mqtt, received: &mut [u8]) -> u8 {
    let talks = [
        #[cfg(feature = "v5")]
        (Version::V5, size::SERVER_V5),
        (Version::V311, size::SERVER_V311),
    ];
    for (version, lines) in talks {
        let mut peer = Peer::new(lines);
        if !start(client, version) || run(client, &mut peer, received) != Some(b'1') {
            return 2;
        }
    }
    0
}

/// By itself, so that options take no stack but while they are needed.
#[inline(never)]
fn start(client: &mut Mqtt, version: Version) -> bool {
    let options = Options::new(version).client_id("thermostat-7").keep_alive_secs(30);
    client.start(&options, 7).is_ok()
}

/// The job; the last byte of the message, once it was received and acknowledged.
#[inline(never)]
fn run(client: &mut Mqtt, peer: &mut Peer, received: &mut [u8]) -> Option<u8> {
    let mut now = Instant::ZERO;
    let mut message = None;
    client.connect(now).ok()?;
    client.handle_open(now);
    let mut len = 0;
    loop {
        now = now.plus_millis(1);
        client.handle_timeout(now);
        let mut input = received.get(..len)?;
        loop {
            let step = match client.handle_input(&mut input, now) {
                Ok(Some(Event::Connected { .. })) => subscribe(client, now),
                Ok(Some(Event::Subscribed { .. })) => publish(client, now),
                Ok(Some(Event::Message(m))) => {
                    message = m.payload.last().copied();
                    Ok(())
                }
                Ok(Some(_)) => Ok(()),
                Ok(None) => break,
                Err(_) => return None,
            };
            step.ok()?;
        }
        while !client.output().is_empty() {
            let written = peer.write(client.output());
            client.output_written(written, now);
        }
        match peer.read(received) {
            Some(read) => len = read,
            None => return message,
        }
    }
}

fn subscribe(client: &mut Mqtt, now: Instant) -> Result<(), SendError> {
    client.subscribe(&[Filter::new("room/7/set").qos(QoS::AtLeastOnce)], now).map(|_| ())
}

fn publish(client: &mut Mqtt, now: Instant) -> Result<(), SendError> {
    client.publish(Publish::new("room/7/celsius", b"21.5").qos(QoS::AtLeastOnce), now).map(|_| ())
}
