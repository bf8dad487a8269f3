//! What a client costs on each runtime: QoS 1 messages over a socket, a thousand of them under way.
//!
//! The other side is a thread that does nothing but acknowledge. Its instructions are in the table;
//! the processor time printed below is the client's alone, the kernel's part of it included.

mod harness;

use std::collections::VecDeque;
use std::future::Future;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::{env, fs};

use harness::{Case, Work};
use tamtam_driver::client::{ConnectError, Delivery};
use tamtam_driver::core::client::{Options, Publish};
use tamtam_driver::core::{QoS, Version};
use tamtam_driver::{Client, Messages};

const WINDOW: usize = 1000;
/// How many acknowledgements are waited for at once. One at a time, both sides would fall into step
/// and carry single messages back and forth.
const BATCH: usize = 100;
/// For the table of processor time.
const MESSAGES: u64 = 1_000_000;

const CASES: [Case; 3] = [
    Case { name: "tokio", per: "message", bar: None, run: on_tokio },
    Case { name: "smol", per: "message", bar: None, run: on_smol },
    Case { name: "async-std", per: "message", bar: None, run: on_async_std },
];

fn main() -> ExitCode {
    let done = harness::main("client, QoS 1, 1000 under way", &CASES);
    if env::args().any(|argument| argument == "--bench") && env::args().len() == 2 {
        println!("\nprocessor time of the client, {MESSAGES} messages:");
        for case in &CASES {
            let before = spent();
            let work = (case.run)(MESSAGES);
            let nanoseconds = spent().saturating_sub(before);
            let each = nanoseconds as f64 / work.items as f64 / 1000.0;
            println!("{:>10} {each:.3} µs a message (bar 0.15)", case.name);
        }
    }
    done
}

/// Processor time of all threads that live, in nanoseconds; the server's has ended by then.
fn spent() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks.map(|task| time_in(&task.path().join("schedstat").to_string_lossy())).sum()
}

fn time_in(schedstat: &str) -> u64 {
    let text = fs::read_to_string(schedstat).unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Acknowledges whatever comes.
fn serve() -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("mqtt://{}", listener.local_addr().expect("an address"));
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        let _ = socket.set_nodelay(true);
        let mut buffer = vec![0; 64 << 10];
        let (mut input, mut output) = (Vec::new(), Vec::new());
        while let Ok(read) = socket.read(&mut buffer)
            && read > 0
        {
            input.extend_from_slice(&buffer[..read]);
            let mut rest = &input[..];
            while let [first, length, body @ ..] = rest
                && let Some((body, after)) = body.split_at_checked(usize::from(*length))
            {
                match first >> 4 {
                    1 => output.extend_from_slice(b"\x20\x02\x00\x00"),
                    3 => {
                        let topic = usize::from(body[1]);
                        output.extend_from_slice(&[0x40, 2, body[topic + 2], body[topic + 3]]);
                    }
                    _ => {}
                }
                rest = after;
            }
            let used = input.len() - rest.len();
            input.drain(..used);
            if socket.write_all(&output).is_err() {
                break;
            }
            output.clear();
        }
    });
    (url, server)
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
        let publish = Publish::new("bench/room/7", b"sixteen bytes...").qos(QoS::AtLeastOnce);
        under_way.push_back(client.try_publish(publish).expect("room"));
    }
    for delivery in under_way {
        delivery.await.expect("an acknowledgement");
    }
    let _ = client.disconnect(std::time::Duration::from_secs(5)).await;
}

fn options() -> Options<'static> {
    Options::new(Version::V311).client_id("bench")
}

fn on_tokio(messages: u64) -> Work {
    let (url, server) = serve();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let client = send(async { tamtam_tokio::connect(&url, options()).await }, messages);
    runtime.expect("a runtime").block_on(client);
    finish(server, messages)
}

fn on_smol(messages: u64) -> Work {
    let (url, server) = serve();
    smol::block_on(send(tamtam_smol::connect(&url, options()), messages));
    finish(server, messages)
}

fn on_async_std(messages: u64) -> Work {
    let (url, server) = serve();
    async_std::task::block_on(send(tamtam_async_std::connect(&url, options()), messages));
    finish(server, messages)
}

fn finish(server: JoinHandle<()>, messages: u64) -> Work {
    let _ = server.join();
    Work { items: messages, bytes: 0 }
}
