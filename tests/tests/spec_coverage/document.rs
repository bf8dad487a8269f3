//! What was found, as a document.

use std::collections::{BTreeMap, BTreeSet};
use std::{env, fs};

use super::{Citations, Side, Statement, TABLES, cited, root, summary};

/// What was found, for people, from the root of the repository.
const DOCUMENT: &str = "tests/spec/statements.md";

const DOCUMENT_HEAD: &str = "# Conformance\n\n\
    Each numbered statement of MQTT 5.0 and 3.1.1: the functions that enforce it and the tests \
    that prove it, or why it does not apply.\nGenerated from the sources by \
    `tests/tests/spec_coverage.rs`, which fails if it is not what they say.\n";

/// Holds the document to what was found, or writes it, if that is what `TAMTAM_BLESS` asks for.
pub(super) fn check(statements: &[Statement], citations: &Citations) -> Result<(), String> {
    let path = root().join(DOCUMENT);
    let text = document(statements, citations);
    if env::var_os("TAMTAM_BLESS").is_some() {
        return fs::write(&path, text).map_err(|error| format!("{DOCUMENT}: {error}"));
    }
    if fs::read_to_string(&path).is_ok_and(|written| written == text) {
        return Ok(());
    }
    Err(format!(
        "{DOCUMENT} is not what the sources say; write it anew: \
         TAMTAM_BLESS=1 cargo nextest run -p tamtam-tests --test spec_coverage"
    ))
}

fn document(statements: &[Statement], citations: &Citations) -> String {
    let mut text = String::from(DOCUMENT_HEAD);
    for (_, prefix, _) in TABLES {
        text += &format!("\n## {}\n\n", summary(prefix, statements));
        text += "| statement | role | in our words | enforced in | proved by |\n";
        text += "|---|---|---|---|---|\n";
        for statement in statements.iter().filter(|statement| statement.id.starts_with(prefix)) {
            text += &document_row(statement, citations);
        }
    }
    text
}

fn document_row(statement: &Statement, citations: &Citations) -> String {
    let Statement { id, role, words, reason, .. } = statement;
    if !reason.is_empty() {
        return format!("| {id} | {role} | {words} | does not apply: {reason} | |\n");
    }
    let [code, tests] = [Side::Code, Side::Test].map(|side| places(citations, id, side));
    format!("| {id} | {role} | {words} | {code} | {tests} |\n")
}

/// The places of one side, by file, with the functions in it. No line numbers: they would change
/// with every edit.
fn places(citations: &Citations, id: &str, side: Side) -> String {
    let mut files: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for place in cited(citations, id, side) {
        files.entry(&place.file).or_default().insert(&place.function);
    }
    let shown = files.into_iter().map(|(file, functions)| {
        let functions: Vec<_> = functions.into_iter().filter(|name| !name.is_empty()).collect();
        let colon = if functions.is_empty() { "" } else { ": " };
        format!("`{file}`{colon}{}", functions.join(", "))
    });
    shown.collect::<Vec<_>>().join("; ")
}
