//! What a message costs a broker, ours and mosquitto's side by side:
//! `cargo bench -p tamtam --bench brokers`.
//!
//! For each row a broker is started anew, loaded with the same clients, and asked what it spent:
//! time on a processor in a first pass, calls into the system in a second one, as counting them
//! takes time. It prints a table in Markdown. `-- pairs` runs the rows with that word in their
//! names, `-- 0.1` a tenth of each load.
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

/// A row of the table.
struct Row {
    name: &'static str,
    load: Load,
    bar: Bar,
}

/// Where we want to get to: what the best broker that was measured with such a load took, and a
/// good part less.
enum Bar {
    /// A share of what mosquitto takes in the same run, as what a machine has to spend on a message
    /// is another one each day.
    Share(f64),
    /// Memory is the same each day.
    Bytes(f64),
}

impl Bar {
    fn is_met(&self, ours: f64, theirs: f64) -> bool {
        match self {
            Self::Share(most) => ours / theirs <= *most,
            Self::Bytes(most) => ours <= *most,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Share(most) => format!("≤ {:.1} %", 100.0 * most),
            Self::Bytes(most) => format!("≤ {most:.0}"),
        }
    }
}

const fn row(name: &'static str, load: Load, share: f64) -> Row {
    Row { name, load, bar: Bar::Share(share) }
}

const fn memory(name: &'static str, load: Load, bytes: f64) -> Row {
    Row { name, load, bar: Bar::Bytes(bytes) }
}

/// What `tamtam bench` does, with MQTT 3.1.1.
const fn bench(messages: u64, arguments: &'static [&'static str]) -> Load {
    Load::Bench { messages, arguments }
}

/// All rows. Payloads have 64 bytes and windows 100 messages, if nothing else is said.
fn rows() -> Vec<Row> {
    const P10: &str = "--publishers=10";
    const S10: &str = "--subscribers=10";
    vec![
        row("10 pairs, QoS 0", bench(500_000, &[P10, S10]), 0.026),
        row("10 pairs, QoS 0, MQTT 5", bench(500_000, &[P10, S10, "-V5"]), 0.026),
        row("10 pairs, QoS 1", bench(300_000, &[P10, S10, "-q1"]), 0.027),
        row("10 pairs, QoS 2", bench(200_000, &[P10, S10, "-q2"]), 0.029),
        row("10 pairs, QoS 0, 1 KiB", bench(300_000, &[P10, S10, "--size=1024"]), 0.042),
        row(
            "500 pairs, QoS 0, one under way each",
            bench(100_000, &["--publishers=500", "--subscribers=500", "--window=1"]),
            0.75,
        ),
        row(
            "500 pairs, QoS 1, one under way each",
            bench(50_000, &["--publishers=500", "--subscribers=500", "--window=1", "-q1"]),
            0.80,
        ),
        row("1 to 1000, QoS 0", bench(500, &["--subscribers=1000"]), 0.12),
        row("1 to 1000, QoS 1", bench(200, &["--subscribers=1000", "-q1"]), 0.20),
        row("500 to 1, QoS 0", bench(200_000, &["--publishers=500", "--wildcard"]), 0.060),
        row(
            "10 to 10 who share, QoS 1",
            bench(200_000, &[P10, S10, "--shared", "--wildcard", "-q1"]),
            0.036,
        ),
        row("100,000 filters, a third with wildcards", Load::Filters, 0.10),
        row("retained: one stored", Load::Store, 0.082),
        row("retained: one of 100,000 replayed", Load::Replay, 0.072),
        row("one queued for an absent session", Load::Enqueue, 0.063),
        row("one of 100,000 queued ones sent", Load::Drain, 0.049),
        row("1 pair, QoS 0, 1 MiB", bench(500, &["--size=1048576", "--window=4"]), 0.29),
        row("one connection accepted", Load::Accept, 0.85),
        memory("an idle connection", Load::Idle { subscribed: false }, 640.0),
        memory("an idle connection that subscribed", Load::Idle { subscribed: true }, 1_210.0),
        memory("a subscription", Load::FilterMemory, 214.0),
        memory("a retained message", Load::StoreMemory, 246.0),
        memory("a queued message", Load::QueueMemory, 158.0),
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
        "| case | unit | in memory | calls | durable | calls | mosquitto | calls | share | bar \
         | met |"
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
        for error in [cost.as_ref().err(), calls.as_ref().err()].into_iter().flatten() {
            eprintln!("{}: {kind:?}: {error}", row.name);
        }
        let shown = cost.as_ref().map_or("–".to_owned(), |cost| unit.shown(*cost));
        cells.push_str(&format!(" {shown} | {} |", calls.unwrap_or("–".to_owned())));
        costs.push(cost.unwrap_or(f64::NAN));
    }
    let (ours, theirs) = (costs[0], costs[2]);
    let (share, bar) = (100.0 * ours / theirs, row.bar.shown());
    let met = if row.bar.is_met(ours, theirs) { "yes" } else { "**no**" };
    format!("| {} | {} |{cells} {share:.1} % | {bar} | {met} |", row.name, unit.name())
}

/// What a unit costs a broker: time or memory, or calls.
fn measure(row: &Row, kind: Kind, scale: f64, calls: bool) -> Result<f64, String> {
    let contestant = Contestant::start(kind);
    eprintln!("{}: {kind:?}{}", row.name, if calls { ", calls" } else { "" });
    row.load.run(&contestant, scale, calls)
}
