//! MQTT 3.1, 3.1.1 and 5.0 as pure state machines: bytes in, bytes and events out.
#![no_std]
#![forbid(unsafe_code)]
// One source serves every set of features; what a smaller set leaves unused, nobody links.
#![cfg_attr(not(all(feature = "auth", feature = "stream", feature = "alloc")), allow(dead_code))]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod broker;
pub mod client;
mod codec;
mod flow;
pub mod storage;
mod time;
mod types;

pub use codec::*;
#[cfg(feature = "alloc")]
pub use storage::Heap;
pub use storage::{Capacities, Fixed, Full, Storage};
pub use time::Instant;
pub use types::*;
