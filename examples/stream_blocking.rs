//! A payload that is never in memory as a whole: read while it is sent, and read while it arrives.
//!
//! ```text
//! cargo run -p tamtam-examples --example stream_blocking -- FILE
//! ```
//!
//! Without a file it sends 32 MiB of a pattern.

use std::error::Error;
use std::fs::File;
use std::io::Read;

use tamtam_blocking::broker::Server;
use tamtam_blocking::client::{Client, Filter, Options, Publish};
use tamtam_core::{QoS, Version, broker};

fn main() -> Result<(), Box<dyn Error>> {
    let options = broker::Options { max_packet_size: 256 << 20, ..broker::Options::DEFAULT };
    let server = Server::bind("127.0.0.1:0", &options)?;
    let address = format!("mqtt://{}", server.local_addr().ok_or("no address")?);
    let _running = server.start()?;

    // What is longer than 64 KiB comes in pieces.
    let options = Options::new(Version::V5).client_id("there").stream_above(64 << 10);
    let there = Client::connect(&address, options)?;
    there.subscribe(Filter::new("files/+").qos(QoS::AtLeastOnce))?;

    let sender = std::thread::spawn(move || send(&address).map_err(|error| error.to_string()));
    let message = there.messages().next().ok_or("no message")??;
    println!("{} has {} bytes", message.topic(), message.payload_len());
    let (mut payload, mut piece) = (there.payload(&message), [0; 16 << 10]);
    let (mut len, mut sum) = (0, 0_u64);
    loop {
        let read = payload.read(&mut piece)?;
        if read == 0 {
            break;
        }
        len += read;
        sum = piece[..read].iter().fold(sum, |sum, byte| sum.wrapping_add(u64::from(*byte)));
    }
    println!("{len} bytes came; they add up to {sum}");
    there.disconnect()?;
    sender.join().map_err(|_| "the sender panicked")??;
    Ok(())
}

fn send(address: &str) -> Result<(), Box<dyn Error>> {
    // Memory for what is on its way: much less than the payload.
    let options = Options::new(Version::V5).client_id("here").outgoing_bytes(128 << 10);
    let here = Client::connect(address, options)?;
    let publish = Publish::new("files/one", b"").qos(QoS::AtLeastOnce);
    let reason = match std::env::args().nth(1) {
        Some(path) => {
            let file = File::open(path)?;
            let len = u32::try_from(file.metadata()?.len())?;
            here.publish_reader(publish, len, file)?
        }
        None => here.publish_reader(publish, 32 << 20, std::io::repeat(7))?,
    };
    println!("the server has it: {reason}");
    here.disconnect()?;
    Ok(())
}
