//! Records of the session: what waits for the store, and what comes back after a restart.

use tamtam_core::client::{
    Client, Event, Failure, Options, Publish, Record, RecordError, StartError,
};

use crate::support::*;

/// A store that keeps what it is handed, as bytes, and forgets what it is told to.
#[derive(Clone, Default)]
struct Store(Vec<Vec<u8>>);

/// The packet identifier of a message; it stands at the same place in every version.
fn publish_of(record: Record<'_>) -> Option<PacketId> {
    let Record::Publish(mut packet) = record else { return None };
    match Packet::decode(&mut packet, V311, Sender::Client) {
        Ok(Some(Packet::Publish(publish))) => publish.delivery.packet_id(),
        other => panic!("{other:?}"),
    }
}

impl Store {
    fn keep(&mut self, record: Record<'_>) {
        let mut bytes = vec![0; record.len()];
        assert_eq!(record.write(&mut bytes), Some(record.len()));
        assert_eq!(Record::read(&bytes), Ok(record));
        assert_eq!(record.write(&mut bytes[1..]), None, "it says when there is no room");
        let mut forget = |is_it: &dyn Fn(Record<'_>) -> bool| {
            self.0.retain(|kept| !is_it(Record::read(kept).expect("a record")));
        };
        match record {
            Record::Reset => forget(&|_| true),
            Record::Settled(id) => {
                forget(&|kept| kept == Record::Release(id) || publish_of(kept) == Some(id));
            }
            Record::Forgotten(id) => forget(&|kept| kept == Record::Received(id)),
            _ => self.0.push(bytes),
        }
    }

    fn names(&self) -> Vec<String> {
        let name = |kept: &Vec<u8>| match Record::read(kept).expect("a record") {
            Record::Publish(packet) => format!("PUBLISH {}", char::from(packet[packet.len() - 1])),
            Record::Release(id) => format!("RELEASE {}", id.get()),
            Record::Received(id) => format!("RECEIVED {}", id.get()),
            other => panic!("{other:?}"),
        };
        self.0.iter().map(name).collect()
    }
}

impl<S: Storage> Rig<S> {
    /// The store takes all that there is; the client is not told yet.
    fn hand_to(&mut self, store: &mut Store) -> usize {
        let mut count = 0;
        while let Some(record) = self.client.poll_record() {
            store.keep(record);
            count += 1;
        }
        count
    }

    fn persist_to(&mut self, store: &mut Store) {
        self.hand_to(store);
        self.client.handle_persisted(self.now);
    }

    /// The program dies, and another begins with what the store has.
    fn reborn_from(&mut self, store: &Store) {
        self.client.start(&stored(self.version), 8).expect("options");
        for record in &store.0 {
            self.client.restore(Record::read(record).expect("a record")).expect("room");
        }
        self.client.connect(self.now).expect("started");
    }
}

fn stored(version: Version) -> Options<'static> {
    options(version).store(true)
}

/// Connected, with the first copy of nothing done.
#[track_caller]
fn online<S: Storage>(rig: &mut Rig<S>) -> Store {
    let mut store = Store::default();
    rig.online_with(&stored(rig.version));
    rig.persist_to(&mut store);
    store
}

fn a_message_leaves_once_it_is_recorded<S: Storage>(mut rig: Rig<S>) {
    let mut store = online(&mut rig);
    for qos in QOS {
        rig.publish("t", qos.level().to_string().as_bytes(), qos);
    }
    assert_eq!(names(&rig.sent()), ["0"]);
    rig.hand_to(&mut store);
    assert_eq!(rig.sent(), [], "handed is not kept");
    rig.client.handle_persisted(rig.now);
    assert_eq!(names(&rig.sent()), ["1", "2"]);
    assert_eq!(store.names(), ["PUBLISH 1", "PUBLISH 2"]);
    rig.feed(&[puback(1)]);
    rig.persist_to(&mut store);
    assert_eq!(store.names(), ["PUBLISH 2"]);
}

// [MQTT5-4.3.3-6]
fn pubrel_waits_for_the_record_of_its_pubrec<S: Storage>(mut rig: Rig<S>) {
    let mut store = online(&mut rig);
    let token = rig.publish("t", b"x", QoS::ExactlyOnce);
    rig.persist_to(&mut store);
    rig.sent();
    rig.feed(&[pubrec(1)]);
    assert_eq!(rig.sent(), []);
    rig.persist_to(&mut store);
    assert_eq!(rig.sent(), [pubrel(1)]);
    assert!(store.names().contains(&"RELEASE 1".to_owned()));
    assert_eq!(rig.feed(&[pubcomp(1)]), [delivered(token)]);
    rig.persist_to(&mut store);
    assert_eq!(store.names(), [""; 0]);
}

// [MQTT5-4.3.3-8, MQTT5-4.3.3-10, MQTT5-4.3.3-12]
fn pubrec_and_pubcomp_wait_for_their_records<S: Storage>(mut rig: Rig<S>) {
    let mut store = online(&mut rig);
    assert_eq!(rig.feed(&[message(QoS::ExactlyOnce, 7, b"x")]).len(), 1);
    assert_eq!(rig.sent(), []);
    // It comes again, on another connection even: the answer waits for the same record.
    assert_eq!(rig.feed(&[message_again(QoS::ExactlyOnce, 7, b"x")]), []);
    assert_eq!(rig.sent(), []);
    rig.cut();
    rig.reopen();
    rig.accept(true, &[]);
    assert_eq!(rig.feed(&[message_again(QoS::ExactlyOnce, 7, b"x")]), []);
    assert_eq!(rig.sent(), []);
    rig.persist_to(&mut store);
    assert_eq!(names(&rig.sent()), ["PUBREC 7"]);
    assert_eq!(store.names(), ["RECEIVED 7"]);
    assert_eq!(rig.feed(&[message_again(QoS::ExactlyOnce, 7, b"x")]), []);
    assert_eq!(names(&rig.sent()), ["PUBREC 7"], "now it is kept");
    rig.feed(&[pubrel(7)]);
    assert_eq!(rig.sent(), []);
    rig.persist_to(&mut store);
    assert_eq!(names(&rig.sent()), ["PUBCOMP 7"]);
    assert_eq!(store.names(), [""; 0]);
    // QoS 1 leaves no trace.
    rig.feed(&[message(QoS::AtLeastOnce, 8, b"x")]);
    assert_eq!(names(&rig.sent()), ["PUBACK 8"]);
}

/// The removal is on its way when the connection breaks: the next PUBREL waits for it too, and
/// nothing is answered that was not asked.
fn a_pubrel_that_comes_again_waits_for_the_same_record<S: Storage>(mut rig: Rig<S>) {
    let mut store = online(&mut rig);
    rig.feed(&[message(QoS::ExactlyOnce, 7, b"x")]);
    rig.persist_to(&mut store);
    rig.feed(&[pubrel(7)]);
    rig.sent();
    rig.cut();
    rig.reopen();
    rig.accept(true, &[]);
    rig.hand_to(&mut store);
    rig.feed(&[pubrel(7)]);
    assert_eq!(rig.sent(), []);
    rig.client.handle_persisted(rig.now);
    assert_eq!(rig.sent(), [pubcomp(7)]);

    rig.feed(&[message(QoS::ExactlyOnce, 7, b"x")]);
    rig.persist_to(&mut store);
    rig.feed(&[pubrel(7)]);
    rig.sent();
    rig.cut();
    rig.reopen();
    rig.accept(true, &[]);
    rig.persist_to(&mut store);
    assert_eq!(rig.sent(), [], "on this connection nobody has asked");
}

/// A pain: what is in flight is lost at a restart.
// [MQTT5-4.4.0-1, MQTT3-4.4.0-1]
fn a_session_survives_the_program<S: Storage>(mut rig: Rig<S>) {
    let mut store = online(&mut rig);
    for (payload, qos) in [b"1", b"2", b"3", b"4"].iter().zip([1, 2, 2, 1]) {
        rig.publish("t", *payload, QOS[qos]);
    }
    rig.persist_to(&mut store);
    rig.sent();
    rig.feed(&[pubrec(2), message(QoS::ExactlyOnce, 9, b"theirs")]);
    rig.persist_to(&mut store);
    rig.sent();
    rig.publish("t", b"5", QoS::ExactlyOnce);
    rig.hand_to(&mut store);

    rig.reborn_from(&store);
    assert_eq!(rig.client.in_flight(), 5);
    rig.open();
    if rig.version == V31 {
        return; // it can't be known whether the session is the same
    }
    rig.accept(true, &[]);
    assert_eq!(names(&rig.sent()), ["PUBREL 2", "1*", "3*", "4*", "5*"]);
    assert_eq!(rig.feed(&[message_again(QoS::ExactlyOnce, 9, b"theirs")]), []);
    assert_eq!(names(&rig.sent()), ["PUBREC 9"]);
    assert!(matches!(rig.feed(&[puback(1)])[..], [Event::Delivered { .. }]));
    assert!(matches!(rig.feed(&[pubcomp(2)])[..], [Event::Delivered { .. }]));
    assert_eq!(rig.feed(&[pubrel(9)]), []);
    rig.persist_to(&mut store);
    assert_eq!(rig.sent(), [pubcomp(9)]);
    assert_eq!(store.names(), ["PUBLISH 3", "PUBLISH 4", "PUBLISH 5"]);
}

/// Every message has one token, be it recorded as sent and as released.
fn a_message_comes_back_once<S: Storage>(mut rig: Rig<S>) {
    let mut store = online(&mut rig);
    rig.publish("t", b"x", QoS::ExactlyOnce);
    rig.persist_to(&mut store);
    rig.sent();
    rig.feed(&[pubrec(1)]);
    rig.hand_to(&mut store);
    assert_eq!(store.names(), ["PUBLISH x", "RELEASE 1"]);
    rig.client.start(&stored(rig.version), 8).expect("options");
    let mut restore =
        |bytes: &Vec<u8>| rig.client.restore(Record::read(bytes).expect("a record")).expect("room");
    let tokens: Vec<_> = store.0.iter().map(&mut restore).collect();
    assert!(tokens[0].is_some() && tokens[0] == tokens[1]);
    assert_eq!(restore(&store.0[0]), tokens[0], "and a second time");
    assert_eq!(rig.client.in_flight(), 1);
    rig.client.connect(rig.now).expect("started");
    rig.open();
    rig.accept(true, &[]);
    if rig.version != V31 {
        assert_eq!(rig.sent(), [pubrel(1)], "it is never published again");
    }
}

/// A copy has the order in which messages are to go, whatever their identifiers.
fn a_copy_is_in_order<S: Storage>(mut rig: Rig<S>) {
    let mut store = online(&mut rig);
    for payload in [b"a", b"b", b"c"] {
        rig.publish("t", payload, QoS::ExactlyOnce);
    }
    rig.persist_to(&mut store);
    rig.sent();
    rig.feed(&[pubrec(1), message(QoS::ExactlyOnce, 3, b"theirs")]);
    rig.persist_to(&mut store);
    rig.feed(&[pubcomp(1)]);
    for payload in b"d".chunks(1).chain([&b"e"[..], b"f", b"g", b"h", b"i"]) {
        let publish = Publish::new("t", payload).qos(QoS::AtLeastOnce);
        let _ = rig.client.publish(publish, rig.now); // as long as there are identifiers
    }
    rig.persist_to(&mut store);
    rig.feed(&[pubrec(3)]);
    rig.persist_to(&mut store);
    rig.client.records();
    let mut copy = Store(vec![b"old".to_vec()]);
    let first = rig.client.poll_record();
    assert_eq!(first, Some(Record::Reset));
    copy.0.clear();
    rig.hand_to(&mut copy);
    let names = copy.names();
    assert_eq!(names[..3], ["PUBLISH b", "RELEASE 3", "PUBLISH d"]);
    assert!(names[2..names.len() - 1].is_sorted(), "{names:?}");
    assert_eq!(names.last().map(String::as_str), Some("RECEIVED 3"));
}

/// What ended without an acknowledgement is not sent by the next program.
fn a_message_that_was_given_up_is_forgotten<S: Storage>(mut rig: Rig<S>) {
    let mut store = online(&mut rig);
    let large = rig.publish("t", &[b'x'; 100], QoS::AtLeastOnce);
    rig.publish("t", b"y", QoS::AtLeastOnce);
    rig.persist_to(&mut store);
    rig.sent();
    rig.cut();
    rig.reopen();
    let events = rig.accept(true, &[Property::MaximumPacketSize(40.try_into().expect("not 0"))]);
    assert_eq!(events, [Event::Failed { token: large, why: Failure::TooLarge }]);
    rig.persist_to(&mut store);
    assert_eq!(store.names(), ["PUBLISH y"]);
}

/// With a session that the server has lost, the store begins anew.
fn a_lost_session_is_lost_in_the_store_too<S: Storage>(mut rig: Rig<S>) {
    for expiry in [0, 3_600] {
        let mut store = Store::default();
        rig.online_with(&stored(V5).session_expiry_secs(expiry));
        rig.persist_to(&mut store);
        rig.publish("t", b"1", QoS::ExactlyOnce);
        rig.publish("t", b"2", QoS::AtLeastOnce);
        rig.feed(&[message(QoS::ExactlyOnce, 9, b"theirs")]);
        rig.persist_to(&mut store);
        rig.sent();
        rig.feed(&[pubrec(1)]);
        rig.persist_to(&mut store);
        assert_eq!(store.0.len(), 4);
        rig.cut();
        rig.reopen();
        assert_eq!(rig.accept(false, &[]).len(), 1, "the first is delivered");
        rig.persist_to(&mut store);
        assert_eq!(store.names(), ["PUBLISH 2"]);
    }
}

/// There was no room to answer when the store had kept it; there is later.
#[test]
fn what_the_store_has_kept_is_answered_once_there_is_room() {
    let mut rig = Rig::<Fixed<120, 8>>::new(V5);
    let mut store = online(&mut rig);
    rig.feed(&[message(QoS::ExactlyOnce, 1, b"x"), message(QoS::ExactlyOnce, 2, b"x")]);
    rig.persist_to(&mut store);
    rig.sent();
    rig.feed(&[pubrel(1), pubrel(2)]);
    while rig.client.publish(Publish::new("t", b"xxxxx"), rig.now).is_ok() {}
    while rig.client.publish(Publish::new("t", b""), rig.now).is_ok() {}
    rig.persist_to(&mut store);
    let mut names = names(&rig.sent());
    names.retain(|name| name.starts_with("PUBCOMP"));
    assert_eq!(names, ["PUBCOMP 1", "PUBCOMP 2"]);
}

fn a_store_that_is_behind_holds_input_back<S: Storage>(mut rig: Rig<S>) {
    let mut store = online(&mut rig);
    let mut pending = Vec::new();
    let mut received = 0;
    for number in 1..=200 {
        pending.extend(bytes(rig.version, &[message(QoS::ExactlyOnce, number % 4 + 1, b"x")]));
        pending.extend(bytes(rig.version, &[pubrel(number % 4 + 1)]));
    }
    for _ in 0..400 {
        let (events, lost, left) = rig.take_in(pending);
        assert_eq!(lost, None);
        received += messages(&events).len();
        pending = left.to_vec();
        rig.persist_to(&mut store);
        rig.sent();
    }
    assert_eq!((received, pending.len()), (200, 0));
    assert_eq!(store.names(), [""; 0]);
}

fn without_a_store_there_are_no_records<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.publish("t", b"x", QoS::ExactlyOnce);
    rig.client.records();
    assert_eq!(rig.client.poll_record(), None);
    rig.client.handle_persisted(rig.now);
    assert_eq!(names(&rig.sent()), ["x"]);
}

#[test]
fn a_store_needs_room_for_two_changes() {
    let mut client = Client::<Fixed<1_024, 1>>::new();
    assert_eq!(client.start(&stored(V5), 1), Err(StartError::Full));
    assert_eq!(client.start(&options(V5), 1), Ok(()));
    let mut client = Client::<Fixed<1_024, 2>>::new();
    assert_eq!(client.start(&stored(V5), 1), Ok(()));
}

fn what_is_no_record_is_refused<S: Storage>(mut rig: Rig<S>) {
    let malformed = Err(RecordError::Malformed);
    for bytes in [&b""[..], b"\x00x", b"\x02", b"\x02\x00\x00", b"\x03\x01", b"\x06\x00\x01"] {
        assert_eq!(Record::read(bytes), malformed, "{bytes:?}");
    }
    assert_eq!(rig.client.restore(Record::Release(id(1))), Err(RecordError::TooLate));
    rig.client.start(&stored(rig.version), 1).expect("options");
    for packet in
        [&b""[..], b"\x30\x03\x00\x01t", b"\x32\x05\x00\x01t\x00\x01!", b"\x40\x02\x00\x01"]
    {
        let result = rig.client.restore(Record::Publish(packet));
        assert!(matches!(result, Err(RecordError::Malformed)), "{packet:?}");
    }
    assert_eq!(rig.client.in_flight(), 0);
    rig.client.connect(rig.now).expect("started");
    assert_eq!(rig.client.restore(Record::Received(id(1))), Err(RecordError::TooLate));
}

#[test]
fn what_does_not_fit_a_smaller_client_is_refused() {
    let mut client = Client::<Fixed<100, 2>>::new();
    client.start(&stored(V5), 1).expect("options");
    assert_eq!(client.restore(Record::Release(id(3))), Err(RecordError::Full));
    let mut packet = b"\x32\x47\x00\x01t\x00\x01\x00".to_vec();
    packet.resize(0x49, b'x');
    assert_eq!(client.restore(Record::Publish(&packet)), Err(RecordError::Full));
}

on_both_storages! {
    EVERY => a_message_leaves_once_it_is_recorded, pubrel_waits_for_the_record_of_its_pubrec,
        pubrec_and_pubcomp_wait_for_their_records, a_session_survives_the_program,
        a_pubrel_that_comes_again_waits_for_the_same_record, a_message_comes_back_once,
        a_copy_is_in_order, a_store_that_is_behind_holds_input_back,
        without_a_store_there_are_no_records, what_is_no_record_is_refused;
    [V5] => a_message_that_was_given_up_is_forgotten, a_lost_session_is_lost_in_the_store_too;
}
