//! What a daemon needs around the tamtam broker: configuration, listeners, accounts, rules,
//! metrics.

pub mod accounts;
pub mod config;
mod daemon;
pub mod http;
pub mod logging;
pub mod metrics;
#[cfg(unix)]
pub mod privacy;
pub mod proxy;
pub mod rules;
pub mod systemd;

pub use daemon::{
    Daemon, Error, Hooks, Loaded, Login, NoHooks, Outcome, Pending, Remote, Running, Wanted, Wish,
    control_socket,
};
