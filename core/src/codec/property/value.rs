//! The values of properties: what each kind of them looks like on the wire.

use core::num::{NonZeroU16, NonZeroU32};

use super::{PropertyId, SubscriptionId};
use crate::codec::cursor::Cursor;
use crate::codec::error::{Field, Sin};
use crate::codec::sink::Sink;
use crate::types::{QoS, Text, TopicName};

/// What a value is checked for. All 27 properties are of one of these kinds, so that the check is
/// written, and compiled, once for each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Flag,
    U16,
    NonZeroU16,
    U32,
    NonZeroU32,
    VarInt,
    Text,
    Topic,
    Binary,
    Pair,
}

impl Kind {
    /// Takes a value; returns the number that it is, or 0.
    #[inline]
    pub(super) fn check(self, cursor: &mut Cursor<'_>, field: Field) -> Option<u32> {
        match self {
            Self::Text => _ = cursor.text(field)?,
            Self::Topic => check_topic(cursor, field)?,
            Self::Binary => _ = cursor.binary(field)?,
            Self::Pair => _ = (cursor.text(field)?, cursor.text(field)?), // [MQTT5-1.5.7-1]
            _ => return self.number(cursor, field),
        }
        Some(0)
    }

    #[inline]
    fn number(self, cursor: &mut Cursor<'_>, field: Field) -> Option<u32> {
        let here = cursor.left();
        let number = match self {
            Self::Flag => u32::from(cursor.u8(field)?),
            Self::U16 | Self::NonZeroU16 => u32::from(cursor.u16(field)?),
            Self::VarInt => cursor.var_int(field)?,
            _ => cursor.u32(field)?,
        };
        let is_legal = match self {
            Self::Flag => number <= 1,
            Self::U16 | Self::U32 => true,
            _ => number != 0,
        };
        match field {
            _ if is_legal => Some(number),
            // [MQTT5-3.3.2-8]
            Field::Property(PropertyId::TopicAlias) => {
                cursor.found_at(here, Sin::TopicAliasZero, field)
            }
            _ => cursor.found_at(here, Sin::PropertyValue, field),
        }
    }
}

fn check_topic(cursor: &mut Cursor<'_>, field: Field) -> Option<()> {
    let here = cursor.left();
    match cursor.topic(field) {
        Some(Some(_)) => Some(()),
        Some(None) => cursor.found_at(here, Sin::EmptyTopic, field),
        None if cursor.error().sin == Sin::WildcardInTopic => {
            cursor.found_at(here, Sin::WildcardInResponseTopic, field) // [MQTT5-3.3.2-14]
        }
        None => None,
    }
}

/// A type of value: of which kind it is, how it is read once it was checked, and how written.
pub(super) trait Value<'a>: Sized {
    const KIND: Kind;

    fn read_checked(cursor: &mut Cursor<'a>) -> Option<Self>;

    fn write(&self, sink: &mut impl Sink);
}

macro_rules! numbers {
    ($(
        $type:ty: $kind:ident $read:ident, |$raw:ident| $value:expr, |$self:ident| $number:expr;
    )*) => {
        $(impl<'a> Value<'a> for $type {
            const KIND: Kind = Kind::$kind;

            #[inline]
            fn read_checked(cursor: &mut Cursor<'a>) -> Option<Self> {
                let $raw = cursor.$read(Field::PropertyId)?;
                $value
            }

            fn write(&$self, sink: &mut impl Sink) {
                sink.$read($number);
            }
        })*
    };
}

numbers! {
    u16: U16 u16, |raw| Some(raw), |self| *self;
    u32: U32 u32, |raw| Some(raw), |self| *self;
    NonZeroU16: NonZeroU16 u16, |raw| Self::new(raw), |self| self.get();
    NonZeroU32: NonZeroU32 u32, |raw| Self::new(raw), |self| self.get();
    bool: Flag u8, |raw| Some(raw != 0), |self| u8::from(*self);
}

impl<'a> Value<'a> for QoS {
    const KIND: Kind = Kind::Flag;

    fn read_checked(cursor: &mut Cursor<'a>) -> Option<Self> {
        Self::from_level(cursor.u8(Field::PropertyId)?)
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.u8(self.level());
    }
}

impl<'a> Value<'a> for SubscriptionId {
    const KIND: Kind = Kind::VarInt;

    fn read_checked(cursor: &mut Cursor<'a>) -> Option<Self> {
        Self::new(cursor.var_int(Field::PropertyId)?)
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.var_int(self.get());
    }
}

impl<'a> Value<'a> for Text<'a> {
    const KIND: Kind = Kind::Text;

    #[inline]
    fn read_checked(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.binary(Field::PropertyId).map(Self::trusted)
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.text(*self);
    }
}

impl<'a> Value<'a> for TopicName<'a> {
    const KIND: Kind = Kind::Topic;

    fn read_checked(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.binary(Field::PropertyId).map(Self::trusted)
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.text(self.text());
    }
}

impl<'a> Value<'a> for &'a [u8] {
    const KIND: Kind = Kind::Binary;

    fn read_checked(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.binary(Field::PropertyId)
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.binary(self);
    }
}

impl<'a> Value<'a> for (Text<'a>, Text<'a>) {
    const KIND: Kind = Kind::Pair;

    #[inline]
    fn read_checked(cursor: &mut Cursor<'a>) -> Option<Self> {
        Some((Text::read_checked(cursor)?, Text::read_checked(cursor)?))
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.text(self.0);
        sink.text(self.1);
    }
}
