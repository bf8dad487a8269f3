//! A broker of the core, a pipe to it in memory, and a time that passes when nothing else happens.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tamtam_core::broker::{Broker, Event, Input, LinkId, Options};
use tamtam_core::{Heap, Instant};
use tamtam_embedded::embedded_io_async::{self, ErrorType, Read, Write};
use tamtam_embedded::{Clock, Transport};

/// How many bytes the pipe takes at once, and holds.
const CHUNK: usize = 7;
const PIPE: usize = 64;
/// A story that takes longer does not end.
const TURNS_MAX: usize = 1_000_000;

pub(crate) struct World {
    broker: Broker<Heap>,
    link: Option<LinkId>,
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    /// Bytes that the broker was handed and did not take.
    unread: Vec<u8>,
    now: Instant,
    deadline: Instant,
    /// How many attempts to open the pipe fail from now on.
    pub(crate) refusals: u32,
    pub(crate) opened: u32,
    /// How many bytes are carried until the pipe is cut.
    pub(crate) cut_after: usize,
}

impl World {
    pub(crate) fn shared() -> Shared {
        let mut broker = Broker::new();
        broker.start(&Options::DEFAULT, 7);
        let now = Instant::from_millis(1_000);
        Shared(Rc::new(RefCell::new(Self {
            broker,
            link: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
            unread: Vec::new(),
            now,
            deadline: Instant::NEVER,
            refusals: 0,
            opened: 0,
            cut_after: usize::MAX,
        })))
    }

    pub(crate) fn cut(&mut self) {
        if let Some(link) = self.link.take() {
            self.broker.handle_close(link, self.now);
        }
        self.up.clear();
        self.down.clear();
        self.unread.clear();
    }

    /// The broker does what there is to do; whether there was anything.
    fn turn(&mut self) -> bool {
        self.broker.handle_timeout(self.now);
        let mut moved = false;
        if let Some(link) = self.link {
            moved = !self.up.is_empty();
            self.unread.extend(self.up.drain(..));
            let mut input = &self.unread[..];
            let outcome = self.broker.handle_input(link, &mut input, self.now);
            let taken = self.unread.len() - input.len();
            self.unread.drain(..taken);
            let output = self.broker.output(link);
            let len = output.len().min(PIPE.saturating_sub(self.down.len()));
            self.down.extend(&output[..len]);
            self.broker.output_written(link, len, self.now);
            moved |= len != 0;
            let carried = taken + len;
            self.cut_after = self.cut_after.saturating_sub(carried);
            if outcome == Input::Close && self.down.is_empty() || self.cut_after == 0 {
                self.cut_after = usize::MAX;
                self.cut();
                moved = true;
            }
        }
        while let Some(event) = self.broker.poll_event() {
            if matches!(event, Event::Close(_)) && self.down.is_empty() {
                self.cut();
            }
        }
        moved
    }
}

/// The world, shared by all who act in it.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Rc<RefCell<World>>);

impl Shared {
    /// Runs a story to its end.
    pub(crate) fn run<T>(&self, story: impl Future<Output = T>) -> T {
        let mut story = pin!(story);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..TURNS_MAX {
            self.0.borrow_mut().deadline = Instant::NEVER;
            if let Poll::Ready(output) = story.as_mut().poll(&mut context) {
                return output;
            }
            let mut world = self.0.borrow_mut();
            if !world.turn() {
                assert_ne!(world.deadline, Instant::NEVER, "everybody waits for everybody");
                world.now = world.now.max(world.deadline);
            }
        }
        panic!("the story does not end");
    }
}

impl Clock for Shared {
    fn now(&self) -> Instant {
        self.0.borrow().now
    }

    async fn wait_until(&self, when: Instant) {
        poll_fn(|_| {
            let mut world = self.0.borrow_mut();
            if world.now >= when {
                return Poll::Ready(());
            }
            world.deadline = world.deadline.min(when);
            Poll::Pending
        })
        .await;
    }
}

#[derive(Debug)]
pub(crate) struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl embedded_io_async::Error for Refused {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        embedded_io_async::ErrorKind::ConnectionRefused
    }
}

impl From<Infallible> for Refused {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl ErrorType for Shared {
    type Error = Refused;
}

impl Read for Shared {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Refused> {
        poll_fn(|_| {
            let mut world = self.0.borrow_mut();
            if world.down.is_empty() {
                return if world.link.is_none() { Poll::Ready(Ok(0)) } else { Poll::Pending };
            }
            let len = buffer.len().min(CHUNK).min(world.down.len());
            for (to, from) in buffer.iter_mut().zip(world.down.drain(..len)) {
                *to = from;
            }
            Poll::Ready(Ok(len))
        })
        .await
    }
}

impl Write for Shared {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Refused> {
        poll_fn(|_| {
            let mut world = self.0.borrow_mut();
            if world.link.is_none() {
                return Poll::Ready(Err(Refused));
            }
            let len = bytes.len().min(CHUNK).min(PIPE.saturating_sub(world.up.len()));
            if len == 0 {
                return Poll::Pending;
            }
            world.up.extend(&bytes[..len]);
            Poll::Ready(Ok(len))
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), Refused> {
        poll_fn(|_| {
            let world = self.0.borrow();
            if world.up.is_empty() || world.link.is_none() {
                return Poll::Ready(Ok(()));
            }
            Poll::Pending
        })
        .await
    }
}

impl Transport for Shared {
    async fn open(&mut self) -> Result<(), Refused> {
        let mut patience = 1; // opening takes a moment
        poll_fn(|_| {
            let mut world = self.0.borrow_mut();
            if patience != 0 {
                patience -= 1;
                let soon = world.now.plus_millis(5);
                world.deadline = world.deadline.min(soon);
                return Poll::Pending;
            }
            if world.refusals != 0 {
                world.refusals -= 1;
                return Poll::Ready(Err(Refused));
            }
            world.cut();
            let now = world.now;
            world.link = Some(world.broker.open(now).expect("room for a link"));
            world.opened += 1;
            Poll::Ready(Ok(()))
        })
        .await
    }

    fn close(&mut self) {
        self.0.borrow_mut().cut();
    }
}
