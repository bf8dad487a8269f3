//! Who watches the oracle: faults put into a client's output, or between it and its application,
//! one at a time, each of which must be found.

use tamtam_core::{Heap, Version};
use tamtam_tests::happened::Happened;
use tamtam_tests::node::Habits;
use tamtam_tests::profile::Profile;
use tamtam_tests::server::{Manners, Reaction};
use tamtam_tests::watched::{Draft, Meddler};
use tamtam_tests::wire::{AckKind, Packet, decode, encode};

use crate::support::{is_at_rest, problems, world_of};

const NAME: &str = "meddled";
const VERSION: Version = Version::V311;

/// Shows every packet to a function, with how many of its type came before, and sends what that
/// returns.
struct OnTheWay<F>(F, [usize; 16]);

impl<F: FnMut(u8, usize, Vec<u8>) -> Vec<Vec<u8>>> Meddler for OnTheWay<F> {
    fn sent(&mut self, frame: Vec<u8>) -> Vec<Vec<u8>> {
        let kind = frame[0] >> 4;
        let before = self.1[usize::from(kind)];
        self.1[usize::from(kind)] += 1;
        (self.0)(kind, before, frame)
    }
}

/// Shows every event to a function, which says how often it is told.
struct OnTelling<F>(F);

impl<F: FnMut(&Happened) -> usize> Meddler for OnTelling<F> {
    fn told(&mut self, happened: &Happened) -> usize {
        (self.0)(happened)
    }
}

/// An exchange in both directions, then messages that are sent again on a second connection; what
/// the oracle found.
fn found(meddler: Option<Box<dyn Meddler>>) -> Vec<String> {
    let profile = Profile::new(VERSION, NAME);
    let mut world = world_of::<Heap>(11, profile, Habits::PLAIN, Manners::GOOD);
    let now = world.now;
    let client = &mut world.nodes[0].client;
    if let Some(meddler) = meddler {
        client.meddle(meddler);
    }
    client.machine.connect(now).expect("it was started");
    world.settle();
    for qos in [1, 1, 2, 2, 0] {
        let number = world.nodes[0].client.oracle.messages().len();
        let draft = Draft::new("a", format!("number {number}").as_bytes(), qos);
        world.nodes[0].client.publish(&draft, now).expect("room");
        let payload = format!("down {number}");
        world.server.publish(NAME.as_bytes(), "b", payload.as_bytes(), qos);
    }
    world.settle();
    let mut found = world.nodes[0].client.oracle.unsettled();
    world.server.trick = Some(Box::new(|packet| match packet {
        Packet::Publish(_) => Reaction::Instead(Vec::new()),
        _ => Reaction::Proper,
    }));
    for (payload, qos) in [("again 1", 1), ("again 2", 2)] {
        let draft = Draft::new("a", payload.as_bytes(), qos);
        world.nodes[0].client.publish(&draft, now).expect("room");
    }
    world.settle();
    world.break_line(0);
    world.server.trick = None;
    world.run_until(5_000, |world| is_at_rest(world));
    found.extend(world.violations());
    found.extend(problems(&world, true));
    found
}

fn expect_found(words: &str, meddle: impl FnMut(u8, usize, Vec<u8>) -> Vec<Vec<u8>> + 'static) {
    let found = found(Some(Box::new(OnTheWay(meddle, [0; 16]))));
    assert!(found.iter().any(|text| text.contains(words)), "not \"{words}\": {found:#?}");
}

fn expect_found_in_telling(words: &str, tell: impl FnMut(&Happened) -> usize + 'static) {
    let found = found(Some(Box::new(OnTelling(tell))));
    assert!(found.iter().any(|text| text.contains(words)), "not \"{words}\": {found:#?}");
}

/// The frame with something of the PUBLISH in it changed.
fn changed(frame: &[u8], change: impl FnOnce(&mut tamtam_tests::wire::Publish)) -> Vec<u8> {
    let Ok(Packet::Publish(mut publish)) = decode(frame, VERSION) else {
        panic!("no PUBLISH: {frame:x?}")
    };
    change(&mut publish);
    encode(&Packet::Publish(publish), VERSION)
}

/// Holds back the packet of this type and number until the next of this type has left.
fn swap(kind: u8, number: usize) -> impl FnMut(u8, usize, Vec<u8>) -> Vec<Vec<u8>> {
    let mut held = None;
    move |here, before, frame| {
        if here == kind && before == number {
            held = Some(frame);
            return Vec::new();
        }
        let mut frames = vec![frame];
        if here == kind {
            frames.extend(held.take());
        }
        frames
    }
}

fn drop_one(kind: u8, number: usize) -> impl FnMut(u8, usize, Vec<u8>) -> Vec<Vec<u8>> {
    move |here, before, frame| {
        if here == kind && before == number { Vec::new() } else { vec![frame] }
    }
}

fn double(kind: u8, number: usize) -> impl FnMut(u8, usize, Vec<u8>) -> Vec<Vec<u8>> {
    move |here, before, frame| {
        let copies = if here == kind && before == number { 2 } else { 1 };
        vec![frame; copies]
    }
}

/// Sends this besides the first packet of a type.
fn inject(kind: u8, bytes: Vec<u8>) -> impl FnMut(u8, usize, Vec<u8>) -> Vec<Vec<u8>> {
    move |here, before, frame| {
        if here == kind && before == 0 { vec![frame, bytes.clone()] } else { vec![frame] }
    }
}

fn change_publish(
    number: usize,
    change: impl Fn(&mut tamtam_tests::wire::Publish),
) -> impl FnMut(u8, usize, Vec<u8>) -> Vec<Vec<u8>> {
    move |here, before, frame| {
        let changes = here == 3 && before == number;
        vec![if changes { changed(&frame, |publish| change(publish)) } else { frame }]
    }
}

#[test]
fn without_a_fault_nothing_is_found() {
    assert_eq!(found(None), Vec::<String>::new());
    let idle = OnTheWay(|_, _, frame| vec![frame], [0; 16]);
    assert_eq!(found(Some(Box::new(idle))), Vec::<String>::new());
}

#[test]
fn wrong_publishes_are_found() {
    expect_found("DUP though nothing of it had left", change_publish(0, |p| p.dup = true));
    expect_found("again without DUP", change_publish(7, |p| p.dup = false));
    expect_found("again on the same connection", double(3, 1));
    expect_found("QoS 0 sent twice", double(3, 4));
    expect_found("behind message", swap(3, 0));
    expect_found("behind message", swap(3, 7));
    expect_found("is open", drop_one(3, 1));
    expect_found("is open", drop_one(3, 3));
    expect_found("is open", drop_one(3, 8));
    expect_found("is in use", change_publish(1, |p| p.id = 1));
    expect_found("packet identifier 0", change_publish(0, |p| p.id = 0));
    expect_found("nobody published", change_publish(0, |p| p.payload = b"other".into()));
    expect_found("left as", change_publish(0, |p| p.topic = b"other".into()));
    expect_found("left as", change_publish(0, |p| p.retain = true));
    expect_found("left as", change_publish(0, |p| p.qos = 2));
    expect_found("second identifier", change_publish(7, |p| (p.id, p.dup) = (99, false)));
}

#[test]
fn wrong_releases_are_found() {
    let pubrel = encode(&Packet::ack(AckKind::PubRel, 3), VERSION);
    expect_found("PUBREL 3 without PUBREC", inject(3, pubrel));
    expect_found("PUBREL is owed", drop_one(6, 1));
    expect_found("PUBREL 3 without PUBREC, or twice", double(6, 0));
    expect_found("PUBREL 4 before 3", swap(6, 0));
    let mut publish = None;
    expect_found("behind its PUBREC", move |kind, before, frame| {
        let mut frames = vec![frame.clone()];
        match (kind, before) {
            (3, 3) => publish = Some(changed(&frame, |publish| publish.dup = true)),
            (6, 1) => frames.extend(publish.take()),
            _ => {}
        }
        frames
    });
}

#[test]
fn wrong_acknowledgements_are_found() {
    for (kind, name) in [(4, "PubAck"), (5, "PubRec")] {
        expect_found(name, double(kind, 1));
        expect_found("before", swap(kind, 0));
        expect_found("owed", drop_one(kind, 1));
    }
    expect_found("without PUBREL", double(7, 0));
    expect_found("PUBCOMP is owed", drop_one(7, 0));
    let early = encode(&Packet::ack(AckKind::PubAck, 1), VERSION);
    expect_found("before CONNACK", inject(1, early.clone()));
    expect_found("PubAck 1 for nothing", inject(3, early));
}

#[test]
fn wrong_beginnings_and_ends_are_found() {
    expect_found("a second CONNECT", double(1, 0));
    expect_found("before CONNECT", |_, before, frame| match (frame[0], before) {
        (0x10, 0) => vec![b"\xC0\0".into(), frame],
        _ => vec![frame],
    });
    expect_found("behind DISCONNECT", inject(3, encode(&Packet::disconnect(0), VERSION)));
    expect_found("only a server sends", inject(3, encode(&Packet::PingResp, VERSION)));
    expect_found("reserved", inject(3, b"\xC1\x00".into()));
}

#[test]
fn wrong_news_is_found() {
    let is_message = |happened: &Happened| matches!(happened, Happened::Message(_));
    let is_delivered = |happened: &Happened| matches!(happened, Happened::Delivered(..));
    expect_found_in_telling("nobody was told", move |h| usize::from(!is_message(h)));
    expect_found_in_telling("did not come", move |h| 1 + usize::from(is_message(h)));
    expect_found_in_telling("is open", move |h| usize::from(!is_delivered(h)));
    expect_found_in_telling("completed twice", move |h| 1 + usize::from(is_delivered(h)));
}
