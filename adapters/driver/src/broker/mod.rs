//! The broker's loop: one future that serves any number of connections.
//!
//! [`Server::new`] makes the loop and a [`Handle`]. The loop is told how to accept connections, one
//! listener after another, and is then driven as any future. It polls only what is ready, so a
//! turn reads what has come on many connections, feeds the machine, and writes to each of them
//! once. A [`Policy`] decides who may connect.
//!
//! This is for programs that have an asynchronous runtime anyway and want a broker in it. A
//! [`Store`] keeps what must survive ([`Server::store`]), on a thread of its own; without one
//! nothing does.

mod handle;
mod link;
mod policy;
mod ready;
mod server;
mod stop;
mod subscriber;

pub use handle::{Handle, HandleError};
pub use policy::{Logins, Open, Policy, Turn};
pub use server::Server;
pub use subscriber::{Received, Subscriber};
#[doc(inline)]
pub use tamtam_transport::store::{Receipt, Store};

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use crate::Duplex;

/// The next connection of a listener, to be accepted.
pub type Accepting = Pin<Box<dyn Future<Output = io::Result<Accepted>> + Send>>;

/// A connection that was accepted.
pub struct Accepted {
    /// The stream.
    pub stream: Box<dyn Duplex>,
    /// Where it comes from, if it has an address.
    pub address: Option<SocketAddr>,
}

impl Accepted {
    /// A stream without an address.
    #[must_use]
    pub fn new(stream: impl Duplex + 'static) -> Self {
        Self { stream: Box::new(stream), address: None }
    }

    /// From there.
    #[must_use]
    pub const fn from(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }
}

impl std::fmt::Debug for Accepted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accepted").field("address", &self.address).finish_non_exhaustive()
    }
}
