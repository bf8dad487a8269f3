//! The codec against the specification: bytes in, packet or sin out, byte by byte.
//!
//! What is here is written from the texts of MQTT 5.0, 3.1.1 and 3.1, not from the code: tables are
//! copied by hand, so that a slip has to be made twice to go unseen. `support.rs` says how packets
//! are written down. Random packets and splits are elsewhere.

mod acks;
mod connack;
mod connect;
mod disconnect_auth;
mod encode;
mod forms;
mod header;
mod properties;
mod publish;
mod reason_codes;
mod samples;
mod sins;
mod stream;
mod suback;
mod subscribe;
mod support;
mod text;
mod topics;
mod traps;
