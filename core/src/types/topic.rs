//! Topic names, topic filters, and which of them match.
//!
//! Both are compared byte by byte: nothing is normalised [MQTT5-4.7.3-4, MQTT3-4.7.3-4].

use core::fmt;

use super::text::{Text, TextError, scan_topic};

/// Why a string is not a topic name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// No characters at all [MQTT5-4.7.3-1, MQTT3-4.7.3-1].
    #[error("a topic name has at least one character")]
    Empty,
    /// `+` or `#`, which only filters may hold [MQTT5-4.7.0-1, MQTT3-4.7.1-1].
    #[error("wildcard at byte {at}: only a topic filter may hold + and #")]
    Wildcard {
        /// Where the first one stands, in bytes.
        at: usize,
    },
    /// Not a string that MQTT can carry [MQTT5-4.7.3-2, MQTT5-4.7.3-3]
    /// [MQTT3-4.7.3-2, MQTT3-4.7.3-3].
    #[error(transparent)]
    Text(#[from] TextError),
}

/// Why a string is not a topic filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No characters at all [MQTT5-4.7.3-1, MQTT3-4.7.3-1].
    #[error("a topic filter has at least one character")]
    Empty,
    /// `#` before the end, or beside other characters of its level [MQTT5-4.7.1-1].
    #[error("# at byte {at}: it stands alone in the last level")]
    MultiLevel {
        /// Where it stands, in bytes.
        at: usize,
    },
    /// `+` beside other characters of its level [MQTT5-4.7.1-2].
    #[error("+ at byte {at}: it stands alone in its level")]
    SingleLevel {
        /// Where it stands, in bytes.
        at: usize,
    },
    /// `$share/` without a group name [MQTT5-4.8.2-1].
    #[error("$share/ needs a group name of at least one character")]
    ShareName,
    /// A group name with a wildcard in it [MQTT5-4.8.2-2].
    #[error("the group name behind $share/ has neither + nor #")]
    ShareNameWildcard,
    /// `$share/group` without `/` and a plain filter behind it [MQTT5-4.8.2-2].
    #[error("$share/group needs a plain topic filter behind it: $share/group/filter")]
    ShareWithoutFilter,
    /// Not a string that MQTT can carry [MQTT5-4.7.3-2, MQTT5-4.7.3-3]
    /// [MQTT3-4.7.3-2, MQTT3-4.7.3-3].
    #[error(transparent)]
    Text(#[from] TextError),
}

/// The topic that a message is published to: at least one character, no wildcards.
///
/// ```
/// use tamtam_core::{TopicError, TopicName};
///
/// assert_eq!(TopicName::new("room/7/set")?.as_str(), "room/7/set");
/// assert_eq!(TopicName::new("room/+"), Err(TopicError::Wildcard { at: 5 }));
/// # Ok::<(), TopicError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName<'a>(Text<'a>);

/// What a subscription asks for: a topic, perhaps with wildcards, perhaps shared.
///
/// ```
/// use tamtam_core::{TopicFilter, TopicName};
///
/// let filter = TopicFilter::new("$share/crew/room/+/#")?;
/// assert_eq!(filter.share_name().map(|name| name.as_str()), Some("crew"));
/// assert!(filter.matches(TopicName::new("room/7")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter<'a>(Text<'a>);

impl<'a> TopicName<'a> {
    /// `name`, if a message can be published to it.
    ///
    /// # Errors
    /// Empty, over-long, with a wildcard or a U+0000 in it.
    pub fn new(name: &'a str) -> Result<Self, TopicError> {
        Self::from_bytes(name.as_bytes())
    }

    /// `bytes`, if a message can be published to a topic of that name.
    ///
    /// # Errors
    /// Empty, over-long, ill-formed UTF-8, with a wildcard or a U+0000 in it.
    #[inline]
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, TopicError> {
        // Where flash is dear the way of all others is short enough.
        if cfg!(feature = "alloc") && matches!(bytes.len(), 1..=Text::MAX_LEN) && scan_topic(bytes)
        {
            return Ok(Self(Text::trusted(bytes))); // ASCII without wildcards: all but a few
        }
        Self::from_unusual_bytes(bytes)
    }

    #[cold]
    fn from_unusual_bytes(bytes: &'a [u8]) -> Result<Self, TopicError> {
        let text = Text::from_bytes(bytes)?;
        if text.is_empty() {
            return Err(TopicError::Empty);
        }
        match bytes.iter().position(|byte| matches!(byte, b'+' | b'#')) {
            Some(at) => Err(TopicError::Wildcard { at }),
            None => Ok(Self(text)),
        }
    }

    /// Whether the first character is `$`: wildcards at the first level pass it by.
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        matches!(self.0.as_bytes(), [b'$', ..])
    }
}

impl<'a> TopicFilter<'a> {
    /// `filter`, if one can subscribe to it.
    ///
    /// # Errors
    /// Empty, over-long, with a U+0000 or a misplaced wildcard in it, or `$share/` without a group
    /// or a filter.
    pub fn new(filter: &'a str) -> Result<Self, FilterError> {
        Self::from_bytes(filter.as_bytes())
    }

    /// `bytes`, if one can subscribe to a filter of that name.
    ///
    /// # Errors
    /// As [`TopicFilter::new`], and ill-formed UTF-8.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, FilterError> {
        let text = Text::from_bytes(bytes)?;
        let inner = match bytes.strip_prefix(SHARE) {
            Some(shared) => check_share(shared)?,
            None if bytes.is_empty() => return Err(FilterError::Empty),
            None => bytes,
        };
        check_wildcards(inner, bytes.len().saturating_sub(inner.len()))?;
        Ok(Self(text))
    }

    /// The name of the group, if the subscription is shared.
    #[must_use]
    pub fn share_name(self) -> Option<Text<'a>> {
        let (name, _) = self.split_share()?;
        Some(Text::trusted(name))
    }

    /// Whether the subscription is shared.
    pub(crate) fn is_shared(self) -> bool {
        self.as_bytes().starts_with(SHARE)
    }

    /// The filter that topics are matched against: without `$share/group/` if it is shared.
    #[must_use]
    pub fn inner(self) -> Self {
        match self.split_share() {
            Some((_, filter)) => Self(Text::trusted(filter)),
            None => self,
        }
    }

    /// Whether `+` or `#` stands in the part that topics are matched against.
    #[must_use]
    pub fn has_wildcards(self) -> bool {
        // A group has none in its name [MQTT5-4.8.2-2].
        self.as_bytes().iter().any(|byte| matches!(byte, b'+' | b'#'))
    }

    /// Whether messages published to `topic` belong to this subscription.
    ///
    /// Costs one pass over both, whatever they hold. A wildcard at the first level does not match a
    /// topic that begins with `$` [MQTT5-4.7.2-1, MQTT3-4.7.2-1].
    #[must_use]
    pub fn matches(self, topic: TopicName<'_>) -> bool {
        let filter = self.inner().as_bytes();
        if topic.is_reserved() && matches!(filter, [b'+' | b'#', ..]) {
            return false;
        }
        let mut wanted = filter.split(is_separator);
        let mut given = topic.as_bytes().split(is_separator);
        loop {
            match (wanted.next(), given.next()) {
                (Some(b"#"), _) | (None, None) => return true,
                (Some(b"+"), Some(_)) => {}
                (Some(want), Some(level)) if want == level => {}
                _ => return false,
            }
        }
    }

    fn split_share(self) -> Option<(&'a [u8], &'a [u8])> {
        split_level(self.as_bytes().strip_prefix(SHARE)?)
    }
}

const SHARE: &[u8] = b"$share/";

fn is_separator(byte: &u8) -> bool {
    *byte == b'/'
}

/// What stands before and behind the first separator.
fn split_level(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(is_separator)?;
    let (level, rest) = bytes.split_at_checked(at)?;
    Some((level, rest.strip_prefix(b"/")?))
}

/// The filter behind `group/`.
fn check_share(shared: &[u8]) -> Result<&[u8], FilterError> {
    let (name, filter) = split_level(shared).unwrap_or((shared, b""));
    if name.is_empty() {
        return Err(FilterError::ShareName); // [MQTT5-4.8.2-1]
    }
    if name.iter().any(|byte| matches!(byte, b'+' | b'#')) {
        return Err(FilterError::ShareNameWildcard); // [MQTT5-4.8.2-2]
    }
    if filter.is_empty() || filter.starts_with(SHARE) {
        return Err(FilterError::ShareWithoutFilter); // [MQTT5-4.8.2-2]
    }
    Ok(filter)
}

/// `start` is where `filter` begins in the whole, for the error.
fn check_wildcards(filter: &[u8], start: usize) -> Result<(), FilterError> {
    let (mut at, mut before, mut rest) = (start, b'/', filter);
    while let [byte, behind @ ..] = rest {
        let is_level = before == b'/' && matches!(behind, [] | [b'/', ..]);
        match byte {
            // [MQTT5-4.7.1-2, MQTT3-4.7.1-3]
            b'+' if !is_level => return Err(FilterError::SingleLevel { at }),
            // [MQTT5-4.7.1-1, MQTT3-4.7.1-2]
            b'#' if !is_level || !behind.is_empty() => return Err(FilterError::MultiLevel { at }),
            _ => {}
        }
        (at, before, rest) = (at.saturating_add(1), *byte, behind);
    }
    Ok(())
}

/// What names and filters share: they are strings that passed a check.
macro_rules! checked_text {
    ($name:ident, $error:ty) => {
        impl<'a> $name<'a> {
            /// Bytes of which another value of this crate vouches that they passed the check.
            #[allow(dead_code, reason = "not both are needed with every set of features")]
            pub(crate) const fn trusted(bytes: &'a [u8]) -> Self {
                Self(Text::trusted(bytes))
            }

            /// Its characters.
            #[must_use]
            pub const fn text(self) -> Text<'a> {
                self.0
            }

            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(self) -> &'a [u8] {
                self.0.as_bytes()
            }

            /// Its characters as `&str`, for the price of a pass over them.
            #[must_use]
            pub fn as_str(self) -> &'a str {
                self.0.as_str()
            }

            /// How many levels it has: one more than it has separators, so at least one.
            #[must_use]
            pub fn levels(self) -> usize {
                self.as_bytes().split(is_separator).count()
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl PartialEq<str> for $name<'_> {
            fn eq(&self, other: &str) -> bool {
                self.0 == *other
            }
        }

        impl PartialEq<&str> for $name<'_> {
            fn eq(&self, other: &&str) -> bool {
                self.0 == **other
            }
        }

        impl<'a> TryFrom<&'a str> for $name<'a> {
            type Error = $error;

            fn try_from(text: &'a str) -> Result<Self, $error> {
                Self::new(text)
            }
        }
    };
}

checked_text!(TopicName, TopicError);
checked_text!(TopicFilter, FilterError);
