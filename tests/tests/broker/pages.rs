//! Everything that an administrator sees comes page by page, while the broker goes on.

use crate::support::*;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What waits for a client, from a page on, so many of it: topic, QoS, identifier, whether it was
/// sent.
fn queued<S: Storage>(
    rig: &Rig<S>,
    page: &mut Page,
    count: usize,
) -> Vec<(String, QoS, Option<u16>, bool)> {
    let next = || rig.broker.next_queued("b", page);
    let some = core::iter::from_fn(next).take(count);
    some.map(|one| (text(one.topic), one.qos, one.packet_id.map(PacketId::get), one.sent)).collect()
}

fn connections_are_shown<S: Storage>(mut rig: Rig<S>) {
    let silent = rig.open();
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q1);
    rig.publish(a, "t", "x", Q1);
    let mut page = Page::FIRST;
    let first = rig.broker.next_link(&mut page).expect("three connections");
    assert_eq!((first.link, first.client_id, first.version), (rig.link(silent), &b""[..], None));
    rig.cut(a);
    rig.connect("c"); // in its place, which the page has not passed
    let mut seen = Vec::new();
    while let Some(link) = rig.broker.next_link(&mut page) {
        assert_eq!((link.version, link.attached, link.blocked), (Some(rig.version), false, false));
        assert_eq!((link.heard, link.output), (rig.now, 0));
        seen.push((text(link.client_id), link.in_flight));
    }
    assert_eq!(seen, [("c".to_owned(), 0), ("b".to_owned(), 1)]);
}

fn subscriptions_are_shown<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(a, "a/+/#", Q1);
    rig.subscribe(b, "$share/crew/jobs//x", Q2);
    rig.subscribe(a, "gone", Q0);
    rig.subscribe(b, "plain", Q0);
    let (mut page, mut buffer, mut seen) = (Page::FIRST, [0; 64], Vec::new());
    while let Some(one) = rig.broker.next_subscription(&mut page, &mut buffer) {
        seen.push((text(one.client_id), one.wanted.filter.to_string(), one.wanted.qos));
        if seen.len() == 2 {
            rig.unsubscribe(a, &["a/+/#", "gone"]);
        }
    }
    let shown = |client: &str, filter: &str, qos| (client.to_owned(), filter.to_owned(), qos);
    let expected =
        [shown("a", "a/+/#", Q1), shown("b", "$share/crew/jobs//x", Q2), shown("b", "plain", Q0)];
    assert_eq!(seen, expected);
}

fn retained_messages_are_shown<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    for topic in ["t/1", "t/2", "t/3", "t", "$SYS/x"] {
        rig.broker.publish(super::pages::topic(topic), topic.as_bytes(), Q1, true, rig.now);
    }
    let (mut page, mut seen) = (Page::FIRST, Vec::new());
    while let Some(one) = rig.broker.next_retained(&mut page) {
        assert_eq!((one.topic, one.qos, one.expires), (one.payload, Q1, None));
        seen.push(text(one.topic));
        if seen.len() == 1 {
            rig.retain(a, "t/2", "", Q0);
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, ["$SYS/x", "t", "t/1", "t/3"]);
}

/// In order; a message that was settled, dropped, or came meanwhile does not disturb the others.
fn queues_are_shown<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { queue: 6, send_window: 2, ..Options::DEFAULT });
    let b = rig.connect_kept("b");
    rig.subscribe(b, "+", Q2);
    let a = rig.connect("a");
    for (topic, qos) in [("1", Q1), ("2", Q2), ("3", Q1), ("4", Q2), ("5", Q1)] {
        rig.publish(a, topic, "x", qos);
    }
    let ids = ids(&rig.got(b));
    let shown = |topic: &str, qos, id: Option<u16>| (topic.to_owned(), qos, id, id.is_some());
    let mut page = Page::FIRST;
    let first = [shown("1", Q1, Some(ids[0])), shown("2", Q2, Some(ids[1])), shown("3", Q1, None)];
    assert_eq!(queued(&rig, &mut page, 3), first);
    rig.publish(a, "6", "x", Q1);
    rig.send(b, &[puback(ids[0])]); // 3 is sent
    let rest = [shown("4", Q2, None), shown("5", Q1, None), shown("6", Q1, None)];
    assert_eq!(queued(&rig, &mut page, 9), rest);
    assert_eq!(queued(&rig, &mut page, 9), []);
    rig.send(b, &[pubrec(ids[1])]);
    let (topic, _, id, sent) = queued(&rig, &mut Page::FIRST.clone(), 1).remove(0);
    assert_eq!((topic, id, sent), (String::new(), Some(ids[1]), true), "its end is awaited");
    assert_eq!(rig.broker.session_of("b").expect("a session").queued, 5);
    assert!(rig.broker.next_queued("nobody", &mut Page::FIRST.clone()).is_none());
}

/// If the oldest that waits is dropped, those before it move up: they are not shown twice.
fn what_moves_up_is_shown_once<S: Storage>(mut rig: Rig<S>) {
    let queue_full = QueueFull::DropOldest;
    rig.restart(Options { queue: 3, send_window: 3, queue_full, ..Options::DEFAULT });
    let b = rig.connect_kept("b");
    rig.subscribe(b, "+", Q1);
    let a = rig.connect("a");
    for topic in ["1", "2", "3", "4", "5", "6"] {
        rig.publish(a, topic, "x", Q1);
    }
    for shown in 1..=6 {
        let mut page = Page::FIRST;
        let mut seen: Vec<_> =
            queued(&rig, &mut page, shown).into_iter().map(|one| one.0).collect();
        for more in 0..shown {
            rig.publish(a, "more", &more.to_string(), Q1);
        }
        seen.extend(queued(&rig, &mut page, 9).into_iter().map(|one| one.0));
        let sent: Vec<_> = seen.iter().filter(|topic| *topic < &"4".to_owned()).collect();
        assert_eq!(sent, ["1", "2", "3"], "{shown}: {seen:?}");
    }
}

fn when_they_expire_is_shown<S: Storage>(mut rig: Rig<S>) {
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q1);
    rig.cut(b);
    let a = rig.connect("a");
    let list = [Property::MessageExpiryInterval(9)];
    let delivery = Delivery::AtLeastOnce { packet_id: PacketId::MIN, dup: false };
    let publish =
        Publish { delivery, properties: (&list).into(), ..Publish::new(topic("t"), b"four") };
    rig.send(a, &[Packet::Publish(publish)]);
    let mut page = Page::FIRST;
    let one = rig.broker.next_queued("b", &mut page).expect("it waits");
    assert_eq!((one.bytes, one.retain, one.sent), (4, false, false));
    assert_eq!(one.expires, Some(rig.now.plus_secs(9)));
}

on_both_storages! {
    EVERY => connections_are_shown, subscriptions_are_shown, retained_messages_are_shown,
        queues_are_shown, what_moves_up_is_shown_once;
    [V5] => when_they_expire_is_shown;
}
