//! A day of a broker in a simulated world, with a thousand clients and a hundred crashes:
//! `cargo bench -p tamtam-tests --bench day` lives it twice from one seed, compares, and prints
//! what happened. `TAMTAM_DAY` names another seed, which is lived once.

use std::process::ExitCode;
use std::time::Instant;

use tamtam_tests::broker::day::{Day, PARTS};

const SEED: u64 = 20_261_124;

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS; // as a test there is a short day, in the suite `broker_world`
    }
    let other = std::env::var("TAMTAM_DAY").ok().and_then(|seed| seed.parse().ok());
    let seed = other.unwrap_or(SEED);
    let began = Instant::now();
    let day = Day::live(seed, PARTS);
    let took = began.elapsed();
    println!("seed {seed}: {day:#?}\n{took:.1?} of real time for {} s", day.seconds);
    if !day.violations.is_empty() {
        return ExitCode::FAILURE;
    }
    if other.is_some() {
        return ExitCode::SUCCESS;
    }
    let began = Instant::now();
    let same = Day::live(seed, PARTS) == day;
    println!("{:.1?} for the same day once more; it was the same: {same}", began.elapsed());
    if same { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
