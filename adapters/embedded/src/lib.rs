//! MQTT client over `embedded-io-async`, without a heap.
//!
//! A [`Connection`] drives a [`Client`](tamtam_core::client::Client) of the core: it opens the
//! transport when the client wants one, writes what the client has to say, reads what comes, and
//! wakes up when the client must. What the application brings is a [`Transport`], a [`Clock`], and
//! the memory for what is received.
//!
//! ```
//! use tamtam_core::client::{Client, Event, Filter, Lost, Options, Publish};
//! use tamtam_core::{Fixed, Version};
//! use tamtam_embedded::{Clock, Connection, Happened, Transport};
//!
//! async fn thermostat<T: Transport, C: Clock>(
//!     client: &mut Client<Fixed<1024, 8>>,
//!     transport: T,
//!     clock: C,
//!     seed: u64,
//! ) -> Result<(), Box<dyn core::error::Error>> {
//!     client.start(&Options::new(Version::V5).client_id("thermostat-7"), seed)?;
//!     client.connect(clock.now())?;
//!     let mut received = [0; 512];
//!     let mut connection = Connection::new(client, transport, clock, &mut received);
//!     let mut is_done = false;
//!     while !is_done {
//!         connection.wait().await;
//!         while let Some(turn) = connection.take() {
//!             match turn.happened {
//!                 Happened::Event(Event::Connected { session_present: false, .. }) => {
//!                     turn.client.subscribe(&[Filter::new("room/7/set")], turn.now)?;
//!                 }
//!                 Happened::Event(Event::Message(m)) => {
//!                     turn.client.publish(Publish::new("room/7/echo", m.payload), turn.now)?;
//!                 }
//!                 Happened::Lost(Lost::Done) => is_done = true,
//!                 _ => {}
//!             }
//!         }
//!     }
//!     connection.wait().await; // once more: the last words leave, and the transport is closed
//!     Ok(())
//! }
//! ```
//!
//! Nothing is lost if the future of [`Connection::wait`] is dropped, so that it can stand beside a
//! timer in a `select`: what was read or written until then is noted.
#![no_std]

mod connection;
mod either;

pub use connection::{Connection, Happened, Turn};
pub use embedded_io_async;

use embedded_io_async::{Read, Write};
use tamtam_core::Instant;

/// What carries the bytes of a connection, and can be opened again: a TCP socket, a modem.
///
/// The futures of reading and writing must lose nothing if they are dropped, as those of
/// `embassy-net` do.
#[expect(async_fn_in_trait, reason = "executors of firmware stay on their core")]
pub trait Transport: Read + Write {
    /// Opens a new connection, whatever became of the one before. May be called again after its
    /// future was dropped.
    ///
    /// # Errors
    /// It can't be opened; the client says when to try again.
    async fn open(&mut self) -> Result<(), Self::Error>;

    /// Closes the connection at once; what has not left is lost.
    fn close(&mut self);
}

/// The time.
#[expect(async_fn_in_trait, reason = "executors of firmware stay on their core")]
pub trait Clock {
    /// The time now, which never goes back.
    fn now(&self) -> Instant;

    /// Waits until then. [`Instant::NEVER`] does not come.
    async fn wait_until(&self, when: Instant);
}
