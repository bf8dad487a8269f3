//! MQTT 3.1, 3.1.1 and 5.0 as pure state machines: bytes in, bytes and events out.
//!
//! Nothing here opens a socket, reads a clock, starts a thread, or needs a heap. A machine is given
//! the bytes that have arrived and the time that it is; it says which bytes to send, what has
//! happened, and when it wants to be called again. So one source serves a microcontroller, every
//! asynchronous runtime, a loop over blocking sockets and a simulated world in which a seed repeats
//! a run bit for bit.
//!
//! | to | look at |
//! |---|---|
//! | connect, subscribe, publish | [`client::Client`] |
//! | serve clients | [`broker::Broker`] |
//! | read and write single packets | [`Packet`], [`frame_len`] |
//! | have it driven | `tamtam-tokio`, `-smol`, `-async-std`, `-blocking`, `-embedded` |
//!
//! # The drive loop
//!
//! A machine has five doors, and whoever drives it goes round them: the time
//! (`handle_timeout`), the input (`handle_input`), the events that come of it, the output
//! (`output`, `output_written`), and the next deadline (`poll_timeout`). Here a client and a
//! broker drive each other, with two vectors for a network:
//!
//! ```
//! use tamtam_core::broker::{self, Broker};
//! use tamtam_core::client::{Client, Event, Filter, Options, Publish};
//! use tamtam_core::{Heap, Instant, QoS, Version};
//!
//! let now = Instant::from_millis(1); // from your clock; it never runs backwards
//! let mut broker = Broker::<Heap>::new();
//! broker.start(&broker::Options::DEFAULT, 7); // 7: a seed, from your source of randomness
//! let mut client = Client::<Heap>::new();
//! client.start(&Options::new(Version::V5).client_id("hall"), 7)?;
//! client.connect(now)?;
//!
//! client.handle_open(now); // a transport is there …
//! let link = broker.open(now)?; // … at both ends
//! let mut heard = Vec::new();
//! loop {
//!     let up = client.output().to_vec(); // write it to the transport
//!     client.output_written(up.len(), now);
//!     broker.handle_input(link, &mut &up[..], now); // read from the transport
//!
//!     let down = broker.output(link).to_vec();
//!     broker.output_written(link, down.len(), now);
//!     let mut input = &down[..];
//!     while let Some(event) = client.handle_input(&mut input, now).expect("a good broker") {
//!         match event {
//!             Event::Connected { .. } => {
//!                 client.subscribe(&[Filter::new("room/+")], now)?;
//!                 client.publish(Publish::new("room/7", b"warm").qos(QoS::AtLeastOnce), now)?;
//!             }
//!             Event::Message(message) => heard = message.payload.to_vec(),
//!             _ => {}
//!         }
//!     }
//!     if up.is_empty() && down.is_empty() && client.output().is_empty() {
//!         break; // now one would wait, until client.poll_timeout() at most
//!     }
//! }
//! assert_eq!(heard, b"warm");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`client`] has the whole loop over a transport that fails and comes back, and the order of a
//! turn; [`broker`] that of many connections.
//!
//! # What a machine promises
//!
//! - **Whatever arrives**, it neither panics nor takes memory that was not granted to it: each
//!   length is checked before anything is reserved. An error names the packet, the field, the
//!   offset and the clause of the specification ([`DecodeError`]).
//! - **It allocates only where it says so**: with [`Heap`], when it grows; with [`Fixed`], never. A
//!   message on its way through costs no allocation. What does not fit is refused by name, never
//!   dropped in silence.
//! - **The same calls have the same outcome**: randomness comes from a seed, time from an argument.
//!
//! # From the specification to the source
//!
//! Each line that enforces a numbered statement cites it. By chapter of MQTT 5.0:
//!
//! | chapter | where |
//! |---|---|
//! | 1.5 data types | `types/text.rs`, `codec/cursor.rs` |
//! | 2.1 fixed header | `codec/header.rs` |
//! | 2.2 identifiers, properties | `types/packet_id.rs`, `flow/send.rs`, `codec/property.rs` |
//! | 3.1 CONNECT | `codec/connect.rs`; `client/handshake.rs`; `broker/handshake.rs`, `will.rs` |
//! | 3.2 CONNACK | `codec/connack.rs`; `client/limits.rs`; `broker/connack.rs` |
//! | 3.3 PUBLISH | `codec/publish.rs`; `client/publish.rs`, `messages.rs`; `broker/router.rs` |
//! | 3.4 to 3.7 acknowledgements | `codec/ack.rs`; `client/acks.rs`; `flow/send.rs`, `receive.rs` |
//! | 3.8 to 3.11 SUBSCRIBE … | `codec/subscribe.rs`, `suback.rs`; `subscribe.rs` of both ends |
//! | 3.12, 3.13 PINGREQ, PINGRESP | `flow/keep_alive.rs`; `broker/inbound.rs` |
//! | 3.14 DISCONNECT | `codec/disconnect.rs`; `client/outbound.rs`; `broker/inbound.rs` |
//! | 3.15, 4.12 AUTH | `codec/auth.rs`; `client/auth.rs`; `broker/ask.rs` |
//! | 4.1 session state | `client/session/`; `broker/session.rs`, `broker/record.rs` |
//! | 4.3 QoS | `flow/send.rs`, `receive.rs`; `client/messages.rs`; `broker/inbound.rs` |
//! | 4.4 redelivery | `flow/send/owed.rs`; `client/acks.rs`; `broker/outbound.rs` |
//! | 4.5, 4.6 receipt and order | `flow/gate.rs`; `client/outbound.rs`; `broker/router.rs` |
//! | 4.7 topics and filters | `types/topic.rs`; `broker/topic_tree/` |
//! | 4.8 subscriptions, shared | `types/topic.rs`; `broker/router.rs`, `broker/outbound.rs` |
//! | 4.9 flow control | `flow/quota.rs` |
//! | 4.13 errors | `codec/error.rs` |
//! | 6 WebSocket | the crate `tamtam-transport` |
//!
//! `tests/spec/` in the repository has a row for each statement of both specifications, with the
//! line that enforces it and the test that proves it.
#![no_std]
#![forbid(unsafe_code)]
// One source serves every set of features; what a smaller set leaves unused, nobody links.
#![cfg_attr(not(all(feature = "auth", feature = "stream", feature = "alloc")), allow(dead_code))]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod broker;
pub mod client;
mod codec;
mod flow;
pub mod storage;
mod time;
mod types;

pub use codec::*;
#[cfg(feature = "alloc")]
pub use storage::Heap;
pub use storage::{Capacities, Fixed, Full, Storage};
pub use time::Instant;
pub use types::*;
