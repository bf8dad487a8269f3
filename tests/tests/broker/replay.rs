//! What is retained comes bit by bit, as fast as the client takes it, and no faster.

use crate::support::*;

impl<S: Storage> Rig<S> {
    /// Topics `1/x` and so on retain their numbers.
    #[track_caller]
    fn retains(&mut self, count: usize, qos: QoS) {
        let a = self.connect("publisher");
        for number in 0..count {
            self.retain(a, &format!("{number:02}/x"), &number.to_string(), qos);
        }
        self.leave(a);
    }

    /// Subscribes without waiting for more than the SUBACK.
    #[track_caller]
    fn asks_for(&mut self, raw: Raw, filter: &str, qos: QoS) {
        let wanted = [sub(filter).qos(qos)];
        let packet = Subscribe {
            packet_id: id(999),
            properties: Properties::EMPTY,
            subscriptions: Items::from(&wanted[..]),
        };
        self.send(raw, &[Packet::Subscribe(packet)]);
    }

    /// The messages that came, and were acknowledged, without the SUBACK among them.
    #[track_caller]
    fn replayed(&mut self, raw: Raw) -> Vec<String> {
        let mut got = self.receive(raw);
        got.retain(|one| one != "SUBACK");
        got
    }

    /// The messages that came, not acknowledged.
    fn unsettled(&mut self, raw: Raw) -> Vec<(String, u16)> {
        let got = self.got(raw).into_iter();
        let messages = got.filter_map(|packet| match packet {
            Packet::Publish(publish) => {
                let number = publish.delivery.packet_id().map_or(0, PacketId::get);
                assert!(publish.retain);
                Some((publish.topic.expect("a topic").as_str().to_owned(), number))
            }
            _ => None,
        });
        messages.collect()
    }
}

/// More than may wait for a session, more than its window: all of it comes, each once.
fn all_of_it_comes_within_the_window<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { queue: 2, send_window: 3, ..Options::DEFAULT });
    rig.retains(40, Q1);
    let kept = rig.broker.kept();
    let a = rig.connect("a");
    rig.asks_for(a, "+/x", Q1);
    let mut all = Vec::new();
    loop {
        let some = rig.unsettled(a);
        assert!(some.len() <= 3, "{some:?}");
        if some.is_empty() {
            break;
        }
        assert_eq!(rig.broker.kept().0, kept.0, "nothing is copied");
        for (topic, number) in some {
            all.push(topic);
            rig.send(a, &[puback(number)]);
        }
    }
    let wanted: Vec<_> = (0..40).map(|number| format!("{number:02}/x")).collect();
    assert_eq!(all, wanted);
    assert_eq!((rig.counters().dropped_queue, rig.broker.kept()), (0, kept));
}

/// Who does not read is not sent more than its output holds.
fn at_qos_0_it_comes_as_it_is_read<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { output_bytes: 200, ..Options::DEFAULT });
    rig.retains(40, Q0);
    let a = rig.connect("a");
    rig.stall(a, true);
    rig.asks_for(a, "#", Q0);
    rig.stall(a, false);
    assert_eq!(rig.unsettled(a).len(), 40);
    assert_eq!(rig.counters().dropped_qos0, 0);
}

/// What is published meanwhile is sent as any message is, and not again as a retained one.
fn what_was_sent_meanwhile_is_passed_by<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { send_window: 1, ..Options::DEFAULT });
    rig.retains(4, Q1);
    let a = rig.connect("a");
    rig.asks_for(a, "#", Q1);
    let b = rig.connect("b");
    rig.retain(b, "02/x", "new", Q1);
    rig.retain(b, "01/x", "", Q1);
    rig.retain(b, "05/x", "more", Q1);
    assert_eq!(rig.replayed(a), ["00/x=0@1!", "02/x=new@1", "01/x=@1", "05/x=more@1", "03/x=3@1!"]);
}

/// It belongs to the session: the next connection goes on with it, where the last one was.
fn it_goes_on_with_the_session<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { send_window: 1, ..Options::DEFAULT });
    for qos in [Q1, Q2] {
        rig.retains(4, qos);
        let a = rig.connect_kept("a");
        rig.asks_for(a, "#", qos);
        let first = rig.unsettled(a);
        assert_eq!(first, [("00/x".to_owned(), first[0].1)]);
        rig.send(a, &[if qos == Q1 { puback(first[0].1) } else { pubrec(first[0].1) }]);
        rig.cut(a);
        let b = rig.connect("b");
        rig.retain(b, "02/x", "", Q1); // it may be gone, and others too
        rig.retain(b, "01/x", "", Q1);
        rig.leave(b);
        let a = rig.connect_kept("a");
        let got = rig.replayed(a);
        let got: Vec<_> = got.iter().filter(|one| one.ends_with('!')).collect();
        assert_eq!(got, if qos == Q1 { [&"03/x=3@1!"] } else { [&"03/x=3@2!"] });
        rig.leave(a);
        let a = rig.connect("a"); // the session ends
        rig.leave(a);
    }
}

fn who_unsubscribes_gets_no_more<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { send_window: 1, ..Options::DEFAULT });
    rig.retains(4, Q1);
    let a = rig.connect("a");
    rig.asks_for(a, "#", Q1);
    assert_eq!(rig.unsettled(a).len(), 1);
    rig.send(a, &[puback(1)]);
    rig.unsubscribe(a, &["#"]);
    assert!(rig.replayed(a).len() <= 1, "only what was on its way");
    // Asked for again, it begins again.
    rig.asks_for(a, "#", Q1);
    assert_eq!(rig.replayed(a).len(), 4);
}

fn several_filters_each_get_what_they_match<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { send_window: 2, ..Options::DEFAULT });
    rig.retains(6, Q1);
    let a = rig.connect("a");
    let wanted = [sub("#").qos(Q1), sub("03/x").qos(Q1), sub("+/x").qos(Q1), sub("0/#").qos(Q1)];
    let packet = Subscribe {
        packet_id: id(999),
        properties: Properties::EMPTY,
        subscriptions: Items::from(&wanted[..]),
    };
    rig.send(a, &[Packet::Subscribe(packet)]);
    let mut got = rig.replayed(a);
    got.sort();
    assert_eq!(got.len(), 6 + 1 + 6);
    assert_eq!(got.iter().filter(|one| one.starts_with("03/x")).count(), 3);
}

on_every_kind! {
    EVERY => all_of_it_comes_within_the_window, at_qos_0_it_comes_as_it_is_read,
        what_was_sent_meanwhile_is_passed_by, it_goes_on_with_the_session,
        who_unsubscribes_gets_no_more, several_filters_each_get_what_they_match;
}
