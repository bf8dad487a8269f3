//! A server that misbehaves, refuses or is silent while a connection begins, or ends it.

use tamtam_core::client::{PeerError, Transport};
use tamtam_core::{Heap, ReasonCode, Version};
use tamtam_tests::happened::{Happened, Loss};
use tamtam_tests::node::Habits;
use tamtam_tests::pipe::Weather;
use tamtam_tests::profile::Profile;
use tamtam_tests::server::{Manners, Reaction, Scripted};
use tamtam_tests::watched::Draft;
use tamtam_tests::wire::{ConnAck, Packet, Props, encode, id};
use tamtam_tests::world::World;

use crate::support::{Kind, Small, expect_right, is_at_rest, world_of};

const NAME: &str = "caller";

/// A client with a message to send that was told to connect.
fn caller<S: Kind>(version: Version, manners: Manners) -> World<S, Scripted> {
    let mut world = world_of::<S>(5, Profile::new(version, NAME), Habits::PLAIN, manners);
    let now = world.now;
    let client = &mut world.nodes[0].client;
    client.publish(&Draft::new("a", b"hello", 1), now).expect("room");
    client.machine.connect(now).expect("it was started");
    world
}

fn answer_connect_with<S: Kind>(world: &mut World<S, Scripted>, bytes: Vec<u8>) {
    world.server.trick = Some(Box::new(move |packet| match packet {
        Packet::Connect(_) => Reaction::Instead(bytes.clone()),
        _ => Reaction::Proper,
    }));
}

fn first_loss<S: Kind>(world: &World<S, Scripted>) -> Option<Loss> {
    world.nodes[0].inbox.iter().find_map(|happened| match happened {
        Happened::Lost(loss) => Some(*loss),
        _ => None,
    })
}

fn expect_recovery<S: Kind>(world: &mut World<S, Scripted>) {
    world.server.trick = None;
    world.server.manners = Manners::GOOD;
    assert!(world.run_until(300_000, |world| is_at_rest(world)), "no rest");
    expect_right(world, true);
}

fn connack(session_present: bool, code: u8, version: Version) -> Vec<u8> {
    encode(&Packet::ConnAck(ConnAck { session_present, code, props: Props::NONE }), version)
}

fn wrong_beginning<S: Kind>(version: Version, bytes: &[u8], loss: Loss) {
    let mut world = caller::<S>(version, Manners::GOOD);
    answer_connect_with(&mut world, bytes.to_vec());
    world.settle();
    assert_eq!(first_loss(&world), Some(loss), "{bytes:x?} in {version:?}");
    assert!(world.server.goodbyes.is_empty(), "DISCONNECT before CONNACK");
    expect_recovery(&mut world);
}

#[test]
fn nothing_may_come_before_connack() {
    let unexpected = Loss::Peer(PeerError::UnexpectedPacket);
    for &version in Version::ALL {
        for bytes in [&b"\xD0\x00"[..], b"\x40\x02\0\x01", b"\xB0\x02\0\x01"] {
            if bytes[0] == 0xB0 && version.is_v5() {
                continue;
            }
            wrong_beginning::<Heap>(version, bytes, unexpected);
            wrong_beginning::<Small>(version, bytes, unexpected);
        }
        let refused = Loss::Malformed(ReasonCode::MalformedPacket);
        wrong_beginning::<Heap>(version, b"\x21\x02\0\0", refused);
        wrong_beginning::<Small>(version, b"\x20\x80\x00", refused);
    }
    wrong_beginning::<Heap>(
        Version::V5,
        b"\x20\x07\0\0\x04\x15\0\x01a",
        Loss::Peer(PeerError::Auth),
    );
}

/// [MQTT5-3.2.2-4]
#[test]
fn a_session_that_the_client_does_not_know_is_not_gone_on_with() {
    let mut world = caller::<Heap>(Version::V5, Manners::GOOD);
    answer_connect_with(&mut world, connack(true, 0, Version::V5));
    world.settle();
    assert_eq!(first_loss(&world), Some(Loss::Peer(PeerError::SessionPresent)));
    expect_recovery(&mut world);
    let clean: Vec<bool> = world.server.connects.iter().map(|connect| connect.clean).collect();
    assert_eq!(clean, [true], "the next attempt begins a new session");
}

/// Return codes before MQTT 5, and whether there is another attempt.
#[test]
fn a_refusal_is_told_and_tried_again_only_if_that_may_help() {
    let old = [(1, false), (2, false), (3, true), (4, false), (5, false)];
    let new = [
        (0x80, true),
        (0x81, false),
        (0x84, false),
        (0x85, false),
        (0x86, false),
        (0x87, false),
        (0x88, true),
        (0x89, true),
        (0x8A, false),
        (0x97, true),
        (0x9D, false),
        (0x9F, true),
    ];
    for &version in Version::ALL {
        let codes: &[(u8, bool)] = if version.is_v5() { &new } else { &old };
        for &(code, again) in codes {
            let mut world = caller::<Heap>(version, Manners { code, ..Manners::GOOD });
            world.settle();
            assert!(matches!(first_loss(&world), Some(Loss::Refused(_))), "{code:#x}");
            world.pass(100_000);
            assert_eq!(world.counts.connections > 1, again, "{code:#x} in {version:?}");
            if !again {
                let machine = &mut world.nodes[0].client.machine;
                assert_eq!(machine.transport(), Transport::Resting);
                machine.connect(world.now).expect("it was started");
            }
            expect_recovery(&mut world);
        }
    }
}

#[test]
fn a_goodbye_of_the_server_is_told_and_answered_by_coming_back_or_not() {
    let codes = [
        (0x00, true),
        (0x81, true),
        (0x87, false),
        (0x89, true),
        (0x8B, true),
        (0x8D, true),
        (0x8E, false),
        (0x97, true),
        (0x9C, true),
        (0x9D, false),
    ];
    for (code, again) in codes {
        let mut world = caller::<Small>(Version::V5, Manners::GOOD);
        world.settle();
        let bytes = encode(&Packet::disconnect(code), Version::V5);
        world.server.send_bytes(NAME.as_bytes(), &bytes, world.now);
        world.settle();
        let reason = ReasonCode::from_byte(code).expect("a code");
        assert_eq!(first_loss(&world), Some(Loss::Disconnected(reason)));
        assert!(world.server.goodbyes.is_empty(), "a goodbye is not answered");
        world.pass(10_000);
        assert_eq!(world.counts.connections > 1, again, "{code:#x}");
        if !again {
            world.nodes[0].client.machine.connect(world.now).expect("it was started");
        }
        expect_recovery(&mut world);
    }
}

#[test]
fn without_connack_the_attempt_ends_in_time() {
    for &version in Version::ALL {
        let mut world = caller::<Heap>(version, Manners { accepts: false, ..Manners::GOOD });
        world.pass(9_999);
        assert_eq!(first_loss(&world), None);
        world.pass(1);
        assert_eq!(first_loss(&world), Some(Loss::ConnectTimeout));
        world.pass(500);
        expect_recovery(&mut world);
    }
}

#[test]
fn without_pingresp_the_connection_ends_in_time() {
    for &version in Version::ALL {
        let mut world = caller::<Small>(version, Manners { pongs: false, ..Manners::GOOD });
        world.settle();
        world.pass(52_500 + 9_999);
        assert_eq!(first_loss(&world), None);
        world.pass(1);
        assert_eq!(first_loss(&world), Some(Loss::KeepAlive));
        assert!(world.nodes[0].client.machine.poll_timeout().is_some(), "it comes back");
        expect_recovery(&mut world);
    }
}

#[test]
fn a_server_that_does_not_read_is_left() {
    for &version in Version::ALL {
        let mut world = caller::<Heap>(version, Manners::GOOD);
        world.weather = Weather { capacity: 100, ..Weather::FINE };
        world.settle();
        world.server.manners.reads = false;
        for number in 0..40 {
            let payload = format!("stuck {number}");
            let draft = Draft::new("a", payload.as_bytes(), number % 3);
            world.nodes[0].client.publish(&draft, world.now).expect("room");
        }
        world.pass(70_000);
        assert_eq!(first_loss(&world), Some(Loss::KeepAlive));
        world.weather = Weather::FINE;
        expect_recovery(&mut world);
    }
}

#[test]
fn who_is_accepted_and_left_at_once_does_not_come_back_at_once() {
    let mut world = caller::<Heap>(Version::V311, Manners::GOOD);
    world.server.trick = Some(Box::new(|packet| match packet {
        Packet::Connect(_) => Reaction::Proper,
        _ => Reaction::HangUp,
    }));
    world.pass(60_000);
    assert!(world.counts.connections > 3, "{:?}", world.counts);
    assert!(world.counts.connections < 20, "{:?}", world.counts);
    expect_recovery(&mut world);
}

#[test]
fn a_server_keep_alive_replaces_the_client_s() {
    let manners = Manners { connack: Props::NONE.with(id::SERVER_KEEP_ALIVE, 7), ..Manners::GOOD };
    let mut world = caller::<Small>(Version::V5, manners);
    world.pass(100_000); // the oracle watches
    expect_right(&world, true);
    assert!(is_at_rest(&world));
}
