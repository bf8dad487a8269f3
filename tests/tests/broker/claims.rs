//! Whose a session is, asked across brokers: a stranger is refused wherever it connects, and the
//! owner does not notice.

use crate::support::*;

const NOT_AUTHORIZED: Option<ReasonCode> = Some(ReasonCode::NotAuthorized);

fn rig(seed: u64) -> Rig<Heap> {
    let mut rig = Rig::joined(V5, seed);
    rig.asking();
    rig
}

/// A client connects as this user, and the host lets it in as far as it has a say.
fn begin(rig: &mut Rig<Heap>, place: usize, user: &'static str, take_over: bool) -> Raw {
    let raw = rig.at(place).open();
    let connect = Connect { user_name: Some(text(user)), ..kept(V5, "a") };
    let _ = rig.hand_in(raw, &bytes(V5, &[Packet::Connect(connect)]));
    let asked = |event: &Event| match event {
        Event::Ask(ask) => Some(*ask),
        _ => None,
    };
    let ask = rig.events().iter().rev().find_map(asked).expect("a question");
    let how = Acceptance { take_over, ..Acceptance::default() };
    let now = rig.now;
    rig.broker_at(place).answer(ask, Verdict::Accept(how), now);
    rig.turn();
    raw
}

fn is_alive(rig: &mut Rig<Heap>, raw: Raw) -> bool {
    if rig.is_closed(raw) {
        return false;
    }
    rig.send(raw, &[Packet::PingReq]);
    rig.said(raw) == ["PINGRESP"]
}

// [MQTT5-3.1.4-2]
#[test]
fn a_stranger_at_another_broker_takes_nothing_over() {
    for connected in [true, false] {
        let mut rig = rig(1);
        let owner = begin(&mut rig, 0, "owner", false);
        rig.got(owner);
        rig.subscribe(owner, "t", Q1);
        if !connected {
            rig.cut(owner);
        }
        let stranger = begin(&mut rig, 1, "stranger", false);
        assert!(rig.is_closed(stranger));
        assert_eq!(rig.refusal(stranger), NOT_AUTHORIZED);
        assert_eq!(is_alive(&mut rig, owner), connected);
        assert_eq!((rig.session_count(), rig.subscription_count()), (1, 1));
        let again = begin(&mut rig, 2, "owner", false);
        assert_eq!(rig.said(again), ["CONNACK"]);
        assert_eq!((rig.session_count(), rig.subscription_count()), (1, 1), "it moved");
    }
}

/// As the host says.
#[test]
fn who_may_take_over_does_so_at_another_broker() {
    let mut rig = rig(1);
    let owner = begin(&mut rig, 0, "owner", false);
    rig.got(owner);
    let other = begin(&mut rig, 1, "other", true);
    assert_eq!(rig.said(other), ["CONNACK"]);
    assert!(rig.is_closed(owner));
    let owner = begin(&mut rig, 2, "owner", false);
    assert_eq!(rig.refusal(owner), NOT_AUTHORIZED, "it is the other's now");
    assert!(is_alive(&mut rig, other));
}

/// Whichever brokers and whichever order: who owns the session gets it.
#[test]
fn a_stranger_that_connects_at_the_same_time_takes_nothing_over() {
    for seed in 0..40 {
        let places = [(0, 1), (1, 0), (1, 2), (2, 2)];
        let (one, other) = places[seed as usize % 4];
        for owner_first in [true, false] {
            let mut rig = rig(seed);
            let old = begin(&mut rig, 0, "owner", false);
            rig.got(old);
            rig.subscribe(old, "t", Q1);
            rig.hold(true);
            let both = [("owner", one), ("stranger", other)];
            let order = if owner_first { [0, 1] } else { [1, 0] };
            let mut raws = [old; 2];
            for which in order {
                let (user, place) = both[which];
                raws[which] = begin(&mut rig, place, user, false);
            }
            rig.hold(false);
            let [owner, stranger] = raws;
            assert_eq!(rig.refusal(stranger), NOT_AUTHORIZED, "seed {seed}");
            assert_eq!(rig.said(owner), ["CONNACK"], "seed {seed}, {owner_first}");
            assert!(is_alive(&mut rig, owner), "seed {seed}");
            assert_eq!((rig.session_count(), rig.subscription_count()), (1, 1), "seed {seed}");
        }
    }
}

/// Nobody has a session of that name: who came first is its owner.
#[test]
fn of_two_users_at_once_one_gets_a_name() {
    for seed in 0..40 {
        let mut rig = rig(seed);
        rig.hold(true);
        let users = ["one", "two", "three"];
        let raws: Vec<_> =
            (0..3).map(|place| begin(&mut rig, place, users[place], false)).collect();
        rig.hold(false);
        let open: Vec<_> = raws.iter().filter(|raw| !rig.is_closed(**raw)).copied().collect();
        assert_eq!(open, [raws[0]], "seed {seed}");
        assert_eq!(rig.session_count(), 1, "seed {seed}");
        for stranger in &raws[1..] {
            assert_eq!(rig.refusal(*stranger), NOT_AUTHORIZED, "seed {seed}");
        }
    }
}
