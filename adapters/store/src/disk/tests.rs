use std::fs;
use std::path::{Path, PathBuf};

use tamtam_core::QoS;
use tamtam_core::broker::Record;

use super::Disk;
use super::format::{FORMATS, Formats};
use crate::{Failure, Findings, Kept, Packed};

/// A folder of its own for each test, which goes when the test is over.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tamtam-store-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn open(&self) -> Kept {
        Kept::new(Disk::open(&self.0).unwrap())
    }

    /// The files whose names end like this.
    fn files(&self, end: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.to_str().unwrap().ends_with(end) {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn session(session: u64) -> Record<'static> {
    Record::Session { session, client_id: b"anna", user: b"", expiry_secs: 60, ends: None }
}

fn body(body: u64, payload: &[u8]) -> Record<'_> {
    Record::Body { body, topic: b"a/b", properties: b"", payload, expires: None, publisher: 0 }
}

fn queued(session: u64, place: u64, body: u64) -> Record<'static> {
    Record::Queued { session, place, body, qos: QoS::AtLeastOnce, retain: false, ids: b"" }
}

fn keep<const N: usize>(kept: &mut Kept, records: [Record<'_>; N]) {
    kept.keep(&Packed::from_iter(records).records()).unwrap();
}

/// What is kept, each record in a line, and what was found.
fn read(kept: &mut Kept) -> (Vec<String>, Findings) {
    let mut lines = Vec::new();
    let findings = kept.records(|record| lines.push(format!("{record:?}"))).unwrap();
    (lines, findings)
}

fn numbers(kept: &mut Kept) -> Vec<u64> {
    let mut numbers = Vec::new();
    let read = kept.records(|record| {
        if let Record::Queued { place, .. } = record {
            numbers.push(*place);
        }
    });
    read.unwrap();
    numbers
}

#[test]
fn what_was_kept_is_there_again_in_order() {
    let place = Place::new("again");
    let mut kept = place.open();
    keep(&mut kept, [session(1), body(2, b"x"), queued(1, 300, 2), queued(1, 2, 2)]);
    keep(&mut kept, [Record::Retained { body: 2, qos: QoS::AtMostOnce }, session(9)]);
    let before = read(&mut kept).0;
    let kinds: Vec<_> = before.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(kinds, ["Body", "Session", "Session", "Queued", "Queued", "Retained"]);
    drop(kept);
    let mut kept = place.open();
    assert_eq!(read(&mut kept), (before, Findings::default()));
    assert_eq!(numbers(&mut kept), [2, 300]);
    keep(&mut kept, [Record::SessionGone { session: 1 }]);
    let after = read(&mut kept).0;
    assert_eq!(after.len(), 3, "{after:?}");
    keep(&mut kept, [Record::Reset, session(10)]);
    drop(kept);
    assert_eq!(read(&mut place.open()).0, [format!("{:?}", session(10))]);
}

#[test]
fn nobody_else_gets_at_it() {
    let place = Place::new("private");
    let kept = place.open();
    assert!(matches!(Disk::open(place.path()), Err(Failure::Locked(_))));
    drop(kept);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(place.path()), 0o700);
        assert_eq!(mode(&place.path().join("1")), 0o700);
        assert_eq!(mode(&place.path().join("format")), 0o600);
        // Those of an older version, or copied by hand.
        let open = fs::Permissions::from_mode(0o644);
        for path in place.files(".jnl") {
            fs::set_permissions(path, open.clone()).unwrap();
        }
        drop(place.open());
        assert!(place.files("").iter().all(|path| mode(path) & 0o077 == 0));
    }
    let other = Place::new("other");
    fs::create_dir_all(other.path()).unwrap();
    fs::write(other.path().join("photo.jpg"), "").unwrap();
    assert!(matches!(Disk::open(other.path()), Err(Failure::NoStore(_))));
}

#[test]
fn what_a_later_version_wrote_is_refused() {
    let place = Place::new("later");
    keep(&mut place.open(), [session(1)]);
    let format = place.path().join("format");
    let before = fs::read_to_string(&format).unwrap();
    fs::write(&format, before.replace("format 2", "format 7")).unwrap();
    let error = Disk::open(place.path()).unwrap_err();
    assert!(error.to_string().contains("has format 7, and this version knows formats up to 2"));
    fs::write(&format, "rubbish").unwrap();
    let (lines, findings) = read(&mut place.open());
    assert_eq!((lines.len(), findings.losses().count()), (1, 1));
}

/// A session of an expiry of 60 seconds.
const MINUTE: [u8; 4] = 60_u32.to_be_bytes();

/// Three formats that were made up: in the second, sessions last twice as long; in the third there
/// are no wills.
const MADE_UP: Formats = Formats {
    present: 3,
    steps: &[
        Some(|key, value| {
            let mut value = value.to_vec();
            if let Some(Record::Session { .. }) = Record::read(&value) {
                assert_eq!(value[9..13], MINUTE);
                value[9..13].copy_from_slice(&120_u32.to_be_bytes());
            }
            Some((key.to_vec(), value))
        }),
        Some(|key, value| {
            let is_will = matches!(Record::read(value), Some(Record::Will { .. }));
            (!is_will).then(|| (key.to_vec(), value.to_vec()))
        }),
    ],
};

#[test]
fn what_an_older_version_wrote_is_migrated() {
    let place = Place::new("older");
    let open = |formats| Disk::open_as(place.path(), formats).map(Kept::new);
    let oldest = Formats { present: 1, steps: &[] };
    let mut kept = open(&oldest).unwrap();
    let (qos, retain, delay_secs, expiry_secs, due) = (QoS::AtMostOnce, false, 0, None, None);
    let will = Record::Will { session: 1, body: 2, qos, retain, delay_secs, expiry_secs, due };
    keep(&mut kept, [session(1), body(2, &[7; 9_000]), queued(1, 5, 2), will]);
    let before = read(&mut kept).0;
    assert_eq!(before.len(), 4);
    drop(kept);
    let format = || fs::read_to_string(place.path().join("format")).unwrap();
    assert!(format().contains("format 1\n"));
    // An earlier attempt was interrupted.
    fs::create_dir(place.path().join("2")).unwrap();
    fs::write(place.path().join("2/0.jnl"), "half").unwrap();
    let mut kept = open(&MADE_UP).unwrap();
    let (after, findings) = read(&mut kept);
    assert_eq!(
        findings.remarks().collect::<Vec<_>>(),
        ["it had format 1, and has format 3 from now on"]
    );
    let expected: Vec<_> =
        before[..3].iter().map(|line| line.replace("s: 60,", "s: 120,")).collect();
    assert_eq!(after, expected);
    assert_ne!(after, before[..3]);
    assert!(format().contains("format 3\ncurrent 2\n") && !place.path().join("1").exists());
    keep(&mut kept, [queued(1, 6, 2)]);
    drop(kept);
    let mut kept = open(&MADE_UP).unwrap();
    let (lines, findings) = read(&mut kept);
    assert_eq!((lines.len(), findings), (4, Findings::default()), "once only");
    drop(kept);
    let refused = open(&FORMATS).unwrap_err().to_string();
    assert!(refused.contains("has format 3, and this version knows formats up to 2"), "{refused}");
}

/// The real ones: a store of format 1 goes on as it is.
#[test]
fn the_first_format_goes_on() {
    let place = Place::new("first");
    let first = Formats { present: 1, steps: &[] };
    keep(&mut Kept::new(Disk::open_as(place.path(), &first).unwrap()), [session(1)]);
    let (lines, findings) = read(&mut place.open());
    assert_eq!(lines, [format!("{:?}", session(1))]);
    assert_eq!(findings.remarks().count(), 1);
    assert_eq!(read(&mut place.open()).1, Findings::default());
}

#[test]
fn a_commit_that_was_not_finished_is_undone() {
    let place = Place::new("torn");
    keep(&mut place.open(), [session(1)]);
    let [journal] = &place.files(".jnl")[..] else { panic!("one journal") };
    let whole = fs::read(journal).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    keep(&mut place.open(), [session(2)]);
    let more = fs::read(journal).unwrap();
    let last = more.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for cut in end..last {
        for fill in [0, 0xFF] {
            let mut torn = more.clone();
            torn[cut..last].fill(fill);
            fs::write(journal, &torn).unwrap();
            let (lines, findings) = read(&mut place.open());
            assert_eq!(lines.len(), 1, "at {cut}");
            assert!(findings.is_whole());
            // All but the zeros behind the end leave something to be undone.
            assert_eq!(findings.remarks().count(), usize::from(cut > end || fill != 0));
        }
    }
    fs::write(journal, &more).unwrap();
    assert_eq!(read(&mut place.open()).0.len(), 2);
}

#[test]
fn what_is_behind_a_damage_is_saved() {
    let place = Place::new("damage");
    let mut kept = place.open();
    for number in 1..=20 {
        keep(&mut kept, [body(number, b"x"), queued(1, number, number)]);
    }
    keep(&mut kept, [Record::Settled { session: 1, place: 3 }]);
    drop(kept);
    let [journal] = &place.files(".jnl")[..] else { panic!("one journal") };
    let mut bytes = fs::read(journal).unwrap();
    let middle = bytes.iter().rposition(|byte| *byte != 0).unwrap() / 2;
    bytes[middle] ^= 0x10;
    fs::write(journal, bytes).unwrap();
    let mut kept = place.open();
    let (_, findings) = read(&mut kept);
    let losses: Vec<_> = findings.losses().collect();
    assert!(losses[0].contains("damaged"), "{losses:?}");
    let left = numbers(&mut kept);
    assert_eq!(left.len(), 18, "{left:?}");
    assert!(!left.contains(&3));
    drop(kept);
    assert!(read(&mut place.open()).1.is_whole(), "told once");
    assert_eq!(numbers(&mut place.open()).len(), 18);
}

#[test]
fn a_database_that_is_beyond_help_is_put_aside() {
    let place = Place::new("aside");
    keep(&mut place.open(), [session(1)]);
    fs::write(place.path().join("1/version"), "rubbish").unwrap();
    let mut kept = place.open();
    let (lines, findings) = read(&mut kept);
    assert!(lines.is_empty());
    assert!(findings.losses().next().unwrap().contains("damaged-1"), "{findings:?}");
    keep(&mut kept, [session(2)]);
    drop(kept);
    assert!(place.path().join("damaged-1/version").exists());
    assert_eq!(read(&mut place.open()).0.len(), 1);
}

#[test]
fn it_is_read_around_a_place_that_can_not_be() {
    let place = Place::new("around");
    let payload = [7; 1_000];
    let disk = Disk::open(place.path()).unwrap();
    let (bodies, state) = {
        let parts = disk.parts().unwrap();
        (parts.bodies.clone(), parts.state.clone())
    };
    let mut kept = Kept::new(disk);
    for number in 1..=2_000 {
        keep(&mut kept, [body(number, &payload)]);
    }
    bodies.rotate_memtable_and_wait().unwrap();
    drop((bodies, state, kept));
    let tables: Vec<_> = place.files("").into_iter().filter(|path| is_big(path)).collect();
    let [table] = &tables[..] else { panic!("{tables:?}") };
    let mut bytes = fs::read(table).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(table, bytes).unwrap();
    let (lines, findings) = read(&mut place.open());
    assert!((1_900..2_000).contains(&lines.len()), "{}", lines.len());
    assert!(findings.losses().next().unwrap().contains("can't be read"), "{findings:?}");
}

fn is_big(path: &Path) -> bool {
    path.to_str().unwrap().contains("tables") && fs::metadata(path).unwrap().len() > 1_000_000
}
