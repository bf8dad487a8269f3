//! When a client comes back, and what waits for it meanwhile.

use std::collections::BTreeSet;

use tamtam_core::client::{Client, Event, Failure, Publish, SendError, Transport};
use tamtam_core::{Heap, Instant, QoS, Version};
use tamtam_tests::profile::Profile;
use tamtam_tests::story::Story;
use tamtam_tests::watched::Draft;

use crate::support::{Kind, both};

/// How long a client waits after each of several attempts that fail in a row.
fn waits(seed: u64, first_ms: u32, most_ms: u32) -> Vec<u64> {
    let profile =
        Profile { backoff_ms: Some((first_ms, most_ms)), ..Profile::new(Version::V311, "a") };
    let mut client = Client::<Heap>::new();
    client.start(&profile.options(), seed).expect("good options");
    let mut now = Instant::from_millis(1_000);
    client.connect(now).expect("it was started");
    let mut waits = Vec::new();
    for _ in 0..12 {
        assert_eq!(client.transport(), Transport::Wanted);
        client.handle_close(now);
        let next = client.poll_timeout().expect("another attempt");
        waits.push(next.millis_since(now));
        now = next;
        client.handle_timeout(now);
    }
    waits
}

#[test]
fn each_wait_is_random_up_to_a_bound_that_doubles_up_to_another() {
    let (first, most) = (100, 5_000);
    let all: Vec<Vec<u64>> = (0..300).map(|seed| waits(seed, first, most)).collect();
    for attempt in 0..12_u32 {
        let bound = u64::from(first.saturating_mul(1 << attempt).min(most));
        let here: Vec<u64> = all.iter().map(|waits| waits[attempt as usize]).collect();
        assert!(here.iter().all(|wait| *wait <= bound), "attempt {attempt}: {here:?}");
        // Full jitter: some at once, some late, and hardly two alike.
        assert!(here.iter().any(|wait| *wait < bound / 5), "attempt {attempt}");
        assert!(here.iter().any(|wait| *wait > bound * 4 / 5), "attempt {attempt}");
        let different: BTreeSet<u64> = here.into_iter().collect();
        assert!(different.len() > 60, "attempt {attempt}: {}", different.len());
    }
    assert_eq!(waits(7, first, most), waits(7, first, most));
}

/// A line that is refused the first time, and keeps what is written to it.
struct Uart(u32, Vec<u8>);

impl Uart {
    fn open(&mut self) -> Result<(), ()> {
        self.0 += 1;
        if self.0 == 1 { Err(()) } else { Ok(()) }
    }

    fn close(&mut self) {}

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ()> {
        self.1.extend(bytes);
        Ok(bytes.len())
    }
}

/// The loop of the documentation, word for word but for what it does with events, over a line that
/// is refused once and lost once.
#[test]
fn the_documented_loop_comes_back() {
    let mut client = Client::<Heap>::new();
    let profile = Profile::new(Version::V311, "a");
    client.start(&profile.options(), 5).expect("good options");
    let (mut uart, mut now) = (Uart(0, Vec::new()), Instant::from_millis(1));
    let (mut rx, mut connections, mut losses) = (Vec::new(), 0, 0);
    client.connect(now).expect("it was started");
    while connections < 3 {
        client.handle_timeout(now);
        match client.transport() {
            Transport::Wanted => match uart.open() {
                Ok(()) => {
                    rx.clear();
                    client.handle_open(now);
                }
                Err(()) => client.handle_close(now),
            },
            Transport::Unwanted => {
                uart.close();
                client.handle_close(now);
            }
            Transport::Open | Transport::Resting => {}
        }
        let mut input = &rx[..];
        let lost = loop {
            match client.handle_input(&mut input, now) {
                Ok(Some(Event::Connected { .. })) => connections += 1,
                Ok(Some(_)) => {}
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        let read = rx.len() - input.len();
        rx.drain(..read);
        losses += u32::from(lost);
        if !client.output().is_empty() {
            let len = uart.write(client.output()).unwrap_or(0);
            client.output_written(len, now);
            if !lost {
                continue;
            }
        }
        if lost {
            uart.close();
            client.handle_close(now);
            continue;
        }
        // What `read_until` does: bytes, or time passes, or the end of the line.
        if uart.1.starts_with(b"\x10") {
            uart.1.clear();
            rx.extend(b"\x20\x02\0\0");
        } else if client.transport() == Transport::Open && client.is_connected() {
            client.handle_close(now);
        } else {
            now = now.max(client.poll_timeout().expect("something to wait for"));
        }
        assert!(now < Instant::from_millis(60_000), "it does not come back");
    }
    assert_eq!(losses, 2);
}

both! {
    fn the_queue_is_bounded_and_refuses<S: Kind>() {
        let profile = Profile { in_flight: 8, ..Profile::new(Version::V311, "a") };
        let (story, a, server) = Story::<S>::with(profile);
        for number in 0..8 {
            a.publishes("t", &format!("m{number}")).qos(1);
        }
        assert_eq!(a.cannot_publish("t", "one too many", 1), SendError::Full);
        a.connects();
        (0..8).for_each(|number| server.receives(&format!("m{number}")));
        story.ends();
    }

    /// The oldest make room; their owners are told, and the newest arrive.
    fn or_drops_the_oldest<S: Kind>() {
        for store in [false, true] {
            let profile = Profile {
                outgoing_bytes: 1_000,
                drop_oldest: true,
                store,
                ..Profile::new(Version::V5, "a")
            };
            let (story, a, server) = Story::<S>::with(profile);
            let text = |number: usize| format!("m{number} {}", "x".repeat(190));
            let mut published = 0;
            for number in 0..40 {
                let draft = Draft::new("t", text(number).as_bytes(), 1);
                let sent = a.node(|node, now| node.client.publish(&draft, now).is_ok());
                published += usize::from(sent);
            }
            assert_eq!(published, 40);
            a.connects();
            story.passes(100);
            let arrived = (0..40).filter(|number| server.times(&text(*number)) == 1).count();
            assert!((3..8).contains(&arrived), "{arrived}");
            for number in 0..40 - arrived {
                a.hears_of_failure(&text(number), Failure::Dropped);
            }
            for number in 40 - arrived..40 {
                a.hears_of_delivery(&text(number));
            }
            story.ends();
        }
    }

    /// The store is told of each message that is dropped, but not at the expense of the newest.
    fn what_is_dropped_does_not_hold_up_the_newest<S: Kind>() {
        for count in 2..7 {
            let profile = Profile {
                outgoing_bytes: 1_000,
                in_flight: count.max(3), // and three records for each
                drop_oldest: true,
                store: true,
                ..Profile::new(Version::V5, "a")
            };
            let (story, a, server) = Story::<S>::with(profile);
            a.node(|node, _| node.habits.store_ms = (50, 50));
            for number in 0..count {
                let draft = Draft::new("t", format!("{number} {}", "x".repeat(120)).as_bytes(), 1);
                let _ = a.node(|node, now| node.client.publish(&draft, now));
            }
            let draft = Draft::new("t", "newest ".repeat(125).as_bytes(), 1);
            let published = a.node(|node, now| node.client.publish(&draft, now).is_ok());
            // The store is behind, so the server's answer waits, too.
            a.node(|node, now| node.client.machine.connect(now)).expect("it was started");
            story.passes(1_000);
            assert_eq!(server.times(&"newest ".repeat(125)), u32::from(published));
            story.ends();
        }
    }

    fn qos_0_waits_or_not<S: Kind>() {
        let profile = Profile { queue_qos0: false, ..Profile::new(Version::V311, "a") };
        let (_, a, _) = Story::<S>::with(profile);
        assert_eq!(a.cannot_publish("t", "now or never", 0), SendError::NotConnected);
    }

    fn dropped_qos_0_is_counted<S: Kind>() {
        let mut client = Client::<S>::new();
        let profile = Profile {
            outgoing_bytes: 1_000,
            drop_oldest: true,
            ..Profile::new(Version::V311, "a")
        };
        client.start(&profile.options(), 1).expect("good options");
        let publish = |client: &mut Client<S>| {
            client.publish(Publish::new("t", &[7; 93]), Instant::from_millis(1)).expect("room");
        };
        (0..30).for_each(|_| publish(&mut client));
        let left = 30 - client.dropped();
        assert!((7..11).contains(&left), "{left}");
        let owed = Publish::new("t", &[7; 90]).qos(QoS::AtLeastOnce);
        client.publish(owed, Instant::from_millis(1)).expect("room");
        assert_eq!(client.dropped(), 31 - left);
    }

    /// A server of 3.1.1 can't be told how many it may send; it sends more than there is room for.
    fn more_than_there_is_room_for_is_taken_bit_by_bit<S: Kind>() {
        for manual in [false, true] {
            let profile = Profile {
                receive_maximum: 3,
                manual_ack: manual,
                backoff_ms: Some((100, 100)),
                ..Profile::new(Version::V311, "a")
            };
            let (story, a, server) = Story::<S>::with(profile);
            a.connects();
            a.subscribes("t");
            for number in 0..20 {
                server.publishes("t", &format!("m{number}"), 2);
            }
            let mut got = BTreeSet::new();
            for _ in 0..600 {
                story.passes(50);
                let waiting = a.take(|happened| {
                    matches!(happened, tamtam_tests::happened::Happened::Message(_))
                });
                if let Some(tamtam_tests::happened::Happened::Message(message)) = waiting {
                    assert!(got.insert(message.payload), "doubled");
                    if manual {
                        let _ = a.acknowledges(message.ack);
                    }
                }
            }
            assert_eq!(got.len(), 20);
            story.ends();
        }
    }
}
