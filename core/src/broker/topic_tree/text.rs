//! Texts that are inside their node while they are short, and in a pool when they are not.

use core::num::NonZeroU8;

use crate::storage::{Full, Pool};

/// A text: up to `N` bytes in place, where `N` is from 4 to 253.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<const N: usize> {
    /// How many bytes there are, plus one; or [`POOLED`].
    len: NonZeroU8,
    /// The bytes, or the handle of a run.
    bytes: [u8; N],
}

/// Stands for a length when the text is in the pool.
const POOLED: NonZeroU8 = NonZeroU8::MAX;

impl<const N: usize> Text<N> {
    /// # Errors
    /// [`Full`] if it is long and the pool has no room.
    pub(super) fn new(text: &[u8], pool: &mut impl Pool) -> Result<Self, Full> {
        let mut bytes = [0; N];
        if let Some(place) = bytes.get_mut(..text.len()) {
            place.copy_from_slice(text);
            let len = u8::try_from(text.len()).map_err(|_| Full)?;
            return Ok(Self { len: NonZeroU8::MIN.saturating_add(len), bytes });
        }
        let handle = pool.insert(&[text])?;
        *bytes.first_chunk_mut().ok_or(Full)? = handle.to_le_bytes();
        Ok(Self { len: POOLED, bytes })
    }

    fn handle(&self) -> Option<u32> {
        let handle = self.bytes.first_chunk().filter(|_| self.len == POOLED)?;
        Some(u32::from_le_bytes(*handle))
    }

    #[inline]
    pub(super) fn get<'a>(&'a self, pool: &'a impl Pool) -> &'a [u8] {
        match self.bytes.get(..usize::from(self.len.get()).wrapping_sub(1)) {
            Some(text) => text,
            None => self.handle().map_or(&[], |handle| pool.get(handle)),
        }
    }

    /// Gives back what is in the pool.
    pub(super) fn free(self, pool: &mut impl Pool) {
        if let Some(handle) = self.handle() {
            pool.remove(handle);
        }
    }
}
