//! A durable store for the tamtam broker: what it acknowledged is on disk.
//!
//! A broker that has a store ([`Options::store`](tamtam_core::broker::Options::store)) puts what
//! must survive into records, a ticket for each turn, and acknowledges nothing that stands on them
//! before it hears that they are kept. A [`Store`] takes them, commits all that has gathered on a
//! thread of its own, and says so. Where they go is an [`Engine`]'s business: [`Disk`] has a
//! folder, [`Memory`] forgets everything at the end.
//!
//! ```
//! use std::sync::mpsc;
//! use tamtam_core::broker::{Broker, Options};
//! use tamtam_core::{Heap, Instant};
//! use tamtam_store::{Disk, Kept, Memory, Store};
//!
//! // Disk::open("/var/lib/tamtam".as_ref())? in earnest.
//! let mut kept = Kept::new(Memory::new());
//!
//! let now = Instant::from_millis(1_700_000_000_000); // since 1970
//! let mut broker = Broker::<Heap>::new();
//! broker.start(&Options { store: true, ..Options::DEFAULT }, 7);
//! let restored = kept.restore(&mut broker, now)?;
//! assert!(restored.findings.is_whole());
//!
//! let store = Store::start(kept, |news| eprintln!("{news:?}"))?;
//! let (send, receive) = mpsc::channel();
//! // In each turn of the loop; a real one is woken by its receipts.
//! # let topic = tamtam_core::TopicName::new("a").unwrap();
//! # broker.publish(topic, b"b", tamtam_core::QoS::AtLeastOnce, true, now);
//! if let Some((ticket, records)) = broker.take_records(false) {
//!     let send = send.clone();
//!     store.keep(&records, move |is_kept| send.send((ticket, is_kept)).unwrap_or_default());
//! }
//! let (ticket, is_kept) = receive.recv()?;
//! if is_kept { broker.handle_persisted(ticket, now) }
//! # assert!(is_kept);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod disk;
mod engine;
mod group;
mod kept;
mod keys;
mod memory;
mod store;

pub use disk::Disk;
pub use engine::{Engine, Failure, Findings};
pub use group::Group;
pub use kept::{Kept, Packed, Restored};
pub use memory::Memory;
pub use store::{Counters, News, Store};

/// The machines, and all that their interfaces speak of.
pub use tamtam_core as core;
