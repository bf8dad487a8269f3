//! The engine on a disk: a log-structured database in a private folder.
//!
//! Messages and everything else lie in two parts of it, which change together. A group that begins
//! again goes to a new database, which takes the place of the old one once all of it is safe.

mod folder;
mod format;
mod journal;
mod read;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use fjall::config::FilterPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};

use crate::{Engine, Failure, Findings, Group, keys};
use folder::{Folder, make_private_folder, sync_folder};
use format::{FORMATS, Formats};

/// How many bytes of journals there may be before what is in them is sorted in; reading them takes
/// time at the start.
const JOURNAL_BYTES: u64 = 128 << 20;

/// How many bytes are collected in memory before they are sorted in.
const MEMORY_BYTES: u64 = 16 << 20;

/// How many bytes of what was read are remembered. Hardly anything is read twice.
const CACHE_BYTES: u64 = 4 << 20;

/// Longer messages are written once and stay where they are; shorter ones move as all else does.
const APART_BYTES: u32 = 4 << 10;

/// How many changes of a new database are written at once.
const STEP: usize = 10_000;

/// Keeps records in a folder of the file system.
pub struct Disk {
    folder: Folder,
    /// None after a failure.
    open: Option<Parts>,
    /// What is to take its place.
    next: Option<(u64, Parts)>,
    /// The highest number that a database has had.
    last: u64,
    /// What came to light when it was opened, and was not told yet.
    findings: Findings,
}

struct Parts {
    database: Database,
    bodies: Keyspace,
    state: Keyspace,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Disk {
    /// Opens the store in a folder, and makes one if there is none. Nobody but the owner can look
    /// into it, and no other process can open it meanwhile.
    ///
    /// It is the folder that keeps others out (mode 0700). The database makes its files in it with
    /// the mode that the process gives to files; a process that wants them to be private as well
    /// says so at its beginning (`umask`), as `tamtam broker` does. Those that are there when it is
    /// opened become so.
    ///
    /// # Errors
    /// [`Failure`]: another process has it, a later version wrote it, it is something else, or the
    /// system refuses. Damage is no error: [`Engine::load`] tells of it. One of an older version
    /// becomes one of this version.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        Self::open_as(path, &FORMATS)
    }

    fn open_as(path: &Path, formats: &Formats) -> Result<Self, Failure> {
        let mut findings = Findings::default();
        let mut folder = Folder::open(path, formats, &mut findings)?;
        let parts = match folder.current {
            0 => Self::begin(&mut folder)?,
            current => match open_mended(&folder.database(current), &mut findings) {
                Ok(parts) => migrate(&mut folder, parts, formats, &mut findings)?,
                Err(failure @ (Failure::Full | Failure::Io(_) | Failure::Locked(_))) => {
                    return Err(failure);
                }
                Err(failure) => {
                    let aside = folder.put_aside(current)?;
                    findings.lost(format!(
                        "the database can't be opened ({failure}): all of it is lost to the \
                         broker; its files are in {}",
                        aside.display()
                    ));
                    Self::begin(&mut folder)?
                }
            },
        };
        let last = folder.current;
        Ok(Self { folder, open: Some(parts), next: None, last, findings })
    }

    /// An empty database that counts from now on.
    fn begin(folder: &mut Folder) -> Result<Parts, Failure> {
        let number = folder.current + 1;
        let parts = create(&folder.database(number))?;
        folder.set_current(number)?;
        Ok(parts)
    }

    /// How many bytes its files have.
    ///
    /// # Errors
    /// [`Failure`], if the system does not say.
    pub fn disk_bytes(&self) -> Result<u64, Failure> {
        match &self.open {
            Some(parts) => parts.database.disk_space().map_err(failure),
            None => Ok(0),
        }
    }

    /// Where the database is that counts.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.folder.database(self.folder.current)
    }

    fn parts(&self) -> Result<&Parts, Failure> {
        self.open.as_ref().ok_or_else(|| Failure::Engine("it has failed before".into()))
    }

    /// A database that could not sort in what it had collected only says that it has failed. Where
    /// the disk is full, that is why, and what to do about it can be said.
    fn explain(&self, failure: Failure) -> Failure {
        let missing = self.folder.missing_room(2 * MEMORY_BYTES).unwrap_or_default();
        match (failure, missing) {
            (Failure::Engine(_) | Failure::Full, Some(bytes)) => Failure::NoRoom { bytes },
            (failure, _) => failure,
        }
    }

    /// A new database that is to take the place of the present one.
    fn prepare(&mut self) -> Result<(), Failure> {
        if self.next.is_none() {
            // Never one that may count, as far as the disk knows.
            self.last += 1;
            self.next = Some((self.last, create(&self.folder.database(self.last))?));
        }
        Ok(())
    }

    fn begin_again(&mut self, group: &Group) -> Result<(), Failure> {
        self.prepare()?;
        let Some((number, parts)) = self.next.take() else { return Ok(()) };
        if let Err(failure) = parts.fill(group) {
            drop(parts);
            let _ = fs::remove_dir_all(self.folder.database(number)); // it only takes room
            return Err(failure);
        }
        let old = self.folder.current;
        self.folder.set_current(number)?;
        self.open = Some(parts);
        // If it can't be removed now it is at the next start.
        let _ = fs::remove_dir_all(self.folder.database(old));
        Ok(())
    }
}

impl Parts {
    fn of(database: Database) -> Result<Self, Failure> {
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMORY_BYTES)
                .filter_policy(FilterPolicy::disabled())
        };
        let apart = KvSeparationOptions::default().separation_threshold(APART_BYTES);
        let bodies = || options().with_kv_separation(Some(apart));
        let bodies = database.keyspace("bodies", bodies).map_err(failure)?;
        let state = database.keyspace("state", options).map_err(failure)?;
        Ok(Self { database, bodies, state })
    }

    fn part_of(&self, key: &[u8]) -> &Keyspace {
        if keys::is_of_body(key) { &self.bodies } else { &self.state }
    }

    /// Writes all of a group, which a power failure then does not take away.
    fn fill(&self, group: &Group) -> Result<(), Failure> {
        let mut changes = group.changes().peekable();
        while changes.peek().is_some() {
            let mut batch = self.database.batch();
            for (key, value) in changes.by_ref().take(STEP) {
                if let Some(value) = value {
                    batch.insert(self.part_of(key), key, value);
                }
            }
            batch.commit().map_err(failure)?;
        }
        self.database.persist(PersistMode::SyncAll).map_err(failure)
    }

    fn commit(&self, group: &Group, sync: bool) -> Result<(), Failure> {
        let mode = if sync { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut batch = self.database.batch().durability(Some(mode));
        for prefix in group.gone() {
            for entry in self.state.prefix(prefix) {
                batch.remove(&self.state, entry.key().map_err(failure)?);
            }
        }
        for (key, value) in group.changes() {
            match value {
                Some(value) => batch.insert(self.part_of(key), key, value),
                None => batch.remove(self.part_of(key), key),
            }
        }
        if batch.is_empty() {
            return self.database.persist(mode).map_err(failure);
        }
        batch.commit().map_err(failure)
    }
}

impl Engine for Disk {
    fn load(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<Findings, Failure> {
        let mut findings = std::mem::take(&mut self.findings);
        let parts = self.parts()?;
        let mut values = |_: &[u8], value: &[u8]| each(value);
        read::all(&parts.bodies, "messages", &mut findings, &mut values);
        let state = "sessions and retained messages";
        read::all(&parts.state, state, &mut findings, &mut values);
        Ok(findings)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let parts = self.parts()?;
        let value = parts.part_of(key).get(key).map_err(failure)?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn commit(&mut self, group: &Group, sync: bool) -> Result<(), Failure> {
        let result = if group.begins_again() {
            self.begin_again(group)
        } else {
            self.parts().and_then(|parts| parts.commit(group, sync))
        };
        result.map_err(|failure| {
            (self.open, self.next) = (None, None);
            self.explain(failure)
        })
    }

    fn reopen(&mut self) -> Result<(), Failure> {
        self.folder.check_room()?;
        self.prepare()
    }
}

/// A database of an older format becomes one of the present format.
fn migrate(
    folder: &mut Folder,
    old: Parts,
    formats: &Formats,
    findings: &mut Findings,
) -> Result<Parts, Failure> {
    let (found, present) = (folder.found, formats.present);
    if found >= present {
        return Ok(old);
    }
    let (steps, current) = (formats.steps_from(found), folder.current);
    let parts = if steps.clone().any(Option::is_some) {
        let new = create(&folder.database(current + 1))?;
        for (part, what) in [(&old.bodies, "messages"), (&old.state, "sessions")] {
            let mut batch = new.database.batch();
            let mut result = Ok(());
            read::all(part, what, findings, &mut |key, value| {
                if let Some((key, value)) = format::change(steps.clone(), key, value) {
                    batch.insert(new.part_of(&key), key, value);
                }
                if batch.len() >= STEP && result.is_ok() {
                    let full = std::mem::replace(&mut batch, new.database.batch());
                    result = full.commit().map_err(failure);
                }
            });
            result.and_then(|()| batch.commit().map_err(failure))?;
        }
        new.database.persist(PersistMode::SyncAll).map_err(failure)?;
        folder.set_current(current + 1)?;
        drop(old);
        let _ = fs::remove_dir_all(folder.database(current)); // or else at the next start
        new
    } else {
        folder.set_current(current)?;
        old
    };
    findings.remark(format!("it had format {found}, and has format {present} from now on"));
    Ok(parts)
}

/// What the database says, and the disk below it.
fn failure(error: fjall::Error) -> Failure {
    match error {
        fjall::Error::Io(error) => error.into(),
        fjall::Error::Storage(fjall::LsmError::Io(error)) => error.into(),
        other => Failure::Engine(other.to_string()),
    }
}

fn open_database(path: &Path) -> Result<Database, Failure> {
    Database::builder(path)
        .manual_journal_persist(true)
        .max_journaling_size(JOURNAL_BYTES)
        .cache_size(CACHE_BYTES)
        .worker_threads(1)
        .open()
        .map_err(failure)
}

fn create(path: &Path) -> Result<Parts, Failure> {
    make_private_folder(path)?;
    let parts = Parts::of(open_database(path)?)?;
    if let Some(parent) = path.parent() {
        sync_folder(parent)?;
    }
    Ok(parts)
}

/// Opens a database, after its journals were mended.
fn open_mended(path: &Path, findings: &mut Findings) -> Result<Parts, Failure> {
    if !path.is_dir() {
        return Err(Failure::Engine("it is not there".into()));
    }
    let saved = journal::mend(path, findings)?;
    let parts = Parts::of(open_database(path)?)?;
    let mut batch = parts.database.batch().durability(Some(PersistMode::SyncAll));
    for change in saved {
        let part = [&parts.bodies, &parts.state].into_iter().find(|it| it.id() == change.keyspace);
        match (part, change.value) {
            (Some(part), Some(value)) => batch.insert(part, change.key, value),
            (Some(part), None) => batch.remove(part, change.key),
            (None, _) => {}
        }
    }
    batch.commit().map_err(failure)?;
    Ok(parts)
}
