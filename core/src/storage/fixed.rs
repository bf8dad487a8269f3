//! Storage of a size that the compiler knows, inside the machine itself.

use super::{Full, List, Memory, Queue, Storage, sealed};

/// Storage without a heap: every capacity is part of the type.
///
/// - `OUT`: bytes for packets that wait to be sent or acknowledged, CONNECT and its will included.
/// - `IN_FLIGHT`: packet identifiers in use, and as many acknowledgements owed.
/// - `ALIASES`: bytes for the topics that aliases stand for; 0 for none.
///
/// `Fixed<1024, 8>` is short enough; where there are more, name them: [`fixed!`](crate::fixed).
#[derive(Debug)]
pub struct Fixed<const OUT: usize, const IN_FLIGHT: usize, const ALIASES: usize = 0>;

impl<const O: usize, const I: usize, const A: usize> sealed::Sealed for Fixed<O, I, A> {}

impl<const O: usize, const I: usize, const A: usize> Storage for Fixed<O, I, A> {
    type Outgoing = FixedMemory<O>;
    type InFlight<T: Copy> = heapless::Vec<T, I>;
    type Owed<T: Copy> = heapless::Deque<T, I>;
    type Aliases = FixedMemory<A>;
}

/// The capacities of a [`Fixed`] storage by name, for [`fixed!`](crate::fixed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacities {
    /// Bytes for packets that wait to be sent or acknowledged.
    pub out: usize,
    /// Packet identifiers in use, and as many acknowledgements owed.
    pub in_flight: usize,
    /// Bytes for the topics that aliases stand for.
    pub aliases: usize,
}

impl Capacities {
    /// No room for anything: what [`fixed!`](crate::fixed) takes for a capacity that is not named.
    pub const NONE: Self = Self { out: 0, in_flight: 0, aliases: 0 };
}

/// Names a [`Fixed`] storage by its capacities; one that is not named is 0.
///
/// ```
/// tamtam_core::fixed! {
///     /// What the thermostat remembers.
///     pub struct Thermostat { out: 1024, in_flight: 8 }
/// }
/// let same: core::marker::PhantomData<Thermostat> =
///     core::marker::PhantomData::<tamtam_core::Fixed<1024, 8, 0>>;
/// ```
#[macro_export]
macro_rules! fixed {
    ($(#[$doc:meta])* $vis:vis struct $name:ident { $($capacity:ident: $value:expr),* $(,)? }) => {
        $(#[$doc])*
        $vis type $name = $crate::Fixed<
            { $crate::Capacities { $($capacity: $value,)* ..$crate::Capacities::NONE }.out },
            { $crate::Capacities { $($capacity: $value,)* ..$crate::Capacities::NONE }.in_flight },
            { $crate::Capacities { $($capacity: $value,)* ..$crate::Capacities::NONE }.aliases },
        >;
    };
}

/// Bytes in place.
#[derive(Debug)]
pub struct FixedMemory<const N: usize> {
    len: usize,
    bytes: [u8; N],
}

impl<const N: usize> Memory for FixedMemory<N> {
    const EMPTY: Self = Self { len: 0, bytes: [0; N] };

    fn set_limit(&mut self, _: usize) {}

    fn limit(&self) -> usize {
        N
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }

    fn resize(&mut self, len: usize) -> Result<(), Full> {
        if len > N {
            return Err(Full);
        }
        if let Some(new) = self.bytes.get_mut(self.len..len) {
            new.fill(0);
        }
        self.len = len;
        Ok(())
    }
}

impl<T: Copy, const N: usize> List<T> for heapless::Vec<T, N> {
    const EMPTY: Self = Self::new();

    fn set_limit(&mut self, _: usize) {}

    fn limit(&self) -> usize {
        N
    }

    fn as_slice(&self) -> &[T] {
        self
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        self
    }

    fn insert(&mut self, index: usize, item: T) -> Result<(), Full> {
        if index > self.len() {
            return Err(Full);
        }
        Self::insert(self, index, item).map_err(|_| Full)
    }

    fn remove(&mut self, index: usize) -> Option<T> {
        (index < self.len()).then(|| Self::remove(self, index))
    }

    fn clear(&mut self) {
        Self::clear(self);
    }
}

impl<T: Copy, const N: usize> Queue<T> for heapless::Deque<T, N> {
    const EMPTY: Self = Self::new();

    fn set_limit(&mut self, _: usize) {}

    fn limit(&self) -> usize {
        N
    }

    fn len(&self) -> usize {
        Self::len(self)
    }

    fn push_back(&mut self, item: T) -> Result<(), Full> {
        Self::push_back(self, item).map_err(|_| Full)
    }

    fn pop_front(&mut self) -> Option<T> {
        Self::pop_front(self)
    }

    fn get(&self, index: usize) -> Option<&T> {
        Self::get(self, index)
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        Self::get_mut(self, index)
    }
}
