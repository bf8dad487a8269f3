//! MQTT 3.1, 3.1.1 and 5.0 as pure state machines: bytes in, bytes and events out.
#![no_std]
#![forbid(unsafe_code)]
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

#[cfg(any(feature = "std", test))]
extern crate std;

mod codec;
mod time;
mod types;

pub use codec::*;
pub use time::Instant;
pub use types::*;
