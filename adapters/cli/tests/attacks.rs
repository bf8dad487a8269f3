//! Hostile clients, replayed against the real binary, while well-behaved ones are served and its
//! memory stays bounded.
#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::broker::{Broker, eventually};
use common::raw::{Raw, connect, packet, string};
use common::tamtam;

/// How much more memory an attack may cost, in KiB.
const MEMORY_KIB_MAX: u64 = 32 << 10;
/// How long a well-behaved client may have to wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// A broker under attack, and two clients that only want to be served.
struct Siege {
    broker: Broker,
    reader: Raw,
    writer: Raw,
    before_kib: u64,
    sent: u32,
}

impl Siege {
    fn begin(options: &[&str]) -> Self {
        Self::of(Broker::start(options))
    }

    fn of(broker: Broker) -> Self {
        let mut reader = Raw::connected(broker.port(), "reader");
        reader.subscribe("peace");
        let writer = Raw::connected(broker.port(), "writer");
        let before_kib = broker.resident_kib();
        let mut siege = Self { broker, reader, writer, before_kib, sent: 0 };
        siege.is_served();
        siege
    }

    fn port(&self) -> u16 {
        self.broker.port()
    }

    /// The well-behaved are served, at once and in order.
    fn is_served(&mut self) {
        self.sent += 1;
        let began = Instant::now();
        self.writer.publish("peace", &self.sent.to_string());
        assert_eq!(self.reader.message(), self.sent.to_string());
        assert!(began.elapsed() < PATIENCE, "{:?} for a message", began.elapsed());
    }

    /// Somebody new is served, too.
    fn is_open(&mut self) {
        eventually("somebody new is let in", || {
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port())) else {
                return false;
            };
            stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            let mut answer = [0; 4];
            stream.write_all(&connect("new", None)).is_ok()
                && stream.read_exact(&mut answer).is_ok()
                && answer == [0x20, 2, 0, 0]
        });
    }

    fn is_small(&self) {
        let now = self.broker.resident_kib();
        let grown = now.saturating_sub(self.before_kib);
        assert!(grown <= MEMORY_KIB_MAX, "{grown} KiB more than {} KiB", self.before_kib);
    }

    fn end(mut self) {
        self.is_served();
        self.is_small();
        self.is_open();
        let (code, log) = self.broker.stop();
        assert_eq!(code, Some(0), "{log}");
    }
}

#[test]
fn half_open_connections_are_given_up() {
    let mut siege = Siege::begin(&["--connect-timeout", "500ms"]);
    let mut silent: Vec<Raw> = (0..500).map(|_| Raw::open(siege.port())).collect();
    let mut slow: Vec<Raw> = (0..50).map(|_| Raw::open(siege.port())).collect();
    // A CONNECT that comes a byte at a time is one that does not come.
    for byte in connect("slow", None).iter().take(10) {
        slow.iter_mut().for_each(|raw| drop(raw.0.write_all(&[*byte])));
        siege.is_served();
        std::thread::sleep(Duration::from_millis(60));
    }
    assert!(silent.iter_mut().chain(&mut slow).all(|raw| raw.rest().is_empty()), "closed");
    siege.end();
}

#[test]
fn those_who_send_too_slowly_are_given_up() {
    let mut siege = Siege::begin(&[]);
    // A keep alive of one second, and then a message that comes a byte at a time.
    let body = [&string("MQTT")[..], &[4, 2, 0, 1], &string("slow")[..]].concat();
    let mut slow = Raw::open(siege.port());
    slow.send(&packet(0x10, &body));
    assert_eq!(slow.take(4), [0x20, 2, 0, 0]);
    slow.send(&[&[0x30, 0xff, 0xff, 0x3f][..], &string("peace")].concat());
    slow.0.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let began = Instant::now();
    while !matches!(slow.0.read(&mut [0; 16]), Ok(0)) && slow.0.write_all(b"x").is_ok() {
        siege.is_served();
        assert!(began.elapsed() < Duration::from_secs(10), "it is still connected");
        std::thread::sleep(Duration::from_millis(100));
    }
    siege.end();
}

#[test]
fn as_many_connections_as_are_allowed_and_no_more() {
    let mut siege = Siege::begin(&["--connections", "100", "--connect-timeout", "1s"]);
    let flood: Vec<Raw> = (0..300).map(|_| Raw::open(siege.port())).collect();
    siege.is_served();
    drop(flood);
    siege.end();
}

#[test]
fn claims_reserve_no_memory() {
    let mut siege = Siege::begin(&["--max-packet-size", "256 MiB", "--connect-timeout", "3s"]);
    // Before CONNECT, and within PUBLISH: five bytes that claim 256 MiB.
    let mut claims: Vec<Raw> = (0..100).map(|_| Raw::open(siege.port())).collect();
    claims.iter_mut().for_each(|raw| raw.send(&[0x10, 0xff, 0xff, 0xff, 0x7f]));
    let mut publishers: Vec<Raw> =
        (0..50).map(|number| Raw::connected(siege.port(), &format!("claims-{number}"))).collect();
    for raw in &mut publishers {
        raw.send(
            &[&[0x30, 0xff, 0xff, 0xff, 0x7f][..], &string("peace"), b"and then nothing"].concat(),
        );
    }
    siege.is_served();
    siege.is_small();
    drop(publishers);
    siege.end();
}

#[test]
fn topics_and_filters_without_end_are_refused() {
    let mut siege = Siege::begin(&[]);
    let deep = "/".repeat(65_000);
    for (name, hostile) in [
        ("topic", packet(0x30, &[string(&deep), b"x".to_vec()].concat())),
        ("retained", packet(0x31, &[string(&deep), b"x".to_vec()].concat())),
        ("filter", packet(0x82, &[&[0, 1], &string(&deep)[..], &[0]].concat())),
        ("wildcards", packet(0x82, &[&[0, 1], &string(&"+/".repeat(32_000))[..], &[0]].concat())),
    ] {
        for number in 0..20 {
            let mut raw = Raw::connected(siege.port(), &format!("{name}-{number}"));
            let _ = raw.0.write_all(&hostile);
        }
        siege.is_served();
    }
    siege.end();
}

#[test]
fn noise_and_broken_packets_end_only_their_own_connection() {
    let mut siege = Siege::begin(&[]);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = |len: usize| -> Vec<u8> {
        let byte = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[0]
        };
        (0..len).map(byte).collect()
    };
    for number in 0..200 {
        let mut raw = Raw::open(siege.port());
        if number % 2 == 0 {
            let _ = raw.0.write_all(&connect(&format!("noise-{number}"), None));
        }
        let _ = raw.0.write_all(&noise(number * 7 + 1));
        if number % 20 == 0 {
            siege.is_served();
        }
    }
    siege.end();
}

#[test]
fn resets_while_it_writes_and_readers_that_never_read() {
    let mut siege = Siege::begin(&["--queue-messages", "100", "--output-memory", "64 KiB"]);
    let payload = "x".repeat(10_000);
    let mut deaf: Vec<Raw> = (0..20)
        .map(|number| {
            let mut raw = Raw::connected(siege.port(), &format!("deaf-{number}"));
            raw.subscribe("flood");
            raw
        })
        .collect();
    let mut publisher = Raw::connected(siege.port(), "publisher");
    for number in 0..500 {
        publisher.publish("flood", &payload);
        if number % 100 == 0 {
            siege.is_served();
        }
        if number % 50 == 0
            && let Some(raw) = deaf.pop()
        {
            // What it never read makes closing it a reset.
            drop(raw);
        }
    }
    siege.is_served();
    siege.is_small();
    drop(deaf);
    siege.end();
}

#[test]
fn when_descriptors_run_out_those_inside_are_served() {
    // The shell lowers the limit for the broker alone.
    let mut command = common::piped("sh");
    let broker = tamtam().get_program().to_str().unwrap().to_owned();
    let line = format!("ulimit -n 64; exec {broker} broker --listen 127.0.0.1:0 --memory");
    command.args(["-c", &line]);
    let mut siege = Siege::of(Broker::spawn(&mut command));
    // More than there are descriptors, and no more than the system lets wait.
    let flood: Vec<Raw> = (0..150).map(|_| Raw::open(siege.port())).collect();
    for _ in 0..5 {
        siege.is_served();
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(flood);
    siege.end();
}
