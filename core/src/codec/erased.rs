//! A body of which it is not known whose it is. Where flash is dear, what measures and writes a
//! packet is compiled once, for this, and not for each packet.

use super::sink::{Body, Refusal, Slice};
use crate::types::Version;

/// What [`Body`] says, without a choice of sink.
pub(crate) trait AnyBody {
    fn first_byte(&self) -> u8;
    fn check(&self, version: Version) -> Result<(), Refusal>;
    fn write(&self, version: Version, sink: &mut Slice<'_>);
}

impl<B: Body> AnyBody for B {
    fn first_byte(&self) -> u8 {
        Body::first_byte(self)
    }

    fn check(&self, version: Version) -> Result<(), Refusal> {
        Body::check(self, version)
    }

    fn write(&self, version: Version, sink: &mut Slice<'_>) {
        Body::write(self, version, sink);
    }
}

/// The body, and no more of whose it is.
#[inline(always)]
pub(crate) fn erase<B: Body>(body: &B) -> &dyn AnyBody {
    body
}
