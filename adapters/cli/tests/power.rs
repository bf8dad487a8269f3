//! The real binary, and a power failure at any moment: of its files only that is left which a
//! completed fsync covered, and by chance more. Nothing that it acknowledged is lost.
//!
//! `strace` writes down what the broker does to its files.
#![cfg(target_os = "linux")]

mod common;

use std::process::Command;
use std::time::Duration;

use common::broker::{Broker, eventually};
use common::peer::{Publisher, Subscriber, check, retained};
use common::power::{CALLS, Disk};
use common::{Scratch, piped};

const ROUNDS: usize = 24;

/// A broker below `strace`, and the number of its process.
fn start(scratch: &Scratch) -> (Broker, String) {
    let (log, pid) = (scratch.path("log"), scratch.path("pid"));
    let _ = std::fs::remove_file(&pid);
    let mut command = piped("strace");
    command.args([
        "-f",
        "-qq",
        "--seccomp-bpf",
        "-y",
        "-xx",
        "-s",
        "100000000",
        "-e",
        "signal=none",
    ]);
    command.args(["-e", CALLS, "-o", &log, env!("CARGO_BIN_EXE_tamtam"), "broker"]);
    command.args(["--listen", "127.0.0.1:0", "--data", &scratch.path("data")]);
    command.args(["--queue-messages", "1000000", "--pid-file", &pid]);
    let broker = Broker::spawn(&mut command);
    let number = std::fs::read_to_string(pid).unwrap();
    (broker, number.trim().to_owned())
}

#[test]
fn a_power_failure_loses_nothing_that_was_acknowledged() {
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI has strace");
        println!("SKIPPED: there is no strace here");
        return;
    }
    let scratch = Scratch::new("power");
    let folder = scratch.path("data/store");
    std::fs::create_dir_all(&folder).unwrap();
    let (mut publisher, mut subscriber) = (Publisher::default(), Subscriber::default());
    let mut dice = 0x2545_F491_4F6C_DD1D_u64;
    let mut roll = |below: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as usize % below
    };
    let mut fsyncs = 0;
    for round in 0..ROUNDS {
        let mut disk = Disk::of(&folder);
        let (broker, process) = start(&scratch);
        if round == 0 {
            subscriber.begin(broker.port()).unwrap();
        }
        let life = Duration::from_millis(roll(120) as u64);
        std::thread::scope(|scope| {
            scope.spawn(|| publisher.run(broker.port(), true).expect_err("it is killed"));
            if round % 4 != 3 {
                scope.spawn(|| subscriber.run(broker.port(), true).expect_err("it is killed"));
            }
            std::thread::sleep(life);
            assert!(Command::new("kill").args(["-9", &process]).status().unwrap().success());
        });
        broker.wait();
        disk.follow(&std::fs::read_to_string(scratch.path("log")).unwrap());
        disk.check();
        disk.fail(&mut roll);
        fsyncs += disk.fsyncs;
    }
    let (broker, process) = start(&scratch);
    eventually("all is acknowledged", || publisher.run(broker.port(), false).is_ok());
    subscriber.run(broker.port(), false).unwrap();
    let count = publisher.acknowledged.len();
    println!("{ROUNDS} power failures between {fsyncs} fsyncs, {count} messages acknowledged");
    assert!(count > 200, "there was something to lose: {count}");
    check(&publisher, &subscriber, retained(broker.port()));
    assert!(Command::new("kill").arg(&process).status().unwrap().success());
    let log = broker.wait();
    assert!(!log.contains("damaged"), "{log}");
}
