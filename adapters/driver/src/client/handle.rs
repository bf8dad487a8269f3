//! The handle by which an application speaks.

use std::sync::Arc;
use std::time::Duration;

use tamtam_core::client::{Filter, Publish, SendError, Token};
use tamtam_core::{ReasonCode, SubscriptionId};

use super::completions::Outcome;
use super::delivery::{Awaited, Delivery};
use super::events::Events;
use super::message::Message;
use super::shared::{Leaving, Shared, State};
use super::{Error, Lost};

/// How long the end of a client takes at most whose handles are all gone.
const FAREWELL: Duration = Duration::from_secs(5);

/// The handle by which an application speaks; as many copies as are wanted.
///
/// Once all of them and the [`Messages`](super::Messages) are dropped, the client disconnects: what
/// was published leaves first, for five seconds at most.
#[derive(Clone, Debug)]
pub struct Client(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.lock(|state| {
            state.has_clients = false;
            state.stir();
        });
    }
}

impl Client {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Owner { shared }))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    pub(super) fn awaited(&self, token: Token) -> Awaited {
        Awaited { shared: Arc::clone(self.shared()), token: Some(token) }
    }

    /// Publishes a message, and waits for its acknowledgement, which tells the reason code; at QoS
    /// 0 only until it is queued. While there is no room it waits for some. Without a connection
    /// the message waits for one.
    ///
    /// If the future is dropped, the message either was not begun or goes its way.
    ///
    /// # Errors
    /// [`Error::Send`]: nothing has happened. Else the message was refused or will not arrive.
    pub async fn publish(&self, publish: Publish<'_>) -> Result<ReasonCode, Error> {
        self.shared().wait_for(|state| self.publish_in(state, publish)).await?.await
    }

    fn publish_in(
        &self,
        state: &mut State,
        publish: Publish<'_>,
    ) -> Option<Result<Delivery, Error>> {
        if let Err(error) = state.check() {
            return Some(Err(error));
        }
        let result = state.machine.publish(publish, state.now);
        let result = state.tried(result)?;
        Some(result.map(|token| self.delivery(state, &publish, token)))
    }

    fn delivery(&self, state: &mut State, publish: &Publish<'_>, token: Token) -> Delivery {
        let token = publish.is_acknowledged().then_some(token);
        if let Some(token) = token {
            state.completions.expect(token);
        }
        Delivery::new(Awaited { shared: Arc::clone(self.shared()), token })
    }

    /// Publishes a message if there is room for it now. What it returns may be awaited, or dropped.
    ///
    /// # Errors
    /// Nothing has happened: see [`SendError`].
    pub fn try_publish(&self, publish: Publish<'_>) -> Result<Delivery, Error> {
        self.shared().lock(|state| {
            state.check()?;
            let token = state.machine.publish(publish, state.now)?;
            state.stir();
            Ok(self.delivery(state, &publish, token))
        })
    }

    /// Subscribes, and waits for the answer: a code for each filter, in order, which may be a
    /// refusal. Without a connection it waits for one.
    ///
    /// # Errors
    /// Nothing has happened, or the connection ended before the answer.
    pub async fn subscribe(&self, filters: &[Filter<'_>]) -> Result<Vec<ReasonCode>, Error> {
        self.codes(|state| state.machine.subscribe(filters, state.now)).await
    }

    /// As [`Client::subscribe`], with a Subscription Identifier, which comes back with each message
    /// (MQTT 5).
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub async fn subscribe_with_id(
        &self,
        filters: &[Filter<'_>],
        id: SubscriptionId,
    ) -> Result<Vec<ReasonCode>, Error> {
        self.codes(|state| state.machine.subscribe_with_id(filters, id, state.now)).await
    }

    /// Unsubscribes, and waits for the answer: a code for each filter, in order; none before MQTT
    /// 5, where it is always success.
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub async fn unsubscribe(&self, filters: &[&str]) -> Result<Vec<ReasonCode>, Error> {
        self.codes(|state| state.machine.unsubscribe(filters, state.now)).await
    }

    async fn codes(
        &self,
        mut ask: impl FnMut(&mut State) -> Result<Token, SendError>,
    ) -> Result<Vec<ReasonCode>, Error> {
        let token = self.shared().wait_for(|state| {
            if let Err(error) = state.check() {
                return Some(Err(error));
            }
            let result = ask(state);
            let result = state.tried(result)?;
            if let Ok(token) = result {
                state.completions.expect(token);
            }
            Some(result)
        });
        match self.awaited(token.await?).outcome().await {
            Outcome::Codes(codes) => Ok(codes),
            Outcome::Failed(why) => Err(why.into()),
            _ => Err(Error::Ended),
        }
    }

    /// Acknowledges a message, where the options say that the application does: in any order. A
    /// streamed one only once it was read to its end.
    ///
    /// # Errors
    /// It was acknowledged, or its connection is gone (QoS 1).
    pub fn ack(&self, message: &Message) -> Result<(), Error> {
        self.settle(message, |state, ack| state.machine.ack(ack, state.now))
    }

    /// Refuses a message, where the options say that the application acknowledges: the server is
    /// told why, and does not send it again. Before MQTT 5 it is acknowledged.
    ///
    /// # Errors
    /// As [`Client::ack`]; or the reason is none that PUBACK and PUBREC may carry.
    pub fn refuse(&self, message: &Message, reason: ReasonCode) -> Result<(), Error> {
        self.settle(message, |state, ack| state.machine.refuse(ack, reason, state.now))
    }

    fn settle(
        &self,
        message: &Message,
        answer: impl FnOnce(&mut State, tamtam_core::client::AckToken) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        self.shared().lock(|state| {
            let ack = match &message.stream {
                None => message.ack,
                Some(payload) => {
                    let body = state.bodies.get(&payload.id);
                    body.and_then(|body| body.ack).ok_or(SendError::Token)?
                }
            };
            answer(state, ack)?;
            state.stir();
            Ok(())
        })
    }

    /// Waits until there is a connection.
    ///
    /// # Errors
    /// Why the client has ended.
    pub async fn connected(&self) -> Result<(), Lost> {
        let connected = |state: &mut State| match &state.ended {
            Some(lost) => Some(Err(lost.clone())),
            None => state.machine.is_connected().then_some(Ok(())),
        };
        self.shared().wait_for(connected).await
    }

    /// Waits for the end of the first attempt to connect.
    ///
    /// # Errors
    /// Why it failed. The machine may try again.
    pub async fn first_connected(&self) -> Result<(), Lost> {
        let connected = |state: &mut State| match &state.lost {
            Some(lost) => Some(Err(lost.clone())),
            None if state.machine.is_connected() => Some(Ok(())),
            None => state.ended.clone().map(Err),
        };
        self.shared().wait_for(connected).await
    }

    /// Whether there is a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared().lock(|state| state.machine.is_connected())
    }

    /// What happens to the connection from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        let next = self.shared().lock(|state| state.log.end());
        Events { shared: Arc::clone(self.shared()), next }
    }

    /// How many messages were dropped with nobody told: QoS 0 ones for which there was no room
    /// here, and those that could not be sent.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared().lock(|state| state.inbox.dropped + state.machine.dropped())
    }

    /// Ends the connection in order: what was published is acknowledged first, then DISCONNECT
    /// leaves; but after `patience` it ends in any case. The session stays on the server.
    ///
    /// The message that was handed out last counts as handled.
    ///
    /// # Errors
    /// Not everything was acknowledged in time.
    pub async fn disconnect(&self, patience: Duration) -> Result<(), Error> {
        self.shared().lock(|state| state.leave(patience));
        let ended = self.shared().wait_for(|state| state.ended.clone()).await;
        match ended {
            Lost::Done if self.shared().lock(|state| state.machine.in_flight() > 0) => {
                Err(Error::TimedOut)
            }
            _ => Ok(()),
        }
    }
}

impl State {
    /// The client is to end.
    pub(super) fn leave(&mut self, patience: Duration) {
        self.settle_handed();
        let said = self.leaving.is_some_and(|leaving| leaving.said);
        self.leaving = Some(Leaving { patience, until: None, said });
        self.stir();
    }

    /// Nobody has a handle any more.
    pub(super) fn leave_if_alone(&mut self) {
        if !self.has_clients && !self.inbox.is_open && self.leaving.is_none() {
            self.leave(FAREWELL);
        }
    }
}
