//! Connecting again: when, how often, and when not at all.

use tamtam_core::client::{Client, Lost, Reconnect, SendError, Transport};

use crate::support::*;

impl<S: Storage> Rig<S> {
    /// How long the client rests before its next attempt, in milliseconds; then it is made.
    fn rest(&mut self) -> u64 {
        assert_eq!(self.client.transport(), Transport::Resting);
        let when = self.client.poll_timeout().expect("an attempt to come");
        let wait = when.millis_since(self.now);
        if wait > 0 {
            self.wait_ms(wait - 1);
            assert_eq!(self.client.transport(), Transport::Resting);
        }
        self.wait_ms(1);
        assert_eq!(self.client.transport(), Transport::Wanted);
        wait
    }
}

/// A pain: a fixed wait, so that a thousand clients come back at once and for ever.
fn waits_grow_up_to_a_bound_and_are_random<S: Storage>(mut rig: Rig<S>) {
    let mut longest = [0; 10];
    for seed in 0..40 {
        let backoff = Reconnect::Backoff { first_ms: 100, most_ms: 3_000 };
        rig.client.start(&options(rig.version).reconnect(backoff), seed).expect("options");
        rig.client.connect(rig.now).expect("a client that was started");
        for (attempt, longest) in longest.iter_mut().enumerate() {
            rig.client.handle_close(rig.now);
            let wait = rig.rest();
            assert!(wait <= 3_000.min(100 << attempt), "attempt {attempt}: {wait}");
            *longest = wait.max(*longest);
        }
    }
    // Of 40 throws one at least comes near to the bound.
    for (attempt, longest) in longest.into_iter().enumerate() {
        let bound = 3_000.min(100 << attempt);
        assert!(longest > bound * 3 / 4, "attempt {attempt}: {longest}");
    }
}

fn the_same_seed_gives_the_same_waits<S: Storage>(mut rig: Rig<S>) {
    let mut waits = |seed| {
        rig.client.start(&options(rig.version), seed).expect("options");
        rig.client.connect(rig.now).expect("a client that was started");
        let one = |_| {
            rig.client.handle_close(rig.now);
            rig.rest()
        };
        (0..8).map(one).collect::<Vec<_>>()
    };
    let first = waits(1);
    assert_eq!(waits(1), first);
    assert_ne!(waits(2), first);
}

/// A pain: who is accepted and cut off at once comes back at once, a thousand times a second.
fn a_connection_that_does_not_last_counts_as_an_attempt<S: Storage>(mut rig: Rig<S>) {
    rig.start(&options(rig.version));
    let mut total = 0;
    for _ in 0..20 {
        rig.open();
        rig.accept(false, &[]);
        rig.wait_ms(10);
        rig.cut();
        total += rig.rest();
    }
    assert!(total > 60_000, "{total} ms for 20 attempts");
    // One that lasts makes good for all.
    rig.open();
    rig.accept(true, &[]);
    rig.wait_ms(6_000);
    rig.cut();
    assert!(rig.rest() <= u64::from(SOON_MS));
}

/// A pain: state that the server can't stand is kept, and ends every connection anew.
fn no_state_of_ours_ends_every_connection<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.publish("t", &[b'x'; 200], QoS::AtLeastOnce);
    rig.publish("t", b"y", QoS::ExactlyOnce);
    rig.sent();
    rig.feed(&[message(QoS::ExactlyOnce, 1, b"theirs")]);
    rig.cut();
    // The server lost its session, then goes on with one of whoever was there in between.
    rig.reopen();
    let connack = Packet::ConnAck(ConnAck::new(ReasonCode::Success, true));
    rig.start(&options(rig.version));
    rig.open();
    assert!(matches!(rig.feed_last(&[connack]), Lost::Peer(_)));
    rig.close();
    rig.reopen();
    rig.accept(false, &[Property::MaximumPacketSize(20.try_into().expect("not 0"))]);
    rig.publish("t", b"fine", QoS::AtLeastOnce);
    assert_eq!(names(&rig.sent()), ["fine"]);
}

fn never_is_never<S: Storage>(mut rig: Rig<S>) {
    rig.online_with(&options(rig.version).reconnect(Reconnect::Never));
    rig.publish("t", b"kept", QoS::AtLeastOnce);
    rig.sent();
    rig.cut();
    assert_eq!((rig.client.transport(), rig.client.poll_timeout()), (Transport::Resting, None));
    rig.wait_ms(1_000_000);
    assert_eq!(rig.client.transport(), Transport::Resting);
    rig.client.connect(rig.now).expect("asked for");
    rig.open();
    rig.accept(true, &[]);
    assert_eq!(names(&rig.sent()), ["kept*"]);
}

fn connecting_now_does_not_wait<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.cut();
    assert_eq!(rig.client.transport(), Transport::Resting);
    rig.client.connect(rig.now).expect("asked for");
    assert_eq!(rig.client.transport(), Transport::Wanted);
    rig.open();
    rig.accept(true, &[]);
    rig.client.connect(rig.now).expect("no harm");
    assert_eq!((rig.client.transport(), rig.sent()), (Transport::Open, vec![]));
}

/// The end of a connection that has a successor already is not mistaken for the end of that.
fn the_end_of_one_connection_is_not_that_of_the_next<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.client.handle_close(rig.now);
    rig.client.connect(rig.now).expect("asked for");
    rig.open();
    assert_eq!(rig.news(), []);
    rig.accept(true, &[]);
}

/// Who was taken over would take over in turn, for ever.
fn some_ends_are_for_good<S: Storage>(mut rig: Rig<S>) {
    for (reason, again) in [
        (ReasonCode::SessionTakenOver, false),
        (ReasonCode::NotAuthorized, false),
        (ReasonCode::ServerMoved, false),
        (ReasonCode::ServerShuttingDown, true),
        (ReasonCode::ServerBusy, true),
        (ReasonCode::KeepAliveTimeout, true),
        (ReasonCode::AdministrativeAction, true),
    ] {
        rig.online();
        let lost = rig.feed_last(&[Packet::Disconnect(Disconnect::new(reason))]);
        assert_eq!(lost, Lost::Disconnected(Disconnect::new(reason)));
        assert_eq!(rig.client.connect(rig.now).is_ok(), again);
        rig.close();
        assert_eq!(rig.client.poll_timeout().is_some(), again, "after {reason}");
        rig.client.connect(rig.now).expect("the application knows better");
        rig.open();
        rig.accept(true, &[]);
    }
}

fn disconnecting_ends_the_attempts<S: Storage>(mut rig: Rig<S>) {
    rig.online();
    rig.cut();
    assert_eq!(rig.client.disconnect(rig.now), Err(SendError::NotConnected));
    assert_eq!((rig.client.transport(), rig.client.poll_timeout()), (Transport::Resting, None));
    // Before the transport is open, and before the server has answered.
    for opened in [false, true] {
        rig.client.connect(rig.now).expect("asked for");
        if opened {
            rig.open();
        }
        assert_eq!(rig.client.disconnect(rig.now), Err(SendError::NotConnected));
        assert_eq!(rig.client.transport(), Transport::Unwanted);
        assert_eq!(rig.client.connect(rig.now), Err(SendError::NotRunning), "too early");
        assert_eq!(rig.feed_last(&[]), Lost::Done);
        rig.close();
        assert_eq!((rig.client.transport(), rig.client.poll_timeout()), (Transport::Resting, None));
    }
}

/// The clock of the program may jump back; that of the client does not.
#[test]
fn time_never_goes_back() {
    let mut client = Client::<Heap>::new();
    client.start(&options(V5), 1).expect("options");
    client.connect(Instant::from_millis(50_000)).expect("a client that was started");
    client.handle_close(Instant::from_millis(10));
    assert!(client.poll_timeout().expect("an attempt") >= Instant::from_millis(50_000));
}

on_both_storages! {
    EVERY => waits_grow_up_to_a_bound_and_are_random, the_same_seed_gives_the_same_waits,
        a_connection_that_does_not_last_counts_as_an_attempt, never_is_never,
        connecting_now_does_not_wait, the_end_of_one_connection_is_not_that_of_the_next,
        disconnecting_ends_the_attempts;
    [V5] => no_state_of_ours_ends_every_connection, some_ends_are_for_good;
}
