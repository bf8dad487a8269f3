//! Request and response (MQTT 5): a message, and the one that answers it.

use std::time::Duration;

use tamtam_core::Property;
use tamtam_core::client::{Filter, Publish, SendError};

use super::completions::Outcome;
use super::error::Error;
use super::handle::Client;
use super::message::Message;
use super::shared::{State, Subscription};

impl Client {
    /// Publishes a request, and waits for the message that answers it, for no longer than
    /// `patience` (MQTT 5).
    ///
    /// The first request subscribes to the topic that answers go to. Answers do not appear among
    /// the [`Messages`](super::Messages).
    ///
    /// # Errors
    /// [`Error::TimedOut`]; or the request could not be made, or was refused.
    pub async fn request(
        &self,
        publish: Publish<'_>,
        patience: Duration,
    ) -> Result<Message, Error> {
        self.subscribe_to_replies().await?;
        let token = self.shared().wait_for(|state| {
            if let Err(error) = state.check() {
                return Some(Err(error));
            }
            let topic = std::mem::take(&mut state.replies.topic);
            let result = state.machine.request(publish, &topic, state.now);
            state.replies.topic = topic;
            let result = state.tried(result)?;
            if let Ok(token) = result {
                state.completions.expect_response(token);
                state.new_timeouts.push((patience, token));
            }
            Some(result)
        });
        match self.awaited(token.await?).outcome().await {
            Outcome::Response(message) => Ok(*message),
            outcome => match super::delivery::delivered(outcome) {
                Ok(_) => Err(Error::Ended),
                Err(error) => Err(error),
            },
        }
    }

    /// Answers a request, at its own QoS, with its correlation data (MQTT 5).
    ///
    /// # Errors
    /// As [`Client::publish`]; [`SendError::Token`] if the
    /// message does not want an answer.
    pub async fn reply(&self, request: &Message, payload: &[u8]) -> Result<(), Error> {
        let properties = request.properties();
        let topic = properties.response_topic().ok_or(SendError::Token)?;
        let data = properties.correlation_data().map(Property::CorrelationData);
        let publish = Publish::new(topic.as_str(), payload).qos(request.qos());
        self.publish(publish.properties(data.as_slice())).await.map(|_| ())
    }

    async fn subscribe_to_replies(&self) -> Result<(), Error> {
        let is_mine = |state: &mut State| match state.replies.state {
            Subscription::Made => Some(None),
            Subscription::UnderWay => None,
            Subscription::None => {
                state.replies.state = Subscription::UnderWay;
                Some(Some(state.replies.topic.clone()))
            }
        };
        let Some(topic) = self.shared().wait_for(is_mine).await else { return Ok(()) };
        let mut attempt = Attempt { client: self, made: false };
        let codes = self.subscribe(&[Filter::new(&topic)]).await?;
        match codes.first() {
            Some(code) if code.is_error() => Err(Error::Refused(*code)),
            _ => {
                attempt.made = true;
                Ok(())
            }
        }
    }
}

/// Subscribing to replies: if it fails or is dropped, somebody else tries.
struct Attempt<'a> {
    client: &'a Client,
    made: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.client.shared().lock(|state| {
            state.replies.state = if self.made { Subscription::Made } else { Subscription::None };
            state.changed();
        });
    }
}
