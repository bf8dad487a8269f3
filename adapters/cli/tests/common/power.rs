//! A model of a disk whose power fails: what a process did to the files of a folder, as `strace`
//! saw it, and what of that is left.
//!
//! Only what a completed fsync covered is sure to be there: the bytes of a file after one of the
//! file, the names in a folder after one of the folder. Everything since may be there or not, in
//! any order, and torn.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// What `strace` is to show.
pub const CALLS: &str = "trace=openat,write,writev,pwrite64,lseek,ftruncate,fallocate,fsync,\
                         fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,\
                         link,linkat,copy_file_range";

/// Bytes that a disk writes together.
const SECTOR: usize = 512;

#[derive(Debug, Default)]
struct Inode {
    is_folder: bool,
    durable: Vec<u8>,
    now: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => {
                bytes.resize(bytes.len().max(at + data.len()), 0);
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
            Self::Resize(len) => bytes.resize(*len, 0),
        }
    }
}

type Names = BTreeMap<String, usize>;

/// A folder as the process sees it, and as the disk has it.
#[derive(Debug)]
pub struct Disk {
    root: String,
    inodes: Vec<Inode>,
    now: Names,
    durable: Names,
    positions: HashMap<String, Option<usize>>,
    /// Calls of threads that have begun, and how much an fsync covers.
    begun: HashMap<String, (String, usize)>,
    pub fsyncs: usize,
    /// Files of which the last call was cut off.
    unsure: Vec<String>,
}

impl Disk {
    /// A folder; all that is in it is safe.
    pub fn of(folder: &str) -> Self {
        let mut disk = Self {
            root: folder.to_owned(),
            inodes: Vec::new(),
            now: Names::new(),
            durable: Names::new(),
            positions: HashMap::new(),
            begun: HashMap::new(),
            fsyncs: 0,
            unsure: Vec::new(),
        };
        disk.read(Path::new(folder));
        disk.durable = disk.now.clone();
        disk
    }

    fn read(&mut self, path: &Path) {
        let is_folder = path.is_dir();
        let bytes = if is_folder { Vec::new() } else { fs::read(path).unwrap() };
        let inode = Inode { is_folder, durable: bytes.clone(), now: bytes, ..Inode::default() };
        self.create(path.to_str().unwrap(), inode);
        if is_folder {
            for entry in fs::read_dir(path).unwrap() {
                self.read(&entry.unwrap().path());
            }
        }
    }

    fn create(&mut self, path: &str, inode: Inode) {
        self.inodes.push(inode);
        self.now.insert(path.to_owned(), self.inodes.len() - 1);
    }

    /// Takes in what was done, from the log of `strace`.
    pub fn follow(&mut self, log: &str) {
        for line in log.lines() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            let call = call.trim_start();
            if let Some(front) = call.strip_suffix(" <unfinished ...>") {
                let covers = self.pending_of(front);
                self.begun.insert(thread.to_owned(), (front.to_owned(), covers));
            } else if let Some((_, rest)) = call.split_once(" resumed>") {
                let Some((front, covers)) = self.begun.remove(thread) else { continue };
                self.take(&format!("{front}{rest}"), Some(covers));
            } else {
                self.take(call, None);
            }
        }
    }

    /// How many changes an fsync covers that begins now.
    fn pending_of(&self, call: &str) -> usize {
        let inode = path_in(call).and_then(|path| self.now.get(&path));
        inode.map_or(0, |inode| self.inodes[*inode].pending.len())
    }

    fn take(&mut self, call: &str, covers: Option<usize>) {
        let Some((name, rest)) = call.split_once('(') else { return };
        let Some((args, result)) = rest.rsplit_once(" = ") else { return };
        let args = args.trim_end().trim_end_matches(')');
        if result.starts_with('?') {
            // The process was killed in it: it may have happened, and is not known to.
            self.unsure.extend(path_in(call));
        }
        if result.starts_with(['-', '?']) {
            return;
        }
        let texts = texts(args);
        let fd = args.split(['<', ',', ')']).next().unwrap_or_default().to_owned();
        match name {
            "openat" => self.open(args, result),
            "mkdir" | "mkdirat" => self.make(&absolute(args, &texts[0])),
            "rename" | "renameat" | "renameat2" => self.rename(&texts[0], &texts[1]),
            "unlink" | "unlinkat" | "rmdir" => {
                self.now.remove(&absolute(args, &texts[0]));
            }
            "fsync" | "fdatasync" => self.sync(call, covers),
            "write" | "writev" => self.write(call, &fd, texts.concat(), result),
            "pwrite64" => {
                let at = args.rsplit(", ").next().and_then(|at| at.parse().ok());
                self.change(call, Change::Write(at.unwrap(), texts.concat()));
            }
            "lseek" => {
                self.positions.insert(fd, result.trim().parse().ok());
            }
            "ftruncate" => {
                let len = args.rsplit(", ").next().and_then(|len| len.parse().ok());
                self.change(call, Change::Resize(len.unwrap()));
            }
            other => panic!("{other} is new here: {call}"),
        }
    }

    fn open(&mut self, args: &str, result: &str) {
        let fd = result.split('<').next().unwrap_or_default().to_owned();
        self.positions.insert(fd, (!args.contains("O_APPEND")).then_some(0));
        let Some(path) = path_in(result).filter(|path| self.is_here(path)) else { return };
        if !self.now.contains_key(&path) && args.contains("O_CREAT") {
            self.create(&path, Inode::default());
        }
        if args.contains("O_TRUNC") {
            self.change(result, Change::Resize(0));
        }
    }

    fn is_here(&self, path: &str) -> bool {
        path.starts_with(&self.root)
    }

    fn make(&mut self, path: &str) {
        if self.is_here(path) {
            self.create(path, Inode { is_folder: true, ..Inode::default() });
        }
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) {
        let (from, to) = (String::from_utf8_lossy(from), String::from_utf8_lossy(to));
        if let Some(inode) = self.now.remove(&*from) {
            assert!(!self.inodes[inode].is_folder, "folders keep their names");
            self.now.insert(to.into_owned(), inode);
        }
    }

    fn write(&mut self, call: &str, fd: &str, data: Vec<u8>, result: &str) {
        let Some(path) = path_in(call) else { return };
        let Some(inode) = self.now.get(&path).copied() else { return };
        let len: usize = result.trim().parse().unwrap();
        let at = self.positions.get(fd).copied().unwrap_or(Some(0));
        let at = at.unwrap_or(self.inodes[inode].now.len());
        if let Some(Some(position)) = self.positions.get_mut(fd) {
            *position += len;
        }
        self.change(call, Change::Write(at, data[..len].to_vec()));
    }

    fn change(&mut self, call: &str, change: Change) {
        let inode = path_in(call).and_then(|path| self.now.get(&path));
        if let Some(inode) = inode.copied() {
            let inode = &mut self.inodes[inode];
            change.apply(&mut inode.now);
            inode.pending.push(change);
        }
    }

    fn sync(&mut self, call: &str, covers: Option<usize>) {
        let Some(path) = path_in(call) else { return };
        let Some(at) = self.now.get(&path).copied() else { return };
        self.fsyncs += 1;
        let inode = &mut self.inodes[at];
        if !inode.is_folder {
            let covers = covers.unwrap_or(inode.pending.len()).min(inode.pending.len());
            for change in inode.pending.drain(..covers) {
                change.apply(&mut inode.durable);
            }
            return;
        }
        let is_in = |name: &String| name.rsplit_once('/').is_some_and(|(folder, _)| folder == path);
        self.durable.retain(|name, _| !is_in(name));
        self.durable.extend(
            self.now
                .iter()
                .filter(|(name, _)| is_in(name))
                .map(|(name, inode)| (name.clone(), *inode)),
        );
    }

    /// The model and the folder agree on what the process saw: no call was missed.
    pub fn check(&self) {
        let seen = Self::of(&self.root);
        let names = |disk: &Self| disk.now.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(self), names(&seen));
        let begun: Vec<_> = self.begun.values().filter_map(|(call, _)| path_in(call)).collect();
        let is_sure = |name: &String| !self.unsure.contains(name) && !begun.contains(name);
        for (name, inode) in self.now.iter().filter(|(name, _)| is_sure(name)) {
            let (log, real) = (&self.inodes[*inode].now, &seen.inodes[seen.now[name]].now);
            let same = log.iter().zip(real).take_while(|(one, other)| one == other).count();
            let lens = (log.len(), real.len());
            assert!(log == real, "{name} is not what the log says from {same} on: {lens:?}");
        }
    }

    /// The power fails: the folder has what is left.
    pub fn fail(&self, roll: &mut dyn FnMut(usize) -> usize) {
        fs::remove_dir_all(&self.root).unwrap();
        let mut left = Names::new();
        let folders = self
            .now
            .keys()
            .chain(self.durable.keys())
            .filter_map(|name| name.rsplit_once('/').map(|(folder, _)| folder.to_owned()));
        for folder in folders.collect::<std::collections::BTreeSet<_>>() {
            // What happened to its names since its last fsync, happened or did not.
            let names = if roll(2) == 0 { &self.now } else { &self.durable };
            let is_in = |name: &str| name.rsplit_once('/').is_some_and(|(of, _)| of == folder);
            left.extend(names.iter().filter(|(name, _)| is_in(name)).map(|(n, i)| (n.clone(), *i)));
        }
        for (name, inode) in &left {
            let parent = name.rsplit_once('/').map(|(folder, _)| folder).unwrap_or_default();
            if *name != self.root && !Path::new(parent).is_dir() {
                continue;
            }
            match &self.inodes[*inode] {
                inode if inode.is_folder => fs::create_dir(name).unwrap(),
                inode => write_sparse(name, &what_is_left(inode, roll)),
            }
        }
    }
}

/// The bytes of a file after the power has failed.
fn what_is_left(inode: &Inode, roll: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
    let mut bytes = inode.durable.clone();
    let count = inode.pending.len();
    let (keep, all) = match roll(4) {
        0 => (0, true),
        1 => (count, true),
        2 => (roll(count + 1), true),
        _ => (count, false),
    };
    for (at, change) in inode.pending.iter().take(keep).enumerate() {
        if !all && roll(2) == 0 {
            continue;
        }
        match change {
            // The last one is torn, and any if they came in any order.
            Change::Write(place, data) if !all || at + 1 == keep => {
                for (number, sector) in data.chunks(SECTOR).enumerate() {
                    if roll(3) != 0 {
                        Change::Write(place + number * SECTOR, sector.to_vec()).apply(&mut bytes);
                    }
                }
            }
            change => change.apply(&mut bytes),
        }
    }
    bytes
}

fn write_sparse(path: &str, bytes: &[u8]) {
    let mut file = File::create(path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    for (number, block) in bytes.chunks(4_096).enumerate() {
        if block.iter().any(|byte| *byte != 0) {
            file.seek(SeekFrom::Start(number as u64 * 4_096)).unwrap();
            file.write_all(block).unwrap();
        }
    }
}

/// The path behind a descriptor: the first thing between angle brackets.
fn path_in(call: &str) -> Option<String> {
    let (_, rest) = call.split_once('<')?;
    let (path, _) = rest.split_once('>')?;
    String::from_utf8(unhex(path)).ok()
}

/// A path, which may be relative to the folder that a descriptor stands for.
fn absolute(args: &str, path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path).into_owned();
    match path_in(args) {
        Some(folder) if !path.starts_with('/') => format!("{folder}/{path}"),
        _ => path,
    }
}

/// What is between quotation marks.
fn texts(args: &str) -> Vec<Vec<u8>> {
    args.split('"').skip(1).step_by(2).map(unhex).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).map(|hex| u8::from_str_radix(&hex[..2], 16).unwrap()).collect()
}
