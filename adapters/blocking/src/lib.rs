//! MQTT client and broker on blocking sockets, without an asynchronous runtime.
//!
//! - [`broker`]: the readiness loop that daemons use, to be embedded as well.
//! - [`load`]: what such a broker has to bear.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod broker;
mod clock;
pub mod load;

/// The machines, and all that their interfaces speak of.
pub use tamtam_core as core;
