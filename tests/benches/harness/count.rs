//! Counts by valgrind: the same executable runs as its child, and the sums at its end are compared.

use std::env;
use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};

use super::{CHILD, Case};

/// What one item costs, however busy the machine is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) instructions: f64,
    pub(crate) allocations: f64,
    /// Bytes asked for by the allocations.
    pub(crate) allocated: f64,
}

const VALGRIND: &str = "valgrind";

/// A tool of valgrind, and which number of its report is the sum.
struct Tool {
    arguments: &'static [&'static str],
    /// Numbers are found by the words around them.
    sums: &'static [(&'static str, &'static str)],
}

const INSTRUCTIONS: Tool = Tool {
    arguments: &["--tool=callgrind", "--callgrind-out-file=/dev/null"],
    sums: &[("Collected :", "")],
};

const ALLOCATIONS: Tool = Tool {
    arguments: &["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"],
    sums: &[("total heap usage:", "allocs"), ("frees,", "bytes allocated")],
};

/// What a child reported: items first, then the sums of its tool.
type Sums = Vec<f64>;

/// That the counters are there and count, shown on a case that allocates once for each item.
pub(crate) fn check(control: &Case) -> Result<(), String> {
    let found = Command::new(VALGRIND).arg("--version").stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        return Err(
            "instructions and allocations are unavailable, for valgrind does not run here.\n\
             Install it (apt install valgrind, dnf install valgrind, pacman -S valgrind)."
                .into(),
        );
    }
    let counted = count(control, 1000)?;
    if counted.instructions < 1.0 || counted.allocations != 1.0 {
        return Err(format!("valgrind counts wrongly, one allocation as {counted:?}"));
    }
    Ok(())
}

/// The case, counted over `iterations` and three times as many.
pub(crate) fn count(case: &Case, iterations: u64) -> Result<Counted, String> {
    // All four run side by side: what they count does not depend on time.
    let pairs = [&INSTRUCTIONS, &ALLOCATIONS].map(|tool| {
        (spawn(tool, case, iterations), spawn(tool, case, iterations.saturating_mul(3)))
    });
    let [instructions, allocations] = pairs;
    let instructions = difference(&INSTRUCTIONS, instructions)?;
    let allocations = difference(&ALLOCATIONS, allocations)?;
    match (instructions.as_slice(), allocations.as_slice()) {
        (&[instructions], &[allocations, allocated]) => {
            Ok(Counted { instructions, allocations, allocated })
        }
        _ => Err(format!("{}: a sum is missing", case.name)),
    }
}

fn spawn(tool: &Tool, case: &Case, iterations: u64) -> Result<Child, String> {
    let iterations = iterations.to_string();
    let executable = env::current_exe().map_err(|error| error.to_string())?;
    Command::new(VALGRIND)
        .arg("--command-line-only=yes") // options of the machine or of the user change no figure
        .args(tool.arguments)
        .arg(executable)
        .args([CHILD, case.name, &iterations].map(OsStr::new))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{VALGRIND}: {error}"))
}

/// What each item between the short run and the long one costs.
fn difference(
    tool: &Tool,
    (short, long): (Result<Child, String>, Result<Child, String>),
) -> Result<Sums, String> {
    let (short, long) = (report(tool, short?)?, report(tool, long?)?);
    let items = long[0] - short[0];
    Ok(long.iter().zip(&short).skip(1).map(|(long, short)| (long - short) / items).collect())
}

fn report(tool: &Tool, child: Child) -> Result<Sums, String> {
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let (answer, report) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let mut sums = vec![answer.trim().parse::<f64>()];
    for (before, behind) in tool.sums {
        sums.push(number_between(&report, before, behind).replace(',', "").parse());
    }
    let sums: Result<Sums, _> = sums.into_iter().collect();
    match sums {
        Ok(sums) if output.status.success() => Ok(sums),
        _ => Err(format!("a child failed:\n{answer}{report}")),
    }
}

/// The text of `report` between two texts that stand in one line.
fn number_between<'a>(report: &'a str, before: &str, behind: &str) -> &'a str {
    let between = report.lines().find_map(|line| {
        let (_, rest) = line.split_once(before)?;
        if behind.is_empty() { Some(rest) } else { Some(rest.split_once(behind)?.0) }
    });
    between.unwrap_or_default().trim()
}
