//! SUBSCRIBE and what answers it.

use crate::support::*;

const REFUSED: ReasonCode = ReasonCode::UnspecifiedError;

// [MQTT5-3.8.4-1, MQTT5-3.8.4-2, MQTT5-3.8.4-5, MQTT5-3.8.4-6, MQTT5-3.8.4-7, MQTT5-3.9.3-1]
// [MQTT5-2.2.1-6, MQTT3-2.3.1-7, MQTT5-3.9.2-1, MQTT5-3.9.2-2, MQTT5-3.1.2-29]
// [MQTT3-3.8.4-1, MQTT3-3.8.4-2, MQTT3-3.8.4-4, MQTT3-3.8.4-5, MQTT3-3.9.3-1]
fn each_filter_has_its_code_in_order<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let list = [
        sub("a").qos(Q1),
        sub("b").qos(Q0),
        sub("c").qos(Q2),
        sub("b").qos(Q2),
        sub("d/#").qos(Q1),
    ];
    let packet_id = id(0xABCD);
    let (properties, subscriptions) = (Properties::EMPTY, Items::from(&list));
    rig.send(a, &[Packet::Subscribe(Subscribe { packet_id, properties, subscriptions })]);
    let [Packet::SubAck(suback)] = rig.got(a)[..] else { panic!("not one SUBACK") };
    assert_eq!((suback.packet_id, suback.properties), (packet_id, Properties::EMPTY));
    let codes: Vec<_> = suback.codes.iter().map(ReasonCode::as_byte).collect();
    assert_eq!(codes, [1, 0, 2, 2, 1]);
    assert_eq!(rig.subscription_count(), 4);
    rig.publish(a, "b", "x", Q2);
    assert_eq!(rig.receive(a), ["b=x@2"], "as if the second had come in a packet of its own");
}

// [MQTT5-3.8.4-6, MQTT5-3.8.4-7, MQTT3-3.8.4-5, MQTT3-3.8.3-2]
fn what_is_not_to_be_had_is_refused_alone<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { wildcards: false, shared: false, levels: 3, ..Options::DEFAULT });
    let a = rig.connect("a");
    let list = ["t", "+", "a/#", "$share/g/t", "a/b/c/d", "a/b/c"].map(|one| sub(one).qos(Q1));
    let codes = rig.subscribe_all(a, &list, 0);
    let granted = ReasonCode::GrantedQoS1;
    let expected = match rig.version {
        V5 => {
            let wildcard = ReasonCode::WildcardSubscriptionsNotSupported;
            let shared = ReasonCode::SharedSubscriptionsNotSupported;
            [granted, wildcard, wildcard, shared, ReasonCode::TopicFilterInvalid, granted]
        }
        // 3.1 has no code for it: granted, and nothing is delivered.
        V31 => {
            let nothing = ReasonCode::GRANTED_QOS_0;
            [granted, nothing, nothing, nothing, nothing, granted]
        }
        _ => [granted, REFUSED, REFUSED, REFUSED, REFUSED, granted],
    };
    assert_eq!(codes, expected);
    assert_eq!(rig.subscription_count(), 2);
    rig.publish(a, "x", "1", Q1);
    rig.publish(a, "t", "2", Q1);
    assert_eq!(rig.receive(a), ["t=2@1"]);
}

// [MQTT5-3.2.2-9, MQTT5-3.2.2-10, MQTT5-3.8.4-7]
fn a_subscription_is_granted_as_far_as_may_be<S: Storage>(mut rig: Rig<S>) {
    for (most, granted) in [(Q0, [0, 0, 0]), (Q1, [0, 1, 1]), (Q2, [0, 1, 2])] {
        rig.restart(Options { maximum_qos: most, ..Options::DEFAULT });
        let (a, connack) = rig.connect_with(hello(rig.version, "a"));
        if rig.version == V5 {
            let told = connack.properties.maximum_qos();
            assert_eq!(told, (most != Q2).then_some(most));
        }
        let list = QOS.map(|qos| sub("t").qos(qos));
        let codes = rig.subscribe_all(a, &list, 0);
        let codes: Vec<_> = codes.into_iter().map(ReasonCode::as_byte).collect();
        assert_eq!(codes, granted);
        rig.broker.publish(topic("t"), b"x", Q2, false, rig.now);
        rig.turn();
        let qos = ["t=x", "t=x@1", "t=x@2"][usize::from(most.level())];
        assert_eq!(rig.receive(a), [qos]);
    }
}

/// What is published above the maximum is the end of the connection.
fn nobody_publishes_above_the_maximum<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { maximum_qos: Q0, retain: false, ..Options::DEFAULT });
    let told = |reason: &str| -> Vec<String> {
        if rig.version == V5 { vec![format!("DISCONNECT {reason}")] } else { vec![] }
    };
    let (qos, retain) = (told("9B"), told("9A"));
    for number in [1, 2] {
        let a = rig.connect("a");
        rig.send_last(a, &[message("t", "x", QOS[usize::from(number)], number)]);
        assert_eq!(rig.said(a), qos);
    }
    let a = rig.connect("a");
    let publish = Publish { retain: true, ..Publish::new(topic("t"), b"x") };
    rig.send_last(a, &[Packet::Publish(publish)]);
    assert_eq!(rig.said(a), retain);
    assert_eq!(rig.retained_count(), 0);
}

// [MQTT5-3.8.4-3, MQTT3-3.8.4-3]
fn the_same_filter_again_replaces_the_subscription<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect("b");
    rig.subscribe(b, "t/+", Q2);
    rig.subscribe(b, "t/+", Q0);
    rig.subscribe(b, "$share/g/t/+", Q2);
    rig.subscribe(b, "$share/g/t/+", Q1);
    assert_eq!(rig.subscription_count(), 2, "a shared one is another");
    rig.publish(a, "t/1", "x", Q2);
    let mut got = rig.receive(b);
    got.sort();
    assert_eq!(got, ["t/1=x", "t/1=x@1"]);
}

fn replacing_takes_the_new_options<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let all = Subscription { no_local: true, retain_as_published: true, ..sub("t").qos(Q2) };
    rig.subscribe_as(a, all, 7);
    rig.retain(a, "t", "1", Q2);
    assert_eq!(rig.got(a), []);
    rig.subscribe_as(a, Subscription { retain_handling: RetainHandling::DoNotSend, ..sub("t") }, 0);
    rig.retain(a, "t", "2", Q0);
    let publish = rig.message(a);
    assert_eq!((publish.retain, subscription_ids(&publish)), (false, vec![]));
    rig.subscribe_as(a, Subscription { retain_handling: RetainHandling::DoNotSend, ..all }, 8);
    let b = rig.connect("b");
    rig.retain(b, "t", "3", Q0);
    let publish = rig.message(a);
    assert_eq!((publish.retain, subscription_ids(&publish)), (true, vec![8]));
}

/// A replacement loses nothing that is on its way, and sends what is retained again.
// [MQTT5-3.8.4-4, MQTT3-3.8.4-3, MQTT5-3.3.1-9]
fn replacing_loses_nothing<S: Storage>(mut rig: Rig<S>) {
    let a = rig.connect("a");
    let b = rig.connect_kept("b");
    rig.retain(a, "t", "retained", Q1);
    rig.subscribe(b, "t", Q1);
    rig.publish(a, "t", "1", Q1);
    rig.subscribe_all(b, &[sub("t").qos(Q2)], 0);
    rig.publish(a, "t", "2", Q1);
    rig.cut(b);
    let b = rig.connect_kept("b");
    let expected = ["t=retained@1!*", "t=1@1*", "t=retained@1!*", "t=2@1*"];
    assert_eq!(rig.receive(b), expected);
}

/// The limit of a session is for what it does not have yet.
fn a_session_has_so_many_subscriptions<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { subscriptions_per_session: 2, ..Options::DEFAULT });
    let a = rig.connect("a");
    let list = ["t", "u", "v", "t"].map(|one| sub(one).qos(Q1));
    let codes = rig.subscribe_all(a, &list, 0);
    let refused = match rig.version {
        V5 => ReasonCode::QuotaExceeded,
        V31 => ReasonCode::GRANTED_QOS_0,
        _ => REFUSED,
    };
    let granted = ReasonCode::GrantedQoS1;
    assert_eq!(codes, [granted, granted, refused, granted]);
    rig.unsubscribe(a, &["u"]);
    rig.subscribe(a, "v", Q2);
}

/// An answer that is longer than what may wait for a connection is sent all the same.
#[test]
fn a_long_list_has_a_long_answer() {
    let mut rig = Rig::<Heap>::new(V5);
    rig.restart(Options { output_bytes: 100, ..Options::DEFAULT });
    let a = rig.connect("a");
    let names: Vec<_> = (0..1_000).map(|number| format!("t/{number}")).collect();
    let list: Vec<_> = names.iter().map(|name| sub(name)).collect();
    assert_eq!(rig.subscribe_all(a, &list, 0).len(), 1_000);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(rig.unsubscribe(a, &names), [ReasonCode::Success; 1_000]);
    // Behind something that waits it has to wait itself.
    rig.stall(a, true);
    rig.send(a, &[Packet::PingReq]);
    let (properties, subscriptions) = (Properties::EMPTY, Items::from(&list[..]));
    let packet = Packet::Subscribe(Subscribe { packet_id: id(1), properties, subscriptions });
    assert_eq!(rig.hand_in(a, &bytes(V5, &[packet, Packet::PingReq])), Input::Blocked);
    assert_eq!(rig.subscription_count(), 0);
    rig.stall(a, false);
    assert_eq!(rig.said(a), ["PINGRESP", "SUBACK", "PINGRESP"]);
    assert_eq!(rig.subscription_count(), 1_000);
}

/// A storage that can't answer does not begin to.
#[test]
fn a_list_that_can_not_be_answered_is_the_end() {
    let mut rig = Rig::<Hub>::new(V5);
    let other = rig.connect("other");
    let a = rig.connect("a");
    let list = [sub("t"); 200];
    let (properties, subscriptions) = (Properties::EMPTY, Items::from(&list));
    let packet = Packet::Subscribe(Subscribe { packet_id: id(1), properties, subscriptions });
    rig.send_last(a, &[packet]);
    assert_eq!(rig.said(a), ["DISCONNECT 97"]);
    let a = rig.connect("a");
    let list = [filter("t"); 200];
    let (properties, filters) = (Properties::EMPTY, Items::from(&list));
    let packet = Packet::Unsubscribe(Unsubscribe { packet_id: id(1), properties, filters });
    rig.send_last(a, &[packet]);
    assert_eq!(rig.said(a), ["DISCONNECT 97"]);
    rig.send(other, &[Packet::PingReq]);
    assert_eq!(rig.said(other), ["PINGRESP"]);
}

/// A client that takes no packet as large as the answer gets none, and is subscribed.
// [MQTT5-3.1.2-24]
fn an_answer_too_large_for_the_client_is_left_out<S: Storage>(mut rig: Rig<S>) {
    let size = core::num::NonZeroU32::new(40).expect("not 0");
    let list = [Property::MaximumPacketSize(size)];
    let connect = Connect { properties: Properties::new(&list), ..hello(V5, "a") };
    let (a, _) = rig.connect_with(connect);
    let list = [sub("t"); 50];
    let (properties, subscriptions) = (Properties::EMPTY, Items::from(&list));
    let packet = Packet::Subscribe(Subscribe { packet_id: id(1), properties, subscriptions });
    rig.send(a, &[packet, Packet::PingReq]);
    assert_eq!(rig.said(a), ["PINGRESP"]);
    rig.publish(a, "t", "x", Q0);
    assert_eq!(rig.said(a), ["t=x"]);
}

on_every_kind! {
    EVERY => each_filter_has_its_code_in_order, what_is_not_to_be_had_is_refused_alone,
        a_subscription_is_granted_as_far_as_may_be, nobody_publishes_above_the_maximum,
        the_same_filter_again_replaces_the_subscription, replacing_loses_nothing,
        a_session_has_so_many_subscriptions;
    [V5] => replacing_takes_the_new_options, an_answer_too_large_for_the_client_is_left_out;
}
