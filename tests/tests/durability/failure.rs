//! The store fails: what clients hear, what waits, and that service goes on afterwards.

use tamtam_core::{Heap, QoS, ReasonCode, Version};

use crate::client::State;
use crate::world::World;
use tamtam_tests::broker::store::Manner;

const ONE: QoS = QoS::AtLeastOnce;
const TWO: QoS = QoS::ExactlyOnce;
const NEVER: usize = usize::MAX;

/// A store that keeps nothing, from the moment on when everybody is there.
fn world() -> World<Heap> {
    let mut world = World::new(Manner::default(), None);
    for (name, version) in [
        ("five", Version::V5),
        ("three", Version::V311),
        ("sub", Version::V5),
        ("away", Version::V5),
    ] {
        let at = world.add(name, version, u32::MAX);
        world.connect(at);
        if at > 1 {
            world.clients[at].subscribe("a/#", TWO);
        }
    }
    world.settle();
    world.cut(3);
    world.settle();
    world.store.manner.lag = NEVER;
    world
}

fn states(world: &World<Heap>, at: usize) -> Vec<State> {
    world.clients[at].out.iter().map(|out| out.state).collect()
}

fn fail(world: &mut World<Heap>) {
    world.fail();
    world.stays_away();
}

#[test]
fn publishers_of_mqtt_5_are_told_and_older_ones_are_disconnected() {
    let mut world = world();
    for at in [0, 1] {
        world.publish(at, "a/b", &format!("{at}:one"), ONE, false);
        world.publish(at, "a/b", &format!("{at}:two"), TWO, false);
    }
    world.turns(3);
    assert_eq!(states(&world, 0), [State::Sent, State::Sent]);
    assert_eq!(states(&world, 1), [State::Sent, State::Sent]);
    fail(&mut world);
    world.clients[1].wants = false;
    world.turns(3);
    assert_eq!(states(&world, 0), [State::Refused, State::Refused]);
    assert_eq!(world.clients[0].last_refusal, Some(ReasonCode::QuotaExceeded));
    assert_eq!(states(&world, 1), [State::Sent, State::Sent]);
    assert!(world.clients[1].link.is_none(), "it is still connected");
    // Exactly-once copies are withdrawn; the others may have left.
    assert!(world.clients[2].got.iter().all(|got| got.qos == ONE));

    // What comes now is refused at once; nothing is recorded.
    world.publish(0, "a/b", "0:three", TWO, false);
    world.turns(2);
    assert_eq!(states(&world, 0)[2], State::Refused);
    assert!(world.broker.take_records(true).is_none());

    world.store.manner.lag = 0;
    world.reopen();
    world.settle();
    world.publish(0, "a/b", "0:four", TWO, false);
    world.finish(); // "three" repeats, and is taken
    assert_eq!(states(&world, 1), [State::Accepted, State::Accepted]);
    world.crash_now(0);
    world.finish();
}

#[test]
fn what_else_waited_is_held_back_until_the_store_is_there_again() {
    let mut world = world();
    // One exchange on its way in each direction, past its PUBREC.
    world.store.manner.lag = 0;
    world.clients[0].ids = 1;
    world.clients[2].acks = Some(1);
    world.publish(0, "a/b", "early", TWO, false);
    world.turns(1);
    world.store.manner.lag = NEVER;
    world.clients[2].ack_all();
    world.turns(4);
    assert_eq!(states(&world, 0), [State::Released]);
    world.connect(3);
    world.clients[2].subscribe("b/#", ONE);
    world.turns(2);
    fail(&mut world);
    world.turns(4);
    assert_eq!(states(&world, 0), [State::Released], "PUBCOMP");
    assert_eq!(world.clients[2].incoming.len(), 1, "PUBREL");
    assert!(!world.clients[3].connected, "CONNACK");
    assert_eq!(world.clients[2].wishes[1].granted, 0, "SUBACK");
    let newcomer = world.add("newcomer", Version::V5, 100);
    world.connect(newcomer);
    world.turns(3);
    assert!(!world.clients[newcomer].connected, "CONNACK of a new session");

    world.store.manner.lag = 0;
    world.reopen();
    world.settle();
    assert_eq!(states(&world, 0), [State::Accepted]);
    assert!(world.clients[2].incoming.is_empty());
    assert!(world.clients[3].connected && world.clients[newcomer].connected);
    assert_ne!(world.clients[2].wishes[1].granted, 0);
    world.crash_now(0);
    world.finish();
    world.check_retained();
}

#[test]
fn a_failure_loses_no_message_that_was_kept() {
    for crashes in [false, true] {
        let mut world = world();
        world.clients[2].window = 1;
        world.clients[2].acks = Some(1);
        world.close(2);
        world.store.manner.lag = 0;
        world.settle();
        world.publish(0, "a/b", "one", TWO, false);
        world.publish(0, "a/b", "two", TWO, false);
        world.turns(10);
        assert_eq!(states(&world, 0), [State::Accepted, State::Accepted]);
        // PUBCOMP opens the window: "two" waits for the record of its packet identifier alone.
        world.store.manner.lag = NEVER;
        world.clients[2].ack_all();
        world.turns(3);
        fail(&mut world);
        world.turns(3);
        assert_eq!(world.clients[2].got.len(), 1, "it left without a record");
        world.store.manner.lag = 0;
        if crashes {
            world.crash_now(0);
        } else {
            world.reopen();
        }
        world.finish();
    }
}

#[test]
fn a_publisher_that_is_gone_when_the_store_fails_begins_anew() {
    for version in [Version::V311, Version::V5] {
        let mut world = world();
        world.clients[0].version = version;
        world.store.manner.lag = 0;
        world.close(0);
        world.settle();
        world.store.manner.lag = NEVER;
        world.publish(0, "a/b", "one", TWO, false);
        world.turns(1);
        world.cut(0);
        world.turns(1);
        fail(&mut world);
        world.store.manner.lag = 0;
        world.reopen();
        world.settle();
        world.finish();
        assert_eq!(states(&world, 0), [State::Accepted]);
    }
}

#[test]
fn a_release_waits_for_its_record_and_for_no_window() {
    let mut world = world();
    world.store.manner.lag = 0;
    world.clients[2].window = 2;
    world.clients[2].acks = Some(0);
    world.close(2);
    world.settle();
    world.publish(0, "a/b", "one", ONE, false);
    world.publish(0, "a/b", "two", TWO, false);
    world.turns(10);
    world.clients[2].ack_last(); // PUBREC, but no PUBACK
    world.store.manner.lag = 6;
    world.turns(1);
    world.clients[2].window = 1;
    world.take_over(2);
    world.turns(30);
    world.finish();
}

#[test]
fn copies_wait_though_neither_end_of_them_is_recorded() {
    let mut world = world();
    world.store.manner.lag = 0;
    let publisher = world.add("guest", Version::V5, 0);
    let subscriber = world.add("visitor", Version::V5, 0);
    world.clients[subscriber].subscribe("a/#", TWO);
    world.connect(publisher);
    world.connect(subscriber);
    world.settle();
    world.store.manner.lag = NEVER;
    world.publish(publisher, "a/b", "one", TWO, false); // to one that is recorded, too
    world.publish(publisher, "a/c", "two", TWO, true);
    world.turns(3);
    assert!(world.clients[subscriber].got.is_empty());
    fail(&mut world);
    world.turns(3);
    assert_eq!(states(&world, publisher), [State::Refused, State::Refused]);
    assert!(world.clients[subscriber].got.is_empty());
    world.store.manner.lag = 0;
    world.reopen();
    world.finish();
}

#[test]
fn tickets_that_are_reported_early_wait_for_those_before_them() {
    let mut world = world();
    world.store.manner.reorders = true;
    world.publish(0, "a/b", "one", ONE, false);
    world.turn();
    world.publish(1, "a/b", "two", ONE, false);
    world.turn();
    world.store.manner.lag = 0;
    world.store.age();
    let (second, first) = (world.store.report(), world.store.report());
    world.broker.handle_persisted(second.expect("a ticket"), world.now);
    assert_eq!(world.broker.next_writable(), None, "the first is not kept");
    world.broker.handle_persisted(first.expect("a ticket"), world.now);
    world.turns(2);
    assert_eq!(states(&world, 0), [State::Accepted]);
    assert_eq!(states(&world, 1), [State::Accepted]);
}

#[test]
fn an_older_client_hears_nothing_good_while_the_store_is_away() {
    for (qos, expiry) in [(ONE, u32::MAX), (TWO, u32::MAX), (ONE, 0), (TWO, 0)] {
        let mut world = world();
        world.store.manner.lag = 0;
        let old = world.add("old", Version::V311, expiry);
        world.connect(old);
        world.settle();
        fail(&mut world);
        world.publish(old, "a/b", "one", qos, false);
        world.clients[old].put_all();
        world.clients[old].wants = false;
        world.turns(3);
        assert!(world.clients[old].link.is_none(), "it is still connected");
        assert_eq!(states(&world, old), [State::Sent]);
        world.reopen();
        world.finish();
    }
}
