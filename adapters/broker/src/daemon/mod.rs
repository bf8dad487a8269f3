//! The broker as a daemon: a configuration becomes listeners, accounts and rules, and they are
//! replaced while it runs.
//!
//! ```no_run
//! use tamtam_broker::config::Config;
//! use tamtam_broker::Daemon;
//!
//! let options = [("listen", "127.0.0.1:1883"), ("memory", "true")];
//! let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
//! let running = Daemon::new(Config::load(None, &options)?)?.start()?;
//! running.wait()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(unix)]
mod control;
mod door;
mod events;
mod files;
mod hooks;
mod keeping;
mod operate;
mod policy;
mod users;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tamtam_blocking::broker::{Handle, Server};
use tamtam_core::broker::Options;

pub use files::Loaded;
pub use hooks::{Hooks, Login, NoHooks, Outcome, Pending, Wanted, Wish};

use crate::config::{Config, Problems};
use crate::http;
use crate::systemd::{self, Inherited};
use policy::Guard;

/// Why a daemon can't start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration, or a file that it names, is wrong.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// Something could not be opened, with what to do about it.
    #[error("{0}")]
    Open(String),
    /// What the operating system says.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A broker that is about to run.
#[derive(Debug)]
pub struct Daemon {
    config: Config,
    loaded: Loaded,
    data: Option<PathBuf>,
    hooks: Arc<dyn Hooks>,
}

impl Daemon {
    /// Reads the files that a configuration names.
    ///
    /// # Errors
    /// Everything that is wrong with them, with file and line.
    pub fn new(config: Config) -> Result<Self, Error> {
        let loaded = Loaded::read(&config)?;
        let data = config.data_folder().map_err(Error::Open)?;
        Ok(Self { config, loaded, data, hooks: Arc::new(NoHooks) })
    }

    /// These are asked and told first.
    #[must_use]
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks = Arc::new(hooks);
        self
    }

    /// The configuration that it has.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The folder of the data; `None` if all is kept in memory.
    #[must_use]
    pub fn data(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    /// What somebody should look at, though it can start.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.loaded.warnings
    }

    /// Opens everything, and serves clients on a thread of its own.
    ///
    /// # Errors
    /// What can't be opened, and what to do about it.
    pub fn start(self) -> Result<Running, Error> {
        let Self { mut config, loaded, data, hooks } = self;
        let inherited = systemd::inherited().map_err(Error::Open)?;
        let places = inherited.iter().map(Inherited::place).collect::<io::Result<Vec<_>>>()?;
        config.listen_at(&places)?;
        let store = data.is_some();
        let options = Options { store, ..config.options() };
        let mut server = Server::new(&options)?;
        let mut urls = Vec::new();
        for (listener, url) in door::open(&config, inherited)? {
            server = server.listen(listener);
            urls.push(url);
        }
        let guard = Arc::new(Guard::new(config, places, loaded, hooks, server.handle())?);
        guard.store_rules(server.broker().0);
        server.broker().0.watch(guard.hooks.watches());
        if let Some(data) = &data {
            server = keeping::begin(server, &data.join("store"), &guard)?;
        }
        let metrics = guard.config().general.metrics.map(|address| {
            let (guard, handle) = (Arc::clone(&guard), server.handle());
            http::serve(address, move |path| operate::page(path, &guard, &handle))
                .map_err(|error| Error::Open(format!("metrics at {address}: {error}")))
        });
        let metrics = metrics.transpose()?;
        let handle = server.handle();
        let control = control_socket(&guard.config(), data.as_deref());
        #[cfg(unix)]
        if let Some(path) = &control {
            control::serve(path, &guard, &handle)
                .map_err(|error| Error::Open(format!("control {}: {error}", path.display())))?;
        }
        let inner = Some(server.policy(policy::Shared(Arc::clone(&guard))).start()?);
        Ok(Running { inner, handle, guard, urls, metrics, control })
    }
}

/// A broker that runs. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    inner: Option<tamtam_blocking::broker::Running>,
    handle: Handle,
    guard: Arc<Guard>,
    urls: Vec<String>,
    metrics: Option<std::net::SocketAddr>,
    control: Option<PathBuf>,
}

/// Where `tamtam ctl` finds a broker with this configuration and this folder of data.
#[must_use]
pub fn control_socket(config: &Config, data: Option<&Path>) -> Option<PathBuf> {
    let said = config.general.control.clone();
    said.or_else(|| data.map(|folder| folder.join("control.sock")))
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(path) = &self.control {
            let _ = std::fs::remove_file(path); // somebody may have done so already
        }
    }
}

impl Running {
    /// Where it listens, as URLs, with the ports that were chosen.
    #[must_use]
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The configuration that it has now.
    #[must_use]
    pub fn config(&self) -> Config {
        self.guard.config()
    }

    /// Where metrics are served.
    #[must_use]
    pub const fn metrics(&self) -> Option<std::net::SocketAddr> {
        self.metrics
    }

    /// What reaches the machine from other threads.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What reaches the daemon from other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        Remote { handle: self.handle.clone(), guard: Arc::clone(&self.guard) }
    }

    /// Stops: clients are told, what is theirs leaves, and no longer than the configuration says.
    ///
    /// # Errors
    /// What ended it before.
    pub fn stop(self) -> io::Result<()> {
        let patience = self.guard.config().general.stop_timeout.duration();
        self.handle.stop(patience);
        self.wait()
    }

    /// Waits until something else ends it.
    ///
    /// # Errors
    /// What ended it, if that was the system.
    pub fn wait(mut self) -> io::Result<()> {
        self.inner.take().map_or(Ok(()), |inner| inner.wait())
    }
}

/// Reaches a daemon that runs, from any thread; as many copies as are wanted.
#[derive(Clone, Debug)]
pub struct Remote {
    handle: Handle,
    guard: Arc<Guard>,
}

impl Remote {
    /// Replaces accounts, rules and limits by those of a new configuration. Clients stay whose
    /// account is still the same; listeners, folders and addresses stay as they are.
    ///
    /// Returns what could not be changed while it runs, a line each.
    ///
    /// # Errors
    /// What is wrong with the files; then nothing has changed.
    pub fn reload(&self, config: Config) -> Result<Vec<String>, Error> {
        operate::reload(&self.guard, &self.handle, config)
    }

    /// Asks it to stop, without waiting for that.
    pub fn ask_to_stop(&self) {
        self.handle.stop(self.guard.config().general.stop_timeout.duration());
    }
}
