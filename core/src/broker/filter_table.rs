//! Filters with a few bytes said of each, as one run that is kept: those bytes, the length of the
//! filter, the filter.

use crate::storage::{Full, Memory, copy};

/// Writes them, in order.
pub(super) fn write<'a, const N: usize>(
    entries: impl Iterator<Item = ([u8; N], &'a [u8])> + Clone,
    scratch: &mut impl Memory,
) -> Result<(), Full> {
    let len = entries.clone().fold(0_usize, |sum, (said, filter)| {
        sum.saturating_add(said.len()).saturating_add(LEN_BYTES).saturating_add(filter.len())
    });
    scratch.resize(len)?;
    let mut out = scratch.bytes_mut();
    for (said, filter) in entries {
        let len = u16::try_from(filter.len()).map_err(|_| Full)?;
        let (place, rest) = out.split_first_chunk_mut::<N>().ok_or(Full)?;
        *place = said;
        let (place, rest) = rest.split_first_chunk_mut::<LEN_BYTES>().ok_or(Full)?;
        *place = len.to_be_bytes();
        let (place, rest) = rest.split_at_mut_checked(filter.len()).ok_or(Full)?;
        copy(place, filter);
        out = rest;
    }
    Ok(())
}

/// How many bytes one takes.
pub(super) const fn len<const N: usize>(filter: &str) -> usize {
    N.saturating_add(LEN_BYTES).saturating_add(filter.len())
}

/// They, in order.
#[inline]
pub(super) fn read<const N: usize>(mut rest: &[u8]) -> impl Iterator<Item = ([u8; N], &[u8])> {
    core::iter::from_fn(move || {
        let (said, behind) = rest.split_first_chunk::<N>()?;
        let (len, behind) = behind.split_first_chunk::<LEN_BYTES>()?;
        let (filter, next) = behind.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        rest = next;
        Some((*said, filter))
    })
}

const LEN_BYTES: usize = 2;
