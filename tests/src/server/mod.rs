//! The other end: what any server is to the world, and one that follows a script.

mod accept;
mod deliver;
mod link;
mod scripted;
mod session;

use tamtam_core::Instant;

pub use link::Link;
pub use scripted::{Manners, Reaction, Scripted, Trick};
pub use session::{Letter, Session};

/// A server in the world: one machine, or several that are joined, behind any number of lines.
pub trait Server {
    /// A line opened.
    fn open(&mut self, line: usize, now: Instant);

    /// Whether it reads from this line now.
    fn reads(&self, line: usize) -> bool;

    /// Takes what it wants from the front of what has come.
    fn input(&mut self, line: usize, bytes: &mut Vec<u8>, now: Instant);

    /// What it wants to send.
    fn output(&self, line: usize) -> &[u8];

    /// The first `len` bytes of that have left.
    fn written(&mut self, line: usize, len: usize, now: Instant);

    /// Whether it closes the line once its output has left.
    fn hangs_up(&self, line: usize) -> bool;

    /// The line is gone.
    fn closed(&mut self, line: usize, now: Instant);

    /// Time has passed.
    fn timeout(&mut self, now: Instant);

    /// When it must be woken.
    fn poll_timeout(&self) -> Option<Instant>;
}
