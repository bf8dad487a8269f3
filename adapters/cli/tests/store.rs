//! `tamtam store` from outside, and the store of a broker that starts again.
#![cfg(unix)]

mod common;

use std::path::PathBuf;

use common::broker::Broker;
use common::peer::Line;
use common::raw::Raw;
use common::{Scratch, run};

fn store(data: &str, arguments: &[&str]) -> common::Answer {
    run(&[&["store", "--data", data], arguments].concat(), b"")
}

fn start(data: &str) -> Broker {
    Broker::start_with(&["--listen", "127.0.0.1:0", "--data", data])
}

fn capture() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/mosquitto.db").to_owned()
}

#[test]
fn what_mosquitto_kept_is_served() {
    let scratch = Scratch::new("store-mosquitto");
    let data = scratch.path("data");
    let answer = store(&data, &["import", &capture()]);
    assert_eq!(answer.out, "5 sessions, 9 messages, 2 of them retained\n", "{answer:?}");
    let answer = store(&data, &["verify"]);
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    let broker = start(&data);
    let mut raw = Raw::connected(broker.port(), "auditor");
    raw.subscribe("r/x");
    assert_eq!(raw.message(), "kept");
    // Its session: what was queued, then what came at QoS 2 and was not handed on yet.
    let mut line = Line::open(broker.port(), "reader3").unwrap();
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let Some((first, body)) = line.next().unwrap() else { continue };
        let topic = usize::from(body[1]);
        assert_eq!(first & 0xF6, 0x32);
        seen.push(String::from_utf8(body[topic + 4..].to_vec()).unwrap());
    }
    assert_eq!(seen, ["one", "two", "three", "kept", "pending"]);
    // One exchange is past its PUBREC, two wait for theirs.
    let mut half = Line::open(broker.port(), "half").unwrap();
    let mut firsts = Vec::new();
    while firsts.len() < 3 {
        firsts.extend(
            half.next().unwrap().map(|(first, body)| (first, body[body.len() - 2..].to_vec())),
        );
    }
    assert!(firsts.contains(&(0x62, vec![0, 1])), "{firsts:?}");
    assert!(firsts.contains(&(0x3C, b"h2".to_vec())), "{firsts:?}");
    assert!(firsts.contains(&(0x3C, b"h3".to_vec())), "{firsts:?}");
}

#[test]
fn what_is_exported_can_be_imported() {
    let scratch = Scratch::new("store-export");
    let (one, other) = (scratch.path("one"), scratch.path("other"));
    store(&one, &["import", &capture()]);
    let file = scratch.path("lines");
    assert_eq!(store(&one, &["export", &file]).code, Some(0));
    let answer = store(&other, &["import", &file]);
    assert_eq!(answer.out, "36 records were imported\n", "{answer:?}");
    let lines = std::fs::read_to_string(file).unwrap();
    assert_eq!(store(&other, &["export"]).out, lines);
    assert!(lines.contains(r#""filter":"a/+","options":2,"identifier":7"#));
    assert!(lines.contains(r#"{"kind":"released","session":14,"place":0,"packet_id":1}"#));
    let answer = store(&other, &["import", &capture()]);
    assert!(answer.err.contains("the store is not empty"), "{answer:?}");
    let answer = store(&other, &["inspect"]);
    assert!(answer.out.contains("5 messages, 63 bytes wait for \"reader3\""), "{answer:?}");
    let answer = store(&other, &["inspect", "--session", "reader5"]);
    assert!(answer.out.contains("subscription   a/+"), "{answer:?}");
}

/// What waits for a shared subscription's group goes with the rest.
#[test]
fn groups_are_looked_into_and_exported() {
    let scratch = Scratch::new("store-groups");
    let (one, other) = (scratch.path("one"), scratch.path("other"));
    let broker = start(&one);
    let mut line = Line::open(broker.port(), "member").unwrap();
    line.send(&common::raw::packet(0x82, b"\0\x01\0\x0a$share/g/t\x01")).unwrap();
    while line.next().unwrap().is_none_or(|(first, _)| first != 0x90) {}
    drop(line);
    let mut raw = Raw::connected(broker.port(), "pub");
    for payload in ["1", "2", "3"] {
        raw.publish("t", payload);
    }
    assert_eq!(broker.stop().0, Some(0));
    let answer = store(&one, &["verify"]);
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""), "{answer:?}");
    let file = scratch.path("lines");
    assert_eq!(store(&one, &["export", &file]).code, Some(0));
    assert_eq!(store(&other, &["import", &file]).code, Some(0));
    let answer = store(&other, &["inspect"]);
    assert!(answer.out.contains("groups                    1\n"), "{answer:?}");
    assert!(answer.out.contains("3 messages, 6 bytes wait for \"$share/g/t\""), "{answer:?}");
    assert_eq!(store(&other, &["export"]).out, std::fs::read_to_string(file).unwrap());
    let broker = start(&other);
    let mut line = Line::open(broker.port(), "member").unwrap();
    for payload in [b"1", b"2", b"3"] {
        let (_, body) = line.next().unwrap().expect("it waited");
        assert_eq!(body[5..], payload[..]);
    }
}

#[test]
fn what_can_not_be_read_is_said() {
    let scratch = Scratch::new("store-wrong");
    let data = scratch.path("data");
    let answer = store(&data, &["inspect"]);
    assert!(answer.err.contains("there is no store in"), "{answer:?}");
    let mut mosquitto = std::fs::read(capture()).unwrap();
    let cut = scratch.path("cut.db");
    std::fs::write(&cut, &mosquitto[..700]).unwrap();
    let answer = store(&data, &["import", &cut]);
    assert!(answer.err.contains("it ends in the middle of a chunk"), "{answer:?}");
    mosquitto[22] = 5;
    std::fs::write(&cut, &mosquitto).unwrap();
    let answer = store(&data, &["import", &cut]);
    assert!(answer.err.contains("it has format 5, and only format 6 can be read"), "{answer:?}");
    let lines = scratch.write("lines", "{\"kind\":\"store\",\"format\":1}\n{\"kind\":\"sess\"}\n");
    let answer = store(&data, &["import", &lines]);
    assert!(answer.err.contains("line 2: unknown variant `sess`"), "{answer:?}");
    let broker = start(&data);
    let answer = store(&data, &["inspect"]);
    assert!(answer.err.contains("is in use by another process"), "{answer:?}");
    let answer = run(&["broker", "--listen", "127.0.0.1:0", "--data", &data], b"");
    assert!(answer.err.contains("is in use by another process"), "{answer:?}");
    assert_eq!(broker.stop().0, Some(0));
}

/// Less may wait than before: it starts, drops what does not fit by the policy, and says so.
#[test]
fn a_store_with_more_than_there_may_be_now_starts() {
    let scratch = Scratch::new("store-limits");
    let data = scratch.path("data");
    let broker = start(&data);
    let mut line = Line::open(broker.port(), "sub").unwrap();
    line.send(&common::raw::packet(0x82, b"\0\x01\0\x01#\x01")).unwrap();
    while line.next().unwrap().is_none_or(|(first, _)| first != 0x90) {}
    drop(line);
    let mut raw = Raw::connected(broker.port(), "pub");
    for number in 0..20 {
        raw.publish("t", &format!("{number:02}"));
    }
    drop(broker); // killed
    let options = ["--listen", "127.0.0.1:0", "--data", &data, "--queue-messages", "5"];
    let broker = Broker::start_with(&[&options[..], &["--sessions", "1"]].concat());
    let mut line = Line::open(broker.port(), "sub").unwrap();
    for number in 0..5 {
        let (_, body) = line.next().unwrap().expect("it was kept");
        assert_eq!(body[5..], format!("{number:02}").into_bytes());
    }
    assert_eq!(line.next().unwrap(), None);
    let (code, log) = broker.stop();
    assert_eq!(code, Some(0));
    assert!(
        log.contains("messages that waited were dropped, as queue_full says dropped=15"),
        "{log}"
    );
}

/// Whoever may write to a socket of a listener may connect; nothing else is for others.
#[test]
fn files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("store-private");
    let (data, pid) = (scratch.path("data"), scratch.path("pid"));
    let socket = scratch.path("listener");
    let mut command = common::piped("sh");
    command.args(["-c", "umask 002; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tamtam"), "broker"]);
    command.args(["--listen", "127.0.0.1:0", "--listen", &format!("unix:{socket}")]);
    command.args(["--data", &data, "--pid-file", &pid]);
    let broker = Broker::spawn(&mut command);
    let mut raw = Raw::connected(broker.port(), "writer");
    raw.send(&common::raw::packet(0x33, b"\0\x01r\0\x01kept"));
    assert_eq!(raw.take(4), [0x40, 2, 0, 1]);
    let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&socket), mode(&pid)), (0o775, 0o644));
    let mut folders = vec![PathBuf::from(&data)];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            count += 1;
            assert_eq!(mode(path.to_str().unwrap()) & 0o077, 0, "{}", path.display());
            folders.extend(path.is_dir().then_some(path));
        }
    }
    assert!(count > 10, "{count} files");
    assert_eq!(broker.stop().0, Some(0));
    let export = scratch.path("export");
    assert_eq!(store(&data, &["export", &export]).code, Some(0));
    assert_eq!(mode(&export), 0o600);
}

#[test]
fn a_damaged_store_starts_and_tells_what_it_lost() {
    let scratch = Scratch::new("store-damaged");
    let data = scratch.path("data");
    let broker = start(&data);
    for number in 0..20 {
        let mut raw = Raw::connected(broker.port(), "writer");
        raw.send(&common::raw::packet(0x33, format!("\0\x04r/{number:02}\0\x01kept").as_bytes()));
        assert_eq!(raw.take(4), [0x40, 2, 0, 1]);
    }
    drop(broker); // killed
    let journal: PathBuf = [&data, "store", "1", "0.jnl"].iter().collect();
    let mut bytes = std::fs::read(&journal).unwrap();
    let middle = bytes.iter().rposition(|byte| *byte != 0).unwrap() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(&journal, bytes).unwrap();
    let broker = start(&data);
    let mut raw = Raw::connected(broker.port(), "auditor");
    raw.subscribe("r/00");
    assert_eq!(raw.message(), "kept");
    raw.subscribe("r/19");
    assert_eq!(raw.message(), "kept");
    let (code, log) = broker.stop();
    assert_eq!(code, Some(0));
    assert!(log.contains("the store was damaged"), "{log}");
    assert_eq!(store(&data, &["verify"]).code, Some(0), "it was mended");
}
