//! A broker inside an application that decides who may connect, and speaks itself. The decision is
//! a plain function over the machine, so its test needs neither socket nor clock: an hour passes in
//! no time.

use std::error::Error;
use std::time::Duration;

use tamtam_tokio::broker::{Policy, Turn};
use tamtam_tokio::core::broker::{Acceptance, AskId, Broker, Options, Post, Verdict};
use tamtam_tokio::core::client::{Filter, Options as ClientOptions, Publish};
use tamtam_tokio::core::{Heap, Instant, QoS, ReasonCode, TopicName, Version};
use tamtam_tokio::transport::ServerLayers;
use tokio::net::TcpListener;

/// Only sensors may connect.
fn decide(broker: &mut Broker<Heap>, ask: AskId, now: Instant) {
    let connect = broker.connect_of(ask);
    let is_sensor = connect.is_some_and(|c| c.client_id.as_str().starts_with("sensor-"));
    let verdict = match is_sensor {
        true => Verdict::Accept(Acceptance::default()),
        false => Verdict::refuse(ReasonCode::NotAuthorized),
    };
    broker.answer(ask, verdict, now);
}

struct Sensors;

impl Policy for Sensors {
    fn ask(&mut self, ask: AskId, turn: &mut Turn<'_>) {
        decide(turn.broker, ask, turn.now);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    let options = Options { ask_connect: true, ..Options::DEFAULT };
    let broker = tamtam_tokio::serve(listener, ServerLayers::new(), &options, Sensors);
    let mut readings = broker.subscribe("application", &[Filter::new("celsius/#")])?;
    broker.publish(&Post { retain: true, ..Post::new(TopicName::new("interval")?, b"60") })?;

    let options = ClientOptions::new(Version::V5).client_id("sensor-7");
    let (sensor, _messages) = tamtam_tokio::connect(&url, options).await?;
    sensor.publish(Publish::new("celsius/7", b"21.5").qos(QoS::AtLeastOnce)).await?;
    if let Some(reading) = readings.next().await {
        println!("{}: {}", reading.topic(), String::from_utf8_lossy(reading.payload()));
    }
    broker.stop(Duration::from_secs(5)).await;
    Ok(())
}

#[test]
fn who_is_silent_for_an_hour_is_gone() {
    use tamtam_tokio::core::broker::Event;
    let now = Instant::from_millis(1);
    let mut broker = Broker::new();
    broker.start(&Options { ask_connect: true, ..Options::DEFAULT }, 7);
    let link = broker.open(now).unwrap();
    let connect = b"\x10\x14\x00\x04MQTT\x04\x02\x00\x3C\x00\x08sensor-7";
    let _ = broker.handle_input(link, &mut &connect[..], now);
    let Some(Event::Ask(ask)) = broker.poll_event() else { panic!() };
    decide(&mut broker, ask, now);
    assert_eq!(broker.output(link), b"\x20\x02\x00\x00", "it is let in");
    broker.output_written(link, 4, now);
    broker.handle_timeout(now.plus_secs(3_600));
    let mut events = std::iter::from_fn(|| broker.poll_event());
    assert!(events.any(|event| matches!(event, Event::Disconnected { .. })));
}
