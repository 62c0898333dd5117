//! Starts of a version that ends again and again: each waits longer than the one before.

use std::time::Duration;

use ops_wire::{ErrorCode, Version};

use super::times;
use crate::error::Fault;

/// A version that ended is started again at once; if it ends again, after this long, doubled each time.
const APART: Duration = Duration::from_secs(10);
const APART_MAX: Duration = Duration::from_secs(600);
/// One that ran this long begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(1800);

/// How often, and when last, a version that was down was started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Starts {
    count: u32,
    at: Duration,
}

impl Starts {
    pub fn one_more(&mut self, now: Duration) {
        let before = if now < self.at + FORGOTTEN_AFTER { self.count } else { 0 };
        *self = Self { count: before + 1, at: now };
    }

    /// How long the next start has to wait: the first one not at all.
    pub fn wait(&self, now: Duration) -> Option<Duration> {
        let wait = match self.count {
            0 => Duration::ZERO,
            count => APART.saturating_mul(1 << (count - 1).min(16)).min(APART_MAX),
        };
        (self.at + wait).checked_sub(now).filter(|it| !it.is_zero())
    }

    pub fn fault(&self, version: &Version, now: Duration) -> Fault {
        let wait = self.wait(now).unwrap_or_default().as_secs();
        let times = times(self.count);
        let sentence = format!(
            "version {version} was started {times} and ended each time; it is not started again for {wait} seconds"
        );
        Fault::new(ErrorCode::StartFailed, sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_first_start_waits_for_nothing_and_the_others_longer_and_longer() {
        let mut starts = Starts::default();
        assert_eq!(starts.wait(secs(0)), None);
        let mut now = secs(1000);
        for wait in [10, 20, 40, 80, 160, 320, 600, 600] {
            starts.one_more(now);
            assert_eq!(starts.wait(now), Some(secs(wait)));
            now += secs(wait);
            assert_eq!(starts.wait(now), None);
        }
    }

    #[test]
    fn one_that_ran_for_long_begins_anew() {
        let mut starts = Starts::default();
        starts.one_more(secs(1000));
        starts.one_more(secs(1010));
        starts.one_more(secs(1010) + FORGOTTEN_AFTER);
        assert_eq!(starts.wait(secs(1010) + FORGOTTEN_AFTER), Some(APART));
    }
}
