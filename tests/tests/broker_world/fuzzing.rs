//! The body of the fuzz target `broker_ops`, on random inputs.

use tamtam_tests::dice::Dice;
use tamtam_tests::fuzz::broker_ops;
use tamtam_tests::seeds::for_each_seed;

/// Operations that lead somewhere, and what each needs.
fn input(seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut bytes: Vec<u8> = (0..7).map(|_| dice.roll() as u8).collect();
    for client in 0..4 {
        bytes.extend([5, client, dice.roll() as u8, dice.roll() as u8]); // connects
    }
    for _ in 0..dice.between(1, 60) {
        bytes.push(dice.below(16) as u8);
        for _ in 0..dice.between(1, 5) {
            bytes.push(dice.roll() as u8);
        }
    }
    bytes
}

#[test]
fn broker_ops_holds_on_random_operations() {
    for_each_seed("broker_ops", 2_000, |seed| broker_ops(&input(seed)));
}
