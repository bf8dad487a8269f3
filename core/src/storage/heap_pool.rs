//! Runs of bytes of any length on the heap, each known by a handle.

use alloc::vec::Vec;

use super::{Arena, Full, HeapArena, Pool};

/// How many places a page has: one for each bit of a word.
const PLACES: u32 = u64::BITS;

/// How many pages there are at most, so that the top bit of a handle stays free.
const MOST: usize = 1 << 25;

/// The longest run that is short, in bytes: with its head, a place of 1 KiB.
const SHORT: usize = 1_024 - HEAD;

/// How many lengths of places there are: in steps of 8 bytes up to 128, then 8 for each doubling.
const LENGTHS: usize = 40;

/// How many bytes of a place say how much of it is in use.
const HEAD: usize = 2;

/// How many pages on which nothing lies are kept: room for as many messages as are often under way
/// at once.
const SPARE: u32 = 64;

/// Runs on the heap. Short ones lie on pages, in places of nearly their length, so that they take
/// neither a vector nor a chunk of the allocator each; of pages on which nothing lies, few are
/// kept.
#[derive(Debug)]
pub struct HeapPool {
    pages: HeapArena<Page>,
    /// Of each length the first page with a free place, plus one.
    open: [u32; LENGTHS],
    /// On how many pages nothing lies.
    empty: u32,
    used: usize,
    limit: usize,
}

/// Places of one length, or one long run.
#[derive(Debug)]
struct Page {
    /// The places that were ever in use, or the long run.
    bytes: Vec<u8>,
    /// A bit for each place that is free.
    free: u64,
    /// How long a place is; 0 for a long run.
    len: u16,
    /// The pages before and behind it among those of this length with a free place, plus one.
    previous: u32,
    next: u32,
}

/// The places that a short run fits into: which of the lengths, and how many bytes.
#[derive(Clone, Copy)]
struct Fit {
    which: usize,
    len: usize,
}

impl Fit {
    /// For a run of so many bytes, if it is short.
    #[inline]
    const fn of(run: usize) -> Option<Self> {
        if run > SHORT {
            return None;
        }
        let last = run.wrapping_add(HEAD).wrapping_sub(1); // the number of the last byte
        let doublings = (last | 64).ilog2().wrapping_sub(6); // of 64 bytes
        let shift = doublings.wrapping_add(3);
        let steps = last >> shift;
        let which = (doublings as usize).wrapping_mul(8).wrapping_add(steps);
        Some(Self { which, len: steps.wrapping_add(1) << shift })
    }
}

impl Page {
    /// One for a long run, which is still empty.
    const LONG: Self = Self { bytes: Vec::new(), free: 0, len: 0, previous: 0, next: 0 };

    /// What lies in a place; nothing, if it is free.
    #[inline]
    fn get(&self, place: u32) -> Option<&[u8]> {
        if self.len == 0 {
            return Some(&self.bytes);
        }
        let start = (place as usize).wrapping_mul(usize::from(self.len));
        let (head, rest) = self.bytes.get(start..)?.split_first_chunk::<HEAD>()?;
        rest.get(..usize::from(u16::from_le_bytes(*head)))
    }

    /// Takes out what lies in a place; how many bytes.
    #[inline]
    fn clear(&mut self, place: u32) -> usize {
        let start = (place as usize).wrapping_mul(usize::from(self.len));
        let head = self.bytes.get_mut(start..).and_then(|bytes| bytes.first_chunk_mut::<HEAD>());
        head.map_or(0, |head| usize::from(u16::from_le_bytes(core::mem::take(head))))
    }

    /// Writes into a place, which is as long as it takes.
    #[inline]
    fn put(&mut self, place: u32, len: usize, parts: &[&[u8]]) -> Option<()> {
        let start = (place as usize).wrapping_mul(usize::from(self.len));
        let end = start.saturating_add(usize::from(self.len));
        if self.bytes.len() < end {
            self.bytes.resize(end, 0); // within what was allocated
        }
        let (head, mut rest) = self.bytes.get_mut(start..end)?.split_first_chunk_mut::<HEAD>()?;
        *head = u16::try_from(len).ok()?.to_le_bytes();
        for part in parts {
            let (to, behind) = rest.split_at_mut_checked(part.len())?;
            to.copy_from_slice(part);
            rest = behind;
        }
        Some(())
    }
}

impl HeapPool {
    /// The page with this number, plus one.
    fn page(&mut self, id: u32) -> Option<&mut Page> {
        self.pages.get_mut(id.checked_sub(1)?)
    }

    /// Keeps a run on a page.
    fn insert_short(&mut self, fit: Fit, len: usize, parts: &[&[u8]]) -> Result<u32, Full> {
        let first = match self.open.get(fit.which) {
            Some(0) | None => self.add_page(fit)?,
            Some(first) => *first,
        };
        let page = self.page(first).ok_or(Full)?;
        let place = page.free.trailing_zeros();
        page.put(place, len, parts).ok_or(Full)?;
        let was_empty = page.free == u64::MAX;
        page.free &= page.free.wrapping_sub(1);
        if page.free == 0 {
            self.unlink(first, fit.which);
        } else if was_empty {
            self.empty = self.empty.saturating_sub(1);
        }
        Ok(first.wrapping_sub(1).wrapping_mul(PLACES) | place)
    }

    /// Keeps a run by itself.
    #[cold]
    fn insert_long(&mut self, len: usize, parts: &[&[u8]]) -> Result<u32, Full> {
        let mut page = Page::LONG;
        page.bytes.reserve_exact(len);
        for part in parts {
            page.bytes.extend_from_slice(part);
        }
        Ok(self.pages.insert(page)?.wrapping_mul(PLACES))
    }

    #[cold]
    fn add_page(&mut self, fit: Fit) -> Result<u32, Full> {
        let bytes = Vec::with_capacity(fit.len.saturating_mul(PLACES as usize));
        let len = u16::try_from(fit.len).map_err(|_| Full)?;
        let page = Page { bytes, free: u64::MAX, len, ..Page::LONG };
        let id = self.pages.insert(page)?.saturating_add(1);
        self.link(id, fit.which);
        self.empty = self.empty.saturating_add(1);
        Ok(id)
    }

    /// A page has a free place again, or nothing but free ones.
    #[cold]
    fn sort_in(&mut self, slot: u32, was_full: bool) {
        let Some(page) = self.pages.get(slot) else { return };
        let Some(fit) = Fit::of(usize::from(page.len).wrapping_sub(HEAD)) else { return };
        if was_full {
            self.link(slot.wrapping_add(1), fit.which);
        } else if self.empty < SPARE {
            self.empty = self.empty.saturating_add(1);
        } else {
            self.unlink(slot.wrapping_add(1), fit.which);
            self.pages.remove(slot);
        }
    }

    /// The page is the first of those with a free place.
    fn link(&mut self, id: u32, which: usize) {
        let Some(first) = self.open.get_mut(which) else { return };
        let next = core::mem::replace(first, id);
        if let Some(next) = self.page(next) {
            next.previous = id;
        }
        if let Some(page) = self.page(id) {
            (page.previous, page.next) = (0, next);
        }
    }

    /// The page is none of those with a free place any more.
    #[cold]
    fn unlink(&mut self, id: u32, which: usize) {
        let Some(page) = self.page(id) else { return };
        let (previous, next) = (page.previous, page.next);
        (page.previous, page.next) = (0, 0);
        if let Some(page) = self.page(next) {
            page.previous = previous;
        }
        match self.page(previous) {
            Some(page) => page.next = next,
            None => {
                if let Some(first) = self.open.get_mut(which) {
                    *first = next;
                }
            }
        }
    }
}

impl Pool for HeapPool {
    const EMPTY: Self =
        Self { pages: HeapArena::EMPTY, open: [0; LENGTHS], empty: 0, used: 0, limit: 0 };

    fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
        self.pages.set_limit(MOST);
    }

    fn used(&self) -> usize {
        self.used
    }

    #[inline]
    fn insert(&mut self, parts: &[&[u8]]) -> Result<u32, Full> {
        let len = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        let used = self.used.saturating_add(len);
        if used > self.limit {
            return Err(Full);
        }
        let handle = match Fit::of(len) {
            Some(fit) => self.insert_short(fit, len, parts),
            None => self.insert_long(len, parts),
        }?;
        self.used = used;
        Ok(handle)
    }

    #[inline]
    fn get(&self, handle: u32) -> &[u8] {
        let page = self.pages.get(handle / PLACES);
        page.and_then(|page| page.get(handle % PLACES)).unwrap_or_default()
    }

    fn remove(&mut self, handle: u32) {
        let (slot, place) = (handle / PLACES, handle % PLACES);
        let Some(page) = self.pages.get_mut(slot) else { return };
        if page.len == 0 {
            self.used = self.used.saturating_sub(page.bytes.len());
            self.pages.remove(slot);
            return;
        }
        let was_full = page.free == 0;
        if page.free >> place & 1 == 0 {
            self.used = self.used.saturating_sub(page.clear(place));
            page.free |= 1 << place;
            if was_full || page.free == u64::MAX {
                self.sort_in(slot, was_full);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_hardly_longer_than_what_lies_in_them() {
        let mut which = 0;
        for run in 0..=SHORT {
            let fit = Fit::of(run).unwrap();
            let waste = fit.len - run - HEAD;
            assert!(waste < 8 || waste * 8 < fit.len, "{run} in {}", fit.len);
            assert!(fit.which == which || fit.which == which + 1);
            which = fit.which;
            let same = Fit::of(fit.len - HEAD).unwrap();
            assert_eq!((same.which, same.len), (fit.which, fit.len));
        }
        assert_eq!(which, LENGTHS - 1);
        assert!(Fit::of(SHORT + 1).is_none());
    }

    #[test]
    fn runs_of_all_lengths_come_and_go_and_empty_pages_go_too() {
        let mut pool = HeapPool::EMPTY;
        pool.set_limit(usize::MAX);
        let mut held: Vec<(u32, Vec<u8>)> = Vec::new();
        let mut random = 1_u64;
        for round in 0..60_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let pick = (random >> 33) as usize;
            if pick % 100 < if round / 10_000 % 2 == 0 { 70 } else { 30 } {
                let bytes: Vec<u8> =
                    (0..pick % 1_100).map(|i| (round as usize + i) as u8).collect();
                let handle = pool.insert(&[&bytes[..bytes.len() / 3], &bytes[bytes.len() / 3..]]);
                let handle = handle.unwrap();
                assert_eq!(pool.get(handle), bytes);
                held.push((handle, bytes));
            } else if !held.is_empty() {
                let (handle, bytes) = held.swap_remove(pick / 100 % held.len());
                assert_eq!(pool.get(handle), bytes);
                pool.remove(handle);
                pool.remove(handle);
                assert_eq!(pool.get(handle), b"");
            }
        }
        assert_eq!(pool.used(), held.iter().map(|(_, bytes)| bytes.len()).sum::<usize>());
        for (handle, bytes) in held {
            assert_eq!(pool.get(handle), bytes);
            pool.remove(handle);
        }
        assert_eq!(pool.used(), 0);
        assert_eq!(pool.pages.len(), SPARE as usize, "few pages stay");
    }
}
