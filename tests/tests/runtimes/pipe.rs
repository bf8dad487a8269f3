//! A pipe in memory, both ways, that can be cut.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_io::{AsyncRead, AsyncWrite};

/// How much lies in one direction at most.
const ROOM: usize = 4 << 10;

#[derive(Default)]
struct Way {
    bytes: VecDeque<u8>,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// After how many bytes it is cut.
    left: Option<usize>,
}

impl Way {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

/// One end of it.
pub(crate) struct End {
    into: Arc<Mutex<Way>>,
    from: Arc<Mutex<Way>>,
}

/// Two ends; `cut_after` bytes from the first to the second it breaks, if that is given.
pub(crate) fn pipe(cut_after: Option<usize>) -> (End, End) {
    let one = Arc::new(Mutex::new(Way { left: cut_after, ..Way::default() }));
    let other = Arc::default();
    (End { into: Arc::clone(&one), from: Arc::clone(&other) }, End { into: other, from: one })
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut way = self.from.lock().unwrap();
        let len = way.bytes.len().min(into.len());
        if len == 0 && !way.closed {
            way.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        for (place, byte) in into.iter_mut().zip(way.bytes.drain(..len)) {
            *place = byte;
        }
        way.wake();
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut way = self.into.lock().unwrap();
        if way.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let len = (ROOM - way.bytes.len()).min(bytes.len()).min(way.left.unwrap_or(usize::MAX));
        if way.left == Some(0) {
            way.closed = true;
            way.wake();
            drop(way);
            let mut other = self.from.lock().unwrap();
            other.closed = true;
            other.wake();
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if len == 0 {
            way.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        way.bytes.extend(&bytes[..len]);
        way.left = way.left.map(|left| left - len);
        way.wake();
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut way = self.into.lock().unwrap();
        way.closed = true;
        way.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        for way in [&self.into, &self.from] {
            let mut way = way.lock().unwrap();
            way.closed = true;
            way.wake();
        }
    }
}
