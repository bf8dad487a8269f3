//! Loops of one process: a connection goes to the loop that has its session.

use tamtam_core::broker::PeerId;

use crate::support::*;

/// Three loops of one process.
fn rig() -> Rig<Heap> {
    let mut rig = Rig::joined(V5, 1);
    make_near(&mut rig);
    rig
}

fn make_near(rig: &mut Rig<Heap>) {
    for at in 0..3 {
        for other in 1..=3 {
            rig.broker_at(at).set_peer_near(PeerId(other), true);
        }
    }
}

/// A client connects to a loop, with packets behind its CONNECT.
fn begin(rig: &mut Rig<Heap>, place: usize, connect: Connect<'_>, behind: &[Packet<'_>]) -> Raw {
    let raw = rig.at(place).open();
    let mut packets = vec![Packet::Connect(connect)];
    packets.extend_from_slice(behind);
    assert_eq!(rig.hand_in(raw, &bytes(V5, &packets)), Input::Blocked);
    raw
}

/// Does what the host is told to do: hands a connection over. The new one, if there is one.
fn hand_over(rig: &mut Rig<Heap>, place: usize, raw: Raw) -> Option<Raw> {
    let link = rig.link(raw);
    let to = rig.events().into_iter().find_map(|event| match event {
        Event::MoveTo { link: moved, peer } if moved == link => Some(peer),
        _ => None,
    })?;
    let mut input = rig.broker_at(place).moved_input(link).to_vec();
    input.extend_from_slice(rig.unread(raw));
    rig.cut(raw);
    let raw = rig.at(to.0 as usize - 1).open();
    assert_eq!(rig.hand_in(raw, &input), Input::More);
    Some(raw)
}

// [MQTT5-3.1.4-3]
#[test]
fn a_connection_goes_to_the_loop_that_has_its_session() {
    let mut rig = rig();
    let old = rig.at(0).connect_kept("a");
    rig.subscribe(old, "t", Q1);
    let b = rig.at(2).connect("b");
    let before = rig.carried();
    let behind = [Packet::PingReq, message("t", "x", Q1, 1)];
    let new = begin(&mut rig, 1, kept(V5, "a"), &behind);
    assert!(!rig.is_closed(old), "nothing is taken over before it is there");
    let new = hand_over(&mut rig, 1, new).expect("it is to be handed over");
    assert_eq!(rig.carried() - before, 4, "two questions, two answers");
    assert_eq!(rig.said(old), ["DISCONNECT 8E"]);
    let got = rig.got(new);
    let said: Vec<_> = got.iter().map(words).collect();
    assert_eq!(said, ["CONNACK", "PINGRESP", "t=x@1", "PUBACK 1"]);
    assert!(matches!(got[0], Packet::ConnAck(ConnAck { session_present: true, .. })));
    rig.publish(b, "t", "y", Q1);
    rig.send(new, &[puback(ids(&got)[0])]);
    assert_eq!(rig.receive(new), ["t=y@1"]);
    assert_eq!((rig.session_count(), rig.subscription_count()), (2, 1));
}

/// The host knows where it belongs, and says so when it is asked.
#[test]
fn a_host_may_say_where_a_client_belongs() {
    let mut rig = rig();
    rig.asking();
    make_near(&mut rig);
    let raw = begin(&mut rig, 1, kept(V5, "a"), &[Packet::PingReq]);
    let answer = |rig: &mut Rig<Heap>, place: usize, verdict| {
        let asked = rig.events().into_iter().find_map(|event| match event {
            Event::Ask(ask) => Some(ask),
            _ => None,
        });
        let (ask, now) = (asked.expect("a question"), rig.now);
        rig.broker_at(place).answer(ask, verdict, now);
    };
    answer(&mut rig, 1, Verdict::MoveTo(PeerId(3)));
    let link = rig.link(raw);
    let told: Vec<_> = std::iter::from_fn(|| rig.broker_at(1).poll_event()).collect();
    assert_eq!(told, [Event::MoveTo { link, peer: PeerId(3) }]);
    let mut input = rig.broker_at(1).moved_input(link).to_vec();
    input.extend_from_slice(rig.unread(raw));
    rig.cut(raw);
    assert_eq!(rig.broker_at(1).moved_input(link), b"", "it is over here");
    let raw = rig.at(2).open();
    assert_eq!(rig.hand_in(raw, &input), Input::Blocked);
    answer(&mut rig, 2, Verdict::Accept(Acceptance::default()));
    rig.turn();
    assert_eq!(rig.said(raw), ["CONNACK", "PINGRESP"]);
    assert_eq!((rig.session_count(), rig.broker_at(2).session_count()), (1, 1));
}

/// Or the session comes, where the connection can't go.
#[test]
fn what_can_t_be_handed_over_is_not() {
    // It is on another machine.
    let mut rig = Rig::joined(V5, 1);
    rig.at(0).connect_kept("a");
    let new = rig.at(1).connect_kept("a");
    assert_eq!(hand_over(&mut rig, 1, new), None);
    assert_eq!(rig.broker_at(1).session_count(), 1);
    // It is a client of the host's.
    make_near(&mut rig);
    let now = rig.now;
    let attached = rig.broker_at(2).attach(&kept(V5, "a"), Acceptance::default(), now);
    rig.turn();
    assert_eq!(rig.broker_at(2).client_of(attached.expect("room")), Some(&b"a"[..]));
    assert!(rig.is_closed(new));
    assert_eq!(rig.session_count(), 1);
    // The peer is lost meanwhile.
    rig.hold(true);
    let raw = begin(&mut rig, 0, kept(V5, "a"), &[]);
    rig.part(0, 2);
    rig.hold(false);
    assert_eq!(rig.said(raw), ["CONNACK"]);
}
