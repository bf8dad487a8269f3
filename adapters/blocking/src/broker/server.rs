//! A broker before it runs, and while it does.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Poll, Waker};
use tamtam_core::broker::{Broker, Options};
use tamtam_core::{Heap, Instant};

use super::turn::{Loop, WAKER};
use super::{Handle, Listener, Logins, Open, Policy, Store};
use crate::clock::Clock;

/// A broker that is put together, and then run.
#[derive(Debug)]
pub struct Server {
    inner: Loop,
}

impl Server {
    /// A broker that nobody can reach yet.
    ///
    /// # Errors
    /// What the system says when it is asked for something to wait on.
    pub fn new(options: &Options) -> io::Result<Self> {
        let poll = Poll::new()?;
        let handle = Handle::new(Waker::new(poll.registry(), WAKER)?);
        let mut broker = Broker::new();
        // Different in each process and for each broker.
        broker.start(options, RandomState::new().build_hasher().finish());
        Ok(Self { inner: Loop::new(poll, broker, Clock::new(), handle, Arc::new(Open)) })
    }

    /// A broker on one TCP address, open to everybody.
    ///
    /// # Errors
    /// What the system says: often that the address is in use.
    pub fn bind(address: impl ToSocketAddrs, options: &Options) -> io::Result<Self> {
        Ok(Self::new(options)?.listen(Listener::tcp(address)?))
    }

    /// Clients come in here too.
    #[must_use]
    pub fn listen(mut self, listener: Listener) -> Self {
        self.inner.listeners.push(listener);
        self
    }

    /// This decides who may do what.
    #[must_use]
    pub fn policy(mut self, policy: impl Policy) -> Self {
        self.inner.policy = Arc::new(policy);
        self
    }

    /// This decides who may connect, by user and password; both are empty for a client that says
    /// none. It takes the place of a [`Server::policy`].
    ///
    /// ```
    /// use tamtam_blocking::broker::Server;
    /// use tamtam_blocking::client::{Client, Options};
    /// use tamtam_core::{Version, broker};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0", &broker::Options::DEFAULT)?
    ///     .authenticate(|user, password| user == "alice" && password == b"secret");
    /// let address = server.local_addr().ok_or("no address")?;
    /// let running = server.start()?;
    /// let nobody = Client::connect(&format!("mqtt://{address}"), Options::new(Version::V5));
    /// assert_eq!(
    ///     nobody.err().ok_or("let in")?.to_string(),
    ///     "the server refused the connection: bad user name or password (0x86)",
    /// );
    /// let alice = format!("mqtt://alice:secret@{address}");
    /// Client::connect(&alice, Options::new(Version::V5))?.disconnect()?;
    /// running.stop(Duration::from_secs(1))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn authenticate(
        mut self,
        may: impl Fn(&str, &[u8]) -> bool + Send + Sync + 'static,
    ) -> Self {
        let options = Options { ask_connect: true, ..*self.inner.broker.options() };
        self.inner.broker.set_options(&options);
        self.policy(Logins(may))
    }

    /// This keeps what must survive. [`Options::store`] has to be set too.
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.inner.store = Some(Box::new(store));
        self
    }

    /// The machine, and the time, before it runs: to hand in what a store has kept
    /// ([`Broker::restore`], [`Broker::restored`]), or rules.
    pub fn broker(&mut self) -> (&mut Broker<Heap>, Instant) {
        (&mut self.inner.broker, self.inner.clock.now())
    }

    /// What reaches it from other threads, once it runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.inner.handle.clone()
    }

    /// The address of the first listener that has one.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.inner.listeners.iter().find_map(Listener::local_addr)
    }

    /// Serves on this thread, until a [`Handle`] stops it.
    ///
    /// # Errors
    /// What the system says when the sockets are registered, or waited for. No client can cause it.
    pub fn run(mut self) -> io::Result<()> {
        self.inner.run()
    }

    /// Serves on a thread of its own.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(self) -> io::Result<Running> {
        let handle = self.handle();
        let address = self.local_addr();
        let thread = std::thread::Builder::new().name("mqtt-broker".into());
        let thread = thread.spawn(move || self.run())?;
        Ok(Running { handle, address, thread: Some(thread) })
    }
}

/// A broker that runs on a thread of its own. Dropping it stops it, and waits for that a second.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    address: Option<SocketAddr>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// What reaches it.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The address of its first listener that has one.
    #[must_use]
    pub const fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Ends it, see [`Handle::stop`], and waits until it has ended.
    ///
    /// # Errors
    /// What ended it before.
    pub fn stop(mut self, patience: Duration) -> io::Result<()> {
        self.handle.stop(patience);
        self.join()
    }

    /// Waits until somebody else ends it.
    ///
    /// # Errors
    /// What ended it, if that was the system.
    pub fn wait(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the policy or the store of the broker panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.handle.stop(Duration::from_secs(1));
            let _ = self.join();
        }
    }
}
