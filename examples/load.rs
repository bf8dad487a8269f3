//! What a broker bears, and what each message costs it:
//!
//! ```text
//! cargo run --release -p tamtam-examples --example load -- ADDRESS pairs 10 0 100 1000000 64 PID
//! ```
//!
//! The arguments: address, shape (`pairs`, `fan-out`, `fan-in`, `shared`), how many, QoS, window,
//! messages, payload bytes, and the process of the broker. Without any it loads a broker of its own
//! a little.

use std::error::Error;
use std::time::Duration;

use tamtam_blocking::broker::Server;
use tamtam_blocking::load::{Load, Report, cpu_of};
use tamtam_core::QoS;
use tamtam_core::broker::Options;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| {
        arguments.get(at).map_or(Ok(default), |number| number.parse::<usize>())
    };
    let count = number(2, 10)?;
    let load = match arguments.get(1).map(String::as_str) {
        Some("fan-out") => Load::fan_out(count),
        Some("fan-in") => Load::fan_in(count),
        Some("shared") => Load::shared(count),
        _ => Load::pairs(count),
    };
    let load = Load {
        qos: u8::try_from(number(3, 0)?).ok().and_then(QoS::from_level).ok_or("no such QoS")?,
        window: number(4, 100)?,
        messages: number(5, 10_000)? as u64,
        payload_bytes: number(6, 64)?,
        ..load
    };
    let Some(address) = arguments.first() else {
        let server = Server::bind("127.0.0.1:0", &Options::DEFAULT)?;
        let address = server.local_addr().ok_or("no address")?;
        let running = server.start()?;
        show(&load.run(address)?, Duration::ZERO);
        running.stop(Duration::from_secs(1))?;
        return Ok(());
    };
    let process = u32::try_from(number(7, 0)?)?;
    let (mut before, mut after) = (None, None);
    let report = load.run_between(
        address.parse()?,
        || before = cpu_of(process),
        || after = cpu_of(process),
    )?;
    show(&report, after.unwrap_or_default().saturating_sub(before.unwrap_or_default()));
    Ok(())
}

fn show(report: &Report, cpu: Duration) {
    let each = cpu.as_secs_f64() * 1e6 / report.delivered as f64;
    let (lost, rate) = (report.lost, report.per_second());
    println!("{} delivered, {lost} lost, {rate:.0} each second", report.delivered);
    if !cpu.is_zero() {
        println!("{each:.3} us of the broker's time each");
    }
}
