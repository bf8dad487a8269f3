//! A hundredth of the day that the bench `day` lives.

use tamtam_tests::broker::day::Day;

/// The same from the same seed, byte for byte.
#[test]
fn a_day_is_the_same_if_it_is_lived_again() {
    let day = Day::live(1, 1);
    assert_eq!(day.violations, Vec::<String>::new());
    assert!(day.judge.deliveries > 500 && day.world.crashes == 1, "{day:?}");
    assert!(day.world.connections > 1_500, "{day:?}");
    assert_eq!(Day::live(1, 1), day);
}
