//! Load for a broker: many clients on one thread, and what came of it.
//!
//! Each publisher keeps a window of messages on their way and publishes the next one when one has
//! reached all who are to get it, so that no broker is pushed into dropping any.
//!
//! ```
//! use tamtam_blocking::broker::Server;
//! use tamtam_blocking::load::Load;
//! use tamtam_core::broker::Options;
//!
//! let server = Server::bind("127.0.0.1:0", &Options::DEFAULT)?;
//! let address = server.local_addr().ok_or("no address")?;
//! let running = server.start()?;
//! let report = Load { messages: 100, ..Load::pairs(2) }.run(address)?;
//! assert_eq!(report.delivered, 100);
//! # drop(running);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod crowd;
mod report;

pub use report::{Report, cpu_of};

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tamtam_core::{QoS, Version};

/// What is to be published, by how many, to how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// How many publish, each to a topic of its own: `load/0`, `load/1` and so on.
    pub publishers: usize,
    /// How many subscribe.
    pub subscribers: usize,
    /// What each subscribes to; `{}` is replaced by its number.
    pub filter: String,
    /// How many subscribers get each message.
    pub fan_out: usize,
    /// At which QoS messages are published and subscribed to.
    pub qos: QoS,
    /// How long a payload is, in bytes: at least 4, as it says who published it.
    pub payload_bytes: usize,
    /// How many messages of each publisher are on their way at once.
    pub window: usize,
    /// How many messages are published in all.
    pub messages: u64,
    /// The version that is spoken.
    pub version: Version,
    /// How long to wait for a message before the rest counts as lost.
    pub patience: Duration,
}

impl Load {
    const DEFAULT: Self = Self {
        publishers: 1,
        subscribers: 1,
        filter: String::new(),
        fan_out: 1,
        qos: QoS::AtMostOnce,
        payload_bytes: 64,
        window: 100,
        messages: 100_000,
        version: Version::V5,
        patience: Duration::from_secs(5),
    };

    /// So many publishers, with a subscriber for each.
    #[must_use]
    pub fn pairs(count: usize) -> Self {
        let filter = "load/{}".into();
        Self { publishers: count, subscribers: count, filter, ..Self::DEFAULT }
    }

    /// One publisher, and so many subscribers who get all of it.
    #[must_use]
    pub fn fan_out(count: usize) -> Self {
        Self { subscribers: count, fan_out: count, filter: "load/0".into(), ..Self::DEFAULT }
    }

    /// So many publishers, and one subscriber that gets it all.
    #[must_use]
    pub fn fan_in(count: usize) -> Self {
        Self { publishers: count, filter: "load/+".into(), ..Self::DEFAULT }
    }

    /// So many publishers, and as many subscribers who share it.
    #[must_use]
    pub fn shared(count: usize) -> Self {
        Self { filter: "$share/load/load/+".into(), ..Self::pairs(count) }
    }

    /// Connects everybody, subscribes, publishes, and counts.
    ///
    /// # Errors
    /// A connection fails, is refused or lost.
    pub fn run(&self, broker: SocketAddr) -> io::Result<Report> {
        self.run_between(broker, || (), || ())
    }

    /// The same, with something to do when everybody is connected and subscribed, and something
    /// when the last message has arrived: to look at the broker's time, for example.
    ///
    /// # Errors
    /// A connection fails, is refused or lost.
    pub fn run_between(
        &self,
        broker: SocketAddr,
        before: impl FnOnce(),
        after: impl FnOnce(),
    ) -> io::Result<Report> {
        let mut crowd = crowd::Crowd::gather(self, broker)?;
        before();
        let report = crowd.work();
        after();
        report
    }
}
