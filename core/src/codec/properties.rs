//! The properties of one packet: checked as a whole, read one by one when asked for.

use core::fmt;

use super::cursor::Cursor;
use super::error::{Field, Sin};
use super::items::{Items, ItemsIter};
use super::place::Place;
use super::property::{Property, PropertyId};
use super::sink::{Refusal, Sink, Slice, count};
use crate::types::{Text, Version, scan_text};

/// The properties of a packet, or of a will.
///
/// A decoded packet's are a view of its bytes: nothing is collected, and asking for one that is not
/// there costs nothing. For a packet that is to be sent, list them:
///
/// ```
/// use tamtam_core::{Properties, Property, Text};
///
/// let list = [
///     Property::MessageExpiryInterval(60),
///     Property::UserProperty((Text::new("unit")?, Text::new("celsius")?)),
/// ];
/// let properties = Properties::new(&list);
/// assert_eq!(properties.message_expiry_interval(), Some(60));
/// assert_eq!(properties.user_properties().count(), 1);
/// # Ok::<(), tamtam_core::TextError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Properties<'a> {
    source: Source<'a>,
    /// A bit for each property that occurs.
    present: u32,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    /// Checked by the decoder, for this place.
    Wire(&'a [u8], Place),
    /// To be sent: what an application wants, and what its client adds.
    List(&'a [Property<'a>], &'a [Property<'a>]),
}

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Self = Self::empty();

    #[inline(always)]
    pub(crate) const fn empty() -> Self {
        Self { source: Source::Wire(&[], Place::Connect), present: 0 }
    }

    /// These properties, in this order.
    ///
    /// Whether the packet allows them is seen when it is encoded.
    #[must_use]
    pub fn new(list: &'a [Property<'a>]) -> Self {
        Self::chain(list, &[])
    }

    /// These properties, and those.
    pub(crate) fn chain(list: &'a [Property<'a>], then: &'a [Property<'a>]) -> Self {
        let bits = |list: &[Property<'_>]| {
            list.iter().fold(0, |present, property| present | property.id().bit())
        };
        let present = bits(list) | bits(then);
        Self { source: Source::List(list, then), present }
    }

    /// Every property, in order.
    #[must_use]
    pub const fn iter(&self) -> ItemsIter<'a, Property<'a>> {
        match self.source {
            Source::Wire(bytes, _) => Items::checked(bytes).iter(),
            Source::List(list, then) => ItemsIter::chain(list, then),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.present == 0
    }

    /// Whether the property occurs.
    #[must_use]
    pub const fn contains(&self, id: PropertyId) -> bool {
        self.present & id.bit() != 0
    }

    /// The first property of this name.
    pub(crate) fn find(&self, id: PropertyId) -> Option<Property<'a>> {
        if self.contains(id) { self.iter().find(|property| property.id() == id) } else { None }
    }

    /// Every property of this name.
    pub(crate) fn find_all(&self, id: PropertyId) -> impl Iterator<Item = Property<'a>> + use<'a> {
        let all = if self.contains(id) { self.iter() } else { Items::EMPTY.iter() };
        all.filter(move |property| property.id() == id)
    }

    /// Length and properties, if the version has them.
    #[inline]
    pub(crate) fn read(cursor: &mut Cursor<'a>, version: Version, place: Place) -> Option<Self> {
        if !version.is_v5() {
            return Some(Self::empty());
        }
        let start = cursor.left();
        let length = cursor.var_int(Field::PropertyLength)? as usize;
        if length == 0 {
            return Some(Self::empty());
        }
        match cursor.take(length, Field::PropertyLength) {
            Some(bytes) => Self::check_bytes(bytes, place, cursor),
            None => cursor.found_at(start, Sin::Truncated, Field::PropertyLength),
        }
    }

    /// Length and properties of version 5 and what is behind them; `None` if anything is wrong.
    #[inline(always)]
    pub(crate) fn read_ordinary(bytes: &'a [u8], place: Place) -> Option<(Self, &'a [u8])> {
        match bytes {
            [0, behind @ ..] => Some((Self::empty(), behind)),
            [length, behind @ ..] if *length < 0x80 => {
                let (bytes, behind) = behind.split_at_checked(*length as usize)?;
                let in_publish = matches!(place, Place::ClientPublish | Place::ServerPublish);
                let present = if let [0x23, high, low] = bytes
                    && in_publish
                    && high | low != 0
                {
                    PropertyId::TopicAlias.bit() // what a client of many messages sends
                } else if skip_user_properties(bytes).is_empty() {
                    PropertyId::UserProperty.bit()
                } else {
                    check_all(&mut Cursor::new(bytes), place)?
                };
                Some((Self { source: Source::Wire(bytes, place), present }, behind))
            }
            _ => None,
        }
    }

    /// Checks every property; `behind` is what the packet has behind them.
    fn check_bytes(bytes: &'a [u8], place: Place, behind: &mut Cursor<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let Some(present) = check_all(&mut cursor, place) else {
            let found = cursor.error();
            let left = found.left.saturating_add(behind.left());
            return behind.found_at(left, found.sin, found.field);
        };
        Some(Self { source: Source::Wire(bytes, place), present })
    }

    /// Whether a packet of `version` may carry them in `place`.
    #[inline]
    pub(crate) fn check(&self, version: Version, place: Place) -> Result<(), Refusal> {
        if self.is_empty() { Ok(()) } else { self.check_some(version, place) }
    }

    fn check_some(&self, version: Version, place: Place) -> Result<(), Refusal> {
        if !version.is_v5() {
            return Err(Refusal::NotInVersion(self.first_field()));
        }
        match self.source {
            Source::Wire(_, checked_for) if checked_for == place => Ok(()),
            Source::Wire(bytes, _) => {
                let mut cursor = Cursor::new(bytes);
                match check_all(&mut cursor, place) {
                    Some(_) => Ok(()),
                    None => Err(Refusal::Sin(cursor.error().sin, cursor.error().field)),
                }
            }
            Source::List(list, then) => check_list(list, then, place),
        }
    }

    fn first_field(&self) -> Field {
        let first = match self.source {
            Source::Wire(bytes, _) => bytes.first().copied().and_then(PropertyId::from_byte),
            Source::List(list, then) => list.iter().chain(then).next().map(Property::id),
        };
        first.map_or(Field::PropertyId, Field::Property)
    }

    /// Length and properties, if the version has them [MQTT5-2.2.2-1].
    #[cfg_attr(feature = "alloc", inline)]
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn write(&self, version: Version, sink: &mut impl Sink) {
        if !version.is_v5() {
            return;
        }
        match self.source {
            _ if self.is_empty() => sink.u8(0),
            Source::Wire(bytes, _) => {
                sink.var_int(bytes.len() as u32);
                sink.put(bytes);
            }
            Source::List(list, then) => {
                let length = count(|counter| {
                    write_all(list, counter);
                    write_all(then, counter);
                });
                sink.var_int(length as u32);
                write_all(list, sink);
                write_all(then, sink);
            }
        }
    }

    /// The bytes of the properties, if a broker forwards all of them unaltered.
    pub(crate) const fn forwarded_wire(&self) -> Option<&'a [u8]> {
        match self.source {
            _ if self.present & FORWARDED == 0 => Some(&[]), // often: a topic alias alone
            Source::Wire(bytes, _) if self.present & !FORWARDED == 0 => Some(bytes),
            _ => None,
        }
    }

    /// How many bytes those take that a broker forwards.
    pub(crate) fn forwarded_len(&self) -> usize {
        count(|counter| self.each_forwarded(|property| property.write(counter)))
    }

    /// Writes those that a broker forwards; `out` is as long as that.
    pub(crate) fn write_forwarded(&self, out: &mut [u8]) {
        let mut sink = Slice::new(out);
        self.each_forwarded(|property| property.write(&mut sink));
    }

    fn each_forwarded(&self, each: impl FnMut(Property<'a>)) {
        self.iter().filter(|property| property.id().bit() & FORWARDED != 0).for_each(each);
    }

    /// What a received packet's are: of each the number that it is, or 0, and its bytes.
    pub(crate) fn raw(&self) -> impl Iterator<Item = (PropertyId, u32, &'a [u8])> + use<'a> {
        let mut cursor = Cursor::new(match self.source {
            Source::Wire(bytes, _) => bytes,
            Source::List(..) => &[],
        });
        core::iter::from_fn(move || {
            let id = PropertyId::from_byte(cursor.u8(Field::PropertyId)?)?;
            let value = cursor.rest();
            let number = Property::check_bytes(id, &mut cursor)?;
            Some((id, number, value.get(..value.len().wrapping_sub(cursor.left()))?))
        })
    }

    /// The topic alias of a received packet, as a number.
    pub(crate) fn alias(&self) -> Option<u16> {
        let alias = self.raw().find(|(id, ..)| *id == PropertyId::TopicAlias);
        alias.map(|(_, alias, _)| alias as u16)
    }

    /// The name that a server has given, in its CONNACK.
    pub(crate) fn given_name(&self) -> Option<Text<'a>> {
        let name = self.raw().find(|(id, ..)| *id == PropertyId::AssignedClientIdentifier);
        name.and_then(|(.., text)| text.get(2..)).map(Text::trusted)
    }

    /// That authentication data do not come without a method.
    pub(crate) const fn authentication_sin(&self) -> Option<Sin> {
        if self.contains(PropertyId::AuthenticationData)
            && !self.contains(PropertyId::AuthenticationMethod)
        {
            return Some(Sin::AuthenticationData);
        }
        None
    }

    /// Whether a topic alias stands for the topic.
    pub(crate) const fn has_topic_alias(&self) -> bool {
        self.contains(PropertyId::TopicAlias)
    }
}

/// The properties of a message that belong to nobody's connection, and are not counted down.
const FORWARDED: u32 = PropertyId::PayloadFormatIndicator.bit()
    | PropertyId::ContentType.bit()
    | PropertyId::ResponseTopic.bit()
    | PropertyId::CorrelationData.bit()
    | PropertyId::UserProperty.bit();

/// Reads to the end; returns the bits of what was there.
#[inline(never)]
fn check_all(cursor: &mut Cursor<'_>, place: Place) -> Option<u32> {
    let mut present = 0;
    while !cursor.is_empty() {
        let start = cursor.left();
        let number = cursor.var_int(Field::PropertyId)?;
        let known = u8::try_from(number).ok().and_then(PropertyId::from_byte);
        let Some(id) = known else {
            return cursor.found_at(start, Sin::UnknownProperty, Field::PropertyId);
        };
        if let Some(sin) = id.misplaced(place, present) {
            return cursor.found_at(start, sin, Field::Property(id));
        }
        present |= id.bit();
        Property::check_bytes(id, cursor)?;
    }
    Some(present)
}

fn check_list(list: &[Property<'_>], then: &[Property<'_>], place: Place) -> Result<(), Refusal> {
    let mut seen = 0;
    for property in list.iter().chain(then) {
        if let Some(sin) = property.id().misplaced(place, seen) {
            return Err(Refusal::Sin(sin, Field::Property(property.id())));
        }
        property.check_value()?;
        seen |= property.id().bit();
    }
    Ok(())
}

/// What is behind the user properties of ordinary text that come first: the one property that may
/// stand everywhere and any number of times.
#[inline(never)]
fn skip_user_properties(mut bytes: &[u8]) -> &[u8] {
    while let [0x26, rest @ ..] = bytes {
        let Some(rest) = skip_text(rest).and_then(skip_text) else { break };
        bytes = rest;
    }
    bytes
}

#[inline(always)]
fn skip_text(bytes: &[u8]) -> Option<&[u8]> {
    let [high, low, rest @ ..] = bytes else { return None };
    let (text, rest) = rest.split_at_checked(u16::from_be_bytes([*high, *low]) as usize)?;
    if scan_text(text) { Some(rest) } else { None }
}

fn write_all(list: &[Property<'_>], sink: &mut impl Sink) {
    for property in list {
        property.write(sink);
    }
}

impl Default for Properties<'_> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'a> From<&'a [Property<'a>]> for Properties<'a> {
    fn from(list: &'a [Property<'a>]) -> Self {
        Self::new(list)
    }
}

impl<'a, const N: usize> From<&'a [Property<'a>; N]> for Properties<'a> {
    fn from(list: &'a [Property<'a>; N]) -> Self {
        Self::new(list)
    }
}

impl<'a> IntoIterator for Properties<'a> {
    type Item = Property<'a>;
    type IntoIter = ItemsIter<'a, Property<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Properties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.present == other.present && self.iter().eq(other.iter())
    }
}

impl Eq for Properties<'_> {}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
