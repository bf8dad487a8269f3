//! A host is told of sessions, subscriptions and dropped messages, if it wants to know.

use crate::support::*;

fn ended(why: SessionEnd, client: &str) -> (Event, String, String) {
    (Event::SessionEnded { why }, client.to_owned(), String::new())
}

fn dropped(why: DropReason, qos: QoS, client: &str, topic: &str) -> (Event, String, String) {
    (Event::Dropped { why, qos }, client.to_owned(), topic.to_owned())
}

fn who_does_not_ask_is_not_told<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.subscribe(a, "t", Q1);
    rig.unsubscribe(a, &["t"]);
    rig.cut(a);
    assert_eq!(rig.news(), []);
    assert_eq!(rig.events().len(), 2, "connected and disconnected");
    assert_eq!(rig.counters().dropped_events, 0);
}

fn subscriptions_are_told<S: Storage>(mut rig: Rig<S>) {
    rig.watch(Watch::EVERYTHING);
    let a = rig.connect("a");
    rig.subscribe(a, "t/#", Q2);
    rig.subscribe(a, "t/#", Q0);
    rig.subscribe(a, "$share/crew/jobs", Q1);
    rig.unsubscribe(a, &["t/#", "nothing", "$share/crew/jobs"]);
    let subscribed =
        |qos, filter: &str| (Event::Subscribed { qos }, "a".to_owned(), filter.to_owned());
    let unsubscribed = |filter: &str| (Event::Unsubscribed, "a".to_owned(), filter.to_owned());
    let expected = [
        subscribed(Q2, "t/#"),
        subscribed(Q0, "t/#"),
        subscribed(Q1, "$share/crew/jobs"),
        unsubscribed("t/#"),
        unsubscribed("$share/crew/jobs"),
    ];
    assert_eq!(rig.news(), expected);
}

/// With why they end; what they had subscribed to is not told once more.
fn ends_of_sessions_are_told<S: Storage>(mut rig: Rig<S>) {
    rig.watch(Watch::EVERYTHING);
    let a = rig.connect("a");
    rig.cut(a);
    assert_eq!(rig.news(), [ended(SessionEnd::Disconnected, "a")]);
    let b = rig.connect_kept("b");
    rig.cut(b);
    let b = rig.connect_kept("b");
    assert_eq!(rig.news(), [], "it goes on");
    rig.cut(b);
    rig.connect("b");
    assert_eq!(rig.news(), [ended(SessionEnd::CleanStart, "b")]);
    let now = rig.now;
    assert!(rig.broker.end_session_of("b", now));
    rig.turn();
    assert_eq!(rig.news(), [ended(SessionEnd::Administrator, "b")]);
    let c = rig.connect_kept("c");
    rig.cut(c);
    assert!(rig.broker.end_session_of("c", now));
    rig.turn();
    assert_eq!(rig.news(), [ended(SessionEnd::Administrator, "c")]);
}

fn sessions_whose_time_is_over_are_told<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { session_expiry_max_secs: 60, ..Options::DEFAULT });
    rig.watch(Watch::EVERYTHING);
    let c = rig.connect_kept("c");
    rig.cut(c);
    rig.wait_ms(59_000);
    assert_eq!(rig.news(), []);
    rig.wait_ms(1_000);
    assert_eq!(rig.news(), [ended(SessionEnd::Expired, "c")]);
}

fn a_session_whose_queue_is_full_is_told<S: Storage>(mut rig: Rig<S>) {
    let queue_full = QueueFull::EndSession;
    rig.restart(Options { queue: 1, queue_full, ..Options::DEFAULT });
    rig.watch(Watch::EVERYTHING);
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q1);
    rig.cut(b);
    let a = rig.connect("a");
    rig.news();
    rig.publish(a, "t", "1", Q1);
    rig.publish(a, "t", "2", Q1);
    rig.wait_ms(1);
    let expected = [
        dropped(DropReason::QueueFull, Q1, "b", "t"),
        dropped(DropReason::SessionEnded, Q1, "b", "t"),
        ended(SessionEnd::QueueFull, "b"),
    ];
    assert_eq!(rig.news(), expected);
}

/// Whose it was, of which topic, and why it was dropped.
fn dropped_messages_are_told<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { queue: 2, ..Options::DEFAULT });
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t/+", Q2);
    rig.cut(b);
    let a = rig.connect("a");
    rig.watch(Watch { sessions: false, subscriptions: false, ..Watch::EVERYTHING });
    rig.publish(a, "t/0", "x", Q0);
    for topic in ["t/1", "t/2", "t/3"] {
        rig.publish(a, topic, "x", Q1);
    }
    rig.publish(a, "t/4", "x", Q2);
    let expected = [
        dropped(DropReason::OutputFull, Q0, "b", "t/0"),
        dropped(DropReason::QueueFull, Q1, "b", "t/3"),
        dropped(DropReason::QueueFull, Q2, "b", "t/4"),
    ];
    assert_eq!(rig.news(), expected);
    let now = rig.now;
    assert_eq!(rig.broker.clear_queue("b", now), 2);
    rig.turn();
    let cleared = ["t/1", "t/2"].map(|topic| dropped(DropReason::Cleared, Q1, "b", topic));
    assert_eq!(rig.news(), cleared);
    assert_eq!(rig.counters().dropped_cleared, 2);
    assert_eq!(rig.broker.kept(), (0, 0));
}

/// However many are dropped while the host does not look: so many are told, the others are counted,
/// and what the host must know comes all the same.
fn there_is_room_for_so_many<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { queue: 0, ..Options::DEFAULT });
    let b = rig.connect_kept("b");
    rig.subscribe(b, "#", Q1);
    rig.cut(b);
    rig.watch(Watch::EVERYTHING);
    let long = "t".repeat(100);
    let dropped = rig.counters().dropped_queue;
    for _ in 0..10_000 {
        rig.broker.publish(topic(&long), b"x", Q1, false, rig.now);
    }
    assert_eq!(rig.counters().dropped_queue - dropped, 10_000);
    assert!(rig.broker.open(rig.now).is_ok());
    let unseen = rig.counters().dropped_events;
    let a = rig.connect("a");
    assert!(rig.events().contains(&Event::Connected { link: rig.link(a), session_present: false }));
    let told = rig.news();
    let expected = super::news::dropped(DropReason::QueueFull, Q1, "b", &long);
    assert!(told.iter().all(|news| *news == expected));
    assert_eq!(told.len() as u64 + unseen, 10_000);
    assert!((4..=10_000 / 3).contains(&told.len()), "{}", told.len());
    // There is room again.
    rig.broker.publish(topic("t"), b"x", Q1, false, rig.now);
    rig.turn();
    assert_eq!(rig.news(), [super::news::dropped(DropReason::QueueFull, Q1, "b", "t")]);
}

on_both_storages! {
    EVERY => who_does_not_ask_is_not_told, subscriptions_are_told, ends_of_sessions_are_told,
        sessions_whose_time_is_over_are_told, a_session_whose_queue_is_full_is_told,
        dropped_messages_are_told, there_is_room_for_so_many;
}
