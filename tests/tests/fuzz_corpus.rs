//! The fuzz targets run as ordinary tests: over their corpus, and over everything one step from it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tamtam_core::Packet;
use tamtam_tests::fuzz::{self, TARGETS};

/// A corpus holds examples, not finds.
const MOST_FILES: usize = 40;
const LONGEST_FILE: usize = 4_096;
/// In how many places a file is changed; a longer one is changed in this many, evenly spread.
const MOST_PLACES: usize = 160;

/// A file of a corpus: its name and what it holds.
type Example = (String, Vec<u8>);

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The corpus of `target` by name; fails if there is none.
fn corpus(target: &str) -> Vec<Example> {
    let dir = fuzz_dir().join("corpus").join(target);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (name, bytes)
    };
    let mut files: Vec<_> = entries.flatten().map(|entry| read(entry.path())).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", dir.display());
    files
}

/// Runs `body`, and says on which bytes it failed.
fn run(body: fn(&[u8]), name: &str, change: impl FnOnce() -> String, data: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| body(data))).is_err() {
        let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{name}, {}: {hex}", change());
    }
}

/// Positions in `bytes`, all or evenly spread.
fn places(bytes: &[u8]) -> impl Iterator<Item = usize> {
    (0..bytes.len()).step_by(bytes.len().div_ceil(MOST_PLACES).max(1))
}

fn run_corpus(target: &str) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, body) = found.unwrap_or_else(|| panic!("there is no target {target}"));
    for (name, bytes) in corpus(target) {
        run(*body, &name, || "as it is".into(), &bytes);
        for at in places(&bytes) {
            run(*body, &name, || format!("cut at {at}"), &bytes[..at]);
            let mut changed = bytes.clone();
            let original = bytes[at];
            let bits = (0..8).map(|bit| original ^ 1 << bit);
            let steps = [original.wrapping_add(1), original.wrapping_sub(1), 0, 0xFF];
            for byte in bits.chain(steps) {
                changed[at] = byte;
                run(*body, &name, || format!("byte {at} is {byte:#04x}"), &changed);
            }
        }
    }
}

#[test]
fn decode_holds_around_its_corpus() {
    run_corpus("decode");
}

#[test]
fn roundtrip_holds_around_its_corpus() {
    run_corpus("roundtrip");
}

#[test]
fn chunking_holds_around_its_corpus() {
    run_corpus("chunking");
}

#[test]
fn topic_match_holds_around_its_corpus() {
    run_corpus("topic_match");
}

#[test]
fn client_ops_holds_around_its_corpus() {
    run_corpus("client_ops");
}

#[test]
fn broker_ops_holds_around_its_corpus() {
    run_corpus("broker_ops");
}

/// Every target has a test above, a corpus of a sensible size, and a file that is that target.
#[test]
fn every_target_is_complete() {
    let this = include_str!("fuzz_corpus.rs");
    for (target, _) in TARGETS {
        assert!(this.contains(&format!("run_corpus(\"{target}\")")), "{target} has no test");
        let files = corpus(target);
        assert!(files.len() <= MOST_FILES, "{target}: {} files", files.len());
        for (name, bytes) in files {
            assert!(bytes.len() <= LONGEST_FILE, "{target}/{name}: {} bytes", bytes.len());
        }
        let file = fuzz_dir().join(format!("fuzz_targets/{target}.rs"));
        let code = fs::read_to_string(&file).unwrap_or_default();
        assert!(code.contains(&format!("fuzz::{target}(data)")), "{}", file.display());
    }
    for entry in fs::read_dir(fuzz_dir().join("corpus")).into_iter().flatten().flatten() {
        let name = entry.file_name();
        assert!(TARGETS.iter().any(|(target, _)| name == *target), "{name:?} is no target");
    }
}

/// The corpus of `decode` says in its names how each stream ends: `ok`, `bad` or `cut`.
#[test]
fn decode_examples_are_what_they_are_called() {
    for (name, bytes) in corpus("decode") {
        let (version, sender) = fuzz::dialect(bytes[0]);
        let mut input = &bytes[1..];
        let end = loop {
            match Packet::decode(&mut input, version, sender) {
                Ok(Some(_)) => {}
                Ok(None) if input.is_empty() => break "ok",
                Ok(None) => break "cut",
                Err(_) => break "bad",
            }
        };
        assert_eq!(name.split('-').next(), Some(end), "{name}");
    }
}

/// The corpus of `roundtrip` says in its names whether each packet may be sent: `sent`, `refused`.
#[test]
fn roundtrip_examples_are_what_they_are_called() {
    for (name, bytes) in corpus("roundtrip") {
        let end = if fuzz::encoded(&bytes).is_some() { "sent" } else { "refused" };
        assert_eq!(name.split('-').next(), Some(end), "{name}");
    }
}
