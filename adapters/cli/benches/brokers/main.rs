//! What a message costs a broker, ours and mosquitto's side by side:
//! `cargo bench -p tamtam --bench brokers`.
//!
//! For each row a broker is started anew, loaded with the same clients, and asked what it spent:
//! time on a processor in a first pass, calls into the system in a second one, as counting them takes
//! time. It prints a table in Markdown. `-- pairs` runs the rows with that word in their names,
//! `-- 0.1` a tenth of each load.
//!
//! It needs `mosquitto`, and for the calls `perf` and the right to use it.
#![cfg(target_os = "linux")]

#[path = "../../tests/common/mod.rs"]
mod common;
mod contestant;
mod loads;
#[allow(dead_code, unreachable_pub, reason = "`tamtam bench` uses all of it")]
#[path = "../../src/bench/process.rs"]
mod process;

use contestant::{Contestant, Kind};
use loads::{Load, Unit};

/// A row of the table: what is done, and the figure of the best broker that was measured on such a
/// load times what we want to be better by.
struct Row {
    name: &'static str,
    load: Load,
    bar: f64,
}

const fn row(name: &'static str, load: Load, bar: f64) -> Row {
    Row { name, load, bar }
}

const fn bench(messages: u64, arguments: &'static [&'static str]) -> Load {
    Load::Bench { messages, arguments }
}

const TEN_PAIRS: &[&str] = &["--publishers", "10", "--subscribers", "10"];

/// All rows. Payloads have 64 bytes and windows 100 messages, if nothing else is said.
fn rows() -> Vec<Row> {
    vec![
        row("10 pairs, QoS 0", bench(1_000_000, TEN_PAIRS), 0.20),
        row(
            "10 pairs, QoS 1",
            bench(500_000, &["--publishers=10", "--subscribers=10", "-q1"]),
            0.36,
        ),
        row(
            "10 pairs, QoS 2",
            bench(300_000, &["--publishers=10", "--subscribers=10", "-q2"]),
            0.77,
        ),
        row(
            "10 pairs, QoS 0, 1 KiB",
            bench(500_000, &["--publishers=10", "--subscribers=10", "--size=1024"]),
            0.37,
        ),
        row(
            "500 pairs, QoS 0, one under way each",
            bench(200_000, &["--publishers=500", "--subscribers=500", "--window=1"]),
            6.3,
        ),
        row(
            "500 pairs, QoS 1, one under way each",
            bench(100_000, &["--publishers=500", "--subscribers=500", "--window=1", "-q1"]),
            12.0,
        ),
        row("1 to 1000, QoS 0", bench(1_000, &["--subscribers=1000"]), 0.84),
        row("1 to 1000, QoS 1", bench(500, &["--subscribers=1000", "-q1"]), 1.98),
        row("500 to 1, QoS 0", bench(500_000, &["--publishers=500", "--wildcard"]), 0.39),
        row(
            "10 to 10 who share, QoS 1",
            bench(
                300_000,
                &["--publishers=10", "--subscribers=10", "--shared", "--wildcard", "-q1"],
            ),
            0.49,
        ),
        row("100,000 filters, a third with wildcards", Load::Filters, 0.82),
        row("retained: one stored", Load::Store, 0.70),
        row("retained: one of 100,000 replayed", Load::Replay, 0.36),
        row("one queued for an absent session", Load::Enqueue, 0.54),
        row("one of 100,000 queued ones sent", Load::Drain, 0.38),
        row("1 pair, QoS 0, 1 MiB", bench(1_000, &["--size=1048576", "--window=4"]), 297.0),
        row("one connection accepted", Load::Accept, 16.0),
        row("an idle connection", Load::Idle { subscribed: false }, 640.0),
        row("an idle connection that subscribed", Load::Idle { subscribed: true }, 1_210.0),
        row("a subscription", Load::FilterMemory, 214.0),
        row("a retained message", Load::StoreMemory, 246.0),
        row("a queued message", Load::QueueMemory, 158.0),
    ]
}

fn main() {
    let mut scale = 1.0;
    let mut words = Vec::new();
    for argument in std::env::args().skip(1).filter(|argument| argument != "--bench") {
        match argument.parse() {
            Ok(number) => scale = number,
            Err(_) => words.push(argument),
        }
    }
    let wanted = |row: &Row| words.iter().all(|word| row.name.contains(word));
    println!(
        "| case | | tamtam, memory | calls | tamtam, durable | calls | mosquitto | calls | \
              ahead | bar | met |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|");
    for row in rows().iter().filter(|row| wanted(row)) {
        println!("{}", line(row, scale));
    }
}

/// Measures everybody; a line of the table.
fn line(row: &Row, scale: f64) -> String {
    let unit = row.load.unit();
    let mut cells = String::new();
    let mut costs = Vec::new();
    for kind in [Kind::Memory, Kind::Durable, Kind::Mosquitto] {
        let cost = measure(row, kind, scale, false);
        let calls = match unit {
            Unit::Micros => measure(row, kind, scale, true).map(|calls| format!("{calls:.2}")),
            Unit::Bytes => Err(String::new()),
        };
        if let Err(error) = &cost {
            eprintln!("{}: {kind:?}: {error}", row.name);
        }
        let shown = cost.as_ref().map_or("–".to_owned(), |cost| unit.shown(*cost));
        cells.push_str(&format!(" {shown} | {} |", calls.unwrap_or("–".to_owned())));
        costs.push(cost.unwrap_or(f64::NAN));
    }
    let (ours, bar) = (costs[0], row.bar);
    let met = if ours <= bar { "yes" } else { "**no**" };
    let unit_name = unit.name();
    let ahead = costs[2] / ours;
    format!("| {} | {unit_name} |{cells} {ahead:.1} × | ≤ {} | {met} |", row.name, unit.shown(bar))
}

/// What a unit costs a broker: time or memory, or calls.
fn measure(row: &Row, kind: Kind, scale: f64, calls: bool) -> Result<f64, String> {
    let contestant = Contestant::start(kind);
    eprintln!("{}: {kind:?}{}", row.name, if calls { ", calls" } else { "" });
    row.load.run(&contestant, scale, calls)
}
