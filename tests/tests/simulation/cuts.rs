//! One exchange at every QoS in both directions, and the connection cut before every byte of it.

use tamtam_core::client::Filter;
use tamtam_core::{Heap, Version};
use tamtam_tests::node::Habits;
use tamtam_tests::profile::Profile;
use tamtam_tests::server::{Manners, Scripted};
use tamtam_tests::watched::Draft;
use tamtam_tests::world::{Counts, Cut, World};

use crate::support::{Kind, Small, add_counts, expect_right, is_at_rest, world_of};

const CLIENT: &str = "cut";

/// Connects, and lets both ends publish at every QoS; some before there is a connection.
fn begin<S: Kind>(version: Version, cut: Option<Cut>) -> World<S, Scripted> {
    let profile = Profile::new(version, CLIENT);
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
    for qos in 0..3 {
        let payload = format!("late {qos}");
        client.publish(&Draft::new("b", payload.as_bytes(), qos), now).expect("room");
        world.server.publish(CLIENT.as_bytes(), "c", format!("down {qos}").as_bytes(), qos);
    }
    world.settle();
    world
}

/// How many bytes go up and down if nothing breaks.
fn lengths<S: Kind>(version: Version) -> [u64; 2] {
    let world = begin::<S>(version, None);
    expect_right(&world, true);
    let line = world.line(0).expect("a connection");
    [line.up.written(), line.down.written()]
}

fn cut_everywhere<S: Kind>(version: Version, loses_session: bool) -> Counts {
    let mut counts = Counts::default();
    for (up, len) in [true, false].into_iter().zip(lengths::<S>(version)) {
        for at in 0..len {
            let mut world = begin::<S>(version, Some(Cut { up, at }));
            assert_eq!(world.counts.cuts, 1, "no cut at {at}, up: {up}");
            if loses_session {
                world.server.lose_sessions();
            }
            let rested = world.run_until(60_000, |world| is_at_rest(world));
            let mut problems = crate::support::problems(&world, rested);
            if !rested {
                problems.push(format!("no rest: {}", S::show(&world.nodes[0].client.machine)));
            }
            if !problems.is_empty() {
                problems.push(format!("{version:?}, up: {up}, cut at {at}, loses {loses_session}"));
            }
            world.expect_right(&problems);
            add_counts(&mut counts, &world.counts);
        }
    }
    counts
}

fn cut_everywhere_in_every_version<S: Kind>(loses_session: bool) {
    let mut counts = Counts::default();
    for version in Version::ALL {
        add_counts(&mut counts, &cut_everywhere::<S>(*version, loses_session));
    }
    println!("{} connections, {} cuts", counts.connections, counts.cuts);
}

#[test]
fn nothing_is_lost_or_doubled_where_the_session_is_resumed() {
    cut_everywhere_in_every_version::<Heap>(false);
}

#[test]
fn nothing_is_lost_or_doubled_where_the_session_is_lost() {
    cut_everywhere_in_every_version::<Heap>(true);
}

#[test]
fn nothing_is_lost_or_doubled_in_a_fixed_client_that_resumes() {
    cut_everywhere_in_every_version::<Small>(false);
}

#[test]
fn nothing_is_lost_or_doubled_in_a_fixed_client_whose_session_is_lost() {
    cut_everywhere_in_every_version::<Small>(true);
}
