//! Reads the file, and names the place of everything that is wrong with it.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::hint;
use super::settings::{Limits, Listener, Log, RuleLine, Section, TopicLine};
use super::{Config, Problems};

/// A table of the file, by key.
type Table<'a> = DeTable<'a>;

/// The file, while it is read.
struct Reader<'a> {
    name: &'a Path,
    base: &'a Path,
    text: &'a str,
    problems: Problems,
}

/// Reads the text of a file into a configuration.
pub(super) fn read(name: &Path, text: &str, config: &mut Config, problems: &mut Problems) {
    let base = name.parent().unwrap_or(Path::new(""));
    let mut reader = Reader { name, base, text, problems: Problems::default() };
    match DeTable::parse(text) {
        Ok(table) => reader.top(table.get_ref(), config),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            reader.problem(at, error.message());
        }
    }
    problems.0.extend(reader.problems.0);
}

impl Reader<'_> {
    /// Something is wrong at an offset.
    fn problem(&mut self, at: usize, what: &str) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.problems.0.push(format!("{}:{line}:{column}: {what}", self.name.display()));
    }

    fn top(&mut self, table: &Table<'_>, config: &mut Config) {
        const SECTIONS: [&str; 5] = ["log", "limits", "listener", "topic", "rule"];
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "log" => self.section::<Log>(value, &mut config.log),
                "limits" => self.section::<Limits>(value, &mut config.limits),
                "listener" => config.listeners = self.list::<Listener>("listener", value),
                "topic" => config.topics = self.list::<TopicLine>("topic", value),
                "rule" => config.rules = Some(self.list::<RuleLine>("rule", value)),
                _ => self.entry(key, value, &mut config.general, &SECTIONS),
            }
        }
    }

    /// A table that fills a section.
    fn section<T: Section>(&mut self, value: &Spanned<DeValue<'_>>, section: &mut T) {
        match value.get_ref() {
            DeValue::Table(table) => {
                for (key, value) in table {
                    self.entry(key, value, section, &[]);
                }
            }
            _ => self.problem(value.span().start, "this must be a table"),
        }
    }

    /// A table for each section of a list.
    fn list<T: Section>(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Vec<T> {
        let DeValue::Array(array) = value.get_ref() else {
            self.problem(value.span().start, &format!("write [[{key}]], once for each"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for value in array.iter() {
            let mut section = T::default();
            self.section(value, &mut section);
            sections.push(section);
        }
        sections
    }

    /// A key with its value. `others` may stand beside a section's own keys.
    fn entry<T: Section>(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        section: &mut T,
        others: &[&'static str],
    ) {
        let name = key.get_ref().as_ref();
        let Some(setting) = T::SETTINGS.iter().find(|setting| setting.key == name) else {
            let near = hint(name, T::keys().chain(others.iter().copied()));
            return self.problem(key.span().start, &format!("there is no key `{name}`{near}"));
        };
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            other => {
                let what = format!("`{name}` can't be {}", other.type_str());
                return self.problem(value.span().start, &what);
            }
        };
        if let Err(what) = (setting.take)(section, &text, self.base) {
            self.problem(value.span().start, &format!("{name}: {what}"));
        }
    }
}
