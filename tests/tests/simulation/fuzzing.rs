//! The body of the fuzz target `client_ops`, on random inputs.

use std::fs;
use std::path::Path;

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

/// Every file of the corpus as it is, and with each byte changed.
#[test]
fn client_ops_holds_around_its_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/client_ops");
    let mut files = 0;
    for entry in fs::read_dir(&folder).expect("a corpus").flatten() {
        let bytes = fs::read(entry.path()).expect("a file");
        files += 1;
        println!("{}", entry.path().display());
        client_ops(&bytes);
        for at in 0..bytes.len() {
            for change in [1, 4, 16, 0xFF] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                println!("byte {at} ^ {change}: {}", changed.escape_ascii());
                client_ops(&changed);
            }
            client_ops(&bytes[..at]);
        }
    }
    assert!(files >= 12, "{files} files in {}", folder.display());
}
