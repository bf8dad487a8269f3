//! Messages that are relaxed, or in memory, beside durable ones: what was promised of each is kept,
//! with a crash before every call, by the process and by the power.

use tamtam_core::broker::{Durability, Record};
use tamtam_core::{Heap, QoS, Storage, Version};

use crate::client::{State, WillSpec};
use crate::stories::{MANNERS, Small, stories, tell, tell_failing};
use crate::world::{IN_MEMORY, World};
use tamtam_tests::broker::store::Manner;

const ONE: QoS = QoS::AtLeastOnce;
const TWO: QoS = QoS::ExactlyOnce;
const FOREVER: u32 = u32::MAX;
const V5: Version = Version::V5;

const CLASSES: [(&str, Durability); 3] = [
    ("a/relaxed/#", Durability::Relaxed),
    ("a/memory/#", Durability::Memory),
    ("a/+/x", Durability::Memory),
];

/// The power fails with the process.
const POWER: [Manner; 2] = [
    Manner { lag: 1, reorders: false, by_key: true, power: true },
    Manner { lag: 3, reorders: true, by_key: false, power: true },
];

fn all(name: &str, heap: fn(&mut World<Heap>), fixed: fn(&mut World<Small>)) {
    let crashes = tell(name, &MANNERS, heap) + tell(name, &POWER, heap);
    let crashes = crashes + tell(name, &POWER[..1], fixed);
    assert!(crashes + tell_failing(name, heap) > 100);
}

stories! {
    all:
    classes_take_turns_for_a_subscriber_that_is_there,
    classes_take_turns_for_a_subscriber_that_is_away,
    identifiers_of_what_was_in_memory_are_used_again,
    what_was_relaxed_loses_only_what_came_last,
    nothing_older_comes_back_for_a_topic,
    a_session_in_memory,
    a_session_that_is_recorded_later,
    a_will_in_memory,
    classes_take_turns_in_a_group,
}

mod story {
    use super::*;

    /// A publisher and a subscriber of `a/#`.
    fn pair<S: Storage>(world: &mut World<S>, qos: QoS) -> (usize, usize) {
        world.classify(&CLASSES);
        let publisher = world.add("pub", V5, FOREVER);
        let subscriber = world.add("sub", V5, FOREVER);
        world.clients[subscriber].subscribe("a/#", qos);
        world.connect(publisher);
        world.connect(subscriber);
        (publisher, subscriber)
    }

    fn publish<S: Storage>(world: &mut World<S>, at: usize, topic: &str, qos: QoS, turns: usize) {
        let payload = format!("{}:{}", world.clients[at].name, world.clients[at].out.len());
        world.publish(at, topic, &payload, qos, false);
        world.turns(turns);
    }

    fn retain<S: Storage>(world: &mut World<S>, at: usize, topic: &str, payload: &str) {
        world.publish(at, topic, payload, ONE, true);
    }

    pub(super) fn classes_take_turns_for_a_subscriber_that_is_there<S: Storage>(w: &mut World<S>) {
        let (publisher, _) = pair(w, TWO);
        w.settle();
        for (topic, qos, turns) in [
            ("a/memory/1", TWO, 1),
            ("a/b", TWO, 0),
            ("a/relaxed/1", TWO, 1),
            ("a/memory/1", ONE, 0),
            ("a/relaxed/1", ONE, 1),
            ("a/memory/1", TWO, 0),
            ("a/b", TWO, 1),
        ] {
            publish(w, publisher, topic, qos, turns);
        }
        w.finish();
    }

    pub(super) fn classes_take_turns_for_a_subscriber_that_is_away<S: Storage>(w: &mut World<S>) {
        let (publisher, subscriber) = pair(w, TWO);
        w.clients[subscriber].window = 2;
        w.settle();
        w.cut(subscriber);
        for (topic, qos, turns) in [
            ("a/b", ONE, 0),
            ("a/memory/1", TWO, 0),
            ("a/memory/1", ONE, 1),
            ("a/relaxed/1", TWO, 1),
            ("a/b", TWO, 0),
            ("a/memory/1", TWO, 1),
        ] {
            publish(w, publisher, topic, qos, turns);
        }
        w.clients[subscriber].acks = Some(2);
        w.connect(subscriber);
        w.turns(5);
        publish(w, publisher, "a/memory/1", TWO, 1);
        w.finish();
    }

    /// The client keeps an identifier until it is told to let go of it, so no other message may
    /// have it before.
    pub(super) fn identifiers_of_what_was_in_memory_are_used_again<S: Storage>(w: &mut World<S>) {
        let (publisher, subscriber) = pair(w, TWO);
        w.clients[subscriber].acks = Some(0);
        w.settle();
        publish(w, publisher, "a/memory/1", TWO, 2);
        publish(w, publisher, "a/memory/2", TWO, 2);
        w.close(subscriber);
        w.turns(2);
        publish(w, publisher, "a/b", TWO, 1);
        publish(w, publisher, "a/c", TWO, 3);
        w.clients[subscriber].ack_all();
        w.finish();
    }

    pub(super) fn what_was_relaxed_loses_only_what_came_last<S: Storage>(w: &mut World<S>) {
        let (publisher, subscriber) = pair(w, ONE);
        w.settle();
        w.cut(subscriber);
        for _ in 0..6 {
            publish(w, publisher, "a/relaxed/1", ONE, 1);
        }
        w.turns(3);
        w.finish();
        // In one life nothing is lost; with a crash in it, a run of those before is.
        let got = &w.clients[subscriber].got;
        let came: Vec<bool> = w.clients[publisher]
            .out
            .iter()
            .filter(|out| out.state == State::Accepted)
            .map(|out| got.iter().any(|got| got.payload == out.payload))
            .collect();
        let gaps = came.windows(2).filter(|pair| pair[0] && !pair[1]).count();
        assert!(gaps <= usize::from(w.crashes != 0), "{came:?}");
    }

    pub(super) fn nothing_older_comes_back_for_a_topic<S: Storage>(w: &mut World<S>) {
        let (publisher, _) = pair(w, ONE);
        retain(w, publisher, "a/r", "durable");
        retain(w, publisher, "a/deleted", "durable");
        w.settle();
        let crashes = w.crashes;
        w.classify(&[("a/r", Durability::Memory), ("a/deleted", Durability::Memory)]);
        retain(w, publisher, "a/r", "memory");
        retain(w, publisher, "a/deleted", "");
        w.settle();
        w.turns(15); // a moment
        let early = w.crashes;
        w.sleep(1);
        w.turns(2);
        w.finish();
        let before = w.crashes;
        let kept = w.retained();
        let of = |topic: &str| {
            kept.iter().find(|(of, _)| of == topic).map(|(_, payload)| payload.as_str())
        };
        let (r, deleted) = (of("a/r"), of("a/deleted"));
        match (before - early, early - crashes) {
            _ if w.crashes != before => {} // while it was looked at
            // It crashed long after: nothing is retained.
            (1.., _) => assert_eq!((r, deleted), (None, None)),
            // It crashed soon after, or before it was published.
            (_, 1..) => assert!(
                matches!(r, None | Some("durable" | "memory"))
                    && matches!(deleted, None | Some("durable")),
                "{kept:?}"
            ),
            _ => assert_eq!((r, deleted), (Some("memory"), None)),
        }
        w.classify(&CLASSES);
        retain(w, publisher, "a/r", "again");
        w.settle();
        w.crash_now(0);
        w.finish();
        let last = w.clients[publisher].out.last().expect("it is there").state;
        let again = ("a/r".to_owned(), "again".to_owned());
        assert!(last == State::Refused || w.retained().contains(&again));
    }

    /// It goes with the process, and costs the store nothing.
    pub(super) fn a_session_in_memory<S: Storage>(w: &mut World<S>) {
        let publisher = w.add("pub", V5, FOREVER);
        let subscriber = w.add("sub", V5, FOREVER);
        w.classify(&[("a/durable/#", Durability::Durable)]);
        w.clients[subscriber].limits = Some(IN_MEMORY);
        w.clients[publisher].limits = Some(IN_MEMORY);
        w.clients[subscriber].subscribe("a/#", TWO);
        w.connect(publisher);
        w.connect(subscriber);
        w.settle();
        publish(w, publisher, "a/b", TWO, 1);
        w.cut(subscriber);
        publish(w, publisher, "a/b", ONE, 1);
        publish(w, publisher, "a/durable/1", TWO, 1);
        let kept = w.everything();
        let mut kept = kept.iter().map(|bytes| Record::read(bytes).expect("a record"));
        assert!(kept.all(|record| record == Record::Reset), "nothing of it is kept");
        w.finish();
    }

    pub(super) fn a_session_that_is_recorded_later<S: Storage>(w: &mut World<S>) {
        let (publisher, subscriber) = pair(w, TWO);
        w.cut(subscriber);
        w.clients[subscriber].limits = Some(IN_MEMORY);
        w.clients[publisher].limits = Some(IN_MEMORY);
        w.connect(subscriber);
        w.settle();
        publish(w, publisher, "a/b", TWO, 1);
        w.cut(subscriber);
        publish(w, publisher, "a/b", TWO, 2);
        w.clients[publisher].limits = None;
        w.close(publisher);
        w.settle();
        publish(w, publisher, "a/c", TWO, 2);
        // From here on it is recorded, with what waits for it.
        w.clients[subscriber].limits = None;
        w.connect(subscriber);
        w.settle();
        w.cut(subscriber);
        publish(w, publisher, "a/c", TWO, 1);
        w.finish();
    }

    pub(super) fn classes_take_turns_in_a_group<S: Storage>(w: &mut World<S>) {
        w.classify(&CLASSES);
        let publisher = w.add("pub", V5, FOREVER);
        w.connect(publisher);
        let members = ["one", "two"].map(|name| w.add(name, V5, FOREVER));
        for member in members {
            w.clients[member].subscribe("$share/g/a/#", TWO);
            w.connect(member);
        }
        w.settle();
        for (topic, qos, turns) in
            [("a/memory/1", TWO, 1), ("a/b", TWO, 0), ("a/relaxed/1", ONE, 2)]
        {
            publish(w, publisher, topic, qos, turns);
        }
        // It waits for the group.
        members.iter().for_each(|member| w.cut(*member));
        for (topic, qos, turns) in
            [("a/memory/1", ONE, 1), ("a/b", ONE, 0), ("a/relaxed/1", TWO, 1), ("a/b", TWO, 1)]
        {
            publish(w, publisher, topic, qos, turns);
        }
        w.connect(members[1]);
        w.turns(3);
        w.finish();
    }

    pub(super) fn a_will_in_memory<S: Storage>(w: &mut World<S>) {
        let (publisher, _) = pair(w, TWO);
        w.settle();
        w.clients[publisher].will =
            Some(WillSpec { topic: "a/memory/will", qos: ONE, retain: true, delay_secs: 0 });
        w.close(publisher);
        w.settle();
        w.close(publisher);
        w.settle();
        publish(w, publisher, "a/b", ONE, 2);
        w.finish();
    }
}
