//! A client on blocking sockets: publish, subscribe, callbacks, a request, and a goodbye.
//!
//! ```text
//! cargo run -p tamtam-examples --example hello_blocking -- mqtt://127.0.0.1:1883
//! ```
//!
//! Without an address it starts a broker of its own.

use std::error::Error;
use std::time::Duration;

use tamtam_blocking::broker::Server;
use tamtam_blocking::client::{Client, Filter, Options, Publish};
use tamtam_core::{QoS, Version, broker};

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::bind("127.0.0.1:0", &broker::Options::DEFAULT)?;
    let own = format!("mqtt://{}", server.local_addr().ok_or("no address")?);
    let running = server.start()?;
    let address = std::env::args().nth(1).unwrap_or(own);

    let client = Client::connect(&address, Options::new(Version::V5).client_id("hall"))?;
    client.subscribe(Filter::new("hall/light").qos(QoS::AtLeastOnce))?;
    client.subscribe_with(Filter::new("hall/+/celsius"), |topic, payload| {
        println!("callback: {topic} is {}", payload.text().unwrap_or("no text"));
    })?;

    let warm = Publish::new("hall/door/celsius", b"21.5").qos(QoS::ExactlyOnce);
    println!("the server has it: {}", client.publish(warm)?);
    client.publish(Publish::new("hall/light", b"on").qos(QoS::AtLeastOnce))?;

    // `for message in client.messages()` takes them all.
    let message = client.next_message(Duration::from_secs(5))?;
    println!("message: {} is {:?}", message.topic(), message.text());

    client.subscribe_with(Filter::new("double"), |_, payload| {
        let number: u32 = payload.text().and_then(|text| text.parse().ok()).unwrap_or_default();
        let answer = (number * 2).to_string();
        let _ = payload.client().reply(payload.message(), answer.as_bytes());
    })?;
    let request = Publish::new("double", b"21").qos(QoS::AtLeastOnce);
    let answer = client.request(request, Duration::from_secs(5))?;
    println!("twice 21 is {:?}", answer.text());

    client.disconnect()?;
    running.stop(Duration::from_secs(1))?;
    Ok(())
}
