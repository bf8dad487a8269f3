//! Records: read back as they were written, refused if they are none, and harmless whatever comes.

use tamtam_core::broker::{Broker, Record};
use tamtam_core::{Heap, Instant, QoS, ReasonCode, Storage, Version};
use tamtam_tests::dice::Dice;

use crate::client::{Client, WillSpec};
use crate::stories::Small;
use crate::world::{OPTIONS, World};
use tamtam_tests::broker::store::{Manner, read};

/// Each kind of record and its bytes.
fn samples() -> Vec<(Record<'static>, Vec<u8>)> {
    let one = [0, 0, 0, 0, 0, 0, 0, 1];
    let two = [0, 0, 0, 0, 0, 0, 0, 2];
    let three = [0, 0, 0, 0, 0, 0, 0, 3];
    let none = [0xFF; 8];
    let text = |text: &str| [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
    let moment = Some(Instant::from_millis(3));
    let (session, body, place) = (1, 1, 2);
    let (id, packet_id) = ([0x12, 0x34], 0x1234);
    let bytes = |kind: u8, parts: &[&[u8]]| [&[kind][..], &parts.concat()].concat();
    let mut samples = [cursors(), groups()].concat();
    samples.extend([
        (
            Record::Body {
                body,
                topic: b"a/b",
                properties: b"\x01\x00",
                payload: b"hello",
                expires: moment,
                publisher: 2,
            },
            bytes(1, &[&one, &three, &two, &text("a/b"), &text("\x01\0"), &text("hello")]),
        ),
        (Record::BodyGone { body }, bytes(2, &[&one])),
        (
            Record::Session { session, client_id: b"me", user: b"I", expiry_secs: 7, ends: None },
            bytes(3, &[&one, &[0, 0, 0, 7], &none, &text("me"), &text("I")]),
        ),
        (Record::SessionGone { session }, bytes(4, &[&one])),
        (
            Record::Subscription { session, filter: b"$share/g/+", options: 0x0E, id: 9 },
            bytes(5, &[&one, &[0x0E], &[0, 0, 0, 9], &text("$share/g/+")]),
        ),
        (Record::SubscriptionGone { session, filter: b"#" }, bytes(6, &[&one, &text("#")])),
        (
            Record::Queued {
                session,
                place,
                body: 3,
                qos: QoS::ExactlyOnce,
                retain: true,
                ids: &[0, 0, 0, 5],
            },
            bytes(7, &[&one, &two, &three, &[2, 1], &text("\0\0\0\x05")]),
        ),
        (Record::Sent { session, place, packet_id }, bytes(8, &[&one, &two, &id])),
        (Record::Released { session, place, packet_id }, bytes(9, &[&one, &two, &id])),
        (Record::Settled { session, place }, bytes(10, &[&one, &two])),
        (Record::Received { session, packet_id }, bytes(11, &[&one, &id])),
        (Record::Forgotten { session, packet_id }, bytes(12, &[&one, &id])),
    ]);
    samples.extend([
        (Record::Retained { body, qos: QoS::AtLeastOnce }, bytes(13, &[&one, &[1]])),
        (Record::RetainedGone { topic: b"a" }, bytes(14, &[&text("a")])),
        (
            Record::Will {
                session,
                body: 2,
                qos: QoS::AtMostOnce,
                retain: true,
                delay_secs: 8,
                expiry_secs: Some(6),
                due: moment,
            },
            bytes(15, &[&one, &two, &[0, 1, 1], &[0, 0, 0, 8], &[0, 0, 0, 6], &three]),
        ),
        (Record::WillGone { session }, bytes(16, &[&one])),
    ]);
    samples
}

/// The same of groups.
fn groups() -> Vec<(Record<'static>, Vec<u8>)> {
    let number = |number: u8| [0, 0, 0, 0, 0, 0, 0, number];
    let (session, place, group, at) = (1, 2, 3, 4);
    let (qos, retain) = (QoS::ExactlyOnce, true);
    let name = [&[19][..], &number(3), b"\0\0\0\x0A$share/g/+"].concat();
    let numbers = [1, 2, 3, 4].map(number).concat();
    let given = [&[20][..], &numbers, &[2, 1]].concat();
    vec![
        (Record::Group { group, filter: b"$share/g/+" }, name),
        (Record::Given { session, place, group, at, qos, retain }, given),
    ]
}

/// The same of what says how far a replay is, and of what says that all begins anew.
fn cursors() -> Vec<(Record<'static>, Vec<u8>)> {
    let one = [0, 0, 0, 0, 0, 0, 0, 1];
    let session = 1;
    let replayed = Record::Cursor { session, filter: b"#", since: 3, last: b"a/b" };
    let bytes = |kind: u8, rest: &[u8]| [&[kind][..], &one, rest].concat();
    vec![
        (Record::Reset, vec![0]),
        (replayed, bytes(17, b"\0\0\0\0\0\0\0\x03\0\0\0\x01#\0\0\0\x03a/b")),
        (Record::CursorGone { session, filter: b"#" }, bytes(18, b"\0\0\0\x01#")),
    ]
}

#[test]
fn every_record_is_read_and_nothing_shorter_or_longer() {
    let samples = samples();
    assert_eq!(samples.len(), 21);
    for (record, bytes) in &samples {
        assert_eq!(Record::read(bytes), Some(*record), "{bytes:?}");
        let mut written = vec![0; record.len()];
        assert_eq!(record.write(&mut written), Some(bytes.len()));
        assert_eq!(&written, bytes);
        assert_eq!(record.write(&mut written[1..]), None);
        for len in 0..bytes.len() {
            assert_eq!(Record::read(&bytes[..len]), None, "{record:?} to {len}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Record::read(&longer), None, "{record:?} and a byte");
        for byte in [21, 0x7F, 0xFF] {
            let other = [&[byte], &bytes[1..]].concat();
            assert_eq!(Record::read(&other), None);
        }
    }
}

/// What a store was handed in a life with everything in it: all kinds of records.
fn life() -> Vec<Vec<u8>> {
    let mut world: World<Heap> = World::new(Manner::default(), None);
    let publisher = world.add("pub", Version::V5, u32::MAX);
    let subscriber = world.add("sub", Version::V5, 100);
    let owner = world.add("owner", Version::V5, 50);
    let will = WillSpec { topic: "a/will", qos: QoS::ExactlyOnce, retain: true, delay_secs: 5 };
    world.clients[owner].will = Some(will);
    world.clients[subscriber].subscribe("a/#", QoS::ExactlyOnce);
    world.clients[subscriber].subscribe("$share/g/a/+", QoS::AtLeastOnce);
    for at in [publisher, subscriber, owner] {
        world.connect(at);
    }
    world.settle();
    world.snapshot_into_store();
    world.publish(publisher, "a/r", "kept", QoS::AtLeastOnce, true);
    world.settle();
    world.publish(publisher, "a/r", "", QoS::AtLeastOnce, true);
    world.clients[subscriber].acks = Some(3);
    for number in 0..6 {
        world.publish(publisher, "a/b", &format!("{number}"), QoS::ExactlyOnce, false);
    }
    world.settle();
    world.clients[subscriber].unsubscribe("$share/g/a/+");
    world.settle();
    world.cut(owner);
    world.sleep(2);
    world.connect(owner);
    world.settle();
    world.publish(publisher, "r/1", "one", QoS::AtLeastOnce, true);
    world.publish(publisher, "r/2", "two", QoS::AtLeastOnce, true);
    world.settle();
    let slow = world.add("slow", Version::V5, 100);
    world.clients[slow].subscribe("r/#", QoS::AtLeastOnce);
    (world.clients[slow].window, world.clients[slow].acks) = (1, Some(0));
    world.connect(slow);
    world.settle();
    world.clients[slow].acks = None;
    world.cut(slow);
    world.connect(slow);
    world.settle();
    world.disconnect(owner, ReasonCode::NORMAL_DISCONNECTION, Some(0));
    world.settle();
    world.store.log.clone()
}

#[test]
fn a_broker_writes_all_kinds_of_records() {
    let life = life();
    for (_, sample) in samples() {
        assert!(life.iter().any(|bytes| bytes[0] == sample[0]), "kind {}", sample[0]);
    }
}

/// Restores whatever it is, and lives on with it for a while.
fn survive<S: Storage>(records: &[Vec<u8>]) {
    let mut now = Instant::from_millis(1_000_000);
    let mut broker = Box::new(Broker::<S>::new());
    broker.start(&OPTIONS, 9);
    for bytes in records {
        if let Some(record) = Record::read(bytes) {
            let _ = broker.restore(&record);
        }
    }
    broker.restored(now);
    for name in ["pub", "sub", "owner"] {
        let mut client = Client::new(name, Version::V5, u32::MAX);
        client.put_connect();
        let Ok(link) = broker.open(now) else { continue };
        let _ = broker.handle_input(link, &mut &client.up[..], now);
        for _ in 0..4 {
            if let Some((ticket, _)) = broker.take_records(true) {
                broker.handle_persisted(ticket, now);
            }
            while let Some(link) = broker.next_writable() {
                let len = broker.output(link).len();
                broker.output_written(link, len, now);
            }
            while broker.poll_event().is_some() {}
        }
        for id in 1..4 {
            for kind in [0x40, 0x50, 0x70] {
                let _ = broker.handle_input(link, &mut &[kind, 2, 0, id][..], now);
            }
        }
        now = now.plus_secs(60);
        broker.handle_timeout(now);
    }
    broker.records();
    let _ = broker.take_records(true);
}

#[test]
fn records_that_make_no_sense_do_no_harm() {
    let life = life();
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let mut records = life.clone();
        for _ in 0..1 + dice.below(20) {
            let (one, other) = (dice.below(records.len()), dice.below(records.len()));
            match dice.below(5) {
                0 => records.swap(one, other),
                1 => records.truncate(records.len().max(10) - 1),
                2 => {
                    let len = records[one].len();
                    records[one][dice.below(len)] = dice.roll() as u8;
                }
                3 => {
                    let copy = records[one].clone();
                    records.insert(other, copy);
                }
                _ => {
                    records.remove(one);
                }
            }
        }
        survive::<Heap>(&records);
        survive::<Small>(&records);
    }
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let bytes: Vec<_> = (0..dice.below(60)).map(|_| dice.roll() as u8).collect();
        let _ = Record::read(&bytes);
    }
    let mut by_key = life;
    by_key.sort();
    survive::<Heap>(&by_key);
    by_key.reverse();
    survive::<Heap>(&by_key);
    assert!(by_key.iter().all(|bytes| read(bytes) == read(bytes)));
}
