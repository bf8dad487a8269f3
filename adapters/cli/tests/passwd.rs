//! `tamtam passwd` from outside: the real binary and real files.

mod common;

use common::{Scratch, run};

#[test]
fn accounts_are_added_changed_and_deleted() {
    let scratch = Scratch::new("passwd");
    let file = scratch.path("users");
    let file = file.as_str();
    let answer = run(&["passwd", file, "alice"], b"secret\n");
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    assert!(answer.out.starts_with("alice: added in "), "{answer:?}");
    assert_eq!(run(&["passwd", "-b", file, "bob", "b2"], b"").code, Some(0));
    let answer = run(&["passwd", file, "alice"], b"other\n");
    assert!(answer.out.starts_with("alice: changed in "), "{answer:?}");

    let text = std::fs::read_to_string(file).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(names, ["alice", "bob"]);
    assert!(text.lines().all(|line| line.contains(":$argon2id$v=19$")), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    assert_eq!(run(&["passwd", "--delete", file, "alice"], b"").code, Some(0));
    let answer = run(&["passwd", "-D", file, "alice"], b"");
    assert_eq!(answer.code, Some(1));
    assert!(answer.err.contains("there is no account `alice`"), "{answer:?}");
    assert!(!std::fs::read_to_string(file).unwrap().contains("alice"));
}

#[test]
fn a_wrong_file_or_name_changes_nothing() {
    let scratch = Scratch::new("passwd-wrong");
    let file = scratch.path("users");
    let file = file.as_str();
    std::fs::write(file, "alice:secret\n").unwrap();
    let answer = run(&["passwd", file, "bob"], b"b2\n");
    assert_eq!(answer.code, Some(1));
    assert!(answer.err.contains("users:1: a hash begins with"), "{answer:?}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "alice:secret\n");
    assert!(run(&["passwd", file, "a:b"], b"x\n").err.contains("can't hold `:`"));
    std::fs::remove_file(file).unwrap();
    assert!(run(&["passwd", file, "bob"], b"\n").err.contains("empty password"));
    assert!(run(&["passwd", "-D", file, "bob"], b"").err.contains("No such file"));
    assert!(!std::path::Path::new(file).exists());
}
