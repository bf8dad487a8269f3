//! Payloads that are never in memory as a whole, both ways.

use tamtam_core::Version;
use tamtam_core::client::{Failure, SendError};
use tamtam_tests::happened::Happened;
use tamtam_tests::node::Habits;
use tamtam_tests::pipe::Weather;
use tamtam_tests::profile::Profile;
use tamtam_tests::story::{Actor, Host, Story};
use tamtam_tests::watched::Draft;

use crate::support::{Kind, both};

fn long(what: &str) -> String {
    format!("{what} {}", "0123456789".repeat(400))
}

/// A client that takes and hands in pieces of at most 50 bytes, and keeps 300 bytes at most.
fn streamer<S: Kind>(version: Version) -> (Story<S>, Actor<S>, Host<S>) {
    let profile =
        Profile { stream_above: 300, outgoing_bytes: 1_000, ..Profile::new(version, "a") };
    let (story, a, server) = Story::<S>::with(profile);
    a.node(|node, _| {
        node.habits = Habits { chunk: (1, 50), read: (1, 50), write: (1, 50), ..Habits::PLAIN };
    });
    (story, a, server)
}

/// The line is full, and takes nothing, from now on.
fn clogs<S: Kind>(story: &Story<S>, a: &Actor<S>, server: &Host<S>) {
    server.server(|server| server.manners.reads = false);
    a.publishes("t", &"clog".repeat(60)).qos(0);
    story.world(|world| assert!(!world.line(0).expect("a line").up.has_room()));
}

both! {
    fn they_go_and_come_whole<S: Kind>() {
        for &version in Version::ALL {
            let (story, a, server) = streamer::<S>(version);
            a.connects();
            for qos in 0..3 {
                let (up, down) = (long(&format!("up {qos}")), long(&format!("down {qos}")));
                a.streams("t", &up, qos);
                server.receives(&up);
                server.publishes("t", &down, qos);
                assert!(a.receives(&down).streamed);
            }
            story.ends();
        }
    }

    fn one_that_was_cut_off_starts_anew<S: Kind>() {
        for &version in Version::ALL {
            let (story, a, server) = streamer::<S>(version);
            story.world(|world| world.weather = Weather { capacity: 200, ..Weather::FINE });
            a.connects();
            a.subscribes("t");
            clogs(&story, &a, &server);
            a.streams("t", &long("up"), 1);
            server.publishes("t", &long("down"), 2);
            server.server(|server| server.manners.reads = true);
            story.world(|world| world.stall_line(0, 50));
            a.loses_connection();
            a.is_back();
            server.receives(&long("up"));
            let _ = a.receives(&long("down"));
            story.ends();
        }
    }

    /// [MQTT 4.6]: what is sent again goes in the order of before, streamed or not; what was
    /// published behind it waits.
    fn what_is_sent_again_keeps_its_order<S: Kind>() {
        for &version in Version::ALL {
            let (story, a, server) = streamer::<S>(version);
            a.connects();
            a.subscribes("t");
            server.ignores_requests();
            a.publishes("t", "first").qos(1);
            a.streams("t", &long("second"), 1);
            a.publishes("t", "third").qos(2);
            a.streams("t", &long("fourth"), 2);
            a.publishes("t", "fifth").qos(1);
            server.behaves();
            a.loses_connection();
            a.publishes("t", "sixth").qos(1);
            a.is_back();
            for text in ["first", "third", "fifth", "sixth"] {
                a.hears_of_delivery(text);
            }
            a.hears_of_delivery(&long("second"));
            a.hears_of_delivery(&long("fourth"));
            story.ends(); // the oracle has watched the order
        }
    }

    /// Messages that wait behind a streamed one must not take the room that it needs.
    fn there_is_room_to_send_again<S: Kind>() {
        let (story, a, server) = streamer::<S>(Version::V311);
        a.connects();
        a.subscribes("t");
        server.ignores_requests();
        a.streams("t", &long("streamed"), 1);
        a.loses_connection();
        let filled = a.node(|node, now| {
            let mut number = 0;
            // Larger ones, and then as small as they can be.
            for len in [90, 0] {
                let text = |number: u32| format!("{number}{}", "x".repeat(len));
                let draft = |number| Draft::new("t", text(number).as_bytes(), 1);
                while node.client.publish(&draft(number), now).is_ok() {
                    number += 1;
                }
            }
            number
        });
        assert!(filled > 5, "{filled}");
        server.behaves();
        a.is_back();
        a.hears_of_delivery(&long("streamed"));
        story.ends();
    }

    /// DUP says that it may have come before: not if nothing of it ever left.
    fn one_of_which_nothing_had_left_is_no_duplicate<S: Kind>() {
        for &version in Version::ALL {
            let (story, a, server) = streamer::<S>(version);
            story.world(|world| world.weather = Weather { capacity: 200, ..Weather::FINE });
            a.connects();
            a.subscribes("t");
            clogs(&story, &a, &server);
            a.streams("t", &long("late"), 2);
            server.server(|server| server.manners.reads = true);
            a.loses_connection();
            a.is_back();
            a.hears_of_delivery(&long("late"));
            story.ends(); // the oracle has looked at DUP
        }
    }

    /// In a new session the first attempt is the first, however long ago it was published.
    fn in_a_new_session_it_is_new<S: Kind>() {
        let (story, a, server) = streamer::<S>(Version::V5);
        a.connects();
        server.ignores_requests();
        a.streams("t", &long("again"), 1);
        a.streams("t", &long("perhaps"), 2);
        server.behaves();
        server.loses_sessions();
        a.is_back();
        a.hears_of_delivery(&long("again"));
        a.hears_of_failure(&long("perhaps"), Failure::Unknown);
        story.ends();
    }

    /// Acknowledgements wait for the end of a payload; they must leave it room to get there.
    fn answers_do_not_choke_it<S: Kind>() {
        for &version in Version::ALL {
            let profile = Profile { outgoing_bytes: 1_000, ..Profile::new(version, "a") };
            let (story, a, server) = Story::<S>::with(profile);
            story.world(|world| world.weather = Weather { capacity: 200, ..Weather::FINE });
            a.connects();
            a.subscribes("t");
            clogs(&story, &a, &server);
            a.streams("t", &long("slow"), 1);
            for number in 0..300 {
                server.publishes("t", &format!("m{number}"), 1);
            }
            server.server(|server| server.manners.reads = true);
            story.passes(100);
            server.receives(&long("slow"));
            for number in 0..300 {
                let _ = a.receives(&format!("m{number}"));
            }
            story.ends();
        }
    }

    fn there_is_one_at_a_time<S: Kind>() {
        let (story, a, server) = streamer::<S>(Version::V5);
        story.world(|world| world.weather = Weather { capacity: 200, ..Weather::FINE });
        a.connects();
        a.subscribes("t");
        clogs(&story, &a, &server);
        a.streams("t", &long("one"), 1);
        let draft = Draft::new("t", long("two").as_bytes(), 1);
        let second = a.node(|node, now| node.client.publish_stream(&draft, now));
        assert_eq!(second, Err(SendError::Stream));
        server.server(|server| server.manners.reads = true);
        story.passes(10);
        server.receives(&long("one"));
        story.ends();
    }

    /// A message whose connection is lost within it is told to have ended, and comes anew.
    fn the_end_of_a_half_message_is_told<S: Kind>() {
        for &version in Version::ALL {
            let (story, a, server) = streamer::<S>(version);
            let weather = Weather { capacity: 200, delay_ms: (5, 5), ..Weather::FINE };
            story.world(|world| world.weather = weather);
            a.node(|node, now| node.client.machine.connect(now)).expect("it was started");
            story.passes(100);
            a.subscribes("t");
            story.passes(100);
            server.publishes("t", &long("down"), 1);
            story.passes(20);
            assert!(a.take(|happened| *happened == Happened::Piece).is_some());
            a.loses_connection();
            assert!(a.take(|happened| *happened == Happened::Aborted).is_some());
            story.passes(2_000);
            let _ = a.receives(&long("down"));
            story.ends();
        }
    }
}
