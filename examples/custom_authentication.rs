//! Authentication of one's own (MQTT 5): the broker sets a challenge, and the client answers it.
//! (A real one would use SCRAM or the like; this one only reverses what it is given.)

use std::error::Error;

use tamtam_tokio::broker::{Policy, Turn};
use tamtam_tokio::core::broker::{Acceptance, AskId, Options as BrokerOptions, Verdict};
use tamtam_tokio::core::client::{Options, Publish};
use tamtam_tokio::core::{QoS, ReasonCode, Text, Version};
use tamtam_tokio::transport::ServerLayers;
use tamtam_tokio::{Setup, serve};
use tokio::net::TcpListener;

/// Lets in who can say a word backwards.
struct Backwards;

impl Policy for Backwards {
    fn ask(&mut self, ask: AskId, turn: &mut Turn<'_>) {
        let answer =
            turn.broker.auth_of(ask).and_then(|auth| auth.properties.authentication_data());
        match answer {
            None => turn.broker.answer_with(ask, Verdict::Continue, Some(b"tamtam"), turn.now),
            Some(b"matmat") => {
                turn.broker.answer(ask, Verdict::Accept(Acceptance::default()), turn.now);
            }
            Some(_) => {
                turn.broker.answer(ask, Verdict::refuse(ReasonCode::NotAuthorized), turn.now);
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    let asking = BrokerOptions { ask_connect: true, ..BrokerOptions::DEFAULT };
    serve(listener, ServerLayers::new(), &asking, Backwards);

    let options = Options::new(Version::V5)
        .client_id("clever")
        .authentication_method(Text::new("BACKWARDS")?);
    let clever = Setup::new(options.clone())
        .authenticate(|challenge| challenge.iter().rev().copied().collect());
    let (client, _messages) = tamtam_tokio::connect(&url, clever).await?;
    client.publish(Publish::new("hello", b"let in").qos(QoS::AtLeastOnce)).await?;
    println!("the clever one is in");

    let parrot = Setup::new(options).authenticate(<[u8]>::to_vec);
    match tamtam_tokio::connect(&url, parrot).await {
        Ok(_) => println!("the parrot is in, which is wrong"),
        Err(error) => println!("the parrot: {error}"),
    }
    Ok(())
}
