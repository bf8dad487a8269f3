//! The simulated world in which tamtam is tested.
//!
//! A [`world::World`] holds clients, a server and the lines between them, on one virtual clock and
//! from one seed. Each client is [`watched`](watched::Watched) by an [`oracle`](oracle::Oracle),
//! which sees wire bytes and application calls and shares no code with the machines: it reads the
//! wire with its own [`wire`]. [`story`] makes tests of it that read like stories.

pub mod broker;
pub mod dice;
pub mod fuzz;
pub mod happened;
pub mod node;
pub mod oracle;
pub mod pipe;
pub mod profile;
pub mod seeds;
pub mod server;
pub mod store;
pub mod story;
pub mod transcript;
pub mod watched;
pub mod wire;
pub mod world;
