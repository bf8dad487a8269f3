//! The simulated world in which tamtam is tested.
pub mod fuzz;
