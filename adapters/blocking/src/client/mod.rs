//! The client without a thread: each call does what there is to do, and returns when it is
//! answered.
//!
//! ```
//! use tamtam_blocking::client::{Client, Filter, Publish};
//! use tamtam_core::{QoS, Version};
//! use tamtam_core::client::Options;
//! # use tamtam_blocking::broker::Server;
//! # let server = Server::bind("127.0.0.1:0", &tamtam_core::broker::Options::DEFAULT)?;
//! # let address = format!("mqtt://{}", server.local_addr().ok_or("no address")?);
//! # let running = server.start()?;
//!
//! let client = Client::connect(&address, Options::new(Version::V5).client_id("hall"))?;
//! client.subscribe(Filter::new("room/+").qos(QoS::AtLeastOnce))?;
//! client.publish(Publish::new("room/7", b"warm").qos(QoS::AtLeastOnce))?; // the server has it
//! for message in client.messages() {
//!     let message = message?;
//!     assert_eq!((message.topic(), message.payload()), ("room/7", &b"warm"[..]));
//! #   break;
//! }
//! client.disconnect()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who does the work
//!
//! Nothing happens between the calls: no thread reads, and no ping leaves. A client that is not
//! called for longer than its keep alive is lost to the server; the next call connects again, and
//! [`Client::next_event`] says so. Who waits in [`Client::messages`] has nothing to fear;
//! [`Client::into_background`] has a thread do the waiting.
//!
//! Whatever arrives while a call waits is kept: messages for [`Client::messages`] up to
//! [`Setup::queue`], and those for callbacks ([`Client::subscribe_with`]) are handed over at once.
//! A call may be made from within a callback or a loop over messages, and never waits for itself.
//!
//! A message is acknowledged when the next one is asked for, or its callback has returned: whoever
//! fails on a message gets it again. With
//! [`Options::manual_ack`](tamtam_core::client::Options::manual_ack) it is [`Client::ack`] that
//! acknowledges.

mod background;
mod calls;
mod engine;
mod error;
mod inbox;
mod message;
mod messages;
mod payload;
mod request;
mod setup;
mod upload;
mod wire;

#[cfg(all(test, feature = "tls", feature = "websocket"))]
mod layers;
#[cfg(test)]
mod tests;

pub use background::Background;
pub use error::Error;
pub use message::Message;
pub use messages::Messages;
pub use payload::Payload;
pub use setup::Setup;
pub use tamtam_core::client::{Filter, Options, Publish, Token};
#[doc(inline)]
pub use tamtam_transport::client::{ConnectError, Event, Lost};

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant as Moment};

use engine::Engine;

/// What a callback is: it is given topic and payload.
type Callback = Box<dyn FnMut(&str, &mut Payload<'_>) + Send>;

/// A client: see the [module](self).
pub struct Client {
    engine: RefCell<Engine>,
    /// By the number of their routes; `None` while one is called.
    callbacks: RefCell<Vec<(u32, Option<Callback>)>>,
    /// Whether a callback is being called: others wait until it returns.
    is_calling: Cell<bool>,
    patience: Cell<Duration>,
    /// The message that the application has in its hands.
    handed: RefCell<Option<messages::Handed>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to an address such as `mqtt://host`, and waits until the server has accepted.
    ///
    /// `mqtts://`, `ws://`, `wss://` and `unix://` are spoken too. [`Setup`] has more to say than
    /// the options.
    ///
    /// # Errors
    /// The address, the options or the first attempt are no good.
    pub fn connect(address: &str, options: Options<'_>) -> Result<Self, ConnectError> {
        Setup::new(options).connect(address)
    }

    fn new(engine: Engine, patience: Duration) -> Self {
        Self {
            engine: RefCell::new(engine),
            callbacks: RefCell::default(),
            is_calling: Cell::new(false),
            patience: Cell::new(patience),
            handed: RefCell::default(),
        }
    }

    /// How long a call waits for its answer, from now on.
    pub fn set_patience(&self, patience: Duration) {
        self.patience.set(patience);
    }

    /// Whether the server has accepted, and the connection was not seen to be lost.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.engine.borrow().machine.is_connected()
    }

    /// How many messages were dropped with nobody told: QoS 0 ones for which there was no room
    /// while a call waited, or no connection.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let engine = self.engine.borrow();
        engine.inbox.dropped.saturating_add(engine.machine.dropped())
    }

    /// What happened to the connection, and was not asked for yet. The last 64 are kept.
    pub fn next_event(&self) -> Option<Event> {
        self.engine.borrow_mut().inbox.next_news()
    }

    /// Does what there is to do, and waits for something to do, for `patience` at most: for
    /// programs with a loop of their own.
    pub fn turn(&self, patience: Duration) {
        self.turn_until(Moment::now().checked_add(patience));
    }

    fn turn_until(&self, until: Option<Moment>) {
        self.engine.borrow_mut().turn(until);
        self.dispatch();
    }

    fn deadline(&self) -> Option<Moment> {
        Moment::now().checked_add(self.patience.get())
    }

    /// Works until `ready` has something, the client has ended, or the time is over.
    fn wait<T>(
        &self,
        deadline: Option<Moment>,
        mut ready: impl FnMut(&mut Engine) -> Option<Result<T, Error>>,
    ) -> Result<T, Error> {
        loop {
            let mut engine = self.engine.borrow_mut();
            if let Some(result) = ready(&mut engine) {
                return result;
            }
            if engine.is_over() {
                return Err(Error::Ended);
            }
            if deadline.is_some_and(|deadline| deadline <= Moment::now()) {
                return Err(Error::TimedOut);
            }
            engine.awaited = true;
            engine.turn(deadline);
            engine.awaited = false;
            drop(engine);
            self.dispatch();
        }
    }

    fn wait_connected(&self) -> Result<(), ConnectError> {
        let deadline = self.deadline();
        let waited = self.wait(deadline, |engine| match engine.inbox.lost.clone() {
            Some(lost) => Some(Ok(Err(lost))),
            None if engine.machine.is_connected() => Some(Ok(Ok(()))),
            None => None,
        });
        match waited {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(Lost::ConnectTimeout.into()),
        }
    }

    /// Connects again, after the client has ended: with the session that it has.
    ///
    /// # Errors
    /// The attempt failed.
    pub fn reconnect(&self) -> Result<(), ConnectError> {
        let mut engine = self.engine.borrow_mut();
        engine.inbox.lost = None;
        let now = engine.now();
        let _ = engine.machine.connect(now);
        drop(engine);
        self.wait_connected()
    }
}
