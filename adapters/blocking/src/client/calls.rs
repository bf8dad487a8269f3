//! What an application asks for: publish, subscribe, acknowledge, leave.

use std::time::Instant as Moment;

use tamtam_core::ReasonCode;
use tamtam_core::client::{Filter, Publish, SendError, Token};

use super::engine::Engine;
use super::error::Error;
use super::inbox::{Answer, Route};
use super::message::Message;
use super::payload::Payload;
use super::{Client, messages};

/// How much is gathered before it is written, in bytes.
pub(super) const GATHER_BYTES: usize = 16 << 10;

impl Client {
    /// Publishes a message, and returns when it is acknowledged: the server has it then (QoS 1), or
    /// has it once (QoS 2). The reason code says whether anybody wanted it (MQTT 5).
    ///
    /// At QoS 0 it returns when the message has left; if there is no connection, the message waits
    /// for one.
    ///
    /// # Errors
    /// It can't be sent, was refused, or not acknowledged in time: it may arrive even so.
    pub fn publish(&self, publish: Publish<'_>) -> Result<ReasonCode, Error> {
        let deadline = self.deadline();
        let token = self.ask(deadline, |engine| engine.machine.publish(publish, engine.now()))?;
        if publish.is_acknowledged() {
            return self.wait_for(token, deadline);
        }
        self.wait(deadline, |engine| {
            let left = engine.machine.output().is_empty() || !engine.machine.is_connected();
            left.then_some(Ok(ReasonCode::Success))
        })
    }

    /// Publishes a message without waiting for its acknowledgement: [`Client::wait_published`] does
    /// that later, so that many may be on their way at once. It waits only for room.
    ///
    /// Messages are gathered: they leave when there are 16 KiB of them, or with the next call that
    /// waits for something.
    ///
    /// At QoS 0 there is nothing to wait for later.
    ///
    /// # Errors
    /// It can't be sent.
    pub fn publish_later(&self, publish: Publish<'_>) -> Result<Token, Error> {
        {
            let mut engine = self.engine.borrow_mut();
            if engine.is_over() {
                return Err(Error::Ended);
            }
            let now = engine.last;
            match engine.machine.publish(publish, now) {
                Err(SendError::Full) => {}
                published => {
                    if engine.machine.output().len() >= GATHER_BYTES {
                        engine.write();
                    }
                    return Ok(published?);
                }
            }
        }
        self.ask(self.deadline(), |engine| engine.machine.publish(publish, engine.now()))
    }

    /// Waits for the acknowledgement of a message.
    ///
    /// # Errors
    /// It was refused, or there was no answer in time. An answer can be had once.
    pub fn wait_published(&self, token: Token) -> Result<ReasonCode, Error> {
        let answer = self.engine.borrow_mut().inbox.take_answer(token);
        match answer {
            Some(answer) => reason(answer),
            None => self.wait_for(token, self.deadline()),
        }
    }

    /// Waits until everything that was published is acknowledged, and has left.
    ///
    /// # Errors
    /// Not in time, or there is no connection any more.
    pub fn flush(&self) -> Result<(), Error> {
        self.wait(self.deadline(), |engine| {
            let done = engine.machine.in_flight() == 0 && engine.machine.output().is_empty();
            done.then_some(Ok(()))
        })
    }

    /// Subscribes, and returns when it is granted: at which QoS, the reason code says.
    ///
    /// # Errors
    /// It can't be sent, was refused, or not answered in time.
    pub fn subscribe(&self, filter: Filter<'_>) -> Result<ReasonCode, Error> {
        match self.subscribe_all(&[filter])?.first() {
            Some(code) if code.is_error() => Err(Error::Refused(*code)),
            Some(code) => Ok(*code),
            None => Ok(ReasonCode::Success),
        }
    }

    /// Subscribes to several filters at once; the answer has a code for each.
    ///
    /// # Errors
    /// It can't be sent, or was not answered in time.
    pub fn subscribe_all(&self, filters: &[Filter<'_>]) -> Result<Vec<ReasonCode>, Error> {
        let deadline = self.deadline();
        self.wait_connection(deadline)?;
        let token = self.ask(deadline, |engine| engine.machine.subscribe(filters, engine.now()))?;
        self.wait_codes(token, deadline)
    }

    /// Subscribes, and hands every message that the filter matches to `callback`: its topic, and
    /// its payload, which may be read while it arrives. Of several such filters that match, the
    /// most specific one has the message.
    ///
    /// Callbacks are called within the calls of this client, whatever they wait for; and never one
    /// within another. [`Client::run`] does nothing else.
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub fn subscribe_with(
        &self,
        filter: Filter<'_>,
        callback: impl FnMut(&str, &mut Payload<'_>) + Send + 'static,
    ) -> Result<ReasonCode, Error> {
        let text = filter.text().to_owned();
        let id = {
            let mut callbacks = self.callbacks.borrow_mut();
            let id = callbacks.last().map_or(0, |(id, _)| id.wrapping_add(1));
            callbacks.push((id, Some(Box::new(callback))));
            self.engine.borrow_mut().inbox.add_route(Route { id, filter: text });
            id
        };
        let subscribed = self.subscribe(filter);
        if subscribed.is_err() {
            self.forget_callback(|route| route.id == id);
        }
        subscribed
    }

    /// Unsubscribes, and forgets the callback of the filter, if it has one.
    ///
    /// # Errors
    /// It can't be sent, was refused, or not answered in time.
    pub fn unsubscribe(&self, filter: &str) -> Result<ReasonCode, Error> {
        let deadline = self.deadline();
        self.wait_connection(deadline)?;
        let token =
            self.ask(deadline, |engine| engine.machine.unsubscribe(&[filter], engine.now()))?;
        let codes = self.wait_codes(token, deadline)?;
        self.forget_callback(|route| route.filter == filter);
        match codes.first() {
            Some(code) if code.is_error() => Err(Error::Refused(*code)),
            Some(code) => Ok(*code),
            None => Ok(ReasonCode::Success), // before MQTT 5 it always is
        }
    }

    /// Asks the server for a sign of life, and waits for it.
    ///
    /// # Errors
    /// There is no connection, or it is lost; or no answer in time.
    pub fn ping(&self) -> Result<(), Error> {
        let deadline = self.deadline();
        let count = {
            let mut engine = self.engine.borrow_mut();
            let now = engine.now();
            engine.machine.ping(now)?;
            engine.inbox.connections
        };
        self.wait(deadline, |engine| {
            if engine.inbox.connections != count || !engine.machine.is_connected() {
                return Some(Err(SendError::NotConnected.into()));
            }
            (!engine.machine.is_pinging()).then_some(Ok(()))
        })
    }

    /// Acknowledges a message, with [`Options::manual_ack`](super::Options::manual_ack). In any
    /// order: they leave in the order of arrival.
    ///
    /// # Errors
    /// It is acknowledged already, its connection is gone (QoS 1), or its payload has not arrived.
    pub fn ack(&self, message: &Message) -> Result<(), Error> {
        self.answer(message, None)
    }

    /// Refuses a message, with [`Options::manual_ack`](super::Options::manual_ack): the server is
    /// told why, and does not send it again (MQTT 5; older versions acknowledge it).
    ///
    /// # Errors
    /// As [`Client::ack`]; or the reason is none that a PUBACK may have.
    pub fn refuse(&self, message: &Message, reason: ReasonCode) -> Result<(), Error> {
        self.answer(message, Some(reason))
    }

    fn answer(&self, message: &Message, refusal: Option<ReasonCode>) -> Result<(), Error> {
        let mut engine = self.engine.borrow_mut();
        let ack = match message.stream {
            None => message.ack,
            Some((id, _)) => engine.inbox.leave_stream(id).ok_or(SendError::Token)?,
        };
        let now = engine.now();
        match refusal {
            None => engine.machine.ack(ack, now)?,
            Some(reason) => engine.machine.refuse(ack, reason, now)?,
        }
        engine.write();
        Ok(())
    }

    /// Ends the connection in order: waits until what was published is acknowledged, within the
    /// patience of calls, then says goodbye. No will is published; the session stays for as long as
    /// the options say.
    ///
    /// # Errors
    /// Not everything was acknowledged in time, or there was no connection: it is over all the
    /// same.
    pub fn disconnect(&self) -> Result<(), Error> {
        self.let_go();
        let flushed = self.flush();
        let deadline = self.deadline();
        let mut engine = self.engine.borrow_mut();
        let now = engine.now();
        let left = engine.machine.disconnect(now);
        drop(engine);
        let over = self.wait(deadline, |engine| engine.is_over().then_some(Ok(())));
        flushed?;
        left?;
        over
    }

    /// Makes a request, as soon as there is room for it.
    pub(super) fn ask<T>(
        &self,
        deadline: Option<Moment>,
        mut request: impl FnMut(&mut Engine) -> Result<T, SendError>,
    ) -> Result<T, Error> {
        self.wait(deadline, |engine| {
            if engine.is_over() {
                return Some(Err(Error::Ended));
            }
            match request(engine) {
                Err(SendError::Full) => {
                    // Without anything under way there never will be room.
                    let idle = engine.machine.in_flight() == 0;
                    let stuck = idle && engine.machine.output().is_empty();
                    stuck.then_some(Err(SendError::Full.into()))
                }
                result => {
                    engine.write();
                    Some(result.map_err(Error::from))
                }
            }
        })
    }

    /// Waits for a connection: what can't wait in the session needs one.
    pub(super) fn wait_connection(&self, deadline: Option<Moment>) -> Result<(), Error> {
        self.wait(deadline, |engine| engine.machine.is_connected().then_some(Ok(())))
    }

    pub(super) fn wait_for(
        &self,
        token: Token,
        deadline: Option<Moment>,
    ) -> Result<ReasonCode, Error> {
        reason(self.wait_answer(token, deadline)?)
    }

    fn wait_answer(&self, token: Token, deadline: Option<Moment>) -> Result<Answer, Error> {
        {
            let inbox = &mut self.engine.borrow_mut().inbox;
            if let Some(answer) = inbox.take_answer(token) {
                return Ok(answer);
            }
            inbox.begin_wait(token);
        }
        let answer = self.wait(deadline, |engine| engine.inbox.awaited_answer(token).map(Ok));
        if answer.is_err() {
            self.engine.borrow_mut().inbox.end_wait(token);
        }
        answer
    }

    fn wait_codes(&self, token: Token, deadline: Option<Moment>) -> Result<Vec<ReasonCode>, Error> {
        match self.wait_answer(token, deadline)? {
            Answer::Codes(codes) => Ok(codes),
            Answer::Failed(why) => Err(why.into()),
            Answer::Reason(reason) => Ok(vec![reason]),
            Answer::Again => Err(Error::Again),
        }
    }

    fn forget_callback(&self, is_it: impl Fn(&Route) -> bool) {
        let mut engine = self.engine.borrow_mut();
        let mut callbacks = self.callbacks.borrow_mut();
        let routes = &mut engine.inbox.routes;
        callbacks.retain(|(id, _)| !routes.iter().any(|route| route.id == *id && is_it(route)));
        routes.retain(|route| !is_it(route));
    }

    /// The application is done with the message in its hands.
    pub(super) fn let_go(&self) {
        if let Some(handed) = self.handed.take() {
            messages::let_go(&mut self.engine.borrow_mut(), handed);
        }
    }
}

/// What an answer says of a message.
fn reason(answer: Answer) -> Result<ReasonCode, Error> {
    match answer {
        Answer::Reason(reason) if reason.is_error() => Err(Error::Refused(reason)),
        Answer::Reason(reason) => Ok(reason),
        Answer::Codes(_) => Ok(ReasonCode::Success),
        Answer::Failed(why) => Err(why.into()),
        Answer::Again => Err(Error::Again),
    }
}
