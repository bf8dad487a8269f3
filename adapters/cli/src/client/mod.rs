//! What the commands that are clients share: pub, sub and rr.

pub(crate) mod args;
pub(crate) mod driver;
pub(crate) mod format;
mod json;
pub(crate) mod loss;
pub(crate) mod payload;
pub(crate) mod properties;
pub(crate) mod route;
