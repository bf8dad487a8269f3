//! `tamtam store import`: from lines of JSON, or from what mosquitto keeps.

use std::fs;
use std::path::Path;

use tamtam_store::{Kept, Packed};

use super::line::Line;
use super::mosquitto;

/// Fills an empty store from a file.
pub(super) fn run(kept: &mut Kept, file: &Path) -> Result<bool, String> {
    let mut is_empty = true;
    kept.records(|_| is_empty = false).map_err(|error| error.to_string())?;
    if !is_empty {
        return Err("the store is not empty: name another folder with --data".to_owned());
    }
    let name = |error: String| format!("{}: {error}", file.display());
    let bytes = fs::read(file).map_err(|error| name(error.to_string()))?;
    let mut packed = Packed::default();
    let summary = if bytes.starts_with(mosquitto::MAGIC) {
        mosquitto::read(&bytes, &mut packed).map_err(name)?
    } else {
        lines(&bytes, &mut packed).map_err(name)?
    };
    kept.keep(&packed.records()).map_err(|error| error.to_string())?;
    println!("{summary}");
    Ok(true)
}

/// Reads lines of JSON.
fn lines(bytes: &[u8], packed: &mut Packed) -> Result<String, String> {
    let mut count = 0_u64;
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    for (at, text) in lines.filter(|(_, text)| !text.is_empty()) {
        let wrong = |what: String| format!("line {}: {what}", at + 1);
        let line: Line = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
        if count == 0 && !matches!(line, Line::Store { .. }) {
            return Err("the first line does not say that this is an export of a store".to_owned());
        }
        line.with(|record| packed.push(record)).map_err(wrong)?;
        count += 1;
    }
    if count == 0 {
        return Err("there is nothing in it".to_owned());
    }
    Ok(format!("{} records were imported", count - 1))
}
