//! What the fuzz targets check, callable from any test.
//!
//! One file per target: a function of bytes that panics if a property does not hold. The targets in
//! `fuzz/` call these and nothing else, so that what a fuzzer explores and what the suites run is
//! the same. `fuzz/README.md` says how to run them.

mod broker_ops;
mod bytes;
mod chunking;
mod client_ops;
mod decode;
mod encoding;
mod lists;
mod packets;
mod roundtrip;
mod topic_match;
mod walk;

pub use broker_ops::broker_ops;
pub use bytes::dialect;
pub use chunking::chunking;
pub use client_ops::client_ops;
pub use decode::decode;
pub use roundtrip::{encoded, roundtrip};
pub use topic_match::topic_match;

/// A fuzz target: the name of its corpus, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("decode", decode),
    ("roundtrip", roundtrip),
    ("chunking", chunking),
    ("client_ops", client_ops),
    ("broker_ops", broker_ops),
    ("topic_match", topic_match),
];
