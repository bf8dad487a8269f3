//! A puppet on rumqttc, whose two versions are two interfaces.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tamtam_matrix::{Failed, Order, orders, say};

const PATIENCE: Duration = Duration::from_secs(10);

/// What a client is told to do, whatever its version.
trait Puppet {
    fn subscribe(&self, order: &Order) -> Result<(), Failed>;
    fn unsubscribe(&self, order: &Order) -> Result<(), Failed>;
    fn publish(&self, order: &Order) -> Result<(), Failed>;
    fn disconnect(&self) -> Result<(), Failed>;
}

/// What the thread that reads has seen, besides messages.
enum Answer {
    Connected(bool),
    Subscribed(u8),
    Unsubscribed,
    Published,
    Over,
}

/// Reads, in a thread of its own: what comes has the same names in both versions.
macro_rules! listen {
    ($connection:ident) => {{
        let (answers, answered) = channel();
        thread::spawn(move || {
            for event in $connection.iter() {
                let answer = match event {
                    Ok(Event::Incoming(Packet::ConnAck(ack))) => {
                        Answer::Connected(ack.session_present)
                    }
                    Ok(Event::Incoming(Packet::SubAck(ack))) => match ack.return_codes[0] {
                        SubscribeReasonCode::Success(qos) => Answer::Subscribed(qos as u8),
                        _ => Answer::Subscribed(0x80),
                    },
                    Ok(Event::Incoming(Packet::UnsubAck(_))) => Answer::Unsubscribed,
                    Ok(Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)))
                    | Ok(Event::Outgoing(Outgoing::Publish(0))) => Answer::Published,
                    Ok(Event::Incoming(Packet::Publish(got))) => {
                        told(&got);
                        continue;
                    }
                    Ok(_) => continue,
                    Err(_) => Answer::Over,
                };
                let over = matches!(answer, Answer::Over);
                if answers.send(answer).is_err() || over {
                    return;
                }
            }
        });
        answered
    }};
}

mod v4 {
    use rumqttc::*;
    use tamtam_matrix::message;

    use super::*;

    fn level(order: &Order) -> Result<QoS, Failed> {
        qos(order.number("qos").try_into()?).map_err(|_| "no such QoS".into())
    }

    pub(super) fn start(order: &Order) -> Result<(Client, Receiver<Answer>), Failed> {
        let port = order.number("port").try_into()?;
        let mut options = MqttOptions::new(order.text("id"), "127.0.0.1", port);
        options.set_clean_session(order.flag("clean"));
        options.set_max_packet_size(16 << 20, 16 << 20);
        if let Some(will) = order.part("will") {
            let (topic, payload) = (will.text("topic"), will.text("payload"));
            options.set_last_will(LastWill::new(
                topic,
                payload,
                level(&will)?,
                will.flag("retain"),
            ));
        }
        let (client, mut connection) = Client::new(options, 100);
        Ok((client, listen!(connection)))
    }

    fn told(got: &Publish) {
        message(&got.topic, &got.payload, got.qos as u8, got.retain, None);
    }

    impl Puppet for Client {
        fn subscribe(&self, order: &Order) -> Result<(), Failed> {
            Ok(Self::subscribe(self, order.text("filter"), level(order)?)?)
        }

        fn unsubscribe(&self, order: &Order) -> Result<(), Failed> {
            Ok(Self::unsubscribe(self, order.text("filter"))?)
        }

        fn publish(&self, order: &Order) -> Result<(), Failed> {
            let (topic, retain) = (order.text("topic"), order.flag("retain"));
            Ok(Self::publish(self, topic, level(order)?, retain, order.payload())?)
        }

        fn disconnect(&self) -> Result<(), Failed> {
            Ok(Self::disconnect(self)?)
        }
    }
}

mod v5 {
    use rumqttc::Outgoing;
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::mqttbytes::qos;
    use rumqttc::v5::mqttbytes::v5::*;
    use rumqttc::v5::*;
    use tamtam_matrix::message;

    use super::*;

    fn level(order: &Order) -> Result<QoS, Failed> {
        qos(order.number("qos").try_into()?).ok_or_else(|| "no such QoS".into())
    }

    pub(super) fn start(order: &Order) -> Result<(Client, Receiver<Answer>), Failed> {
        let port = order.number("port").try_into()?;
        let mut options = MqttOptions::new(order.text("id"), "127.0.0.1", port);
        options.set_clean_start(order.flag("clean"));
        options.set_session_expiry_interval(Some(order.number("expiry")));
        options.set_max_packet_size(Some(16 << 20));
        if let Some(will) = order.part("will") {
            let (topic, payload) = (will.text("topic"), will.text("payload"));
            let (qos, retain) = (level(&will)?, will.flag("retain"));
            options.set_last_will(LastWill::new(topic, payload, qos, retain, None));
        }
        let (client, mut connection) = Client::new(options, 100);
        Ok((client, listen!(connection)))
    }

    fn told(got: &Publish) {
        let told = got.properties.as_ref().map(|found| {
            let correlation = found.correlation_data.as_ref();
            json!({
                "content_type": found.content_type,
                "response_topic": found.response_topic,
                "correlation": correlation.map(|data| String::from_utf8_lossy(data)),
                "user": found.user_properties,
            })
        });
        let topic = String::from_utf8_lossy(&got.topic);
        message(&topic, &got.payload, got.qos as u8, got.retain, told);
    }

    impl Puppet for Client {
        fn subscribe(&self, order: &Order) -> Result<(), Failed> {
            let mut filter = Filter::new(order.text("filter"), level(order)?);
            filter.nolocal = order.flag("no_local");
            Ok(self.subscribe_many([filter])?)
        }

        fn unsubscribe(&self, order: &Order) -> Result<(), Failed> {
            Ok(Self::unsubscribe(self, order.text("filter"))?)
        }

        fn publish(&self, order: &Order) -> Result<(), Failed> {
            let (topic, retain) = (order.text("topic").to_owned(), order.flag("retain"));
            let (qos, payload) = (level(order)?, order.payload());
            let Some(given) = order.part("properties") else {
                return Ok(Self::publish(self, topic, qos, retain, payload)?);
            };
            let properties = PublishProperties {
                content_type: Some(given.text("content_type").to_owned()),
                response_topic: Some(given.text("response_topic").to_owned()),
                correlation_data: Some(given.text("correlation").to_owned().into()),
                user_properties: given.user(),
                ..PublishProperties::default()
            };
            Ok(self.publish_with_properties(topic, qos, retain, payload, properties)?)
        }

        fn disconnect(&self) -> Result<(), Failed> {
            Ok(Self::disconnect(self)?)
        }
    }
}

/// Waits for the answer that `wanted` recognises.
fn wait<T>(answers: &Receiver<Answer>, wanted: impl Fn(&Answer) -> Option<T>) -> Result<T, Failed> {
    loop {
        let answer = answers.recv_timeout(PATIENCE)?;
        if let Some(found) = wanted(&answer) {
            return Ok(found);
        }
        if matches!(answer, Answer::Over) {
            return Err("the connection is over".into());
        }
    }
}

fn obey(client: &dyn Puppet, answers: &Receiver<Answer>, order: &Order) -> Result<(), Failed> {
    match order.verb() {
        "subscribe" => {
            client.subscribe(order)?;
            let code = wait(answers, |answer| match answer {
                Answer::Subscribed(code) => Some(*code),
                _ => None,
            })?;
            say("subscribed", code);
        }
        "unsubscribe" => {
            client.unsubscribe(order)?;
            wait(answers, |answer| matches!(answer, Answer::Unsubscribed).then_some(()))?;
            say("unsubscribed", true);
        }
        "publish" => {
            client.publish(order)?;
            wait(answers, |answer| matches!(answer, Answer::Published).then_some(()))?;
            say("published", true);
        }
        "disconnect" => {
            client.disconnect()?;
            wait(answers, |answer| matches!(answer, Answer::Over).then_some(()))?;
            say("disconnected", true);
        }
        verb => return Err(format!("no such order: {verb}").into()),
    }
    Ok(())
}

fn main() -> Result<(), Failed> {
    let mut orders = orders();
    let first = orders.next().ok_or("no order")?;
    let (client, answers): (Box<dyn Puppet>, _) = if first.text("version") == "5" {
        let (client, answers) = v5::start(&first)?;
        (Box::new(client), answers)
    } else {
        let (client, answers) = v4::start(&first)?;
        (Box::new(client), answers)
    };
    let session = wait(&answers, |answer| match answer {
        Answer::Connected(session) => Some(*session),
        _ => None,
    })?;
    say("connected", json!({ "session": session }));
    orders.try_for_each(|order| obey(&*client, &answers, &order))
}
