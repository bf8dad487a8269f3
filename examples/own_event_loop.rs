//! The core in a loop of one's own: a blocking socket, a buffer and a clock are all that it takes.
//! This is what every adapter does.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tamtam_blocking::broker::Server;
use tamtam_core::client::{Client, Event, Filter, Lost, Options, Publish, Transport};
use tamtam_core::{Heap, Instant, QoS, Version, broker};

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::bind("127.0.0.1:0", &broker::Options::DEFAULT)?;
    let address = server.local_addr().ok_or("no address")?.to_string();
    let running = server.start()?;

    let start = std::time::Instant::now();
    let clock = || Instant::from_millis(1 + start.elapsed().as_millis() as u64);
    let mut client = Client::<Heap>::new();
    client.start(&Options::new(Version::V5).client_id("loop"), 7)?;
    client.connect(clock())?;
    let (mut socket, mut input, mut buffer) = (None::<TcpStream>, Vec::new(), [0; 4096]);
    loop {
        let now = clock();
        client.handle_timeout(now);
        match client.transport() {
            Transport::Wanted => {
                socket = TcpStream::connect(&address).ok();
                input.clear();
                if socket.is_some() { client.handle_open(now) } else { client.handle_close(now) }
            }
            Transport::Unwanted => {
                socket = None;
                client.handle_close(now);
            }
            Transport::Open | Transport::Resting => {}
        }
        let mut rest = &input[..];
        let lost = |lost: Lost<'_>| lost.to_string(); // it borrows the input
        while let Some(event) = client.handle_input(&mut rest, now).map_err(lost)? {
            match event {
                Event::Connected { .. } => {
                    client.subscribe(&[Filter::new("hello")], now)?;
                    client.publish(Publish::new("hello", b"world").qos(QoS::ExactlyOnce), now)?;
                }
                Event::Message(message) => {
                    println!("hello, {}", String::from_utf8_lossy(message.payload));
                    running.stop(Duration::from_secs(5))?;
                    return Ok(());
                }
                other => println!("{other:?}"),
            }
        }
        let used = input.len() - rest.len();
        input.drain(..used);
        let Some(socket) = &mut socket else { continue };
        if !client.output().is_empty() {
            let written = socket.write(client.output())?;
            client.output_written(written, now);
            continue; // what was written may make room for more
        }
        let wait = client.poll_timeout().map(|when| when.wait_from(now));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        match socket.read(&mut buffer) {
            Ok(0) => client.handle_close(clock()),
            Ok(read) => input.extend_from_slice(&buffer[..read]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => client.handle_close(clock()),
        }
    }
}
