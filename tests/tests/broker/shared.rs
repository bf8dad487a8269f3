//! Shared subscriptions: one member of a group gets each message.

use crate::support::*;

fn members<S: Storage>(rig: &mut Rig<S>, names: &[&str], pattern: &str, qos: QoS) -> Vec<Raw> {
    let all: Vec<_> = names.iter().map(|name| rig.connect_kept(name)).collect();
    for raw in &all {
        rig.subscribe(*raw, pattern, qos);
    }
    all
}

fn each_message_goes_to_one_member<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let all = members(&mut rig, &["b", "c", "d"], "$share/g/t/+", Q2);
    let mut got = vec![Vec::new(); 3];
    for number in 0..9 {
        rig.publish(a, "t/1", &number.to_string(), QOS[number % 3]);
        for (raw, got) in all.iter().zip(&mut got) {
            got.extend(rig.receive(*raw));
        }
    }
    assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3], "in turn: {got:?}");
    let mut together = got.concat();
    together.sort();
    let expected: Vec<_> =
        (0..9).map(|number| format!("t/1={number}{}", ["", "@1", "@2"][number % 3])).collect();
    assert_eq!(together, expected);
    rig.keeps_only_retained(0);
}

// [MQTT5-4.8.2-3]
fn the_members_own_qos_holds<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let all = QOS.map(|qos| {
        let raw = rig.connect(&format!("b{}", qos.level()));
        rig.subscribe(raw, "$share/g/t", qos);
        (raw, qos)
    });
    for published in QOS {
        for _ in 0..3 {
            rig.publish(a, "t", "x", published);
        }
        for (raw, granted) in all {
            let qos = ["t=x", "t=x@1", "t=x@2"][usize::from(granted.min(published).level())];
            assert_eq!(rig.receive(raw), [qos]);
        }
    }
}

/// Each group has its copy, and so has whoever subscribed for itself.
fn groups_do_not_share_with_each_other<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let g = members(&mut rig, &["b", "c"], "$share/g/t/#", Q1);
    let h = members(&mut rig, &["d"], "$share/h/t/#", Q1);
    let alone = rig.connect("e");
    rig.subscribe(alone, "t/#", Q1);
    rig.subscribe(g[0], "t/1", Q0);
    rig.publish(a, "t/1", "x", Q1);
    let both = [rig.receive(g[0]), rig.receive(g[1])];
    let mut all = both.concat();
    all.sort();
    assert_eq!(all, ["t/1=x", "t/1=x@1"], "never merged: {both:?}");
    assert_eq!(
        (rig.receive(h[0]), rig.receive(alone)),
        (vec!["t/1=x@1".into()], vec!["t/1=x@1".into()])
    );
}

/// A shared subscription is a name and a filter: with another filter it is another.
fn the_same_name_with_another_filter_is_another_group<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let one = members(&mut rig, &["b"], "$share/g/t/#", Q1);
    let other = members(&mut rig, &["c"], "$share/g/t/+", Q1);
    let both = members(&mut rig, &["d"], "$share/g/t/1", Q1);
    rig.subscribe(both[0], "$share/g/+/1", Q0);
    rig.publish(a, "t/1", "x", Q1);
    assert_eq!(
        (rig.receive(one[0]), rig.receive(other[0])),
        (vec!["t/1=x@1".into()], vec!["t/1=x@1".into()])
    );
    let mut got = rig.receive(both[0]);
    got.sort();
    assert_eq!(got, ["t/1=x", "t/1=x@1"]);
}

fn members_that_are_there_come_first<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let all = members(&mut rig, &["b", "c", "d"], "$share/g/t", Q1);
    rig.cut(all[0]);
    rig.cut(all[2]);
    for _ in 0..5 {
        rig.publish(a, "t", "x", Q1);
    }
    assert_eq!(rig.receive(all[1]), ["t=x@1"; 5]);
    rig.cut(all[1]);
    // Nobody is there: it waits for one of them.
    rig.publish(a, "t", "late", Q1);
    let got: Vec<_> = ["b", "c", "d"].map(|name| rig.connect_kept(name)).to_vec();
    let got: Vec<_> = got.into_iter().flat_map(|raw| rig.receive(raw)).collect();
    assert_eq!(got, ["t=late@1"]);
    rig.keeps_only_retained(0);
}

fn a_member_that_can_not_take_more_is_passed_by<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { send_window: 2, ..Options::DEFAULT });
    let a = rig.connect("a");
    let all = members(&mut rig, &["b", "c"], "$share/g/t", Q1);
    for _ in 0..2 {
        rig.publish(a, "t", "x", Q1);
        rig.publish(a, "t", "x", Q1);
        rig.receive(all[1]);
    }
    rig.publish(a, "t", "y", Q1);
    rig.publish(a, "t", "y", Q1);
    assert_eq!(rig.receive(all[1]), ["t=y@1", "t=y@1"], "the other has not acknowledged two");
    assert_eq!(rig.said(all[0]).len(), 2);
}

// [MQTT5-4.8.2-6]
fn what_a_member_refuses_goes_to_nobody<S: Storage>(mut rig: Rig<S>) {
    for qos in [Q1, Q2] {
        rig.restart(Options::DEFAULT);
        let a = rig.connect("a");
        let all = members(&mut rig, &["b", "c"], "$share/g/t", Q2);
        rig.publish(a, "t", "x", qos);
        let got = all.iter().find_map(|raw| {
            let got = rig.got(*raw);
            (!got.is_empty()).then(|| (*raw, ids(&got)[0]))
        });
        let (raw, number) = got.expect("somebody has it");
        let refusal = Ack::with_reason(id(number), ReasonCode::ImplementationSpecificError);
        let packet = if qos == Q1 { Packet::PubAck(refusal) } else { Packet::PubRec(refusal) };
        rig.send(raw, &[packet]);
        rig.keeps_only_retained(0);
        for raw in &all {
            rig.cut(*raw);
        }
        for name in ["b", "c"] {
            let raw = rig.connect_kept(name);
            assert_eq!(rig.said(raw), [""; 0]);
        }
    }
}

// [MQTT5-4.8.2-4]
fn an_exchange_is_completed_with_its_member<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = members(&mut rig, &["b"], "$share/g/t", Q2)[0];
    rig.publish(a, "t", "1", Q2);
    rig.publish(a, "t", "2", Q2);
    let sent = ids(&rig.got(b));
    rig.send(b, &[pubrec(sent[0])]);
    rig.cut(b);
    let c = members(&mut rig, &["c"], "$share/g/t", Q2)[0];
    rig.wait_ms(1_000);
    assert_eq!(rig.said(c), [""; 0]);
    let b = rig.connect_kept("b");
    assert_eq!(rig.said(b), [&format!("PUBREL {}", sent[0]), "t=2@2*"]);
    rig.send(b, &[pubcomp(sent[0]), pubrec(sent[1]), pubcomp(sent[1])]);
    rig.keeps_only_retained(0);
}

// [MQTT5-4.8.2-5]
fn an_exchange_ends_with_its_member<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "$share/g/t", Q2);
    rig.publish(a, "t", "1", Q2);
    assert_eq!(rig.said(b), ["t=1@2"]);
    let c = members(&mut rig, &["c"], "$share/g/t", Q2)[0];
    rig.cut(b);
    rig.wait_ms(1_000);
    assert_eq!(rig.said(c), [""; 0]);
    rig.keeps_only_retained(0);
}

fn a_group_gets_no_retained_messages<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    rig.retain(a, "t", "x", Q1);
    rig.subscribe(a, "$share/g/t", Q1);
    rig.subscribe(a, "$share/g/#", Q1);
    assert_eq!(rig.said(a), [""; 0]);
}

/// They come and go, and each message finds one that is there.
fn members_come_and_go<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let names = ["b", "c", "d", "e"];
    let mut here: Vec<(&str, Raw)> = Vec::new();
    for round in 0..40 {
        let name = names[round * 7 % 4];
        match here.iter().position(|(one, _)| *one == name) {
            Some(at) if here.len() > 1 => {
                let (_, raw) = here.remove(at);
                if round % 2 == 0 { rig.cut(raw) } else { rig.leave(raw) }
            }
            Some(_) => {}
            None => {
                let raw = rig.connect(name);
                rig.subscribe(raw, "$share/g/t/#", Q1);
                here.push((name, raw));
            }
        }
        rig.publish(a, "t/1", "x", Q1);
        let got: Vec<_> = here.iter().flat_map(|(_, raw)| rig.receive(*raw)).collect();
        assert_eq!(got, ["t/1=x@1"], "round {round}");
    }
}

on_every_kind! {
    EVERY => each_message_goes_to_one_member, the_members_own_qos_holds,
        groups_do_not_share_with_each_other, members_that_are_there_come_first,
        the_same_name_with_another_filter_is_another_group,
        an_exchange_is_completed_with_its_member, an_exchange_ends_with_its_member,
        a_group_gets_no_retained_messages, members_come_and_go;
    [V5] => what_a_member_refuses_goes_to_nobody;
}

/// How far a client's window is open is not known at peers.
mod of_one {
    use super::*;

    on_both_storages! {
        EVERY => a_member_that_can_not_take_more_is_passed_by;
    }
}
