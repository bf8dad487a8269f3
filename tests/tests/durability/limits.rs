//! A broker that starts again with smaller limits: it starts, keeps what it can, and counts the
//! rest.

use tamtam_core::broker::{Options, QueueFull, Record};
use tamtam_core::{Heap, QoS, ReasonCode, Version};

use crate::client::State;
use crate::world::World;
use tamtam_tests::broker::store::{Manner, read};

const ONE: QoS = QoS::AtLeastOnce;
const TWO: QoS = QoS::ExactlyOnce;
const V5: Version = Version::V5;

/// A subscriber that is away, with 4 messages that may be in flight and 8 that
/// wait: the identifier of the fourth is recorded.
fn away() -> World<Heap> {
    let mut world: World<Heap> = World::new(Manner { by_key: true, ..Manner::default() }, None);
    let publisher = world.add("pub", V5, u32::MAX);
    let subscriber = world.add("sub", V5, u32::MAX);
    world.clients[subscriber].subscribe("a/#", TWO);
    world.clients[subscriber].window = 3;
    world.clients[subscriber].acks = Some(0);
    world.connect(publisher);
    world.connect(subscriber);
    world.settle();
    for number in 0..12 {
        let qos = if number % 3 == 0 { TWO } else { ONE };
        world.publish(publisher, "a/b", &format!("{number}"), qos, false);
        world.turns(3);
    }
    world.cut(subscriber);
    world.settle();
    world
}

fn start_again(world: &mut World<Heap>, options: Options) {
    world.options = options;
    world.everything();
    world.crash_now(0);
}

/// What the subscriber has at the end, each once.
fn got(world: &mut World<Heap>) -> Vec<u8> {
    world.clients[1].ack_all();
    world.connect(1);
    world.settle();
    let mut got = Vec::new();
    for one in &world.clients[1].got {
        let number = one.payload.parse().expect("a number");
        if !got.contains(&number) {
            got.push(number);
        }
    }
    got
}

#[test]
fn a_queue_is_cut_by_its_policy_and_what_is_in_flight_stays() {
    use QueueFull::{Disconnect, DropNewest, DropOldest};
    for (queue_full, left) in [
        (DropNewest, [0, 1, 2, 3, 4, 5]),
        (Disconnect, [0, 1, 2, 3, 4, 5]),
        (DropOldest, [0, 1, 2, 3, 10, 11]),
    ] {
        let mut world = away();
        let options = Options { queue: 2, queue_full, ..world.options };
        start_again(&mut world, options);
        assert_eq!(world.broker.counters().dropped_queue, 6, "{queue_full:?}");
        // Once more: nothing is dropped, nothing comes back.
        start_again(&mut world, options);
        assert_eq!(world.broker.counters().dropped_queue, 0, "{queue_full:?}");
        world.publish(0, "a/b", "12", TWO, false);
        world.settle();
        start_again(&mut world, Options { queue: 100, ..options });
        world.publish(0, "a/b", "13", TWO, false);
        world.settle();
        let mut expected = left.to_vec();
        if queue_full == DropOldest {
            expected.remove(4); // for the one that came since
            expected.push(12);
        }
        expected.push(13);
        assert_eq!(got(&mut world), expected, "{queue_full:?}");
    }
}

#[test]
fn a_session_whose_queue_is_to_end_it_ends() {
    let mut world = away();
    let options = Options { queue: 2, queue_full: QueueFull::EndSession, ..world.options };
    start_again(&mut world, options);
    assert_eq!(world.broker.session_count(), 1);
    assert_eq!(world.broker.kept(), (0, 0));
    let log = world.everything();
    let gone = |bytes: &Vec<u8>| matches!(read(bytes), Record::SessionGone { .. });
    assert!(log.iter().any(gone), "it does not come back");
}

#[test]
fn bytes_are_cut_too() {
    let mut world = away();
    let (count, bytes) = world.broker.kept();
    let one = bytes / count;
    // What is in flight, four messages, takes no room in the queue.
    let options = Options { queue_bytes: one * 2, ..world.options };
    start_again(&mut world, options);
    assert_eq!(world.broker.counters().dropped_queue, 6);
    assert_eq!(got(&mut world), [0, 1, 2, 3, 4, 5]);
}

/// The messages of all, for a session that has some in flight and one that has not.
#[test]
fn what_came_last_goes_first_when_all_have_too_many_bytes() {
    let mut world = away();
    let other = world.add("other", V5, u32::MAX);
    world.clients[other].subscribe("a/#", ONE);
    world.connect(other);
    world.settle();
    world.cut(other);
    world.publish(0, "a/r", "90", ONE, true);
    for number in 20..30 {
        world.publish(0, "a/b", &format!("{number}"), ONE, false);
    }
    world.settle();
    let (count, bytes) = world.broker.kept();
    assert_eq!(count, 23);
    let options = Options { message_bytes: bytes * 15 / 23, ..world.options };
    start_again(&mut world, options);
    let (count, bytes) = world.broker.kept();
    assert!((13..=15).contains(&count) && bytes <= options.message_bytes, "{count}, {bytes}");
    assert_eq!(world.broker.retained_count(), 1);
    start_again(&mut world, Options { message_bytes: 1 << 20, ..options });
    assert_eq!(world.broker.kept().0, count, "the others are gone for good");
    let got = got(&mut world);
    assert_eq!(got[..13], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 90]);
    // In flight are more bytes than there may be: they stay, and nothing new is taken.
    let mut world = away();
    let options = Options { message_bytes: 1, ..world.options };
    start_again(&mut world, options);
    assert_eq!(world.broker.kept().0, 4);
    world.publish(0, "a/b", "12", TWO, false);
    world.settle();
    let out = world.clients[0].out.last().expect("it was published");
    assert_eq!(out.state, State::Refused);
    assert_eq!(world.clients[0].last_refusal, Some(ReasonCode::QuotaExceeded));
    assert_eq!(self::got(&mut world), [0, 1, 2, 3]);
}

#[test]
fn of_everything_else_nothing_is_dropped_and_nothing_new_is_taken() {
    let mut world = away();
    for number in 0..40 {
        world.publish(0, &format!("r/{number}/a/b/c/d/e/f/g"), "5", ONE, true);
    }
    world.clients[0].subscribe("x/y/#", ONE);
    world.clients[0].subscribe("x/+", ONE);
    world.settle();
    let options = Options {
        sessions: 1,
        subscriptions: 1,
        subscriptions_per_session: 1,
        retained: 2,
        retained_bytes: 10,
        wildcards: false,
        maximum_qos: ONE,
        levels: 2,
        ..world.options
    };
    start_again(&mut world, options);
    assert_eq!((world.broker.session_count(), world.broker.retained_count()), (2, 40));
    assert_eq!(world.broker.subscription_count(), 3);
    world.publish(0, "r/new", "5", ONE, true);
    world.settle();
    assert_eq!(world.broker.retained_count(), 40);
    assert_eq!(got(&mut world), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
}
