//! A run of like things in a packet, read from the wire when looked at, or given as a list.

use core::fmt;

use super::cursor::Cursor;

/// What can stand in [`Items`]: subscriptions, filters, reason codes, properties.
pub trait Item<'a>: Copy + sealed::Read<'a> {}

pub(crate) mod sealed {
    /// How an item is read from bytes that passed the decoder's check.
    pub trait Read<'a>: Sized {
        /// The next item; `None` at the end.
        #[doc(hidden)]
        fn read_checked(bytes: &mut &'a [u8]) -> Option<Self>;
    }
}

/// Runs `read` on the front of `bytes`.
pub(crate) fn read_front<'a, T>(
    bytes: &mut &'a [u8],
    read: impl FnOnce(&mut Cursor<'a>) -> Option<T>,
) -> Option<T> {
    let mut cursor = Cursor::new(bytes);
    let item = read(&mut cursor)?;
    *bytes = cursor.rest();
    Some(item)
}

/// Some things of one kind, in order.
///
/// A decoded packet holds them as checked bytes, one that is to be sent as a list; both read alike
/// and are equal if what they hold is.
///
/// ```
/// use tamtam_core::{Items, ReasonCode};
///
/// let codes = Items::from(&[ReasonCode::GRANTED_QOS_0, ReasonCode::NotAuthorized]);
/// assert_eq!(codes.iter().filter(|code| code.is_error()).count(), 1);
/// ```
#[derive(Clone, Copy)]
pub struct Items<'a, T>(Source<'a, T>);

#[derive(Clone, Copy)]
enum Source<'a, T> {
    Wire(&'a [u8]),
    List(&'a [T]),
}

impl<'a, T: Item<'a>> Items<'a, T> {
    /// Nothing.
    pub const EMPTY: Self = Self(Source::Wire(&[]));

    /// Bytes that passed the decoder's check.
    pub(crate) const fn checked(bytes: &'a [u8]) -> Self {
        Self(Source::Wire(bytes))
    }

    /// The items, first to last.
    #[must_use]
    pub const fn iter(&self) -> ItemsIter<'a, T> {
        ItemsIter { source: self.0, then: &[] }
    }

    /// How many there are. Costs a pass over them.
    #[must_use]
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        match self.0 {
            Source::Wire(bytes) => bytes.is_empty(),
            Source::List(list) => list.is_empty(),
        }
    }
}

impl<'a, T: Item<'a>> From<&'a [T]> for Items<'a, T> {
    fn from(list: &'a [T]) -> Self {
        Self(Source::List(list))
    }
}

impl<'a, T: Item<'a>, const N: usize> From<&'a [T; N]> for Items<'a, T> {
    fn from(list: &'a [T; N]) -> Self {
        Self(Source::List(list))
    }
}

impl<'a, T: Item<'a>> IntoIterator for Items<'a, T> {
    type Item = T;
    type IntoIter = ItemsIter<'a, T>;

    fn into_iter(self) -> ItemsIter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Item<'a> + PartialEq> PartialEq for Items<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a, T: Item<'a> + Eq> Eq for Items<'a, T> {}

impl<'a, T: Item<'a> + fmt::Debug> fmt::Debug for Items<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Iterates over [`Items`].
#[derive(Clone)]
pub struct ItemsIter<'a, T> {
    source: Source<'a, T>,
    /// What comes behind the source.
    then: &'a [T],
}

impl<'a, T: Item<'a>> ItemsIter<'a, T> {
    /// One list behind the other.
    #[cfg(feature = "v5")]
    pub(crate) const fn chain(list: &'a [T], then: &'a [T]) -> Self {
        Self { source: Source::List(list), then }
    }
}

impl<'a, T: Item<'a>> Iterator for ItemsIter<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match &mut self.source {
            Source::Wire(bytes) => T::read_checked(bytes),
            Source::List(list) => {
                if list.is_empty() {
                    *list = core::mem::take(&mut self.then);
                }
                let (first, rest) = list.split_first()?;
                *list = rest;
                Some(*first)
            }
        }
    }
}

impl<'a, T: Item<'a> + fmt::Debug> fmt::Debug for ItemsIter<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
