//! Stories, each told with a crash before every call of the host's and with every number of tickets
//! that may survive it.

use tamtam_core::{Heap, QoS, ReasonCode, Storage, Version};

use crate::client::{State, WillSpec};
use crate::world::{Crash, World};
use tamtam_tests::broker::store::Manner;

tamtam_core::fixed! {
    /// A broker for a handful of clients.
    pub(crate) struct Small {
        out: 2048,
        in_flight: 64,
        aliases: 256,
        links: 8,
        sessions: 8,
        subscriptions: 16,
        levels: 64,
        level_bytes: 1024,
        bodies: 64,
        body_bytes: 8192,
        names: 512,
        queue: 64,
        journal: 8192,
        rules: 4,
        rule_bytes: 1024,
    }
}

const ONE: QoS = QoS::AtLeastOnce;
const TWO: QoS = QoS::ExactlyOnce;
const FOREVER: u32 = u32::MAX;
const V3: Version = Version::V311;
const V5: Version = Version::V5;

pub(crate) const MANNERS: [Manner; 3] = [
    Manner { lag: 0, reorders: false, by_key: false, power: false },
    Manner { lag: 2, reorders: false, by_key: true, power: false },
    Manner { lag: 3, reorders: true, by_key: false, power: false },
];

/// Tells a story with every crash; how many there were.
pub(crate) fn tell<S: Storage>(name: &str, manners: &[Manner], story: fn(&mut World<S>)) -> usize {
    let mut points = 0;
    for &manner in manners {
        let mut calm = World::new(manner, None);
        story(&mut calm);
        let mut call = 1;
        while call <= calm.calls {
            let mut extra = 0;
            loop {
                let crash = Crash { call, extra, store_only: false };
                let open = std::panic::catch_unwind(|| {
                    let mut world = World::new(manner, Some(crash));
                    story(&mut world);
                    world.open_at_crash
                });
                let Ok(open) = open else { panic!("{name}: {manner:?} {crash:?}") };
                points += 1;
                extra += 1;
                if extra > open {
                    break;
                }
            }
            call += 1;
        }
    }
    println!("{name}: {points} crash points on {}", std::any::type_name::<S>());
    points
}

/// Tells a story with the store failing before every call; how often.
pub(crate) fn tell_failing(name: &str, story: fn(&mut World<Heap>)) -> usize {
    let mut points = 0;
    for manner in MANNERS {
        let mut calm = World::new(manner, None);
        story(&mut calm);
        for call in 1..=calm.calls {
            let crash = Crash { call, extra: 0, store_only: true };
            let told = std::panic::catch_unwind(|| {
                story(&mut World::new(manner, Some(crash)));
            });
            assert!(told.is_ok(), "{name}: {manner:?} {crash:?}");
            points += 1;
        }
    }
    println!("{name}: {points} failures of the store");
    points
}

pub(crate) fn all(name: &str, heap: fn(&mut World<Heap>), fixed: fn(&mut World<Small>)) {
    let crashes = tell(name, &MANNERS, heap) + tell(name, &MANNERS[1..2], fixed);
    assert!(crashes + tell_failing(name, heap) > 100);
}

/// A test for each story of the module `story`, told by a function such as [`all`].
macro_rules! stories {
    ($all:ident: $($name:ident),* $(,)?) => { $(
        #[test]
        fn $name() {
            $all(stringify!($name), story::$name::<Heap>, story::$name::<Small>);
        }
    )* };
}
pub(crate) use stories;

stories! {
    all:
    at_least_once_to_a_subscriber_that_is_there,
    exactly_once_to_a_subscriber_that_is_there,
    messages_for_a_subscriber_that_is_away,
    a_subscriber_acknowledges_some,
    a_small_window,
    retained_messages,
    retained_messages_bit_by_bit,
    an_immediate_will,
    a_will_said_goodbye,
    a_delayed_will,
    the_will_of_a_session_that_ends_with_its_connection,
    subscribing_and_unsubscribing,
    a_clean_start,
    a_session_expires,
    a_takeover,
    disconnect_with_another_expiry,
    a_shared_group,
    identifiers_are_used_again,
    the_identifier_of_a_refused_message_is_free,
}

mod story {
    use super::*;

    /// A publisher and a subscriber of `a/#`.
    fn pair<S: Storage>(world: &mut World<S>, version: Version, qos: QoS) -> (usize, usize) {
        let publisher = world.add("pub", version, FOREVER);
        let subscriber = world.add("sub", version, FOREVER);
        world.clients[subscriber].subscribe("a/#", qos);
        world.connect(publisher);
        world.connect(subscriber);
        (publisher, subscriber)
    }

    fn publish<S: Storage>(world: &mut World<S>, at: usize, count: usize, qos: QoS, turns: usize) {
        for number in 0..count {
            let total = world.clients[at].out.len();
            let payload = format!("{}:{total}", world.clients[at].name);
            world.publish(at, if number % 2 == 0 { "a/b" } else { "a/c" }, &payload, qos, false);
            world.turns(turns);
        }
    }

    pub(super) fn at_least_once_to_a_subscriber_that_is_there<S: Storage>(w: &mut World<S>) {
        let (publisher, _) = pair(w, V3, ONE);
        w.settle();
        publish(w, publisher, 4, ONE, 1);
        w.finish();
    }

    pub(super) fn exactly_once_to_a_subscriber_that_is_there<S: Storage>(w: &mut World<S>) {
        let (publisher, _) = pair(w, V5, TWO);
        let gone = w.add("clean", V5, 0);
        w.clients[gone].subscribe("a/b", TWO);
        w.connect(gone);
        w.settle();
        publish(w, publisher, 4, TWO, 1);
        publish(w, publisher, 1, ONE, 0);
        publish(w, publisher, 1, TWO, 1);
        w.finish();
    }

    pub(super) fn messages_for_a_subscriber_that_is_away<S: Storage>(w: &mut World<S>) {
        let (publisher, subscriber) = pair(w, V5, TWO);
        w.settle();
        w.cut(subscriber);
        publish(w, publisher, 2, ONE, 0);
        publish(w, publisher, 2, TWO, 1);
        publish(w, publisher, 2, ONE, 1);
        w.connect(subscriber);
        w.turns(3);
        w.cut(subscriber);
        publish(w, publisher, 2, TWO, 0);
        w.finish();
    }

    pub(super) fn a_subscriber_acknowledges_some<S: Storage>(w: &mut World<S>) {
        let (publisher, subscriber) = pair(w, V3, TWO);
        w.clients[subscriber].acks = Some(2);
        w.settle();
        publish(w, publisher, 1, ONE, 1);
        publish(w, publisher, 2, TWO, 1);
        publish(w, publisher, 1, ONE, 0);
        publish(w, publisher, 2, TWO, 4);
        w.cut(subscriber);
        w.clients[subscriber].acks = Some(3);
        w.connect(subscriber);
        w.turns(5);
        w.close(subscriber);
        publish(w, publisher, 2, TWO, 2);
        w.finish();
    }

    pub(super) fn a_small_window<S: Storage>(w: &mut World<S>) {
        let (publisher, subscriber) = pair(w, V5, TWO);
        w.clients[subscriber].window = 1;
        w.settle();
        publish(w, publisher, 3, TWO, 0);
        publish(w, publisher, 2, ONE, 1);
        w.turns(2);
        w.close(subscriber);
        publish(w, publisher, 1, TWO, 0);
        w.finish();
    }

    pub(super) fn retained_messages<S: Storage>(w: &mut World<S>) {
        let (publisher, subscriber) = pair(w, V5, TWO);
        w.settle();
        w.cut(subscriber);
        w.publish(publisher, "a/x", "one", TWO, true);
        w.publish(publisher, "a/y", "two", TWO, true);
        w.turns(1);
        w.publish(publisher, "a/x", "three", TWO, true);
        w.publish(publisher, "a/z", "four", ONE, true);
        w.turns(1);
        w.publish(publisher, "a/y", "", TWO, true);
        w.turns(1);
        w.publish(publisher, "a/z", "", ONE, true);
        w.publish(publisher, "a/z", "five", ONE, true);
        w.finish();
        w.check_retained();
    }

    pub(super) fn retained_messages_bit_by_bit<S: Storage>(w: &mut World<S>) {
        let publisher = w.add("pub", V5, FOREVER);
        w.connect(publisher);
        for (topic, payload) in [("a/1", "one"), ("a/2", "two"), ("a/3", "three"), ("a/4", "four")]
        {
            w.publish(publisher, topic, payload, TWO, true);
        }
        w.settle();
        let subscriber = w.add("sub", V5, FOREVER);
        w.clients[subscriber].subscribe("a/#", TWO);
        (w.clients[subscriber].window, w.clients[subscriber].acks) = (1, Some(2));
        w.connect(subscriber);
        w.turns(6);
        w.close(subscriber);
        w.clients[subscriber].acks = Some(3);
        w.connect(subscriber);
        w.turns(4);
        w.finish();
        w.check_retained();
    }

    fn with_will<S: Storage>(w: &mut World<S>, qos: QoS, expiry: u32, delay_secs: u32) -> usize {
        let owner = w.add("owner", V5, expiry);
        let will = WillSpec { topic: "a/will", qos, retain: true, delay_secs };
        w.clients[owner].will = Some(will);
        owner
    }

    pub(super) fn an_immediate_will<S: Storage>(w: &mut World<S>) {
        let (_, subscriber) = pair(w, V5, TWO);
        w.settle();
        let owner = with_will(w, TWO, FOREVER, 0);
        w.connect(owner);
        w.settle();
        w.close(owner);
        w.turns(2);
        w.cut(subscriber);
        w.cut(owner);
        w.turns(2);
        w.finish();
        check_retained_will(w, owner);
    }

    fn check_retained_will<S: Storage>(w: &mut World<S>, owner: usize) {
        let last = w.clients[owner].wills.iter().rev().find(|run| run.lost != 0 && run.accepted);
        let expected = last.map(|run| ("a/will".to_string(), run.payload.clone()));
        let retained = w.retained();
        // A later one may have come, if it crashed meanwhile.
        assert!(retained.first() >= expected.as_ref(), "{retained:?} {expected:?}");
    }

    pub(super) fn a_will_said_goodbye<S: Storage>(w: &mut World<S>) {
        pair(w, V5, TWO);
        w.settle();
        let owner = with_will(w, ONE, FOREVER, 0);
        w.connect(owner);
        w.settle();
        let was_there = w.clients[owner].connected;
        w.disconnect(owner, ReasonCode::NORMAL_DISCONNECTION, None);
        w.settle();
        let crashed = w.crashes;
        w.crash_now(0);
        if crashed == 0 && was_there {
            let run = w.clients[owner].wills[0].clone();
            w.finish();
            let got = w.clients.iter().flat_map(|client| &client.got);
            assert_eq!(got.filter(|got| got.payload == run.payload).count(), 0);
        } else {
            w.finish();
        }
    }

    pub(super) fn a_delayed_will<S: Storage>(w: &mut World<S>) {
        let (_, subscriber) = pair(w, V5, TWO);
        w.settle();
        let owner = with_will(w, TWO, 100, 10);
        w.connect(owner);
        w.settle();
        w.cut(owner);
        w.turns(2);
        w.sleep(5);
        w.cut(subscriber);
        w.sleep(12); // at most 10 from the crash
        w.sleep(12); // or once more, if that was not kept
        w.connect(subscriber);
        w.settle();
        let of = |client: &crate::client::Client| {
            client.got.iter().filter(|got| got.payload == "will:owner:0" && !got.retain).count()
        };
        let run = &w.clients[owner].wills[0];
        let (accepted, again) = (run.accepted, w.clients[owner].wills.len() > 1);
        let count = of(&w.clients[subscriber]);
        assert!(count == 1 || count == 0 && (!accepted || again), "{count} {accepted} {again}");
        w.finish();
    }

    pub(super) fn the_will_of_a_session_that_ends_with_its_connection<S: Storage>(
        w: &mut World<S>,
    ) {
        let (publisher, subscriber) = pair(w, V3, TWO);
        w.settle();
        w.cut(subscriber);
        let owner = with_will(w, TWO, 0, 0);
        w.connect(owner);
        publish(w, publisher, 2, TWO, 1);
        w.turns(4);
        w.cut(owner);
        w.turns(2);
        w.finish();
        w.close(owner);
        w.settle();
        check_retained_will(w, owner);
    }

    pub(super) fn subscribing_and_unsubscribing<S: Storage>(w: &mut World<S>) {
        let publisher = w.add("pub", V5, FOREVER);
        let subscriber = w.add("sub", V5, FOREVER);
        w.connect(publisher);
        w.connect(subscriber);
        w.clients[subscriber].subscribe("a/b", TWO);
        w.clients[subscriber].subscribe("a/c", ONE);
        w.turns(2);
        publish(w, publisher, 2, TWO, 1);
        w.settle();
        w.clients[subscriber].unsubscribe("a/b");
        publish(w, publisher, 2, TWO, 1);
        w.settle();
        w.cut(subscriber);
        publish(w, publisher, 2, ONE, 1);
        w.finish();
        publish(w, publisher, 2, ONE, 1);
        w.finish();
    }

    pub(super) fn a_clean_start<S: Storage>(w: &mut World<S>) {
        let (publisher, subscriber) = pair(w, V5, TWO);
        w.settle();
        w.cut(subscriber);
        publish(w, publisher, 2, TWO, 1);
        w.settle();
        w.clients[subscriber].begin_anew(0);
        w.connect(subscriber);
        w.settle();
        assert!(!w.clients[subscriber].has_session);
        w.cut(subscriber);
        publish(w, publisher, 2, ONE, 1);
        // There is no session to go on with.
        w.clients[subscriber].expect_none(FOREVER);
        w.connect(subscriber);
        w.settle();
        w.finish();
    }

    pub(super) fn a_session_expires<S: Storage>(w: &mut World<S>) {
        let (publisher, subscriber) = pair(w, V5, TWO);
        w.clients[subscriber].expiry_secs = 20;
        w.settle();
        w.cut(subscriber);
        w.turns(3);
        publish(w, publisher, 1, TWO, 1);
        let crashes = w.crashes;
        w.sleep(15);
        if crashes == w.crashes {
            w.connect(subscriber);
            w.settle(); // it goes on, and what waited arrives
            w.cut(subscriber);
            w.turns(3);
        }
        let crashes = w.crashes;
        w.sleep(21);
        w.clients[subscriber].may_expire = true;
        if crashes == w.crashes {
            w.clients[subscriber].expect_none(20);
        }
        w.finish();
    }

    pub(super) fn a_takeover<S: Storage>(w: &mut World<S>) {
        let (publisher, subscriber) = pair(w, V5, TWO);
        w.clients[subscriber].acks = Some(1);
        w.settle();
        publish(w, publisher, 2, TWO, 0);
        publish(w, publisher, 1, ONE, 1);
        w.take_over(subscriber);
        w.take_over(publisher);
        publish(w, publisher, 2, TWO, 1);
        w.take_over(publisher);
        w.turns(1);
        w.finish();
    }

    pub(super) fn disconnect_with_another_expiry<S: Storage>(w: &mut World<S>) {
        let (publisher, subscriber) = pair(w, V5, TWO);
        w.settle();
        w.disconnect(subscriber, ReasonCode::NORMAL_DISCONNECTION, Some(30));
        publish(w, publisher, 2, TWO, 1);
        w.sleep(20);
        w.connect(subscriber);
        w.settle();
        w.disconnect(subscriber, ReasonCode::NORMAL_DISCONNECTION, Some(0));
        publish(w, publisher, 1, ONE, 1);
        w.clients[subscriber].expiry_secs = FOREVER;
        w.finish();
    }

    pub(super) fn a_shared_group<S: Storage>(w: &mut World<S>) {
        let publisher = w.add("pub", V5, FOREVER);
        w.connect(publisher);
        for name in ["m1", "m2"] {
            let member = w.add(name, V5, FOREVER);
            w.clients[member].subscribe("$share/g/a/#", TWO);
            w.connect(member);
        }
        w.settle();
        publish(w, publisher, 3, TWO, 1);
        w.cut(1);
        w.cut(2);
        publish(w, publisher, 2, TWO, 1);
        publish(w, publisher, 2, ONE, 1);
        w.finish();
    }

    pub(super) fn identifiers_are_used_again<S: Storage>(w: &mut World<S>) {
        let (publisher, _) = pair(w, V3, TWO);
        w.clients[publisher].ids = 2;
        w.settle();
        publish(w, publisher, 6, TWO, 0);
        w.turns(2);
        w.close(publisher);
        publish(w, publisher, 2, TWO, 3);
        w.finish();
    }

    pub(super) fn the_identifier_of_a_refused_message_is_free<S: Storage>(w: &mut World<S>) {
        let (publisher, _) = pair(w, V5, TWO);
        w.clients[publisher].ids = 1;
        w.settle();
        w.publish(publisher, "$SYS/x", "refused", TWO, false);
        w.settle();
        publish(w, publisher, 2, TWO, 1);
        w.finish();
        assert!(w.clients[publisher].out[1].state == State::Accepted || w.failures != 0);
    }
}
