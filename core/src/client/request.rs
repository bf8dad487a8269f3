//! Request and response (MQTT 5): a topic to answer to, and data that say what is answered.

use super::Client;
use super::error::SendError;
use super::event::{Message, Token};
use super::options::MAX_PROPERTIES;
use super::publish::Publish;
use crate::Instant;
use crate::codec::Property;
use crate::storage::Storage;
use crate::types::TopicName;

impl<S: Storage> Client<S> {
    /// Publishes a request that is to be answered to the topic `reply_to`, which the client has
    /// subscribed to. [`Client::answers`] tells which request a message answers.
    ///
    /// # Errors
    /// As [`Client::publish`]; or there are too many properties, or the version is not MQTT 5.
    pub fn request(
        &mut self,
        publish: Publish<'_>,
        reply_to: &str,
        now: Instant,
    ) -> Result<Token, SendError> {
        let token = Token(self.next_token.wrapping_add(1).max(1));
        let correlation = self.correlation(token);
        let mut list = heapless::Vec::<Property<'_>, MAX_PROPERTIES>::new();
        list.extend_from_slice(publish.properties).map_err(|_| SendError::Full)?;
        for property in [
            Property::ResponseTopic(TopicName::new(reply_to)?),
            Property::CorrelationData(&correlation),
        ] {
            list.push(property).map_err(|_| SendError::Full)?;
        }
        self.publish(publish.properties(&list), now)
    }

    /// Eight bytes that no other client's requests, nor an earlier run's, are likely to carry.
    fn correlation(&self, token: Token) -> [u8; 8] {
        (u64::from(self.salt) << 32 | u64::from(token.0)).to_be_bytes()
    }

    /// The request of this client that the message answers.
    #[must_use]
    pub fn answers(&self, message: &Message<'_>) -> Option<Token> {
        let data: [u8; 8] = message.properties.correlation_data()?.try_into().ok()?;
        let number = u64::from_be_bytes(data);
        if number >> 32 == u64::from(self.salt) { Some(Token(number as u32)) } else { None }
    }

    /// Answers a request, at its own QoS, with its correlation data.
    ///
    /// # Errors
    /// As [`Client::publish`]; [`SendError::Token`] if the message does not want an answer.
    pub fn reply(
        &mut self,
        request: &Message<'_>,
        payload: &[u8],
        now: Instant,
    ) -> Result<Token, SendError> {
        let topic = request.properties.response_topic().ok_or(SendError::Token)?;
        let data = request.properties.correlation_data().map(Property::CorrelationData);
        let publish = Publish::new(topic.as_str(), payload).qos(request.qos);
        self.publish(publish.properties(data.as_slice()), now)
    }
}
