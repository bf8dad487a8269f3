//! Random lives.

use tamtam_core::Heap;
use tamtam_tests::broker::life::{Life, Plan};
use tamtam_tests::seeds::for_each_seed;

#[test]
fn nothing_is_lost_doubled_or_out_of_order() {
    for_each_seed("lives", 25, |seed| {
        let mut life = Life::<Heap>::new(seed, Plan::SMALL);
        life.live();
        life.finish();
        println!("{seed}: {:?} {:?}", life.world.counts, life.world.oracle.counts);
    });
}

/// The host is asked about much of what clients do, and says yes, later.
#[test]
fn nothing_is_either_while_the_host_is_asked() {
    for_each_seed("asked", 12, |seed| {
        let mut life = Life::<Heap>::new(seed, Plan::SMALL);
        life.world.answer_ms = Some(60);
        life.live();
        life.finish();
        assert!(life.world.counts.questions > 20, "{:?}", life.world.counts);
    });
}
