//! Times, as people write and read them. On the wire they are Unix milliseconds.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use crate::clock::now_ms;

/// A length of time: `30d`, `12h`, `2w 3d`. At least a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    pub secs: u64,
}

impl Length {
    /// When it is over, in Unix milliseconds.
    pub fn ahead_ms(self) -> i64 {
        let ms = i64::try_from(self.secs).unwrap_or(i64::MAX).saturating_mul(1000);
        now_ms().saturating_add(ms)
    }
}

/// For clap.
pub fn length(text: &str) -> Result<Length, String> {
    let secs = duration(text).map(|length| length.as_secs()).and_then(|secs| u64::try_from(secs).ok());
    match secs {
        Some(secs @ 1..) => Ok(Length { secs }),
        _ => Err("this is no length of time; write it as `30d`, `12h` or `90m`".to_owned()),
    }
}

/// For clap: a moment in Unix milliseconds, as the time since then or as a date.
pub fn moment(text: &str) -> Result<i64, String> {
    let ago =
        duration(text).and_then(|length| now_ms().checked_sub(i64::try_from(length.abs().as_millis()).ok()?));
    let exact = || text.parse::<Timestamp>().ok();
    let local = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::system()).ok().map(|it| it.timestamp());
    ago.or_else(|| exact().or_else(local).map(Timestamp::as_millisecond)).ok_or_else(|| {
        "this is no moment; write `2h` (ago), `2026-01-31`, `2026-01-31T12:00:00` or `2026-01-31T12:00:00Z`".to_owned()
    })
}

/// Days of 24 hours and weeks of seven of them. A month has no length.
fn duration(text: &str) -> Option<SignedDuration> {
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

/// In the time zone of whoever reads it.
pub fn date(at_ms: i64) -> String {
    match Timestamp::from_millisecond(at_ms) {
        Ok(time) => time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "-".to_owned(),
    }
}

/// `3 min ago`, `in 5 h`: in the largest unit that fits twice, so that it is right to a third.
pub fn relative(at_ms: i64, now_ms: i64) -> String {
    let secs = now_ms.saturating_sub(at_ms) / 1000;
    let (count, unit) = match secs.unsigned_abs() {
        0 => return "now".to_owned(),
        secs @ 1..120 => (secs, "s"),
        secs @ 120..7200 => (secs / 60, "min"),
        secs @ 7200..172_800 => (secs / 3600, "h"),
        secs => (secs / 86_400, "days"),
    };
    if secs > 0 { format!("{count} {unit} ago") } else { format!("in {count} {unit}") }
}

/// Both.
pub fn date_and_relative(at_ms: i64) -> String {
    format!("{} ({})", date(at_ms), relative(at_ms, now_ms()))
}

/// How long something took.
pub fn took(ms: u64) -> String {
    match ms {
        ..1000 => format!("{ms} ms"),
        1000..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        10_000..120_000 => format!("{} s", ms / 1000),
        _ => format!("{} min", ms / 60_000),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn lengths_are_read_as_people_write_them() {
        let secs = |text| length(text).map(|it| it.secs).ok();
        assert_eq!((secs("30d"), secs("12h"), secs("90m")), (Some(2_592_000), Some(43_200), Some(5_400)));
        assert_eq!((secs("2w 3d"), secs("1d 12h"), secs("45s")), (Some(1_468_800), Some(129_600), Some(45)));
        for wrong in ["", "30", "d", "-1d", "0d", "1mo", "soon", "1d ago", "99999999999999d"] {
            assert_eq!(secs(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn moments_are_dates_or_so_long_ago() {
        let now = now_ms();
        let two_hours = moment("2h").unwrap();
        assert!((now - 7_200_000..now - 7_190_000).contains(&two_hours));
        assert_eq!(moment("2026-01-31T12:00:00Z").unwrap(), 1_769_860_800_000);
        assert!((moment("2026-01-31").unwrap() - 1_769_817_600_000).abs() <= 14 * 3_600_000);
        assert!(moment("2026-01-31 12:00:00").is_ok());
        for wrong in ["", "yesterday", "2026-13-01", "12"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_near_is_told_in_small_units() {
        let of = |secs: i64| relative(-secs * 1000, 0);
        assert_eq!((of(0), of(3), of(119)), ("now".into(), "3 s ago".into(), "119 s ago".into()));
        assert_eq!(
            (of(180), of(7200), of(172_800)),
            ("3 min ago".into(), "2 h ago".into(), "2 days ago".into())
        );
        assert_eq!(of(-600), "in 10 min");
        assert_eq!(
            (took(1234), took(61_000), took(600_000)),
            ("1.2 s".into(), "61 s".into(), "10 min".into())
        );
    }
}
