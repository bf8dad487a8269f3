//! The client machine in the simulated world, watched by the oracle.
//!
//! `TAMTAM_SEED=7` runs one seed, with every byte and event if it fails; `TAMTAM_SEEDS=100` runs a
//! hundred times as many.

mod cuts;
mod faults;
mod fleet;
mod fuzzing;
mod handshake;
mod limits;
mod misbehaviour;
mod reconnects;
mod stories;
mod storms;
mod streams;
mod support;
mod wrong_calls;
