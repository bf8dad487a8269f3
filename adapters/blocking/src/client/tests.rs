//! The client against the broker of this crate.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tamtam_core::client::Reconnect;
use tamtam_core::{QoS, ReasonCode, Version, broker};

use super::{Client, ConnectError, Error, Event, Filter, Lost, Options, Publish, Setup};
use crate::broker::{Running, Server};

const SOON: Duration = Duration::from_secs(10);
const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

fn start() -> (Running, String) {
    start_at("127.0.0.1:0")
}

fn start_at(address: &str) -> (Running, String) {
    let options =
        broker::Options { max_packet_size: 128 << 20, ..tamtam_core::broker::Options::DEFAULT };
    let running = Server::bind(address, &options).unwrap().start().unwrap();
    let address = format!("mqtt://{}", running.local_addr().unwrap());
    (running, address)
}

fn options(name: &str) -> Options<'_> {
    Options::new(Version::V5)
        .client_id(name)
        .reconnect(Reconnect::Backoff { first_ms: 10, most_ms: 100 })
}

#[test]
fn every_version_at_every_qos() {
    let (_running, address) = start();
    for version in [Version::V31, Version::V311, Version::V5] {
        let client = Client::connect(&address, Options::new(version).client_id("anna")).unwrap();
        for qos in LEVELS {
            client.subscribe(Filter::new("a/+").qos(qos)).unwrap();
            client.publish(Publish::new("a/b", b"payload").qos(qos)).unwrap();
            let message = client.next_message(SOON).unwrap();
            assert_eq!((message.topic(), message.text()), ("a/b", Some("payload")));
            assert_eq!(message.qos(), qos);
        }
        client.ping().unwrap();
        client.unsubscribe("a/+").unwrap();
        client.disconnect().unwrap();
        assert!(client.messages().next().is_none());
        assert!(matches!(
            client.publish(Publish::new("a", b"")),
            Err(Error::Send(_) | Error::Ended)
        ));
    }
}

#[test]
fn ten_thousand_messages_each_way() {
    let (_running, address) = start();
    for qos in LEVELS {
        let a = Client::connect(&address, options("anna")).unwrap();
        a.subscribe(Filter::new("to/anna").qos(qos)).unwrap();
        let other = address.clone();
        let bert = std::thread::spawn(move || {
            let b = Client::connect(&other, options("bert")).unwrap();
            b.subscribe(Filter::new("to/bert").qos(qos)).unwrap();
            b.publish(Publish::new("to/anna", b"ready").qos(QoS::AtLeastOnce)).unwrap();
            for number in 0..10_000_u32 {
                let message = b.next_message(SOON).unwrap();
                assert_eq!(message.payload(), number.to_be_bytes());
                b.publish_later(Publish::new("to/anna", message.payload()).qos(qos)).unwrap();
            }
            b.disconnect().unwrap();
        });
        assert_eq!(a.next_message(SOON).unwrap().payload(), b"ready");
        let mut received = 0_u32;
        for number in 0..10_000_u32 {
            a.publish_later(Publish::new("to/bert", &number.to_be_bytes()).qos(qos)).unwrap();
            // A window of its own, as QoS 0 has none.
            while number - received >= 500 {
                assert_eq!(a.next_message(SOON).unwrap().payload(), received.to_be_bytes());
                received += 1;
            }
        }
        a.flush().unwrap();
        while received < 10_000 {
            assert_eq!(a.next_message(SOON).unwrap().payload(), received.to_be_bytes());
            received += 1;
        }
        bert.join().unwrap();
        assert_eq!(a.dropped(), 0);
        a.disconnect().unwrap();
    }
}

#[test]
fn a_broker_that_comes_back_finds_its_client_again() {
    let (running, address) = start();
    let port = running.local_addr().unwrap();
    let client = Client::connect(&address, options("anna")).unwrap();
    client.subscribe(Filter::new("t").qos(QoS::AtLeastOnce)).unwrap();
    drop(running);
    let token = client.publish_later(Publish::new("t", b"kept").qos(QoS::AtLeastOnce)).unwrap();
    let again = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        start_at(&port.to_string())
    });
    client.wait_published(token).unwrap();
    let (_running, _) = again.join().unwrap();
    let events: Vec<Event> = std::iter::from_fn(|| client.next_event()).collect();
    assert!(events.iter().any(|event| matches!(event, Event::Lost(_))), "{events:?}");
    assert!(matches!(
        events.iter().rfind(|event| matches!(event, Event::Connected { .. })),
        Some(Event::Connected { session_present: false, .. })
    ));
    // Subscribed anew, by itself.
    client.publish(Publish::new("t", b"new").qos(QoS::AtLeastOnce)).unwrap();
    while client.next_message(SOON).unwrap().payload() != b"new" {}
}

#[test]
fn callbacks_take_what_they_are_most_specific_for() {
    let (_running, address) = start();
    let client = Client::connect(&address, options("anna")).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for filter in ["#", "a/+", "a/b", "a/#"] {
        let seen = Arc::clone(&seen);
        client
            .subscribe_with(Filter::new(filter), move |topic, payload| {
                let mut text = String::new();
                payload.read_to_string(&mut text).unwrap();
                seen.lock().unwrap().push(format!("{filter} {topic} {text}"));
                if topic == "a/b" {
                    // Publishing from within a callback waits for nobody.
                    let publish = Publish::new("c", b"3").qos(QoS::ExactlyOnce);
                    payload.client().publish(publish).unwrap();
                }
            })
            .unwrap();
    }
    for (topic, payload) in [("a/b", b"1"), ("a/x", b"2"), ("a/x/y", b"2"), ("a", b"2")] {
        client.publish(Publish::new(topic, payload).qos(QoS::AtLeastOnce)).unwrap();
    }
    while seen.lock().unwrap().len() < 5 {
        client.turn(SOON);
    }
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    assert_eq!(seen, ["# c 3", "a/# a 2", "a/# a/x/y 2", "a/+ a/x 2", "a/b a/b 1"]);
}

#[test]
fn sixty_four_mebibytes_stream_through_a_little_memory() {
    const LEN: u32 = 64 << 20;
    let (_running, address) = start();
    let receiver = Client::connect(&address, options("bert").stream_above(64 << 10)).unwrap();
    let sum = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sum);
    receiver
        .subscribe_with(Filter::new("big"), move |_, payload| {
            let (mut piece, mut at) = ([0; 8 << 10], 0_usize);
            assert_eq!(payload.len(), LEN as usize);
            loop {
                let len = payload.read(&mut piece).unwrap();
                if len == 0 {
                    break;
                }
                assert!(piece[..len].iter().enumerate().all(|(i, b)| *b == ((at + i) % 251) as u8));
                at += len;
            }
            count.store(at, Ordering::Relaxed);
        })
        .unwrap();
    let sender = std::thread::spawn(move || {
        let options = options("anna").outgoing_bytes(128 << 10);
        let client = Client::connect(&address, options).unwrap();
        let mut at = 0_usize;
        let pattern = std::iter::repeat_with(move || {
            at += 1;
            ((at - 1) % 251) as u8
        });
        let reader = Bytes(pattern.take(LEN as usize));
        let publish = Publish::new("big", b"").qos(QoS::ExactlyOnce);
        client.publish_reader(publish, LEN, reader).unwrap();
        client.disconnect().unwrap();
    });
    while sum.load(Ordering::Relaxed) == 0 {
        receiver.turn(SOON);
    }
    assert_eq!(sum.load(Ordering::Relaxed), LEN as usize);
    sender.join().unwrap();
}

struct Bytes<I>(I);

impl<I: Iterator<Item = u8>> Read for Bytes<I> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut len = 0;
        for (to, from) in buffer.iter_mut().zip(&mut self.0) {
            *to = from;
            len += 1;
        }
        Ok(len)
    }
}

#[test]
fn a_request_is_answered() {
    let (_running, address) = start();
    let other = address.clone();
    let server = std::thread::spawn(move || {
        let server = Client::connect(&other, options("server")).unwrap();
        server.subscribe(Filter::new("double").qos(QoS::AtLeastOnce)).unwrap();
        server.publish(Publish::new("up", b"yes").retain(true).qos(QoS::AtLeastOnce)).unwrap();
        let request = server.next_message(SOON).unwrap();
        let number: u32 = request.text().unwrap().parse().unwrap();
        server.reply(&request, (number * 2).to_string().as_bytes()).unwrap();
        server.disconnect().unwrap();
    });
    let client = Client::connect(&address, options("anna")).unwrap();
    client.subscribe(Filter::new("up")).unwrap();
    client.next_message(SOON).unwrap();
    let request = Publish::new("double", b"21").qos(QoS::AtLeastOnce);
    assert_eq!(client.request(request, SOON).unwrap().text(), Some("42"));
    server.join().unwrap();
    let refused = client.request(request, SOON);
    assert!(matches!(refused, Err(Error::Refused(ReasonCode::NoMatchingSubscribers))));
}

#[test]
fn messages_are_acknowledged_by_the_application_in_any_order() {
    let (_running, address) = start();
    let manual = options("anna").manual_ack(true).clean_start(false).session_expiry_secs(60);
    let client = Client::connect(&address, manual.clone()).unwrap();
    client.subscribe(Filter::new("t").qos(QoS::AtLeastOnce)).unwrap();
    for payload in [b"1", b"2", b"3"] {
        client.publish(Publish::new("t", payload).qos(QoS::AtLeastOnce)).unwrap();
    }
    let messages: Vec<_> = (0..3).map(|_| client.next_message(SOON).unwrap()).collect();
    client.ack(&messages[1]).unwrap();
    client.ack(&messages[0]).unwrap();
    assert!(matches!(client.ack(&messages[0]), Err(Error::Send(_))));
    drop(client); // without a goodbye
    let client = Client::connect(&address, manual.adopt_session(true)).unwrap();
    assert_eq!(client.next_message(SOON).unwrap().payload(), b"3");
    assert!(matches!(client.next_message(Duration::from_millis(50)), Err(Error::TimedOut)));
}

#[test]
fn a_thread_may_do_the_waiting() {
    let (_running, address) = start();
    let client = Client::connect(&address, options("anna")).unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    let background = client.into_background(move |message| send.send(message).unwrap()).unwrap();
    background.subscribe("t", QoS::AtLeastOnce).unwrap();
    for number in 0..100_u8 {
        background.publish("t", [number], QoS::AtLeastOnce).unwrap();
        assert_eq!(receive.recv_timeout(SOON).unwrap().payload(), [number]);
    }
    background.disconnect().unwrap();
}

#[test]
fn a_stream_that_exists_is_as_good() {
    let (running, _) = start();
    let socket = std::net::TcpStream::connect(running.local_addr().unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let client = Setup::new(options("anna")).connect_over(socket).unwrap();
    client.subscribe(Filter::new("t")).unwrap();
    client.publish(Publish::new("t", b"x").qos(QoS::ExactlyOnce)).unwrap();
    assert_eq!(client.next_message(SOON).unwrap().payload(), b"x");
    client.disconnect().unwrap();
}

#[test]
fn who_cannot_connect_is_told_why() {
    let (running, address) = start();
    assert!(matches!(Client::connect("anna", options("anna")), Err(ConnectError::Endpoint(_))));
    assert!(matches!(
        Client::connect(&address, Options::new(Version::V31)),
        Err(ConnectError::Start(_))
    ));
    running.stop(SOON).unwrap();
    let refused = Client::connect(&address, options("anna"));
    assert!(matches!(refused, Err(ConnectError::Lost(Lost::Transport(_)))), "{refused:?}");
}

#[test]
fn a_call_ends_in_time() {
    // Somebody who accepts connections, and never says a word.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("mqtt://{}", listener.local_addr().unwrap());
    let setup = Setup::new(options("anna")).patience(Duration::from_millis(100));
    let before = std::time::Instant::now();
    assert!(matches!(setup.connect(&address), Err(ConnectError::Lost(Lost::ConnectTimeout))));
    assert!(before.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_slow_reader_loses_nothing_above_qos_0() {
    let (_running, address) = start();
    let slow = Setup::new(options("slow")).queue(10).connect(&address).unwrap();
    slow.subscribe(Filter::new("t").qos(QoS::AtLeastOnce)).unwrap();
    let fast = Client::connect(&address, options("fast")).unwrap();
    for number in 0..500_u32 {
        fast.publish(Publish::new("t", &number.to_be_bytes()).qos(QoS::AtLeastOnce)).unwrap();
    }
    for number in 0..500_u32 {
        assert_eq!(slow.next_message(SOON).unwrap().payload(), number.to_be_bytes());
        if number % 50 == 0 {
            // Answers come, though messages wait.
            slow.publish(Publish::new("other", b"").qos(QoS::ExactlyOnce)).unwrap();
        }
    }
}
