//! One subscriber in a hundred reads nothing; the others must not notice.

use tamtam_core::broker::Options;
use tamtam_core::{Heap, Version};
use tamtam_tests::broker::actor::{Actor, Manner};
use tamtam_tests::broker::store;
use tamtam_tests::broker::world::World;
use tamtam_tests::dice::Dice;
use tamtam_tests::pipe::Weather;
use tamtam_tests::wire::Publish;

const SUBSCRIBERS: usize = 100;
const MESSAGES: u64 = 300;
const PAYLOAD: usize = 200;
/// What may wait for one session.
const QUEUE: usize = 100;
const OUTPUT: usize = 8_000;

/// The messages that each subscriber got, and the most bytes that were kept, where so many of them
/// read nothing.
fn run(stalled: usize, qos: u8) -> (Vec<u64>, usize) {
    let options = Options { queue: QUEUE, output_bytes: OUTPUT, ..Options::DEFAULT };
    let mut world = World::<Heap>::new(1, &options, store::Manner::default());
    world.weather = Weather { capacity: 4_000, ..Weather::FINE };
    let add = |world: &mut World<Heap>, name: String| {
        let actor = Actor::new(name, Version::V311, Manner::PLAIN, Dice::new(1));
        let person = world.add(actor);
        assert!(world.open(person));
        world.with_actor(person, |actor| actor.connect(true, 0, None));
        world.pass(1);
        person
    };
    let subscribers: Vec<usize> =
        (0..SUBSCRIBERS).map(|number| add(&mut world, format!("s{number}"))).collect();
    for person in &subscribers {
        world.with_actor(*person, |actor| actor.subscribe(&[("news/#", qos)], 0));
    }
    let publisher = add(&mut world, "publisher".into());
    let until = world.now.plus_secs(1_000_000);
    for person in subscribers.iter().take(stalled) {
        world.with_actor(*person, |actor| actor.sleeps_until = until);
    }
    let mut most = 0;
    for number in 1..=MESSAGES {
        let mut payload = format!("m{number}.").into_bytes();
        payload.resize(PAYLOAD, b'.');
        let topic = b"news/today".to_vec();
        let publish = Publish { qos, topic, payload, ..Publish::default() };
        world.with_actor(publisher, |actor| actor.publish(publish));
        world.pass(1);
        most = most.max(world.broker.kept().1);
    }
    world.expect_right();
    let got = |person: &usize| world.with_actor(*person, |actor| actor.got);
    (subscribers.iter().map(got).collect(), most)
}

#[test]
fn one_that_stalls_takes_nothing_from_the_others() {
    for qos in [0, 1] {
        let (all, _) = run(0, qos);
        assert_eq!(all, [MESSAGES; SUBSCRIBERS]);
        let (got, most) = run(1, qos);
        assert!(got[0] < MESSAGES, "it did not stall");
        assert_eq!(got[1..], [MESSAGES; SUBSCRIBERS - 1], "each in its millisecond");
        // What waits for it, what is in its window, and what is being routed.
        let bound = (2 * QUEUE + OUTPUT / PAYLOAD + 8) * (PAYLOAD + 64);
        assert!(most <= bound, "{most} bytes were kept, {bound} at most");
    }
}
