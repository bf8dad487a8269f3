//! Random lives.

use tamtam_core::broker::PeerLost;
use tamtam_core::{Heap, Storage};
use tamtam_tests::broker::life::{Life, Plan};
use tamtam_tests::seeds::for_each_seed;

/// Lives it, to its end.
pub(crate) fn whole<S: Storage>(seed: u64, mut life: Life<S>) {
    life.live();
    life.finish();
    println!("{seed}: {:?} {:?}", life.world.counts, life.world.oracle.counts);
}

/// Lines lead to any of three brokers, as the seed says.
#[test]
fn nor_by_three_that_are_joined() {
    for_each_seed("joined lives", 20, |seed| {
        whole(seed, Life::<Heap>::joined(seed, Plan::SMALL, PeerLost::Keep));
    });
}

/// Two of them part now and then. What is for one that is lost is kept for it.
#[test]
fn nor_if_a_peer_is_lost_and_joins_again() {
    for_each_seed("parted lives", 20, |seed| {
        let plan = Plan { parts_permille: 20, ..Plan::SMALL };
        whole(seed, Life::<Heap>::joined(seed, plan, PeerLost::Keep));
    });
}

/// What they tell each other takes time.
#[test]
fn nor_while_they_have_not_heard_each_other() {
    for_each_seed("lagging lives", 30, |seed| {
        let plan = Plan { lag_ms: 30, ..Plan::SMALL };
        whole(seed, Life::<Heap>::joined(seed, plan, PeerLost::Keep));
    });
}

/// The same, and two of them part now and then, while messages are on their way.
#[test]
fn nor_if_they_part_before_they_have_heard_each_other() {
    for_each_seed("lagging and parted lives", 30, |seed| {
        let plan = Plan { lag_ms: 30, parts_permille: 20, ..Plan::SMALL };
        whole(seed, Life::<Heap>::joined(seed, plan, PeerLost::Keep));
    });
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order() {
    for_each_seed("lives", 40, |seed| {
        whole(seed, Life::<Heap>::new(seed, Plan::SMALL));
    });
}

/// The host is asked about much of what clients do, and says yes, later.
#[test]
fn nothing_is_either_while_the_host_is_asked() {
    for_each_seed("asked", 20, |seed| {
        let mut life = Life::<Heap>::new(seed, Plan::SMALL);
        life.world.answer_ms = Some(60);
        life.live();
        life.finish();
        assert!(life.world.counts.questions > 20, "{:?}", life.world.counts);
    });
}
