//! Storage of a size that the compiler knows, inside the machine itself.

use super::{FixedArena, FixedIndex, FixedPool, Full, List, Memory, Queue, Storage, sealed};

/// Storage without a heap: every capacity is part of the type.
///
/// - `OUT`: bytes for packets that wait to be sent or acknowledged: of a client in all, of a broker
///   for each link.
/// - `IN_FLIGHT`: packet identifiers in use, and as many acknowledgements owed; of a broker, for
///   each session.
/// - `ALIASES`: bytes for the topics that aliases stand for, in each direction of a connection.
/// - `LINKS`: connections of a broker.
/// - `SESSIONS`: sessions of a broker.
/// - `SUBSCRIPTIONS`: subscriptions of a broker.
/// - `LEVELS`: levels of topics in the filters of a broker, and as many in its retained topics.
/// - `LEVEL_BYTES`: bytes of the texts of those levels.
/// - `BODIES`: messages that a broker keeps: retained, queued, in flight, or wills.
/// - `BODY_BYTES`: bytes of those messages.
/// - `NAMES`: bytes of client identifiers and user names, of all sessions.
/// - `QUEUE`: messages that wait for one session or are on their way to it.
/// - `JOURNAL`: bytes of records on their way to a broker's store.
/// - `RULES`: sets of rules that say who may publish and read what.
/// - `RULE_BYTES`: bytes of those rules, and of what is said of topics.
/// - `NEWS`: bytes of names and topics in what a broker tells of sessions, subscriptions and
///   dropped messages, as far as the host wants to know: of each message that was dropped, its
///   topic, the client identifier, and four.
///
/// A client needs the first two, three if it uses aliases: `Fixed<1024, 8>` is short enough. Where
/// there are more, name them: [`fixed!`](crate::fixed).
#[derive(Debug)]
pub struct Fixed<
    const OUT: usize,
    const IN_FLIGHT: usize,
    const ALIASES: usize = 0,
    const LINKS: usize = 0,
    const SESSIONS: usize = 0,
    const SUBSCRIPTIONS: usize = 0,
    const LEVELS: usize = 0,
    const LEVEL_BYTES: usize = 0,
    const BODIES: usize = 0,
    const BODY_BYTES: usize = 0,
    const NAMES: usize = 0,
    const QUEUE: usize = 0,
    const JOURNAL: usize = 0,
    const RULES: usize = 0,
    const RULE_BYTES: usize = 0,
    const NEWS: usize = 0,
>;

impl<
    const O: usize,
    const I: usize,
    const A: usize,
    const L: usize,
    const S: usize,
    const U: usize,
    const V: usize,
    const W: usize,
    const B: usize,
    const T: usize,
    const N: usize,
    const Q: usize,
    const J: usize,
    const Z: usize,
    const R: usize,
    const E: usize,
> sealed::Sealed for Fixed<O, I, A, L, S, U, V, W, B, T, N, Q, J, Z, R, E>
{
}

impl<
    const O: usize,
    const I: usize,
    const A: usize,
    const L: usize,
    const S: usize,
    const U: usize,
    const V: usize,
    const W: usize,
    const B: usize,
    const T: usize,
    const N: usize,
    const Q: usize,
    const J: usize,
    const Z: usize,
    const R: usize,
    const E: usize,
> Storage for Fixed<O, I, A, L, S, U, V, W, B, T, N, Q, J, Z, R, E>
{
    type Outgoing = FixedMemory<O>;
    type InFlight<X: Copy> = heapless::Vec<X, I>;
    type Owed<X: Copy> = heapless::Deque<X, I>;
    type Aliases = FixedMemory<A>;
    type Links<X> = FixedArena<X, L>;
    type Sessions<X> = FixedArena<X, S>;
    type SessionIndex = FixedIndex<S>;
    type Subscriptions<X> = FixedArena<X, U>;
    type GroupIndex = FixedIndex<U>;
    type Levels<X> = FixedArena<X, V>;
    type LevelIndex = FixedIndex<V>;
    type LevelTexts = FixedPool<W, V>;
    type Bodies<X> = FixedArena<X, B>;
    type BodyIndex = FixedIndex<B>;
    type BodyBytes = FixedPool<T, B>;
    type Names = FixedPool<N, S>;
    type Rules = FixedPool<R, Z>;
    type RuleSets<X: Copy> = heapless::Vec<X, Z>;
    type RuleLevels<X> = FixedArena<X, 0>; // few rules are as soon looked through
    type RuleLevelIndex = FixedIndex<0>;
    type RuleLevelTexts = FixedPool<0, 0>;
    type Deliveries<X: Copy> = heapless::Deque<X, Q>;
    type Journal = FixedMemory<J>;
    type Scratch<X: Copy> = heapless::Vec<X, V>;
    type LinkTimers<X: Copy> = heapless::Vec<X, L>;
    type SessionTimers<X: Copy> = heapless::Vec<X, S>;
    type Events<X: Copy> = heapless::Deque<X, Q>;
    type News = FixedMemory<E>;
}

/// The capacities of a [`Fixed`] storage by name, for [`fixed!`](crate::fixed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacities {
    /// Bytes for packets that wait to be sent or acknowledged: of a client in all, of a broker for
    /// each link.
    pub out: usize,
    /// Packet identifiers in use, and as many acknowledgements owed; of a broker, for each session.
    pub in_flight: usize,
    /// Bytes for the topics that aliases stand for, in each direction of a connection.
    pub aliases: usize,
    /// Connections of a broker.
    pub links: usize,
    /// Sessions of a broker.
    pub sessions: usize,
    /// Subscriptions of a broker.
    pub subscriptions: usize,
    /// Levels of topics in the filters of a broker, and as many in its retained topics.
    pub levels: usize,
    /// Bytes of the texts of those levels.
    pub level_bytes: usize,
    /// Messages that a broker keeps: retained, queued, in flight, or wills.
    pub bodies: usize,
    /// Bytes of those messages.
    pub body_bytes: usize,
    /// Bytes of client identifiers and user names, of all sessions.
    pub names: usize,
    /// Messages that wait for one session or are on their way to it.
    pub queue: usize,
    /// Bytes of records on their way to a broker's store.
    pub journal: usize,
    /// Sets of rules that say who may publish and read what.
    pub rules: usize,
    /// Bytes of those rules, and of what is said of topics.
    pub rule_bytes: usize,
    /// Bytes of names and topics in what a broker tells, as far as the host wants to know.
    pub news: usize,
}

impl Capacities {
    /// No room for anything: what [`fixed!`](crate::fixed) takes for a capacity that is not named.
    pub const NONE: Self = Self {
        out: 0,
        in_flight: 0,
        aliases: 0,
        links: 0,
        sessions: 0,
        subscriptions: 0,
        levels: 0,
        level_bytes: 0,
        bodies: 0,
        body_bytes: 0,
        names: 0,
        queue: 0,
        journal: 0,
        rules: 0,
        rule_bytes: 0,
        news: 0,
    };
}

/// Names a [`Fixed`] storage by its capacities; one that is not named is 0.
///
/// ```
/// tamtam_core::fixed! {
///     /// What the thermostat remembers.
///     pub struct Thermostat { out: 1024, in_flight: 8 }
/// }
/// let same: core::marker::PhantomData<Thermostat> =
///     core::marker::PhantomData::<tamtam_core::Fixed<1024, 8>>;
/// ```
#[macro_export]
macro_rules! fixed {
    (@capacities $($capacity:ident: $value:expr,)*) => {
        {
            #[allow(clippy::needless_update, reason = "all of them may be named")]
            let all = $crate::Capacities { $($capacity: $value,)* ..$crate::Capacities::NONE };
            all
        }
    };
    ($(#[$doc:meta])* $vis:vis struct $name:ident { $($capacity:ident: $value:expr),* $(,)? }) => {
        $(#[$doc])*
        $vis type $name = $crate::Fixed<
            { $crate::fixed!(@capacities $($capacity: $value,)*).out },
            { $crate::fixed!(@capacities $($capacity: $value,)*).in_flight },
            { $crate::fixed!(@capacities $($capacity: $value,)*).aliases },
            { $crate::fixed!(@capacities $($capacity: $value,)*).links },
            { $crate::fixed!(@capacities $($capacity: $value,)*).sessions },
            { $crate::fixed!(@capacities $($capacity: $value,)*).subscriptions },
            { $crate::fixed!(@capacities $($capacity: $value,)*).levels },
            { $crate::fixed!(@capacities $($capacity: $value,)*).level_bytes },
            { $crate::fixed!(@capacities $($capacity: $value,)*).bodies },
            { $crate::fixed!(@capacities $($capacity: $value,)*).body_bytes },
            { $crate::fixed!(@capacities $($capacity: $value,)*).names },
            { $crate::fixed!(@capacities $($capacity: $value,)*).queue },
            { $crate::fixed!(@capacities $($capacity: $value,)*).journal },
            { $crate::fixed!(@capacities $($capacity: $value,)*).rules },
            { $crate::fixed!(@capacities $($capacity: $value,)*).rule_bytes },
            { $crate::fixed!(@capacities $($capacity: $value,)*).news },
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

    fn pop_back(&mut self) -> Option<T> {
        Self::pop_back(self)
    }

    fn get(&self, index: usize) -> Option<&T> {
        Self::get(self, index)
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        Self::get_mut(self, index)
    }
}
