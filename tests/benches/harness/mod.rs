//! Figures that noise can't move: instructions, allocations and bytes for each item of work.
//!
//! A bench is a list of [`Case`]s handed to [`main`]. Every figure is the difference between a run
//! of many iterations and one of three times as many, so that start-up and preparation cancel out.
//! What is counted is counted by valgrind, in a child process that runs this same executable; only
//! the nanoseconds are measured here, and they inform without deciding anything.
//!
//! `cargo bench` counts and prints the table; a word behind `--` picks the cases whose names hold
//! it. Without `--bench`, as `cargo test --benches` calls it, each case runs once, as a test. With
//! `TAMTAM_BENCH_STRICT` set, a bar that is missed or can't be counted fails the run.

mod count;
mod table;

use std::env;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use count::Counted;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// What is done; the row's name, and that of the case for the child process.
    pub(crate) name: &'static str,
    /// What the figures are for one of: "packet", "chunk", "message".
    pub(crate) per: &'static str,
    /// How many instructions an item may cost; an item with a bar may not allocate either.
    pub(crate) bar: Option<u32>,
    /// Prepares, then does the work so many times. Preparation must not depend on the count.
    pub(crate) run: fn(u64) -> Work,
}

/// What a run got done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    /// How many packets, chunks or messages.
    pub(crate) items: u64,
    /// How many bytes they have on the wire.
    pub(crate) bytes: u64,
}

/// What one item of a case costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) counted: Option<Counted>,
    pub(crate) bytes: f64,
    pub(crate) nanoseconds: f64,
}

/// The hidden argument that makes this executable the child of itself: case, then iterations.
pub(crate) const CHILD: &str = "--child";
/// Its presence in the environment turns a bar that is not met into a failure.
const STRICT: &str = "TAMTAM_BENCH_STRICT";
/// How many items a child does at the least: enough that what cancels out really does.
const COUNTED_ITEMS: u64 = 20_000;
/// How long the shorter of two timed runs takes at the least.
const TIMED: Duration = Duration::from_millis(5);
/// How often each is timed.
const TIMINGS: usize = 9;

/// Proves that the counters count: it allocates once for each item.
const CONTROL: Case = Case { name: "control", per: "box", bar: None, run: allocate };

fn allocate(iterations: u64) -> Work {
    for number in 0..iterations {
        black_box(Box::new(number));
    }
    Work { items: iterations, bytes: 0 }
}

/// Runs a bench: what its `main` returns.
pub(crate) fn main(title: &str, cases: &[Case]) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    if let [flag, name, iterations] = arguments.as_slice()
        && flag == CHILD
    {
        return child(cases, name, iterations);
    }
    if given("--list") {
        return ExitCode::SUCCESS; // what test runners ask; these are no tests
    }
    let words: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let chosen: Vec<&Case> = cases
        .iter()
        .filter(|case| words.is_empty() || words.iter().any(|word| case.name.contains(*word)))
        .collect();
    if given("--bench") { measure(title, &chosen) } else { smoke(&chosen) }
}

/// The work that is counted from outside; answers what got done.
fn child(cases: &[Case], name: &str, iterations: &str) -> ExitCode {
    let case = cases.iter().chain([&CONTROL]).find(|case| case.name == name);
    let (Some(case), Ok(iterations)) = (case, iterations.parse()) else {
        eprintln!("no case {name:?} with {iterations:?} iterations");
        return ExitCode::FAILURE;
    };
    let work = (case.run)(iterations);
    println!("{}", work.items);
    ExitCode::SUCCESS
}

/// Each case once, as a test.
fn smoke(cases: &[&Case]) -> ExitCode {
    for case in cases {
        let work = (case.run)(1);
        assert!(work.items > 0, "{} did nothing", case.name);
        println!("bench {} ... ok", case.name);
    }
    ExitCode::SUCCESS
}

/// Prints the table and what became of the bars.
fn measure(title: &str, cases: &[&Case]) -> ExitCode {
    if cases.is_empty() {
        println!("{title}: no case of that name");
        return ExitCode::SUCCESS; // the word may be meant for another bench
    }
    let counters = count::check(&CONTROL);
    if let Err(reason) = &counters {
        warn(reason);
    }
    let rows: Vec<(&Case, Figures)> = cases
        .iter()
        .map(|case| {
            eprintln!("… {}", case.name);
            (*case, figures(case, counters.is_ok()))
        })
        .collect();
    let uncounted = rows.iter().any(|(_, figures)| figures.counted.is_none());
    let bars = rows.iter().filter(|(case, _)| case.bar.is_some()).count();
    let met = rows.iter().filter(|(case, figures)| is_met(case, figures) == Some(true)).count();
    println!("{}", table::render(title, &rows));
    println!("bars met: {met} of {bars}");
    if let Err(reason) = &counters {
        warn(reason); // again, where it can't be scrolled past
    }
    let failed = uncounted || met < bars;
    if failed && env::var_os(STRICT).is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether a case keeps its bar; `None` if it has none, or if nothing was counted.
fn is_met(case: &Case, figures: &Figures) -> Option<bool> {
    let counted = figures.counted?;
    let bar = f64::from(case.bar?);
    Some(counted.instructions <= bar && counted.allocations == 0.0)
}

fn figures(case: &Case, counting: bool) -> Figures {
    let once = (case.run)(1);
    let iterations = COUNTED_ITEMS.div_ceil(once.items.max(1));
    let counted = counting.then(|| count::count(case, iterations));
    let counted = counted.and_then(|counted| match counted {
        Ok(counted) => Some(counted),
        Err(reason) => {
            warn(&reason);
            None
        }
    });
    Figures { counted, bytes: per(once.bytes, once.items), nanoseconds: time(case) }
}

/// Nanoseconds for each item, from the fastest runs: what else the machine does only adds to them.
fn time(case: &Case) -> f64 {
    let mut iterations = 1;
    while timed(case, iterations).0 < TIMED {
        iterations *= 2;
    }
    let fastest = |iterations| (0..TIMINGS).map(|_| timed(case, iterations)).min();
    match (fastest(iterations), fastest(3 * iterations)) {
        (Some((short, few)), Some((long, many))) => {
            (long.as_secs_f64() - short.as_secs_f64()) * 1e9 / (many - few) as f64
        }
        _ => f64::NAN,
    }
}

fn timed(case: &Case, iterations: u64) -> (Duration, u64) {
    let start = Instant::now();
    let work = (case.run)(iterations);
    (start.elapsed(), work.items)
}

fn per(total: u64, items: u64) -> f64 {
    total as f64 / items as f64
}

/// Says what can't be overlooked.
fn warn(reason: &str) {
    let line = "!".repeat(80);
    eprintln!("\n{line}\nNOT COUNTED: {reason}\n{line}\n");
}
