//! What it costs that acknowledged messages are on disk: `cargo bench -p tamtam --bench durable`.
//!
//! Publishers keep a window of QoS 1 messages on their way, for sessions that are kept and either
//! absent or there. A line for each load: messages acknowledged each second, how long that took,
//! the broker's processor time and the bytes that it wrote for each. Then a restart with a million
//! messages that wait (or as many as the first argument says).
#![cfg(target_os = "linux")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use common::Scratch;
use common::broker::Broker;
use common::peer::Subscriber;
use common::raw::{Raw, packet, string};

const PAYLOAD_BYTES: usize = 64;
const SECONDS: u64 = 3;

fn main() {
    let numbers = || std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    println!("{PAYLOAD_BYTES} bytes, QoS 1; latency in ms, processor time in us, written in bytes");
    println!("class    session  publishers x window    msg/s    p50    p99   CPU/msg  written/msg");
    for session in ["absent", "present"] {
        for class in ["durable", "relaxed", "memory"] {
            for (publishers, window) in [(1, 1), (1, 20), (4, 50), (8, 200)] {
                measure(class, session, publishers, window);
            }
        }
    }
    restart(numbers().next().unwrap_or(1_000_000));
}

fn start(scratch: &Scratch, class: &str) -> Broker {
    let data = scratch.path("data");
    let place = ["--listen", "127.0.0.1:0", "--data", &data, "--durability", class];
    Broker::start_with(&[&place[..], &["--queue-messages", "10000000"]].concat())
}

fn measure(class: &str, session: &str, publishers: usize, window: usize) {
    let scratch = Scratch::new("bench-durable");
    let broker = start(&scratch, class);
    let port = broker.port();
    let mut subscriber = Subscriber::default();
    subscriber.begin(port).unwrap();
    let before = (cpu(&broker), written(&broker));
    let (mut latencies, after) = std::thread::scope(|scope| {
        if session == "present" {
            scope.spawn(|| drain(port));
        }
        let load = move |number| publish(port, number, window, u64::MAX);
        let threads: Vec<_> =
            (0..publishers).map(|number| scope.spawn(move || load(number))).collect();
        let all = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        let all: Vec<u32> = all.collect();
        let after = (cpu(&broker), written(&broker));
        broker.signal("KILL");
        (all, after)
    });
    let (cpu, written) = (after.0 - before.0, after.1 - before.1);
    latencies.sort_unstable();
    let count = latencies.len() as f64;
    let percent = |of: usize| f64::from(latencies[latencies.len() * of / 100]) / 1e3;
    println!(
        "{class:8} {session:8} {publishers:5} x {window:<12} {:10.0} {:6.2} {:6.2} {:9.1} {:12.0}",
        count / SECONDS as f64,
        percent(50),
        percent(99),
        cpu.as_secs_f64() * 1e6 / count,
        written as f64 / count,
    );
}

/// Publishes for a while, or so many; how long each acknowledgement took, in microseconds.
fn publish(port: u16, number: usize, window: usize, most: u64) -> Vec<u32> {
    let mut raw = Raw::connected(port, &format!("publisher-{number}"));
    let topic = string(&format!("n/{number}"));
    let (begun, payload) = (Instant::now(), [b'x'; PAYLOAD_BYTES]);
    let mut sent_at = vec![begun; 65_536];
    let (mut sent, mut latencies, mut unread) = (0_u64, Vec::new(), Vec::new());
    let mut input = [0; 16_384];
    loop {
        let is_over =
            sent >= most || most == u64::MAX && begun.elapsed() >= Duration::from_secs(SECONDS);
        let mut out = Vec::new();
        while !is_over && sent - (latencies.len() as u64) < window as u64 && sent < most {
            let id = (sent % 65_535) as u16 + 1;
            let body = [&topic[..], &id.to_be_bytes(), &payload].concat();
            out.extend(packet(0x32, &body));
            sent_at[usize::from(id)] = Instant::now();
            sent += 1;
        }
        raw.0.write_all(&out).unwrap();
        if sent == latencies.len() as u64 {
            return latencies;
        }
        let len = raw.0.read(&mut input).unwrap();
        unread.extend_from_slice(&input[..len]);
        let whole = unread.len() / 4 * 4;
        for ack in unread.drain(..whole).collect::<Vec<_>>().chunks(4) {
            assert_eq!(ack[..2], [0x40, 2], "PUBACK");
            let at = sent_at[usize::from(u16::from_be_bytes([ack[2], ack[3]]))];
            latencies.push(u32::try_from(at.elapsed().as_micros()).unwrap());
        }
    }
}

/// Takes all that comes, until the broker ends.
fn drain(port: u16) {
    let mut raw = Raw::open(port);
    let body = [&string("MQTT")[..], &[4, 0, 0, 0], &string("subscriber")[..]].concat();
    raw.send(&packet(0x10, &body));
    raw.take(4);
    let (mut unread, mut input) = (Vec::new(), vec![0; 65_536]);
    while let Ok(len @ 1..) = raw.0.read(&mut input) {
        unread.extend_from_slice(&input[..len]);
        let (mut at, mut out) = (0, Vec::new());
        while unread.len() >= at + 2 && unread.len() >= at + 2 + usize::from(unread[at + 1]) {
            let topic = usize::from(unread[at + 3]);
            out.extend([0x40, 2, unread[at + 4 + topic], unread[at + 5 + topic]]);
            at += 2 + usize::from(unread[at + 1]);
        }
        unread.drain(..at);
        if raw.0.write_all(&out).is_err() {
            return;
        }
    }
}

/// The processor time that the broker has used.
fn cpu(broker: &Broker) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", broker.pid())).unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// How many bytes it had written to the disk.
fn written(broker: &Broker) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{}/io", broker.pid())).unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or_default()
}

fn restart(messages: u64) {
    let scratch = Scratch::new("bench-restart");
    let broker = start(&scratch, "durable");
    Subscriber::default().begin(broker.port()).unwrap();
    publish(broker.port(), 0, 1_000, messages);
    let full = broker.resident_kib();
    broker.signal("KILL");
    broker.wait();
    let begun = Instant::now();
    let broker = start(&scratch, "durable");
    let took = begun.elapsed().as_secs_f64();
    let resident = broker.resident_kib();
    println!(
        "restart with {messages} queued messages: {took:.2} s, {resident} KiB resident, \
         {full} KiB before"
    );
}
