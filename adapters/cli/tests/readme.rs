//! What the README says of the broker and its tools, done as it stands there.
#![cfg(unix)]

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Scratch, finish, piped, run};

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    std::fs::read_to_string(path).unwrap()
}

/// The blocks of a language behind a remark.
fn blocks(remark: &str, language: &str) -> Vec<String> {
    let text = readme();
    let start = format!("```{language}\n");
    let parts = text.split(remark).skip(1);
    let block = |part: &str| part.split(&start).nth(1)?.split("```").next().map(str::to_owned);
    parts.filter_map(block).collect()
}

/// Programs that are stopped in the end, the last one first.
struct Running(Vec<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        while let Some(mut child) = self.0.pop() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let has_mosquitto = piped("mosquitto_pub").arg("--version").output().is_ok();
    assert!(has_mosquitto || std::env::var_os("CI").is_none(), "CI installs mosquitto-clients");
    let folder = Path::new(env!("CARGO_BIN_EXE_tamtam")).parent().unwrap().to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let blocks = blocks("<!-- run by adapters/cli/tests/readme.rs -->", "sh");
    assert_eq!(blocks.len(), 2);
    for (number, block) in blocks.iter().enumerate() {
        let scratch = Scratch::new(&format!("readme-{number}"));
        let shell = |line: &str| {
            // Ports of its own, and a home of its own.
            let line = line.replace("1884", "21451");
            let line = line.replace("tamtam broker &", "tamtam broker --listen 21450 &");
            let ported = ["tamtam sub", "tamtam pub -t", "mosquitto_pub", "tamtam bench"];
            let line = match ported.iter().any(|tool| line.contains(tool)) {
                true => format!("{} -p 21450", line.trim_end_matches('&')),
                false => line.trim_end_matches('&').to_owned(),
            };
            let mut command = Command::new("sh");
            command.args(["-c", &format!("exec 2>&1; {line}")]).current_dir(scratch.path(""));
            command.env("PATH", &path).env("HOME", scratch.path("")).env_remove("XDG_STATE_HOME");
            command.env_remove("STATE_DIRECTORY");
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            command
        };
        let mut running = Running(Vec::new());
        for line in block.lines() {
            if line.ends_with('&') {
                running.0.push(shell(&line.replacen("tamtam", "exec tamtam", 1)).spawn().unwrap());
                std::thread::sleep(Duration::from_secs(1));
            } else if has_mosquitto || !line.starts_with("mosquitto") {
                let answer = finish(&mut shell(line), b"");
                assert_eq!(answer.code, Some(0), "{line}: {answer:?}");
            }
        }
    }
}

#[test]
fn the_configuration_of_the_readme_is_right() {
    let blocks = blocks("<!-- checked by adapters/cli/tests/readme.rs -->", "toml");
    assert_eq!(blocks.len(), 1);
    let scratch = Scratch::new("readme-config");
    let file = scratch.write("tamtam.toml", &blocks[0]);
    assert_eq!(run(&["passwd", "-b", &scratch.path("users"), "alice", "a"], b"").code, Some(0));
    let answer = run(&["broker", "--check", "--config", &file], b"");
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    assert!(answer.out.contains("mount_point = \"web/\""), "{answer:?}");
}
