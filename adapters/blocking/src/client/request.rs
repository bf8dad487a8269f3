//! Request and response (MQTT 5).

use std::time::{Duration, Instant as Moment};

use tamtam_core::client::{Filter, Publish, SendError};
use tamtam_core::{Property, QoS, ReasonCode};

use super::Client;
use super::error::Error;
use super::message::Message;

impl Client {
    /// Publishes a request, and waits for its answer, for `patience` at most. The first time it
    /// subscribes to the topic that answers come to, too: see
    /// [`Setup::reply_topic`](super::Setup::reply_topic).
    ///
    /// # Errors
    /// As [`Client::publish`]; a reason code that says that nobody is there to answer is
    /// [`Error::Refused`].
    pub fn request(&self, publish: Publish<'_>, patience: Duration) -> Result<Message, Error> {
        let deadline = Moment::now().checked_add(patience);
        let reply_topic = self.reply_topic()?;
        let token = self.ask(deadline, |engine| {
            let now = engine.now();
            let token = engine.machine.request(publish, &reply_topic, now)?;
            engine.inbox.requests.push(token);
            Ok(token)
        })?;
        let delivered = match publish.is_acknowledged() {
            true => self.wait_for(token, deadline),
            false => Ok(ReasonCode::Success),
        };
        let answer = match delivered {
            Ok(reason @ ReasonCode::NoMatchingSubscribers) => Err(Error::Refused(reason)),
            Ok(_) => self.wait(deadline, |engine| {
                let replies = &mut engine.inbox.replies;
                let at = replies.iter().position(|(answered, _)| *answered == token)?;
                Some(Ok(replies.swap_remove(at).1))
            }),
            Err(error) => Err(error),
        };
        let mut engine = self.engine.borrow_mut();
        engine.inbox.requests.retain(|asked| *asked != token);
        engine.inbox.replies.retain(|(answered, _)| *answered != token);
        answer
    }

    /// The topic that answers come to, once it is subscribed to.
    fn reply_topic(&self) -> Result<String, Error> {
        let mut engine = self.engine.borrow_mut();
        if engine.replies_come {
            return Ok(engine.inbox.reply_topic.clone().unwrap_or_default());
        }
        let topic = engine.inbox.reply_topic.clone().unwrap_or_else(random_topic);
        engine.inbox.reply_topic = Some(topic.clone());
        drop(engine);
        self.subscribe(Filter::new(&topic).qos(QoS::AtLeastOnce))?;
        self.engine.borrow_mut().replies_come = true;
        Ok(topic)
    }

    /// Answers a request, at its own QoS.
    ///
    /// # Errors
    /// As [`Client::publish`]; [`SendError::Token`] if the message does not want an answer.
    pub fn reply(&self, request: &Message, payload: &[u8]) -> Result<ReasonCode, Error> {
        let properties = request.properties();
        let topic = properties.response_topic().ok_or(SendError::Token)?;
        let data = properties.correlation_data().map(Property::CorrelationData);
        let publish = Publish::new(topic.as_str(), payload).qos(request.qos());
        self.publish(publish.properties(data.as_slice()))
    }
}

fn random_topic() -> String {
    format!("reply/{:016x}", super::engine::seed())
}
