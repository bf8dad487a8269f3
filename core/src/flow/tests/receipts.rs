//! Received QoS 2 identifiers: each once, however often its PUBLISH comes.

use std::collections::BTreeMap;

use super::{Dice, id, numbers};
use crate::flow::receive::{Failure, Owed, Receipts, Received, Seen, next};
use crate::storage::{HeapList, List};

fn receipts_agree_with_the_model<L: List<Received>>(limit: u16) {
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let mut receipts = Receipts::<L>::EMPTY;
        receipts.set_limit(limit);
        assert_eq!(receipts.limit(), usize::from(limit));
        let mut model = BTreeMap::<u16, (Owed, u32)>::new();
        for token in 0..400 {
            let number = dice.roll(1..usize::from(limit) * 2 + 1) as u16;
            let all = [Seen::Publish, Seen::Publish, Seen::Accepted, Seen::Refused, Seen::PubRel];
            let seen = dice.pick(&all).unwrap();
            let before = model.get(&number).copied();
            let expected = match next(before.map(|(owed, _)| owed), seen) {
                Err(_) => Err(Failure::Unexpected),
                Ok(Some(_)) if before.is_none() && model.len() == usize::from(limit) => {
                    Err(Failure::Full)
                }
                Ok(after) => Ok(after),
            };
            assert_eq!(receipts.advance(id(number), seen, token), expected, "seed {seed}");
            match expected {
                Ok(Some(owed)) => {
                    let token = before.map_or(token, |(_, token)| token);
                    model.insert(number, (owed, token));
                }
                Ok(None) => {
                    model.remove(&number);
                }
                Err(_) => {}
            }
            for number in 1..=limit * 2 {
                let found = receipts.get(id(number)).map(|entry| (entry.owed, entry.token));
                assert_eq!(found, model.get(&number).copied(), "seed {seed}");
            }
            assert_accepted(&receipts, &model, seed);
        }
        receipts.clear();
        assert_accepted(&receipts, &BTreeMap::new(), seed);
    }
}

fn assert_accepted<L: List<Received>>(
    receipts: &Receipts<L>,
    model: &BTreeMap<u16, (Owed, u32)>,
    seed: u64,
) {
    let mut after = 0;
    let row = core::iter::from_fn(|| {
        let here = receipts.accepted_after(after)?;
        after = here.get();
        Some(here)
    });
    let accepted = model.iter().filter(|(_, (owed, _))| *owed == Owed::PubRel);
    assert!(numbers(row).iter().eq(accepted.map(|(number, _)| number)), "seed {seed}");
}

// [MQTT5-4.3.3-10, MQTT5-4.3.3-9, MQTT5-4.3.3-12]
#[test]
fn receipts_agree_with_a_model_on_both_storages() {
    receipts_agree_with_the_model::<heapless::Vec<Received, 5>>(5);
    receipts_agree_with_the_model::<HeapList<Received>>(5);
    receipts_agree_with_the_model::<HeapList<Received>>(30);
}
