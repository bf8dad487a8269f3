//! A puppet on tamtam's own client, on tokio.

use std::thread;
use std::time::Duration;

use serde_json::json;
use tamtam_matrix::{Failed, Order, message, orders, say};
use tamtam_tokio::core::client::{Filter, Options, Publish};
use tamtam_tokio::core::{Properties, Property, QoS, Text, TopicName, Version, Will};
use tamtam_tokio::transport::{ClientLayers, TlsClient};
use tamtam_tokio::{Client, Event, Message, Messages, Setup};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(10);

fn qos(order: &Order) -> QoS {
    match order.number("qos") {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

async fn connect(order: &Order) -> Result<(Client, Messages), Failed> {
    let version = match order.text("version") {
        "3.1" => Version::V31,
        "3.1.1" => Version::V311,
        _ => Version::V5,
    };
    let (clean, will) = (order.flag("clean"), order.part("will"));
    let mut options = Options::new(version)
        .client_id(order.text("id"))
        .clean_start(clean)
        .adopt_session(!clean)
        .outgoing_bytes(4 << 20);
    if version == Version::V5 {
        options = options.session_expiry_secs(order.number("expiry"));
    }
    if let Some(will) = &will {
        options = options.will(Will {
            qos: qos(will),
            retain: will.flag("retain"),
            properties: Properties::EMPTY,
            topic: TopicName::new(will.text("topic"))?,
            payload: will.text("payload").as_bytes(),
        });
    }
    let (scheme, is_secret) = match order.text("transport") {
        "ws" => ("ws", false),
        "tls" => ("mqtts", true),
        "wss" => ("wss", true),
        _ => ("mqtt", false),
    };
    let mut layers = ClientLayers::new();
    if is_secret {
        layers = layers.tls(TlsClient::roots_pem(&std::fs::read(order.text("ca"))?)?);
    }
    let url = format!("{scheme}://127.0.0.1:{}", order.number("port"));
    let (client, messages) = tamtam_tokio::start(&url, Setup::new(options).layers(layers))?;
    // One thread runs it all, so nothing has happened before the next await.
    let mut events = client.events();
    match events.next().await {
        Some(Event::Connected { session_present, .. }) => {
            say("connected", json!({ "session": session_present }));
        }
        event => return Err(format!("{event:?}").into()),
    }
    Ok((client, messages))
}

async fn publish(client: &Client, order: &Order) -> Result<(), Failed> {
    let payload = order.payload();
    let mut publish = Publish::new(order.text("topic"), &payload);
    publish = publish.qos(qos(order)).retain(order.flag("retain"));
    let Some(given) = order.part("properties") else {
        client.publish(publish).await?;
        return Ok(());
    };
    let user = given.user();
    let mut properties = vec![
        Property::ContentType(Text::new(given.text("content_type"))?),
        Property::ResponseTopic(TopicName::new(given.text("response_topic"))?),
        Property::CorrelationData(given.text("correlation").as_bytes()),
    ];
    for (name, value) in &user {
        properties.push(Property::UserProperty((Text::new(name)?, Text::new(value)?)));
    }
    client.publish(publish.properties(&properties)).await?;
    Ok(())
}

fn told(got: &Message) {
    let (mut told, mut user) = (json!({}), Vec::new());
    for property in got.properties().iter() {
        match property {
            Property::ContentType(text) => told["content_type"] = text.as_str().into(),
            Property::ResponseTopic(text) => told["response_topic"] = text.as_str().into(),
            Property::CorrelationData(data) => {
                told["correlation"] = String::from_utf8_lossy(data).into();
            }
            Property::UserProperty((name, value)) => {
                user.push(json!([name.as_str(), value.as_str()]))
            }
            _ => {}
        }
    }
    told["user"] = user.into();
    message(got.topic(), got.payload(), got.qos().level(), got.is_retained(), Some(told));
}

async fn obey(client: &Client, order: &Order) -> Result<(), Failed> {
    match order.verb() {
        "subscribe" => {
            let filter = Filter::new(order.text("filter")).qos(qos(order));
            let reasons = client.subscribe(&[filter.no_local(order.flag("no_local"))]).await?;
            say("subscribed", reasons.first().map(|reason| reason.as_byte()));
        }
        "unsubscribe" => {
            client.unsubscribe(&[order.text("filter")]).await?;
            say("unsubscribed", true);
        }
        "publish" => {
            publish(client, order).await?;
            say("published", true);
        }
        "disconnect" => {
            client.disconnect(PATIENCE).await?;
            say("disconnected", true);
        }
        verb => return Err(format!("no such order: {verb}").into()),
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let (sender, mut incoming) = mpsc::unbounded_channel();
    thread::spawn(move || orders().try_for_each(|order| sender.send(order)));
    let first = incoming.recv().await.ok_or("no order")?;
    let (client, mut messages) = connect(&first).await?;
    tokio::spawn(async move {
        while let Some(got) = messages.next().await {
            told(&got);
        }
    });
    while let Some(order) = incoming.recv().await {
        obey(&client, &order).await?;
    }
    Ok(())
}
