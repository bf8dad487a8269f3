//! What is left when all is over, and what there is without a store.

use tamtam_core::broker::{Broker, Options};
use tamtam_core::{Heap, QoS, ReasonCode, Storage, Version};

use crate::client::{State, WillSpec};
use crate::stories::Small;
use crate::world::{OPTIONS, World};
use tamtam_tests::broker::store::Manner;

const TWO: QoS = QoS::ExactlyOnce;

fn busy<S: Storage>(world: &mut World<S>) {
    let publisher = world.add("pub", Version::V5, 500);
    let subscriber = world.add("sub", Version::V5, 500);
    let owner = world.add("owner", Version::V311, u32::MAX);
    world.clients[subscriber].subscribe("a/#", TWO);
    world.clients[subscriber].subscribe("a/b", TWO);
    world.clients[subscriber].subscribe("$share/g/a/b", TWO);
    let will = WillSpec { topic: "a/will", qos: TWO, retain: true, delay_secs: 5 };
    world.clients[owner].will = Some(will);
    for at in [publisher, subscriber, owner] {
        world.connect(at);
    }
    world.turns(2);
    for number in 0..8 {
        let qos = if number % 2 == 0 { TWO } else { QoS::AtLeastOnce };
        world.publish(publisher, "a/b", &format!("{number}"), qos, number > 5);
        world.turns(1);
        match number {
            2 => world.close(subscriber),
            3 => world.take_over(publisher),
            4 => world.close(owner),
            5 => world.cut(subscriber),
            _ => {}
        }
    }
    world.clients[subscriber].acks = Some(3);
    world.connect(subscriber);
    world.settle();
    world.clients[subscriber].ack_all();
    world.clients[publisher].publish("a/b", "", TWO, true);
    world.clients[publisher].publish("a/will", "", TWO, true);
    world.settle();
}

fn settled<S: Storage>(lag: usize) {
    let mut world: World<S> = World::new(Manner { lag, ..Manner::default() }, None);
    busy(&mut world);
    for at in 0..world.clients.len() {
        let end = (world.clients[at].version == Version::V5).then_some(0);
        world.disconnect(at, ReasonCode::NORMAL_DISCONNECTION, end);
        world.clients[at].clean = true;
    }
    // MQTT 3 ends a session by beginning and ending another.
    world.clients[2].begin_anew(0);
    world.connect(2);
    world.settle();
    world.disconnect(2, ReasonCode::NORMAL_DISCONNECTION, None);
    world.settle();
    assert_eq!(world.broker.session_count(), 0);
    assert_eq!(world.broker.subscription_count(), 0);
    assert_eq!(world.broker.retained_count(), 0);
    assert_eq!(world.broker.kept(), (0, 0));
    let snapshot = world.snapshot();
    assert_eq!(snapshot, [[0]]);
    // And so it is after a restart from all that was ever kept.
    world.everything();
    world.crash_now(0);
    assert_eq!(world.broker.session_count(), 0);
    assert_eq!(world.broker.kept(), (0, 0));
    assert_eq!(world.snapshot(), [[0]]);
}

#[test]
fn nothing_is_left_when_all_sessions_have_ended() {
    for lag in [0, 2] {
        settled::<Heap>(lag);
        settled::<Small>(lag);
    }
}

#[test]
fn a_log_of_many_messages_is_taken_back() {
    let mut world: World<Small> = World::new(Manner::default(), None);
    let publisher = world.add("pub", Version::V311, u32::MAX);
    let subscriber = world.add("sub", Version::V311, u32::MAX);
    world.clients[subscriber].subscribe("a/#", TWO);
    world.connect(publisher);
    world.connect(subscriber);
    world.settle();
    for round in 0..40 {
        for number in 0..8 {
            world.publish(publisher, "a/b", &format!("{round}:{number}"), TWO, false);
        }
        // A guest comes and goes.
        let guest = world.add(&format!("guest{round}"), Version::V5, 10);
        world.connect(guest);
        world.settle();
        world.disconnect(guest, ReasonCode::NORMAL_DISCONNECTION, Some(0));
        world.settle();
        world.clients.pop();
    }
    world.everything();
    world.crash_now(0); // would not fit if what ended were kept
    world.publish(publisher, "a/b", "last", TWO, false);
    world.finish();
}

#[test]
fn without_a_store_there_is_no_ticket() {
    let mut world: World<Heap> = World::new(Manner::default(), None);
    world.options = Options { store: false, ..OPTIONS };
    *world.broker = Broker::new();
    world.broker.start(&world.options, 7);
    busy(&mut world);
    assert!(world.broker.take_records(true).is_none());
    world.broker.records();
    assert!(world.broker.take_records(true).is_none());
    world.broker.handle_persist_failed(world.now);
    world.publish(0, "a/b", "more", TWO, false);
    world.settle();
    assert!(world.clients[0].out.iter().all(|out| out.state == State::Accepted));
    assert!(world.store.log.is_empty());
    for payload in ["0", "1", "2", "3", "4", "5", "6", "7", "more"] {
        let got = world.clients[1].got.iter().filter(|got| got.payload == payload);
        let (count, once) = (got.clone().count(), got.clone().all(|got| got.qos == TWO));
        assert!(count == 2 || count > 2 && !once, "{payload}: by itself, and of the group");
    }
}

#[test]
fn copies_of_what_changes_nothing_do_not_wait() {
    let mut world: World<Heap> = World::new(Manner::default(), None);
    for (name, version) in [("pub", Version::V5), ("sub", Version::V311)] {
        let at = world.add(name, version, 0);
        world.clients[at].subscribe("a/#", TWO);
        world.connect(at);
    }
    world.clients[1].subscribe("$share/g/a/b", TWO);
    world.settle();
    world.publish(0, "a/b", "", TWO, true); // there is nothing to forget
    world.publish(0, "a/b", "one", TWO, false);
    world.settle();
    assert_eq!(world.clients[1].got.len(), 4);
    assert!(world.store.log.is_empty());
}

/// A publisher, and a subscriber that is away.
fn away<S: Storage>(lag: usize) -> World<S> {
    let mut world: World<S> = World::new(Manner { lag, ..Manner::default() }, None);
    world.add("pub", Version::V5, u32::MAX);
    world.add("sub", Version::V5, u32::MAX);
    world.clients[1].subscribe("a/#", TWO);
    world.connect(0);
    world.connect(1);
    world.settle();
    world.cut(1);
    world
}

#[test]
fn input_waits_while_there_are_too_many_records() {
    let mut world: World<Small> = away(6);
    for number in 0..40 {
        world.publish(0, "a/b", &format!("{number}:{}", "x".repeat(100)), TWO, false);
    }
    world.turn();
    assert!(!world.clients[0].up.is_empty(), "it takes everything at once");
    world.finish();
    assert!(world.clients[0].out.iter().all(|out| out.state == State::Accepted));
}

tamtam_core::fixed! {
    /// A broker with next to no memory for records.
    struct Tiny {
        out: 2048,
        in_flight: 64,
        aliases: 256,
        links: 4,
        sessions: 4,
        subscriptions: 4,
        levels: 16,
        level_bytes: 256,
        bodies: 16,
        body_bytes: 4096,
        names: 64,
        queue: 64,
        journal: 700,
    }
}

#[test]
fn what_does_not_fit_into_the_memory_for_records_is_refused() {
    let mut world: World<Tiny> = away(2);
    world.publish(0, "a/b", "before", TWO, false);
    world.turn();
    world.publish(0, "a/b", &"x".repeat(900), TWO, false);
    world.publish(0, "a/b", "behind", TWO, false);
    world.settle();
    let states: Vec<_> = world.clients[0].out.iter().map(|out| out.state).collect();
    assert_eq!(states[..2], [State::Accepted, State::Refused]);
    world.publish(0, "a/b", "after", TWO, false);
    world.settle();
    assert_eq!(world.clients[0].out[3].state, State::Accepted);
    world.crash_now(0);
    world.finish();
}

#[test]
fn more_than_a_broker_can_remember_is_not_doubled() {
    let mut world: World<Heap> = World::new(Manner { lag: 3, ..Manner::default() }, None);
    let publisher = world.add("pub", Version::V311, u32::MAX);
    let subscriber = world.add("sub", Version::V311, u32::MAX);
    world.clients[subscriber].subscribe("a/#", TWO);
    world.clients[publisher].ids = 70;
    world.connect(publisher);
    world.connect(subscriber);
    world.settle();
    for number in 0..70 {
        world.publish(publisher, "a/b", &format!("{number}"), TWO, false);
    }
    world.finish();
}
