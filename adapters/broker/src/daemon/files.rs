//! The files that a configuration names, read and checked.

use std::path::Path;
use std::sync::Arc;

use crate::accounts::Accounts;
use crate::config::{Config, Problems};
use crate::rules::Rules;

/// Accounts and rules.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The accounts; `None` if no file has any.
    pub accounts: Option<Arc<Accounts>>,
    /// The rules; `None` if everything is allowed.
    pub rules: Option<Rules>,
    /// What somebody should look at, though the broker can start.
    pub warnings: Vec<String>,
}

impl Loaded {
    /// Reads them.
    ///
    /// # Errors
    /// Every wrong line of every file, as `file:line: what`.
    pub fn read(config: &Config) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut loaded = Self::default();
        let general = &config.general;
        if let Some(path) = &general.password_file {
            let accounts = parsed(path, Accounts::parse, &mut problems);
            if accounts.as_ref().is_some_and(Accounts::is_empty) {
                let name = path.display();
                let what = format!("{name}: there is no account in it: see `tamtam passwd --help`");
                loaded.warnings.push(what);
            }
            loaded.accounts = accounts.map(Arc::new);
        }
        if let Some(path) = &general.acl_file {
            loaded.rules = parsed(path, Rules::parse_acl, &mut problems);
        }
        if let Some(lines) = &config.rules {
            loaded.rules.get_or_insert_default().extend(lines);
        }
        if general.password_file.is_none() && loaded.rules.as_ref().is_some_and(Rules::name_users) {
            loaded.warnings.push(
                "there are rules for users but no accounts: anybody may claim any name".to_owned(),
            );
        }
        problems.none().map(|()| loaded)
    }
}

/// A file of lines, parsed; what is wrong goes to the problems.
fn parsed<T>(
    path: &Path,
    parse: impl Fn(&str) -> Result<T, Vec<(usize, String)>>,
    problems: &mut Problems,
) -> Option<T> {
    let name = path.display();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            problems.0.push(format!("{name}: {error}"));
            return None;
        }
    };
    match parse(&text) {
        Ok(value) => Some(value),
        Err(wrong) => {
            let line = |(line, what): (usize, String)| format!("{name}:{line}: {what}");
            problems.0.extend(wrong.into_iter().map(line));
            None
        }
    }
}
