//! Limits of who comes in, from outside: each has a name, is counted, and changes while it runs.
#![cfg(unix)]

mod common;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use common::broker::{Broker, eventually};
use common::raw::{Raw, connect};
use common::{Scratch, run};

/// The port that metrics are served at.
const METRICS: u16 = 21_411;
const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];

/// A login; the connection, and what CONNACK says.
fn login(port: u16, client_id: &str, user: &str) -> (Raw, Vec<u8>) {
    let mut raw = Raw::open(port);
    raw.send(&connect(client_id, Some((user, "x"))));
    let answer = raw.take(4);
    (raw, answer)
}

/// Whether somebody without a name is let in, and not closed before anything is said.
fn is_let_in(port: u16) -> bool {
    let mut raw = Raw::open(port);
    let _ = raw.0.write_all(&connect("somebody", None));
    raw.0.read_exact(&mut [0; 4]).is_ok()
}

/// What is counted under a name.
fn counted(name: &str) -> u64 {
    let mut http = Raw::open(METRICS);
    http.send(b"GET /metrics HTTP/1.1\r\n\r\n");
    let page = String::from_utf8(http.rest()).unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {page}")).parse().unwrap()
}

#[test]
fn connections_are_limited_by_user_and_address_and_listener() {
    let scratch = Scratch::new("limits");
    let config = |limits: &str, listener: &str| {
        let text = format!(
            "memory = true\nanonymous = \"everywhere\"\nmetrics = \"127.0.0.1:{METRICS}\"\n\
             [limits]\n{limits}\n[[listener]]\nlisten = \"127.0.0.1:0\"\n\
             [[listener]]\nlisten = \"127.0.0.1:0\"\n{listener}\n"
        );
        scratch.write("tamtam.toml", &text)
    };
    let file = config("connections_per_user = 2", "connections = 1");
    let mut broker = Broker::start_with(&["--config", &file]);
    let [first, second] = [broker.ports[0], broker.ports[1]];
    let (_a, answer) = login(first, "a", "ada");
    assert_eq!(answer, ACCEPTED);
    let (b, answer) = login(first, "b", "ada");
    assert_eq!(answer, ACCEPTED);
    // MQTT 3.1.1 has no code for it, so there is no CONNACK [MQTT3-3.2.2-6].
    let mut third = Raw::open(first);
    third.send(&connect("c", Some(("ada", "x"))));
    assert_eq!(third.rest(), []);
    let full = "tamtam_connections_kept_out_total{reason=\"connections_per_user\"}";
    assert_eq!(counted(full), 1);
    let publish = ["pub", "-p", &first.to_string(), "-u", "ada", "-t", "t", "-m", "x", "-q", "1"];
    let answer = run(&publish, b"");
    assert!(answer.err.contains("0x97") && answer.code == Some(0x97), "{answer:?}");
    // Taking over one's own connection takes no room, others are others, nobody is not counted.
    let (_b, answer) = login(first, "b", "ada");
    assert_eq!(answer, ACCEPTED);
    drop(b);
    let (_c, answer) = login(first, "c", "bob");
    assert_eq!(answer, ACCEPTED);
    let _nobody: Vec<Raw> =
        (0..3).map(|number| Raw::connected(first, &format!("nobody-{number}"))).collect();

    let _d = Raw::connected(second, "d");
    assert!(!is_let_in(second));
    let full = "tamtam_connections_kept_out_total{reason=\"listener_connections\"}";
    assert_eq!(counted(full), 1);

    // Other limits, while it runs: whoever is inside counts, and stays.
    config("connections_per_user = 3\nconnections_per_address = 8", "");
    broker.signal("HUP");
    broker.wait_for_log("read again");
    let (e, answer) = login(first, "e", "ada");
    assert_eq!(answer, ACCEPTED);
    assert!(!is_let_in(second));
    let full = "tamtam_connections_kept_out_total{reason=\"connections_per_address\"}";
    assert_eq!(counted(full), 1);
    drop(e);
    eventually("the room of one who left is free", || is_let_in(second));
}

#[test]
fn those_who_come_too_fast_wait_and_others_do_not() {
    let broker = Broker::start(&["--connect-rate", "10"]);
    let port = broker.port();
    let mut inside = [Raw::connected(port, "reader"), Raw::connected(port, "writer")];
    inside[0].subscribe("t");
    let began = Instant::now();
    let mut flood: Vec<Raw> = (0..30).map(|_| Raw::open(port)).collect();
    for (number, raw) in flood.iter_mut().enumerate() {
        raw.send(&connect(&format!("flood-{number}"), None));
    }
    let before = Instant::now();
    inside[1].publish("t", "x");
    assert_eq!(inside[0].message(), "x");
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    for raw in &mut flood {
        assert_eq!(raw.take(4), ACCEPTED);
    }
    assert!(began.elapsed() > Duration::from_millis(1_900), "{:?}", began.elapsed());
}
