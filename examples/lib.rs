//! Each example is a file of its own beside this one; `cargo run -p tamtam-examples --example NAME` runs it.
