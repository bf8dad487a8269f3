//! Who is measured.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::Scratch;
use crate::common::broker::Broker;

/// A broker, and how it keeps messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours, in memory.
    Memory,
    /// Ours as it is without options: what is acknowledged is on disk.
    Durable,
    /// Debian's mosquitto, in memory, with room for all that the loads queue.
    Mosquitto,
}

/// One that runs; it is killed in the end.
pub(crate) struct Contestant {
    pub(crate) port: u16,
    pub(crate) pid: u32,
    _process: Process,
    _scratch: Scratch,
}

#[allow(dead_code, reason = "held for its end")]
enum Process {
    Ours(Broker),
    Theirs(Killed),
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Contestant {
    pub(crate) fn start(kind: Kind) -> Self {
        let scratch = Scratch::new("bench-brokers");
        let data = scratch.path("data");
        match kind {
            Kind::Memory => Self::ours(&["--memory"], scratch),
            Kind::Durable => Self::ours(&["--data", &data], scratch),
            Kind::Mosquitto => Self::theirs(scratch),
        }
    }

    fn ours(options: &[&str], scratch: Scratch) -> Self {
        let all = ["--listen", "127.0.0.1:0", "--sys-interval", "0"];
        let broker = Broker::start_with(&[&all, options].concat());
        let (port, pid) = (broker.port(), broker.pid());
        Self { port, pid, _process: Process::Ours(broker), _scratch: scratch }
    }

    fn theirs(scratch: Scratch) -> Self {
        // It does not choose a port by itself.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = scratch.write(
            "mosquitto.conf",
            &format!(
                "listener {port} 127.0.0.1\nallow_anonymous true\nlog_dest none\nsys_interval 0\n\
                 set_tcp_nodelay true\nmax_queued_messages 0\nmax_inflight_messages 1000\n"
            ),
        );
        let mut command = Command::new("mosquitto");
        command.args(["-c", &config]).stdout(Stdio::null()).stderr(Stdio::null());
        let child = Killed(command.spawn().expect("mosquitto, as Debian has it"));
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(5), "mosquitto does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        let pid = child.0.id();
        Self { port, pid, _process: Process::Theirs(child), _scratch: scratch }
    }

    /// The memory that it has, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }
}
