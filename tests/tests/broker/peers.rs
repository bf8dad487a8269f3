//! Brokers that are one: what clients see of it, and what becomes of them when brokers part.

use tamtam_core::broker::PeerLost;

use crate::support::*;

const POLICIES: [PeerLost; 3] = [PeerLost::Keep, PeerLost::Wait, PeerLost::Forget];

fn rig() -> Rig<Heap> {
    Rig::joined(V5, 1)
}

fn connect_at(rig: &mut Rig<Heap>, place: usize, name: &str) -> Raw {
    rig.at(place).connect_kept(name)
}

/// A client's CONNECT arrives; the answer may come later.
fn begin_at(rig: &mut Rig<Heap>, place: usize, name: &str) -> Raw {
    let raw = rig.at(place).open();
    let _ = rig.hand_in(raw, &bytes(V5, &[Packet::Connect(kept(V5, name))]));
    raw
}

fn publish_packet(rig: &mut Rig<Heap>, raw: Raw, payload: &str, qos: QoS) -> u16 {
    let number = rig.next_id(raw).get();
    rig.send(raw, &[message("t", payload, qos, number)]);
    number
}

fn subscribe_packet(rig: &mut Rig<Heap>, raw: Raw, name: &str) {
    let list = [sub(name).qos(Q2)];
    let (packet_id, properties) = (rig.next_id(raw), Properties::EMPTY);
    let packet = Subscribe { packet_id, properties, subscriptions: Items::from(&list) };
    rig.send(raw, &[Packet::Subscribe(packet)]);
}

fn unsubscribe_packet(rig: &mut Rig<Heap>, raw: Raw, name: &str) {
    let list = [filter(name)];
    let (packet_id, properties) = (rig.next_id(raw), Properties::EMPTY);
    let packet = Unsubscribe { packet_id, properties, filters: Items::from(&list) };
    rig.send(raw, &[Packet::Unsubscribe(packet)]);
}

#[test]
fn a_subscription_is_answered_once_peers_know_it() {
    let mut rig = rig();
    let (a, b) = (connect_at(&mut rig, 0, "a"), connect_at(&mut rig, 1, "b"));
    let c = connect_at(&mut rig, 0, "c");
    rig.hold(true);
    subscribe_packet(&mut rig, a, "t");
    // So it is for who asks for the same while they don't.
    subscribe_packet(&mut rig, c, "t");
    assert_eq!((rig.said(a), rig.said(c)), (vec![], vec![]));
    rig.hold(false);
    assert_eq!((rig.said(a), rig.said(c)), (vec!["SUBACK".into()], vec!["SUBACK".into()]));
    rig.publish(b, "t", "x", Q1);
    assert_eq!(rig.receive(a), ["t=x@1"]);
    let d = connect_at(&mut rig, 0, "d");
    let before = rig.carried();
    rig.subscribe(d, "t", Q1);
    assert_eq!(rig.carried(), before, "they know");
}

#[test]
fn a_message_is_acknowledged_once_peers_have_it() {
    for qos in [Q1, Q2] {
        let mut rig = rig();
        let (a, b) = (connect_at(&mut rig, 0, "a"), connect_at(&mut rig, 1, "b"));
        rig.subscribe(b, "t", Q2);
        rig.hold(true);
        let number = publish_packet(&mut rig, a, "x", qos);
        assert_eq!((rig.said(a), rig.said(b)), (vec![], vec![]));
        if qos == Q2 {
            // One that repeats it waits for the same, on a new connection too.
            rig.cut(a);
            let a = connect_at(&mut rig, 0, "a");
            rig.send(a, &[again("t", "x", qos, number)]);
            assert_eq!(rig.said(a), [""; 0]);
            rig.hold(false);
            assert_eq!(rig.said(a), [format!("PUBREC {number}")]);
        } else {
            rig.hold(false);
            assert_eq!(rig.said(a), [format!("PUBACK {number}")]);
        }
        assert_eq!(rig.receive(b).len(), 1, "once");
    }
}

#[test]
fn a_message_takes_no_more_ways_than_it_needs() {
    let mut rig = rig();
    let (a, b) = (connect_at(&mut rig, 0, "a"), connect_at(&mut rig, 1, "b"));
    rig.subscribe(b, "t", Q1);
    let before = rig.carried();
    rig.publish(a, "t", "x", Q1);
    assert_eq!(rig.carried() - before, 2, "a message, and its confirmation");
    rig.publish(a, "u", "x", Q1);
    rig.publish(b, "t", "x", Q1);
    assert_eq!(rig.carried() - before, 2, "nobody there wants it");
}

#[test]
fn what_is_for_a_lost_peer_may_be_dropped() {
    let mut rig = rig();
    rig.restart_with(PeerLost::Forget, Options::DEFAULT);
    let (a, b) = (connect_at(&mut rig, 0, "a"), connect_at(&mut rig, 1, "b"));
    rig.subscribe(b, "t", Q1);
    rig.hold(true);
    let number = publish_packet(&mut rig, a, "1", Q1);
    rig.part(0, 1);
    assert_eq!(rig.said(a), [format!("PUBACK {number}")]);
    assert_eq!(rig.counters().dropped_peers, 1);
    assert_eq!(rig.publish(a, "t", "2", Q1), ReasonCode::NoMatchingSubscribers);
    rig.hold(false);
    rig.meet(0, 1);
    rig.publish(a, "t", "3", Q1);
    assert_eq!(rig.receive(b), ["t=3@1"]);
}

/// By policy, they are kept for it, and acknowledgements wait or not.
#[test]
fn a_lost_peer_gets_what_is_kept_for_it_when_it_is_there_again() {
    for (lost, waits) in [(PeerLost::Keep, false), (PeerLost::Wait, true)] {
        let mut rig = rig();
        rig.restart_with(lost, Options::DEFAULT);
        let (a, b) = (connect_at(&mut rig, 0, "a"), connect_at(&mut rig, 1, "b"));
        rig.subscribe(b, "t", Q2);
        rig.hold(true);
        let first = publish_packet(&mut rig, a, "1", Q1);
        rig.part(0, 1);
        rig.hold(false);
        let second = publish_packet(&mut rig, a, "2", Q2);
        publish_packet(&mut rig, a, "3", Q0);
        let answers = [format!("PUBACK {first}"), format!("PUBREC {second}")];
        assert_eq!(rig.said(a), if waits { &[][..] } else { &answers[..] });
        assert_eq!(rig.said(b), [""; 0]);
        rig.meet(0, 1);
        assert_eq!(rig.said(a), if waits { &answers[..] } else { &[][..] });
        assert_eq!(rig.receive(b), ["t=1@1", "t=2@2"]);
        assert_eq!(rig.counters().dropped_peers, 1, "at QoS 0 nothing is kept");
    }
}

/// It had them already: only its word was lost.
#[test]
fn what_a_lost_peer_had_it_does_not_get_twice() {
    for lost in [PeerLost::Keep, PeerLost::Wait] {
        let mut rig = rig();
        rig.restart_with(lost, Options::DEFAULT);
        let (a, b) = (connect_at(&mut rig, 0, "a"), connect_at(&mut rig, 1, "b"));
        rig.subscribe(b, "t", Q2);
        for _ in 0..20 {
            rig.hold(true);
            let number = publish_packet(&mut rig, a, "x", Q2);
            rig.carry_one();
            rig.part(0, 1);
            rig.hold(false);
            assert_eq!(rig.receive(b), ["t=x@2"]);
            rig.meet(0, 1);
            assert_eq!(rig.receive(b), [""; 0]);
            assert_eq!(rig.said(a), [format!("PUBREC {number}")]);
            rig.send(a, &[pubrel(number)]);
            assert_eq!(rig.said(a), [format!("PUBCOMP {number}")]);
        }
    }
}

#[test]
fn retained_messages_are_everywhere_and_the_last_one_holds() {
    for lost in POLICIES {
        let mut rig = rig();
        rig.restart_with(lost, Options::DEFAULT);
        let (a, b) = (connect_at(&mut rig, 0, "a"), connect_at(&mut rig, 1, "b"));
        for name in ["t/1", "t/2", "t/3"] {
            rig.retain(a, name, "old", Q1);
        }
        rig.part(0, 1);
        rig.part(0, 2);
        let says = |rig: &mut Rig<Heap>, raw, name, payload| {
            let publish = Publish::new(topic(name), payload);
            rig.send(raw, &[Packet::Publish(Publish { retain: true, ..publish })]);
        };
        says(&mut rig, a, "t/1", b"a");
        says(&mut rig, b, "t/1", b"b");
        says(&mut rig, b, "t/1", b"b again");
        says(&mut rig, a, "t/2", b"");
        says(&mut rig, b, "t/4", b"new");
        rig.meet(0, 2);
        rig.meet(0, 1);
        for place in 0..3 {
            let c = connect_at(&mut rig, place, "c");
            rig.subscribe(c, "t/+", Q0);
            let mut said = rig.said(c);
            said.sort();
            assert_eq!(said, ["t/1=b again!", "t/3=old!", "t/4=new!"], "at {place}, {lost:?}");
            rig.unsubscribe(c, &["t/+"]);
        }
    }
}

#[test]
fn brokers_that_join_tell_what_they_have() {
    let mut rig = rig();
    for (one, other) in [(0, 1), (1, 2), (0, 2)] {
        rig.part(one, other);
    }
    let (a, b) = (connect_at(&mut rig, 0, "a"), connect_at(&mut rig, 1, "b"));
    rig.subscribe(b, "t/#", Q1);
    rig.publish_with(a, Q0, Publish { retain: true, ..Publish::new(topic("t/1"), b"x") });
    assert_eq!(rig.said(b), [""; 0]);
    for (one, other) in [(0, 1), (1, 2), (0, 2)] {
        rig.meet(one, other);
    }
    rig.publish(a, "t/2", "y", Q1);
    assert_eq!(
        rig.receive(b),
        ["t/1=x", "t/2=y@1"],
        "what is retained is kept for those who were lost"
    );
    let c = connect_at(&mut rig, 2, "c");
    rig.subscribe(c, "t/1", Q0);
    assert_eq!(rig.said(c), ["t/1=x!"]);
}

// [MQTT5-3.1.4-3, MQTT3-3.1.4-2]
#[test]
fn a_client_that_connects_elsewhere_takes_its_session_along() {
    for version in EVERY {
        let mut rig = Rig::joined(version, 1);
        let b = rig.at(0).connect("b");
        let old = connect_at(&mut rig, 1, "a");
        rig.subscribe_all(old, &[sub("t"), sub("u/#").qos(Q1)], 0);
        rig.publish(b, "t", "1", Q1);
        rig.publish(b, "t", "2", Q2);
        let sent = ids(&rig.got(old));
        rig.send(old, &[pubrec(sent[1]), message("x", "y", Q2, 9)]);
        rig.got(old);
        let (new, connack) = rig.at(2).connect_with(kept(version, "a"));
        assert_eq!(connack.session_present, version != V31);
        assert_eq!(rig.said(old), if version == V5 { &["DISCONNECT 8E"][..] } else { &[] });
        assert!(rig.is_closed(old));
        let got = rig.got(new);
        let said: Vec<_> = got.iter().map(words).collect();
        assert_eq!(said, [&format!("PUBREL {}", sent[1]), "t=1@1*"]);
        assert_eq!(ids(&got), [sent[0]]);
        rig.send(new, &[puback(sent[0]), pubcomp(sent[1]), again("x", "y", Q2, 9), pubrel(9)]);
        assert_eq!(rig.said(new), ["PUBREC 9", "PUBCOMP 9"], "and was not published again");
        rig.publish(b, "u/1", "3", Q1);
        assert_eq!(rig.receive(new), ["u/1=3@1"]);
        assert_eq!((rig.session_count(), rig.subscription_count()), (2, 2));
        rig.keeps_only_retained(0);
    }
}

/// Of those that connect at the same time at different brokers, one stays.
#[test]
fn connections_at_once_do_not_all_stay() {
    for seed in 0..40 {
        let mut rig = Rig::joined(V5, seed);
        let first = connect_at(&mut rig, 0, "a");
        rig.subscribe(first, "t", Q1);
        rig.hold(true);
        let raws: Vec<_> = (0..3).map(|place| begin_at(&mut rig, place, "a")).collect();
        rig.hold(false);
        let open: Vec<_> = raws.iter().filter(|raw| !rig.is_closed(**raw)).copied().collect();
        assert_eq!(open.len(), 1, "seed {seed}");
        assert_eq!((rig.session_count(), rig.subscription_count()), (1, 1), "seed {seed}");
        let b = rig.connect("b");
        rig.publish(b, "t", "x", Q1);
        assert_eq!(rig.receive(open[0]), ["CONNACK", "t=x@1"], "seed {seed}");
    }
}

#[test]
fn a_claim_does_not_wait_for_a_peer_that_is_lost() {
    let mut rig = rig();
    rig.hold(true);
    let a = begin_at(&mut rig, 0, "a");
    rig.part(0, 1);
    assert_eq!(rig.said(a), [""; 0]);
    rig.part(0, 2);
    assert_eq!(rig.said(a), ["CONNACK"]);
}

/// A session that was on its way to a peer that is lost is not lost with it.
#[test]
fn a_session_that_does_not_arrive_stays() {
    let mut rig = rig();
    let old = connect_at(&mut rig, 0, "a");
    rig.subscribe(old, "t", Q1);
    rig.part(1, 2);
    rig.hold(true);
    let new = begin_at(&mut rig, 1, "a");
    while !rig.is_closed(old) {
        rig.carry_one(); // the claim arrives; the session does not
    }
    rig.part(0, 1);
    rig.hold(false);
    assert_eq!(rig.said(new), ["CONNACK"], "a new one");
    assert_eq!((rig.session_count(), rig.subscription_count()), (2, 1));
    // Who has it since later keeps it.
    rig.meet(0, 1);
    assert_eq!((rig.session_count(), rig.subscription_count()), (1, 0));
    assert!(!rig.is_closed(new));
}

#[test]
fn who_is_connected_twice_while_brokers_are_apart_is_not_afterwards() {
    let mut rig = rig();
    rig.part(0, 1);
    let old = connect_at(&mut rig, 0, "a");
    rig.part(1, 2);
    let new = connect_at(&mut rig, 1, "a");
    assert!(!rig.is_closed(old) && !rig.is_closed(new));
    rig.meet(0, 1);
    assert!(rig.is_closed(old) != rig.is_closed(new), "one of them stays");
    assert_eq!(rig.session_count(), 1);
}

/// Of two sessions that a client had while brokers were apart, it goes on with the one that it
/// connected to last, wherever it connects as soon as they meet.
#[test]
fn the_session_that_was_connected_to_last_holds() {
    for (place, later) in [(0, 1), (1, 0), (0, 0), (1, 1), (2, 0), (2, 1)] {
        let mut rig = rig();
        let b = rig.at(2).connect("b");
        rig.part(0, 1);
        let earlier = 1 - later;
        rig.part(0, 2);
        rig.part(1, 2);
        for at in [earlier, later] {
            let a = connect_at(&mut rig, at, "a");
            rig.subscribe(a, &format!("t/{at}"), Q1);
            rig.cut(a);
            rig.wait_ms(10);
        }
        rig.hold(true);
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            rig.meet(one, other);
        }
        let a = begin_at(&mut rig, place, "a");
        rig.hold(false);
        assert_eq!((rig.session_count(), rig.subscription_count()), (2, 1));
        assert_eq!(rig.said(a), ["CONNACK"]);
        rig.publish(b, &format!("t/{later}"), "x", Q1);
        assert_eq!(rig.receive(a), [format!("t/{later}=x@1")], "at {place}, {later}");
    }
}

// [MQTT5-3.1.3-9]
#[test]
fn a_delayed_will_is_not_published_if_the_client_is_back_elsewhere() {
    let mut rig = rig();
    let b = rig.at(2).connect("b");
    rig.subscribe(b, "w", Q1);
    let list = [Property::WillDelayInterval(5)];
    let delayed = Will { properties: Properties::new(&list), ..will("w", "gone") };
    let first = Connect { will: Some(delayed), ..kept(V5, "a") };
    let (a, _) = rig.at(0).connect_with(first);
    rig.cut(a);
    rig.wait_ms(3_000);
    rig.at(1).connect_with(first);
    rig.wait_ms(10_000);
    assert_eq!(rig.receive(b), [""; 0]);
    // The end of the session does not wait for the delay.
    rig.at(0).connect_with(Connect { clean_start: true, ..kept(V5, "a") });
    assert_eq!(rig.receive(b), ["w=gone@1"]);
    rig.keeps_only_retained(0);
}

// [MQTT5-3.8.3-3]
#[test]
fn no_local_holds_though_the_client_moved() {
    let mut rig = rig();
    let a = connect_at(&mut rig, 0, "a");
    rig.subscribe_with(a, Subscription { no_local: true, ..sub("t").qos(Q1) });
    let b = connect_at(&mut rig, 2, "b");
    rig.subscribe(b, "t", Q1);
    let a = connect_at(&mut rig, 1, "a");
    rig.publish(a, "t", "x", Q1);
    assert_eq!((rig.receive(a), rig.receive(b)), (vec![], vec!["t=x@1".into()]));
}

/// Nor does what comes by way of the place where it was.
// [MQTT5-3.8.3-3]
#[test]
fn no_local_holds_while_the_client_moves() {
    let mut rig = rig();
    let a = connect_at(&mut rig, 0, "a");
    rig.subscribe_with(a, Subscription { no_local: true, ..sub("t").qos(Q1) });
    for to in [1, 2, 0, 1] {
        rig.hold(true);
        let a = begin_at(&mut rig, to, "a");
        while rig.said(a) != ["CONNACK"] {
            rig.carry_one();
        }
        let number = publish_packet(&mut rig, a, "x", Q1);
        rig.hold(false);
        assert_eq!(rig.said(a), [format!("PUBACK {number}")], "at {to}");
    }
}

/// The last member leaves while a message for the group is on its way: another one gets it, here
/// or elsewhere, if there is one.
#[test]
fn a_group_without_members_at_a_peer_is_served_elsewhere() {
    for there in [0, 2] {
        let mut rig = rig();
        let (a, b) = (connect_at(&mut rig, 0, "a"), connect_at(&mut rig, 1, "b"));
        let c = connect_at(&mut rig, there, "c");
        rig.subscribe(b, "$share/g/t", Q1);
        rig.hold(true);
        let number = publish_packet(&mut rig, a, "x", Q1);
        unsubscribe_packet(&mut rig, b, "$share/g/t");
        rig.hold(false);
        assert_eq!(rig.said(a), [format!("PUBACK {number}")], "though nobody is left");
        // Another member is there: the first one gets the message before it has served any.
        rig.subscribe(b, "$share/g/t", Q1);
        rig.subscribe(c, "$share/g/t", Q1);
        rig.got(b);
        for round in 0..2 {
            rig.hold(true);
            let number = publish_packet(&mut rig, a, "y", Q1);
            if round == 0 {
                unsubscribe_packet(&mut rig, b, "$share/g/t");
            }
            rig.hold(false);
            rig.got(b);
            assert_eq!(rig.receive(c), ["t=y@1"], "at {there}");
            assert_eq!(rig.said(a), [format!("PUBACK {number}")]);
        }
    }
}

/// What waits for a group goes to a member at a peer once they can reach each other.
#[test]
fn what_waits_for_a_group_goes_on_when_peers_meet() {
    for lost in POLICIES {
        let mut rig = rig();
        rig.restart_with(lost, Options::DEFAULT);
        let a = connect_at(&mut rig, 0, "a");
        let b = connect_at(&mut rig, 0, "b");
        rig.subscribe(b, "$share/g/t", Q2);
        rig.cut(b);
        for qos in [Q1, Q2] {
            rig.publish(a, "t", "x", qos);
        }
        rig.part(0, 1);
        let c = connect_at(&mut rig, 1, "c");
        rig.subscribe(c, "$share/g/t", Q2);
        assert_eq!(rig.said(c), [""; 0]);
        rig.meet(0, 1);
        assert_eq!(rig.receive(c), ["t=x@1", "t=x@2"], "{lost:?}");
        // The last member here leaves, and another one is away elsewhere.
        rig.cut(c);
        rig.publish(a, "t", "y", Q1);
        let b = connect_at(&mut rig, 0, "b");
        let mut got = rig.receive(b);
        let c = connect_at(&mut rig, 1, "c");
        got.extend(rig.receive(c));
        assert_eq!(got, ["t=y@1"], "{lost:?}");
        rig.keeps_only_retained(0);
    }
}

/// The store of the broker that has the subscriber has a say.
#[test]
fn an_acknowledgement_stands_on_the_stores_of_all() {
    let mut rig = rig();
    rig.restart(Options { store: true, ..Options::DEFAULT });
    let a = rig.at(0).connect("a");
    let b = begin_at(&mut rig, 1, "b");
    rig.persist();
    assert_eq!(rig.said(b), ["CONNACK"]);
    subscribe_packet(&mut rig, b, "t");
    assert_eq!(rig.said(b), [""; 0]);
    rig.persist();
    assert_eq!(rig.said(b), ["SUBACK"]);
    for qos in [Q1, Q2] {
        let number = publish_packet(&mut rig, a, "x", qos);
        assert_eq!(rig.said(a), [""; 0]);
        rig.persist();
        let kind = if qos == Q1 { "PUBACK" } else { "PUBREC" };
        assert_eq!(rig.said(a), [format!("{kind} {number}")]);
    }
    // A session that moves is kept where it was, and where it goes.
    let b = begin_at(&mut rig, 2, "b");
    assert_eq!(rig.said(b), [""; 0]);
    rig.persist();
    assert_eq!(rig.said(b), ["CONNACK", "t=x@1*", "t=x@2*"]);
}
