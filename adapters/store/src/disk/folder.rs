//! The folder of a store: who has it, in which format it is, and which of its databases counts.
//!
//! ```text
//! lock      held by the process that uses the store
//! format    the version of the format, and the number of the database that counts
//! 1/ 2/ …   databases: one, but for the moments in which another takes its place
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::format::Formats;
use crate::{Failure, Findings};

/// See the module.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The database that counts.
    pub(crate) current: u64,
    /// Its format, when it was opened.
    pub(crate) found: u32,
    /// The format that is written.
    present: u32,
    _lock: File,
}

impl Folder {
    /// Takes a folder, which is made if there is none.
    pub(crate) fn open(
        path: &Path,
        formats: &Formats,
        findings: &mut Findings,
    ) -> Result<Self, Failure> {
        let present = formats.present;
        make_private_folder(path)?;
        let lock = open_private(&path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Failure::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let numbers = databases(path)?;
        let mut is_new = false;
        let (found, current) = match read_format(path, present)? {
            Format::Is(found, _) if found > present => {
                return Err(Failure::Newer { path: path.to_owned(), found, known: present });
            }
            Format::Is(found, current) => (found, current),
            Format::Missing if numbers.is_empty() => {
                if holds_other_things(path)? {
                    return Err(Failure::NoStore(path.to_owned()));
                }
                is_new = true;
                (present, 0)
            }
            Format::Missing | Format::Damaged => {
                let last = numbers.iter().max().copied().unwrap_or_default();
                findings.lost(format!("the file `format` was damaged: database {last} is taken"));
                (present, last)
            }
        };
        make_contents_private(path)?;
        let mut folder = Self { path: path.to_owned(), current, found, present, _lock: lock };
        // What was to take its place, or was replaced by it.
        for other in numbers.into_iter().filter(|number| *number != current) {
            fs::remove_dir_all(folder.database(other))?;
        }
        if is_new {
            folder.set_current(0)?; // from now on it is known to be a store
        }
        Ok(folder)
    }

    /// Where a database is.
    pub(crate) fn database(&self, number: u64) -> PathBuf {
        self.path.join(number.to_string())
    }

    /// From now on, and also after a power failure, this database counts.
    pub(crate) fn set_current(&mut self, number: u64) -> Result<(), Failure> {
        let new = self.path.join("format.new");
        let mut file = open_private(&new)?;
        file.set_len(0)?;
        let present = self.present;
        write!(file, "tamtam store\nformat {present}\ncurrent {number}\n")?;
        file.sync_all()?;
        fs::rename(&new, self.path.join("format"))?;
        sync_folder(&self.path)?;
        self.current = number;
        Ok(())
    }

    /// Puts a database aside that can't be used. Where it is now.
    pub(crate) fn put_aside(&self, number: u64) -> Result<PathBuf, Failure> {
        let free = (1..).map(|at| self.path.join(format!("damaged-{at}")));
        let Some(to) = free.into_iter().find(|path| !path.exists()) else {
            return Err(Failure::Io(io::ErrorKind::AlreadyExists.into()));
        };
        fs::rename(self.database(number), &to)?;
        sync_folder(&self.path)?;
        Ok(to)
    }

    /// How many bytes have to be free to begin anew, if fewer are, and fewer than `least`.
    pub(crate) fn missing_room(&self, least: u64) -> io::Result<Option<u64>> {
        let bytes = size_of(&self.database(self.current))?.saturating_add(LITTLE as u64);
        let free = free_bytes(&self.path)?;
        Ok(free.is_some_and(|free| free < bytes.min(least)).then_some(bytes))
    }

    /// Whether there is room to begin anew, beside the database that counts until then.
    pub(crate) fn check_room(&self) -> Result<(), Failure> {
        if let Some(bytes) = self.missing_room(u64::MAX)? {
            return Err(Failure::NoRoom { bytes });
        }
        let path = self.path.join("room");
        let result = (|| {
            let mut file = open_private(&path)?;
            file.write_all(&vec![1; LITTLE])?;
            file.sync_all()
        })();
        let removed = fs::remove_file(&path);
        result?;
        removed?;
        Ok(())
    }
}

/// How many bytes are needed for the beginning of a database.
const LITTLE: usize = 4 << 20;

/// How many bytes a folder has on the disk; its files may have holes.
fn size_of(path: &Path) -> io::Result<u64> {
    let mut sum = 0_u64;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let data = entry.metadata()?;
        sum = sum.saturating_add(if data.is_dir() { size_of(&entry.path())? } else { used(&data) });
    }
    Ok(sum)
}

#[cfg(unix)]
fn used(data: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    data.blocks().saturating_mul(512)
}

#[cfg(not(unix))]
fn used(data: &fs::Metadata) -> u64 {
    data.len()
}

/// How many bytes are free, where the system says so.
fn free_bytes(path: &Path) -> io::Result<Option<u64>> {
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(path)?;
        Ok(Some(disk.f_bavail.saturating_mul(disk.f_frsize)))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(None)
    }
}

enum Format {
    Missing,
    Damaged,
    /// The version, and the database that counts.
    Is(u32, u64),
}

fn read_format(path: &Path, present: u32) -> Result<Format, Failure> {
    let text = match fs::read(path.join("format")) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Format::Missing),
        Err(error) => return Err(error.into()),
    };
    let mut lines = text.lines();
    let is_ours = lines.next() == Some("tamtam store");
    let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    let (version, current) = (value("format"), value("current"));
    Ok(match (is_ours, version, current) {
        (true, Some(version), current) if version > u64::from(present) => {
            let version = u32::try_from(version).unwrap_or(u32::MAX);
            Format::Is(version, current.unwrap_or_default())
        }
        (true, Some(version @ 1..), Some(current)) => {
            Format::Is(u32::try_from(version).unwrap_or(u32::MAX), current)
        }
        _ => Format::Damaged,
    })
}

/// The numbers of the databases.
fn databases(path: &Path) -> Result<Vec<u64>, Failure> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(path)? {
        if let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

fn holds_other_things(path: &Path) -> Result<bool, Failure> {
    let ours = ["lock", "format.new", "room"];
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if !ours.iter().any(|ours| name == *ours) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// Makes a folder that nobody but its owner can look into; one that is there already becomes so.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        builder.mode(0o700);
        builder.create(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
    }
    #[cfg(not(unix))]
    builder.create(path)
}

/// Makes files and folders in a folder their owner's alone, with all that is in them.
pub(crate) fn make_contents_private(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    for entry in fs::read_dir(path)? {
        use std::os::unix::fs::PermissionsExt;
        let entry = entry?;
        let data = entry.metadata()?;
        let (path, mode) = (entry.path(), data.permissions().mode());
        if mode & 0o077 != 0 && !data.is_symlink() {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o700))?;
        }
        if data.is_dir() {
            make_contents_private(&path)?;
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// What was made, renamed or removed in a folder survives a power failure.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
