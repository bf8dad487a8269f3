//! What is done to a broker, and what that costs it for each message, connection or filter.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::common::raw::{Raw, packet, string};
use crate::common::run;
use crate::contestant::Contestant;
use crate::process::{Calls, cpu_of};

/// How many filters, retained messages, or messages that wait.
const MANY: u64 = 100_000;
/// How many connections are accepted, and how many are idle.
const CONNECTIONS: u64 = 10_000;
/// How many messages are under way at most.
const WINDOW: u64 = 1_000;
const PAYLOAD: [u8; 64] = [b'x'; 64];

/// A load.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// What `tamtam bench` does with these arguments.
    Bench {
        messages: u64,
        arguments: &'static [&'static str],
    },
    /// One subscriber with many filters gets what one of them matches.
    Filters,
    /// Messages are retained, each in place of none.
    Store,
    /// A new subscriber gets all that is retained.
    Replay,
    /// Messages wait for a session that is not connected.
    Enqueue,
    /// It comes back, gets them, and acknowledges.
    Drain,
    /// Clients connect.
    Accept,
    /// They do nothing, or nothing any more.
    Idle {
        subscribed: bool,
    },
    /// Memory of a filter, a retained message, a queued one.
    FilterMemory,
    StoreMemory,
    QueueMemory,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Micros,
    Bytes,
}

impl Unit {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Micros => "µs",
            Self::Bytes => "bytes",
        }
    }

    pub(crate) fn shown(self, cost: f64) -> String {
        match self {
            Self::Micros if cost < 10.0 => format!("{cost:.2}"),
            Self::Micros if cost < 100.0 => format!("{cost:.1}"),
            _ => format!("{cost:.0}"),
        }
    }
}

impl Load {
    pub(crate) const fn unit(self) -> Unit {
        match self {
            Self::Idle { .. } | Self::FilterMemory | Self::StoreMemory | Self::QueueMemory => {
                Unit::Bytes
            }
            _ => Unit::Micros,
        }
    }

    /// Does it; what a unit costs the broker.
    pub(crate) fn run(self, broker: &Contestant, scale: f64, calls: bool) -> Result<f64, String> {
        let scaled = |count: u64| ((count as f64 * scale) as u64).max(10);
        let watch = Watch { broker, calls };
        let many = scaled(MANY);
        match self {
            Self::Bench { messages, arguments } => {
                bench(broker, scaled(messages), arguments, calls)
            }
            Self::Filters => {
                let subscriber = subscribed(broker.port, many);
                watch.during(3 * many, || pass_on(broker.port, subscriber, many, 3 * many))
            }
            Self::Store => watch.during(many, || store(broker.port, many)),
            Self::Replay => {
                store(broker.port, many);
                let mut raw = Raw::connected(broker.port, "reader");
                watch.during(many, || {
                    raw.send(&subscribe("r/#", 0));
                    take(&mut raw, many, |_| {});
                })
            }
            Self::Enqueue => {
                drop(absent(broker.port));
                watch.during(many, || enqueue(broker.port, many))
            }
            Self::Drain => {
                drop(absent(broker.port));
                enqueue(broker.port, many);
                watch.during(many, || drain(broker.port, many))
            }
            Self::Accept => {
                let count = scaled(CONNECTIONS / 2);
                watch.during(count, || drop(connections(broker.port, count, false)))
            }
            Self::Idle { subscribed } => {
                let count = scaled(CONNECTIONS);
                memory(broker, count, || connections(broker.port, count, subscribed))
            }
            Self::FilterMemory => memory(broker, many, || subscribed(broker.port, many)),
            Self::StoreMemory => memory(broker, many, || store(broker.port, many)),
            Self::QueueMemory => {
                drop(absent(broker.port));
                memory(broker, many, || enqueue(broker.port, many))
            }
        }
    }
}

/// Somebody looks at what a broker spends.
struct Watch<'a> {
    broker: &'a Contestant,
    calls: bool,
}

impl Watch<'_> {
    /// For each of so many units: microseconds, or calls.
    fn during(&self, units: u64, job: impl FnOnce()) -> Result<f64, String> {
        let pid = self.broker.pid;
        self.await_quiet()?;
        let spent = if self.calls {
            let calls = Calls::begin(pid)?;
            job();
            calls.end()? as f64
        } else {
            let before = cpu_of(pid).ok_or("its time is not told")?;
            job();
            // What is on its way to the disk still is its work.
            std::thread::sleep(Duration::from_millis(100));
            let after = cpu_of(pid).ok_or("its time is not told")?;
            (after - before).as_secs_f64() * 1e6
        };
        Ok(spent / units as f64)
    }
}

impl Watch<'_> {
    /// Waits until what was done before has no consequences any more, such as in the store.
    fn await_quiet(&self) -> Result<(), String> {
        let cpu = || cpu_of(self.broker.pid).ok_or("its time is not told");
        for _ in 0..100 {
            let before = cpu()?;
            std::thread::sleep(Duration::from_millis(100));
            if cpu()? - before < Duration::from_millis(1) {
                return Ok(());
            }
        }
        Err("it does not come to rest".to_owned())
    }
}

/// The memory that each of so many units takes.
fn memory<T>(broker: &Contestant, units: u64, job: impl FnOnce() -> T) -> Result<f64, String> {
    // Whatever a broker needs once, it has by then.
    Raw::connected(broker.port, "first").publish("first", "x");
    let before = broker.resident();
    let kept = job();
    std::thread::sleep(Duration::from_millis(300));
    let grown = broker.resident().saturating_sub(before);
    drop(kept);
    Ok(grown as f64 / units as f64)
}

fn bench(
    broker: &Contestant,
    messages: u64,
    arguments: &[&str],
    calls: bool,
) -> Result<f64, String> {
    let (port, pid) = (broker.port.to_string(), broker.pid.to_string());
    let messages = messages.to_string();
    let mut all = vec!["bench", "-p", &port, "--pid", &pid, "--messages", &messages, "--json"];
    all.extend(arguments);
    let what = if calls {
        all.push("--calls");
        "broker_calls_per_message"
    } else {
        "broker_cpu_us_per_message"
    };
    let answer = run(&all, b"");
    let json: serde_json::Value =
        serde_json::from_str(&answer.out).map_err(|_| answer.err.clone())?;
    for flaw in ["lost", "duplicated", "misordered"] {
        if json[flaw] != 0 {
            return Err(format!("{} {flaw}", json[flaw]));
        }
    }
    json[what].as_f64().ok_or(answer.err)
}

fn subscribe(filter: &str, qos: u8) -> Vec<u8> {
    packet(0x82, &[&[0, 1], &string(filter)[..], &[qos]].concat())
}

/// A PUBLISH; its identifier, if it has one, follows from its number.
fn publish(first: u8, topic: &str, number: u64) -> Vec<u8> {
    let id = ((number % 65_535) as u16 + 1).to_be_bytes();
    let id = if first & 0x06 == 0 { &[][..] } else { &id };
    packet(first, &[&string(topic)[..], id, &PAYLOAD].concat())
}

/// Calls with each packet, until so many PUBLISH have come.
fn take(raw: &mut Raw, count: u64, mut each: impl FnMut(&[u8])) {
    read(raw, 3, count, |_, packet| each(packet));
}

/// Reads until so many packets of a type have come; hands each of them over, with the connection
/// at hand when all that was there is read.
fn read(raw: &mut Raw, kind: u8, count: u64, mut each: impl FnMut(u64, &[u8])) {
    let (mut unread, mut input, mut seen) = (Vec::new(), vec![0; 64 << 10], 0);
    while seen < count {
        let len = raw.0.read(&mut input).expect("more");
        assert_ne!(len, 0, "the broker has closed");
        unread.extend_from_slice(&input[..len]);
        let mut at = 0;
        while let Some(end) = whole(&unread[at..]) {
            let packet = &unread[at..at + end];
            if packet[0] >> 4 == kind {
                seen += 1;
                each(seen, packet);
            }
            at += end;
        }
        unread.drain(..at);
    }
}

/// How long the packet at the front is, if all of it is there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let mut len = 0;
    for at in 1..=4 {
        let byte = *bytes.get(at)?;
        len |= usize::from(byte & 0x7F) << (7 * (at - 1));
        if byte < 0x80 {
            let end = at + 1 + len;
            return (bytes.len() >= end).then_some(end);
        }
    }
    None
}

/// A subscriber with many filters, a third of them with a wildcard.
fn subscribed(port: u16, count: u64) -> Raw {
    let mut raw = Raw::connected(port, "reader");
    let filter = |number: u64| match number % 3 {
        0 => format!("f/{number}/+"),
        _ => format!("f/{number}/a"),
    };
    let numbers: Vec<u64> = (0..count).collect();
    for numbers in numbers.chunks(500) {
        let filters =
            numbers.iter().flat_map(|number| [string(&filter(*number)), vec![0]].concat());
        let body: Vec<u8> = [0, 1].into_iter().chain(filters).collect();
        raw.send(&packet(0x82, &body));
        read(&mut raw, 9, 1, |_, _| {});
    }
    raw
}

/// Publishes to the topics of many filters, in an order that no cache knows.
fn pass_on(port: u16, mut subscriber: Raw, filters: u64, count: u64) {
    let arrived = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            read(&mut subscriber, 3, count, |seen, _| arrived.store(seen, Ordering::Relaxed));
        });
        let mut raw = Raw::connected(port, "writer");
        let (mut sent, mut out) = (0, Vec::new());
        let mut state = 1_u64;
        while sent < count {
            while sent < count && sent - arrived.load(Ordering::Relaxed) < WINDOW {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let topic = format!("f/{}/a", (state >> 33) % filters);
                out.extend(publish(0x30, &topic, sent));
                sent += 1;
            }
            raw.send(&std::mem::take(&mut out));
            std::thread::yield_now();
        }
    });
}

/// Retains messages, and waits until the broker is done with them.
fn store(port: u16, count: u64) {
    let mut raw = Raw::connected(port, "writer");
    let mut out = Vec::new();
    for number in 0..count {
        out.extend(publish(0x31, &format!("r/{number}"), number));
        if out.len() >= 64 << 10 {
            raw.send(&std::mem::take(&mut out));
        }
    }
    out.extend([0xC0, 0]);
    raw.send(&out);
    read(&mut raw, 13, 1, |_, _| {});
}

/// A session that is kept, which subscribes to what is going to be queued.
fn absent(port: u16) -> Raw {
    let mut raw = Raw::open(port);
    let body = [&string("MQTT")[..], &[4, 0, 0, 60], &string("absent")[..]].concat();
    raw.send(&packet(0x10, &body));
    raw.take(4);
    raw.send(&subscribe("q/1", 1));
    raw
}

fn enqueue(port: u16, count: u64) {
    let mut raw = Raw::connected(port, "writer");
    let mut writer = Raw(raw.0.try_clone().unwrap());
    let acknowledged = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            read(&mut raw, 4, count, |seen, _| acknowledged.store(seen, Ordering::Relaxed));
        });
        let (mut sent, mut out) = (0, Vec::new());
        while sent < count {
            while sent < count && sent - acknowledged.load(Ordering::Relaxed) < WINDOW {
                out.extend(publish(0x32, "q/1", sent));
                sent += 1;
            }
            writer.send(&std::mem::take(&mut out));
            std::thread::yield_now();
        }
    });
}

fn drain(port: u16, count: u64) {
    let mut raw = Raw::open(port);
    let body = [&string("MQTT")[..], &[4, 0, 0, 60], &string("absent")[..]].concat();
    raw.send(&packet(0x10, &body));
    let mut writer = raw.0.try_clone().unwrap();
    let mut out = Vec::new();
    take(&mut raw, count, |packet| {
        let topic = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        out.extend([0x40, 2, packet[4 + topic], packet[5 + topic]]);
        if out.len() >= 400 {
            writer.write_all(&std::mem::take(&mut out)).expect("it takes acknowledgements");
        }
    });
}

/// So many that are connected, one after the other.
fn connections(port: u16, count: u64, subscribed: bool) -> Vec<Raw> {
    let mut all = Vec::new();
    for number in 0..count {
        let mut raw = Raw::connected(port, &format!("client-{number}"));
        if subscribed {
            raw.subscribe(&format!("idle/{number}"));
        }
        all.push(raw);
    }
    all
}
