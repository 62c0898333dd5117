//! Chance that repeats: every number follows from the seed and what it is for. Pure.

/// SplitMix64's last step (Steele, Lea, Flood 2014): every bit of the input moves every bit of the output.
pub fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Several numbers as one.
pub fn mixed(of: &[u64]) -> u64 {
    of.iter().fold(0, |mixed, it| mix(mixed ^ it))
}

/// A number from 0 up to, and without, 1.
pub fn part(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// A text as a number, the same in every run (FNV-1a).
pub fn of_text(text: &str) -> u64 {
    let fnv = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, fnv))
}

/// What becomes of a host that is ordered to another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Succeeds,
    /// The version starts and does not stay: it is taken back.
    Fails,
    /// The host falls silent for ever.
    Vanishes,
}

/// How often hosts fail and vanish, and by which seed they are chosen.
#[derive(Debug, Clone, Copy)]
pub struct Fates {
    pub seed: u64,
    /// Parts of all hosts, from 0 to 1.
    pub fail: f64,
    pub vanish: f64,
}

impl Fates {
    /// By host, agent and version alone, so that the same hosts fail in every run and at every speed.
    pub fn of(&self, host: u32, agent: &str, version: &str) -> Fate {
        match part(mixed(&[self.seed, host.into(), of_text(agent), of_text(version)])) {
            it if it < self.vanish => Fate::Vanishes,
            it if it < self.vanish + self.fail => Fate::Fails,
            _ => Fate::Succeeds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_fails_and_a_share_vanishes_and_the_seed_says_which() {
        let fates = Fates { seed: 1, fail: 0.1, vanish: 0.02 };
        let count =
            |fates: Fates, fate| (0..100_000).filter(|it| fates.of(*it, "a", "1.0.1") == fate).count();
        assert!((9_500..10_500).contains(&count(fates, Fate::Fails)));
        assert!((1_800..2_200).contains(&count(fates, Fate::Vanishes)));
        let others = Fates { seed: 2, ..fates };
        let moved = (0..1000).filter(|it| fates.of(*it, "a", "1") != others.of(*it, "a", "1")).count();
        assert!(moved > 50, "{moved} of 1000 fare differently by another seed");
    }

    #[test]
    fn parts_are_spread_from_0_to_1() {
        let mean = (0..10_000).map(|it| part(mix(it))).sum::<f64>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
    }
}
