//! What keeps records: a map of keys to values, in order, that changes by groups.

use std::io;
use std::path::PathBuf;

use crate::Group;

/// Keeps the records of a broker, in a place of its own kind.
///
/// Values are records as bytes ([`Record::read`](tamtam_core::broker::Record::read)); keys are made
/// so that in their order a broker can take the values back
/// ([`Broker::restore`](tamtam_core::broker::Broker::restore)).
pub trait Engine: Send + 'static {
    /// Shows each value, in the order of the keys. What can't be read any more is passed over, and
    /// told afterwards.
    ///
    /// # Errors
    /// [`Failure`], if nothing can be read at all.
    fn load(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<Findings, Failure>;

    /// The value of a key.
    ///
    /// # Errors
    /// [`Failure`], if it can't be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure>;

    /// Keeps the changes of a group, together or not at all. With `sync` it returns only once they,
    /// and all that was committed before, survive a power failure; without, once they survive the
    /// end of the process. Whatever survives is all that was committed up to some point. A group
    /// may be empty.
    ///
    /// # Errors
    /// [`Failure`]: none of them is kept. Nothing more is asked of the engine then, until
    /// [`Engine::reopen`] succeeds, and then a group that [begins again](Group::begins_again).
    fn commit(&mut self, group: &Group, sync: bool) -> Result<(), Failure>;

    /// After a failure: whether there is room again, and all is well.
    ///
    /// # Errors
    /// [`Failure`], if not.
    fn reopen(&mut self) -> Result<(), Failure>;
}

/// Why a store can't be opened, or can't keep something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// There is no room.
    #[error("the disk of the store is full: make room, and it goes on by itself")]
    Full,
    /// There is still no room to begin anew, beside what is there.
    #[error(
        "the disk of the store is full: it goes on by itself once {} MiB are free",
        .bytes.div_ceil(1 << 20)
    )]
    NoRoom {
        /// How many bytes have to be free.
        bytes: u64,
    },
    /// The system refuses.
    #[error("the store can't be read or written: {0}")]
    Io(io::Error),
    /// Another process has it.
    #[error("the store {} is in use by another process: stop it first", .0.display())]
    Locked(PathBuf),
    /// A later version wrote it.
    #[error(
        "the store {} has format {found}, and this version knows formats up to {known}: \
         use the version that wrote it, or a later one", .path.display()
    )]
    Newer {
        /// Where it is.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that this version knows.
        known: u32,
    },
    /// There are other things in the folder.
    #[error("{} is not empty, and no store: name another folder", .0.display())]
    NoStore(PathBuf),
    /// The engine below says so.
    #[error("the store can't be read or written: {0}")]
    Engine(String),
    /// A record that this version does not know; only a mistake in it can cause this.
    #[error("a record that the store does not know")]
    Record,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error),
        }
    }
}

/// What came to light when a store was opened and read, in words, a line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    losses: Vec<String>,
    remarks: Vec<String>,
}

impl Findings {
    /// What a damaged store has lost; nothing, if it was whole.
    pub fn losses(&self) -> impl Iterator<Item = &str> {
        self.losses.iter().map(String::as_str)
    }

    /// What is worth knowing, but no loss: a commit that was not finished when the power failed.
    pub fn remarks(&self) -> impl Iterator<Item = &str> {
        self.remarks.iter().map(String::as_str)
    }

    /// Whether nothing was lost.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.losses.is_empty()
    }

    pub(crate) fn lost(&mut self, what: String) {
        self.losses.push(what);
    }

    pub(crate) fn remark(&mut self, what: String) {
        self.remarks.push(what);
    }
}
