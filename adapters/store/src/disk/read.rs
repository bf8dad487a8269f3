//! Reads a part of a database from one end to the other, around a place that can't be read.

use std::ops::Bound;

use fjall::{Keyspace, Slice};

use crate::Findings;

/// Shows every key with its value, in the order of the keys. If something can't be read, what is
/// before and behind it is shown all the same.
pub(super) fn all(
    part: &Keyspace,
    what: &str,
    findings: &mut Findings,
    each: &mut dyn FnMut(&[u8], &[u8]),
) {
    let mut count = 0_usize;
    let mut last = Bound::Unbounded;
    let mut failed = None;
    for entry in part.iter() {
        match entry.into_inner() {
            Ok((key, value)) => {
                each(&key, &value);
                (last, count) = (Bound::Excluded(key), count + 1);
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    let Some(error) = failed else { return };
    if let Some(first) = first_behind(part, &last) {
        for entry in part.range::<Slice, _>((Bound::Included(first), Bound::Unbounded)) {
            if let Ok((key, value)) = entry.into_inner() {
                each(&key, &value);
                count += 1;
            }
        }
    }
    findings.lost(format!(
        "{what} can't be read between two places ({error}): what was there is lost, {count} \
         records around it are saved"
    ));
}

/// The first key behind a place that can't be read: read from the far end up to it.
fn first_behind(part: &Keyspace, last: &Bound<Slice>) -> Option<Slice> {
    let mut first = None;
    for entry in part.range::<Slice, _>((last.clone(), Bound::Unbounded)).rev() {
        match entry.into_inner() {
            Ok((key, _)) => first = Some(key),
            Err(_) => break,
        }
    }
    first
}
