//! Storage that grows up to a limit.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::{Full, HeapArena, HeapIndex, HeapPool, List, Memory, Queue, Storage, sealed};

/// Storage on the heap, for hosts: it grows as it is used, up to the limits of the options.
#[derive(Debug)]
pub struct Heap;

impl sealed::Sealed for Heap {}

impl Storage for Heap {
    type Outgoing = HeapMemory;
    type InFlight<T: Copy> = HeapList<T>;
    type Owed<T: Copy> = HeapQueue<T>;
    type Aliases = HeapMemory;
    type Links<T> = HeapArena<T>;
    type Sessions<T> = HeapArena<T>;
    type SessionIndex = HeapIndex;
    type GroupIndex = HeapIndex;
    type Subscriptions<T> = HeapArena<T>;
    type Levels<T> = HeapArena<T>;
    type LevelIndex = HeapIndex;
    type LevelTexts = HeapPool;
    type Bodies<T> = HeapArena<T>;
    type BodyIndex = HeapIndex;
    type BodyBytes = HeapPool;
    type Names = HeapPool;
    type Rules = HeapPool;
    type RuleSets<T: Copy> = HeapList<T>;
    type RuleLevels<T> = HeapArena<T>;
    type RuleLevelIndex = HeapIndex;
    type RuleLevelTexts = HeapPool;
    type Deliveries<T: Copy> = HeapQueue<T>;
    type Journal = HeapMemory;
    type Scratch<T: Copy> = HeapList<T>;
    type LinkTimers<T: Copy> = HeapList<T>;
    type SessionTimers<T: Copy> = HeapList<T>;
    type Events<T: Copy> = HeapQueue<T>;
    type News = HeapMemory;
}

/// Bytes on the heap.
#[derive(Debug)]
pub struct HeapMemory {
    bytes: Vec<u8>,
    limit: usize,
}

impl Memory for HeapMemory {
    const EMPTY: Self = Self { bytes: Vec::new(), limit: 0 };

    fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    fn limit(&self) -> usize {
        self.limit
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    #[inline]
    fn resize(&mut self, len: usize) -> Result<(), Full> {
        if len > self.limit {
            return Err(Full);
        }
        self.bytes.resize(len, 0);
        Ok(())
    }

    fn release(&mut self) {
        self.bytes.shrink_to_fit();
    }
}

/// A list on the heap.
#[derive(Debug)]
pub struct HeapList<T> {
    items: Vec<T>,
    limit: usize,
}

impl<T: Copy> List<T> for HeapList<T> {
    const EMPTY: Self = Self { items: Vec::new(), limit: 0 };

    fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    fn limit(&self) -> usize {
        self.limit
    }

    #[inline]
    fn as_slice(&self) -> &[T] {
        &self.items
    }

    #[inline]
    fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.items
    }

    #[inline]
    fn insert(&mut self, index: usize, item: T) -> Result<(), Full> {
        if self.items.len() >= self.limit || index > self.items.len() {
            return Err(Full);
        }
        self.items.insert(index, item);
        Ok(())
    }

    #[inline]
    fn remove(&mut self, index: usize) -> Option<T> {
        (index < self.items.len()).then(|| self.items.remove(index))
    }

    fn clear(&mut self) {
        self.items.clear();
    }
}

/// A queue on the heap.
#[derive(Debug)]
pub struct HeapQueue<T> {
    items: VecDeque<T>,
    limit: usize,
}

impl<T: Copy> Queue<T> for HeapQueue<T> {
    const EMPTY: Self = Self { items: VecDeque::new(), limit: 0 };

    fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    fn limit(&self) -> usize {
        self.limit
    }

    #[inline]
    fn len(&self) -> usize {
        self.items.len()
    }

    #[inline]
    fn push_back(&mut self, item: T) -> Result<(), Full> {
        if self.items.len() >= self.limit {
            return Err(Full);
        }
        self.items.push_back(item);
        Ok(())
    }

    #[inline]
    fn pop_front(&mut self) -> Option<T> {
        self.items.pop_front()
    }

    fn pop_back(&mut self) -> Option<T> {
        self.items.pop_back()
    }

    #[inline]
    fn get(&self, index: usize) -> Option<&T> {
        self.items.get(index)
    }

    #[inline]
    fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.items.get_mut(index)
    }
}
