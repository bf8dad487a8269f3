use std::sync::Arc;

use super::*;

/// As mosquitto_passwd 2.0 wrote them: `alice` with `secret`, `bob` with `b2`.
const FILE: &str = "# accounts\n\
    alice:$7$101$TCbB3nex4XnQiQn8$ZNV56m/HAXCXgV+dsfdKKUHsSUqdeSGhJTIQnqCn6PQkJyQG+kzRGdYdP6YeKuCj\
    IiHFJTAyGxM/jgkOESUzvw==\n\
    \n\
    bob:$6$7r/HTKPEUvkR3bsT$48qxRXwZ8jiEoxonb+cKpx4WIKEvGO13QPOGyl48fqoA9luCN+/z+L7bgx7k8EVQho6Dfo\
    LeDizB2/xDPoAEJQ==\r\n";

#[test]
fn what_mosquitto_wrote_is_read() {
    let accounts = Accounts::parse(FILE).expect("well-formed");
    assert_eq!(accounts.len(), 2);
    for (name, password, right) in [
        ("alice", "secret", true),
        ("alice", "secret ", false),
        ("alice", "", false),
        ("bob", "b2", true),
        ("bob", "secret", false),
        ("carol", "secret", false),
        ("", "", false),
    ] {
        assert_eq!(accounts.accept(name, password.as_bytes()), right, "{name} {password}");
    }
    assert!(!Accounts::default().accept("alice", b"secret"));
}

#[test]
fn new_passwords_are_kept_with_argon2() {
    let hash = Hash::new("pässword".as_bytes()).expect("random numbers");
    let text = hash.to_string();
    assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
    assert_ne!(Hash::new("pässword".as_bytes()).map(|hash| hash.to_string()), Ok(text.clone()));
    let again = Hash::parse(&text).expect("what was shown");
    assert!(again.is_of("pässword".as_bytes()));
    assert!(!again.is_of(b"password"));
    assert!(!format!("{hash:?}").contains('$'));
}

#[test]
fn a_wrong_line_is_told_by_its_number_and_never_an_account() {
    let text = format!(
        "{FILE}carol\ndave:secret\n:$6$aaaa$bbbb\nerin:\nalice:{}\nfrank:$7$x$aaaa$bbbb\n\
         grace:$6$aaaa$bbbb\nheidi:$6$aa aa$bbbb\nivan:$argon2id$v=19$m=1,t=1,p=1$aaaa\n",
        "$6$7r/HTKPEUvkR3bsT$48qxRXwZ8jiEoxonb+cKpx4WIKEvGO13QPOGyl48fqoA9luCN+/z+L7bgx7k8EVQho6\
         DfoLeDizB2/xDPoAEJQ=="
    );
    let wrong = Accounts::parse(&text).expect_err("wrong");
    let wanted = [
        (5, "no `:`"),
        (6, "plain text"),
        (7, "name is empty"),
        (8, "begins with `$6$`"),
        (9, "another account `alice`"),
        (10, "`x` is no number of rounds"),
        (11, "3 bytes instead of 64"),
        (12, "not well-formed base64"),
        (13, ""),
    ];
    assert_eq!(wrong.len(), wanted.len(), "{wrong:#?}");
    for ((line, what), (at, why)) in wanted.iter().zip(&wrong) {
        assert!(line == at && why.contains(what), "{line} {what}: {at} {why}");
    }
}

#[test]
fn accounts_come_and_go_and_the_other_lines_stay() {
    let hash = Hash::parse(&FILE.lines().nth(3).expect("bob")["bob:".len()..]).expect("a hash");
    let more = with_account(FILE, "al", &hash);
    assert!(more.starts_with("# accounts\nalice:$7$") && more.ends_with("==\n"), "{more}");
    let accounts = Accounts::parse(&more).expect("well-formed");
    assert!(accounts.len() == 3 && accounts.accept("al", b"b2"));
    let changed = with_account(&more, "alice", &hash);
    assert!(Accounts::parse(&changed).expect("well-formed").accept("alice", b"b2"));
    let fewer = without_account(&changed, "al").expect("it was there");
    assert_eq!(Accounts::parse(&fewer).expect("well-formed").len(), 2);
    assert_eq!(without_account(&fewer, "al"), None);
}

#[test]
fn answers_come_from_other_threads() {
    let checker = Checker::start(2).expect("threads");
    let accounts = Arc::new(Accounts::parse(FILE).expect("well-formed"));
    let (said, heard) = std::sync::mpsc::channel();
    for password in ["secret", "wrong"] {
        let said = said.clone();
        let then = Box::new(move |right| said.send((password, right)).expect("somebody listens"));
        let (name, bytes) = ("alice".to_owned(), password.as_bytes().to_vec());
        let accounts = Arc::clone(&accounts);
        assert!(checker.ask(Question { accounts, name, password: bytes, then }));
    }
    drop(said);
    let mut answers: Vec<(&str, bool)> = heard.iter().collect();
    answers.sort_unstable();
    assert_eq!(answers, [("secret", true), ("wrong", false)]);
}
