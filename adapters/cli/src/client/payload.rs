//! The payload that a command's letters name.

use std::io::{self, Read};
use std::path::Path;

use crate::publish::{Wrong, failed, misused};

/// Where a payload comes from: at most one of these is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    /// `-m`
    pub(crate) message: Option<&'a str>,
    /// `-f`
    pub(crate) file: Option<&'a Path>,
    /// `-s`
    pub(crate) stdin: bool,
    /// `-n`
    pub(crate) null: bool,
}

impl Content<'_> {
    /// The payload, whole; `advice` is for whoever gave none.
    ///
    /// # Errors
    /// There is none, or it can't be read.
    pub(crate) fn read(self, advice: &str) -> Result<Vec<u8>, Wrong> {
        let mut payload = Vec::new();
        match self {
            Self { message: Some(text), .. } => payload.extend(text.bytes()),
            Self { file: Some(file), .. } => {
                payload = std::fs::read(file)
                    .map_err(|error| failed(format!("{}: {error}", file.display())))?;
            }
            Self { stdin: true, .. } => {
                io::stdin().read_to_end(&mut payload).map_err(failed)?;
            }
            Self { null: true, .. } => {}
            _ => return Err(misused(advice)),
        }
        Ok(payload)
    }
}
