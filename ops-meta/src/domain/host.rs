//! How a host stands: by what it said, and when.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A host that says nothing for so many of its intervals is late.
const LATE_INTERVALS: i64 = 3;
/// What is believed of what a host says of its interval.
pub const INTERVAL_SECS_MAX: u32 = 86_400;
/// What a host that does not say (2015's) is taken to have; the default of its configuration.
pub const INTERVAL_SECS: u32 = 300;
/// A host that says nothing for so long is gone.
pub const GONE_SECS: i64 = 24 * 3600;
/// For so long a host is called new, or revived.
const NEWS_SECS: i64 = 24 * 3600;

/// How a host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// First heard less than a day ago, and not late.
    New,
    Alive,
    /// Silent for more than three of its intervals.
    Late,
    /// Silent for more than a day.
    Gone,
    /// Heard again less than a day ago, after it had been gone.
    Revived,
}

impl State {
    pub const ALL: [Self; 5] = [Self::New, Self::Alive, Self::Late, Self::Gone, Self::Revived];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Alive => "alive",
            Self::Late => "late",
            Self::Gone => "gone",
            Self::Revived => "revived",
        }
    }
}

/// When a host was heard, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    pub first: i64,
    pub last: i64,
    /// After it had been gone; 0: never.
    pub revived: i64,
    pub interval_secs: u32,
}

impl Heard {
    /// A host that says nothing for longer is late.
    pub fn late_secs(&self) -> i64 {
        LATE_INTERVALS * i64::from(self.interval_secs)
    }
}

/// When the server listened: nobody is silent while nobody listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// Unix seconds.
    pub since: i64,
    /// Until when it had listened before.
    pub before_until: i64,
    /// What is known of the time before is only as good as this, in seconds.
    pub before_slack: i64,
}

impl Listening {
    /// For how long a host has said nothing while it could have been heard, in seconds.
    pub fn silence(&self, last: i64, now: i64) -> i64 {
        if last >= self.since {
            return (now - last).max(0);
        }
        let before = (self.before_until - last - self.before_slack).max(0);
        before + (now - self.since).max(0)
    }
}

/// The state at `now`, Unix seconds.
pub fn state(heard: &Heard, listening: &Listening, now: i64) -> State {
    let silence = listening.silence(heard.last, now);
    let late = heard.late_secs();
    if silence > late.max(GONE_SECS) {
        State::Gone
    } else if silence > late {
        State::Late
    } else if heard.revived > 0 && now - heard.revived < NEWS_SECS {
        State::Revived
    } else if now - heard.first < NEWS_SECS {
        State::New
    } else {
        State::Alive
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not one of the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown;

impl FromStr for State {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;
    const ALWAYS: Listening = Listening { since: 0, before_until: 0, before_slack: 0 };

    #[test]
    fn silence_makes_late_and_then_gone() {
        let now = 100 * DAY;
        for (first, silent, revived, expected) in [
            (1, 0, 0, State::Alive),
            (1, 900, 0, State::Alive),
            (1, 901, 0, State::Late),
            (1, DAY, 0, State::Late),
            (1, DAY + 1, 0, State::Gone),
            (now - 5, 5, 0, State::New),
            (now - DAY + 1, 901, 0, State::Late),
            (now - DAY, 0, 0, State::Alive),
            (1, 0, now - 60, State::Revived),
            (1, 901, now - 1000, State::Late),
            (1, 0, now - DAY, State::Alive),
        ] {
            let heard = Heard { first, last: now - silent, revived, interval_secs: 300 };
            assert_eq!(state(&heard, &ALWAYS, now), expected, "{heard:?}");
        }
    }

    #[test]
    fn a_slow_host_is_not_gone_before_it_is_late() {
        let heard = Heard { first: 1, last: 50 * DAY, revived: 0, interval_secs: 86_400 };
        assert_eq!(state(&heard, &ALWAYS, 53 * DAY), State::Alive);
        assert_eq!(state(&heard, &ALWAYS, 53 * DAY + 1), State::Gone);
    }

    #[test]
    fn nobody_is_silent_while_nobody_listens() {
        // Down for ten days; before that, what is known may be two hours old.
        let listening = Listening { since: 50 * DAY, before_until: 40 * DAY, before_slack: 7200 };
        let now = 50 * DAY + 60;
        assert_eq!(listening.silence(40 * DAY - 300, now), 60);
        assert_eq!(listening.silence(40 * DAY - 7260, now), 120);
        assert_eq!(listening.silence(now - 5, now), 5);
        // Who was gone before stays gone.
        let heard = Heard { first: 1, last: 35 * DAY, revived: 0, interval_secs: 300 };
        assert_eq!(state(&heard, &listening, now), State::Gone);
    }

    #[test]
    fn a_clock_that_steps_back_makes_nobody_silent() {
        assert_eq!(ALWAYS.silence(100, 50), 0);
    }
}
