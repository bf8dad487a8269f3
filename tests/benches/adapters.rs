//! What a client costs on each runtime: QoS 1 messages over a socket, a thousand of them under way.
//!
//! The other side is a process that does nothing but acknowledge. The application is a task of the
//! runtime, as most of an asynchronous program is; where it says "outside", it is a thread that the
//! runtime does not know, so that client and application run side by side.

mod harness;
mod peer;
mod spending;

use std::collections::VecDeque;
use std::env;
use std::process::ExitCode;
use std::time::Duration;

use harness::{Case, Work};
use tamtam_driver::client::{ConnectError, Delivery};
use tamtam_driver::core::client::{Options, Publish};
use tamtam_driver::core::{QoS, Version};
use tamtam_driver::{Client, Messages};

const WINDOW: usize = 1000;
/// How many acknowledgements are waited for at once. One at a time, both sides would fall into step
/// and carry single messages back and forth.
const BATCH: usize = 100;
/// What a message may cost, in microseconds of processor time.
const BAR: f64 = 0.15;

const CASES: [Case; 7] = [
    case("tokio", on_tokio),
    case("tokio, two threads", on_tokio_threads),
    case("smol", on_smol),
    case("smol, outside", outside_smol),
    case("async-std", on_async_std),
    case("async-std, outside", outside_async_std),
    case("blocking", blocking),
];

const fn case(name: &'static str, run: fn(u64) -> Work) -> Case {
    Case { name, per: "message", bar: None, run }
}

fn main() -> ExitCode {
    if peer::is_asked_for() || spending::is_asked_for(&CASES) {
        return ExitCode::SUCCESS;
    }
    let done = harness::main("client, QoS 1, 1000 under way", &CASES);
    if env::args().any(|argument| argument == "--bench") && env::args().len() == 2 {
        spending::show(&CASES, BAR);
    }
    done
}

fn publish() -> Publish<'static> {
    Publish::new("bench/room/7", b"sixteen bytes...").qos(QoS::AtLeastOnce)
}

async fn send(
    connected: impl Future<Output = Result<(Client, Messages), ConnectError>>,
    messages: u64,
) {
    let (client, _messages) = connected.await.expect("a connection");
    let mut under_way = VecDeque::<Delivery>::with_capacity(WINDOW);
    for _ in 0..messages {
        if under_way.len() == WINDOW {
            for oldest in under_way.drain(..BATCH) {
                oldest.await.expect("an acknowledgement");
            }
        }
        under_way.push_back(client.try_publish(publish()).expect("room"));
    }
    for delivery in under_way {
        delivery.await.expect("an acknowledgement");
    }
    let _ = client.disconnect(Duration::from_secs(5)).await;
}

fn options() -> Options<'static> {
    Options::new(Version::V311).client_id("bench")
}

fn on_tokio(messages: u64) -> Work {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let client = send(async { tamtam_tokio::connect(peer::url(), options()).await }, messages);
    runtime.expect("a runtime").block_on(client);
    done(messages)
}

fn on_tokio_threads(messages: u64) -> Work {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
    let client = async move {
        send(async { tamtam_tokio::connect(peer::url(), options()).await }, messages).await;
    };
    runtime.block_on(runtime.spawn(client)).expect("the client");
    std::mem::forget(runtime); // its threads are asked what they have spent
    done(messages)
}

fn on_smol(messages: u64) -> Work {
    let client = async move { send(tamtam_smol::connect(peer::url(), options()), messages).await };
    smol::block_on(smol::spawn(client));
    done(messages)
}

fn outside_smol(messages: u64) -> Work {
    smol::block_on(send(tamtam_smol::connect(peer::url(), options()), messages));
    done(messages)
}

fn on_async_std(messages: u64) -> Work {
    let client =
        async move { send(tamtam_async_std::connect(peer::url(), options()), messages).await };
    async_std::task::block_on(async_std::task::spawn(client));
    done(messages)
}

fn outside_async_std(messages: u64) -> Work {
    async_std::task::block_on(send(tamtam_async_std::connect(peer::url(), options()), messages));
    done(messages)
}

fn blocking(messages: u64) -> Work {
    let client = tamtam_blocking::client::Client::connect(peer::url(), options());
    let client = client.expect("a connection");
    let mut under_way = VecDeque::with_capacity(WINDOW);
    for _ in 0..messages {
        if under_way.len() == WINDOW {
            for oldest in under_way.drain(..BATCH) {
                client.wait_published(oldest).expect("an acknowledgement");
            }
        }
        under_way.push_back(client.publish_later(publish()).expect("room"));
    }
    for oldest in under_way {
        client.wait_published(oldest).expect("an acknowledgement");
    }
    client.disconnect().expect("an end");
    done(messages)
}

const fn done(messages: u64) -> Work {
    Work { items: messages, bytes: 0 }
}
