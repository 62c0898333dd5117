//! When beats came that the server answered, by seconds of the hosts' time: how much more in the busiest 10 s than on
//! average. A beat came when it was due: where a simulation is late for want of processors, its beats would pile up in a
//! way that no fleet's do. Pure.

/// Seconds in a window.
pub const WINDOW_SECS: usize = 10;
/// A week of host time is counted; what comes after is not.
const SECS_MAX: usize = 7 * 86_400;

/// Counts of answered beats, and when the server was last away.
#[derive(Debug, Default)]
pub struct Arrivals {
    by_sec: Vec<u32>,
    outage: Option<Outage>,
}

/// The last time that the server did not answer.
#[derive(Debug, Clone, Copy)]
struct Outage {
    begun_sec: usize,
    /// When it answered again.
    back_sec: Option<usize>,
}

/// Beats in windows of 10 s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Windows {
    /// In the busiest one, wherever it begins.
    pub peak: u64,
    pub mean: f64,
    /// Seconds that were looked at.
    pub secs: usize,
}

impl Windows {
    pub fn ratio(&self) -> f64 {
        if self.mean > 0.0 { self.peak as f64 / self.mean } else { 0.0 }
    }
}

impl Arrivals {
    /// A beat that the server answered.
    pub fn answered(&mut self, came_ms: u64) {
        let sec = (came_ms / 1000) as usize;
        if sec >= SECS_MAX {
            return;
        }
        if self.by_sec.len() <= sec {
            self.by_sec.resize(sec + 1, 0);
        }
        if let Some(count) = self.by_sec.get_mut(sec) {
            *count += 1;
        }
        if let Some(outage) = &mut self.outage {
            outage.back_sec.get_or_insert(sec);
        }
    }

    /// A beat for which nobody was there.
    pub fn nobody_there(&mut self, came_ms: u64) {
        let sec = (came_ms / 1000) as usize;
        match self.outage {
            Some(Outage { back_sec: None, .. }) => {}
            // One that came before the first answer, and was told of after.
            Some(Outage { back_sec: Some(back_sec), .. }) if sec <= back_sec => {}
            _ => self.outage = Some(Outage { begun_sec: sec, back_sec: None }),
        }
    }

    /// Of the whole time from `from_sec` on. The last second is left out: it may not be over.
    pub fn from(&self, from_sec: usize) -> Option<Windows> {
        let seconds = self.by_sec.get(from_sec..self.by_sec.len().checked_sub(1)?)?;
        let sum = |window: &[u32]| window.iter().copied().map(u64::from).sum::<u64>();
        let peak = seconds.windows(WINDOW_SECS).map(sum).max()?;
        let mean = sum(seconds) as f64 / seconds.len() as f64 * WINDOW_SECS as f64;
        Some(Windows { peak, mean, secs: seconds.len() })
    }

    /// How long the server was away last, in seconds, and the windows since it is back.
    pub fn since_outage(&self) -> Option<(usize, Windows)> {
        let outage = self.outage?;
        let back = outage.back_sec?;
        Some((back.saturating_sub(outage.begun_sec), self.from(back)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_window_is_found_wherever_it_begins() {
        let mut arrivals = Arrivals::default();
        (0..100).for_each(|sec| arrivals.answered(sec * 1000));
        (0..10).for_each(|_| arrivals.answered(47_500));
        arrivals.answered(101_000);
        let windows = arrivals.from(0).unwrap();
        assert_eq!(windows.peak, 20);
        assert_eq!(windows.secs, 101);
    }

    #[test]
    fn windows_after_an_outage_begin_with_the_first_answer() {
        let mut arrivals = Arrivals::default();
        (0..20).for_each(|sec| arrivals.answered(sec * 1000));
        (20..50).for_each(|sec| arrivals.nobody_there(sec * 1000));
        (50..80).for_each(|sec| arrivals.answered(sec * 1000));
        let (away, windows) = arrivals.since_outage().unwrap();
        assert_eq!((away, windows.peak), (30, 10));
        assert!((windows.ratio() - 1.0).abs() < 0.01);
    }
}
