//! A broker in the simulated world.

pub mod peers;
pub mod store;
