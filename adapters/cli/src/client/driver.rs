//! Drives one client machine over one socket, for the commands that are clients.

use std::io::{self, Read, Write};
use std::sync::Arc;

use mio::{Events, Interest, Poll, Registry, Token, Waker};
use tamtam_core::client::{Client, Event, Options, StartError, Transport};
use tamtam_core::{Heap, Instant};
use tamtam_transport::{Scheme, Stack};

use super::loss::Loss;
use super::route::Route;

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// How many bytes are read at once.
const READ_BYTES: usize = 64 << 10;

/// A client, and the connection that it has at the moment.
pub(crate) struct Driver {
    pub(crate) machine: Client<Heap>,
    route: Route,
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    line: Option<Line>,
    /// What was read and is not a whole packet yet.
    input: Vec<u8>,
    buffer: Vec<u8>,
    epoch: std::time::Instant,
}

impl Driver {
    /// A client that connects as soon as it is driven.
    ///
    /// # Errors
    /// The options make no CONNECT, or the system gives nothing to wait on.
    pub(crate) fn new(route: Route, options: &Options<'_>) -> Result<Self, String> {
        let mut machine = Client::new();
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| error.to_string())?;
        machine
            .start(options, u64::from_ne_bytes(seed))
            .map_err(|error: StartError| error.to_string())?;
        let poll = Poll::new().map_err(|error| error.to_string())?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(|error| error.to_string())?;
        let mut driver = Self {
            machine,
            route,
            poll,
            events: Events::with_capacity(8),
            waker: Arc::new(waker),
            line: None,
            input: Vec::new(),
            buffer: vec![0; READ_BYTES],
            epoch: std::time::Instant::now(),
        };
        let now = driver.now();
        driver.machine.connect(now).map_err(|error| error.to_string())?;
        Ok(driver)
    }

    /// What ends the wait of [`Driver::turn`] from another thread.
    pub(crate) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// The moment, in the machine's time.
    pub(crate) fn now(&self) -> Instant {
        let passed = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        Instant::from_millis(passed.saturating_add(1))
    }

    /// Does what there is to do, and waits if there is nothing, until `until` at most. Returns why
    /// the connection is over, if it is; the machine may connect again by itself.
    pub(crate) fn turn(
        &mut self,
        until: Option<Instant>,
        on: &mut dyn FnMut(&mut Client<Heap>, &Event<'_>, Instant),
    ) -> Option<Loss> {
        let now = self.now();
        self.machine.handle_timeout(now);
        if let Some(loss) = self.follow(now) {
            return Some(loss);
        }
        let mut busy = self.read(now);
        let mut loss = None;
        let mut rest = &self.input[..];
        loop {
            match self.machine.handle_input(&mut rest, now) {
                Ok(Some(event)) => {
                    busy = true;
                    on(&mut self.machine, &event, now);
                }
                Ok(None) => break,
                Err(lost) => {
                    loss = Some(Loss::from(&lost));
                    break;
                }
            }
        }
        let read = self.input.len() - rest.len();
        self.input.drain(..read);
        busy |= self.write(now);
        if loss.is_some() {
            self.drop_line();
            self.machine.handle_close(now);
            return loss;
        }
        if !busy {
            self.wait(until, now);
        }
        None
    }

    /// Opens and closes transports as the machine wants it.
    fn follow(&mut self, now: Instant) -> Option<Loss> {
        match self.machine.transport() {
            Transport::Wanted if self.line.is_none() => {
                self.input.clear();
                match Line::open(&self.route, self.poll.registry(), SOCKET) {
                    Ok(line) => {
                        self.line = Some(line);
                        self.machine.handle_open(now);
                    }
                    Err(what) => {
                        self.machine.handle_close(now);
                        return Some(Loss::unreachable(what));
                    }
                }
            }
            Transport::Unwanted => {
                self.drop_line();
                self.machine.handle_close(now);
            }
            _ => {}
        }
        None
    }

    /// Takes in what has arrived; whether anything has.
    fn read(&mut self, now: Instant) -> bool {
        let Some(line) = &mut self.line else { return false };
        match line.read(&mut self.buffer, &mut self.input) {
            Ok(any) => any,
            Err(_) => {
                let _ = line.flush(); // what tells the server why
                self.line = None;
                self.machine.handle_close(now);
                true
            }
        }
    }

    /// Writes what the machine has to say; whether anything was written.
    fn write(&mut self, now: Instant) -> bool {
        let Some(line) = &mut self.line else { return false };
        let mut any = false;
        while !self.machine.output().is_empty() {
            match line.write(self.machine.output()) {
                Ok(0) => break,
                Ok(len) => {
                    self.machine.output_written(len, now);
                    any = true;
                }
                Err(_) => {
                    self.line = None;
                    self.machine.handle_close(now);
                    return true;
                }
            }
        }
        any | line.flush().unwrap_or(true)
    }

    fn wait(&mut self, until: Option<Instant>, now: Instant) {
        let due = self.machine.poll_timeout().into_iter().chain(until).min();
        let timeout = due.map(|due| due.wait_from(now));
        // An interruption is a turn like any other.
        let _ = self.poll.poll(&mut self.events, timeout);
    }

    /// Closes the transport, after a farewell in its own way.
    fn drop_line(&mut self) {
        if let Some(mut line) = self.line.take() {
            line.stack.close();
            let _ = line.flush();
        }
    }
}

/// A socket with its layers.
pub(crate) struct Line {
    socket: Socket,
    stack: Stack,
}

enum Socket {
    Tcp(mio::net::TcpStream),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
}

impl Line {
    /// Connects, and registers the socket once and for all.
    ///
    /// # Errors
    /// What went wrong, with what to do about it.
    pub(crate) fn open(route: &Route, registry: &Registry, token: Token) -> Result<Self, String> {
        let Route { endpoint, layers, .. } = route;
        let socket = Socket::open(route).map_err(|error| super::loss::advice(endpoint, &error));
        let mut socket = socket?;
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered = match &mut socket {
            Socket::Tcp(socket) => registry.register(socket, token, both),
            #[cfg(unix)]
            Socket::Unix(socket) => registry.register(socket, token, both),
        };
        registered.map_err(|error| error.to_string())?;
        let stack = Stack::client(endpoint, layers).map_err(|error| error.to_string())?;
        Ok(Self { socket, stack })
    }

    /// Reads until nothing more is there; whether anything was. An end is an error.
    pub(crate) fn read(&mut self, buffer: &mut [u8], input: &mut Vec<u8>) -> io::Result<bool> {
        let mut any = false;
        loop {
            match self.socket.as_read().read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    any = true;
                    let mut wire = buffer.get(..len).unwrap_or_default();
                    self.stack.handle_wire(&mut wire, input)?;
                    if len < buffer.len() {
                        return Ok(any);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(any),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes some of it: 0 if nothing can be taken now.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stack.is_plain() {
            return unblocked(self.socket.as_write().write(bytes));
        }
        let len = self.stack.write(bytes)?;
        self.flush()?;
        Ok(len)
    }

    /// Writes what the layers have; whether anything was written.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        let mut any = false;
        while !self.stack.output().is_empty() {
            match unblocked(self.socket.as_write().write(self.stack.output()))? {
                0 => break,
                len => {
                    self.stack.output_written(len);
                    any = true;
                }
            }
        }
        Ok(any)
    }
}

/// 0 where the system says that it would have to wait.
fn unblocked(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        other => other,
    }
}

impl Socket {
    fn open(route: &Route) -> io::Result<Self> {
        if route.endpoint.scheme() == Scheme::Unix {
            return Self::open_unix(route.endpoint.path());
        }
        route.connect().map(|stream| Self::Tcp(mio::net::TcpStream::from_std(stream)))
    }

    #[cfg(unix)]
    fn open_unix(path: &str) -> io::Result<Self> {
        let stream = std::os::unix::net::UnixStream::connect(path)?;
        stream.set_nonblocking(true)?;
        Ok(Self::Unix(mio::net::UnixStream::from_std(stream)))
    }

    #[cfg(not(unix))]
    fn open_unix(_: &str) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn as_read(&mut self) -> &mut dyn Read {
        match self {
            Self::Tcp(socket) => socket,
            #[cfg(unix)]
            Self::Unix(socket) => socket,
        }
    }

    fn as_write(&mut self) -> &mut dyn Write {
        match self {
            Self::Tcp(socket) => socket,
            #[cfg(unix)]
            Self::Unix(socket) => socket,
        }
    }
}
