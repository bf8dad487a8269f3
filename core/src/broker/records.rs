//! Records as bytes: one, and those of a ticket behind each other.

use super::record::{Put, Record};

/// How many bytes stand before each record of a ticket, and say how long it is.
pub(super) const LEN_BYTES: usize = 4;

impl Record<'_> {
    /// How many bytes the record takes.
    #[must_use]
    pub fn len(&self) -> usize {
        let mut count = Count(0);
        self.put(&mut count);
        count.0
    }

    /// Whether it takes none; it always takes some.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Writes the record to the front of `out`, for [`Record::read`]. How many bytes it took, or
    /// `None` if there is no room for [`Record::len`] of them.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let len = self.len();
        self.put(&mut Into(out.get_mut(..len)?));
        Some(len)
    }
}

struct Count(usize);

impl Put for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 = self.0.saturating_add(bytes.len());
    }
}

/// Bytes to be written from the front; what has no room is not written.
pub(super) struct Into<'b>(pub(super) &'b mut [u8]);

impl Put for Into<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if let Some((to, rest)) = core::mem::take(&mut self.0).split_at_mut_checked(bytes.len()) {
            to.copy_from_slice(bytes);
            self.0 = rest;
        }
    }
}

/// The records of one ticket, in order.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) relaxed: bool,
}

impl<'a> Records<'a> {
    /// Records from the bytes that [`Records::as_bytes`] showed, in this process or an earlier one.
    #[must_use]
    pub const fn from_bytes(bytes: &'a [u8]) -> Self {
        Self { bytes, relaxed: false }
    }

    /// All of them behind each other, to be copied at once; [`Records::from_bytes`] takes them
    /// apart again.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether nobody was promised that these survive a power failure, and nobody waits for it: the
    /// store may report them as kept when they survive the end of the process, as long as it keeps
    /// the order of tickets, and goes further within a second.
    #[must_use]
    pub const fn is_relaxed(&self) -> bool {
        self.relaxed
    }

    /// Each record as bytes, which [`Record::read`] reads.
    pub fn bytes(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (len, behind) = rest.split_first_chunk::<LEN_BYTES>()?;
            let (record, next) = behind.split_at_checked(u32::from_be_bytes(*len) as usize)?;
            rest = next;
            Some(record)
        })
    }
}
