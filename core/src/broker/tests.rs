//! The queue of a session, step by step: what can't be seen from outside without 65,535 messages or
//! a store.

use std::vec::Vec;

use super::body::BodyId;
use super::delivery::Delivery;
use super::outgoing::{MAX_SPAN, Outgoing};
use crate::flow::send::{Owed, Seen};
use crate::types::{PacketId, QoS};

type Small = Outgoing<heapless::Deque<Delivery, 8>>;

fn delivery(body: u32, qos: QoS) -> Delivery {
    Delivery::new(BodyId(body), qos, false, 0)
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not 0")
}

/// A queue of so many messages at QoS 1, of which the first ones were sent.
fn queue(messages: u32, sent: usize) -> Small {
    let mut queue = Small::EMPTY;
    queue.set_limit(8);
    for body in 0..messages {
        queue.push(delivery(body, QoS::AtLeastOnce)).expect("room");
    }
    for _ in 0..sent {
        queue.send_next().expect("a message");
    }
    queue
}

fn bodies(queue: &Small) -> Vec<u32> {
    let all = (0..queue.len()).filter_map(|at| queue.at(at));
    all.filter(|one| one.owed != Owed::Nothing).map(|one| one.body.0).collect()
}

// [MQTT5-2.2.1-4, MQTT3-2.3.1-4]
#[test]
fn identifiers_are_found_where_they_begin_anew() {
    let mut queue = queue(0, 0);
    let mut last = 0;
    for round in 0..70_000_u32 {
        queue.push(delivery(round, QoS::AtLeastOnce)).expect("room");
        let number = queue.peek_id().map(PacketId::get);
        let given = queue.send_next().map(PacketId::get);
        assert_eq!(given, Some(if last == u16::MAX { 1 } else { last + 1 }));
        assert_eq!(number, given);
        last = given.unwrap_or_default();
        if queue.len() == 4 {
            // The first stays; those behind it are settled in any order.
            for back in [0, 2, 1] {
                let one = queue.at(3 - back).expect("a message");
                let (before, owed) =
                    queue.advance(id(one.packet_id()), Seen::PubAck).expect("it is on its way");
                assert_eq!((before.body, owed), (one.body, Owed::Nothing));
            }
            let first = queue.at(0).expect("a message").packet_id();
            queue.advance(id(first), Seen::PubAck).expect("it is on its way");
            while queue.pop_settled().is_some() {}
            assert_eq!(queue.len(), 0);
        }
    }
}

#[test]
fn what_was_not_sent_is_not_acknowledged() {
    let mut queue = queue(3, 1);
    for number in [2, 3, 4, u16::MAX] {
        assert!(queue.advance(id(number), Seen::PubAck).is_err(), "{number}");
    }
    queue.lose();
    assert!(queue.advance(id(1), Seen::PubAck).is_err(), "it has to go again first");
    assert!(queue.holds(id(1)) && !queue.holds(id(2)));
    assert_eq!(queue.send_next(), Some(id(1)));
    assert!(queue.advance(id(1), Seen::PubAck).is_ok());
}

/// Where no record knows their places, those before it move up.
#[test]
fn the_oldest_that_waits_makes_room() {
    let mut queue = queue(8, 3);
    assert!(queue.is_full() && queue.gives_room(false));
    let (_, oldest) = queue.drop_oldest(false).expect("one that waits");
    assert_eq!((oldest.body, queue.len()), (BodyId(3), 7));
    assert_eq!(bodies(&queue), [0, 1, 2, 4, 5, 6, 7]);
    for number in [2, 1, 3] {
        let (before, _) = queue.advance(id(number), Seen::PubAck).expect("it is on its way");
        assert_eq!(before.body, BodyId(u32::from(number) - 1));
    }
    assert_eq!(queue.send_next(), Some(id(4)));
    assert_eq!(queue.at(3).map(|one| one.body), Some(BodyId(4)));
}

/// Where records know their places, it is settled, and goes once those before it are.
#[test]
fn a_recorded_place_is_kept() {
    let mut queue = queue(8, 3);
    assert!(!queue.gives_room(true), "it would stay behind those that were sent");
    let (place, oldest) = queue.drop_oldest(true).expect("one that waits");
    assert_eq!((place, oldest.body, queue.len()), (3, BodyId(3), 8));
    assert_eq!(queue.place_of(id(2)), Some(1));
    for number in [1, 2, 3] {
        queue.advance(id(number), Seen::PubAck).expect("it is on its way");
    }
    while queue.pop_settled().is_some() {}
    assert_eq!((queue.len(), queue.place(0)), (4, 4));
    assert_eq!(queue.at_place(5).map(|one| one.body), Some(BodyId(5)));
    // With none before it, it goes at once.
    let (place, oldest) = queue.drop_oldest(true).expect("one that waits");
    assert_eq!((place, oldest.body, queue.len(), queue.place(0)), (4, BodyId(4), 3, 5));
}

/// PUBRELs go ahead of messages that wait for the window, and are settled there.
#[test]
fn a_release_does_not_wait_for_its_turn() {
    let mut queue = Small::EMPTY;
    queue.set_limit(8);
    for body in 0..3 {
        queue.push(delivery(body, QoS::ExactlyOnce)).expect("room");
        queue.send_next().expect("a message");
    }
    queue.advance(id(2), Seen::PubRec).expect("it is on its way");
    queue.advance(id(2), Seen::Sent).expect("PUBREL");
    for _ in 0..2 {
        queue.lose();
        assert_eq!(queue.next_release(0), Some((1, id(2))), "again on each connection");
        queue.released_at(1);
        assert_eq!((queue.next_release(0), queue.released()), (None, 1));
    }
    assert!(queue.advance(id(3), Seen::PubRec).is_err(), "it has to go again first");
    queue.advance(id(2), Seen::PubComp).expect("it was released");
    assert_eq!((queue.released(), bodies(&queue)), (0, [0, 2].into()));
    assert_eq!(queue.send_next(), Some(id(1)));
}

/// Any number may wait, and no identifier is used twice however many are on their way.
#[test]
fn more_wait_than_there_are_identifiers() {
    let mut queue: Outgoing<<crate::Heap as crate::Storage>::Deliveries<Delivery>> =
        Outgoing::EMPTY;
    queue.set_limit(100_000);
    for body in 0..70_000 {
        queue.push(delivery(body, QoS::AtLeastOnce)).expect("room");
    }
    let mut seen = std::collections::BTreeSet::new();
    while queue.next().is_some() {
        assert!(seen.insert(queue.send_next().expect("an identifier")));
    }
    assert_eq!((seen.len(), queue.peek_id()), (MAX_SPAN, None));
    for number in 1..=MAX_SPAN as u16 {
        queue.advance(id(number), Seen::PubAck).expect("it is on its way");
        assert!(queue.pop_settled().is_some());
        assert!(queue.next().is_some() && queue.send_next().is_some());
    }
    assert!(queue.next().is_none());
    queue.lose();
    assert_eq!(queue.send_next(), Some(id(MAX_SPAN as u16 + 1)));
}
