//! What random lives found, told once more.

use tamtam_core::broker::Options;
use tamtam_core::{Heap, Version};
use tamtam_tests::broker::actor::{Actor, Manner};
use tamtam_tests::broker::store;
use tamtam_tests::broker::world::World;
use tamtam_tests::dice::Dice;
use tamtam_tests::wire::Publish;

fn world() -> World<Heap> {
    let options = Options { store: true, ..Options::DEFAULT };
    World::new(1, &options, store::Manner::default())
}

fn actor(world: &mut World<Heap>, name: &str) -> usize {
    world.add(Actor::new(name.into(), Version::V5, Manner::PLAIN, Dice::new(1)))
}

fn connect(world: &mut World<Heap>, person: usize) {
    assert!(world.open(person));
    world.with_actor(person, |actor| actor.connect(false, 3_600, None));
    world.pass(1);
    assert!(world.is_connected(person));
}

// [MQTT5-3.8.3-3]
#[test]
fn no_local_holds_for_what_was_published_before_a_crash() {
    let mut world = world();
    let one = actor(&mut world, "one");
    let other = actor(&mut world, "other");
    connect(&mut world, one);
    connect(&mut world, other);
    let message = |payload: &[u8], retain| Publish {
        qos: 1,
        retain,
        topic: b"t".to_vec(),
        payload: payload.to_vec(),
        ..Publish::default()
    };
    // Of one the session lives on, of the other one it ends.
    let brief = actor(&mut world, "brief");
    assert!(world.open(brief));
    world.with_actor(brief, |actor| actor.connect(true, 0, None));
    world.pass(1);
    world.with_actor(one, |actor| actor.publish(message(b"m1.", true)));
    world.with_actor(brief, |actor| {
        actor.publish(Publish { topic: b"u".to_vec(), ..message(b"m2.", true) });
    });
    world.pass(1);
    world.crash(0);
    world.settle();
    connect(&mut world, one);
    connect(&mut world, other);
    connect(&mut world, brief);
    for person in [one, other, brief] {
        world.with_actor(person, |actor| actor.subscribe(&[("t", 1 | 4), ("u", 1 | 4)], 0));
        world.pass(1);
    }
    let got = |world: &mut World<Heap>, person| world.with_actor(person, |actor| actor.got);
    assert_eq!([one, other, brief].map(|person| got(&mut world, person)), [1, 2, 1]);
    world.check(true);
    world.expect_right();
}
