//! What stands for properties where the feature `v5` is off: nothing, in no bytes.

use core::marker::PhantomData;

use super::cursor::Cursor;
use super::error::Sin;
use super::place::Place;
use super::sink::{Refusal, Sink};
use crate::types::Version;

/// No properties: this build speaks MQTT 3.1 and 3.1.1 only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties<'a>(PhantomData<&'a ()>);

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Self = Self::empty();

    pub(crate) const fn empty() -> Self {
        Self(PhantomData)
    }

    pub(crate) const fn read_ordinary(bytes: &'a [u8], _: Place) -> Option<(Self, &'a [u8])> {
        Some((Self::empty(), bytes))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        true
    }

    pub(crate) const fn read(_: &mut Cursor<'a>, _: Version, _: Place) -> Option<Self> {
        Some(Self::EMPTY)
    }

    pub(crate) const fn check(&self, _: Version, _: Place) -> Result<(), Refusal> {
        Ok(())
    }

    pub(crate) fn write(&self, _: Version, _: &mut impl Sink) {}

    pub(crate) const fn authentication_sin(&self) -> Option<Sin> {
        None
    }

    pub(crate) const fn has_topic_alias(&self) -> bool {
        false
    }
}
