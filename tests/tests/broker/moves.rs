//! What a session has with it when it moves, and what it leaves behind.

use std::num::NonZeroU16;

use crate::support::*;

/// A client that takes one message at a time connects to a broker.
fn connect_narrow(rig: &mut Rig<Heap>, place: usize) -> Raw {
    let list = [Property::SessionExpiryInterval(3_600), Property::ReceiveMaximum(NonZeroU16::MIN)];
    let connect = Connect { properties: Properties::new(&list), ..kept(V5, "a") };
    rig.at(place).connect_with(connect).0
}

/// What is retained is still on its way, and some of it has come as any other message.
// [MQTT5-3.3.1-9, MQTT5-4.3.3-10]
#[test]
fn what_was_retained_comes_once_though_the_client_moves() {
    let mut rig = Rig::joined(V5, 1);
    let b = rig.at(2).connect("b");
    for name in ["t/1", "t/2", "t/3", "t/4"] {
        rig.retain(b, name, "old", Q2);
    }
    let a = connect_narrow(&mut rig, 0);
    rig.subscribe(a, "t/+", Q2);
    rig.retain(b, "t/3", "new", Q2);
    for place in [1, 2] {
        connect_narrow(&mut rig, place);
    }
    let a = connect_narrow(&mut rig, 0);
    let mut said = rig.receive(a);
    said.iter_mut().for_each(|words| *words = words.replace('*', ""));
    said.sort();
    assert_eq!(said, ["t/1=old@2!", "t/2=old@2!", "t/3=new@2", "t/4=old@2!"]);
}

/// It was sent to a member that is gone, and the other members are elsewhere.
// [MQTT5-4.8.2-4]
#[test]
fn what_a_group_is_owed_goes_to_members_elsewhere() {
    let mut rig = Rig::joined(V5, 1);
    let (a, b) = (rig.at(0).connect("a"), rig.at(1).connect("b"));
    rig.subscribe(a, "$share/g/t", Q1);
    rig.publish(b, "t", "x", Q1);
    assert_eq!(rig.said(a), ["t=x@1"]);
    rig.subscribe(b, "$share/g/t", Q1);
    rig.cut(a); // and its session ends
    assert_eq!(rig.receive(b), ["t=x@1"]);
    rig.keeps_only_retained(0);
}
