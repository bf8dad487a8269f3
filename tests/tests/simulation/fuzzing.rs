//! The body of the fuzz target `client_ops`, on random inputs.

use tamtam_tests::dice::Dice;
use tamtam_tests::fuzz::client_ops;
use tamtam_tests::seeds::for_each_seed;

/// Operations that lead somewhere, and what each needs.
fn input(seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut bytes: Vec<u8> = (0..4).map(|_| dice.roll() as u8).collect();
    if dice.chance(90) {
        bytes.push(31);
    }
    for _ in 0..dice.between(1, 60) {
        // A turn of the loop and proper answers now and then, or nothing gets anywhere.
        let operation =
            if dice.chance(30) { dice.pick(&[14, 25, 11]) } else { dice.below(32) as u8 };
        bytes.push(operation);
        for _ in 0..dice.below(4) {
            bytes.push(dice.roll() as u8);
        }
    }
    bytes
}

#[test]
fn client_ops_holds_on_random_operations() {
    for_each_seed("client_ops", 2_000, |seed| client_ops(&input(seed)));
}
