//! `tamtam bench`, `completions` and `man` from outside.
#![cfg(unix)]

mod common;

use common::broker::Broker;
use common::{Answer, Scratch, run};

fn bench(broker: &Broker, args: &[&str]) -> (Answer, serde_json::Value) {
    let port = broker.port().to_string();
    let answer = run(&[&["bench", "-p", &port, "--seconds", "0.5", "--json"], args].concat(), b"");
    let json = serde_json::from_str(&answer.out).unwrap_or_default();
    (answer, json)
}

#[test]
fn a_load_is_counted_exactly_and_timed() {
    let broker = Broker::start(&[]);
    for args in [
        &["-q", "0"][..],
        &["-q", "1", "--publishers", "5", "--subscribers", "5", "-V", "3.1.1"],
        &["-q", "2", "--publishers", "3", "--subscribers", "2", "--size", "1000"],
        &["-q", "1", "--publishers", "2", "--subscribers", "3", "--shared"],
        &["-q", "1", "--subscribers", "10", "--messages", "200"],
        &["-q", "0", "--rate", "500"],
    ] {
        let (answer, json) = bench(&broker, args);
        assert_eq!(answer.code, Some(0), "{args:?} {answer:?}");
        for flaw in ["lost", "duplicated", "misordered"] {
            assert_eq!(json[flaw], 0, "{args:?} {json}");
        }
        assert!(json["received"].as_u64().unwrap() >= 100, "{args:?} {json}");
        assert!(json["latency_us"]["p99"].as_u64() >= json["latency_us"]["p50"].as_u64(), "{json}");
    }
    let (_, json) = bench(&broker, &["--rate", "500"]);
    let published = json["published"].as_u64().unwrap();
    assert!((200..=250).contains(&published), "half a second of 500 a second: {json}");
    let (_, json) = bench(&broker, &["--pid", &broker.pid().to_string()]);
    assert!(json["broker_cpu_us_per_message"].as_f64().unwrap() > 0.0, "{json}");
}

#[test]
fn what_never_comes_is_lost() {
    let scratch = Scratch::new("tools-lost");
    let acl = scratch.write("acl", "topic write bench/#\ntopic read bench/1\n");
    let broker = Broker::start(&["--acl-file", &acl]);
    let args = ["--publishers", "2", "--subscribers", "2", "--topics", "2", "--messages", "20"];
    let (answer, _) = bench(&broker, &args);
    assert_eq!(answer.code, Some(1));
    assert!(answer.err.contains("no subscription: not authorized"), "{answer:?}");
    let answer = run(&["bench", "-p", "21412"], b"");
    assert!(answer.err.contains("is a broker running at mqtt://127.0.0.1:21412?"), "{answer:?}");
    assert_eq!(run(&["bench", "--rate", "0"], b"").code, Some(2));
}

#[test]
fn shells_and_manuals_know_every_option() {
    for shell in ["bash", "zsh", "fish"] {
        let answer = run(&["completions", shell], b"");
        assert_eq!(answer.code, Some(0));
        assert!(answer.out.contains("max-packet-size") && answer.out.contains("will-topic"));
    }
    let scratch = Scratch::new("tools-man");
    let folder = scratch.path("man");
    assert_eq!(run(&["man", &folder], b"").code, Some(0));
    let page = std::fs::read_to_string(format!("{folder}/tamtam-broker.1")).unwrap();
    assert!(page.contains(".TH tamtam-broker 1") && page.contains("max\\-packet\\-size"), "{page}");
}
