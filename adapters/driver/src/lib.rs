//! The client and broker loops of tamtam, for any asynchronous runtime.
//!
//! What a runtime has to bring is a clock and sockets that implement the traits of `futures-io`:
//! [`Runtime`] and a way to open a stream. `tamtam-tokio`, `tamtam-smol` and `tamtam-async-std` are
//! that, and little more.
//!
//! - [`client`]: a [`Client`] that is cloned at will, the stream of its [`Messages`], and the
//!   [`Connection`] that carries both, a future to be spawned or driven.
//! - [`broker`]: a [`Server`](broker::Server) and its handle.
//!
//! Handles lock the machine for as long as it takes to encode a packet, never across an await, and
//! every future may be dropped at any time: what was asked for happens all the same, or has not
//! begun.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod broker;
pub mod client;
mod runtime;
mod wire;

#[doc(no_inline)]
pub use client::{Client, Connection, Event, Events, Message, Messages, Setup};
pub use runtime::{Clock, Duplex, Runtime};

/// The machines, and all that their interfaces speak of.
pub use tamtam_core as core;
/// Addresses, TLS and WebSocket.
pub use tamtam_transport as transport;
