//! A broker in the simulated world: its clients on the wire, its store, its judge.

pub mod actor;
mod answers;
pub mod day;
mod host;
mod joined;
pub mod life;
pub mod meddler;
pub mod oracle;
pub mod peers;
pub mod people;
pub mod store;
pub mod world;

pub use joined::total;
