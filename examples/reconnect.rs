//! A server that goes and comes back: the client finds it again by itself, subscribes anew, and
//! sends what was published meanwhile.

use std::error::Error;
use std::time::Duration;

use tamtam_tokio::Event;
use tamtam_tokio::broker::{Handle, Open};
use tamtam_tokio::core::client::{Filter, Options, Publish, Reconnect};
use tamtam_tokio::core::{QoS, Version, broker};
use tamtam_tokio::transport::ServerLayers;
use tokio::net::TcpListener;

async fn serve(address: &str) -> Result<(Handle, String), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?.to_string();
    let options = broker::Options::DEFAULT;
    let layers = ServerLayers::new();
    Ok((tamtam_tokio::serve(listener, layers, &options, Open), address))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (broker, address) = serve("127.0.0.1:0").await?;
    let quickly = Reconnect::Backoff { first_ms: 50, most_ms: 1_000 };
    let options = Options::new(Version::V5).client_id("steadfast").reconnect(quickly);
    let url = format!("mqtt://{address}");
    let (client, mut messages) = tamtam_tokio::connect(&url, options).await?;
    client.subscribe(&[Filter::new("news")]).await?;

    let mut events = client.events();
    let watcher = tokio::spawn(async move {
        while let Some(event) = events.next().await {
            println!("{event:?}");
            if let Event::Resubscribed = event {
                break;
            }
        }
    });

    broker.stop(Duration::from_secs(5)).await;
    // This waits for the server, and the task goes on.
    let waiting = client.try_publish(Publish::new("news", b"kept").qos(QoS::AtLeastOnce))?;
    let (_broker, _) = serve(&address).await?;
    println!("acknowledged: {}", waiting.await?);

    watcher.await?;
    client.publish(Publish::new("news", b"fresh").qos(QoS::AtLeastOnce)).await?;
    while let Some(message) = messages.next().await {
        println!("{}: {}", message.topic(), message.text().unwrap_or("?"));
        if message.text() == Some("fresh") {
            break;
        }
    }
    client.disconnect(Duration::from_secs(5)).await?;
    Ok(())
}
