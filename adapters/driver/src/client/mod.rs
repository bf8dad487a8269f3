//! A client: a handle that is cloned at will, the stream of its messages, and the connection that
//! carries both.
//!
//! [`start`] makes all three. The [`Connection`] is a future that a runtime's adapter spawns; it
//! opens streams when the machine wants one, and ends when the client has ended. Dropping it ends
//! the client at once.
//!
//! # Back-pressure
//!
//! Messages wait for the application in a bounded queue. While it is full nothing is read, and TCP
//! holds the server back; but while an answer is awaited reading goes on, so that whoever receives
//! messages may publish and wait for the acknowledgement.

mod completions;
mod connection;
mod delivery;
mod dispatch;
mod error;
mod events;
mod handle;
mod message;
mod messages;
mod payload;
mod request;
mod setup;
mod shared;
mod writer;

pub use connection::Connection;
pub use delivery::Delivery;
pub use error::{ConnectError, Error, Lost};
pub use events::{Event, Events};
pub use handle::Client;
pub use message::Message;
pub use messages::Messages;
pub use payload::Payload;
pub use setup::Setup;
pub use writer::{PayloadWriter, StreamError};

use std::collections::VecDeque;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::Arc;

use futures_io::{AsyncRead, AsyncWrite};
use tamtam_core::client::{Client as Machine, StartError};
use tamtam_transport::Stack;

use crate::Runtime;
use shared::{Inbox, Replies, Shared, State, Subscription};

/// Makes a client, which is not connected yet, and its [`Connection`], which is to be driven.
///
/// `open` opens a stream with its layers whenever the machine wants one. Who has a stream already
/// hands it out the first time and fails from then on, with options that never reconnect.
///
/// # Errors
/// The options make no client.
#[expect(clippy::type_complexity, reason = "each parameter is one that the caller has brought")]
pub fn start<R, F, O, T>(
    setup: Setup<'_>,
    runtime: R,
    open: F,
) -> Result<(Client, Messages, Connection<R, F, O, T>), StartError>
where
    R: Runtime,
    F: FnMut() -> O,
    O: Future<Output = io::Result<(T, Stack)>>,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let Setup { options, queue, overrun, authenticator, reply_topic, .. } = setup;
    let (seed, now) = (seed(), runtime.now());
    let manual = options.is_manual_ack();
    // The adapter acknowledges, once the application is done with a message; so a server that is
    // told sends no more ahead than may wait, and older ones are held back by not being read.
    let ahead = if options.version().is_v5() { queue } else { overrun.max(queue) };
    let ahead = ahead.min(options.receives_ahead());
    let mut machine = Machine::new();
    machine.start(&options.manual_ack(true).receive_maximum(ahead), seed)?;
    let _ = machine.connect(now);
    let inbox = Inbox {
        queue: VecDeque::new(),
        limit: usize::from(queue),
        overrun: usize::from(overrun),
        manual,
        handed: None,
        waker: None,
        is_open: true,
        is_full: false,
        dropped: 0,
    };
    let replies = Replies {
        is_fixed: reply_topic.is_some(),
        topic: reply_topic.unwrap_or_else(|| format!("reply/{seed:016x}")),
        state: Subscription::None,
    };
    let state = State::new(machine, inbox, replies, authenticator, now);
    let shared = Arc::new(Shared::new(state));
    let connection = Connection::new(Arc::clone(&shared), runtime, open);
    Ok((Client::new(Arc::clone(&shared)), Messages { shared }, connection))
}

/// A number that differs from run to run: the standard library seeds its hash tables so.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
