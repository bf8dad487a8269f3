//! A client and a broker in one process, without a socket, a thread or a clock: bytes are carried
//! by hand. This is how a whole system is tested in no time at all.

use std::error::Error;

use tamtam_core::broker::{self, Broker, LinkId};
use tamtam_core::client::{Client, Event, Filter, Options, Publish};
use tamtam_core::{Heap, Instant, QoS, Version};

/// Carries what the client and the broker have to say to each other, until both are silent.
fn carry(client: &mut Client<Heap>, broker: &mut Broker<Heap>, link: LinkId, now: Instant) {
    loop {
        let up = client.output().to_vec();
        client.output_written(up.len(), now);
        let _ = broker.handle_input(link, &mut &up[..], now);

        let down = broker.output(link).to_vec();
        broker.output_written(link, down.len(), now);
        let mut input = &down[..];
        while let Some(event) = client.handle_input(&mut input, now).expect("a good broker") {
            match event {
                Event::Connected { session_present, .. } => {
                    println!("connected; a session was there: {session_present}");
                }
                Event::Message(message) => {
                    let topic = client.topic(message.topic).expect("a topic");
                    println!("{topic}: {}", String::from_utf8_lossy(message.payload));
                }
                Event::Delivered { reason, .. } => println!("delivered: {reason}"),
                _ => {}
            }
        }
        if up.is_empty() && down.is_empty() && client.output().is_empty() {
            return;
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let now = Instant::from_millis(1_000);
    let mut broker = Broker::new();
    broker.start(&broker::Options::DEFAULT, 7);
    let mut client = Client::new();
    client.start(&Options::new(Version::V5).client_id("thermostat-7"), 7)?;

    client.connect(now)?;
    client.handle_open(now);
    let link = broker.open(now)?;
    carry(&mut client, &mut broker, link, now);

    client.subscribe(&[Filter::new("room/+/celsius")], now)?;
    client.publish(Publish::new("room/7/celsius", b"21.5").qos(QoS::ExactlyOnce), now)?;
    carry(&mut client, &mut broker, link, now);

    // An hour passes at once: the client was silent for too long, and the broker says so.
    broker.handle_timeout(now.plus_secs(3_600));
    while let Some(event) = broker.poll_event() {
        println!("broker: {event:?}");
    }
    Ok(())
}
