//! A client: a handle that is cloned at will, the stream of its messages, and the connection that
//! carries both.
//!
//! [`dial`], [`over`] and [`start`] make all three. The [`Connection`] is a future that a runtime's
//! adapter spawns; it opens streams when the machine wants one, and ends when the client has ended.
//! Dropping it ends the client at once.
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
pub use error::Error;
pub use events::Events;
pub use handle::Client;
pub use message::Message;
pub use messages::Messages;
pub use payload::Payload;
pub use setup::Setup;
#[doc(inline)]
pub use tamtam_transport::client::{ConnectError, Event, Lost};
pub use writer::{PayloadWriter, StreamError};

use std::collections::VecDeque;
use std::future::{Future, ready};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::Arc;

use futures_io::{AsyncRead, AsyncWrite};
use tamtam_core::client::{Client as Machine, StartError};
use tamtam_transport::{Endpoint, Stack};

use crate::{Duplex, Runtime};
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

/// Makes a client of the server at `url`, which is not connected yet, and what carries it.
///
/// `open` opens a stream to an address; the layers that the address asks for are put upon it here.
///
/// # Errors
/// The address, the layers or the options are wrong.
pub fn dial<R, F, O>(
    url: &str,
    setup: Setup<'_>,
    runtime: R,
    mut open: F,
) -> Result<(Client, Messages, impl Future<Output = ()> + use<R, F, O>), ConnectError>
where
    R: Runtime + Unpin,
    F: FnMut(Endpoint) -> O + Unpin,
    O: Future<Output = io::Result<Box<dyn Duplex>>>,
{
    let endpoint: Endpoint = url.parse()?;
    let setup = setup.login(&endpoint);
    let layers = setup.layers.clone();
    Stack::client(&endpoint, &layers)?; // now rather than at every attempt
    let to = endpoint.clone();
    let open = move || {
        let (to, layers, opening) = (to.clone(), layers.clone(), open(to.clone()));
        async move {
            let stream = opening.await?;
            Ok((stream, Stack::client(&to, &layers)?))
        }
    };
    Ok(start(setup, runtime, open)?)
}

/// Makes a client that speaks by a stream that is open already, and only by it.
///
/// # Errors
/// The options make no client.
pub fn over<R, T>(
    stream: T,
    setup: Setup<'_>,
    runtime: R,
) -> Result<(Client, Messages, impl Future<Output = ()> + use<R, T>), ConnectError>
where
    R: Runtime + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = Some((stream, Stack::plain()));
    let open = move || ready(stream.take().ok_or(io::ErrorKind::NotConnected.into()));
    Ok(start(setup.without_reconnect(), runtime, open)?)
}

/// A number that differs from run to run: the standard library seeds its hash tables so.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
