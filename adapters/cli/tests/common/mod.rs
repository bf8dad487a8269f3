//! What tests of the real binary share.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

pub mod broker;
pub mod peer;
pub mod power;
pub mod raw;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The answer to a call, and its exit code.
#[derive(Debug)]
pub struct Answer {
    pub out: String,
    pub err: String,
    pub code: Option<i32>,
}

/// The binary with its three streams in our hands.
pub fn tamtam() -> Command {
    piped(env!("CARGO_BIN_EXE_tamtam"))
}

/// Any program with its three streams in our hands.
pub fn piped(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `tamtam` with these arguments and this standard input.
pub fn run(args: &[&str], input: &[u8]) -> Answer {
    finish(tamtam().args(args), input)
}

/// Runs a program to its end, with this standard input.
pub fn finish(command: &mut Command, input: &[u8]) -> Answer {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A call that does not read its input closes the pipe early.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Answer {
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    }
}

/// A folder that is deleted in the end.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tamtam-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file in it; its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text).unwrap();
        self.path(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
