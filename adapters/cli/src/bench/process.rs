//! What a process of this machine spends: time on a processor, calls into the system, memory.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long all threads of a process have been on a processor; `None` if nobody can say (it is
/// asked of `/proc`).
pub(crate) fn cpu_of(process: u32) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    for task in std::fs::read_dir(format!("/proc/{process}/task")).ok()? {
        let spent = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        sum += Duration::from_nanos(spent.split_whitespace().next()?.parse().ok()?);
    }
    Some(sum)
}

/// Counts the calls into the system that a process makes, by `perf`. Counting costs the process a
/// little, so its time is measured without.
#[derive(Debug)]
pub(crate) struct Calls(Child);

impl Calls {
    /// Begins to count.
    ///
    /// # Errors
    /// There is no `perf`, or it may not look at that process.
    pub(crate) fn begin(process: u32) -> Result<Self, String> {
        let pid = process.to_string();
        let mut perf = Command::new("perf")
            .args(["stat", "-x", ";", "-e", "raw_syscalls:sys_enter", "-p", &pid])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("perf, which counts calls: {error}"))?;
        while !has_attached(perf.id()) {
            if !matches!(perf.try_wait(), Ok(None)) {
                return Err(format!("perf counts no calls here: {}", said(&mut perf)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(200)); // until it counts in all threads
        Ok(Self(perf))
    }

    /// How many there were.
    ///
    /// # Errors
    /// `perf` did not say.
    pub(crate) fn end(mut self) -> Result<u64, String> {
        let pid = self.0.id().to_string();
        // The signal that it ends by with its report.
        let asked = Command::new("kill").args(["-s", "INT", &pid]).status();
        asked.map_err(|error| error.to_string())?;
        let said = said(&mut self.0);
        let _ = self.0.wait();
        let count = said.lines().find(|line| line.contains("sys_enter"));
        let count = count.and_then(|line| line.split(';').next()?.parse().ok());
        count.ok_or_else(|| format!("perf counted nothing: {said}"))
    }
}

/// Whether it has opened what it counts with.
fn has_attached(perf: u32) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{perf}/fd")) else { return false };
    let mut files = files.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    files.any(|file| file.to_string_lossy().contains("perf_event"))
}

fn said(perf: &mut Child) -> String {
    let mut said = String::new();
    if let Some(stderr) = &mut perf.stderr {
        let _ = stderr.read_to_string(&mut said);
    }
    said
}
