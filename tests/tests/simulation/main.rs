//! The client machine in the simulated world, watched by the oracle.
//!
//! `TAMTAM_SEED=7` runs one seed, with every byte and event if it fails; `TAMTAM_SEEDS=100` runs a
//! hundred times as many.

mod cuts;
mod faults;
mod handshake;
mod misbehaviour;
mod storms;
mod support;
