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
    assert_eq!(next, "client=kept event=subscribed filter=k/+ qos=1");
    let next = happens.next().unwrap().unwrap();
    assert!(next.contains("event=disconnected") && next.contains("client=kept"), "{next}");
    let publish = ["pub", "-p", &port, "-t", "k/1", "-m", "x", "-q", "1", "-r", "--repeat", "3"];
    assert_eq!(run(&publish, b"").code, Some(0));
    let mut raw = Raw::connected(broker.port(), "raw");
    what_there_is_is_listed(&ctl);
    sessions_are_shown(&ctl);
    assert!(
        ctl(&["retained"]).out.contains("topic              k/1")
            || ctl(&["retained"]).out.contains("k/1")
    );
    assert_eq!(ctl(&["delete", "k/#", "--json"]).out, "{\"deleted\":1}\n");
    assert!(!ctl(&["retained"]).out.contains("k/1"));
    assert_eq!(ctl(&["clear", "kept", "--json"]).out, "{\"cleared\":3}\n");
    let dropped = "client=kept event=dropped qos=1 topic=k/1 why=cleared";
    for _ in 0..3 {
        assert_eq!(
            happens.by_ref().map_while(Result::ok).find(|line| line == dropped).unwrap(),
            dropped
        );
    }
    assert!(ctl(&["status"]).out.contains("dropped            copies=3 why=cleared"));
    assert_eq!(ctl(&["disconnect", "raw"]).code, Some(0));
    assert!(raw.rest().is_empty());
    assert_eq!(ctl(&["end", "kept"]).code, Some(0));
    let ended = "client=kept event=session_ended why=administrator";
    assert!(happens.by_ref().map_while(Result::ok).any(|line| line == ended));
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

/// `kept` is away, with a subscription to `k/+` and three messages; `raw` is connected.
fn what_there_is_is_listed(ctl: &dyn Fn(&[&str]) -> Answer) {
    let json = |args: &[&str]| -> Vec<serde_json::Value> {
        let lines = ctl(&[args, &["--json"]].concat()).out;
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let links = json(&["links"]);
    assert_eq!((links.len(), &links[0]["client"]), (1, &"raw".into()));
    assert_eq!((&links[0]["version"], &links[0]["in_flight"]), (&"3.1.1".into(), &0.into()));
    assert!(links[0]["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    let subscriptions = json(&["subscriptions"]);
    assert_eq!(subscriptions.len(), 1);
    let one = &subscriptions[0];
    assert_eq!(
        (&one["client"], &one["filter"], &one["qos"]),
        (&"kept".into(), &"k/+".into(), &1.into())
    );
    let queue = json(&["queue", "kept"]);
    assert_eq!(queue.len(), 3);
    for one in &queue {
        assert_eq!(
            (&one["topic"], &one["qos"], &one["bytes"]),
            (&"k/1".into(), &1.into(), &1.into())
        );
        assert_eq!((&one["sent"], &one["id"]), (&false.into(), &0.into()));
    }
    let table = ctl(&["queue", "kept"]).out;
    assert!(table.starts_with("BYTES  EXPIRY_SECS  ID  QOS  RETAIN  SENT  TOPIC\n"), "{table}");
    assert!(table.contains("1      never        0   1    no      no    k/1\n"), "{table}");
    assert!(ctl(&["queue", "nobody"]).err.contains("no client `nobody` is there"));
    let received = &json(&["status"])[0]["received"];
    assert_eq!((&received[1]["messages"], &received[1]["payload_bytes"]), (&3.into(), &3.into()));
}

/// The same.
fn sessions_are_shown(ctl: &dyn Fn(&[&str]) -> Answer) {
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
}
