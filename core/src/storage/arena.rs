//! Things that stay where they are: each has a slot, and a slot that is free is used again.

use super::{Arena, Full};

/// A place for one thing.
#[derive(Debug)]
enum Slot<T> {
    /// Free; the next free one, plus one.
    Free(u32),
    Used(T),
}

macro_rules! arena {
    ($(#[$doc:meta])* $name:ident<T $(, const $N:ident: usize)?>, $vec:ty, $limit:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<T $(, const $N: usize)?> {
            slots: $vec,
            /// The first free slot, plus one.
            free: u32,
            len: usize,
            limit: usize,
        }

        impl<T $(, const $N: usize)?> Arena<T> for $name<T $(, $N)?> {
            const EMPTY: Self = Self { slots: <$vec>::new(), free: 0, len: 0, limit: 0 };

            fn set_limit(&mut self, limit: usize) {
                self.limit = limit;
            }

            fn limit(&self) -> usize {
                $limit(self)
            }

            fn len(&self) -> usize {
                self.len
            }

            fn slots(&self) -> usize {
                self.slots.len()
            }

            fn insert(&mut self, item: T) -> Result<u32, Full> {
                if self.len >= self.limit() {
                    return Err(Full);
                }
                let slot = match self.free.checked_sub(1) {
                    Some(slot) => {
                        let place = self.slots.get_mut(slot as usize).ok_or(Full)?;
                        if let Slot::Free(next) = *place {
                            self.free = next;
                        }
                        *place = Slot::Used(item);
                        slot
                    }
                    None => {
                        let slot = u32::try_from(self.slots.len()).map_err(|_| Full)?;
                        push(&mut self.slots, Slot::Used(item))?;
                        slot
                    }
                };
                self.len = self.len.saturating_add(1);
                Ok(slot)
            }

            fn remove(&mut self, slot: u32) -> Option<T> {
                let place = self.slots.get_mut(slot as usize)?;
                if matches!(place, Slot::Free(_)) {
                    return None;
                }
                let old = core::mem::replace(place, Slot::Free(self.free));
                self.free = slot.saturating_add(1);
                self.len = self.len.saturating_sub(1);
                match old {
                    Slot::Used(item) => Some(item),
                    Slot::Free(_) => None,
                }
            }

            #[inline]
            fn get(&self, slot: u32) -> Option<&T> {
                match self.slots.get(slot as usize)? {
                    Slot::Used(item) => Some(item),
                    Slot::Free(_) => None,
                }
            }

            #[inline]
            fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
                match self.slots.get_mut(slot as usize)? {
                    Slot::Used(item) => Some(item),
                    Slot::Free(_) => None,
                }
            }
        }
    };
}

/// What both kinds of vector can do, under one name.
trait Push<T> {
    fn push_slot(&mut self, item: T) -> Result<(), Full>;
}

#[cfg(feature = "alloc")]
impl<T> Push<T> for alloc::vec::Vec<T> {
    fn push_slot(&mut self, item: T) -> Result<(), Full> {
        self.push(item);
        Ok(())
    }
}

impl<T, const N: usize> Push<T> for heapless::Vec<T, N> {
    fn push_slot(&mut self, item: T) -> Result<(), Full> {
        self.push(item).map_err(|_| Full)
    }
}

fn push<T>(slots: &mut impl Push<T>, item: T) -> Result<(), Full> {
    slots.push_slot(item)
}

#[cfg(feature = "alloc")]
arena! {
    /// An arena on the heap.
    HeapArena<T>, alloc::vec::Vec<Slot<T>>, |arena: &Self| arena.limit
}

arena! {
    /// An arena of `N` slots in place.
    FixedArena<T, const N: usize>, heapless::Vec<Slot<T>, N>, |_: &Self| N
}
