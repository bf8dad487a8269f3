//! Hello, on async-std: a client and a broker in one program, over a real socket. With an address
//! as its argument it talks to that server instead.

use std::error::Error;
use std::time::Duration;

use async_std::net::TcpListener;
use tamtam_async_std::broker::Open;
use tamtam_async_std::core::client::{Filter, Options, Publish};
use tamtam_async_std::core::{QoS, Version, broker};
use tamtam_async_std::transport::ServerLayers;

fn main() -> Result<(), Box<dyn Error>> {
    async_std::task::block_on(hello())
}

async fn hello() -> Result<(), Box<dyn Error>> {
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            let options = broker::Options::DEFAULT;
            tamtam_async_std::serve(listener, ServerLayers::new(), &options, Open);
            format!("mqtt://{address}")
        }
    };
    let options = Options::new(Version::V5).client_id("hello-async-std");
    let (client, mut messages) = tamtam_async_std::connect(&url, options).await?;
    client.subscribe(&[Filter::new("room/+/celsius")]).await?;

    let reading = Publish::new("room/7/celsius", b"21.5").qos(QoS::AtLeastOnce);
    println!("acknowledged: {}", client.publish(reading).await?);
    if let Some(message) = messages.next().await {
        println!("{}: {}", message.topic(), message.text().unwrap_or("?"));
    }
    client.disconnect(Duration::from_secs(5)).await?;
    Ok(())
}
