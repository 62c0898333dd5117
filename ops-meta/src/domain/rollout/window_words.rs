//! Windows as they are written on a command line: `mon-fri 22:00 4h Europe/Berlin`.

use std::fmt;
use std::str::FromStr;

use super::preset::length_secs;
use super::window::{Day, WindowText};

const DAYS: [(Day, &str); 7] = [
    (Day::Mon, "mon"),
    (Day::Tue, "tue"),
    (Day::Wed, "wed"),
    (Day::Thu, "thu"),
    (Day::Fri, "fri"),
    (Day::Sat, "sat"),
    (Day::Sun, "sun"),
];

impl FromStr for WindowText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace().peekable();
        let is_time = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
        let days = words.next_if(|word| !is_time(word)).map(days).transpose()?;
        let (start, length, zone, more) = (words.next(), words.next(), words.next(), words.next());
        let duration_secs = length.and_then(length_secs);
        match (start, duration_secs, more) {
            (Some(start), Some(duration_secs), None) => Ok(Self {
                days,
                start: start.to_owned(),
                duration_secs,
                zone: zone.unwrap_or_default().to_owned(),
            }),
            _ => Err(format!(
                "{text:?} is no window; write on which days, when, for how long and where, as in `mon-fri 22:00 4h Europe/Berlin`, or `22:00 4h`"
            )),
        }
    }
}

/// `mon,wed-fri`
fn days(text: &str) -> Result<Vec<Day>, String> {
    let day = |word: &str| {
        let place = DAYS.iter().position(|(_, name)| *name == word);
        place.ok_or_else(|| format!("{word:?} is no day; they are mon, tue, wed, thu, fri, sat and sun"))
    };
    let mut all = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (day(from)?, day(to)?);
        // From friday to monday is over the end of a week.
        let days = if to < from { to + 7 - from } else { to - from };
        let each = DAYS.iter().cycle().skip(from).take(days + 1).map(|(day, _)| *day);
        all.extend(each.filter(|day| !all.contains(day)).collect::<Vec<_>>());
    }
    Ok(all)
}

impl fmt::Display for WindowText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |day: &Day| DAYS.iter().find(|(it, _)| it == day).map_or("", |(_, name)| *name);
        if let Some(days) = &self.days {
            write!(f, "{} ", days.iter().map(name).collect::<Vec<_>>().join(","))?;
        }
        let secs = self.duration_secs;
        let units = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
        let (unit, sign) = units.into_iter().find(|(unit, _)| secs.is_multiple_of(*unit)).unwrap_or((1, "s"));
        write!(f, "{} {}{sign}", self.start, secs / unit)?;
        match self.zone.as_str() {
            "" => Ok(()),
            zone => write!(f, " {zone}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_window_is_read_as_it_is_written() {
        for (text, shown) in [
            ("22:00 4h", "22:00 4h"),
            ("mon-fri 22:00 90m Europe/Berlin", "mon,tue,wed,thu,fri 22:00 90m Europe/Berlin"),
            ("sat-mon,wed 01:30 86400s UTC", "sat,sun,mon,wed 01:30 1d UTC"),
            ("mon,mon 00:00 61s", "mon 00:00 61s"),
        ] {
            let window: WindowText = text.parse().unwrap();
            assert_eq!(window.to_string(), shown);
            assert_eq!(shown.parse::<WindowText>().unwrap(), window);
        }
        for (text, why) in [
            ("", "is no window; write on which days"),
            ("22:00", "is no window"),
            ("mon 22:00 4h UTC more", "is no window"),
            ("someday 22:00 4h", "\"someday\" is no day"),
            ("22:00 long", "is no window"),
        ] {
            let said = text.parse::<WindowText>().unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
