//! Who there is, and by which password each is known.
//!
//! The file is mosquitto's: a line `name:hash` for each account, comments behind `#`. A line that
//! can't be read is an error, never an account without a password.

mod checker;
mod hash;

use std::collections::HashMap;
use std::path::Path;

pub use checker::{Checker, Question};
pub use hash::Hash;

/// Every account, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    hashes: HashMap<String, Hash>,
    /// What a password is compared with if nobody has the name, so that strangers can't tell
    /// from the time it takes whether somebody has.
    decoy: Option<Hash>,
}

/// Lines that can't be read: their numbers, and why.
pub type WrongLines = Vec<(usize, String)>;

impl Accounts {
    /// Reads the text of a password file.
    ///
    /// # Errors
    /// Each line that is wrong, with its number.
    pub fn parse(text: &str) -> Result<Self, WrongLines> {
        let mut accounts = Self::default();
        let mut wrong = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if let Err(what) = accounts.read(line) {
                wrong.push((index + 1, what));
            }
        }
        if wrong.is_empty() { Ok(accounts) } else { Err(wrong) }
    }

    fn read(&mut self, line: &str) -> Result<(), String> {
        let line = line.trim_end_matches('\r');
        if line.trim().is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (name, hash) =
            line.split_once(':').ok_or("there is no `:` between a name and a hash")?;
        check_name(name)?;
        let hash = Hash::parse(hash)?;
        if self.decoy.is_none() {
            self.decoy = Some(hash.clone());
        }
        match self.hashes.insert(name.to_owned(), hash) {
            None => Ok(()),
            Some(_) => Err(format!("there is another account `{name}` above")),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether this is the password of that account. It takes some time, on purpose: see
    /// [`Checker`].
    #[must_use]
    pub fn accept(&self, name: &str, password: &[u8]) -> bool {
        match (self.hashes.get(name), &self.decoy) {
            (Some(hash), _) => hash.is_of(password),
            (None, Some(decoy)) => {
                std::hint::black_box(decoy.is_of(password));
                false
            }
            (None, None) => false,
        }
    }

    /// Whether somebody has this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.hashes.contains_key(name)
    }

    /// Whether an account is there and is the same in `other`.
    #[must_use]
    pub fn has_same(&self, name: &str, other: &Self) -> bool {
        self.hashes.get(name).is_some_and(|hash| other.hashes.get(name) == Some(hash))
    }
}

/// Whether a name can stand in a password file.
///
/// # Errors
/// Why not.
pub fn check_name(name: &str) -> Result<(), String> {
    match name {
        "" => Err("the name is empty".to_owned()),
        _ if name.len() > usize::from(u16::MAX) => Err("the name is too long".to_owned()),
        _ if name.contains(':') => Err("a name can't hold `:`".to_owned()),
        _ if name.starts_with('#') => Err("a name can't begin with `#`".to_owned()),
        _ if name.chars().any(char::is_control) => {
            Err("a name can't hold control characters".to_owned())
        }
        _ => Ok(()),
    }
}

/// The text of a password file with an account added or changed; all other lines stay as they are.
#[must_use]
pub fn with_account(text: &str, name: &str, hash: &Hash) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let line = format!("{name}:{hash}");
    match lines.iter_mut().find(|line| is_of(line, name)) {
        Some(old) => *old = line,
        None => lines.push(line),
    }
    lines.join("\n") + "\n"
}

/// The text of a password file without an account; `None` if it was not there.
#[must_use]
pub fn without_account(text: &str, name: &str) -> Option<String> {
    text.lines().any(|line| is_of(line, name)).then(|| {
        let others = text.lines().filter(|line| !is_of(line, name));
        others.flat_map(|line| [line, "\n"]).collect()
    })
}

fn is_of(line: &str, name: &str) -> bool {
    line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'))
}

/// Writes a file that only its owner can read, in one step: whoever reads it meanwhile sees the old
/// one or the new one.
///
/// # Errors
/// It can't be written.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let new = path.with_file_name(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown};
        options.mode(0o600);
        let mut file = options.open(&new)?;
        if let Ok(old) = std::fs::metadata(path) {
            file.set_permissions(old.permissions())?;
            // Only the superuser can give a file away; for others it is theirs already.
            let _ = chown(&new, Some(old.uid()), Some(old.gid()));
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
    }
    #[cfg(not(unix))]
    options.open(&new)?.write_all(text.as_bytes())?;
    let renamed = std::fs::rename(&new, path);
    if renamed.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    renamed
}

#[cfg(test)]
mod tests;
