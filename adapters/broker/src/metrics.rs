//! What there is to count: for Prometheus, and for the topics below `$SYS/broker`, which have the
//! names that mosquitto gave them.

use std::fmt::Write as _;

use tamtam_blocking::broker::Arrivals;
use tamtam_core::Heap;
use tamtam_core::broker::{Broker, Counters, DropReason, Tally};

/// What a broker has at a moment, and has counted until then.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Since the start, in seconds.
    pub uptime_secs: u64,
    /// Counted by the core.
    pub counters: Counters,
    /// Clients that are connected.
    pub connected: usize,
    /// The most there were at once.
    pub connected_max: usize,
    /// Sessions, connected or not.
    pub sessions: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Retained messages.
    pub retained: usize,
    /// Messages that are kept: retained, queued, in flight, or wills.
    pub stored: usize,
    /// Their bytes.
    pub stored_bytes: usize,
    /// What became of those who came to the listeners.
    pub arrivals: Arrivals,
    /// Clients that were refused because their user had as many connections as it may.
    pub user_full: u64,
    /// Memory of the process that is in use, in bytes.
    pub resident_bytes: u64,
}

impl Snapshot {
    /// What the machine has; the rest is zero.
    #[must_use]
    pub fn of(broker: &Broker<Heap>) -> Self {
        let (stored, stored_bytes) = broker.kept();
        Self {
            counters: broker.counters(),
            sessions: broker.session_count(),
            subscriptions: broker.subscription_count(),
            retained: broker.retained_count(),
            stored,
            stored_bytes,
            ..Self::default()
        }
    }

    /// Why copies were dropped, and how many.
    pub(crate) fn dropped(&self) -> [(&'static str, u64); DropReason::ALL.len()] {
        DropReason::ALL.map(|why| (why.name(), self.counters.dropped(why)))
    }

    /// Which limit kept connections out, and how many.
    const fn kept_out(&self) -> [(&'static str, u64); 4] {
        [
            ("connections", self.arrivals.broker_full),
            ("listener_connections", self.arrivals.listener_full),
            ("connections_per_address", self.arrivals.address_full),
            ("connections_per_user", self.user_full),
        ]
    }

    fn dropped_total(&self) -> u64 {
        self.dropped().iter().map(|(_, count)| count).sum()
    }
}

/// As Prometheus reads it (text format 0.0.4).
#[must_use]
pub fn prometheus(now: &Snapshot) -> String {
    let mut text = String::new();
    let counters = &now.counters;
    let as_u64 = |count: usize| count as u64;
    for (kind, name, about, value) in [
        ("gauge", "uptime_seconds", "Time since the start.", now.uptime_secs),
        ("gauge", "clients_connected", "Clients that are connected.", as_u64(now.connected)),
        ("gauge", "sessions", "Sessions, connected or not.", as_u64(now.sessions)),
        ("gauge", "subscriptions", "Subscriptions.", as_u64(now.subscriptions)),
        ("gauge", "retained_messages", "Retained messages.", as_u64(now.retained)),
        ("gauge", "stored_messages", "Messages that are kept.", as_u64(now.stored)),
        ("gauge", "stored_bytes", "Bytes of messages that are kept.", as_u64(now.stored_bytes)),
        ("gauge", "resident_bytes", "Memory of the process.", now.resident_bytes),
        ("counter", "sockets_total", "Transports that were opened.", now.arrivals.taken),
        ("counter", "connects_total", "Clients that were accepted.", counters.connects),
        ("counter", "connects_refused_total", "Clients that were refused.", counters.refused),
        ("counter", "connect_waits_total", WAITS, now.arrivals.waits),
        ("counter", "packets_received_total", "Packets from clients.", counters.packets_in()),
        ("counter", "packets_sent_total", "Packets to clients.", counters.packets_out()),
        ("counter", "bytes_received_total", "Bytes from clients.", counters.bytes_in),
        ("counter", "bytes_sent_total", "Bytes to clients.", counters.bytes_out),
    ] {
        let _ = writeln!(text, "# HELP tamtam_{name} {about}\n# TYPE tamtam_{name} {kind}");
        let _ = writeln!(text, "tamtam_{name} {value}");
    }
    for (name, about, tallies) in [
        ("received", "Messages published by clients", &counters.published),
        ("sent", "Messages sent to clients, the first time", &counters.delivered),
    ] {
        by_qos(&mut text, name, about, tallies);
    }
    let about = "Copies for a client that it never got, by reason.";
    by_reason(&mut text, "messages_dropped_total", about, &now.dropped());
    let about = "Connections that a limit kept out, by reason.";
    by_reason(&mut text, "connections_kept_out_total", about, &now.kept_out());
    text
}

/// What is said of the times that clients had to wait.
const WAITS: &str = "Times that a listener let clients wait for the sake of connect_rate.";

/// What came or went by QoS: messages, and the bytes of their payloads.
fn by_qos(text: &mut String, name: &str, about: &str, tallies: &[Tally; 3]) {
    type Part = (&'static str, &'static str, fn(&Tally) -> u64);
    let parts: [Part; 2] = [
        ("messages", "", |tally| tally.messages),
        ("payload_bytes", ": bytes of their payloads", |tally| tally.bytes),
    ];
    for (what, of, count) in parts {
        let name = format!("tamtam_{what}_{name}_total");
        let _ = writeln!(text, "# HELP {name} {about}, by QoS{of}.\n# TYPE {name} counter");
        for (qos, tally) in tallies.iter().enumerate() {
            let _ = writeln!(text, "{name}{{qos=\"{qos}\"}} {}", count(tally));
        }
    }
}

fn by_reason(text: &mut String, name: &str, about: &str, counts: &[(&'static str, u64)]) {
    let _ = writeln!(text, "# HELP tamtam_{name} {about}\n# TYPE tamtam_{name} counter");
    for (reason, count) in counts {
        let _ = writeln!(text, "tamtam_{name}{{reason=\"{reason}\"}} {count}");
    }
}

/// Rates a minute, each over the last minute, five, and fifteen.
const PERIODS: [(&str, f64); 3] = [("1min", 60.0), ("5min", 300.0), ("15min", 900.0)];
/// Of what there is a rate.
const RATES: [&str; 8] = [
    "messages/received",
    "messages/sent",
    "publish/received",
    "publish/sent",
    "publish/dropped",
    "bytes/received",
    "bytes/sent",
    "connections",
];

/// The topics below `$SYS/broker`.
#[derive(Clone, Debug, Default)]
pub struct SysTopics {
    before: Option<Snapshot>,
    rates: [[f64; 3]; RATES.len()],
    sent: std::collections::HashMap<String, String>,
}

impl SysTopics {
    /// What is to be published now, retained: topics whose value is another than the last time.
    pub fn changed(&mut self, now: &Snapshot) -> Vec<(String, String)> {
        self.update_rates(now);
        let mut changed = self.all(now);
        changed.retain(|(topic, value)| self.sent.get(topic) != Some(value));
        self.sent.extend(changed.iter().cloned());
        self.before = Some(*now);
        changed
    }

    fn update_rates(&mut self, now: &Snapshot) {
        let Some(before) = self.before else { return };
        let seconds = now.uptime_secs.saturating_sub(before.uptime_secs).max(1) as f64;
        let counted = counted(now).into_iter().zip(counted(&before));
        for ((now, before), rates) in counted.zip(&mut self.rates) {
            let a_minute = now.saturating_sub(before) as f64 * 60.0 / seconds;
            for (rate, (_, period)) in rates.iter_mut().zip(PERIODS) {
                let weight = (-seconds / period).exp();
                *rate = *rate * weight + a_minute * (1.0 - weight);
            }
        }
    }

    fn all(&self, now: &Snapshot) -> Vec<(String, String)> {
        let counters = &now.counters;
        let version = format!("tamtam version {}", env!("CARGO_PKG_VERSION"));
        let disconnected = now.sessions.saturating_sub(now.connected);
        let mut all: Vec<(String, String)> = [
            ("version", version),
            ("uptime", format!("{} seconds", now.uptime_secs)),
            ("clients/total", now.sessions.to_string()),
            ("clients/connected", now.connected.to_string()),
            ("clients/active", now.connected.to_string()),
            ("clients/disconnected", disconnected.to_string()),
            ("clients/inactive", disconnected.to_string()),
            ("clients/maximum", now.connected_max.to_string()),
            ("messages/received", counters.packets_in().to_string()),
            ("messages/sent", counters.packets_out().to_string()),
            ("messages/stored", now.stored.to_string()),
            ("store/messages/count", now.stored.to_string()),
            ("store/messages/bytes", now.stored_bytes.to_string()),
            ("subscriptions/count", now.subscriptions.to_string()),
            ("retained messages/count", now.retained.to_string()),
            ("publish/messages/received", counters.messages_in().to_string()),
            ("publish/messages/sent", counters.messages_out().to_string()),
            ("publish/messages/dropped", now.dropped_total().to_string()),
            ("publish/bytes/received", Tally::sum(&counters.published).bytes.to_string()),
            ("publish/bytes/sent", Tally::sum(&counters.delivered).bytes.to_string()),
            ("bytes/received", counters.bytes_in.to_string()),
            ("bytes/sent", counters.bytes_out.to_string()),
            ("heap/current", now.resident_bytes.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (format!("$SYS/broker/{name}"), value))
        .collect();
        for (name, rates) in RATES.iter().zip(&self.rates) {
            for (rate, (period, _)) in rates.iter().zip(PERIODS) {
                all.push((format!("$SYS/broker/load/{name}/{period}"), format!("{rate:.2}")));
            }
        }
        all
    }
}

/// What the rates are of, in their order.
fn counted(snapshot: &Snapshot) -> [u64; RATES.len()] {
    let counters = &snapshot.counters;
    [
        counters.packets_in(),
        counters.packets_out(),
        counters.messages_in(),
        counters.messages_out(),
        snapshot.dropped_total(),
        counters.bytes_in,
        counters.bytes_out,
        counters.connects,
    ]
}

/// The memory of this process that is in use, in bytes; 0 where nobody says.
#[must_use]
pub fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or_default().saturating_mul(4_096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_reads_what_is_counted() {
        let mut now = Snapshot { connected: 3, ..Snapshot::default() };
        now.counters.published[1] = Tally { messages: 7, bytes: 70 };
        now.counters.dropped_rights = 2;
        let text = prometheus(&now);
        for line in [
            "# TYPE tamtam_clients_connected gauge",
            "tamtam_clients_connected 3",
            "# TYPE tamtam_messages_received_total counter",
            "tamtam_messages_received_total{qos=\"0\"} 0",
            "tamtam_messages_received_total{qos=\"1\"} 7",
            "tamtam_payload_bytes_received_total{qos=\"1\"} 70",
            "tamtam_messages_sent_total{qos=\"2\"} 0",
            "tamtam_packets_received_total 7",
            "tamtam_messages_dropped_total{reason=\"rights\"} 2",
            "tamtam_messages_dropped_total{reason=\"expired\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn sys_topics_are_published_as_they_change() {
        let mut topics = SysTopics::default();
        let mut now = Snapshot::default();
        let first = topics.changed(&now);
        assert!(first.len() > 40, "{first:?}");
        assert!(first.contains(&("$SYS/broker/clients/connected".into(), "0".into())));
        assert!(first.contains(&("$SYS/broker/load/bytes/sent/5min".into(), "0.00".into())));
        assert_eq!(topics.changed(&now), []);
        now.counters.published[0] = Tally { messages: 100, bytes: 6_400 };
        now.uptime_secs = 60;
        let changed = topics.changed(&now);
        let value = |name: &str| {
            let found = changed.iter().find(|(topic, _)| topic.ends_with(name));
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("/uptime"), Some("60 seconds"));
        assert_eq!(value("publish/messages/received"), Some("100"));
        assert_eq!(value("broker/messages/received"), Some("100"));
        assert_eq!(value("publish/bytes/received"), Some("6400"));
        assert_eq!(value("load/publish/received/1min"), Some("63.21"));
        assert_eq!(value("load/publish/received/15min"), Some("6.45"));
        assert_eq!(value("clients/connected"), None);
    }
}
