//! Messages on their way to the application: one by one, or to callbacks.

use std::time::{Duration, Instant as Moment};

use tamtam_core::client::AckToken;

use super::calls::GATHER_BYTES;
use super::engine::Engine;
use super::message::Message;
use super::payload::Payload;
use super::{Callback, Client, Error, Lost};

/// What of a message is to be settled once the application is done with it.
#[derive(Debug)]
pub(super) enum Handed {
    Whole(AckToken),
    Stream(u32),
}

impl Handed {
    fn of(message: &Message) -> Self {
        match message.stream {
            Some((id, _)) => Self::Stream(id),
            None => Self::Whole(message.ack),
        }
    }
}

/// The application is done with a message.
pub(super) fn let_go(engine: &mut Engine, handed: Handed) {
    let ack = match handed {
        Handed::Whole(ack) => Some(ack),
        Handed::Stream(_) if engine.manual_ack => None, // it may be read and settled later
        Handed::Stream(id) => engine.inbox.leave_stream(id),
    };
    if let Some(ack) = ack.filter(|_| !engine.manual_ack) {
        engine.acknowledge(ack);
    }
}

impl Client {
    /// The messages that no callback takes, as they come. The loop ends when the client is
    /// disconnected; when it gives up, with an error.
    ///
    /// Asking for the next one acknowledges the one before.
    pub const fn messages(&self) -> Messages<'_> {
        Messages { client: self, is_over: false }
    }

    /// The next message that no callback takes; waits for it for `patience` at most.
    ///
    /// # Errors
    /// [`Error::TimedOut`]; [`Error::Ended`] if the client has.
    pub fn next_message(&self, patience: Duration) -> Result<Message, Error> {
        self.next_until(Moment::now().checked_add(patience))
    }

    fn next_until(&self, deadline: Option<Moment>) -> Result<Message, Error> {
        self.let_go();
        loop {
            let mut engine = self.engine.borrow_mut();
            if let Some(message) = engine.inbox.queue.pop_front() {
                engine.keep_alive();
                // Acknowledgements are gathered; they leave when all that has come is taken.
                if engine.machine.output().len() >= GATHER_BYTES {
                    engine.write();
                }
                drop(engine);
                self.handed.replace(Some(Handed::of(&message)));
                return Ok(message);
            }
            if engine.is_over() {
                return Err(Error::Ended);
            }
            if deadline.is_some_and(|deadline| deadline <= Moment::now()) {
                return Err(Error::TimedOut);
            }
            engine.turn(deadline);
            drop(engine);
            self.dispatch();
        }
    }

    /// Hands messages to their callbacks until the client ends.
    ///
    /// # Errors
    /// Why it gave up, if it was not disconnected.
    pub fn run(&self) -> Result<(), Lost> {
        loop {
            let engine = self.engine.borrow();
            if engine.is_over() {
                return match engine.inbox.lost.clone() {
                    None | Some(Lost::Done) => Ok(()),
                    Some(lost) => Err(lost),
                };
            }
            drop(engine);
            self.turn_until(None);
            // What no callback takes is nobody's.
            while self.engine.borrow().inbox.queue.front().is_some() {
                let _ = self.next_message(Duration::ZERO);
            }
        }
    }

    /// The payload of a message: what is here of it, and what is still coming.
    pub fn payload<'a>(&'a self, message: &'a Message) -> Payload<'a> {
        Payload::new(self, message)
    }

    /// Calls the callbacks of the messages that have come for them.
    pub(super) fn dispatch(&self) {
        if self.is_calling.get() {
            return; // whoever calls goes on with it
        }
        let mut has_called = false;
        loop {
            let next = self.engine.borrow_mut().inbox.routed.pop_front();
            let Some((id, message)) = next else { break };
            has_called = true;
            let callback = self.take_callback(id);
            if let Some(mut callback) = callback {
                self.is_calling.set(true);
                callback(message.topic(), &mut Payload::new(self, &message));
                self.is_calling.set(false);
                self.put_callback(id, callback);
            }
            let_go(&mut self.engine.borrow_mut(), Handed::of(&message));
        }
        if has_called {
            self.engine.borrow_mut().write(); // the acknowledgements
        }
    }

    fn take_callback(&self, id: u32) -> Option<Callback> {
        let mut callbacks = self.callbacks.borrow_mut();
        callbacks.iter_mut().find(|(number, _)| *number == id)?.1.take()
    }

    /// Unless it was unsubscribed meanwhile.
    fn put_callback(&self, id: u32, callback: Callback) {
        let mut callbacks = self.callbacks.borrow_mut();
        if let Some((_, slot)) = callbacks.iter_mut().find(|(number, _)| *number == id) {
            *slot = Some(callback);
        }
    }
}

/// Messages as they come: see [`Client::messages`].
#[derive(Debug)]
pub struct Messages<'a> {
    client: &'a Client,
    is_over: bool,
}

impl Iterator for Messages<'_> {
    type Item = Result<Message, Lost>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        match self.client.next_until(None) {
            Ok(message) => Some(Ok(message)),
            Err(_) => {
                self.is_over = true;
                match self.client.engine.borrow().inbox.lost.clone() {
                    None | Some(Lost::Done) => None,
                    Some(lost) => Some(Err(lost)),
                }
            }
        }
    }
}
