//! One exchange at every QoS in both directions, and the connection cut before every byte of it.

use tamtam_core::client::Filter;
use tamtam_core::{Heap, Version};
use tamtam_tests::node::Habits;
use tamtam_tests::profile::Profile;
use tamtam_tests::server::{Manners, Scripted};
use tamtam_tests::watched::Draft;
use tamtam_tests::world::{Counts, Cut, World};

use crate::support::{Kind, Small, add_counts, expect_right, is_at_rest, problems, world_of};

const CLIENT: &str = "cut";

/// What happens where the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    /// Nothing else.
    Nothing,
    /// The server loses the session.
    SessionLost,
    /// The client dies, and comes back with what its store has kept.
    ClientDies,
}

/// What is exchanged.
#[derive(Clone, Copy, Debug)]
struct Plot {
    version: Version,
    mishap: Mishap,
    /// Whether the larger messages come and go in pieces.
    streams: bool,
}

/// Connects, and lets both ends publish at every QoS; some before there is a connection.
fn begin<S: Kind>(plot: Plot, cut: Option<Cut>) -> World<S, Scripted> {
    let profile = Profile {
        store: plot.mishap == Mishap::ClientDies,
        stream_above: if plot.streams { 20 } else { u32::MAX },
        ..Profile::new(plot.version, CLIENT)
    };
    let mut world = world_of::<S>(1, profile, Habits::PLAIN, Manners::GOOD);
    world.next_cut = cut;
    let now = world.now;
    let client = &mut world.nodes[0].client;
    for qos in [1, 2] {
        let payload = format!("early {qos}");
        client.publish(&Draft::new("a", payload.as_bytes(), qos), now).expect("room");
    }
    client.machine.connect(now).expect("it was started");
    world.settle();
    let client = &mut world.nodes[0].client;
    let _ = client.subscribe(&[Filter::new("s")], now);
    if plot.streams {
        for qos in 0..3 {
            let payload = format!("streamed {qos} {}", ".".repeat(20));
            let draft = Draft::new("b", payload.as_bytes(), qos);
            let _ = world.nodes[0].client.publish_stream(&draft, now);
            world.settle();
        }
    }
    let client = &mut world.nodes[0].client;
    for qos in 0..3 {
        let payload = format!("late {qos}");
        client.publish(&Draft::new("b", payload.as_bytes(), qos), now).expect("room");
        let (short, long) = (format!("down {qos}"), format!("down {qos} {}", ".".repeat(20)));
        world.server.publish(CLIENT.as_bytes(), "c", short.as_bytes(), qos);
        if plot.streams {
            world.server.publish(CLIENT.as_bytes(), "c", long.as_bytes(), qos);
        }
    }
    world.settle();
    world
}

/// How many bytes go up and down if nothing breaks.
fn lengths<S: Kind>(plot: Plot) -> [u64; 2] {
    let world = begin::<S>(plot, None);
    expect_right(&world, true);
    let line = world.line(0).expect("a connection");
    [line.up.written(), line.down.written()]
}

fn cut_everywhere<S: Kind>(plot: Plot) -> Counts {
    let mut counts = Counts::default();
    for (up, len) in [true, false].into_iter().zip(lengths::<S>(plot)) {
        for at in 0..len {
            let mut world = begin::<S>(plot, Some(Cut { up, at }));
            assert_eq!(world.counts.cuts, 1, "no cut at {at}, up: {up}");
            match plot.mishap {
                Mishap::Nothing => {}
                Mishap::SessionLost => world.server.lose_sessions(),
                Mishap::ClientDies => {
                    world.crash(0);
                    let now = world.now;
                    world.nodes[0].client.machine.connect(now).expect("it was started");
                }
            }
            let rested = world.run_until(60_000, |world| is_at_rest(world));
            let mut problems = problems(&world, rested);
            if !rested {
                problems.push(format!("no rest: {}", S::show(&world.nodes[0].client.machine)));
            }
            if !problems.is_empty() {
                problems.push(format!("{plot:?}, up: {up}, cut at {at}"));
            }
            world.expect_right(&problems);
            add_counts(&mut counts, &world.counts);
        }
    }
    counts
}

fn cut_everywhere_in_every_version<S: Kind>(mishap: Mishap) {
    let mut counts = Counts::default();
    for &version in Version::ALL {
        for streams in [false, true] {
            if streams && mishap == Mishap::ClientDies {
                continue; // no store has a streamed message
            }
            add_counts(&mut counts, &cut_everywhere::<S>(Plot { version, mishap, streams }));
        }
    }
    println!("{} connections, {} cuts ({mishap:?})", counts.connections, counts.cuts);
}

#[test]
fn nothing_is_lost_or_doubled_where_the_session_is_resumed() {
    cut_everywhere_in_every_version::<Heap>(Mishap::Nothing);
}

#[test]
fn nothing_is_lost_or_doubled_where_the_session_is_lost() {
    cut_everywhere_in_every_version::<Heap>(Mishap::SessionLost);
}

#[test]
fn nothing_is_lost_or_doubled_where_the_client_dies() {
    cut_everywhere_in_every_version::<Heap>(Mishap::ClientDies);
}

#[test]
fn nothing_is_lost_or_doubled_in_a_fixed_client_that_resumes() {
    cut_everywhere_in_every_version::<Small>(Mishap::Nothing);
}

#[test]
fn nothing_is_lost_or_doubled_in_a_fixed_client_whose_session_is_lost() {
    cut_everywhere_in_every_version::<Small>(Mishap::SessionLost);
}

#[test]
fn nothing_is_lost_or_doubled_in_a_fixed_client_that_dies() {
    cut_everywhere_in_every_version::<Small>(Mishap::ClientDies);
}
