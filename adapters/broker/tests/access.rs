//! Whoever embeds the daemon is asked what clients may do, and answers from another thread.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use tamtam_blocking::client::{Client, Filter, Options, Publish};
use tamtam_broker::config::Config;
use tamtam_broker::{Daemon, Hooks, Outcome, Pending, Wanted, Wish};
use tamtam_core::broker::{Event, Told, Watch};
use tamtam_core::{QoS, ReasonCode, Version};

/// Passes all questions on to a thread.
#[derive(Debug)]
struct Elsewhere(Mutex<Sender<(Wish, Pending)>>);

impl Hooks for Elsewhere {
    fn access(&self, wish: &Wish, pending: Pending) -> Outcome {
        self.0.lock().expect("alive").send((wish.clone(), pending)).expect("somebody decides");
        Outcome::Taken
    }
}

/// Asked about `door/#` and `bell`; anything else everybody may.
fn daemon(hooks: impl Hooks) -> tamtam_broker::Running {
    let folder = std::env::temp_dir().join(format!("tamtam-access-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("acl");
    std::fs::write(&file, "pattern ask door/#\npattern ask bell\npattern #\n").expect("a file");
    let option = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let options = [
        option("listen", "mqtt://127.0.0.1:0"),
        option("memory", "true"),
        option("acl-file", file.to_str().expect("a path")),
    ];
    let config = Config::load(None, &options).unwrap_or_else(|problems| panic!("{problems}"));
    let running = Daemon::new(config).expect("its files").hooks(hooks).start().expect("it runs");
    std::fs::remove_dir_all(&folder).expect("a folder");
    running
}

#[test]
fn a_hook_decides_later_and_only_its_client_waits() {
    let (send, asked) = channel::<(Wish, Pending)>();
    let running = daemon(Elsewhere(Mutex::new(send)));
    let decides = std::thread::spawn(move || {
        let mut wishes = Vec::new();
        for (wish, pending) in asked {
            std::thread::sleep(Duration::from_millis(50));
            match &wish.what {
                Wanted::Publish { topic, payload, .. } if topic == "door/1" => {
                    if payload == b"open" {
                        pending.refuse(ReasonCode::PayloadFormatInvalid);
                    } else {
                        pending.accept(None);
                    }
                }
                Wanted::Subscribe { .. } => pending.accept(None),
                _ => drop(pending),
            }
            wishes.push(wish);
        }
        wishes
    });
    let url = running.urls()[0].clone();
    let connect = |name: &str| {
        Client::connect(&url, Options::new(Version::V5).client_id(name)).expect("it connects")
    };
    let (hall, bell) = (connect("hall"), connect("bell"));
    hall.subscribe(Filter::new("door/+").qos(QoS::AtLeastOnce)).expect("allowed");
    let publish = |topic, payload: &'static [u8]| {
        bell.publish(Publish::new(topic, payload).qos(QoS::AtLeastOnce))
            .map_err(|why| why.to_string())
    };
    assert!(publish("door/1", b"closed").is_ok());
    assert!(publish("free", b"x").is_ok());
    let refused = publish("door/1", b"open").expect_err("refused");
    assert!(refused.to_lowercase().contains("payload"), "{refused}");
    let dropped = publish("bell", b"x").expect_err("nobody answers");
    assert!(dropped.to_lowercase().contains("authori"), "{dropped}");
    let message = hall.next_message(Duration::from_secs(5)).expect("a message");
    assert_eq!((message.topic(), message.text()), ("door/1", Some("closed")));
    running.stop().expect("it stops");
    let wishes = decides.join().expect("it ends with the broker");
    let clients: Vec<_> = wishes.iter().map(|wish| wish.client_id.as_str()).collect();
    assert_eq!(clients, ["hall", "bell", "bell", "bell"]);
    let filters = vec![("door/+".to_owned(), QoS::AtLeastOnce)];
    assert_eq!(wishes[0].what, Wanted::Subscribe { filters });
}

/// Notes what happens to whom and what.
#[derive(Debug)]
struct Watcher(Mutex<Sender<String>>);

impl Hooks for Watcher {
    fn access(&self, _: &Wish, pending: Pending) -> Outcome {
        pending.accept(None);
        Outcome::Taken
    }

    fn watches(&self) -> Watch {
        Watch { drops: false, ..Watch::EVERYTHING }
    }

    fn event(&self, event: &Event, told: &Told<'_>) {
        let [client, subject] = [told.client_id, told.subject].map(String::from_utf8_lossy);
        let line = match event {
            Event::Subscribed { qos } => format!("{client} wants {subject} at {}", qos.level()),
            Event::SessionEnded { why } => format!("{client} is over: {}", why.name()),
            Event::Dropped { .. } => "not asked for".to_owned(),
            _ => return,
        };
        self.0.lock().expect("alive").send(line).expect("somebody listens");
    }
}

#[test]
fn a_hook_is_told_what_it_watches_for() {
    let (send, told) = channel();
    let running = daemon(Watcher(Mutex::new(send)));
    let options = Options::new(Version::V5).client_id("hall");
    let hall = Client::connect(&running.urls()[0], options).expect("it connects");
    hall.subscribe(Filter::new("door/+").qos(QoS::AtLeastOnce)).expect("allowed");
    hall.disconnect().expect("it leaves");
    let next = || told.recv_timeout(Duration::from_secs(5)).expect("it is told");
    assert_eq!(next(), "hall wants door/+ at 1");
    assert_eq!(next(), "hall is over: disconnected");
    running.stop().expect("it stops");
}
