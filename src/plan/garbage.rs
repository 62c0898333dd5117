//! Which versions of an agent are no longer kept.

use ops_wire::Version;

/// Of `versions`, the newest first, those that may go: neither the one in use nor `previous`, not among the newest `keep`
/// in all, and not used by a process.
pub fn garbage(
    versions: Vec<Version>,
    current: &Version,
    previous: &Version,
    keep: usize,
    is_used: impl Fn(&Version) -> bool,
) -> Vec<Version> {
    let others = versions.into_iter().filter(|it| it != current && it != previous);
    let kept_already = if current == previous { 1 } else { 2 };
    others.skip(keep.saturating_sub(kept_already)).filter(|it| !is_used(it)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn version(number: u8) -> Version {
        format!("1.0.{number}").parse().unwrap()
    }

    proptest! {
        /// A history of upgrades, take-backs and processes that go on using what they were started from: whatever is still
        /// needed is still there.
        #[test]
        fn nothing_that_is_needed_goes(
            history in vec((0..12_u8, any::<bool>()), 1..40),
            used in btree_set(0..12_u8, 0..4),
            keep in 2..5_usize,
        ) {
            let is_used = |it: &Version| used.iter().any(|number| version(*number) == *it);
            // The newest first, as their folders were made.
            let mut here: Vec<Version> = vec![version(0)];
            let mut current = version(0);
            for (number, proven) in history {
                let next = version(number);
                if next == current {
                    continue;
                }
                if !here.contains(&next) {
                    here.insert(0, next.clone());
                }
                if !proven {
                    // It was taken back, and nothing is collected.
                    prop_assert!(here.contains(&current));
                    continue;
                }
                let gone = garbage(here.clone(), &next, &current, keep, is_used);
                prop_assert!(!gone.contains(&next) && !gone.contains(&current), "{gone:?}");
                prop_assert!(!gone.iter().any(is_used), "{gone:?} with {used:?}");
                let before = here.len();
                here.retain(|it| !gone.contains(it));
                prop_assert!(here.len() >= keep.min(before), "{here:?} of {before}");
                let unused = here.iter().filter(|it| !is_used(it)).count();
                prop_assert!(unused <= keep.max(2), "{here:?} pile up");
                current = next;
            }
        }
    }
}
