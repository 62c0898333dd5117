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
/// A larger step of the clock is no time in which hosts were listened to. It is looked at every second.
const STEP_SECS: i64 = 60;
/// So many runs of the server are remembered.
pub const RUNS_MAX: usize = 256;

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

/// From when until when the server listened, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Run {
    pub since: i64,
    pub until: i64,
}

/// When the server listened: nobody is silent while nobody listens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listening {
    earlier: Vec<Run>,
    run: Run,
    /// What is known from before the present run is only as good as this, in seconds.
    slack: i64,
}

impl Listening {
    pub fn new(earlier: Vec<Run>, slack: i64, now: i64) -> Self {
        let mut new = Self { earlier, run: Run::default(), slack };
        new.begin(now);
        new
    }

    /// Hosts are listened to at `now`, as they were a moment ago. Where that is not so, the machine slept or its clock was
    /// set, and a new run begins.
    pub fn goes_on(&mut self, now: i64) -> Run {
        if (now - self.run.until).abs() > STEP_SECS {
            self.earlier.push(self.run);
            self.begin(now);
        }
        self.run.until = now;
        self.run
    }

    fn begin(&mut self, now: i64) {
        // By a clock that was set back, what comes later has not been yet.
        self.earlier.iter_mut().for_each(|run| run.until = run.until.min(now));
        self.earlier.retain(|run| run.since < run.until);
        self.earlier.drain(..self.earlier.len().saturating_sub(RUNS_MAX));
        self.run = Run { since: now, until: now };
    }

    /// For how long a host has said nothing while it could have been heard, in seconds.
    pub fn silence(&self, last: i64, now: i64) -> i64 {
        if last >= self.run.since {
            return (now - last).max(0);
        }
        let unheard = |run: &Run| (run.until - run.since.max(last + self.slack)).max(0);
        self.earlier.iter().map(unheard).sum::<i64>() + (now - self.run.since).max(0)
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
    const ALWAYS: Listening = Listening { earlier: Vec::new(), run: Run { since: 0, until: 0 }, slack: 0 };

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
        let before = Run { since: 30 * DAY, until: 40 * DAY };
        let listening = Listening::new(vec![before], 7200, 50 * DAY);
        let now = 50 * DAY + 60;
        assert_eq!(listening.silence(40 * DAY - 300, now), 60);
        assert_eq!(listening.silence(40 * DAY - 7260, now), 120);
        assert_eq!(listening.silence(now - 5, now), 5);
        // Who was gone before stays gone.
        let heard = Heard { first: 1, last: 35 * DAY, revived: 0, interval_secs: 300 };
        assert_eq!(state(&heard, &listening, now), State::Gone);
    }

    #[test]
    fn a_second_start_makes_nobody_silent() {
        let runs =
            [(30 * DAY, 40 * DAY), (50 * DAY, 50 * DAY + 60)].map(|(since, until)| Run { since, until });
        let listening = Listening::new(runs.to_vec(), 7200, 50 * DAY + 80);
        let now = 50 * DAY + 90;
        assert_eq!(listening.silence(40 * DAY - 300, now), 60 + 10);
        assert_eq!(listening.silence(40 * DAY - 7200 - 5, now), 5 + 60 + 10);
    }

    /// Listens from the one moment to the other.
    fn listen(listening: &mut Listening, from: i64, to: i64) -> Run {
        for now in (from..to).step_by(STEP_SECS as usize) {
            listening.goes_on(now);
        }
        listening.goes_on(to)
    }

    #[test]
    fn nobody_is_silent_while_the_machine_sleeps() {
        let mut listening = Listening::new(Vec::new(), 0, DAY);
        assert_eq!(listen(&mut listening, DAY, 2 * DAY), Run { since: DAY, until: 2 * DAY });
        assert_eq!(listening.silence(2 * DAY - 100, 2 * DAY), 100);
        assert_eq!(listening.goes_on(9 * DAY), Run { since: 9 * DAY, until: 9 * DAY });
        assert_eq!(listening.silence(2 * DAY - 100, 9 * DAY), 100);
        listen(&mut listening, 9 * DAY, 10 * DAY);
        assert_eq!(listening.silence(2 * DAY - 100, 10 * DAY), 100 + DAY);
        assert_eq!(listening.silence(9 * DAY + 1, 10 * DAY), DAY - 1);
    }

    #[test]
    fn a_clock_that_is_set_back_counts_no_time_twice() {
        let mut listening = Listening::new(Vec::new(), 0, DAY);
        listen(&mut listening, DAY, 3 * DAY);
        // It was a day fast, and for a moment a year.
        listening.goes_on(400 * DAY);
        listening.goes_on(400 * DAY + 50);
        assert_eq!(listening.goes_on(2 * DAY).since, 2 * DAY);
        listen(&mut listening, 2 * DAY, 4 * DAY);
        assert_eq!(listening.silence(DAY + 5, 4 * DAY), 3 * DAY - 5);
        assert_eq!(listening.silence(400 * DAY, 4 * DAY), 0);
    }

    #[test]
    fn so_many_runs_are_remembered() {
        let runs = (0..1000).map(|n| Run { since: 10 * n, until: 10 * n + 1 }).collect();
        assert_eq!(Listening::new(runs, 0, 10_000).silence(0, 10_000), RUNS_MAX as i64);
    }

    #[test]
    fn a_clock_that_steps_back_makes_nobody_silent() {
        assert_eq!(ALWAYS.silence(100, 50), 0);
    }
}
