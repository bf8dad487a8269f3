//! Closes the triangle statement, code, test.
//!
//! The tables in `tests/spec/` have a row for every numbered statement of the specification. This
//! test finds every citation in the sources and holds the three together: no citation without a
//! statement, no `covered` without code and test, and never more that is `later` than now. What
//! the columns mean and how a citation looks is in `tests/spec/README.md`.
//!
//! What it finds is a document, `tests/spec/statements.md`, which it holds to the sources; with
//! `TAMTAM_BLESS=1` it writes it.

#[path = "spec_coverage/document.rs"]
mod document;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// File, version prefix of its ids, and how many statements that version numbers.
const TABLES: [(&str, &str, usize); 2] = [("mqtt5.txt", "MQTT5", 251), ("mqtt3.txt", "MQTT3", 141)];

const ROLES: [&str; 3] = ["client", "server", "both"];
const STATUSES: [&str; 3] = ["later", "covered", "n/a"];

/// The layers, and how many statements of each are still `later`. Numbers only ever go down.
const LATER: [(&str, usize); 5] =
    [("codec", 0), ("flow", 0), ("client", 0), ("broker", 0), ("transport", 0)];

/// The longest that a row's words may be, in characters.
const WORDS_MAX: usize = 100;

/// One row of a table.
#[derive(Debug)]
struct Statement {
    id: String,
    role: String,
    layer: String,
    status: String,
    words: String,
    /// Why it does not bind us; empty unless the status is `n/a`.
    reason: String,
    /// File and line of the row.
    at: String,
}

/// On which side of the triangle a citation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Code,
    Test,
}

/// One place that names a statement.
#[derive(Debug)]
struct Citation {
    id: String,
    side: Side,
    /// Relative to the root of the repository, with `/`.
    file: String,
    line: usize,
    /// The function that it stands in or above; empty if there is none.
    function: String,
}

/// All places that cite a statement, by its id.
type Citations = BTreeMap<String, Vec<Citation>>;

#[test]
fn every_statement_is_enforced_and_proved() {
    let mut problems = Vec::new();
    let statements = read_tables(&mut problems);
    let citations = read_sources(&mut problems);
    problems.extend(check_triangle(&statements, &citations));
    problems.extend(check_ratchet(&statements));
    if let Err(problem) = document::check(&statements, &citations) {
        problems.push(problem);
    }
    assert!(
        problems.is_empty(),
        "problems with the statements of the specification: {}\n  {}\n",
        problems.len(),
        problems.join("\n  "),
    );
    for (_, prefix, _) in TABLES {
        println!("{}", summary(prefix, &statements));
    }
}

fn summary(prefix: &str, statements: &[Statement]) -> String {
    let count = |status: &str| {
        statements.iter().filter(|s| s.id.starts_with(prefix) && s.status == status).count()
    };
    let [later, covered, not] = STATUSES.map(count);
    format!("{prefix}: {covered} covered, {later} later, {not} n/a")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path, problems: &mut Vec<String>) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| {
        problems.push(format!("{}: {error}", path.display()));
        String::new()
    })
}

// The tables.

fn read_tables(problems: &mut Vec<String>) -> Vec<Statement> {
    let mut all = Vec::new();
    for (file, prefix, expected) in TABLES {
        let text = read(&root().join("tests/spec").join(file), problems);
        let table = parse_table(file, prefix, &text, problems);
        if table.len() != expected {
            problems.push(format!("{file}: {} statements instead of {expected}", table.len()));
        }
        all.extend(table);
    }
    all
}

fn parse_table(file: &str, prefix: &str, text: &str, problems: &mut Vec<String>) -> Vec<Statement> {
    let mut table: Vec<Statement> = Vec::new();
    for (index, row) in text.lines().enumerate() {
        if row.trim().is_empty() || row.starts_with('#') {
            continue;
        }
        let at = format!("tests/spec/{file}:{}", index + 1);
        let statement = match parse_row(row, &at) {
            Ok(statement) => statement,
            Err(problem) => {
                problems.push(format!("{at}: {problem}"));
                continue;
            }
        };
        let id = statement.id.as_str();
        if !id.starts_with(prefix) {
            problems.push(format!("{at}: {id} belongs into another table"));
        }
        if let Some(last) = table.last().filter(|last| position(&last.id) >= position(id)) {
            problems.push(format!("{at}: {id} is repeated or out of order after {}", last.id));
        }
        table.push(statement);
    }
    table
}

fn parse_row(row: &str, at: &str) -> Result<Statement, String> {
    let columns: Vec<&str> = row.split(" | ").collect();
    let &[id, role, layer, status, text] = columns.as_slice() else {
        return Err(format!("{} columns instead of 5", columns.len()));
    };
    if id_at(id) != Some(id) {
        return Err(format!("`{id}` is not an id"));
    }
    for (name, value, allowed) in [("role", role, ROLES), ("status", status, STATUSES)] {
        if !allowed.contains(&value) {
            return Err(format!("{id} has no such {name}: `{value}`"));
        }
    }
    if !LATER.iter().any(|&(name, _)| name == layer) {
        return Err(format!("{id} has no such layer: `{layer}`"));
    }
    let (words, reason) = match text.split_once(" -- ") {
        Some((words, reason)) if status == "n/a" => (words.trim(), reason.trim()),
        Some(_) => return Err(format!("{id} gives a reason, but is `{status}`")),
        None if status == "n/a" => return Err(format!("{id} is `n/a` without a reason")),
        None => (text.trim(), ""),
    };
    if words.is_empty() || (status == "n/a" && reason.is_empty()) {
        return Err(format!("{id} has no words or no reason"));
    }
    if words.chars().count() > WORDS_MAX {
        return Err(format!("{id} has more than {WORDS_MAX} characters of words"));
    }
    Ok(Statement {
        id: id.to_owned(),
        role: role.to_owned(),
        layer: layer.to_owned(),
        status: status.to_owned(),
        words: words.to_owned(),
        reason: reason.to_owned(),
        at: at.to_owned(),
    })
}

/// The numbers of an id, which order it as the specification does.
fn position(id: &str) -> Vec<u32> {
    id.split(['.', '-']).skip(1).filter_map(|number| number.parse().ok()).collect()
}

/// The id that `text` begins with, as `MQTT5-3.3.1-2`.
fn id_at(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("MQTT5-").or_else(|| text.strip_prefix("MQTT3-"))?;
    let (section, rest) = rest.split_once('-')?;
    let numbers = section
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let ends = !rest[digits..].starts_with(|next: char| next.is_alphanumeric() || next == '_');
    let length = text.len() - rest.len() + digits;
    (numbers && digits > 0 && ends).then(|| &text[..length])
}

// The sources.

fn read_sources(problems: &mut Vec<String>) -> Citations {
    let mut files = Vec::new();
    for folder in ["core/src", "core/tests", "tests/src", "tests/tests"] {
        walk(&root().join(folder), &mut files);
    }
    for adapter in entries(&root().join("adapters")) {
        walk(&adapter.join("src"), &mut files);
        walk(&adapter.join("tests"), &mut files);
    }
    let mut citations = Citations::new();
    for path in files {
        let text = read(&path, problems);
        for citation in find_citations(&relative(&path), &text, problems) {
            citations.entry(citation.id.clone()).or_default().push(citation);
        }
    }
    citations
}

/// What is in a folder, by name; nothing if there is no such folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Collects the Rust files below a folder, but for this one: its ids are made up.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for path in entries(folder) {
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && !path.ends_with("tests/tests/spec_coverage.rs")
        {
            files.push(path);
        }
    }
}

fn relative(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap_or(path);
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// Finds every citation of a file, and complains about ids that are written in another way.
fn find_citations(file: &str, text: &str, problems: &mut Vec<String>) -> Vec<Citation> {
    let test_file = file.split('/').any(|part| part == "tests" || part == "tests.rs");
    // By convention an inline test module is the last item of its file.
    let tests_begin = text.find("\nmod tests {");
    let lines: Vec<&str> = text.lines().collect();
    let mut citations = Vec::new();
    let mut listed_to = None;
    for (at, _) in text.match_indices("MQTT") {
        let line = text[..at].matches('\n').count();
        let opened = text[..at].ends_with(['[', '"']);
        let Some(id) = id_at(&text[at..]) else {
            if opened && looks_like_id(&text[at..]) {
                problems.push(format!(
                    "{file}:{}: `{}` is not the id of a statement",
                    line + 1,
                    text[at..].split([']', '"', ',', '\n']).next().unwrap_or_default(),
                ));
            }
            continue;
        };
        let goes_on = listed_to.is_some_and(|end| separates(&text[end..at]));
        if !opened && !goes_on {
            problems.push(format!("{file}:{}: cite {id} in brackets: [{id}]", line + 1));
            continue;
        }
        listed_to = Some(at + id.len());
        let test = test_file || tests_begin.is_some_and(|begin| at > begin);
        citations.push(Citation {
            id: id.to_owned(),
            side: if test { Side::Test } else { Side::Code },
            file: file.to_owned(),
            line: line + 1,
            function: function_at(&lines, line).to_owned(),
        });
    }
    citations
}

/// Whether somebody may have meant an id: no version digit, or no number of a statement.
fn looks_like_id(text: &str) -> bool {
    let rest = text.trim_start_matches("MQTT").trim_start_matches(['3', '5']);
    rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether this stands between two ids of one list, which may go on in the next comment line.
fn separates(between: &str) -> bool {
    between.contains(',') && between.chars().all(|c| c.is_whitespace() || "/!*,".contains(c))
}

/// The function whose comment or body a line belongs to.
fn function_at<'a>(lines: &[&'a str], line: usize) -> &'a str {
    let above = |text: &&&str| {
        let text = text.trim_start();
        text.starts_with("//") || text.starts_with("#[")
    };
    let comment = lines[line..].iter().take_while(above).count();
    let below = lines.get(line + comment).filter(|_| comment > 0);
    let name = |text: &&'a str| function_name(text);
    below.and_then(name).or_else(|| lines[..=line].iter().rev().find_map(name)).unwrap_or_default()
}

/// The name of the function that begins on this line.
fn function_name(text: &str) -> Option<&str> {
    let (before, after) = text.split_once("fn ")?;
    let begins = before.split_whitespace().all(|word| {
        word.starts_with("pub") || ["const", "async", "unsafe", "extern"].contains(&word)
    });
    let length = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
    (begins && length > 0).then(|| &after[..length])
}

// The checks.

fn check_triangle(statements: &[Statement], citations: &Citations) -> Vec<String> {
    let mut problems = Vec::new();
    for (id, places) in citations {
        if !statements.iter().any(|statement| statement.id == *id) {
            problems.extend(
                places
                    .iter()
                    .map(|place| format!("{}:{}: {id} is no statement", place.file, place.line)),
            );
        }
    }
    for Statement { id, status, at, .. } in statements {
        let code = cited(citations, id, Side::Code).next();
        let test = cited(citations, id, Side::Test).next();
        match (status.as_str(), code, test) {
            ("covered", None, None) => {
                problems.push(format!("{at}: {id} is `covered`, but no code and no test cites it"));
            }
            ("covered", None, _) => {
                problems.push(format!("{at}: {id} is `covered`, but no code cites it"));
            }
            ("covered", _, None) => {
                problems.push(format!("{at}: {id} is `covered`, but no test cites it"));
            }
            ("later", Some(code), Some(test)) => problems.push(format!(
                "{at}: flip {id} to `covered`: {}:{} enforces it, {}:{} proves it",
                code.file, code.line, test.file, test.line,
            )),
            ("n/a", _, Some(test)) => {
                let Citation { file, line, .. } = test;
                problems.push(format!("{at}: {id} is `n/a`, but {file}:{line} tests it"));
            }
            _ => {}
        }
    }
    problems
}

fn cited<'a>(
    citations: &'a Citations,
    id: &str,
    side: Side,
) -> impl Iterator<Item = &'a Citation> + use<'a> {
    citations.get(id).into_iter().flatten().filter(move |citation| citation.side == side)
}

fn check_ratchet(statements: &[Statement]) -> Vec<String> {
    let mut problems = Vec::new();
    for (layer, pinned) in LATER {
        let later = statements.iter().filter(|s| s.layer == layer && s.status == "later").count();
        if later > pinned {
            problems.push(format!("{layer}: {later} rows are `later`, at most {pinned} may be"));
        } else if later < pinned {
            problems.push(format!("{layer}: lower its number in LATER from {pinned} to {later}"));
        }
    }
    problems
}

// The checker checked.

#[test]
fn a_table_names_every_bad_row() {
    let text = "# comment\n\
        MQTT5-1.5.4-2 | both | codec | later | Fine.\n\
        MQTT5-1.5.4-2 | both | codec | later | Again.\n\
        MQTT3-1.5.10-1 | both | codec | later | Elsewhere.\n\
        MQTT5-1.6 | both | codec | later | No id.\n\
        MQTT5-1.6-1 | nobody | codec | later | No role.\n\
        MQTT5-1.6-1 | both | kitchen | later | No layer.\n\
        MQTT5-1.6-1 | both | codec | n/a | No reason.\n\
        MQTT5-1.6-1 | both | codec | later\n";
    let mut problems = Vec::new();
    assert_eq!(parse_table("x", "MQTT5", text, &mut problems).len(), 3);
    let ends = ["MQTT5-1.5.4-2", "table", "an id", "`nobody`", "`kitchen`", "reason", "of 5"];
    assert_eq!(problems.len(), ends.len(), "{problems:#?}");
    for (problem, end) in problems.iter().zip(ends) {
        assert!(problem.ends_with(end), "{problem}");
    }
}

#[test]
fn a_citation_stands_in_brackets_or_quotes() {
    let text = "/// Why [MQTT5-3.3.1-1, MQTT3-3.3.1-1,\n/// MQTT5-4.2-1].\nfn below() {\n\
        cite(\"MQTT5-1.5.4-1\") // MQTT5-9.9.9-9\n}\n// [MQTT5-2.1.2] [MQTT-1.5.4-1]\n\
        #[cfg(test)]\nmod tests {\n#[test]\nfn proof() {} // [MQTT3-4.8.0-1]\n}\n";
    let mut problems = Vec::new();
    let found = find_citations("core/src/x.rs", text, &mut problems);
    let found: Vec<_> =
        found.iter().map(|c| (c.id.as_str(), c.side, c.line, c.function.as_str())).collect();
    let expected = [
        ("MQTT5-3.3.1-1", Side::Code, 1, "below"),
        ("MQTT3-3.3.1-1", Side::Code, 1, "below"),
        ("MQTT5-4.2-1", Side::Code, 2, "below"),
        ("MQTT5-1.5.4-1", Side::Code, 4, "below"),
        ("MQTT3-4.8.0-1", Side::Test, 10, "proof"),
    ];
    assert_eq!(found, expected);
    assert_eq!(problems.len(), 3, "{problems:#?}");
}

#[test]
fn the_triangle_names_every_gap() {
    let table = "MQTT5-1.1-1 | both | codec | covered | Only code.\n\
        MQTT5-1.1-2 | both | codec | covered | Only a test.\n\
        MQTT5-1.1-3 | both | codec | covered | Neither.\n\
        MQTT5-1.1-4 | both | codec | later | Both.\n\
        MQTT5-1.1-5 | both | codec | n/a | Tested. -- for no reason\n\
        MQTT5-1.1-6 | both | codec | covered | Both.\n";
    let mut problems = Vec::new();
    let statements = parse_table("x", "MQTT5", table, &mut problems);
    let mut citations = Citations::new();
    let code = "[MQTT5-1.1-1, MQTT5-1.1-4, MQTT5-1.1-6]";
    let tests = "[MQTT5-1.1-2, MQTT5-1.1-4, MQTT5-1.1-5, MQTT5-1.1-6, MQTT5-1.1-7]";
    for (file, text) in [("core/src/x.rs", code), ("core/src/tests.rs", tests)] {
        for citation in find_citations(file, text, &mut problems) {
            citations.entry(citation.id.clone()).or_default().push(citation);
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    let problems = check_triangle(&statements, &citations);
    let ends = ["no statement", "no test cites it", "no code cites it", "no test cites it"];
    let ends = ends.into_iter().chain(["proves it", "tests it"]);
    assert_eq!(problems.len(), ends.clone().count(), "{problems:#?}");
    for (problem, end) in problems.iter().zip(ends) {
        assert!(problem.ends_with(end), "{problem}");
    }
}
