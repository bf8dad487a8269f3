//! Many clients in one world: they share a server, a clock and a seed, and nothing else.

use tamtam_core::client::{Filter, Transport};
use tamtam_core::{Heap, Version};
use tamtam_tests::dice::Dice;
use tamtam_tests::node::Habits;
use tamtam_tests::pipe::Weather;
use tamtam_tests::profile::Profile;
use tamtam_tests::seeds::for_each_seed;
use tamtam_tests::server::{Manners, Scripted};
use tamtam_tests::watched::Draft;
use tamtam_tests::world::{Counts, World};

use crate::support::{Kind, Small, add_counts, is_at_rest, problems};

const CLIENTS: usize = 12;

/// A world of clients of every version that are all to be connected.
fn fleet<S: Kind>(seed: u64) -> World<S, Scripted> {
    let mut world = World::new(seed, Scripted::new(Manners::GOOD, seed));
    let mut dice = Dice::new(seed);
    world.weather = Weather::any(&mut dice);
    world.cuts = (40, 2_000);
    for number in 0..CLIENTS {
        let version = Version::ALL[number % 3];
        let profile = Profile {
            backoff_ms: Some((50, 2_000)),
            ..Profile::new(version, &format!("client-{number}"))
        };
        let index = world.add(profile, Habits::any(&mut dice));
        world.nodes[index].client.machine.connect(world.now).expect("it was started");
    }
    world
}

fn act<S: Kind>(world: &mut World<S, Scripted>, dice: &mut Dice, number: usize) {
    let (index, now) = (dice.below(CLIENTS), world.now);
    let client = &mut world.nodes[index].client;
    match dice.below(10) {
        0..5 => {
            let text = format!("{index} publishes {number}");
            let draft = Draft::new("up", text.as_bytes(), dice.between(0, 2) as u8);
            world.counts.messages_up += u64::from(client.publish(&draft, now).is_ok());
        }
        5 => drop(client.subscribe(&[Filter::new("news/#")], now)),
        6 | 7 => {
            let text = format!("news {number}");
            let sent = world.server.publish_to_subscribers("news/x", text.as_bytes(), 2);
            world.counts.messages_down += sent as u64;
        }
        8 => world.pass(dice.between(0, 200)),
        _ => world.break_line(index),
    }
    world.settle();
}

fn run<S: Kind>(seed: u64) -> (Counts, u64) {
    let mut world = fleet::<S>(seed);
    let mut dice = Dice::new(seed ^ 0xF1EE7);
    for number in 0..250 {
        act(&mut world, &mut dice, number);
    }
    world.cuts = (0, 0);
    world.weather = Weather::FINE;
    (0..CLIENTS).for_each(|index| world.break_line(index));
    let rested = world.run_until(300_000, |world| is_at_rest(world));
    let mut problems = problems(&world, rested);
    for node in world.nodes.iter().filter(|node| !node.client.machine.is_connected()) {
        assert_ne!(node.client.transport(), Transport::Resting);
        problems.push(format!("no rest: {}", S::show(&node.client.machine)));
    }
    world.expect_right(&problems);
    assert!(rested, "seed {seed}");
    (world.counts, world.log.number())
}

#[test]
fn clients_do_not_disturb_one_another() {
    let mut sum = Counts::default();
    for_each_seed("fleet", 6, |seed| {
        add_counts(&mut sum, &run::<Heap>(seed).0);
        add_counts(&mut sum, &run::<Small>(seed).0);
        assert_eq!(run::<Heap>(seed).1, run::<Heap>(seed).1, "the same seed, another run");
    });
    println!("{sum:?}");
}
