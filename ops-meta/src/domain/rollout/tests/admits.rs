//! Positions, thresholds, and who is told what.

use proptest::prelude::*;

use super::*;

#[test]
fn a_position_is_of_the_number_as_text() {
    use sha2::{Digest, Sha256};
    for id in [0, 7, 10, 4711, u64::MAX] {
        let digest: [u8; 32] = Sha256::digest(format!("{id}\nweb-01")).into();
        assert_eq!(position(id, "web-01").to_be_bytes(), digest[..8], "{id}");
    }
}

#[test]
fn positions_never_change() {
    for (rollout, hostname, expected) in [
        (1, "web-01", 0x2b21_9000_2328_f850),
        (1, "web-02", 0x6c3c_8560_482b_682e),
        (2, "web-01", 0x233c_dbea_bbed_1b89),
    ] {
        assert_eq!(position(rollout, hostname), expected, "{rollout} {hostname}");
    }
}

#[test]
fn the_first_wave_that_selects_and_reaches_a_host_admits_it() {
    let waves: Admission = serde_json::from_value(json!([100, 50, u64::MAX])).unwrap();
    for (position, selected, expected) in [
        (99, 0b111, Some(0)),
        (100, 0b111, Some(2)),
        (49, 0b110, Some(1)),
        (50, 0b010, None),
        (u64::MAX, 0b100, Some(2)),
        (0, 0b000, None),
        // Of waves that have not begun.
        (0, 0b1000, None),
    ] {
        assert_eq!(waves.admitting(position, selected), expected, "{position} {selected:b}");
    }
}

#[test]
fn whoever_has_it_keeps_it_while_nobody_new_begins() {
    use Stand::{Elsewhere, Moving, There};
    use State::*;
    let mut it = rollout(json!([{"percent": 100}]));
    it.progress.waves = serde_json::from_value(json!([10])).unwrap();
    let (admitted, not) = (5, 15);
    for (states, position, stand, expected) in [
        (&[Running, AwaitingApproval][..], admitted, Elsewhere, true),
        (&[Running, AwaitingApproval], not, Elsewhere, false),
        (&[Running, AwaitingApproval, Paused, Stopped], not, There, true),
        (&[Paused, Stopped], admitted, There, true),
        (&[Paused, Stopped], admitted, Moving, true),
        (&[Paused, Stopped], admitted, Elsewhere, false),
        (&[Paused, Stopped, RollingBack], not, Moving, false),
        (&[RollingBack], admitted, There, true),
        (&[RollingBack], not, There, false),
        (&[Draft, Completed, RolledBack], admitted, There, false),
    ] {
        for state in states {
            it.progress.state = *state;
            assert_eq!(it.tells(position, 1, stand), expected, "{state} {position} {stand:?}");
        }
    }
}

proptest! {
    #[test]
    fn nearest_are_the_first_of_all(positions: Vec<u64>, most in 0u32..20) {
        let mut sorted = positions.clone();
        sorted.sort_unstable();
        let (mut smallest, mut largest) = (Nearest::smallest(most), Nearest::largest(most));
        for position in &positions {
            smallest.offer(*position);
            largest.offer(*position);
        }
        let first: Vec<_> = sorted.iter().copied().take(most as usize).collect();
        let last: Vec<_> = sorted.iter().copied().rev().take(most as usize).collect();
        prop_assert_eq!(smallest.sorted(), first);
        prop_assert_eq!(largest.sorted(), last);
    }

    #[test]
    fn each_host_is_counted_once(
        hosts in prop::collection::vec((0u32..8, prop::option::of(0usize..3), 0usize..16), 0..40)
    ) {
        let seen = |(selected, admitted_by, class): &(u32, Option<usize>, usize)| Seen {
            selected: *selected, admitted_by: *admitted_by, class: Class::ALL[*class], is_kept: false,
        };
        let mut tally = Tally::new(3);
        hosts.iter().for_each(|host| tally.add(&seen(host)));
        let classes = |of: &super::super::count::Classes| Class::ALL.iter().map(|it| of.get(*it)).sum::<u32>();
        let all = tally.waves.iter().map(|wave| classes(&wave.of)).sum::<u32>() + classes(&tally.rest);
        prop_assert_eq!(all as usize, hosts.len());
    }
}
