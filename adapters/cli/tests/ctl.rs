//! `tamtam ctl` from outside: the real binary, and the broker that it looks at.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader};

use common::broker::Broker;
use common::raw::Raw;
use common::{Answer, Scratch, run, tamtam};

#[test]
fn a_broker_is_looked_at_and_acted_on() {
    let scratch = Scratch::new("ctl");
    let socket = scratch.path("control.sock");
    let broker = Broker::start(&["--control", &socket]);
    let port = broker.port().to_string();
    let ctl =
        |args: &[&str]| -> Answer { run(&[&["ctl", "--control", &socket], args].concat(), b"") };

    let mut events = tamtam().args(["ctl", "--control", &socket, "events"]).spawn().unwrap();
    let mut happens = BufReader::new(events.stdout.take().unwrap()).lines();
    // Whoever follows is told of everything that comes after this.
    let status = ctl(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["connected"], 0);
    std::thread::sleep(std::time::Duration::from_millis(300));

    let kept = ["sub", "-p", &port, "-i", "kept", "-c", "-q", "1", "-t", "k/+", "-E"];
    assert_eq!(run(&kept, b"").code, Some(0));
    let next = happens.next().unwrap().unwrap();
    assert!(next.contains("event=connected") && next.contains("client=kept"), "{next}");
    let next = happens.next().unwrap().unwrap();
    assert!(next.contains("event=disconnected") && next.contains("client=kept"), "{next}");
    let publish = ["pub", "-p", &port, "-t", "k/1", "-m", "x", "-q", "1", "-r", "--repeat", "3"];
    assert_eq!(run(&publish, b"").code, Some(0));
    let mut raw = Raw::connected(broker.port(), "raw");

    let sessions = ctl(&["sessions"]);
    let lines: Vec<&str> = sessions.out.lines().collect();
    assert!(lines[0].starts_with("CLIENT  "), "{sessions:?}");
    assert!(lines.iter().any(|line| line.starts_with("kept ")), "{sessions:?}");
    let show = ctl(&["show", "kept", "--json"]);
    let show: serde_json::Value = serde_json::from_str(&show.out).unwrap();
    assert_eq!((&show["queued"], &show["connected"]), (&3.into(), &false.into()));
    assert_eq!(
        (&show["filters"][0]["filter"], &show["filters"][0]["qos"]),
        (&"k/+".into(), &1.into())
    );
    assert!(ctl(&["show", "kept"]).out.contains("filters            filter=k/+"));
    assert!(ctl(&["show", "raw"]).out.contains("address            127.0.0.1:"));

    assert!(
        ctl(&["retained"]).out.contains("topic              k/1")
            || ctl(&["retained"]).out.contains("k/1")
    );
    assert_eq!(ctl(&["delete", "k/#", "--json"]).out, "{\"deleted\":1}\n");
    assert!(!ctl(&["retained"]).out.contains("k/1"));
    assert_eq!(ctl(&["clear", "kept", "--json"]).out, "{\"cleared\":3}\n");
    assert_eq!(ctl(&["disconnect", "raw"]).code, Some(0));
    assert!(raw.rest().is_empty());
    assert_eq!(ctl(&["end", "kept"]).code, Some(0));
    let gone = ctl(&["end", "kept"]);
    assert_eq!(gone.code, Some(1));
    assert!(gone.err.contains("no client `kept` is there"), "{gone:?}");
    let mut stranger = Raw::open(broker.port());
    stranger.send(&[0x10, 2, 0, 0]);
    stranger.rest();
    let refused = happens.map_while(Result::ok).find(|line| line.contains("event=refused"));
    assert!(refused.is_some_and(|line| line.contains("address=127.0.0.1:")));
    events.kill().unwrap();
    events.wait().unwrap();
    assert_eq!(broker.stop().0, Some(0));
    assert!(!std::path::Path::new(&socket).exists());
    assert!(ctl(&["status"]).err.contains("is a broker running there?"));
}
