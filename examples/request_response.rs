//! Request and response (MQTT 5): one client asks, another answers, and nobody handles topics and
//! correlation data.

use std::error::Error;
use std::time::Duration;

use tamtam_tokio::broker::Open;
use tamtam_tokio::core::client::{Filter, Options, Publish};
use tamtam_tokio::core::{QoS, Version, broker};
use tamtam_tokio::transport::ServerLayers;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    tamtam_tokio::serve(listener, ServerLayers::new(), &broker::Options::DEFAULT, Open);

    let options = Options::new(Version::V5).client_id("adder");
    let (adder, mut questions) = tamtam_tokio::connect(&url, options).await?;
    adder.subscribe(&[Filter::new("add")]).await?;
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            let numbers = question.text().unwrap_or_default().split('+');
            let sum: i64 = numbers.filter_map(|number| number.trim().parse::<i64>().ok()).sum();
            if let Err(error) = adder.reply(&question, sum.to_string().as_bytes()).await {
                println!("no answer: {error}");
            }
        }
    });

    let options = Options::new(Version::V5).client_id("asker");
    let (asker, _messages) = tamtam_tokio::connect(&url, options).await?;
    for question in ["1 + 2", "20 + 20 + 2"] {
        let request = Publish::new("add", question.as_bytes()).qos(QoS::AtLeastOnce);
        let answer = asker.request(request, Duration::from_secs(5)).await?;
        println!("{question} = {}", answer.text().unwrap_or("?"));
    }
    let nobody = Publish::new("multiply", b"6 * 7").qos(QoS::AtMostOnce);
    match asker.request(nobody, Duration::from_millis(200)).await {
        Ok(answer) => println!("{answer:?}"),
        Err(error) => println!("6 * 7: {error}"),
    }
    Ok(())
}
