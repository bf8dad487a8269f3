//! The broker on plain sockets: one readiness loop on one thread, without locks or hand-offs
//! between reading a message and writing it.
//!
//! ```
//! use tamtam_blocking::broker::Server;
//! use tamtam_core::QoS;
//! use tamtam_core::broker::Options;
//! # use std::time::Duration;
//!
//! let server = Server::bind("127.0.0.1:0", &Options::DEFAULT)?;
//! let address = server.local_addr();
//! let running = server.start()?; // on a thread of its own; `run` takes this one
//! // ... clients come to `address` ...
//! running.handle().publish("house/door", "open", QoS::AtMostOnce, false)?;
//! running.stop(Duration::from_secs(5))?;
//! # assert!(address.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Policy`] decides who may connect and hears what happens, a [`Store`] keeps what must
//! survive, and a [`Handle`] reaches the broker from other threads.
//!
//! # A turn of the loop
//!
//! Sockets are registered once, edge-triggered. A turn takes in what is ready, a scratch buffer
//! full at a time: a short read means that a socket is drained, one that filled the buffer goes to
//! the end of the list. The machine keeps nothing of the input; the beginning of a packet stays
//! with its connection. Then every connection that has something to say is written to once. So a
//! message that comes alone costs one `recv` and one `send`, and many that come together a fraction
//! of that. The clock is read once a turn.

mod accept;
mod admission;
mod connection;
mod handle;
mod input;
mod layered;
mod listener;
mod local;
mod output;
mod policy;
mod server;
mod socket;
mod stop;
mod turn;

#[cfg(test)]
mod tests;

pub use admission::{Admission, Arrivals};
pub use handle::{Handle, HandleError};
pub use listener::{Listener, Origin};
pub use local::Subscriber;
pub use policy::{Logins, Open, Peer, Policy, Turn};
pub use server::{Running, Server};
pub use socket::Address;
#[doc(inline)]
pub use tamtam_transport::store::{Receipt, Store};

use std::io;

use tamtam_core::broker::Options;

/// Serves clients on this thread, until a [`Handle`] stops it: [`Policy::started`] is given one.
///
/// # Errors
/// What the system says when the sockets are registered, or waited for.
pub fn serve(
    listeners: impl IntoIterator<Item = Listener>,
    options: &Options,
    policy: impl Policy,
) -> io::Result<()> {
    let mut server = Server::new(options)?.policy(policy);
    for listener in listeners {
        server = server.listen(listener);
    }
    server.run()
}
