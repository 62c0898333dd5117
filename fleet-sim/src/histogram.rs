//! How long something took, in buckets that are 1.6 % wide at most, however long it was. Pure.

/// 64 buckets for each doubling.
const BITS: u32 = 6;

/// Counts of durations in microseconds.
#[derive(Debug, Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self { buckets: vec![0; 64 << BITS], count: 0, max: 0 }
    }

    pub fn record(&mut self, micros: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(micros)) {
            *bucket += 1;
        }
        self.count += 1;
        self.max = self.max.max(micros);
    }

    pub fn max(&self) -> u64 {
        self.max
    }

    /// The duration that `part` (0 to 1) of all do not exceed.
    pub fn quantile(&self, part: f64) -> u64 {
        let wanted = (self.count as f64 * part).ceil() as u64;
        let mut seen = 0;
        let found = self.buckets.iter().position(|count| {
            seen += count;
            seen >= wanted.max(1)
        });
        found.map_or(0, |bucket| longest_in(bucket).min(self.max))
    }
}

/// Below 64 each number has its own bucket; above, the seven leading bits choose it.
fn bucket_of(micros: u64) -> usize {
    let shift = (64 - micros.leading_zeros()).saturating_sub(BITS + 1);
    ((u64::from(shift) << BITS) + (micros >> shift)) as usize
}

fn longest_in(bucket: usize) -> u64 {
    let shift = (bucket >> BITS).saturating_sub(1);
    let leading = (bucket - (shift << BITS)) as u64;
    ((leading + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_two_percent() {
        let mut histogram = Histogram::new();
        (1..=100_000).for_each(|it| histogram.record(it));
        for part in [0.1, 0.5, 0.9, 0.99, 0.999] {
            let found = histogram.quantile(part) as f64 / (100_000.0 * part);
            assert!((0.98..1.02).contains(&found), "{part}: {found}");
        }
        assert_eq!(histogram.quantile(1.0), 100_000);
    }

    #[test]
    fn every_duration_lies_in_its_bucket() {
        for micros in [0, 1, 63, 64, 65, 127, 128, 1000, 123_456_789, u64::MAX >> 1] {
            let bucket = bucket_of(micros);
            assert!(micros <= longest_in(bucket), "{micros}");
            assert!(bucket == 0 || micros > longest_in(bucket - 1), "{micros}");
        }
    }
}
