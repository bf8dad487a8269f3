//! Clients on every runtime, while their broker is killed and comes again: what was acknowledged
//! arrives, and at QoS 2 once.
#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use common::Scratch;
use common::broker::Broker;
use tamtam_core::client::{Filter, Options, Publish, Reconnect};
use tamtam_core::{QoS, Version};
use tamtam_tokio::{Client, Messages};

const ROUNDS: u64 = 5;
/// Longer than anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The payload of the last message.
const END: u32 = u32::MAX;

type Story<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// What an adapter does in this test.
trait Adapter {
    fn start(url: &str, options: Options<'_>) -> (Client, Messages);
    fn block_on(story: Story<'_>);
}

struct OnTokio;

impl Adapter for OnTokio {
    fn start(url: &str, options: Options<'_>) -> (Client, Messages) {
        tamtam_tokio::start(url, options).unwrap()
    }

    fn block_on(story: Story<'_>) {
        static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
        let build = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        RUNTIME.get_or_init(build).block_on(story);
    }
}

struct OnSmol;

impl Adapter for OnSmol {
    fn start(url: &str, options: Options<'_>) -> (Client, Messages) {
        tamtam_smol::start(url, options).unwrap()
    }

    fn block_on(story: Story<'_>) {
        smol::block_on(story);
    }
}

struct OnAsyncStd;

impl Adapter for OnAsyncStd {
    fn start(url: &str, options: Options<'_>) -> (Client, Messages) {
        tamtam_async_std::start(url, options).unwrap()
    }

    fn block_on(story: Story<'_>) {
        async_std::task::block_on(story);
    }
}

fn options(name: &str) -> Options<'_> {
    let quickly = Reconnect::Backoff { first_ms: 10, most_ms: 100 };
    let options = Options::new(Version::V5).client_id(name).reconnect(quickly);
    options.clean_start(false).adopt_session(true).session_expiry_secs(600)
}

/// Every second message is one that may come once only.
fn qos(number: u32) -> QoS {
    if number.is_multiple_of(2) { QoS::AtLeastOnce } else { QoS::ExactlyOnce }
}

/// How often each number came, up to the end.
#[derive(Default)]
struct Came(BTreeMap<u32, u32>);

impl Came {
    /// Whether it was the last one.
    fn note(&mut self, payload: &[u8]) -> bool {
        let number = u32::from_be_bytes(payload.try_into().unwrap());
        *self.0.entry(number).or_default() += 1;
        number == END
    }
}

/// What happens on both sides: each is told to `ready` that it is there.
struct Sides {
    send: fn(&str, &AtomicBool) -> u32,
    receive: fn(&str, &dyn Fn()) -> Came,
}

fn send<A: Adapter>(url: &str, stop: &AtomicBool) -> u32 {
    let mut number = 0;
    A::block_on(Box::pin(async {
        let (client, _messages) = A::start(url, options("from"));
        while !stop.load(Ordering::Relaxed) {
            let payload = u32::to_be_bytes(number);
            client.publish(Publish::new("a", &payload).qos(qos(number))).await.unwrap();
            number += 1;
        }
        let end = END.to_be_bytes();
        client.publish(Publish::new("a", &end).qos(QoS::AtLeastOnce)).await.unwrap();
    }));
    number
}

fn receive<A: Adapter>(url: &str, ready: &dyn Fn()) -> Came {
    let (mut came, (subscribed, is_subscribed)) = (Came::default(), mpsc::channel());
    std::thread::scope(|scope| {
        let came = &mut came;
        scope.spawn(move || {
            A::block_on(Box::pin(async move {
                let (client, mut messages) = A::start(url, options("to"));
                client.subscribe(&[Filter::new("a")]).await.unwrap();
                subscribed.send(()).unwrap();
                while let Some(message) = messages.next().await {
                    if came.note(message.payload()) {
                        break;
                    }
                }
            }));
        });
        is_subscribed.recv().unwrap();
        ready();
    });
    came
}

fn send_blocking(url: &str, stop: &AtomicBool) -> u32 {
    let setup = tamtam_blocking::client::Setup::new(options("from")).patience(PATIENCE);
    let (client, mut number) = (setup.open(url).unwrap(), 0);
    while !stop.load(Ordering::Relaxed) {
        let payload = u32::to_be_bytes(number);
        client.publish(Publish::new("a", &payload).qos(qos(number))).unwrap();
        number += 1;
    }
    client.publish(Publish::new("a", &END.to_be_bytes()).qos(QoS::AtLeastOnce)).unwrap();
    number
}

fn receive_blocking(url: &str, ready: &dyn Fn()) -> Came {
    let setup = tamtam_blocking::client::Setup::new(options("to")).patience(PATIENCE);
    let (client, mut came) = (setup.open(url).unwrap(), Came::default());
    client.subscribe(Filter::new("a")).unwrap();
    ready();
    while !came.note(client.next_message(PATIENCE).unwrap().payload()) {}
    came
}

fn survive(name: &str, sides: &Sides) {
    let scratch = Scratch::new(&format!("survival-{name}"));
    let data = scratch.path("data");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (listen, url) = (free.to_string(), format!("mqtt://{free}"));
    let options = ["--listen", &listen, "--data", &data, "--queue-messages", "1000000"];
    let mut broker = Broker::start_with(&options);
    let (stop, (ready, is_ready)) = (AtomicBool::new(false), mpsc::channel());
    let (sent, came) = std::thread::scope(|scope| {
        let (ready, url) = (move || ready.send(()).unwrap(), &url);
        let receiver = scope.spawn(move || (sides.receive)(url, &ready));
        is_ready.recv().unwrap();
        let sender = scope.spawn(|| (sides.send)(url, &stop));
        for round in 0..ROUNDS {
            std::thread::sleep(Duration::from_millis(120 + 70 * round));
            broker.signal("KILL");
            drop(broker);
            broker = Broker::start_with(&options);
        }
        std::thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
        (sender.join().unwrap(), receiver.join().unwrap().0)
    });
    println!("{name}: {sent} messages acknowledged, {ROUNDS} times killed");
    assert!(sent > 50, "there was something to lose: {sent}");
    for number in 0..sent {
        let times = came.get(&number).copied().unwrap_or(0);
        assert!(times == 1 || times > 1 && qos(number) == QoS::AtLeastOnce, "{number}: {times}");
    }
}

#[test]
fn clients_on_tokio_survive_their_broker() {
    survive("tokio", &Sides { send: send::<OnTokio>, receive: receive::<OnTokio> });
}

#[test]
fn clients_on_smol_survive_their_broker() {
    survive("smol", &Sides { send: send::<OnSmol>, receive: receive::<OnSmol> });
}

#[test]
fn clients_on_async_std_survive_their_broker() {
    survive("async-std", &Sides { send: send::<OnAsyncStd>, receive: receive::<OnAsyncStd> });
}

#[test]
fn blocking_clients_survive_their_broker() {
    survive("blocking", &Sides { send: send_blocking, receive: receive_blocking });
}
