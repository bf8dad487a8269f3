//! The real binary, killed: what was promised of durable, relaxed and fleeting messages is kept.
#![cfg(unix)]

mod common;

use std::time::Duration;

use common::Scratch;
use common::broker::Broker;
use common::peer::Line;
use common::raw::{Raw, packet, string};

const CONFIG: &str = r#"
listener = [{ listen = "127.0.0.1:0" }, { listen = "127.0.0.1:0", durability = "memory" }]

[[topic]]
filter = "t/memory/#"
durability = "memory"

[[topic]]
filter = "t/relaxed/#"
durability = "relaxed"

[[topic]]
filter = "t/orders/#"           # by whatever listener
durability = "durable"
"#;

fn start(scratch: &Scratch) -> Broker {
    let config = scratch.write("tamtam.toml", CONFIG);
    Broker::start_with(&["--config", &config, "--data", &scratch.path("data")])
}

/// A session that is kept, with a subscription to `t/#` at QoS 1, whose client is away.
fn leave_session(port: u16, client_id: &str) {
    let mut line = Line::open(port, client_id).unwrap();
    line.send(&packet(0x82, &[&[0, 1], &string("t/#")[..], &[1]].concat())).unwrap();
    while line.next().unwrap().is_none_or(|(first, _)| first != 0x90) {}
}

fn retain(raw: &mut Raw, topic: &str, payload: &str) {
    raw.send(&packet(0x33, &[&string(topic)[..], &[0, 1], payload.as_bytes()].concat()));
    assert_eq!(raw.take(4), [0x40, 2, 0, 1], "PUBACK");
}

/// What comes in the next moments, in order.
fn payloads(port: u16, client_id: &str) -> Vec<String> {
    let mut line = Line::open(port, client_id).unwrap();
    let (mut payloads, mut quiet) = (Vec::new(), 0);
    while quiet < 10 {
        match line.next().unwrap() {
            Some((first, body)) if first & 0xF0 == 0x30 => {
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                let (id, payload) = body[2 + topic..].split_at(2);
                line.send(&packet(0x40, id)).unwrap();
                payloads.push(String::from_utf8(payload.to_vec()).unwrap());
            }
            Some(_) => {}
            None => quiet += 1,
        }
    }
    payloads
}

#[test]
fn each_class_keeps_its_promise_when_the_broker_is_killed() {
    let scratch = Scratch::new("classes");
    let broker = start(&scratch);
    assert!(broker.greeting[1].ends_with("is on disk, but as settings say otherwise"));
    let (usual, fleeting) = (broker.ports[0], broker.ports[1]);
    leave_session(usual, "durable");
    leave_session(fleeting, "fleeting");
    let mut raw = Raw::connected(usual, "one");
    raw.publish("t/a", "1");
    raw.publish("t/memory/a", "2");
    raw.publish("t/relaxed/a", "3");
    raw.publish("t/a", "4");
    let mut other = Raw::connected(fleeting, "other");
    other.publish("t/a", "5");
    other.publish("t/orders/a", "6");
    retain(&mut raw, "r/a", "durable");
    retain(&mut other, "r/a", "fleeting");
    retain(&mut other, "r/b", "fleeting");
    raw.publish("t/relaxed/a", "7");
    std::thread::sleep(Duration::from_millis(300));
    broker.signal("KILL");
    broker.wait();
    let broker = start(&scratch);
    let (usual, fleeting) = (broker.ports[0], broker.ports[1]);
    assert_eq!(payloads(usual, "durable"), ["1", "3", "4", "6", "7"]);
    assert!(payloads(fleeting, "fleeting").is_empty(), "its session is gone");
    let mut raw = Raw::connected(usual, "auditor");
    raw.subscribe("r/#");
    raw.send(&packet(0xC0, &[]));
    assert_eq!(raw.take(2), [0xD0, 0], "nothing is retained, and nothing older came back");
    assert_eq!(broker.stop().0, Some(0));
}
