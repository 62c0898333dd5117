//! Which hosts a rollout admits.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Of this threshold everybody is admitted, whatever the position.
const EVERYBODY: u64 = u64::MAX;

/// Where a host stands in a rollout: every rollout has an order of its own, so that not the same hosts are always the
/// first.
pub fn position(rollout: u64, hostname: &str) -> u64 {
    let (digits, from) = decimal(rollout);
    let text = Sha256::new().chain_update(digits.get(from..).unwrap_or_default());
    let digest: [u8; 32] = text.chain_update(b"\n").chain_update(hostname).finalize().into();
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// The number as text, and where in there it begins: twenty rollouts of a million hosts ask for it.
fn decimal(mut number: u64) -> ([u8; 20], usize) {
    let (mut digits, mut from) = ([b'0'; 20], 20);
    loop {
        from -= 1;
        if let Some(digit) = digits.get_mut(from) {
            *digit += (number % 10) as u8;
        }
        number /= 10;
        if number == 0 || from == 0 {
            return (digits, from);
        }
    }
}

/// For each wave that has begun its threshold: positions below it are admitted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Admission {
    thresholds: Vec<u64>,
}

impl Admission {
    /// Waves that have begun.
    pub fn len(&self) -> usize {
        self.thresholds.len()
    }

    pub fn is_empty(&self) -> bool {
        self.thresholds.is_empty()
    }

    /// Nobody ever heard of it.
    pub fn admits_nobody(&self) -> bool {
        self.thresholds.iter().all(|threshold| *threshold == 0)
    }

    pub fn threshold(&self, wave: usize) -> Option<u64> {
        self.thresholds.get(wave).copied()
    }

    /// The first wave that admits a host; of `selected`, bit `n` says whether wave `n` selects it.
    pub fn admitting(&self, position: u64, selected: u32) -> Option<usize> {
        let admits = |threshold: u64| position < threshold || threshold == EVERYBODY;
        let mut begun = self.thresholds.iter().enumerate();
        begun.find(|(wave, threshold)| is_selected(selected, *wave) && admits(**threshold)).map(|(n, _)| n)
    }

    /// The next wave, which admits nobody yet.
    pub(super) fn begin(&mut self) {
        self.thresholds.push(0);
    }

    /// A threshold is never lowered by this.
    pub(super) fn raise(&mut self, wave: usize, to: u64) {
        if let Some(threshold) = self.thresholds.get_mut(wave) {
            *threshold = (*threshold).max(to);
        }
    }

    /// Of the last wave; at 0 it has not begun any more.
    pub(super) fn lower(&mut self, to: u64) {
        if let Some(threshold) = self.thresholds.last_mut() {
            *threshold = (*threshold).min(to);
        }
        self.thresholds.pop_if(|threshold| *threshold == 0);
    }
}

pub(super) fn is_selected(selected: u32, wave: usize) -> bool {
    u32::try_from(wave).ok().and_then(|wave| selected.checked_shr(wave)).is_some_and(|it| it & 1 == 1)
}
