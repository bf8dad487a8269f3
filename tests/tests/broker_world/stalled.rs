//! One subscriber in a hundred reads nothing; the others must not notice.

use tamtam_core::broker::Options;
use tamtam_core::{Heap, Version};
use tamtam_tests::broker::actor::{Actor, Manner};
use tamtam_tests::broker::people::Person;
use tamtam_tests::broker::store;
use tamtam_tests::broker::world::World;
use tamtam_tests::dice::Dice;
use tamtam_tests::pipe::Weather;
use tamtam_tests::wire::Publish;

const SUBSCRIBERS: usize = 100;
const MESSAGES: u64 = 200;
const PAYLOAD: usize = 200;
/// What may wait for one session.
const QUEUE: usize = 100;
const OUTPUT: usize = 8_000;
/// What is on its way on a line.
const LINE: usize = 4_000;

/// What a run came to.
struct Outcome {
    /// The messages that the first subscriber got.
    first: u64,
    /// The most bytes of messages that were kept, and the most that waited in its output.
    kept: usize,
    output: usize,
    dropped: u64,
}

fn got(world: &World<Heap>, person: usize) -> u64 {
    let Person::Actor(actor, _) = &world.people[person] else { panic!("no actor") };
    actor.got
}

/// Where so many of the subscribers read nothing, each of the others gets each message in the
/// millisecond in which it was published.
fn run(stalled: usize, qos: u8) -> Outcome {
    let options = Options { queue: QUEUE, output_bytes: OUTPUT, ..Options::DEFAULT };
    let mut world = World::<Heap>::new(1, &options, store::Manner::default());
    world.weather = Weather { capacity: LINE, ..Weather::FINE };
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
    let (mut kept, mut output) = (0, 0);
    for number in 1..=MESSAGES {
        let mut payload = format!("m{number}.").into_bytes();
        payload.resize(PAYLOAD, b'.');
        let topic = b"news/today".to_vec();
        let publish = Publish { qos, topic, payload, ..Publish::default() };
        world.with_actor(publisher, |actor| actor.publish(publish));
        world.pass(1);
        for person in subscribers.iter().skip(stalled) {
            assert_eq!(got(&world, *person), number, "QoS {qos}: it is late");
        }
        assert_eq!(world.with_actor(publisher, |actor| actor.unsettled()), 0, "QoS {qos}");
        kept = kept.max(world.broker.kept().1);
        output = output.max(world.output_of(subscribers[0]));
    }
    world.expect_right();
    let counters = world.broker.counters();
    let dropped = counters.dropped_queue + counters.dropped_qos0;
    Outcome { first: got(&world, subscribers[0]), kept, output, dropped }
}

#[test]
fn one_that_stalls_takes_nothing_from_the_others() {
    for qos in [0, 1, 2] {
        let all = run(0, qos);
        assert_eq!((all.first, all.dropped), (MESSAGES, 0));
        let one = run(1, qos);
        // What leaves its queue fills its output and the line; the rest is dropped, and counted.
        let held = QUEUE + (OUTPUT + LINE) / PAYLOAD + 8;
        assert_eq!(one.first, 0, "it did not stall");
        assert!(one.dropped + held as u64 >= MESSAGES, "{} were dropped", one.dropped);
        // With so many, no other message is added.
        assert!(one.output < OUTPUT + PAYLOAD + 64, "{} bytes wait in its output", one.output);
        let bound = held * (PAYLOAD + 64);
        assert!(one.kept <= bound, "{} bytes were kept, {bound} at most", one.kept);
    }
}
