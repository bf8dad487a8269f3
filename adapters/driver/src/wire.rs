//! One connection's bytes: a stream, the layers upon it, and what was read and is not yet used.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_io::{AsyncRead, AsyncWrite};
use tamtam_transport::Stack;

/// How much is read at once, in bytes.
pub(crate) const READ_BYTES: usize = 16 << 10;

/// A stream with its layers.
#[derive(Debug)]
pub(crate) struct Wire<T> {
    stream: T,
    pub(crate) stack: Stack,
    /// Plaintext that was read.
    read: BytesMut,
    plaintext: Vec<u8>,
    unflushed: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    pub(crate) fn new(stream: T, stack: Stack) -> Self {
        let (read, plaintext) = (BytesMut::new(), Vec::new());
        Self { stream, stack, read, plaintext, unflushed: false }
    }

    /// Plaintext that waits.
    pub(crate) fn read(&self) -> &[u8] {
        &self.read
    }

    /// Takes all of it, to share it without copies.
    pub(crate) fn take_read(&mut self) -> Bytes {
        self.read.split().freeze()
    }

    /// What was taken, and not used.
    pub(crate) fn put_back(&mut self, rest: &[u8]) {
        self.read.extend_from_slice(rest);
    }

    /// The first `len` bytes were used.
    pub(crate) fn used(&mut self, len: usize) {
        let rest = self.read.len().saturating_sub(len);
        let _ = self.read.split_to(self.read.len() - rest);
        if self.read.is_empty() {
            self.read = BytesMut::new(); // an idle connection holds nothing
        }
    }

    /// Reads once, by way of `scratch`. How many bytes of the wire came; 0 at its end.
    pub(crate) fn poll_read(
        &mut self,
        scratch: &mut [u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let read = std::task::ready!(Pin::new(&mut self.stream).poll_read(context, scratch))?;
        let mut wire = scratch.get(..read).unwrap_or_default();
        if read == 0 || self.stack.is_plain() {
            self.read.extend_from_slice(wire);
            return Poll::Ready(Ok(read));
        }
        let done = self.stack.handle_wire(&mut wire, &mut self.plaintext);
        self.read.extend_from_slice(&self.plaintext);
        self.plaintext.clear();
        done?;
        Poll::Ready(Ok(if self.stack.is_ended() && self.read.is_empty() { 0 } else { read }))
    }

    /// Writes what the layers have to say of themselves, and as much of `output` as goes; how much
    /// of it that was. Pending if the rest has to wait, though some may have gone.
    pub(crate) fn poll_write(
        &mut self,
        output: &[u8],
        context: &mut Context<'_>,
    ) -> (usize, Poll<io::Result<()>>) {
        let mut taken = 0;
        loop {
            let rest = output.get(taken..).unwrap_or_default();
            let sent = if self.stack.is_plain() {
                if rest.is_empty() {
                    break;
                }
                match self.write_some(rest, context) {
                    Poll::Ready(Ok(sent)) => sent,
                    other => return (taken, other.map_ok(|_| ())),
                }
            } else {
                match self.stack.write(rest) {
                    Ok(sent) if sent == 0 && self.stack.output().is_empty() => break,
                    Ok(sent) => {
                        if let other @ (Poll::Pending | Poll::Ready(Err(_))) =
                            self.poll_flush_stack(context)
                        {
                            return (taken + sent, other);
                        }
                        sent
                    }
                    Err(error) => return (taken, Poll::Ready(Err(error.into()))),
                }
            };
            taken += sent;
        }
        (taken, self.poll_flush(context))
    }

    fn write_some(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.unflushed = true;
        Poll::Ready(Ok(written))
    }

    fn poll_flush_stack(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.stack.output().is_empty() {
            let bytes = self.stack.output();
            let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.stack.output_written(written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            std::task::ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Says farewell in each layer and closes the stream.
    pub(crate) fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stack.close();
        std::task::ready!(self.poll_flush_stack(context))?;
        std::task::ready!(self.poll_flush(context))?;
        Pin::new(&mut self.stream).poll_close(context)
    }
}
