//! The same random lives without a heap.

use tamtam_tests::broker::life::{Life, Plan};
use tamtam_tests::seeds::for_each_seed;

use crate::in_a_large_stack;
use crate::lives::whole;

tamtam_core::fixed! {
    /// Room for all that the small lives have.
    pub(crate) struct Roomy {
        out: 65_536, in_flight: 1_024, aliases: 1_024, links: 64, sessions: 16,
        subscriptions: 512, levels: 512, level_bytes: 8_192, bodies: 4_096, body_bytes: 4_194_304,
        names: 1_024, queue: 4_096, journal: 1_048_576, rules: 4, rule_bytes: 1_024,
    }
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order_without_a_heap() {
    in_a_large_stack(|| {
        for_each_seed("lives on fixed", 8, |seed| {
            whole(seed, Life::<Roomy>::new(seed, Plan::SMALL));
        });
    });
}
