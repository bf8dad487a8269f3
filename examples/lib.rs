//! Each example is a file of its own beside this one; `cargo run -p tamtam-examples --example NAME`
//! runs it. What follows is the project's README, so that its examples are tested too.
#![doc = include_str!("../README.md")]
