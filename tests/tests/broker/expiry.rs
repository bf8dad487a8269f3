//! Messages that are of use for a while only.

use core::num::NonZeroU16;

use crate::support::*;

/// Publishes a message that expires after so many seconds.
#[track_caller]
fn publish<S: Storage>(rig: &mut Rig<S>, raw: Raw, payload: &str, qos: QoS, secs: u32) {
    let list = [Property::MessageExpiryInterval(secs)];
    let publish = Publish::new(topic("t"), payload.as_bytes());
    rig.publish_with(raw, qos, Publish { properties: Properties::new(&list), ..publish });
}

fn expiries(packets: &[Packet<'_>]) -> Vec<Option<u32>> {
    let publishes = packets.iter().filter_map(|packet| match packet {
        Packet::Publish(publish) => Some(publish.properties.message_expiry_interval()),
        _ => None,
    });
    publishes.collect()
}

// [MQTT5-3.3.2-5, MQTT5-3.3.2-6]
fn a_message_waits_as_long_as_it_is_of_use<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q2);
    publish(&mut rig, a, "now", Q1, 10);
    let got = rig.got(b);
    assert_eq!(expiries(&got), [Some(10)]);
    rig.send(b, &[puback(ids(&got)[0])]);
    rig.cut(b);
    for (payload, secs) in [("0", 0), ("5", 5), ("6", 6), ("10", 10), ("for ever", u32::MAX)] {
        publish(&mut rig, a, payload, if secs == 10 { Q2 } else { Q1 }, secs);
    }
    rig.publish(a, "t", "no expiry", Q1);
    rig.wait_ms(5_000);
    let b = rig.connect_kept("b");
    let got = rig.got(b);
    let said: Vec<_> = got.iter().map(words).collect();
    assert_eq!(said, ["t=6@1", "t=10@2", "t=for ever@1", "t=no expiry@1"]);
    assert_eq!(expiries(&got), [Some(1), Some(5), Some(u32::MAX - 5), None]);
    assert_eq!(rig.counters().dropped_expired, 2);
    rig.keeps_only_retained(4);
}

/// It waits for the window on a connection as it does for the connection.
// [MQTT5-3.3.2-5, MQTT5-3.3.2-6]
fn a_message_that_waits_for_the_window_expires_too<S: Storage>(mut rig: Rig<S>) {
    let list = [Property::ReceiveMaximum(NonZeroU16::MIN)];
    let connect = Connect { properties: Properties::new(&list), ..hello(V5, "b") };
    let a = rig.connect("a");
    let (b, _) = rig.connect_with(connect);
    rig.subscribe(b, "t", Q2);
    for (payload, secs) in [("first", 10), ("5", 5), ("60", 60)] {
        publish(&mut rig, a, payload, Q1, secs);
    }
    let first = ids(&rig.got(b))[0];
    rig.wait_ms(20_500);
    rig.send(b, &[puback(first)]);
    let got = rig.got(b);
    assert_eq!((words(&got[0]), expiries(&got)), ("t=60@1".into(), vec![Some(40)]));
}

/// Once begun, an exchange is carried through.
fn what_was_sent_goes_again_though_it_has_expired<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q2);
    publish(&mut rig, a, "1", Q1, 5);
    publish(&mut rig, a, "2", Q2, 5);
    rig.got(b);
    rig.cut(b);
    rig.wait_ms(60_000);
    let b = rig.connect_kept("b");
    let got = rig.got(b);
    assert_eq!(got.iter().map(words).collect::<Vec<_>>(), ["t=1@1*", "t=2@2*"]);
    assert_eq!(expiries(&got), [Some(0), Some(0)]);
}

// [MQTT5-3.3.2-5, MQTT5-3.3.2-6]
fn a_retained_message_expires<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    let list = [Property::MessageExpiryInterval(10)];
    let retained = Publish { retain: true, ..Publish::new(topic("t"), b"x") };
    rig.publish_with(a, Q1, Publish { properties: Properties::new(&list), ..retained });
    rig.wait_ms(3_000);
    rig.subscribe(b, "t", Q0);
    let got = rig.got(b);
    assert_eq!((words(&got[0]), expiries(&got)), ("t=x!".into(), vec![Some(7)]));
    rig.wait_ms(7_000);
    rig.subscribe(b, "t", Q0);
    rig.subscribe(b, "#", Q1);
    assert_eq!(rig.said(b), [""; 0]);
    assert_eq!((rig.retained_count(), rig.broker.kept()), (0, (0, 0)));
}

/// The time of a will begins when it is published.
// [MQTT5-3.3.2-6]
fn a_will_expires_from_its_publication_on<S: Storage>(mut rig: Rig<S>) {
    let b = rig.connect_kept("b");
    rig.subscribe(b, "w", Q1);
    let list = [Property::MessageExpiryInterval(10)];
    let will = Will { properties: Properties::new(&list), ..will("w", "gone") };
    let (a, _) = rig.connect_with(Connect { will: Some(will), ..hello(V5, "a") });
    rig.wait_ms(60_000);
    rig.cut(a);
    let got = rig.got(b);
    assert_eq!((words(&got[0]), expiries(&got)), ("w=gone@1".into(), vec![Some(10)]));
}

/// What a client of an older version gets has no expiry to carry, but expires.
// [MQTT5-3.3.2-5]
fn messages_expire_for_older_clients_too<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let (b, _) = rig.connect_with(kept(V311, "b"));
    rig.subscribe(b, "t", Q1);
    rig.cut(b);
    publish(&mut rig, a, "5", Q1, 5);
    publish(&mut rig, a, "6", Q1, 6);
    rig.wait_ms(5_000);
    let (b, _) = rig.connect_with(kept(V311, "b"));
    assert_eq!(rig.receive(b), ["t=6@1"]);
}

on_every_kind! {
    [V5] => a_message_waits_as_long_as_it_is_of_use,
        a_message_that_waits_for_the_window_expires_too, messages_expire_for_older_clients_too,
        what_was_sent_goes_again_though_it_has_expired, a_will_expires_from_its_publication_on;
}

/// Each broker forgets it when it is asked for it.
mod of_one {
    use super::*;

    on_both_storages! {
        [V5] => a_retained_message_expires;
    }
}
