//! What random lives found, told once more.

use tamtam_core::broker::{Durability, Options, Record};
use tamtam_core::{Heap, Version};
use tamtam_tests::broker::actor::{Actor, Manner};
use tamtam_tests::broker::store;
use tamtam_tests::broker::world::World;
use tamtam_tests::dice::Dice;
use tamtam_tests::wire::{Props, Publish, Will, id};

fn world() -> World<Heap> {
    world_with(Options::DEFAULT)
}

fn world_with(options: Options) -> World<Heap> {
    World::new(1, &Options { store: true, ..options }, store::Manner::default())
}

fn actor(world: &mut World<Heap>, name: &str) -> usize {
    actor_with(world, name, Manner::PLAIN)
}

fn actor_with(world: &mut World<Heap>, name: &str, manner: Manner) -> usize {
    world.add(Actor::new(name.into(), Version::V5, manner, Dice::new(1)))
}

fn publish(world: &mut World<Heap>, person: usize, qos: u8, payload: &str) {
    let (topic, payload) = (b"t".to_vec(), payload.as_bytes().to_vec());
    let publish = Publish { qos, topic, payload, ..Publish::default() };
    world.with_actor(person, |actor| actor.publish(publish));
    world.settle();
}

fn subscribe(world: &mut World<Heap>, person: usize, qos: u8) {
    subscribe_to(world, person, "t", qos);
}

fn subscribe_to(world: &mut World<Heap>, person: usize, filter: &str, options: u8) {
    world.with_actor(person, |actor| actor.subscribe(&[(filter, options)], 0));
    world.pass(1);
}

fn got(world: &mut World<Heap>, person: usize) -> u64 {
    world.with_actor(person, |actor| actor.got)
}

fn connect(world: &mut World<Heap>, person: usize) {
    assert!(world.open(person));
    world.with_actor(person, |actor| actor.connect(false, 3_600, None));
    world.pass(1);
    assert!(world.is_connected(person));
}

/// Connects with a session that ends with the connection.
fn pass_by(world: &mut World<Heap>, person: usize, will: Option<Will>) {
    assert!(world.open(person));
    world.with_actor(person, |actor| actor.connect(true, 0, will));
    world.pass(1);
}

fn crash(world: &mut World<Heap>) {
    world.crash(0);
    world.settle();
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
    pass_by(&mut world, brief, None);
    world.with_actor(one, |actor| actor.publish(message(b"m1.", true)));
    world.with_actor(brief, |actor| {
        actor.publish(Publish { topic: b"u".to_vec(), ..message(b"m2.", true) });
    });
    world.pass(1);
    crash(&mut world);
    connect(&mut world, one);
    connect(&mut world, other);
    connect(&mut world, brief);
    for person in [one, other, brief] {
        world.with_actor(person, |actor| actor.subscribe(&[("t", 1 | 4), ("u", 1 | 4)], 0));
        world.pass(1);
    }
    assert_eq!([one, other, brief].map(|person| got(&mut world, person)), [1, 2, 1]);
    world.check(true);
    world.expect_right();
}

/// What a queue gave is gone from the store before it leaves [MQTT5-4.3.1-1].
#[test]
fn what_is_sent_at_most_once_is_not_sent_again_after_a_crash() {
    let mut world = world_with(Options { queue_qos0: true, ..Options::DEFAULT });
    let one = actor(&mut world, "one");
    let slow = Manner { window: 1, holds_percent: 100, ..Manner::PLAIN };
    let other = actor_with(&mut world, "other", slow);
    connect(&mut world, one);
    connect(&mut world, other);
    subscribe(&mut world, other, 1);
    world.cut(other, false);
    world.pass(1);
    for (number, qos) in [(1, 1), (2, 1), (3, 0), (4, 0)] {
        publish(&mut world, one, qos, &format!("m{number}."));
    }
    world.pass(1);
    connect(&mut world, other);
    assert_eq!(got(&mut world, other), 1, "the others wait behind it");
    world.with_actor(other, |actor| actor.acknowledge(1));
    world.settle();
    assert_eq!(got(&mut world, other), 4);
    crash(&mut world);
    connect(&mut world, other);
    for _ in 0..3 {
        world.with_actor(other, |actor| actor.acknowledge(9));
        world.pass(10);
    }
    let again = got(&mut world, other) - 4;
    assert!((1..=2).contains(&again), "m2 was not acknowledged, and perhaps m1: {again}");
    world.expect_right();
}

/// A message at QoS 1 that was not kept is not the subscriber's either, as long as it can be
/// helped.
#[test]
fn what_is_refused_reaches_nobody_later() {
    let mut world = world();
    let one = actor(&mut world, "one");
    let away = actor(&mut world, "away");
    connect(&mut world, one);
    connect(&mut world, away);
    subscribe(&mut world, away, 1);
    world.cut(away, false);
    world.pass(1);
    world.store_ms = (500, 500);
    publish(&mut world, one, 1, "m1.");
    publish(&mut world, one, 2, "m2.");
    world.fail_store(100);
    world.store_ms = (0, 0);
    world.pass(1_000);
    assert_eq!(world.with_actor(one, |actor| actor.unsettled()), 0, "it was told");
    publish(&mut world, one, 1, "m3.");
    connect(&mut world, away);
    assert_eq!(got(&mut world, away), 1);
    assert_eq!(world.broker.counters().dropped_memory, 2);
    world.expect_right();
}

/// [MQTT5-3.3.2-5]
#[test]
fn what_expires_while_connack_waits_for_the_store_is_not_sent() {
    let mut world = world();
    let one = actor(&mut world, "one");
    let other = actor(&mut world, "other");
    connect(&mut world, one);
    connect(&mut world, other);
    subscribe(&mut world, other, 0);
    world.cut(other, false);
    world.pass(1);
    world.store_ms = (2_000, 2_000);
    assert!(world.open(other));
    world.with_actor(other, |actor| actor.connect(false, 3_600, None));
    world.pass(500);
    assert!(!world.is_connected(other));
    for (number, secs) in [(1, Some(1)), (2, None), (3, Some(10))] {
        let props = secs.map_or(Props::NONE, |secs| Props::NONE.with(id::MESSAGE_EXPIRY, secs));
        let payload = format!("m{number}.").into_bytes();
        let publish = Publish { topic: b"t".to_vec(), props, payload, ..Publish::default() };
        world.with_actor(one, |actor| actor.publish(publish));
        world.pass(1);
    }
    world.pass(3_000);
    assert!(world.is_connected(other));
    assert_eq!(got(&mut world, other), 2);
    assert_eq!(world.broker.counters().dropped_expired, 1);
    world.expect_right();
}

fn message(topic: &str, payload: &str) -> Publish {
    let (topic, payload) = (topic.as_bytes().to_vec(), payload.as_bytes().to_vec());
    Publish { qos: 1, topic, payload, ..Publish::default() }
}

/// What came the usual way is passed by, though the store is told everything anew meanwhile, and
/// after that is where it comes from.
#[test]
fn what_is_retained_comes_once_though_the_store_fails_meanwhile() {
    let mut world = world();
    let one = actor(&mut world, "one");
    let slow = Manner { window: 1, holds_percent: 100, ..Manner::PLAIN };
    let other = actor_with(&mut world, "other", slow);
    connect(&mut world, one);
    connect(&mut world, other);
    let retain = |world: &mut World<Heap>, topic, payload| {
        let publish = Publish { retain: true, ..message(topic, payload) };
        world.with_actor(one, |actor| actor.publish(publish));
        world.pass(1);
    };
    for (topic, payload) in [("r/1", "m1."), ("r/2", "m2."), ("r/3", "m3.")] {
        retain(&mut world, topic, payload);
    }
    subscribe_to(&mut world, other, "r/#", 1);
    assert_eq!(got(&mut world, other), 1, "the window is full");
    retain(&mut world, "r/3", "m4."); // on its way, and retained
    world.fail_store(10);
    world.pass(20);
    world.with_actor(other, |actor| actor.acknowledge(1));
    world.pass(1);
    assert_eq!(got(&mut world, other), 2);
    retain(&mut world, "u", "m5."); // an acknowledgement waits for such company
    crash(&mut world);
    connect(&mut world, other);
    for _ in 0..9 {
        world.with_actor(other, |actor| actor.acknowledge(9));
        world.pass(10);
    }
    assert_eq!(got(&mut world, other), 4, "m4 was not acknowledged before the crash");
    world.check(true);
    world.expect_right();
}

/// A member that a crash forgets has not acknowledged a message: from when on a member is
/// remembered, the message is.
#[test]
fn what_a_passing_member_has_is_the_groups_once_another_member_stays() {
    let mut world = world();
    let one = actor(&mut world, "one");
    let brief = actor_with(&mut world, "brief", Manner { holds_percent: 100, ..Manner::PLAIN });
    let other = actor(&mut world, "other");
    connect(&mut world, one);
    pass_by(&mut world, brief, None);
    connect(&mut world, other);
    let join = |world: &mut World<Heap>, person| {
        subscribe_to(world, person, "$share/g/t", 1);
    };
    join(&mut world, brief);
    publish(&mut world, one, 1, "m1.");
    assert_eq!(got(&mut world, brief), 1);
    join(&mut world, other);
    crash(&mut world);
    connect(&mut world, other);
    assert_eq!(got(&mut world, other), 1);
    world.check(true);
    world.expect_right();
}

/// At QoS 0 a message of a group does not wait behind what waits for a member's window: there it
/// would be lost with the connection.
#[test]
fn what_a_group_gives_at_most_once_goes_past_a_window_that_is_full() {
    let mut world = world();
    let one = actor(&mut world, "one");
    let slow = Manner { window: 1, holds_percent: 100, ..Manner::PLAIN };
    let busy = actor_with(&mut world, "busy", slow);
    let other = actor_with(&mut world, "other", slow);
    for person in [one, busy, other] {
        connect(&mut world, person);
    }
    world.with_actor(busy, |actor| actor.subscribe(&[("$share/g/t", 1)], 0));
    subscribe_to(&mut world, other, "u", 1);
    for payload in ["m1.", "m2."] {
        world.with_actor(one, |actor| actor.publish(message("u", payload)));
    }
    for payload in ["m3.", "m4."] {
        publish(&mut world, one, 1, payload);
    }
    assert_eq!([busy, other].map(|person| got(&mut world, person)), [1, 1], "both are full");
    subscribe_to(&mut world, other, "$share/g/t", 0);
    assert_eq!(got(&mut world, other), 2);
    world.check(true);
    world.expect_right();
}

/// A message of a group is settled if it is too large for the member that was chosen, whoever else
/// could take it [MQTT5-3.1.2-25].
#[test]
fn what_is_too_large_for_the_member_that_was_chosen_is_settled() {
    let mut world = world();
    let one = actor(&mut world, "one");
    let small = actor_with(&mut world, "small", Manner { max_packet: 300, ..Manner::PLAIN });
    let other = actor(&mut world, "other");
    for person in [one, small, other] {
        connect(&mut world, person);
    }
    let filter = "$share/g/t";
    subscribe_to(&mut world, small, filter, 1);
    publish(&mut world, one, 1, &format!("m1{}", ".".repeat(400)));
    world.with_actor(other, |actor| actor.subscribe(&[(filter, 1)], 0));
    world.with_actor(small, |actor| actor.unsubscribe(filter));
    world.pass(1);
    publish(&mut world, one, 1, "m2.");
    assert_eq!([small, other].map(|person| got(&mut world, person)), [0, 1]);
    assert_eq!(world.broker.counters().dropped_too_large, 1);
    world.check(true);
    world.expect_right();
}

/// A message that comes again after its connection was lost is retained anew, and so goes to those
/// that were sent another one meanwhile.
#[test]
fn what_is_published_again_is_retained_again() {
    let mut world = world();
    let one = actor(&mut world, "one");
    let two = actor(&mut world, "two");
    let other = actor(&mut world, "other");
    for person in [one, two, other] {
        connect(&mut world, person);
    }
    subscribe_to(&mut world, other, "t", 1);
    world.store_ms = (50, 50);
    let retain = |payload| Publish { retain: true, ..message("t", payload) };
    world.with_actor(one, |actor| actor.publish(retain("m1.")));
    world.pass(1);
    world.cut(one, false); // before it was acknowledged
    world.with_actor(two, |actor| actor.publish(retain("m2.")));
    world.pass(100);
    connect_later(&mut world, one);
    assert_eq!(got(&mut world, other), 3);
    world.with_actor(other, |actor| actor.subscribe(&[("t", 1)], 0));
    world.pass(100);
    assert_eq!(got(&mut world, other), 4);
    world.check(true);
    world.expect_right();
}

fn connect_later(world: &mut World<Heap>, person: usize) {
    assert!(world.open(person));
    world.with_actor(person, |actor| actor.connect(false, 3_600, None));
    world.pass(200);
    assert!(world.is_connected(person));
}

/// A session that ends with its connection is no member any more when its will is published after
/// a crash.
#[test]
fn the_will_of_a_member_that_a_crash_forgets_is_not_for_that_member() {
    let mut world = world();
    let brief = actor(&mut world, "brief");
    let other = actor(&mut world, "other");
    connect(&mut world, other);
    let (topic, payload) = (b"t".to_vec(), b"m1.".to_vec());
    let will = Will { qos: 1, topic, payload, ..Will::default() };
    pass_by(&mut world, brief, Some(will));
    for (person, qos) in [(brief, 1), (other, 0)] {
        subscribe_to(&mut world, person, "$share/g/t", qos);
    }
    crash(&mut world);
    connect(&mut world, other);
    assert_eq!(world.broker.counters().dropped_qos0, 1, "nobody else was there");
    world.check(true);
    world.expect_right();
}

/// What is retained goes by the subscription as it is by then [MQTT5-3.8.3-3].
#[test]
fn no_local_counts_for_what_is_retained_and_was_not_sent_yet() {
    let mut world = world();
    let slow = Manner { window: 1, holds_percent: 100, ..Manner::PLAIN };
    let one = actor_with(&mut world, "one", slow);
    connect(&mut world, one);
    for topic in ["r/1", "r/2"] {
        let publish = Publish { retain: true, ..message(topic, &format!("m{}.", &topic[2..])) };
        world.with_actor(one, |actor| actor.publish(publish));
        world.pass(1);
    }
    for options in [1, 1 | 4 | 1 << 4] {
        subscribe_to(&mut world, one, "r/#", options);
    }
    world.with_actor(one, |actor| actor.acknowledge(1));
    world.pass(1);
    assert_eq!(got(&mut world, one), 1);
    world.check(true);
    world.expect_right();
}

/// A subscription that is made anew while what is retained was not sent yet gets it once, from
/// there on.
#[test]
fn what_is_retained_comes_once_for_a_subscription_that_is_made_twice() {
    let mut world = world();
    let slow = Manner { window: 1, holds_percent: 100, ..Manner::PLAIN };
    let one = actor_with(&mut world, "one", slow);
    connect(&mut world, one);
    for topic in ["r/1", "r/2"] {
        let publish = Publish { retain: true, ..message(topic, &format!("m{}.", &topic[2..])) };
        world.with_actor(one, |actor| actor.publish(publish));
        world.pass(1);
    }
    for _ in 0..2 {
        subscribe_to(&mut world, one, "r/#", 1);
    }
    for _ in 0..5 {
        world.with_actor(one, |actor| actor.acknowledge(1));
        world.pass(1);
    }
    assert_eq!(got(&mut world, one), 3, "r/1 twice, r/2 once");
    world.check(true);
    world.expect_right();
}

/// What a passing member has is the group's, also when the store is told everything anew; and
/// nothing else of a session that ends with its connection is told.
#[test]
fn what_a_passing_member_has_is_told_to_a_new_store_once() {
    let mut world = world();
    let one = actor(&mut world, "one");
    let brief = actor_with(&mut world, "brief", Manner { holds_percent: 100, ..Manner::PLAIN });
    let other = actor(&mut world, "other");
    connect(&mut world, one);
    connect(&mut world, other);
    let (topic, payload) = (b"u".to_vec(), b"m9.".to_vec());
    let will = Will { topic, payload, ..Will::default() };
    pass_by(&mut world, brief, Some(will));
    subscribe_to(&mut world, brief, "$share/g/t", 1);
    publish(&mut world, one, 1, "m1.");
    assert_eq!(got(&mut world, brief), 1);
    subscribe_to(&mut world, other, "$share/g/t", 1);
    world.fail_store(10);
    world.pass(20);
    crash(&mut world);
    connect(&mut world, other);
    assert_eq!(got(&mut world, other), 1);
    world.check(true);
    world.expect_right();
}

/// A member that is recorded only later takes what it has of the group along: the store knows it
/// once.
#[test]
fn what_a_member_has_is_recorded_with_it_from_when_on_it_is_recorded() {
    let mut world = world();
    let durable = world.options;
    let [one, late, other] = ["one", "late", "other"].map(|name| {
        let holds_percent = if name == "late" { 100 } else { 0 };
        actor_with(&mut world, name, Manner { holds_percent, ..Manner::PLAIN })
    });
    let join = |world: &mut World<Heap>, person| {
        connect(world, person);
        subscribe_to(world, person, "$share/g/t", 1);
    };
    connect(&mut world, one);
    join(&mut world, other);
    world.cut(other, false);
    world.pass(1);
    world.broker.set_options(&Options { durability: Durability::Memory, ..durable });
    join(&mut world, late);
    world.broker.set_options(&durable);
    publish(&mut world, one, 1, "m1.");
    world.cut(late, false);
    world.pass(1);
    connect(&mut world, late);
    assert_eq!(got(&mut world, late), 2, "sent again, and not acknowledged");
    let kept = store::compact(&world.store.log);
    let queued = kept.iter().filter(|bytes| matches!(store::read(bytes), Record::Queued { .. }));
    assert_eq!(queued.count(), 1);
}
