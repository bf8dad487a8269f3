//! `tamtam broker` from outside: the real binary, over real sockets.
#![cfg(unix)]

mod common;

use common::broker::{Broker, eventually};
use common::raw::{Raw, connect};
use common::{Scratch, run};

const REFUSED: [u8; 4] = [0x20, 2, 0, 5];
const BAD_PASSWORD: [u8; 4] = [0x20, 2, 0, 4];
const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];

/// What CONNACK says to a login.
fn login(port: u16, user: &str, password: &str) -> Vec<u8> {
    let mut raw = Raw::open(port);
    raw.send(&connect("c", Some((user, password))));
    raw.take(4)
}

#[test]
fn three_lines_say_what_it_does_and_clients_are_served() {
    let broker = Broker::start(&[]);
    assert!(broker.greeting[0].contains("anybody on this machine may connect"));
    assert!(broker.greeting[1].contains("in memory"));
    assert!(broker.greeting[2].contains("tamtam passwd"));
    let mut reader = Raw::connected(broker.port(), "reader");
    reader.subscribe("room/+");
    Raw::connected(broker.port(), "writer").publish("room/7", "21.5");
    assert_eq!(reader.message(), "21.5");
    let (code, log) = broker.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopped"), "{log}");
}

#[test]
fn what_is_wrong_is_said_and_nothing_starts() {
    let scratch = Scratch::new("broker-wrong");
    let file = scratch.write("tamtam.toml", "pasword_file = \"users\"\n");
    let users = scratch.write("users", "alice:secret\n");
    let acl = scratch.write("acl", "user alice\ntopics a\n");
    for (options, what) in [
        (["--config", &file], "tamtam.toml:1:1: there is no key `pasword_file` (did you mean"),
        (["--password-file", &users], "users:1: a hash begins with"),
        (["--acl-file", &acl], "acl:2: a line begins with user, topic, pattern or #"),
        (["--listen", "0.0.0.0:0"], "anybody who reaches it could publish and read everything"),
        (["--max-packet-size", "3 MB"], "--max-packet-size: `3 MB` is not a size"),
        (["--max-packet-sise", "3"], "--max-packet-size"),
    ] {
        let answer = run(&["broker", "--check", options[0], options[1]], b"");
        assert_eq!(answer.code, Some(2), "{answer:?}");
        assert!(answer.err.contains(what), "{what}: {answer:?}");
    }
    let broker = Broker::start(&[]);
    let taken = broker.port().to_string();
    let answer = run(&["broker", "--memory", "--listen", &taken], b"");
    assert_eq!(answer.code, Some(1));
    assert!(answer.err.contains("is another broker running?"), "{answer:?}");
}

#[test]
fn a_check_shows_what_changes() {
    let answer = run(&["broker", "--check", "--memory", "--retain", "--queue-messages=5"], b"");
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.out.contains("queue_messages = 5 "), "{answer:?}");
    assert!(!answer.out.contains("\nretain ="), "{answer:?}");
}

#[test]
fn accounts_and_rules_are_enforced_and_read_again() {
    let scratch = Scratch::new("broker-rules");
    let users = scratch.path("users");
    for (name, password) in [("alice", "a"), ("bob", "b")] {
        assert_eq!(run(&["passwd", "-b", &users, name, password], b"").code, Some(0));
    }
    let acl = scratch.write("acl", "user alice\ntopic mine/#\npattern read news/%u\n");
    let mut broker = Broker::start(&["--password-file", &users, "--acl-file", &acl]);
    let port = broker.port();
    assert_eq!(login(port, "alice", "a"), ACCEPTED);
    assert_eq!(login(port, "alice", "b"), BAD_PASSWORD);
    assert_eq!(login(port, "carol", "a"), BAD_PASSWORD);
    let mut nobody = Raw::open(port);
    nobody.send(&connect("c", None));
    assert_eq!(nobody.take(4), REFUSED);

    let mut alice = Raw::open(port);
    alice.send(&connect("alice-1", Some(("alice", "a"))));
    assert_eq!(alice.take(4), ACCEPTED);
    let mut reader = Raw::open(port);
    reader.send(&connect("alice-2", Some(("alice", "a"))));
    assert_eq!(reader.take(4), ACCEPTED);
    reader.subscribe("mine/#");
    alice.publish("theirs/a", "not allowed");
    alice.publish("mine/a", "allowed");
    assert_eq!(reader.message(), "allowed");
    let mut bob = Raw::open(port);
    bob.send(&connect("bob-1", Some(("bob", "b"))));
    assert_eq!(bob.take(4), ACCEPTED);

    // Bob gets another password, alice other rules: he goes, she stays.
    assert_eq!(run(&["passwd", "-b", &users, "bob", "c"], b"").code, Some(0));
    scratch.write("acl", "user alice\ntopic read mine/#\ntopic write theirs/#\n");
    broker.signal("HUP");
    broker.wait_for_log("were read again");
    assert_eq!(bob.rest(), [], "disconnected");
    assert_eq!(login(port, "bob", "b"), BAD_PASSWORD);
    assert_eq!(login(port, "bob", "c"), ACCEPTED);
    alice.publish("mine/a", "not any more");
    alice.subscribe("theirs/#");

    // A file that is wrong changes nothing.
    scratch.write("acl", "user\n");
    broker.signal("HUP");
    assert!(broker.wait_for_log("nothing was changed").contains("acl:1: `user` needs a name"));
    assert_eq!(login(port, "alice", "a"), ACCEPTED);
}

#[test]
fn those_who_watch_are_served() {
    let scratch = Scratch::new("broker-watch");
    let pid_file = scratch.path("pid");
    let metrics = "127.0.0.1:21410";
    let options = ["--metrics", metrics, "--pid-file", &pid_file, "--sys-interval=200ms"];
    let broker = Broker::start(&[&options[..], &["--log-format", "json"]].concat());
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    assert_eq!(pid.trim(), broker.pid().to_string());
    let mut reader = Raw::connected(broker.port(), "reader");
    reader.subscribe("$SYS/broker/clients/connected");
    eventually("one client is connected", || reader.message() == "1");
    let page = |path: &str| {
        let mut http = Raw::open(21410);
        http.send(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes());
        String::from_utf8(http.rest()).unwrap()
    };
    assert!(page("/health").ends_with("\r\n\r\nok\n"));
    assert!(page("/metrics").contains("\ntamtam_clients_connected 1\n"));
    let (code, log) = broker.stop();
    assert_eq!(code, Some(0));
    assert!(log.contains("\"message\":\"stopped\""), "{log}");
    assert!(!std::path::Path::new(&pid_file).exists());
}

#[test]
fn what_was_acknowledged_survives_kill_nine() {
    let scratch = Scratch::new("broker-kept");
    let data = scratch.path("data");
    let options = ["--listen", "127.0.0.1:0", "--data", &data];
    let mut broker = Broker::start_with(&options);
    assert!(broker.greeting[1].contains(&data), "{:?}", broker.greeting);
    let port = broker.port().to_string();
    let kept = ["sub", "-p", &port, "-i", "kept", "-c", "-q", "1", "-t", "k", "-E"];
    assert_eq!(run(&kept, b"").code, Some(0));
    let lines: String = (0..1_000).map(|number| format!("line {number}\n")).collect();
    let pub_args = ["pub", "-p", &port, "-t", "k", "-q", "1", "-l"];
    assert_eq!(run(&pub_args, lines.as_bytes()).code, Some(0));
    for _ in 0..2 {
        broker.signal("KILL");
        drop(broker);
        broker = Broker::start_with(&options);
    }
    let port = broker.port().to_string();
    let taken = ["sub", "-p", &port, "-i", "kept", "-c", "-q", "1", "-t", "k", "-C", "1000"];
    assert_eq!(run(&taken, b"").out, lines);
    let answer = run(&["broker", "--listen", "127.0.0.1:0", "--data", &data], b"");
    assert!(answer.err.contains("in use by another process"), "{answer:?}");
    assert_eq!(broker.stop().0, Some(0));
}

#[test]
fn each_listener_has_rules_of_its_own() {
    let scratch = Scratch::new("broker-listeners");
    let config = "memory = true\n[limits]\nmaximum_qos = 2\n\
        [[listener]]\nlisten = \"127.0.0.1:0\"\n\
        [[listener]]\nlisten = \"127.0.0.1:0\"\nmount_point = \"tenant/\"\n\
        maximum_qos = 0\nmax_packet_size = \"1 KiB\"\n\
        [[listener]]\nlisten = \"127.0.0.1:0\"\nanonymous = \"never\"\nretain = false\n";
    let config = scratch.write("tamtam.toml", config);
    let broker = Broker::start_with(&["--config", &config]);
    let [open, tenant, closed] = [0, 1, 2].map(|place| broker.ports[place].to_string());
    let mut reader = Raw::connected(broker.ports[0], "reader");
    reader.subscribe("tenant/a");
    let publish =
        |port: &str, args: &[&str]| run(&[&["pub", "-p", port, "-t", "a"], args].concat(), b"");
    assert_eq!(publish(&tenant, &["-m", "x"]).code, Some(0));
    assert_eq!(reader.message(), "x", "below the mount point");
    let answer = publish(&tenant, &["-m", "x", "-q", "1"]);
    assert!(answer.err.contains("this QoS (Maximum QoS)"), "{answer:?}");
    let large = "x".repeat(2_000);
    assert_ne!(publish(&tenant, &["-m", &large]).err, "");
    assert_eq!(publish(&open, &["-m", &large, "-q", "2"]).code, Some(0));
    assert_eq!(publish(&closed, &["-m", "x"]).code, Some(0x87));
}

#[test]
fn a_unix_socket_is_a_listener_too() {
    let scratch = Scratch::new("broker-unix");
    let socket = scratch.path("mqtt.sock");
    let url = format!("unix:{socket}");
    for _ in 0..2 {
        // The second time, the file of the first one is there.
        let broker = Broker::start_with(&["--memory", "--listen", &url]);
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        use std::io::{Read as _, Write as _};
        stream.write_all(&connect("c", None)).unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, ACCEPTED);
        drop(broker);
    }
}
