//! What a thermostat does, whatever carries its bytes.
//!
//! - It says that it is online, retained; its will says that it is offline.
//! - It publishes the temperature at QoS 2.
//! - `thermostat/7/set` tells it what to do: a number is the temperature to hold, which it reports
//!   retained; `reset` (at QoS 2) begins anew in the middle of an exchange; `quit` ends all.
//! - `thermostat/7/image` brings it an image larger than its memory, which it hashes as it arrives.
#![no_std]

mod app;
mod crc;
mod report;
mod store;

pub use app::{Thermostat, Wish, options};
pub use report::{report, report_lost};
pub use store::Store;

/// How many bytes a packet may have that is taken as a whole; larger messages come in pieces.
pub const WHOLE: usize = 512;
