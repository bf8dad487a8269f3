//! Reads the journals of a database before the database does: what was being written when the power
//! failed is cut off, and what stands behind a damage is saved.
//!
//! A journal is a run of batches: a beginning with a count and a sequence number, that many
//! changes, an end with a checksum. The database stops at the first one that is not whole, and
//! forgets what is behind. When the power fails that is right, as no more than the last batch was
//! being written. Anything else is damage, and whole batches behind it are still true.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::{Failure, Findings};

const BEGIN: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const MAGIC: [u8; 4] = [b'F', b'J', b'L', 3];
/// The kind of a change that is a value, and no removal.
const PUT: u8 = 0;

/// A change out of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Of which part of the database.
    pub(super) keyspace: u64,
    pub(super) key: Vec<u8>,
    /// `None` if the key is removed.
    pub(super) value: Option<Vec<u8>>,
}

/// Mends the journals in a database's folder. What was written from a damage on, in order, to be
/// written again: a later change of a key counts, also if the database has read an earlier one.
pub(super) fn mend(database: &Path, findings: &mut Findings) -> Result<Vec<Change>, Failure> {
    let mut saved = Vec::new();
    let mut is_damaged = false;
    let journals = journals(database)?;
    for (at, path) in journals.iter().enumerate() {
        let bytes = fs::read(path)?;
        let whole = whole_batches(&bytes, is_damaged.then_some(&mut saved));
        let rest = bytes.get(whole..).unwrap_or_default();
        let Some(last) = rest.iter().rposition(|byte| *byte != 0) else { continue };
        let name = path.file_name().unwrap_or_default().display().to_string();
        let behind = save(rest, &mut saved);
        if behind == 0 && at + 1 == journals.len() {
            let len = last + 1;
            findings.remark(format!(
                "the last {len} bytes of journal {name} were still being written, and are undone"
            ));
        } else {
            is_damaged = true;
            findings.lost(format!(
                "journal {name} is damaged at byte {whole}: what was changed there is lost, \
                 {behind} later commits of it are saved"
            ));
        }
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(whole as u64)?;
        file.sync_all()?;
    }
    Ok(saved)
}

/// The journals of a database, oldest first.
fn journals(database: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(database)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl"));
        if let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) {
            journals.push((number, path));
        }
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

/// How many bytes at the front are whole batches.
fn whole_batches(bytes: &[u8], mut into: Option<&mut Vec<Change>>) -> usize {
    let mut at = 0;
    while let Some((len, changes)) = bytes.get(at..).and_then(batch) {
        if let Some(into) = &mut into {
            into.extend(changes);
        }
        at += len;
    }
    at
}

/// Finds whole batches behind a damage. How many.
fn save(bytes: &[u8], into: &mut Vec<Change>) -> usize {
    let (mut at, mut count) = (0, 0);
    while let Some(skip) = bytes.get(at..).and_then(|rest| rest.iter().position(|b| *b == BEGIN)) {
        at += skip;
        match bytes.get(at..).and_then(batch) {
            Some((len, changes)) => {
                into.extend(changes);
                (at, count) = (at + len, count + 1);
            }
            None => at += 1,
        }
    }
    count
}

/// The batch at the front, if it is whole: how long it is, and its changes.
fn batch(bytes: &[u8]) -> Option<(usize, Vec<Change>)> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.u8()? != BEGIN {
        return None;
    }
    let count = reader.u32()?;
    let _sequence = reader.u64()?;
    let items = reader.at;
    let mut changes = Vec::new();
    for _ in 0..count {
        changes.extend(reader.change()?);
    }
    let checksum = xxh3_64(bytes.get(items..reader.at)?);
    let is_whole = reader.u8()? == END && reader.u64()? == checksum && reader.array()? == MAGIC;
    is_whole.then_some((reader.at, changes))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = self.bytes.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(*array)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn slice(&mut self, len: usize) -> Option<Vec<u8>> {
        let slice = self.bytes.get(self.at..)?.get(..len)?.to_vec();
        self.at += len;
        Some(slice)
    }

    /// A change; none for what this store never does.
    fn change(&mut self) -> Option<Option<Change>> {
        match self.u8()? {
            ITEM => {
                let kind = self.u8()?;
                let _compression = self.u8()?;
                let keyspace = self.u64()?;
                let key_len = usize::from(u16::from_le_bytes(self.array()?));
                let _len = self.u32()?;
                let len = self.u32()? as usize;
                let (key, value) = (self.slice(key_len)?, self.slice(len)?);
                let value = (kind == PUT).then_some(value);
                Some(Some(Change { keyspace, key, value }))
            }
            CLEAR => {
                self.u64()?;
                Some(None)
            }
            _ => None,
        }
    }
}
