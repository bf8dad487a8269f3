//! The style law, as a test: how long things may be, what may not be written, who may call whom.
//!
//! It reads the repository's own files, so that a rule costs nobody's attention, and lists all that
//! is wrong at once.

#[path = "tidy/scan.rs"]
mod scan;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use scan::{Source, functions, heads, module_files, word, words};

const FILE_LINES_MAX: usize = 500;
const EXAMPLE_LINES_MAX: usize = 79;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;

/// What the top level may hold, beside dot-files and what tools put there.
const TOP_LEVEL: [&str; 15] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "adapters",
    "clippy.toml",
    "core",
    "deny.toml",
    "examples",
    "fuzz",
    "rustfmt.toml",
    "tests",
];

/// Not ours, or not written by hand.
const SKIPPED: [&str; 6] =
    [".git", "target", "fuzz/artifacts", "fuzz/corpus", "fuzz/coverage", "fuzz/scratch"];

/// Parts of `core/src`, and which others each must not know.
const LAYERS: [(&str, &[&str]); 7] = [
    ("time.rs", &["storage", "types", "codec", "flow", "client", "broker"]),
    ("storage", &["time", "types", "codec", "flow", "client", "broker"]),
    ("types/", &["codec", "flow", "client", "broker"]),
    ("codec/", &["flow", "client", "broker"]),
    ("flow/", &["client", "broker"]),
    ("client/", &["broker"]),
    ("broker/", &["client"]),
];

/// What of the standard library makes a run depend on more than its input.
const IMPURE: [&str; 7] = ["env", "fs", "io", "net", "process", "thread", "time"];

const CORE_DEPENDENCIES: [&str; 3] = ["bytes", "heapless", "thiserror"];

#[test]
fn the_house_is_tidy() {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    let read = |ending: &str| -> Vec<Source> {
        files.iter().filter(|file| file.ends_with(ending)).map(|file| read(file)).collect()
    };
    let (rust, manifests, pages) = (read(".rs"), read("Cargo.toml"), read(".md"));
    assert!(rust.len() > 30 && manifests.len() > 3, "this is not the repository: {files:#?}");
    let declared = declarations(&rust);
    let mut problems = Vec::new();
    for source in &rust {
        problems.extend(too_long(source));
        problems.extend(unwanted(source));
        problems.extend(impure(source));
        problems.extend(wrong_arrows(source, &declared));
        problems.extend(untested_examples(source, &source.comments));
    }
    for page in &pages {
        problems.extend(untested_examples(page, &page.text));
        problems.extend(stale_quotes(page, &rust));
    }
    problems.extend(dead_files(&rust, &manifests));
    problems.extend(manifests.iter().filter_map(second_msrv));
    problems.extend(manifests.iter().flat_map(foreign_dependencies));
    problems.extend(msrv_unsaid(&manifests, &pages));
    problems.extend(strangers(&names(&root())));
    assert!(problems.is_empty(), "{} untidy:\n{}\n", problems.len(), problems.join("\n"));
}

// The files.

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> Source {
    let text = fs::read_to_string(root().join(file));
    Source::new(file, &text.unwrap_or_else(|error| panic!("{file}: {error}")))
}

/// What a folder holds, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Collects what is below a folder, as paths from the root with `/`.
fn walk(folder: &Path, files: &mut Vec<String>) {
    for name in names(folder) {
        let path = folder.join(name);
        let parts = path.strip_prefix(root()).unwrap_or(&path).iter();
        let file = parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
        if SKIPPED.iter().any(|name| format!("/{file}").ends_with(&format!("/{name}"))) {
            continue;
        }
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(file);
        }
    }
}

// The rules.

fn too_long(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    let Source { file, text, code, .. } = source;
    let lines = text.lines().count();
    let example = file.starts_with("examples/") && file.matches('/').count() == 1;
    let lines_max = if example { EXAMPLE_LINES_MAX } else { FILE_LINES_MAX };
    if lines > lines_max {
        problems.push(format!("{file}:{lines}: {lines} lines, at most {lines_max} may be"));
    }
    for (index, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > COLUMNS_MAX {
            problems.push(format!("{file}:{}: {columns} columns", index + 1));
        }
    }
    for (at, name, lines) in functions(code) {
        if lines > FUNCTION_LINES_MAX {
            problems.push(source.at(at, &format!("`{name}` has {lines} lines")));
        }
    }
    problems
}

/// What is left over from writing, and tests that do not run.
fn unwanted(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    let code = &source.code;
    for name in ["todo", "unimplemented", "dbg"] {
        let calls = words(code, name).filter(|at| code[at + name.len()..].starts_with('!'));
        problems.extend(calls.map(|at| source.at(at, &format!("{name}!"))));
    }
    let ignored = ["#[ignore", "ignore)]"].into_iter().flat_map(|text| code.match_indices(text));
    problems.extend(ignored.map(|(at, _)| source.at(at, "a test that does not run")));
    problems
}

/// Examples in documentation that look tested and are not.
fn untested_examples(source: &Source, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start().trim_start_matches(['/', '!', '*']).trim_start();
        let info = line.strip_prefix("```").unwrap_or_default();
        if info.split([',', ' ']).any(|word| word.starts_with("ignore")) {
            problems.push(format!("{}:{}: an example that is not tested", source.file, index + 1));
        }
    }
    problems
}

/// The core reads no clock, opens nothing and starts nothing.
fn impure(source: &Source) -> Vec<String> {
    if !source.file.starts_with("core/src/") {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for (at, name) in heads(&source.code, "std") {
        if IMPURE.contains(&name) {
            problems.push(source.at(at, &format!("std::{name} in core")));
        }
    }
    for name in ["Instant::now", "SystemTime"] {
        problems.extend(words(&source.code, name).map(|at| source.at(at, name)));
    }
    problems
}

/// The parts of the core know only those below them, by whatever path.
fn wrong_arrows(source: &Source, declared: &[(String, String)]) -> Vec<String> {
    let Some(place) = source.file.strip_prefix("core/src/") else { return Vec::new() };
    let Some((_, above)) = LAYERS.into_iter().find(|(part, _)| place.starts_with(part)) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for root in ["crate", "super"] {
        for (at, name) in heads(&source.code, root) {
            let homes: Vec<&str> = declared
                .iter()
                .filter(|(item, _)| root == "crate" && item == name)
                .map(|(_, part)| part.as_str())
                .collect();
            let known_above = homes.iter().all(|part| above.contains(part)) && !homes.is_empty();
            if above.contains(&name) || known_above {
                problems.push(source.at(at, &format!("{root}::{name} is above this file")));
            }
        }
    }
    problems
}

/// What the parts of the core declare, which may go by `crate::Name` too: name and part.
fn declarations(rust: &[Source]) -> Vec<(String, String)> {
    let mut declared = Vec::new();
    for source in rust {
        let Some(place) = source.file.strip_prefix("core/src/") else { continue };
        let part = place.split(['/', '.']).next().unwrap_or_default();
        for kind in ["const", "enum", "fn", "struct", "trait", "type"] {
            for at in words(&source.code, kind).filter(|&at| source.code[..at].ends_with("pub ")) {
                let name = word(source.code[at + kind.len()..].trim_start());
                declared.push((name.to_owned(), part.to_owned()));
            }
        }
    }
    declared
}

/// Rust files that no `mod` leads to from the root of a library, program, test or example.
fn dead_files(rust: &[Source], manifests: &[Source]) -> Vec<String> {
    let is_root = |source: &&Source| {
        manifests.iter().filter(|manifest| manifest.text.contains("[package]")).any(|manifest| {
            let folder = manifest.file.trim_end_matches("Cargo.toml");
            source.file.strip_prefix(folder).is_some_and(|file| {
                is_usual_root(file) || manifest.text.contains(&format!("path = \"{file}\""))
            })
        })
    };
    let roots: Vec<&Source> = rust.iter().filter(is_root).collect();
    let mut reached: BTreeSet<&str> = roots.iter().map(|source| source.file.as_str()).collect();
    let mut new: Vec<(&Source, bool)> = roots.iter().map(|&source| (source, true)).collect();
    while let Some((source, is_root)) = new.pop() {
        let files = module_files(source, is_root);
        for found in rust.iter().filter(|source| files.contains(&source.file)) {
            if reached.insert(&found.file) {
                new.push((found, false));
            }
        }
    }
    let dead = rust.iter().filter(|source| !reached.contains(source.file.as_str()));
    dead.map(|source| source.at(0, "no `mod` leads here")).collect()
}

/// Where Cargo looks by itself.
fn is_usual_root(file: &str) -> bool {
    matches!(
        file.split('/').collect::<Vec<_>>().as_slice(),
        ["build.rs"]
            | ["src", "lib.rs" | "main.rs"]
            | ["src", "bin", _]
            | ["src", "bin", _, "main.rs"]
            | ["tests" | "benches" | "examples", _]
            | ["tests" | "benches" | "examples", _, "main.rs"]
    )
}

/// An example that a page quotes stands there word for word.
fn stale_quotes(page: &Source, rust: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    for (at, mark) in page.text.match_indices("<!-- examples/") {
        let from = at + mark.len() - "examples/".len();
        let file = page.text[from..].split(' ').next().unwrap_or_default();
        let block = page.text[from..].split("```rust\n").nth(1).unwrap_or_default();
        let quoted = block.split("```").next().unwrap_or_default();
        if !rust.iter().any(|source| source.file == file && source.text == quoted) {
            problems.push(page.at(at, &format!("{file} has other words")));
        }
    }
    problems
}

const MSRV: &str = "rust-version = \"";

fn second_msrv(manifest: &Source) -> Option<String> {
    let at = manifest.text.find(MSRV).filter(|_| manifest.file != "Cargo.toml")?;
    Some(manifest.at(at, "the MSRV is declared in the workspace alone"))
}

fn msrv_unsaid(manifests: &[Source], pages: &[Source]) -> Option<String> {
    let workspace = manifests.iter().find(|manifest| manifest.file == "Cargo.toml")?;
    let (_, msrv) = workspace.text.split_once(MSRV)?;
    let said = format!("Rust {}", msrv.split('"').next()?);
    let readme = pages.iter().find(|page| page.file == "README.md")?;
    (!readme.text.contains(&said)).then(|| format!("README.md:1: does not say `{said}`"))
}

fn foreign_dependencies(manifest: &Source) -> Vec<String> {
    if manifest.file != "core/Cargo.toml" {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let mut section = "";
    for (index, line) in manifest.text.lines().enumerate() {
        let name = if let Some(header) = line.strip_prefix('[') {
            section = header.split(']').next().unwrap_or_default();
            section.split_once("dependencies.").map(|(_, name)| name)
        } else {
            let name = line.split(['=', '.', '#']).next().unwrap_or_default().trim();
            (section.ends_with("dependencies") && !name.is_empty()).then_some(name)
        };
        let foreign = name.filter(|name| !CORE_DEPENDENCIES.contains(name));
        if let Some(name) = foreign.filter(|_| !section.contains("dev-dependencies")) {
            problems.push(format!("{}:{}: core depends on {name}", manifest.file, index + 1));
        }
    }
    problems
}

fn strangers(names: &[String]) -> Vec<String> {
    let known =
        |name: &str| name.starts_with('.') || TOP_LEVEL.contains(&name) || SKIPPED.contains(&name);
    let strange = names.iter().filter(|name| !known(name));
    strange.map(|name| format!("{name}:1: does not belong to the top level")).collect()
}

// The rules ruled.

/// Runs a rule over a file made up for it; what it found begins with these lines.
fn assert_lines(rule: impl Fn(&Source) -> Vec<String>, file: &str, text: &str, lines: &[usize]) {
    let problems = rule(&Source::new(file, text));
    let expected: Vec<String> = lines.iter().map(|line| format!("{file}:{line}: ")).collect();
    assert_eq!(problems.len(), lines.len(), "{text}\n{problems:#?}");
    for (problem, expected) in problems.iter().zip(&expected) {
        assert!(problem.starts_with(expected), "{problem} instead of {expected}");
    }
}

#[test]
fn length_is_seen() {
    let body = "    x();\n".repeat(69);
    assert_lines(too_long, "a.rs", &format!("fn a() {{\n{body}}}\n"), &[1]);
    assert_lines(too_long, "a.rs", &format!("\nfn a() {{\n{}}}\n", &body[9..]), &[]);
    assert_lines(too_long, "a.rs", &"\n".repeat(501), &[501]);
    assert_lines(too_long, "examples/a.rs", &"\n".repeat(80), &[80]);
    assert_lines(too_long, "a.rs", &format!("\n{}\n", "\u{e9}".repeat(101)), &[2]);
    assert_lines(too_long, "a.rs", &"\u{e9}".repeat(100), &[]);
}

#[test]
fn words_are_seen_where_they_mean_something() {
    let text = "todo!();\ndbg!(x)\n// todo!()\n\"dbg!()\"; my_dbg!(); dbg(x);\n";
    assert_lines(unwanted, "a.rs", text, &[1, 2]);
    let text = "#[ignore = \"slow\"]\n#[cfg_attr(x, ignore)]\nignore(#[expect(x)] y)\n";
    assert_lines(unwanted, "a.rs", text, &[1, 2]);
    let text = "use std::{vec, time::Instant};\nInstant::now();\nstd::string::String\n";
    assert_lines(impure, "core/src/a.rs", text, &[1, 2]);
    assert_lines(impure, "adapters/a/src/a.rs", text, &[]);
    let examples = |source: &Source| untested_examples(source, &source.comments);
    let text = "/// ```\n//! ```rust,ignore\n\"```ignore\"\n/// ```text\n";
    assert_lines(examples, "a.rs", text, &[2]);
}

#[test]
fn arrows_point_one_way() {
    let rust = [
        Source::new("core/src/codec/x.rs", "pub struct Packet;\npub(crate) fn inner() {}"),
        Source::new("core/src/client/x.rs", "pub enum Event {}\npub struct Options;"),
        Source::new("core/src/broker/x.rs", "pub struct Options;"),
    ];
    let declared = declarations(&rust);
    assert_eq!(declared.len(), 4);
    let rule = |source: &Source| wrong_arrows(source, &declared);
    let text = "use crate::types::{Text};\nuse crate::{codec::X, flow::Y};\nuse super::client;\n\
        crate::Packet;\ncrate::Event;\ncrate::Options;\n";
    assert_lines(rule, "core/src/types/a.rs", text, &[2, 2, 4, 5, 6, 3]);
    assert_lines(rule, "core/src/codec/a.rs", text, &[2, 5, 6, 3]);
    assert_lines(rule, "core/src/client/a.rs", text, &[]);
    assert_lines(rule, "core/src/broker/a.rs", text, &[5, 3]);
    assert_lines(rule, "core/src/time.rs", text, &[1, 2, 2, 4, 5, 6, 3]);
    assert_lines(rule, "core/src/lib.rs", text, &[]);
}

#[test]
fn every_file_is_reached_or_dead() {
    let text = "[package]\n[[bin]]\npath = \"odd.rs\"\n";
    let manifests = [Source::new("Cargo.toml", ""), Source::new("a/Cargo.toml", text)];
    let rust = [
        Source::new("a/src/lib.rs", "mod b;"),
        Source::new("a/src/b/mod.rs", "#[path = \"../d.rs\"] mod c;"),
        Source::new("a/src/d.rs", ""),
        Source::new("a/src/dead.rs", ""),
        Source::new("a/odd.rs", ""),
        Source::new("a/tests/x/main.rs", "mod y;"),
        Source::new("a/tests/x/y.rs", ""),
        Source::new("tests/z.rs", ""),
    ];
    let dead = dead_files(&rust, &manifests);
    assert_eq!(
        dead,
        ["a/src/dead.rs", "tests/z.rs"].map(|f| format!("{f}:1: no `mod` leads here"))
    );
}

#[test]
fn manifests_and_pages_are_read() {
    let text = "[dependencies]\nbytes = \"1\"\nlog.workspace = true\n[dependencies.rand]\n\
        version = \"1\"\n[target.x.dependencies]\nlibc = \"1\"\n\
        [dev-dependencies]\nserde = \"1\"\n";
    assert_lines(foreign_dependencies, "core/Cargo.toml", text, &[3, 4, 7]);
    let manifests = [
        Source::new("Cargo.toml", "rust-version = \"1.2\""),
        Source::new("a/Cargo.toml", "rust-version = \"1.2\""),
    ];
    assert!(manifests.iter().filter_map(second_msrv).eq([second_msrv(&manifests[1]).unwrap()]));
    let page = |text: &str| Source::new("README.md", text);
    assert_eq!(msrv_unsaid(&manifests, &[page("needs Rust 1.2")]), None);
    assert!(msrv_unsaid(&manifests, &[page("needs Rust 1.1")]).is_some());
    let rust = [Source::new("examples/a.rs", "fn main() {}\n")];
    let quote = |text: &str| page(&format!("<!-- examples/a.rs -->\n\n```rust\n{text}\n```\n"));
    assert_eq!(stale_quotes(&quote("fn main() {}"), &rust), [""; 0]);
    assert_eq!(stale_quotes(&quote("fn main() { }"), &rust).len(), 1);
    let top = ["core", ".git", "target", "notes.txt"].map(str::to_owned);
    assert_eq!(strangers(&top), ["notes.txt:1: does not belong to the top level"]);
}
