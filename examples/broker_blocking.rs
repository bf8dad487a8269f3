//! A broker for everybody, on the sockets of the standard library:
//!
//! ```text
//! cargo run -p tamtam-examples --example broker_blocking -- 127.0.0.1:1883
//! ```
//!
//! Without an address it takes a free port, and ends at once.

use std::error::Error;
use std::time::Duration;

use tamtam_blocking::broker::Server;
use tamtam_core::QoS;
use tamtam_core::broker::Options;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let server = Server::bind(address.as_deref().unwrap_or("127.0.0.1:0"), &Options::DEFAULT)?;
    println!("listening on {}", server.local_addr().ok_or("no address")?);
    if address.is_some() {
        server.run()?;
        return Ok(());
    }
    let running = server.start()?;
    let wanted = running.handle().publish("house/door", "open", QoS::AtMostOnce, true)?;
    println!("somebody wanted it: {wanted}");
    let retained = running.handle().run(|turn| turn.broker.retained_count())?;
    println!("retained messages: {retained}");
    running.stop(Duration::from_secs(1))?;
    Ok(())
}
