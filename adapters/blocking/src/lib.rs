//! MQTT client and broker on blocking sockets, without an asynchronous runtime.
//!
//! - [`broker`]: the readiness loop that daemons use, to be embedded as well.
//! - [`client`]: a client whose calls return when they are answered.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod broker;
pub mod client;
mod clock;

/// The machines, and all that their interfaces speak of.
pub use tamtam_core as core;
