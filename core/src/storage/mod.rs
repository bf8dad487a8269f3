//! Where machines keep what they remember: on the heap up to a limit, or inline in a fixed size.
//!
//! A machine is written once against the traits below and runs on [`Heap`] and on [`Fixed`]. The
//! traits offer what both can do, and whatever can fail for want of room says [`Full`].

mod arena;
mod fixed;
mod fixed_pool;
#[cfg(feature = "alloc")]
mod heap;
#[cfg(feature = "alloc")]
mod heap_pool;
mod index;

#[cfg(all(test, feature = "alloc"))]
mod tests;

pub use arena::FixedArena;
#[cfg(feature = "alloc")]
pub use arena::HeapArena;
pub use fixed::{Capacities, Fixed, FixedMemory};
pub use fixed_pool::FixedPool;
#[cfg(feature = "alloc")]
pub use heap::{Heap, HeapList, HeapMemory, HeapQueue};
#[cfg(feature = "alloc")]
pub use heap_pool::HeapPool;
pub use index::FixedIndex;
#[cfg(feature = "alloc")]
pub use index::HeapIndex;

/// Copies where both are equally long, and that without a panic in the program.
#[inline]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    let fits = to.len() == from.len();
    if fits && cfg!(feature = "alloc") {
        to.copy_from_slice(from);
    } else if fits {
        // `memcpy` as well. Optimised for size, `copy_from_slice` is a call and brings its panic.
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
}

/// Moves `from` to where `to` begins, if both are within `bytes`; never a panic.
pub(crate) fn move_within(bytes: &mut [u8], from: core::ops::Range<usize>, to: usize) {
    if let Some(len) = from.end.checked_sub(from.start)
        && let Some(last) = bytes.len().checked_sub(len)
        && from.end <= bytes.len()
        && to <= last
    {
        bytes.copy_within(from, to);
    }
}

/// Brings the last `len` bytes to the front; never a panic.
#[cfg(feature = "stream")]
pub(crate) fn bring_to_front(bytes: &mut [u8], len: usize) {
    reverse(bytes);
    if let Some((front, rest)) = bytes.split_at_mut_checked(len) {
        reverse(front);
        reverse(rest);
    }
}

#[cfg(feature = "stream")]
fn reverse(mut bytes: &mut [u8]) {
    while let [first, between @ .., last] = bytes {
        core::mem::swap(first, last);
        bytes = between;
    }
}

/// There is no room, and nothing has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("no room left: enlarge the capacity or the limit of this storage")]
pub struct Full;

/// The containers of a machine, named for what they hold.
///
/// Sealed: [`Heap`] and [`Fixed`] are the two.
pub trait Storage: sealed::Sealed {
    /// The bytes of packets that wait to be sent or acknowledged.
    type Outgoing: Memory;
    /// One entry for each packet identifier in use.
    type InFlight<T: Copy>: List<T>;
    /// One entry for each acknowledgement that is owed.
    type Owed<T: Copy>: Queue<T>;
    /// The topics that aliases stand for.
    type Aliases: Memory;

    /// A broker's connections.
    type Links<T>: Arena<T>;
    /// A broker's sessions.
    type Sessions<T>: Arena<T>;
    /// Finds sessions by client identifier.
    type SessionIndex: Index;
    /// A broker's subscriptions.
    type Subscriptions<T>: Arena<T>;
    /// Finds groups of subscriptions by their numbers, while records come back.
    type GroupIndex: Index;
    /// Levels of topics, in the tree of filters and in that of retained messages.
    type Levels<T>: Arena<T>;
    /// Finds levels.
    type LevelIndex: Index;
    /// The texts of levels.
    type LevelTexts: Pool;
    /// Messages that are kept for somebody.
    type Bodies<T>: Arena<T>;
    /// Finds messages by their numbers, while records come back.
    type BodyIndex: Index;
    /// The bytes of those messages.
    type BodyBytes: Pool;
    /// Client identifiers and the users that own them, one run for each session.
    type Names: Pool;
    /// Rules that say who may publish and read what.
    type Rules: Pool;
    /// The sets of such rules.
    type RuleSets<T: Copy>: List<T>;
    /// Levels of the topics in those rules, by which many of them are found at once.
    type RuleLevels<T>: Arena<T>;
    /// Finds those levels.
    type RuleLevelIndex: Index;
    /// The texts of those levels.
    type RuleLevelTexts: Pool;
    /// Messages that wait for one session, or are on their way to it.
    type Deliveries<T: Copy>: Queue<T>;
    /// Records on their way to a broker's store.
    type Journal: Memory;
    /// What a broker works with while it handles one packet.
    type Scratch<T: Copy>: List<T>;
    /// Moments at which a connection needs attention.
    type LinkTimers<T: Copy>: List<T>;
    /// Moments at which a session needs attention.
    type SessionTimers<T: Copy>: List<T>;
    /// What a broker has to tell its host.
    type Events<T: Copy>: Queue<T>;
    /// The names and topics in what it tells, as far as the host wants to know.
    type News: Memory;
}

pub(crate) mod sealed {
    /// Keeps [`Storage`](super::Storage) closed: a new storage is a change of this crate.
    #[expect(unnameable_types, reason = "that is the point of it")]
    pub trait Sealed {}
}

/// A run of bytes that can grow.
pub trait Memory {
    /// No bytes, and no memory taken.
    const EMPTY: Self;

    /// Never holds more than `limit` bytes from now on, nor more than it has room for.
    fn set_limit(&mut self, limit: usize);

    /// How many bytes it can hold at most.
    fn limit(&self) -> usize;

    /// The bytes.
    fn bytes(&self) -> &[u8];

    /// The bytes, to be changed.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Makes it `len` bytes long; bytes that are new are zero.
    ///
    /// # Errors
    /// [`Full`] above the limit.
    fn resize(&mut self, len: usize) -> Result<(), Full>;

    /// Gives back memory that is not needed for the bytes that there are, if it can.
    fn release(&mut self) {}
}

/// Things in a row.
pub trait List<T: Copy> {
    /// No things, and no memory taken.
    const EMPTY: Self;

    /// Never holds more than `limit` things from now on, nor more than it has room for.
    fn set_limit(&mut self, limit: usize);

    /// How many things it can hold at most.
    fn limit(&self) -> usize;

    /// The things, in order.
    fn as_slice(&self) -> &[T];

    /// The things, to be changed.
    fn as_mut_slice(&mut self) -> &mut [T];

    /// Puts `item` before the one at `index`, or last.
    ///
    /// # Errors
    /// [`Full`] above the limit, or if `index` is beyond the end.
    fn insert(&mut self, index: usize, item: T) -> Result<(), Full>;

    /// Takes out the one at `index`, if there is one; those behind it move up.
    fn remove(&mut self, index: usize) -> Option<T>;

    /// Takes out all.
    fn clear(&mut self);

    /// Puts `item` last.
    ///
    /// # Errors
    /// [`Full`] above the limit.
    fn push(&mut self, item: T) -> Result<(), Full> {
        self.insert(self.as_slice().len(), item)
    }
}

/// Things that leave in the order in which they came.
pub trait Queue<T: Copy> {
    /// No things, and no memory taken.
    const EMPTY: Self;

    /// Never holds more than `limit` things from now on, nor more than it has room for.
    fn set_limit(&mut self, limit: usize);

    /// How many things it can hold at most.
    fn limit(&self) -> usize;

    /// How many things it holds.
    fn len(&self) -> usize;

    /// Whether it holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts `item` last.
    ///
    /// # Errors
    /// [`Full`] above the limit.
    fn push_back(&mut self, item: T) -> Result<(), Full>;

    /// Takes out the first.
    fn pop_front(&mut self) -> Option<T>;

    /// Takes out the last.
    fn pop_back(&mut self) -> Option<T>;

    /// The one that is `index` places behind the first.
    fn get(&self, index: usize) -> Option<&T>;

    /// The one that is `index` places behind the first, to be changed.
    fn get_mut(&mut self, index: usize) -> Option<&mut T>;

    /// Takes out all.
    fn clear(&mut self) {
        while self.pop_front().is_some() {}
    }
}

/// Finds slots of an arena by the hash of a key that lives in the arena.
///
/// Hashes come from the caller, who seeds them; whether a slot's key is the one looked for, the
/// caller says.
pub trait Index {
    /// No entries, and no memory taken.
    const EMPTY: Self;

    /// The slot with this hash for which `is_it` says yes.
    fn find(&self, hash: u64, is_it: impl FnMut(u32) -> bool) -> Option<u32>;

    /// Adds `slot`; `rehash` tells the hash of a slot that was added before.
    ///
    /// # Errors
    /// [`Full`] if there is no room.
    fn insert(&mut self, hash: u64, slot: u32, rehash: impl Fn(u32) -> u64) -> Result<(), Full>;

    /// Takes out `slot`, which was added with this hash; `rehash` as before. Whether it was there.
    fn remove(&mut self, hash: u64, slot: u32, rehash: impl Fn(u32) -> u64) -> bool;
}

/// Things that stay where they are: each has a slot, known by its number.
pub trait Arena<T> {
    /// No things, and no memory taken.
    const EMPTY: Self;

    /// Never holds more than `limit` things from now on, nor more than it has room for.
    fn set_limit(&mut self, limit: usize);

    /// How many things it can hold at most.
    fn limit(&self) -> usize;

    /// How many things it holds.
    fn len(&self) -> usize;

    /// Whether it holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many slots there are, free ones included: every slot has a smaller number.
    fn slots(&self) -> usize;

    /// Puts `item` into a free slot, and says which.
    ///
    /// # Errors
    /// [`Full`] above the limit.
    fn insert(&mut self, item: T) -> Result<u32, Full>;

    /// Takes out what is in `slot`.
    fn remove(&mut self, slot: u32) -> Option<T>;

    /// What is in `slot`.
    fn get(&self, slot: u32) -> Option<&T>;

    /// What is in `slot`, to be changed.
    fn get_mut(&mut self, slot: u32) -> Option<&mut T>;
}

/// Runs of bytes of any length, each known by a handle.
pub trait Pool {
    /// No runs, and no memory taken.
    const EMPTY: Self;

    /// Never holds more than `bytes` bytes from now on, nor more than it has room for.
    fn set_limit(&mut self, bytes: usize);

    /// How many bytes it holds.
    fn used(&self) -> usize;

    /// Keeps `parts`, one behind the other, and says under which handle.
    ///
    /// # Errors
    /// [`Full`] above the limit.
    fn insert(&mut self, parts: &[&[u8]]) -> Result<u32, Full>;

    /// The bytes of `handle`; none if it means nothing.
    fn get(&self, handle: u32) -> &[u8];

    /// Forgets the bytes of `handle`.
    fn remove(&mut self, handle: u32);
}
