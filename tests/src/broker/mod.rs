//! A broker in the simulated world.

pub mod store;
