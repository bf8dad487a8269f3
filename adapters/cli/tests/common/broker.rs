//! A broker of the real binary, for a test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::tamtam;

/// A broker that runs on ports of its own; it is killed in the end.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    /// What it said at its start.
    pub greeting: Vec<String>,
    /// The ports of its listeners, in order.
    pub ports: Vec<u16>,
}

impl Broker {
    /// In memory, on a port that the system chooses, with these options besides.
    pub fn start(options: &[&str]) -> Self {
        Self::start_with(&[&["--listen", "127.0.0.1:0", "--memory"], options].concat())
    }

    /// With these options only.
    pub fn start_with(options: &[&str]) -> Self {
        Self::spawn(tamtam().arg("broker").args(options))
    }

    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let greeting: Vec<String> = lines.by_ref().take(3).map_while(Result::ok).collect();
        if greeting.len() < 3 {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("the broker did not start: {said}");
        }
        let urls = greeting[0].split("; ").next().unwrap().split(" on ").nth(1).unwrap();
        let port = |url: &str| url.split(':').nth(2)?.split('/').next()?.parse().ok();
        let ports = urls.split(", ").filter_map(port).collect();
        Self { child, greeting, ports }
    }

    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Asks it to stop; its exit code and what it logged.
    #[cfg(unix)]
    pub fn stop(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }

    /// Waits until it has ended by itself; what it logged.
    pub fn wait(mut self) -> String {
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        self.child.wait().unwrap();
        log
    }

    /// The next line of its log that holds a text.
    pub fn wait_for_log(&mut self, text: &str) -> String {
        let mut log = BufReader::with_capacity(1, self.child.stderr.as_mut().unwrap()).lines();
        log.by_ref().map(Result::unwrap).find(|line| line.contains(text)).unwrap()
    }

    /// The memory that it has, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until it is so, for ten seconds at most.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(10), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
