//! What the style law needs to see of a Rust file: code without strings and comments, functions,
//! paths, modules.
//!
//! No parser: it knows strings, comments, characters, braces and words, which is enough for sources
//! that `rustfmt` has laid out.

/// A file, as it is and as the rules see it. All three texts have the same offsets.
pub(crate) struct Source {
    /// From the root of the repository, with `/`.
    pub(crate) file: String,
    pub(crate) text: String,
    /// The text with strings, characters and comments blanked.
    pub(crate) code: String,
    /// The text with everything but comments blanked.
    pub(crate) comments: String,
}

impl Source {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        let [mut code, mut comments] = [String::new(), String::new()];
        let mut rest = text;
        while !rest.is_empty() {
            let (part, length) = first_part(rest, code.ends_with(is_word));
            let (piece, behind) = rest.split_at(length);
            let blank = |byte| if byte == b'\n' { '\n' } else { ' ' };
            let blank: String = piece.bytes().map(blank).collect();
            code += if part == Part::Code { piece } else { &blank };
            comments += if part == Part::Comment { piece } else { &blank };
            rest = behind;
        }
        Self { file: file.to_owned(), text: text.to_owned(), code, comments }
    }

    /// A problem at an offset.
    pub(crate) fn at(&self, offset: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.file, line_of(&self.text, offset))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Comment,
    /// A string or a character.
    Literal,
}

/// What `text` begins with, and how many bytes of it that is.
fn first_part(text: &str, after_word: bool) -> (Part, usize) {
    if text.starts_with("//") {
        return (Part::Comment, text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return (Part::Comment, block_comment(text));
    }
    if text.starts_with('"') {
        return (Part::Literal, string(text));
    }
    if let Some(length) = raw_string(text).filter(|_| !after_word) {
        return (Part::Literal, length);
    }
    let mut chars = text.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('\''), Some('\\'), Some(escaped)) => {
            let begin = 2 + escaped.len_utf8();
            (Part::Literal, text[begin..].find('\'').map_or(text.len(), |end| begin + end + 1))
        }
        (Some('\''), Some(c), Some('\'')) => (Part::Literal, c.len_utf8() + 2),
        (first, ..) => (Part::Code, first.map_or(0, char::len_utf8)),
    }
}

/// How long the comment is, other comments in it included.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn string(text: &str) -> usize {
    let mut escaped = true; // the opening quote ends nothing
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `r"…"`, `br#"…"#` and the like.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.trim_start_matches(['b', 'c']).strip_prefix('r')?;
    let inner = rest.trim_start_matches('#');
    let fence = rest.len() - inner.len();
    let inner = inner.strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(fence));
    let length = inner.find(&closing).map_or(inner.len(), |end| end + closing.len());
    Some(text.len() - inner.len() + length)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The identifier that `text` begins with; empty if there is none.
pub(crate) fn word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// Where a word stands, as a whole.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let places = code.match_indices(word).map(|(at, _)| at);
    places.filter(move |&at| {
        !code[..at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word)
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Every function with a body: where it begins, its name, how many lines it has.
pub(crate) fn functions(code: &str) -> Vec<(usize, &str, usize)> {
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let name = word(code[at + 2..].trim_start());
        if let Some(begin) = body(code, at).filter(|_| !name.is_empty()) {
            let end = closing_brace(code, begin);
            found.push((at, name, line_of(code, end) - line_of(code, at) + 1));
        }
    }
    found
}

/// Where the body of the function at `at` opens, if it has one.
fn body(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(at + offset),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Where the brace closes that opens at `begin`.
fn closing_brace(code: &str, begin: usize) -> usize {
    let mut depth = 0;
    for (offset, c) in code[begin..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return begin + offset,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// The first names of all paths that begin with `root`: `a` and `b` for `root::{a::X, b}`.
///
/// `$crate` is no such root: what a macro leaves elsewhere goes by public paths.
pub(crate) fn heads<'a>(code: &'a str, root: &str) -> Vec<(usize, &'a str)> {
    let mut heads = Vec::new();
    for at in words(code, root).filter(|&at| !code[..at].ends_with('$')) {
        let Some(path) = code[at + root.len()..].strip_prefix("::") else { continue };
        let begin = code.len() - path.len();
        if !path.starts_with('{') {
            heads.push((begin, word(path)));
            continue;
        }
        let (mut depth, mut fresh) = (0, true);
        for (offset, c) in code[begin..closing_brace(code, begin)].char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' => fresh = true,
                c if is_word(c) && fresh && depth == 1 => {
                    heads.push((begin + offset, word(&code[begin + offset..])));
                    fresh = false;
                }
                _ => {}
            }
        }
    }
    heads
}

/// Where the modules of a file may be that have no body in it.
///
/// What stands within an inline module is looked for beside that module.
pub(crate) fn module_files(source: &Source, is_root: bool) -> Vec<String> {
    let Source { file, text, code, .. } = source;
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    let stem = name.trim_end_matches(".rs");
    let own = if is_root || stem == "mod" { "" } else { stem };
    let mut files = Vec::new();
    for at in words(code, "mod") {
        let behind = code[at + "mod".len()..].trim_start();
        let module = word(behind);
        if !behind[module.len()..].starts_with(';') {
            continue;
        }
        files.push(joined(folder, &format!("{own}/{module}.rs")));
        files.push(joined(folder, &format!("{own}/{module}/mod.rs")));
        let attributes = code[..at].rfind([';', '{', '}']).map_or(0, |end| end + 1);
        for path in words(&code[attributes..at], "path") {
            let quoted = text[attributes + path..at].split('"').nth(1).unwrap_or_default();
            files.push(joined(folder, quoted));
        }
    }
    files
}

/// `path` as seen from `folder`, without `..`.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

// The scanners scanned.

#[test]
fn strings_characters_and_comments_are_no_code() {
    let cases = [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        (r#"a("b \" c", d)"#, "a(        , d)"),
        (r###"a(r#"b " c"#, br"\", d)"###, "a(          ,      , d)"),
        (r"'a'; '\''; '\u{1F}'; 'b: &'c", "   ;     ;         ; 'b: &'c"),
        ("r#type; var\"x\"", "r#type; var   "),
        ("\"\u{e9}\" \u{e9}", "     \u{e9}"),
    ];
    for (text, code) in cases {
        assert_eq!(Source::new("x.rs", text).code, code, "{text}");
    }
    let source = Source::new("x.rs", "/// a \"b\nc");
    assert_eq!(source.comments, "/// a \"b\n ");
}

#[test]
fn a_function_ends_where_its_brace_does() {
    let code = "trait T { fn no_body(); }\nfn a(x: [u8; 4]) -> fn(u8)\nwhere\n    X: Y,\n{\n\
        if b { fn c() {} }\n}\nmacro_rules! m { ($n:ident) => { fn $n() {} } }\n";
    let names: Vec<_> = functions(code).iter().map(|&(_, name, lines)| (name, lines)).collect();
    assert_eq!(names, [("a", 6), ("c", 1)]);
}

#[test]
fn a_path_may_be_a_group() {
    let code =
        "use crate::a::b;\nuse crate::{c::{d, e}, f, g::h};\ncrates::i; my_crate::j; $crate::k";
    let names: Vec<_> = heads(code, "crate").iter().map(|&(_, name)| name).collect();
    assert_eq!(names, ["a", "c", "f", "g"]);
}

#[test]
fn modules_lead_to_files() {
    let text = "mod a;\nmod b { }\n// mod c;\n#[cfg_attr(x, path = \"../e.rs\")]\npub mod d;\n";
    let found = |file, is_root| module_files(&Source::new(file, text), is_root).join(" ");
    let expected = "w/src/a.rs w/src/a/mod.rs w/src/d.rs w/src/d/mod.rs w/e.rs";
    assert_eq!(found("w/src/lib.rs", true), expected);
    assert_eq!(found("w/src/mod.rs", false), expected);
    let expected = "w/src/f/a.rs w/src/f/a/mod.rs w/src/f/d.rs w/src/f/d/mod.rs w/e.rs";
    assert_eq!(found("w/src/f.rs", false), expected);
}
