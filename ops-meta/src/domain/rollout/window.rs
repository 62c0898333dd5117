//! Maintenance windows: when hosts may begin.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A longer window is never closed.
const DURATION_SECS_MAX: u32 = 7 * 86_400;
const WINDOWS_MAX: usize = 100;
/// So many days are looked at: those whose windows may still be open, and the week ahead.
const DAYS_BACK: i64 = 8;
const DAYS_AHEAD: i64 = 8;

/// A window as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = Window)]
pub struct WindowText {
    /// On which days it opens; left out: on every day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<Vec<Day>>,
    /// When, on the clocks there: `22:00`. Where clocks go forward over that, as much later as they do; where they go back
    /// over it, the first time.
    pub start: String,
    /// For how long it is open, by a stopwatch: neither longer nor shorter where clocks are changed meanwhile.
    #[schema(minimum = 1, maximum = 604_800)]
    pub duration_secs: u32,
    /// `Europe/Berlin`, or a rule as in TZ, `CET-1CEST,M3.5.0,M10.5.0/3`; left out: UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub zone: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A window that opens.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// `None`: every day.
    days: Option<Vec<Day>>,
    start: Time,
    duration_secs: u32,
    zone: TimeZone,
}

/// Whether hosts may begin. Times are Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// `None`: for longer than a week.
    Open { until: Option<i64> },
    /// `None`: nobody knows.
    Closed { until: Option<i64> },
}

impl Opening {
    pub const ALWAYS: Self = Self::Open { until: None };
}

/// Where any of them may be open; of none, always. `at` is in Unix milliseconds.
pub fn opening(windows: &[Window], at: i64) -> Opening {
    if windows.is_empty() {
        return Opening::ALWAYS;
    }
    let Ok(now) = Timestamp::from_millisecond(at) else { return Opening::Closed { until: None } };
    let mut spans: Vec<(i64, i64)> = windows.iter().flat_map(|window| window.around(now)).collect();
    spans.sort_unstable();
    let begun = spans.iter().take_while(|(from, _)| *from <= at);
    if !begun.clone().any(|(_, to)| at < *to) {
        return Opening::Closed { until: spans.iter().map(|(from, _)| *from).find(|from| at < *from) };
    }
    // Of windows that follow each other without a gap, the end of the last.
    let until =
        spans.iter().fold(at, |until, (from, to)| if *from <= until { until.max(*to) } else { until });
    let horizon = at.saturating_add((DAYS_AHEAD - 1) * 86_400_000);
    Opening::Open { until: (until < horizon).then_some(until) }
}

impl Window {
    /// Those without a fault; `note` is told of faults, and where they are.
    pub fn check_all(texts: &[WindowText], mut note: impl FnMut(String, String)) -> Vec<Self> {
        if texts.len() > WINDOWS_MAX {
            note("windows".to_owned(), format!("there are {}, {WINDOWS_MAX} are allowed", texts.len()));
            return Vec::new();
        }
        let checked = texts.iter().enumerate().filter_map(|(n, text)| {
            Self::check(text).map_err(|(field, why)| note(format!("windows[{n}].{field}"), why)).ok()
        });
        checked.collect()
    }

    /// # Errors
    /// Which field is wrong, and what to do.
    pub fn check(text: &WindowText) -> Result<Self, (&'static str, String)> {
        if text.days.as_ref().is_some_and(Vec::is_empty) {
            return Err(("days", "without a day it never opens; name some, or leave `days` out".to_owned()));
        }
        let start = Time::strptime("%H:%M", &text.start);
        let start =
            start.map_err(|_| ("start", format!("{:?} is no time of day such as 22:00", text.start)))?;
        match text.duration_secs {
            0 => Err(("durationSecs", "of 0 seconds it never opens; say for how long".to_owned())),
            1..=DURATION_SECS_MAX => Ok(()),
            _ => Err((
                "durationSecs",
                format!("{DURATION_SECS_MAX} are a week; for more leave the window out: it is never closed"),
            )),
        }?;
        let (days, duration_secs) = (text.days.clone(), text.duration_secs);
        Ok(Self { days, start, duration_secs, zone: zone(&text.zone)? })
    }

    /// When it opens and closes around a moment, in Unix milliseconds.
    fn around(&self, now: Timestamp) -> impl Iterator<Item = (i64, i64)> {
        let today = now.to_zoned(self.zone.clone()).date();
        let days =
            (-DAYS_BACK..=DAYS_AHEAD).filter_map(move |days| today.checked_add(Span::new().days(days)).ok());
        days.filter(|date| self.opens_on(*date)).filter_map(|date| {
            let local = date.to_datetime(self.start);
            let from = self.zone.to_ambiguous_timestamp(local).compatible().ok()?.as_millisecond();
            Some((from, from.saturating_add(i64::from(self.duration_secs) * 1000)))
        })
    }

    fn opens_on(&self, date: Date) -> bool {
        self.days.as_ref().is_none_or(|days| days.contains(&Day::of(date.weekday())))
    }
}

impl Day {
    fn of(weekday: Weekday) -> Self {
        match weekday {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

fn zone(text: &str) -> Result<TimeZone, (&'static str, String)> {
    if text.is_empty() {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(text).or_else(|_| TimeZone::posix(text)).map_err(|_| {
        let why = format!(
            "{text:?} is no time zone that is known here, such as Europe/Berlin; or write its rule, such as \
             CET-1CEST,M3.5.0,M10.5.0/3"
        );
        ("zone", why)
    })
}
