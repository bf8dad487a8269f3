//! The real binary, killed at any moment, again and again: nothing that it acknowledged is lost.
#![cfg(unix)]

mod common;

use std::time::Duration;

use common::Scratch;
use common::broker::Broker;
use common::peer::{Publisher, Subscriber, check, retained};

const ROUNDS: u64 = 30;

fn start(data: &str) -> Broker {
    let options = ["--listen", "127.0.0.1:0", "--data", data, "--queue-messages", "1000000"];
    Broker::start_with(&options)
}

#[test]
fn kill_nine_loses_nothing_that_was_acknowledged() {
    let scratch = Scratch::new("crash");
    let data = scratch.path("data");
    let (mut publisher, mut subscriber) = (Publisher::default(), Subscriber::default());
    let mut dice = 0x9E37_79B9_7F4A_7C15_u64;
    for round in 0..ROUNDS {
        let broker = start(&data);
        let port = broker.port();
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if round == 0 {
            subscriber.begin(port).unwrap();
        }
        let life = Duration::from_millis(20 + (dice >> 33) % 280);
        std::thread::scope(|scope| {
            scope.spawn(|| publisher.run(port, true).expect_err("it is killed"));
            // In some rounds nobody takes anything, and it waits.
            if round % 4 != 3 {
                scope.spawn(|| subscriber.run(port, true).expect_err("it is killed"));
            }
            std::thread::sleep(life);
            broker.signal("KILL");
        });
    }
    let broker = start(&data);
    publisher.run(broker.port(), false).unwrap();
    subscriber.run(broker.port(), false).unwrap();
    let count = publisher.acknowledged.len();
    println!("{ROUNDS} rounds, {count} messages acknowledged, {} taken", subscriber.first.len());
    assert!(count > 1_000, "there was something to lose: {count}");
    check(&publisher, &subscriber, retained(broker.port()));
    let (code, log) = broker.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("damaged"), "{log}");
}
