//! The log: lines of text for people, or objects in JSON, on the standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{Handle, Layer};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

use crate::config::{Log, LogFormat, LogLevel};

/// Lets the level of a log be changed.
#[derive(Clone, Debug)]
pub struct Logging {
    level: Handle<LevelFilter, Registry>,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

impl Logging {
    /// Logs whatever this process has to say from now on.
    ///
    /// # Errors
    /// Something else logs already.
    pub fn start(log: &Log) -> Result<Self, String> {
        let (filter, level) = Layer::new(LevelFilter::from(log.level));
        let registry = tracing_subscriber::registry().with(filter);
        let lines = fmt::layer().with_writer(io::stderr).with_target(false);
        let started = match log.format {
            LogFormat::Text => {
                registry.with(lines.with_ansi(io::stderr().is_terminal())).try_init()
            }
            LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        };
        started.map(|()| Self { level }).map_err(|error| error.to_string())
    }

    /// Logs from this level on.
    pub fn set_level(&self, level: LogLevel) {
        let _ = self.level.modify(|filter| *filter = level.into()); // it is never dropped
    }
}
