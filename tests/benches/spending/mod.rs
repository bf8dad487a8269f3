//! What a process spends while it works: processor time, of itself and of the kernel for it, sleeps
//! that others end, system calls.
//!
//! The same executable runs as its child, a few times; of these the median is shown. System calls
//! are counted by strace, which slows them down, so that fewer things may gather between two.

use std::env;
use std::fs;
use std::process::{Command, Stdio};

use crate::harness::{CHILD, Case};

/// The hidden argument that makes this executable the child of itself: case, then messages.
const SPEND: &str = "--spend";
/// How many messages each run is about, and how many where system calls are counted.
const MESSAGES: u64 = 3_000_000;
const TRACED: u64 = 200_000;
/// How often each case runs.
const RUNS: usize = 7;
/// What the kernel's clock ticks in, for its accounts: `sysconf(_SC_CLK_TCK)` is 100 on Linux.
const TICK_NS: u64 = 10_000_000;

/// What was spent.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    /// Processor time of all threads, in nanoseconds.
    total: u64,
    /// How much of it was the kernel's; ticks, which sample.
    system: u64,
    /// How often a thread slept until something happened.
    sleeps: u64,
}

/// Does the work of a child, if this is one.
pub(crate) fn is_asked_for(cases: &[Case]) -> bool {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [flag, name, messages] = arguments.as_slice() else { return false };
    let case = cases.iter().find(|case| case.name == name);
    let (true, Some(case), Ok(messages)) = (flag == SPEND, case, messages.parse()) else {
        return false;
    };
    let before = spent();
    let work = (case.run)(messages);
    let after = spent();
    println!(
        "{} {} {}",
        (after.total - before.total) / work.items,
        (after.system - before.system) as f64 / (after.total - before.total) as f64,
        (after.sleeps - before.sleeps) as f64 / work.items as f64,
    );
    true
}

/// What all threads have spent that live.
fn spent() -> Spent {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks.fold(Spent::default(), |sum, task| {
        let text = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let number = |text: Option<&str>| text.and_then(|text| text.trim().parse().ok());
        let (scheduled, stat, status) = (text("schedstat"), text("stat"), text("status"));
        // Behind the name of the thread, which is in parentheses.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        Spent {
            total: sum.total + number(scheduled.split(' ').next()).unwrap_or(0),
            system: sum.system + number(fields.split(' ').nth(12)).unwrap_or(0) * TICK_NS,
            sleeps: sum.sleeps + number(sleeps).unwrap_or(0),
        }
    })
}

/// Prints a table of what each case spends.
pub(crate) fn show(cases: &[Case], bar: f64) {
    println!();
    println!(
        "| processor time, µs per message | total | bar | met | user | system | sleeps | calls |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for case in cases {
        let mut runs: Vec<Vec<f64>> = (0..RUNS).filter_map(|_| run(case)).collect();
        runs.sort_by(|one, other| one[0].total_cmp(&other[0]));
        let Some([total, share, sleeps]) = runs.get(runs.len() / 2).map(Vec::as_slice) else {
            println!("| {} | failed |", case.name);
            continue;
        };
        let (total, system) = (total / 1000.0, total * share / 1000.0);
        let met = if total <= bar { "yes" } else { "**no**" };
        let calls = calls(case).map_or("?".into(), |calls| format!("{calls:.4}"));
        let user = total - system;
        println!(
            "| {} | {total:.3} | ≤ {bar} | {met} | {user:.3} | {system:.3} | {sleeps:.4} \
             | {calls} |",
            case.name
        );
    }
}

fn run(case: &Case) -> Option<Vec<f64>> {
    let this = env::current_exe().ok()?;
    let output =
        Command::new(this).args([SPEND, case.name, &MESSAGES.to_string()]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let numbers: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
    numbers.ok().filter(|numbers| numbers.len() == 3)
}

/// How many system calls a message takes.
fn calls(case: &Case) -> Option<f64> {
    let (few, many) = (traced(case, TRACED)?, traced(case, 3 * TRACED)?);
    Some((many - few) / (2 * TRACED) as f64)
}

/// How many system calls so many messages take, in all threads; the other side is a process that
/// strace does not follow, for only threads are wanted.
fn traced(case: &Case, messages: u64) -> Option<f64> {
    let this = env::current_exe().ok()?;
    let log = env::temp_dir().join(format!("tamtam-calls-{}", std::process::id()));
    let status = Command::new("strace")
        .args(["--follow-forks", "--output"])
        .arg(&log)
        .arg(this)
        .args([CHILD, case.name, &messages.to_string()])
        .stdout(Stdio::null())
        .status();
    let text = fs::read_to_string(&log).ok()?;
    let _ = fs::remove_file(&log);
    status.ok().filter(|status| status.success())?;
    // A process that was made by a fork, and the address that it prints first.
    let peer = text.lines().find(|line| line.contains("write(1, \"mqtt://"));
    let peer = peer.and_then(|line| line.split(' ').next()).unwrap_or("none");
    let mine =
        |line: &&str| !line.starts_with(peer) && !line.contains("<...") && line.contains('(');
    Some(text.lines().filter(mine).count() as f64)
}
