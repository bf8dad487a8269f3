//! The codec's figures.

fn main() {}
