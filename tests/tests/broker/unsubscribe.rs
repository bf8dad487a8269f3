//! UNSUBSCRIBE and what answers it.

use crate::support::*;

// [MQTT5-3.10.4-4, MQTT5-3.10.4-5, MQTT5-3.10.4-6, MQTT5-3.11.3-1, MQTT5-2.2.1-6]
// [MQTT3-3.10.4-4, MQTT3-3.10.4-5, MQTT3-3.10.4-6, MQTT3-2.3.1-7]
// [MQTT5-3.11.2-1, MQTT5-3.11.2-2]
fn each_filter_has_its_code_in_order<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    for one in ["t", "u/#", "v", "$share/g/t"] {
        rig.subscribe(a, one, Q1);
    }
    let list = ["t", "nothing", "u/#", "t"].map(filter);
    let (properties, filters) = (Properties::EMPTY, Items::from(&list));
    let packet_id = id(0xABCD);
    rig.send(a, &[Packet::Unsubscribe(Unsubscribe { packet_id, properties, filters })]);
    let [Packet::UnsubAck(unsuback)] = rig.got(a)[..] else { panic!("not one UNSUBACK") };
    assert_eq!((unsuback.packet_id, unsuback.properties), (packet_id, Properties::EMPTY));
    let codes: Vec<_> = unsuback.codes.iter().map(ReasonCode::as_byte).collect();
    assert_eq!(codes, if rig.version == V5 { &[0, 0x11, 0, 0x11][..] } else { &[] });
    assert_eq!(rig.subscription_count(), 2);
    rig.unsubscribe(a, &["nothing", "at all"]);
    assert_eq!(rig.subscription_count(), 2);
}

// [MQTT5-3.10.4-1, MQTT3-3.10.4-1]
fn only_the_very_same_filter_is_meant<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let filters = ["a/b", "a/+", "a/#", "#", "$share/g/a/b", "$share/h/a/b", "a/b/", "A/b"];
    for one in filters {
        rig.subscribe(a, one, Q0);
    }
    let others = ["a", "a/", "+/b", "+/+", "a/c", "/a/b", "$share/i/a/b", "$share/g/a/+", "a/B"];
    rig.unsubscribe(a, &others);
    assert_eq!(rig.subscription_count(), 8);
    for (at, one) in filters.iter().enumerate() {
        rig.unsubscribe(a, &[one]);
        assert_eq!(rig.subscription_count(), 7 - at, "{one}");
    }
    rig.publish(a, "a/b", "x", Q0);
    assert_eq!(rig.said(a), [""; 0]);
}

/// Another client's subscription to the same filter is none of its business.
// [MQTT5-3.10.4-1, MQTT3-3.10.4-1]
fn others_stay_subscribed<S: Storage>(mut rig: Rig<S>) {
    let all = ["a", "b", "c", "d"].map(|name| rig.connect(name));
    for raw in all {
        rig.subscribe(raw, "t/+", Q0);
        rig.subscribe(raw, "$share/g/t/+", Q0);
    }
    rig.unsubscribe(all[1], &["t/+"]);
    rig.unsubscribe(all[0], &["$share/g/t/+", "t/+"]);
    rig.unsubscribe(all[3], &["t/+"]);
    rig.publish(all[0], "t/1", "x", Q0);
    let counts: Vec<_> = all.iter().map(|raw| rig.said(*raw).len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 2, "{counts:?}: one copy, and one of the group");
    assert_eq!((counts[0], counts[2] >= 1), (0, true));
}

// [MQTT5-3.10.4-2, MQTT5-3.10.4-3, MQTT3-3.10.4-2, MQTT3-3.10.4-3]
fn what_is_on_its_way_arrives<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.subscribe(b, "t", Q2);
    rig.publish(a, "t", "1", Q1);
    rig.publish(a, "t", "2", Q2);
    let sent = ids(&rig.got(b));
    rig.unsubscribe(b, &["t"]);
    for qos in QOS {
        rig.publish(a, "t", "late", qos);
    }
    rig.send(b, &[pubrec(sent[1])]);
    assert_eq!(rig.said(b), [format!("PUBREL {}", sent[1])]);
    rig.cut(b);
    let b = rig.connect_kept("b");
    assert_eq!(rig.receive(b), ["t=1@1*"]);
    rig.keeps_only_retained(0);
}

/// Nothing is left of filters that nobody has.
#[test]
fn filters_come_and_go_in_the_same_room() {
    let mut rig = Rig::<Hub>::new(V5);
    let a = rig.connect("a");
    for round in 0..300 {
        let names = [format!("{round}/+/x"), format!("$share/g{round}/y/{round}/#")];
        for name in &names {
            rig.subscribe(a, name, Q1);
        }
        rig.unsubscribe(a, &names.each_ref().map(|name| name.as_str()));
    }
    assert_eq!(rig.subscription_count(), 0);
}

on_every_kind! {
    EVERY => each_filter_has_its_code_in_order, only_the_very_same_filter_is_meant,
        others_stay_subscribed, what_is_on_its_way_arrives;
}
