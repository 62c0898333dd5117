//! When a host beats next, by the rules of the updater (its `wake.rs`). Pure; all times are milliseconds of the hosts'.

/// An agent that came to rest brings the next beat forward to some moment within this.
const NEWS_WITHIN_MS: u64 = 10_000;
/// The back-off doubles up to an hour, or the interval if that is longer.
const BACK_OFF_MS_MAX: u64 = 3_600_000;
/// Retry-After is obeyed up to an hour (WIRE).
const RETRY_AFTER_SECS_MAX: u64 = 3600;

/// When the next beat of a host is due. A `spread` is a random number from 0 to 1.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    due_ms: u64,
    failures: u8,
}

impl Schedule {
    /// The first beat, at a random moment within the interval.
    pub fn new(interval_ms: u64, now_ms: u64, spread: f64) -> Self {
        Self { due_ms: now_ms + times(interval_ms, spread), failures: 0 }
    }

    pub fn due_ms(&self) -> u64 {
        self.due_ms
    }

    /// The beat that was due begins: the next is the interval +-5 % after it was due, so that periods do not drift. One
    /// that was missed is not made up for.
    pub fn begun(&mut self, interval_ms: u64, now_ms: u64, spread: f64) {
        let next = self.due_ms + times(interval_ms, 0.95 + 0.1 * spread);
        self.due_ms = if next > now_ms { next } else { now_ms + times(interval_ms, spread) };
    }

    /// The server's hint, counted from now.
    pub fn hint(&mut self, secs: u32, now_ms: u64, spread: f64) {
        let hinted_ms = u64::from(secs.clamp(1, 3600)) * 1000;
        self.due_ms = now_ms + times(hinted_ms, 0.95 + 0.1 * spread);
    }

    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The server failed: back off with jitter, and obey what it asked for.
    pub fn failed(&mut self, interval_ms: u64, retry_after_secs: Option<u64>, now_ms: u64, spread: f64) {
        self.failures = self.failures.saturating_add(1);
        let doubled = interval_ms.saturating_mul(1 << self.failures.saturating_sub(1).min(12));
        let wait = times(doubled.min(BACK_OFF_MS_MAX.max(interval_ms)), 0.75 + 0.25 * spread);
        let asked_secs = retry_after_secs.unwrap_or(0).min(RETRY_AFTER_SECS_MAX);
        let asked = times(asked_secs * 1000, 1.0 + 0.1 * spread);
        self.due_ms = self.due_ms.max(now_ms + asked).max(now_ms + wait);
    }

    /// At `at_ms` something happens that ops-meta wants to know. While it fails, the back-off stands.
    pub fn bring_forward(&mut self, at_ms: u64, spread: f64) {
        if self.failures == 0 {
            self.due_ms = self.due_ms.min(at_ms + times(NEWS_WITHIN_MS, spread));
        }
    }
}

fn times(ms: u64, factor: f64) -> u64 {
    (ms as f64 * factor) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    #[test]
    fn periods_are_the_interval_and_do_not_drift() {
        for spread in [0.0, 0.5, 1.0] {
            let mut schedule = Schedule { due_ms: 1_000_000, failures: 0 };
            schedule.begun(MINUTE, 1_005_000, spread);
            assert!((57_000..=63_000).contains(&(schedule.due_ms() - 1_000_000)));
        }
    }

    #[test]
    fn back_off_doubles_to_an_hour_and_retry_after_is_obeyed() {
        let mut schedule = Schedule { due_ms: 0, failures: 0 };
        let waits: Vec<u64> = (0..8)
            .map(|_| {
                schedule.due_ms = 0;
                schedule.failed(MINUTE, None, 0, 1.0);
                schedule.due_ms() / 1000
            })
            .collect();
        assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        let mut asked = Schedule { due_ms: 0, failures: 0 };
        asked.failed(MINUTE, Some(1000), 0, 0.0);
        assert_eq!(asked.due_ms(), 1_000_000);
    }

    #[test]
    fn news_come_within_ten_seconds_unless_the_server_is_away() {
        let mut schedule = Schedule { due_ms: 300_000, failures: 0 };
        schedule.bring_forward(5000, 0.999);
        assert!(schedule.due_ms() <= 15_000);
        let mut away = Schedule { due_ms: 300_000, failures: 1 };
        away.bring_forward(5000, 0.5);
        assert_eq!(away.due_ms(), 300_000);
    }
}
