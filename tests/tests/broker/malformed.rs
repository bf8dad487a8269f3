//! Bad input: it ends the connection that it came on, and disturbs no other.

use tamtam_tests::dice::Dice;

use crate::support::*;

/// A client whose messages must get through whatever others do.
struct Witness {
    raw: Raw,
    heard: usize,
}

impl Witness {
    fn new<S: Storage>(rig: &mut Rig<S>) -> Self {
        let raw = rig.connect("witness");
        rig.subscribe(raw, "witness/+", Q2);
        Self { raw, heard: 0 }
    }

    #[track_caller]
    fn is_well<S: Storage>(&mut self, rig: &mut Rig<S>) {
        let qos = QOS[self.heard % 3];
        rig.publish(self.raw, "witness/1", "well", qos);
        let expected = ["witness/1=well", "witness/1=well@1", "witness/1=well@2"][self.heard % 3];
        assert_eq!(rig.receive(self.raw), [expected]);
        self.heard += 1;
    }
}

/// What no client may send, and how MQTT 5 says so.
fn sins(version: Version) -> Vec<(Vec<u8>, ReasonCode)> {
    use ReasonCode::{MalformedPacket as Malformed, ProtocolError as Protocol};
    let common: [(&[u8], ReasonCode); 14] = [
        (b"\x00\x00", Malformed),                 // no packet type
        (b"\x20\x02\x00\x00", Protocol),          // a server's packet
        (b"\xd0\x00", Protocol),                  // another
        (b"\x36\x03\x00\x01t", Malformed),        // QoS 3
        (b"\x38\x03\x00\x01t", Malformed),        // DUP at QoS 0
        (b"\x60\x02\x00\x01", Malformed),         // flags of PUBREL
        (b"\xc1\x00", Malformed),                 // flags of PINGREQ
        (b"\xc0\x01x", Malformed),                // PINGREQ with a body
        (b"\x40\x02\x00\x00", Protocol),          // packet identifier 0
        (b"\x40\x80\x80\x80\x80\x01", Malformed), // a length of five bytes
        (b"\xc0\x80\x00", Malformed),             // a length that is too long
        (b"\x80\x04\x00\x01\x00\x00", Malformed), // flags of SUBSCRIBE
        (b"\xa0\x04\x00\x01\x00\x00", Malformed), // flags of UNSUBSCRIBE
        (b"\x40\x01\x00", Malformed),             // an identifier of one byte
    ];
    let older: [(&[u8], ReasonCode); 7] = [
        (b"\x30\x05\x00\x03a/#", Protocol),     // a wildcard in a topic
        (b"\x30\x02\x00\x00", Protocol),        // no topic
        (b"\x30\x05\x00\x03a\xffb", Malformed), // ill-formed UTF-8
        (b"\x30\x05\x00\x03a\x00b", Malformed), // U+0000
        (b"\x82\x02\x00\x01", Protocol),        // no filter
        (b"\x82\x07\x00\x01\x00\x02a#\x00", Protocol), // a wildcard beside a letter
        (b"\x82\x06\x00\x01\x00\x01a\x04", Malformed), // reserved options
    ];
    let newer: [(&[u8], ReasonCode); 13] = [
        (b"\x30\x06\x00\x03a/#\x00", Protocol),
        (b"\x30\x03\x00\x00\x00", Protocol),
        (b"\x30\x06\x00\x03a\xffb\x00", Malformed),
        (b"\x30\x06\x00\x03a\x00b\x00", Malformed),
        (b"\x82\x03\x00\x01\x00", Protocol),
        (b"\x82\x08\x00\x01\x00\x00\x02a#\x00", Protocol),
        (b"\x82\x07\x00\x01\x00\x00\x01a\x40", Malformed),
        (b"\x30\x07\x00\x01t\x03\x23\x00\x00", ReasonCode::TopicAliasInvalid), // alias 0
        (b"\x30\x08\x00\x01t\x04\x0b\x01\x0b\x02", Protocol), // a server's property
        (b"\x30\x08\x00\x01t\x04\x01\x00\x01\x00", Protocol), // a property twice
        (b"\x30\x05\x00\x01t\x7f\x01", Malformed),            // properties beyond the end
        (b"\x82\x0d\x00\x01\x00\x00\x08$share/g\x00", Protocol), // a group without a filter
        (b"\xe0\x02\x05\x00", Protocol),                      // a reason that does not exist
    ];
    let rest = if version == V5 { &newer[..] } else { &older[..] };
    let all = common.iter().chain(rest);
    all.map(|(bytes, reason)| (bytes.to_vec(), *reason)).collect()
}

// [MQTT5-4.13.1-1, MQTT5-3.14.0-1]
fn every_sin_ends_its_connection<S: Storage>(mut rig: Rig<S>) {
    let mut witness = Witness::new(&mut rig);
    for (sin, reason) in sins(rig.version) {
        let a = rig.connect("a");
        rig.subscribe(a, "t", Q1);
        rig.events();
        let ping = bytes(rig.version, &[Packet::PingReq]);
        rig.send_last_bytes(a, &[&ping[..], &sin, &ping].concat());
        let mut expected = vec!["PINGRESP".to_owned()];
        if rig.version == V5 {
            expected.push(format!("DISCONNECT {:02X}", reason.as_byte()));
        }
        assert_eq!(rig.said(a), expected, "{sin:02x?}");
        let ended = Event::Disconnected { link: rig.link(a), why: Ended::Refused(reason) };
        assert_eq!(rig.events(), [ended], "{sin:02x?}");
        witness.is_well(&mut rig);
    }
    assert_eq!((rig.session_count(), rig.subscription_count()), (1, 1));
    rig.keeps_only_retained(0);
}

/// The same bytes before CONNECT: nothing is said at all.
fn every_sin_before_connect_ends_its_connection<S: Storage>(mut rig: Rig<S>) {
    for (sin, _) in sins(rig.version) {
        let a = rig.open();
        rig.send_last_bytes(a, &sin);
        assert_eq!(rig.said(a), [""; 0], "{sin:02x?}");
    }
    assert_eq!(rig.session_count(), 0);
}

/// Some packets of every kind, one behind the other.
fn anything(dice: &mut Dice, version: Version) -> Vec<u8> {
    let names = ["t", "t/1", "$SYS/x", "a/b/c", "t/1/2"];
    let filters = ["t/#", "#", "+/1", "$share/g/t/+", "t", "a/+/c", "$share/h/#"];
    let name = names[dice.below(names.len())];
    let number = id(dice.between(1, 6) as u16);
    let qos = QOS[dice.below(3)];
    let list = [sub(filters[dice.below(7)]).qos(qos), sub(filters[dice.below(7)])];
    let left = [filter(filters[dice.below(7)])];
    let properties = Properties::EMPTY;
    let publish = Publish {
        delivery: delivery(qos, number.get(), false),
        retain: dice.chance(30),
        ..Publish::new(topic(name), &b"payload"[..dice.below(8)])
    };
    let packet = match dice.below(11) {
        0..4 => Packet::Publish(publish),
        4 => puback(number.get()),
        5 => pubrec(number.get()),
        6 => pubrel(number.get()),
        7 => pubcomp(number.get()),
        8 => {
            let subscriptions = Items::from(&list);
            Packet::Subscribe(Subscribe { packet_id: number, properties, subscriptions })
        }
        9 => {
            let filters = Items::from(&left);
            Packet::Unsubscribe(Unsubscribe { packet_id: number, properties, filters })
        }
        _ => Packet::PingReq,
    };
    bytes(version, &[packet])
}

/// Good packets with bytes changed, left out, doubled and thrown in.
fn mutilated(dice: &mut Dice, mut bytes: Vec<u8>) -> Vec<u8> {
    match dice.below(6) {
        0 => bytes.truncate(dice.below(bytes.len())),
        1 => {
            let at = dice.below(bytes.len());
            bytes[at] = dice.roll() as u8;
        }
        2 => bytes.insert(dice.below(bytes.len()), dice.roll() as u8),
        3 => {
            bytes.remove(dice.below(bytes.len()));
        }
        4 => bytes = (0..dice.below(40)).map(|_| dice.roll() as u8).collect(),
        _ => {}
    }
    bytes
}

/// Whatever comes in whatever portions: no panic, no more memory than there may be, and the witness
/// is well.
fn storm<S: Storage>(rig: &mut Rig<S>, seed: u64, rounds: usize) {
    let mut dice = Dice::new(seed);
    let (bytes_most, queue) = (8_192, 32);
    let limits = Options { message_bytes: bytes_most, queue, retained: 16, ..Options::DEFAULT };
    rig.restart(Options { subscriptions_per_session: 20, queue_qos0: true, ..limits });
    let mut witness = Witness::new(rig);
    let mut raws: Vec<Raw> = Vec::new();
    for round in 0..rounds {
        raws.retain(|raw| !rig.is_closed(*raw));
        if raws.len() < 6 && dice.chance(40) {
            let version = dice.pick(&EVERY);
            let raw = rig.open_as(version);
            let name = ["a", "b", "c"][dice.below(3)];
            let first = if dice.chance(50) { kept(version, name) } else { hello(version, name) };
            let mine = dice.chance(50).then(|| will("t/1", "gone"));
            let connect = bytes(version, &[Packet::Connect(Connect { will: mine, ..first })]);
            let connect = if dice.chance(20) { mutilated(&mut dice, connect) } else { connect };
            let _ = rig.hand_in(raw, &connect);
            raws.push(raw);
        }
        if let Some(raw) = (!raws.is_empty()).then(|| dice.pick(&raws)) {
            match dice.below(20) {
                0 => rig.cut(raw),
                1 => rig.stall(raw, true),
                2 | 3 => rig.stall(raw, false),
                _ if rig.is_closed(raw) => {}
                _ => {
                    let good = anything(&mut dice, rig.version_of(raw));
                    let bad = if dice.chance(8) { mutilated(&mut dice, good) } else { good };
                    let _ = rig.hand_in(raw, &bad);
                }
            }
        }
        if dice.chance(3) {
            rig.wait_ms(dice.between(1, 20_000));
        }
        let (_, used) = rig.broker.kept();
        assert!(used <= bytes_most, "{used} bytes in round {round} of seed {seed}");
        if round % 64 == 0 {
            // What others make it hear is not asked about.
            rig.unsubscribe(witness.raw, &["witness/+"]);
            rig.receive(witness.raw);
            rig.subscribe(witness.raw, "witness/+", Q2);
            witness.heard = 0;
            witness.is_well(rig);
        }
    }
    for raw in raws {
        if !rig.is_closed(raw) {
            rig.cut(raw);
        }
    }
}

#[test]
fn a_storm_sinks_nobody_on_heap() {
    for seed in 0..15 {
        println!("seed {seed}");
        storm(&mut Rig::<Heap>::new(V5), seed, 1_500);
    }
}

#[test]
fn a_storm_sinks_nobody_on_fixed() {
    for seed in 100..115 {
        println!("seed {seed}");
        storm(&mut Rig::<Hub>::new(V311), seed, 1_500);
    }
}

/// As many connections as there may be, none of which ever says who it is.
fn a_flood_of_connections_passes<S: Storage>(mut rig: Rig<S>) {
    rig.restart(Options { connections: 12, ..Options::DEFAULT });
    let mut witness = Witness::new(&mut rig);
    for round in 0..5 {
        let mut flood = Vec::new();
        while let Ok(link) = rig.broker.open(rig.now) {
            let mut input: &[u8] = b"\x10\x7f\x00\x04MQTT\x05";
            assert_eq!(rig.broker.handle_input(link, &mut input, rig.now), Input::More);
            flood.push(link);
        }
        assert_eq!(flood.len(), 11, "round {round}");
        witness.is_well(&mut rig);
        rig.broker.handle_timeout(rig.now.plus_millis(10_000));
        rig.now = rig.now.plus_millis(10_000);
        let mut closed = 0;
        while let Some(event) = rig.broker.poll_event() {
            let Event::Close(link) = event else { panic!("{event:?}") };
            rig.broker.handle_close(link, rig.now);
            closed += 1;
        }
        assert_eq!(closed, 11);
        witness.is_well(&mut rig);
    }
}

/// One client subscribes to all that it can think of.
fn a_flood_of_subscriptions_passes<S: Storage>(mut rig: Rig<S>) {
    let limits = Options { subscriptions: 64, subscriptions_per_session: 40, ..Options::DEFAULT };
    rig.restart(limits);
    let mut witness = Witness::new(&mut rig);
    let a = rig.connect("a");
    for number in 0..300 {
        let name = format!("{}{number}/#", "+/".repeat(number % 5));
        rig.subscribe_all(a, &[sub(&name), sub("$share/g/#")], 0);
        if number % 30 == 0 {
            witness.is_well(&mut rig);
        }
    }
    assert_eq!(rig.subscription_count(), 41);
    let b = rig.connect("b");
    rig.subscribe(b, "t", Q1);
    rig.publish(b, "t", "x", Q1);
    assert_eq!(rig.receive(b), ["t=x@1"]);
}

on_every_kind! {
    EVERY => every_sin_ends_its_connection, every_sin_before_connect_ends_its_connection,
        a_flood_of_subscriptions_passes;
}

/// It counts the messages of one.
mod of_one {
    use super::*;

    on_both_storages! {
        EVERY => a_flood_of_connections_passes;
    }
}
